package group

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kraal-mq/kraal/zkstore"
)

// TreeMetrics counts what is written to the tree.
type TreeMetrics struct {
	requests   *prometheus.CounterVec
	partitions prometheus.Counter
	gathered   prometheus.Histogram
	took       prometheus.Histogram
}

// NewTreeMetrics registers the metrics. A nil *TreeMetrics counts nothing.
func NewTreeMetrics(r prometheus.Registerer) *TreeMetrics {
	m := &TreeMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kraal_group_offset_requests_total",
			Help: "Gathered writes of offsets to ZooKeeper, by outcome: done, fenced, refused, unknown."}, []string{"outcome"}),
		partitions: prometheus.NewCounter(prometheus.CounterOpts{Name: "kraal_group_offset_partitions_total",
			Help: "Partitions whose offset was written to ZooKeeper."}),
		gathered: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "kraal_group_offset_gathered_partitions",
			Help: "Partitions in one write.", Buckets: prometheus.ExponentialBuckets(1, 2, 9)}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "kraal_group_offset_request_seconds",
			Help: "Time a write took.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}),
	}
	r.MustRegister(m.requests, m.partitions, m.gathered, m.took)
	return m
}

func (m *TreeMetrics) sent(partitions int, took time.Duration, err error) {
	if m == nil {
		return
	}
	outcome := "done"
	switch refused := (*zkstore.RefusedWrite)(nil); {
	case err == nil:
		m.partitions.Add(float64(partitions))
	case errors.Is(err, zkstore.ErrFenced):
		outcome = "fenced"
	case errors.As(err, &refused):
		outcome = "refused"
	default:
		outcome = "unknown"
	}
	m.requests.WithLabelValues(outcome).Inc()
	m.gathered.Observe(float64(partitions))
	m.took.Observe(took.Seconds())
}

// OffsetMetrics counts committed offsets, under the names that the usual JMX exporter configuration gives those of Kafka's
// GroupMetadataManager.
type OffsetMetrics struct {
	offsets                     atomic.Int64
	commits, expirations, ended prometheus.Counter
}

// NewOffsetMetrics registers the metrics. A nil *OffsetMetrics counts nothing.
func NewOffsetMetrics(r prometheus.Registerer) *OffsetMetrics {
	counter := func(what, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "kafka_server_group_coordinator_metrics_offset_" + what + "_count", Help: help})
	}
	m := &OffsetMetrics{
		commits:     counter("commit", "Offsets committed to groups coordinated here."),
		expirations: counter("expiration", "Offsets of groups coordinated here that outlived their retention."),
		ended:       counter("deletion", "Offsets of groups coordinated here that were deleted, by request or with their topic."),
	}
	r.MustRegister(m.commits, m.expirations, m.ended, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "kafka_coordinator_group_groupmetadatamanager_numoffsets", Help: "Committed offsets in memory."},
		func() float64 { return float64(m.offsets.Load()) }))
	return m
}

func (m *OffsetMetrics) held(n int64) {
	if m != nil {
		m.offsets.Add(n)
	}
}

func (m *OffsetMetrics) committed(n int) {
	if m != nil {
		m.commits.Add(float64(n))
	}
}

func (m *OffsetMetrics) expired(n int) {
	if m != nil {
		m.expirations.Add(float64(n))
	}
}

func (m *OffsetMetrics) deleted(n int) {
	if m != nil {
		m.ended.Add(float64(n))
	}
}
