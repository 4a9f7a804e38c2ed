package storage

import (
	"errors"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kraal-mq/kraal/jmx"
)

// metrics are those of logs, log directories and cleaner, under Kafka's names where it has them. What is told of each log is read
// off the logs when somebody scrapes: nothing is kept for them.
type metrics struct {
	flush           *jmx.Histogram
	segmentsDeleted prometheus.Counter
	segmentsRolled  prometheus.Counter
	recovered       prometheus.Counter // segments
	refused         prometheus.Counter // writes
	cleanerPasses   prometheus.Counter
	cleanerBytes    *prometheus.CounterVec // direction
	cleanerIO       prometheus.Counter
	cleanerFailures prometheus.Counter

	// cleaner is set once the logs are loaded; before, there is nothing to tell of them.
	cleaner atomic.Pointer[cleaner]
	last    lastClean
	aside   atomic.Pointer[map[*logDir]aside]
}

// aside is how much of a directory compaction has given up.
type aside struct{ partitions, bytes float64 }

// lastClean is what the cleaner's gauges tell: of its last look at the logs, and of its last pass.
type lastClean struct {
	lookedMs                       atomic.Int64
	dirtyPercent                   atomic.Int64
	compactionDelayMs              atomic.Int64
	tookMs                         atomic.Int64
	recopiedPercent, bufferPercent atomic.Int64
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "kraal", Subsystem: "storage", Name: name, Help: help})
	}
	m := &metrics{
		flush:           jmx.NewHistogram("kafka_log_logflushstats_logflushrateandtimems", "Milliseconds to make one segment durable."),
		segmentsDeleted: counter("segments_deleted_total", "Segments removed by retention, truncation and compaction."),
		segmentsRolled:  counter("segments_rolled_total", "Segments begun."),
		recovered:       counter("segments_recovered_total", "Segments scanned and rebuilt when logs were opened."),
		refused:         counter("writes_refused_total", "Writes for which a log directory had no room."),
		cleanerPasses:   counter("cleaner_passes_total", "Compactions of one log finished."),
		cleanerBytes: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "kraal", Subsystem: "storage",
			Name: "cleaner_bytes_total", Help: "Bytes the cleaner read and wrote."}, []string{"direction"}),
		cleanerIO: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kafka_utils_throttler_cleaner_io_count", Help: "Bytes the cleaner read and wrote, which log.cleaner.io.max.bytes.per.second bounds.",
		}),
		cleanerFailures: counter("cleaner_failures_total", "Compactions that failed."),
	}
	if reg == nil {
		return m, nil
	}
	all := []prometheus.Collector{m.flush, m.segmentsDeleted, m.segmentsRolled, m.recovered, m.cleanerPasses, m.cleanerBytes, m.cleanerIO, m.cleanerFailures}
	var errs []error
	for _, c := range append(append(all, m.gauges()...), m.tables()...) {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) gauges() []prometheus.Collector {
	var all []prometheus.Collector
	gauge := func(name, help string, value func(*cleaner) float64) {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			if c := m.cleaner.Load(); c != nil {
				return value(c)
			}
			return 0
		}))
	}
	last := func(name, help string, unit float64, of *atomic.Int64) {
		gauge(name, help, func(*cleaner) float64 { return float64(of.Load()) / unit })
	}
	gauge("kafka_log_logmanager_offlinelogdirectorycount", "Log directories that failed and are not used until the next start.",
		func(c *cleaner) float64 { return float64(len(c.m.dirs) - len(c.m.LiveDirs())) })
	gauge("kraal_storage_open_files", "Files held open for logs.", func(c *cleaner) float64 { return float64(c.m.env.openFiles.Load()) })
	gauge("kafka_log_logcleaner_deadthreadcount", "Always 0: a compaction that panics sets its partition aside, see uncleanable partitions.",
		func(*cleaner) float64 { return 0 })
	gauge("kafka_log_logcleanermanager_time_since_last_run_ms", "Milliseconds since the cleaner last looked for something to do.", func(c *cleaner) float64 {
		if looked := m.last.lookedMs.Load(); looked > 0 {
			return float64(c.m.env.nowMs() - looked)
		}
		return 0
	})
	last("kafka_log_logcleanermanager_max_dirty_percent", "Dirty bytes in the dirtiest log when the cleaner last looked, of a hundred.", 1, &m.last.dirtyPercent)
	last("kafka_log_logcleaner_max_compaction_delay_secs", "Seconds by which the log that waits longest exceeded max.compaction.lag.ms when the cleaner last looked.",
		1000, &m.last.compactionDelayMs)
	last("kafka_log_logcleaner_max_clean_time_secs", "Seconds the last compaction took.", 1000, &m.last.tookMs)
	last("kafka_log_logcleaner_cleaner_recopy_percent", "Bytes that the last compaction wrote again, of a hundred it read.", 1, &m.last.recopiedPercent)
	last("kafka_log_logcleaner_max_buffer_utilization_percent", "Places of the deduplication buffer that the last compaction used, of a hundred.", 1, &m.last.bufferPercent)
	return all
}

