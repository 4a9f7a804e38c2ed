package api

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kraal-mq/kraal/jmx"
)

// idleness says how much time the handlers leave over, as Kafka's KafkaRequestHandlerPool does. kraal has no pool: any number of
// requests is handled at once. What it tells is how idle the num.io.threads threads would have been that Kafka has for the same work,
// which falls, as in Kafka, when the disks or the processors can not keep up. It is a collector.
type idleness struct {
	m       *metrics
	threads func() int

	mu      sync.Mutex
	rate    *jmx.Rate     // of what was worked
	counted time.Time     // when idle was brought up to date
	worked  time.Duration // until then
	idle    time.Duration // of one thread in the mean; never falls
}

var (
	idleShare = prometheus.NewDesc("kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent",
		"Share (0 to 1) of the time of num.io.threads threads that handling requests left over in the last minute.", nil, nil)
	idleTime = prometheus.NewDesc("kafka_server_kafkarequesthandlerpool_requesthandleravgidlepercent_count",
		"Nanoseconds that one of num.io.threads threads would have been idle.", nil, nil)
)

func newIdleness(m *metrics, threads func() int) *idleness {
	now := time.Now()
	return &idleness{m: m, threads: threads, rate: jmx.NewRate(0, now), counted: now}
}

// Describe implements [prometheus.Collector].
func (i *idleness) Describe(out chan<- *prometheus.Desc) {
	out <- idleShare
	out <- idleTime
}

// Collect implements [prometheus.Collector].
func (i *idleness) Collect(out chan<- prometheus.Metric) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now, worked, threads := time.Now(), time.Duration(i.m.worked.Load()), time.Duration(max(1, i.threads()))
	// More is done at once than there would have been threads for: then none would have been idle.
	i.idle += max(0, now.Sub(i.counted)-(worked-i.worked)/threads)
	i.counted, i.worked = now, worked
	busy := i.rate.PerSecond(worked.Seconds(), now) / float64(threads)
	out <- prometheus.MustNewConstMetric(idleShare, prometheus.GaugeValue, min(max(0, 1-busy), 1))
	out <- prometheus.MustNewConstMetric(idleTime, prometheus.CounterValue, float64(i.idle))
}
