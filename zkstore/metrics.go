package zkstore

import (
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what sessions do. One set serves every session of a process, one after the other. A nil *Metrics counts nothing.
type Metrics struct {
	latency prometheus.Histogram
	states  *prometheus.CounterVec
}

// NewMetrics registers the metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "kraal_zkstore_request_seconds",
			Help:    "Time from handing a request to the ZooKeeper connection until its answer.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
		}),
		states: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kraal_zkstore_session_events_total",
			Help: "ZooKeeper session events: connected, disconnected, expired.",
		}, []string{"event"}),
	}
	r.MustRegister(m.latency, m.states)
	return m
}

func (m *Metrics) request(took time.Duration) {
	if m != nil {
		m.latency.Observe(took.Seconds())
	}
}

func (m *Metrics) state(s zk.State) {
	if m == nil {
		return
	}
	switch s {
	case zk.StateHasSession:
		m.states.WithLabelValues("connected").Inc()
	case zk.StateDisconnected:
		m.states.WithLabelValues("disconnected").Inc()
	case zk.StateExpired:
		m.states.WithLabelValues("expired").Inc()
	}
}
