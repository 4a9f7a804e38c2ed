package transport

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	listeners map[string]*listenerMetrics
}

// listenerMetrics are those of one listener, looked up once.
type listenerMetrics struct {
	connections               prometheus.Gauge
	accepted, received, sent  prometheus.Counter
	refusedPerIP, refusedRate prometheus.Counter
	evicted, closedIdle       prometheus.Counter
}

func newMetrics(r prometheus.Registerer, listeners []Listener) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kraal_transport_" + name, Help: help}, labels)
		if r != nil {
			r.MustRegister(v)
		}
		return v
	}
	connections := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kraal_transport_connections", Help: "Open connections.",
	}, []string{"listener"})
	if r != nil {
		r.MustRegister(connections)
	}
	accepted := counter("accepted_connections_total", "Connections let in.", "listener")
	refused := counter("refused_connections_total", "Connections not let in, by limit.", "listener", "limit")
	closed := counter("closed_connections_total", "Connections closed to make room or for being idle.", "listener", "reason")
	received := counter("received_bytes_total", "Bytes of requests.", "listener")
	sent := counter("sent_bytes_total", "Bytes of responses.", "listener")
	m := &metrics{listeners: map[string]*listenerMetrics{}}
	for _, l := range listeners {
		m.listeners[l.Name] = &listenerMetrics{
			connections:  connections.WithLabelValues(l.Name),
			accepted:     accepted.WithLabelValues(l.Name),
			received:     received.WithLabelValues(l.Name),
			sent:         sent.WithLabelValues(l.Name),
			refusedPerIP: refused.WithLabelValues(l.Name, "ip"),
			refusedRate:  refused.WithLabelValues(l.Name, "ip_rate"),
			evicted:      closed.WithLabelValues(l.Name, "evicted"),
			closedIdle:   closed.WithLabelValues(l.Name, "idle"),
		}
	}
	return m
}
