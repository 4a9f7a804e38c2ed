package group

import (
	"errors"
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