func (m *metrics) tables() []prometheus.Collector {
	return []prometheus.Collector{
		jmx.NewTable([]string{"topic", "partition"}, []jmx.Column{
			{Name: "kafka_log_log_size", Help: "Bytes of the replica's segments."},
			{Name: "kafka_log_log_logstartoffset", Help: "First offset a reader may ask for."},
			{Name: "kafka_log_log_logendoffset", Help: "Offset the next record gets."},
			{Name: "kafka_log_log_numlogsegments", Help: "Segments of the replica."},
		}, m.eachLog),
		jmx.NewTable([]string{"logDirectory"}, []jmx.Column{
			{Name: "kafka_log_logmanager_logdirectoryoffline", Help: "1 if the log directory failed and is not used until the next start."},
			{Name: "kafka_log_logcleanermanager_uncleanable_partitions_count", Help: "Compacted partitions set aside because compaction failed."},
			{Name: "kafka_log_logcleanermanager_uncleanable_bytes", Help: "Bytes of uncleanable partitions that compaction would have to look at."},
		}, m.eachDir),
	}
}

func (m *metrics) eachLog(yield func([]string, []float64) bool) {
	c := m.cleaner.Load()
	if c == nil {
		return
	}
	for l := range c.m.Logs() {
		if l.Err() == nil && !yield([]string{l.tp.Topic, strconv.Itoa(int(l.tp.Partition))},
			[]float64{float64(l.Size()), float64(l.LogStartOffset()), float64(l.LogEndOffset()), float64(l.Segments())}) {
			return
		}
	}
}

func (m *metrics) eachDir(yield func([]string, []float64) bool) {
	c := m.cleaner.Load()
	if c == nil {
		return
	}
	aside := c.uncleanable()
	for _, d := range c.m.dirs {
		offline := 0.0
		if d.err() != nil {
			offline = 1
		}
		if !yield([]string{d.path}, []float64{offline, aside[&d.logDir].partitions, aside[&d.logDir].bytes}) {
			return
		}
	}
}

// uncleanable tells of the partitions set aside, by directory. While the cleaner writes a checkpoint, which may take long on a
// disk that is failing, it is what was known before.
func (c *cleaner) uncleanable() map[*logDir]aside {
	last := &c.m.env.metrics.aside
	if !c.mu.TryLock() {
		if known := last.Load(); known != nil {
			return *known
		}
		return nil
	}
	defer c.mu.Unlock()
	all := map[*logDir]aside{}
	for l := range c.mu.aside {
		a := all[l.place.dir]
		a.partitions++
		first := c.mu.points[c.m.dirOf(l)][l.tp]
		segs := *l.segments.Load()
		for i, s := range segs[:len(segs)-1] {
			if segs[i+1].base > first {
				a.bytes += float64(s.size.Load())
			}
		}
		all[l.place.dir] = a
	}
	last.Store(&all)
	return all
}

// looked notes what the cleaner saw in its round over the logs.
func (m *metrics) looked(nowMs int64, ratio float64, delayMs int64) {
	m.last.lookedMs.Store(nowMs)
	m.last.dirtyPercent.Store(int64(math.Round(100 * ratio)))
	m.last.compactionDelayMs.Store(delayMs)
}

// compacted notes how a pass went that finished.
func (m *metrics) compacted(p *cleanPass, took time.Duration) {
	m.cleanerPasses.Inc()
	m.last.tookMs.Store(took.Milliseconds())
	m.last.recopiedPercent.Store(100 * p.stats.wroteBytes / max(p.stats.readBytes, 1))
	m.last.bufferPercent.Store(100 * int64(p.offsets.used) / max(p.cleaner.DedupeBufferBytes/p.threads/offsetSlotSize, 1))
}
