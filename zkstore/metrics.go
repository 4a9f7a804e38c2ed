package zkstore

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what sessions do. One set serves every session of a process, one after the other. A nil *Metrics counts nothing.
type Metrics struct {
	latency   prometheus.Histogram
	events    *prometheus.CounterVec
	connected prometheus.Gauge
}

// NewMetrics registers the metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "kraal_zkstore_request_seconds",
			Help:    "Time from handing a request to the ZooKeeper connection until its answer.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
		}),
		connected: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kraal_zkstore_session_connected",
			Help: "1 while a ZooKeeper server has our session.",
		}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kraal_zkstore_session_events_total",
			Help: "ZooKeeper session events: connected, disconnected, expired.",
		}, []string{"event"}),
	}
	r.MustRegister(m.latency, m.events, m.connected)
	return m
}

func (m *Metrics) request(took time.Duration) {
	if m != nil {
		m.latency.Observe(took.Seconds())
	}
}

const (
	eventConnected    = "connected"
	eventDisconnected = "disconnected"
	eventExpired      = "expired"
)

func (m *Metrics) event(name string) {
	if m == nil {
		return
	}
	m.events.WithLabelValues(name).Inc()
	if name == eventConnected {
		m.connected.Set(1)
	} else {
		m.connected.Set(0)
	}
}
