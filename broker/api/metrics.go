package api

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// metrics are the request and topic metrics, under the names the usual JMX exporter configuration gives Kafka's
// kafka.network:type=RequestMetrics and kafka.server:type=BrokerTopicMetrics.
type metrics struct {
	requests                       *prometheus.CounterVec
	total, local, send, size       *prometheus.SummaryVec
	messagesIn, bytesIn, bytesOut  *prometheus.CounterVec
	producesFailed, fetchesFailed  *prometheus.CounterVec
	produceRequests, fetchRequests *prometheus.CounterVec
	bytesRejected                  *prometheus.CounterVec

	byRequest sync.Map // requestKind to *requestMetrics: looked up once per request, so without label hashing
	byTopic   sync.Map // topic to *topicMetrics

	// known says whether there is such a topic. Requests name what they like; only topics get series.
	known   func(topic string) bool
	nowhere *topicMetrics // counts for names that are no topics, read by nobody
}

type requestKind struct{ key, version int16 }

// requestMetrics are one API version's.
type requestMetrics struct {
	requests                 prometheus.Counter
	total, local, send, size prometheus.Observer
}

// topicMetrics are one topic's.
type topicMetrics struct {
	messagesIn, bytesIn, bytesOut, producesFailed, fetchesFailed, produceRequests, fetchRequests, bytesRejected prometheus.Counter
}

var quantiles = map[float64]float64{0.5: 0.05, 0.75: 0.02, 0.95: 0.01, 0.98: 0.005, 0.99: 0.002, 0.999: 0.0005}

func newMetrics(r prometheus.Registerer, known func(topic string) bool) *metrics {
	request := func(name, help string) *prometheus.SummaryVec {
		return prometheus.NewSummaryVec(prometheus.SummaryOpts{Name: "kafka_network_requestmetrics_" + name, Help: help,
			Objectives: quantiles, MaxAge: time.Minute, AgeBuckets: 2, BufCap: 128}, []string{"request"})
	}
	topic := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kafka_server_brokertopicmetrics_" + name + "_total", Help: help}, []string{"topic"})
	}
	nowhere := prometheus.NewCounter(prometheus.CounterOpts{Name: "nowhere"})
	m := &metrics{
		known:   known,
		nowhere: &topicMetrics{nowhere, nowhere, nowhere, nowhere, nowhere, nowhere, nowhere, nowhere},
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kafka_network_requestmetrics_requests_total",
			Help: "Requests served."}, []string{"request", "version"}),
		total:           request("totaltimems", "Milliseconds from the request's last byte in to the response's last byte out."),
		local:           request("localtimems", "Milliseconds in the handler."),
		send:            request("responsesendtimems", "Milliseconds spent writing the response."),
		size:            request("requestbytes", "Size of requests."),
		messagesIn:      topic("messagesin", "Records appended by producers."),
		bytesIn:         topic("bytesin", "Bytes appended by producers."),
		bytesOut:        topic("bytesout", "Bytes sent to consumers."),
		bytesRejected:   topic("bytesrejected", "Bytes of records refused for their size."),
		producesFailed:  topic("failedproducerequests", "Produces refused, per partition."),
		fetchesFailed:   topic("failedfetchrequests", "Fetches refused, per partition."),
		produceRequests: topic("totalproducerequests", "Produces, per partition."),
		fetchRequests:   topic("totalfetchrequests", "Fetches, per partition."),
	}
	if r != nil {
		r.MustRegister(m.requests, m.total, m.local, m.send, m.size, m.messagesIn, m.bytesIn, m.bytesOut, m.bytesRejected,
			m.producesFailed, m.fetchesFailed, m.produceRequests, m.fetchRequests)
	}
	return m
}

func (m *metrics) request(key, version int16) *requestMetrics {
	kind := requestKind{key, version}
	if r, ok := m.byRequest.Load(kind); ok {
		return r.(*requestMetrics)
	}
	name := kmsg.NameForKey(key)
	r, _ := m.byRequest.LoadOrStore(kind, &requestMetrics{
		requests: m.requests.WithLabelValues(name, strconv.Itoa(int(version))),
		total:    m.total.WithLabelValues(name), local: m.local.WithLabelValues(name),
		send: m.send.WithLabelValues(name), size: m.size.WithLabelValues(name),
	})
	return r.(*requestMetrics)
}

func (r *requestMetrics) served(size int, start time.Time) {
	r.requests.Inc()
	r.size.Observe(float64(size))
	r.local.Observe(millis(time.Since(start)))
}

// sent returns what to call when the response is out.
func (r *requestMetrics) sent(received time.Time) func(int, time.Duration) {
	return func(_ int, took time.Duration) {
		r.send.Observe(millis(took))
		r.total.Observe(millis(time.Since(received)))
	}
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// topic returns where to count for a topic.
func (m *metrics) topic(name string) *topicMetrics {
	if t, ok := m.byTopic.Load(name); ok {
		return t.(*topicMetrics)
	}
	if !m.known(name) {
		return m.nowhere
	}
	t, _ := m.byTopic.LoadOrStore(name, &topicMetrics{
		messagesIn: m.messagesIn.WithLabelValues(name), bytesIn: m.bytesIn.WithLabelValues(name), bytesOut: m.bytesOut.WithLabelValues(name),
		bytesRejected: m.bytesRejected.WithLabelValues(name), producesFailed: m.producesFailed.WithLabelValues(name),
		fetchesFailed: m.fetchesFailed.WithLabelValues(name), produceRequests: m.produceRequests.WithLabelValues(name),
		fetchRequests: m.fetchRequests.WithLabelValues(name),
	})
	if !m.known(name) {
		m.forget(name) // deleted in this moment
		return m.nowhere
	}
	return t.(*topicMetrics)
}

// forget drops the series of topics that no longer exist.
func (m *metrics) forget(topic string) {
	if _, known := m.byTopic.LoadAndDelete(topic); !known {
		return
	}
	for _, v := range []*prometheus.CounterVec{m.messagesIn, m.bytesIn, m.bytesOut, m.bytesRejected, m.producesFailed, m.fetchesFailed, m.produceRequests, m.fetchRequests} {
		v.DeleteLabelValues(topic)
	}
}
