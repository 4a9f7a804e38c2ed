package api

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/transport"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/jmx"
)

// metrics are those of requests, under the names the usual JMX exporter configuration gives Kafka's RequestMetrics. Kafka has
// queues between the threads of a request, kraal has none: a request is in the queue while those before it on its connection are
// served, and its response while theirs are waited for.
type metrics struct {
	requests *prometheus.CounterVec
	errors   *prometheus.CounterVec
	times    [requestTimes]*jmx.HistogramVec

	conversions *jmx.HistogramVec // of what needed conversion, unlike Kafka's, which counts every produce and fetch
	worked      atomic.Int64      // nanoseconds of all handlers together, waits excluded

	byKind sync.Map // requestKind to *requestMetrics: looked up once per request, so without label hashing
}

// requestTime is one of the parts a request's time has, or another of its distributions.
type requestTime int

const (
	queueTime requestTime = iota
	localTime
	remoteTime
	throttleTime
	responseQueueTime
	sendTime
	totalTime
	requestBytes
	requestTimes
)

var requestTimeSeries = [requestTimes]struct{ name, help string }{
	queueTime:         {"requestqueuetimems", "Milliseconds from the request's last byte in until its handler began."},
	localTime:         {"localtimems", "Milliseconds the handler worked."},
	remoteTime:        {"remotetimems", "Milliseconds spent waiting for followers, for records to fetch, or for others."},
	throttleTime:      {"throttletimems", "Milliseconds the client was throttled for."},
	responseQueueTime: {"responsequeuetimems", "Milliseconds the response waited for earlier ones of its connection."},
	sendTime:          {"responsesendtimems", "Milliseconds spent writing the response."},
	totalTime:         {"totaltimems", "Milliseconds from the request's last byte in to the response's last byte out."},
	requestBytes:      {"requestbytes", "Bytes of requests."},
}

func newMetrics(r prometheus.Registerer) *metrics {
	const prefix = "kafka_network_requestmetrics_"
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "requests_total", Help: "Requests served."},
			[]string{"request", "version"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "errors_total",
			Help: "Error codes in responses, one for each partition, topic or whatever else has one; NONE is success."}, []string{"request", "error"}),
		conversions: jmx.NewHistogramVec(prefix+"messageconversionstimems", "Milliseconds to convert records from or to another format.", "request"),
	}
	for _, request := range []string{"Fetch", "Produce"} {
		m.conversions.With(request)
	}
	all := []prometheus.Collector{m.requests, m.errors, m.conversions}
	for t, s := range requestTimeSeries {
		m.times[t] = jmx.NewHistogramVec(prefix+s.name, s.help, "request")
		all = append(all, m.times[t])
	}
	if r != nil {
		r.MustRegister(all...)
	}
	return m
}

// requestKind is what requests are told apart by. Fetches of followers and consumers are two kinds of one API, as in Kafka.
type requestKind struct {
	key, version int16
	follower     bool
}

// requestMetrics are one kind's. A fetch is also counted among all fetches.
type requestMetrics struct {
	requests prometheus.Counter
	times    [requestTimes]*jmx.Histogram
	errors   *errorMetrics
	also     *requestMetrics
}

// errorMetrics are the counters of one API's error codes, made when they are needed. All its responses are of one type.
type errorMetrics struct {
	layout atomic.Pointer[errorLayout]
	vec    *prometheus.CounterVec
	api    string
	byCode [256]atomic.Pointer[prometheus.Counter] // by code + 1
}

func (e *errorMetrics) add(code int16, n int) {
	i := int(code) + 1
	if i < 0 || i >= len(e.byCode) {
		return
	}
	c := e.byCode[i].Load()
	if c == nil {
		made := e.vec.WithLabelValues(e.api, wire.Code(code).Name())
		c = &made
		e.byCode[i].Store(c)
	}
	(*c).Add(float64(n))
}

func kindOf(r *transport.Request) requestKind {
	k := requestKind{key: r.Header.Key, version: r.Header.Version}
	if f, ok := r.Body.(*kmsg.FetchRequest); ok {
		k.follower = f.ReplicaID >= 0 || f.Version >= 15 && f.ReplicaState.ID >= 0
	}
	return k
}

func (m *metrics) request(r *transport.Request) *requestMetrics {
	kind := kindOf(r)
	if known, ok := m.byKind.Load(kind); ok {
		return known.(*requestMetrics)
	}
	name := kmsg.NameForKey(kind.key)
	of := m.named(name, kind.version)
	if kind.key == kmsg.Fetch.Int16() {
		part := m.named(map[bool]string{false: "FetchConsumer", true: "FetchFollower"}[kind.follower], kind.version)
		of.also = part
	}
	known, _ := m.byKind.LoadOrStore(kind, of)
	return known.(*requestMetrics)
}

func (m *metrics) named(name string, version int16) *requestMetrics {
	r := &requestMetrics{requests: m.requests.WithLabelValues(name, strconv.Itoa(int(version))), errors: &errorMetrics{vec: m.errors, api: name}}
	for t := range m.times {
		r.times[t] = m.times[t].With(name)
	}
	return r
}

func (r *requestMetrics) took(t requestTime, d time.Duration) {
	r.times[t].Took(d)
	if r.also != nil {
		r.also.times[t].Took(d)
	}
}

// journey is one request on its way through the broker.
type journey struct {
	all      *metrics
	m        *requestMetrics
	received time.Time
	ready    time.Time // when the response was there
}

// begin counts a request whose handler is about to begin.
func (m *metrics) begin(r *transport.Request, now time.Time) *journey {
	j := &journey{all: m, m: m.request(r), received: r.Received}
	for of := j.m; of != nil; of = of.also {
		of.requests.Inc()
		of.times[requestBytes].Observe(float64(r.Size))
	}
	j.m.took(queueTime, now.Sub(r.Received))
	return j
}

// served notes that the handler is done: how long it worked, and how much of the time until now it waited.
func (j *journey) served(began time.Time, waited time.Duration, reply *transport.Reply) {
	now := time.Now()
	worked := now.Sub(began) - waited
	j.m.took(localTime, worked)
	j.all.worked.Add(int64(worked))
	if reply.Wait == nil {
		j.answered(now, waited, reply)
	}
}

// answered notes the response, and sees to it that its sending is noted.
func (j *journey) answered(now time.Time, waited time.Duration, reply *transport.Reply) {
	j.ready = now
	j.m.took(remoteTime, waited)
	j.m.took(throttleTime, reply.Throttle)
	if reply.Body != nil {
		countErrors(reply.Body, j.m.errors)
	}
	reply.Done = j.sent
}

// sent is called when the response is out.
func (j *journey) sent(_ int, took time.Duration) {
	now := time.Now()
	j.m.took(responseQueueTime, now.Sub(j.ready)-took)
	j.m.took(sendTime, took)
	j.m.took(totalTime, now.Sub(j.received))
}
