package storage

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of the whole manager: none per log, of which there may be thousands.
type metrics struct {
	flushSeconds    prometheus.Histogram
	segmentsDeleted prometheus.Counter
	segmentsRolled  prometheus.Counter
	recovered       prometheus.Counter // segments
	cleanerPasses   prometheus.Counter
	cleanerBytes    *prometheus.CounterVec // direction
	cleanerFailures prometheus.Counter
	uncleanable     prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "kraal", Subsystem: "storage", Name: name, Help: help})
	}
	m := &metrics{
		flushSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "kraal", Subsystem: "storage", Name: "flush_seconds",
			Help: "Time to make the segments of one log durable.", Buckets: prometheus.ExponentialBuckets(0.0005, 4, 8)}),
		segmentsDeleted: counter("segments_deleted_total", "Segments removed by retention, truncation and compaction."),
		segmentsRolled:  counter("segments_rolled_total", "Segments begun."),
		recovered:       counter("segments_recovered_total", "Segments scanned and rebuilt when logs were opened."),
		cleanerPasses:   counter("cleaner_passes_total", "Compactions of one log finished."),
		cleanerBytes: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "kraal", Subsystem: "storage",
			Name: "cleaner_bytes_total", Help: "Bytes the cleaner read and wrote."}, []string{"direction"}),
		cleanerFailures: counter("cleaner_failures_total", "Compactions that failed."),
		uncleanable: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "kraal", Subsystem: "storage", Name: "uncleanable_partitions",
			Help: "Compacted partitions set aside after a failure, until the next start."}),
	}
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.flushSeconds, m.segmentsDeleted, m.segmentsRolled, m.recovered, m.cleanerPasses,
		m.cleanerBytes, m.cleanerFailures, m.uncleanable} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}
