package replica

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// metrics counts what only events tell; gauges are counted over the partitions when somebody asks.
// Names are those the usual JMX exporter configuration gives Kafka's kafka.server:type=ReplicaManager beans.
type metrics struct {
	m *Manager

	shrinks, expands, replicatedBytes prometheus.Counter

	maxLag, failedFetches                                                             *prometheus.Desc
	partitions, leaders, offline, underReplicated, underMinISR, atMinISR, reassigning *prometheus.Desc
}

func newMetrics(m *Manager, r prometheus.Registerer) *metrics {
	const prefix = "kafka_server_replicamanager_"
	desc := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(prefix+name, help, nil, nil) }
	c := &metrics{
		m:       m,
		shrinks: prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "isrshrinks_total", Help: "ISRs that lost a member."}),
		expands: prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "isrexpands_total", Help: "ISRs that gained a member."}),
		replicatedBytes: prometheus.NewCounter(prometheus.CounterOpts{Name: "kafka_server_brokertopicmetrics_replicationbytesin_total",
			Help: "Bytes copied from leaders."}),
		maxLag: prometheus.NewDesc("kafka_server_replicafetchermanager_maxlag",
			"Offsets that the replica furthest behind its leader's high watermark lacks.", nil, nil),
		failedFetches: prometheus.NewDesc("kafka_server_replicafetchermanager_failedpartitionscount",
			"Replicas that are not copied because of an error, until their leader is named again.", nil, nil),
		partitions:      desc("partitioncount", "Replicas hosted."),
		leaders:         desc("leadercount", "Partitions led."),
		offline:         desc("offlinereplicacount", "Replicas in failed log directories."),
		underReplicated: desc("underreplicatedpartitions", "Partitions led whose ISR lacks a replica."),
		underMinISR:     desc("underminisrpartitioncount", "Partitions led whose ISR is below min.insync.replicas."),
		atMinISR:        desc("atminisrpartitioncount", "Partitions led whose ISR is at min.insync.replicas."),
		reassigning:     desc("reassigningpartitions", "Partitions led that are being reassigned."),
	}
	if r != nil {
		r.MustRegister(c)
	}
	return c
}

// Describe implements [prometheus.Collector].
func (c *metrics) Describe(out chan<- *prometheus.Desc) {
	c.shrinks.Describe(out)
	c.expands.Describe(out)
	c.replicatedBytes.Describe(out)
	out <- c.maxLag
	out <- c.failedFetches
	for _, d := range []*prometheus.Desc{c.partitions, c.leaders, c.offline, c.underReplicated, c.underMinISR, c.atMinISR, c.reassigning} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *metrics) Collect(out chan<- prometheus.Metric) {
	c.shrinks.Collect(out)
	c.expands.Collect(out)
	c.replicatedBytes.Collect(out)
	var maxLag int64
	n := map[*prometheus.Desc]int{}
	for _, p := range c.m.hosted() {
		n[c.partitions]++
		p.mu.RLock()
		if p.offlineLocked() != nil {
			n[c.offline]++
		} else if p.mu.role == leading {
			n[c.leaders]++
			minISR := effectiveMinISR(int(p.mu.log.Config().MinInSyncReplicas), len(p.mu.replicas))
			switch isr := len(p.mu.isr); {
			case isr < minISR:
				n[c.underMinISR]++
			case isr == minISR:
				n[c.atMinISR]++
			}
			if len(p.mu.adding)+len(p.mu.removing) > 0 {
				n[c.reassigning]++
			}
			if len(p.mu.isr) < len(p.mu.replicas)-len(p.mu.adding) {
				n[c.underReplicated]++
			}
		}
		if s := p.mu.fetch; s != nil {
			maxLag = max(maxLag, s.lag.Load())
			if s.failed.Load() {
				n[c.failedFetches]++
			}
		}
		p.mu.RUnlock()
	}
	out <- prometheus.MustNewConstMetric(c.maxLag, prometheus.GaugeValue, float64(maxLag))
	for _, d := range []*prometheus.Desc{c.failedFetches, c.partitions, c.leaders, c.offline, c.underReplicated, c.underMinISR, c.atMinISR, c.reassigning} {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n[d]))
	}
}

func (m *Manager) countISRChange(before, after int) {
	switch {
	case after < before:
		m.metrics.shrinks.Inc()
	case after > before:
		m.metrics.expands.Inc()
	}
}

// DescribedReplica is what DescribeLogDirs tells of one replica.
type DescribedReplica struct {
	Partition meta.TopicPartition
	Size      int64
	Lag       int64 // high watermark - log end, at least 0 is behind; -1 unknown
	Future    bool
}

// DescribeDir lists the replicas in a log directory; want is nil for all.
func (m *Manager) DescribeDir(dir string, want func(meta.TopicPartition) bool) []DescribedReplica {
	var out []DescribedReplica
	for log := range m.logs.Logs() {
		tp := log.TopicPartition()
		if log.Dir() == dir && (want == nil || want(tp)) {
			out = append(out, DescribedReplica{Partition: tp, Size: log.Size(), Lag: max(0, log.HighWatermark()-log.LogEndOffset())})
		}
	}
	for log := range m.logs.FutureLogs() {
		tp := log.TopicPartition()
		if log.Dir() != dir || want != nil && !want(tp) {
			continue
		}
		lag := int64(-1)
		if current, ok := m.logs.Log(tp); ok {
			lag = current.LogEndOffset() - log.LogEndOffset()
		}
		out = append(out, DescribedReplica{Partition: tp, Size: log.Size(), Lag: lag, Future: true})
	}
	slices.SortFunc(out, func(a, b DescribedReplica) int { return a.Partition.Compare(b.Partition) })
	return out
}
