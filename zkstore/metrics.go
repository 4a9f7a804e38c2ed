package zkstore

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kraal-mq/kraal/jmx"
)

// Metrics counts what sessions do, as Kafka's ZooKeeperClientMetrics and SessionExpireListener do. One set serves every session of
// a process, one after the other. A nil *Metrics counts nothing.
type Metrics struct {
	latency   *jmx.Histogram
	events    [eventCount]prometheus.Counter
	connected prometheus.Gauge
}

// sessionEvent is something that happens to a session.
type sessionEvent int

const (
	eventConnected sessionEvent = iota
	eventDisconnected
	eventExpired
	eventAuthFailed
	eventSASLAuthenticated
	eventCount
)

var eventSeries = [eventCount]struct{ name, help string }{
	eventConnected:         {"zookeepersyncconnects", "Connections made to a ZooKeeper server, in a new session or the same."},
	eventDisconnected:      {"zookeeperdisconnects", "Connections to ZooKeeper lost. The session lives on until it expires."},
	eventExpired:           {"zookeeperexpires", "Sessions that ZooKeeper ended because it had not heard of this broker in time."},
	eventAuthFailed:        {"zookeeperauthfailures", "Credentials refused by ZooKeeper."},
	eventSASLAuthenticated: {"zookeepersaslauthentications", "SASL logins to ZooKeeper."},
}

// NewMetrics registers the metrics; r may be nil.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		latency: jmx.NewHistogram("kafka_server_zookeeperclientmetrics_zookeeperrequestlatencyms",
			"Milliseconds from handing a request to the ZooKeeper connection until its answer."),
		connected: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kraal_zkstore_session_connected",
			Help: "1 while a ZooKeeper server has this broker's session.",
		}),
	}
	all := []prometheus.Collector{m.latency, m.connected}
	for e, s := range eventSeries {
		m.events[e] = prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kafka_server_sessionexpirelistener_" + s.name + "_total", Help: s.help})
		all = append(all, m.events[e])
	}
	if r != nil {
		r.MustRegister(all...)
	}
	return m
}

func (m *Metrics) request(took time.Duration) {
	if m != nil {
		m.latency.Took(took)
	}
}

func (m *Metrics) event(e sessionEvent) {
	if m == nil {
		return
	}
	m.events[e].Inc()
	switch e {
	case eventConnected:
		m.connected.Set(1)
	case eventDisconnected, eventExpired:
		m.connected.Set(0)
	}
}
