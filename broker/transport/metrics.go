package transport

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	connections                                        *prometheus.GaugeVec
	accepted, refused, closed, received, sent, blocked *prometheus.CounterVec
	// expired counts connections closed because their login had expired. In Kafka it is a gauge.
	expired atomic.Int64
}

// listenerMetrics are those of one listener, looked up once.
type listenerMetrics struct {
	connections               prometheus.Gauge
	accepted, received, sent  prometheus.Counter
	refusedPerIP, refusedRate prometheus.Counter
	evicted, closedIdle       prometheus.Counter
	blocked                   prometheus.Counter // nanoseconds
}

// blockedSince counts the time for which the listener's accept goroutine waited.
func (m *listenerMetrics) blockedSince(t time.Time) { m.blocked.Add(float64(time.Since(t))) }

func newMetrics(s *Server, r prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kraal_transport_" + name, Help: help}, labels)
		if r != nil {
			r.MustRegister(v)
		}
		return v
	}
	m := &metrics{
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "kraal_transport_connections", Help: "Open connections."}, []string{"listener"}),
		accepted:    counter("accepted_connections_total", "Connections let in.", "listener"),
		refused:     counter("refused_connections_total", "Connections not let in, by limit.", "listener", "limit"),
		closed:      counter("closed_connections_total", "Connections closed to make room or for being idle.", "listener", "reason"),
		received:    counter("received_bytes_total", "Bytes of requests.", "listener"),
		sent:        counter("sent_bytes_total", "Bytes of responses.", "listener"),
		blocked: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kafka_network_acceptor_acceptorblockedpercent_count",
			Help: "Nanoseconds for which nobody was let in because of max.connections or max.connection.creation.rate."}, []string{"listener"}),
	}
	if r != nil {
		r.MustRegister(m.connections, m.blocked)
	}
	if r != nil {
		m.registerGauges(s, r)
	}
	return m
}

// of returns the metrics of a listener, which stay when it goes.
func (m *metrics) of(listener string) *listenerMetrics {
	return &listenerMetrics{
		connections:  m.connections.WithLabelValues(listener),
		accepted:     m.accepted.WithLabelValues(listener),
		received:     m.received.WithLabelValues(listener),
		sent:         m.sent.WithLabelValues(listener),
		refusedPerIP: m.refused.WithLabelValues(listener, "ip"),
		refusedRate:  m.refused.WithLabelValues(listener, "ip_rate"),
		evicted:      m.closed.WithLabelValues(listener, "evicted"),
		closedIdle:   m.closed.WithLabelValues(listener, "idle"),
		blocked:      m.blocked.WithLabelValues(listener),
	}
}

func (m *metrics) registerGauges(s *Server, r prometheus.Registerer) {
	gauge := func(name, help string, value func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kafka_network_" + name, Help: help}, value))
	}
	gauge("socketserver_memorypoolused", "Bytes of requests in memory, if queued.max.request.bytes bounds them.",
		func() float64 { return float64(s.budget.inUse()) })
	gauge("socketserver_memorypoolavailable", "What queued.max.request.bytes leaves for further requests; without it, the largest number there is.", func() float64 {
		if s.budget.limit <= 0 {
			return math.MaxInt64
		}
		return float64(max(0, s.budget.limit-s.budget.inUse()))
	})
	gauge("socketserver_expiredconnectionskilledcount", "Connections closed because they went on after their login had expired (KIP-368).",
		func() float64 { return float64(m.expired.Load()) })
	gauge("requestchannel_requestqueuesize", "Always 0: a request is taken off its connection when it can be handled.",
		func() float64 { return 0 })
	gauge("requestchannel_responsequeuesize", "Responses that are waited for or not sent yet, behind earlier ones of their connection.",
		func() float64 { return float64(s.unsent()) })
}
