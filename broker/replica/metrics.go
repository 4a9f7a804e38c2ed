package replica

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kraal-mq/kraal/jmx"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// metrics counts what only events tell; gauges are counted over the partitions when somebody asks. Names are those the usual JMX
// exporter configuration gives Kafka's ReplicaManager, Partition, ReplicaFetcherManager and DelayedOperationPurgatory.
type metrics struct {
	m      *Manager
	topics *topicMetrics

	shrinks, expands, failedISR prometheus.Counter
	expired                     *prometheus.CounterVec // fetches, by who waited

	waiting [waitKinds]atomic.Int64 // requests at present

	counts [gaugeCount]*prometheus.Desc

	// producers is how many each replica knew when it was last counted: a log that is being written to is not waited for.
	producers struct {
		sync.Mutex
		known map[*Partition]int
	}
}

// waitKind is what a waiting request waits in; the names are those of Kafka's purgatories.
type waitKind int

const (
	waitingProduce waitKind = iota
	waitingFetch
	waitingDeleteRecords
	waitKinds
)

var waitNames = [waitKinds]string{"Produce", "Fetch", "DeleteRecords"}

// gauge is something counted over all partitions.
type gauge int

const (
	partitionCount gauge = iota
	leaderCount
	offlineCount
	underReplicatedCount
	underMinISRCount
	atMinISRCount
	reassigningCount
	producerIDCount
	lateTxnCount
	failedFetchCount
	fetchMaxLag
	failedMoveCount
	moveMaxLag
	gaugeCount
)

var gaugeSeries = [gaugeCount]struct{ name, help string }{
	partitionCount:       {"replicamanager_partitioncount", "Replicas hosted."},
	leaderCount:          {"replicamanager_leadercount", "Partitions led."},
	offlineCount:         {"replicamanager_offlinereplicacount", "Replicas in failed log directories."},
	underReplicatedCount: {"replicamanager_underreplicatedpartitions", "Partitions led whose ISR lacks a replica."},
	underMinISRCount:     {"replicamanager_underminisrpartitioncount", "Partitions led whose ISR is below min.insync.replicas: producers with acks=all are refused."},
	atMinISRCount:        {"replicamanager_atminisrpartitioncount", "Partitions led whose ISR is at min.insync.replicas."},
	reassigningCount:     {"replicamanager_reassigningpartitions", "Partitions led that are being reassigned."},
	producerIDCount:      {"replicamanager_produceridcount", "Idempotent and transactional producers that the replicas hosted know, each counted for each partition."},
	lateTxnCount: {"replicamanager_partitionswithlatetransactionscount",
		"Replicas with a transaction that has been open for longer than any may: its last stable offset hangs."},
	failedFetchCount: {"replicafetchermanager_failedpartitionscount", "Replicas that are not copied because of an error, until their leader is named again."},
	failedMoveCount:  {"replicaalterlogdirsmanager_failedpartitionscount", "Replicas that are not moved any further because of an error, until their leader is named again."},
	moveMaxLag:       {"replicaalterlogdirsmanager_maxlag", "Offsets that are still to be copied of the replica being moved that lacks most."},
	fetchMaxLag:      {"replicafetchermanager_maxlag", "Offsets that the replica furthest behind its leader's high watermark lacks."},
}

func newMetrics(m *Manager, r prometheus.Registerer) *metrics {
	const prefix = "kafka_server_replicamanager_"
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + name, Help: help})
	}
	c := &metrics{
		m: m, topics: newTopicMetrics(m, r),
		shrinks:   counter("isrshrinks_total", "ISRs that lost a member."),
		expands:   counter("isrexpands_total", "ISRs that gained a member."),
		failedISR: counter("failedisrupdates_total", "ISR changes that the controller refused."),
		expired: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kafka_server_delayedfetchmetrics_expires_total",
			Help: "Fetches that waited in vain for enough bytes."}, []string{"fetcherType"}),
	}
	for g, s := range gaugeSeries {
		var fetcher prometheus.Labels
		switch {
		case gauge(g) >= failedMoveCount:
			fetcher = prometheus.Labels{"clientId": "ReplicaAlterLogDirs"}
		case gauge(g) >= failedFetchCount:
			fetcher = prometheus.Labels{"clientId": "Replica"}
		}
		c.counts[g] = prometheus.NewDesc("kafka_server_"+s.name, s.help, nil, fetcher)
	}
	for _, who := range []string{"consumer", "follower"} {
		c.expired.WithLabelValues(who)
	}
	if r != nil {
		r.MustRegister(append(c.tables(), c, c.shrinks, c.expands, c.failedISR, c.expired)...)
	}
	return c
}

func (c *metrics) tables() []prometheus.Collector {
	const waitHelp = "Requests waiting for records, followers or the high watermark."
	return []prometheus.Collector{
		jmx.NewTable([]string{"topic", "partition"}, []jmx.Column{
			{Name: "kafka_cluster_partition_underreplicated", Help: "1 if the broker leads the partition and the ISR lacks a replica."},
			{Name: "kafka_cluster_partition_underminisr", Help: "1 if the broker leads the partition and the ISR is below min.insync.replicas."},
			{Name: "kafka_cluster_partition_atminisr", Help: "1 if the broker leads the partition and the ISR is at min.insync.replicas."},
			{Name: "kafka_cluster_partition_insyncreplicascount", Help: "Size of the ISR, 0 on followers."},
			{Name: "kafka_cluster_partition_replicascount", Help: "Replicas that the partition is to have, 0 on followers."},
			{Name: "kafka_cluster_partition_laststableoffsetlag", Help: "Offsets between the last stable offset and the high watermark."},
		}, c.eachPartition),
		jmx.NewTable([]string{"clientId", "topic", "partition"}, []jmx.Column{
			{Name: "kafka_server_fetcherlagmetrics_consumerlag", Help: "Offsets that the replica lacks of its leader's high watermark, -1 as long as that is unknown."},
		}, c.eachFollowed),
		jmx.NewTable([]string{"delayedOperation"}, []jmx.Column{
			{Name: "kafka_server_delayedoperationpurgatory_purgatorysize", Help: waitHelp},
			{Name: "kafka_server_delayedoperationpurgatory_numdelayedoperations", Help: waitHelp},
		}, c.eachWait),
		jmx.NewTable([]string{"clientId"}, []jmx.Column{
			{Name: "kafka_server_replicafetchermanager_minfetchrate", Help: "Fetches per second of the slowest fetcher in the last minute, 0 without any."},
			{Name: "kafka_server_replicafetchermanager_deadthreadcount", Help: "Always 0: a fetcher ends only when there is nothing left to copy."},
		}, c.fetching),
		(*fetcherCounts)(c),
	}
}

func (c *metrics) fetching(yield func([]string, []float64) bool) {
	slowest := 0.0
	for i, f := range c.m.fetchers.list() {
		if rate := f.rate.PerSecond(float64(f.requests.Load()), c.m.clock()); i == 0 || rate < slowest {
			slowest = rate
		}
	}
	yield([]string{"Replica"}, []float64{slowest, 0})
}

// Describe implements [prometheus.Collector].
func (c *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.counts {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *metrics) Collect(out chan<- prometheus.Metric) {
	var n [gaugeCount]int64
	all := c.m.hosted()
	for _, p := range all {
		p.count(&n)
	}
	c.countProducers(all, &n)
	for g, d := range c.counts {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n[g]))
	}
}

func (c *metrics) countProducers(all []*Partition, n *[gaugeCount]int64) {
	c.producers.Lock()
	defer c.producers.Unlock()
	known := make(map[*Partition]int, len(c.producers.known))
	for _, p := range all {
		p.mu.RLock()
		log := p.mu.log
		p.mu.RUnlock()
		if log == nil || log.Err() != nil {
			continue
		}
		producers, oldestTxn, ok := log.Producers()
		if !ok {
			producers = c.producers.known[p]
		}
		if producers > 0 {
			known[p] = producers
			n[producerIDCount] += int64(producers)
		}
		if limit := c.m.cfg.LateTransaction; ok && limit > 0 && oldestTxn > 0 && oldestTxn < c.m.clock().Add(-limit).UnixMilli() {
			n[lateTxnCount]++
		}
	}
	c.producers.known = known
}

func (p *Partition) count(n *[gaugeCount]int64) {
	n[partitionCount]++
	p.mu.RLock()
	defer p.mu.RUnlock()
	if s := p.mu.fetch; s != nil {
		n[fetchMaxLag] = max(n[fetchMaxLag], s.lag.Load())
		if s.failed.Load() {
			n[failedFetchCount]++
		}
	}
	if mv := p.mu.move; mv != nil {
		n[moveMaxLag] = max(n[moveMaxLag], mv.lag.Load())
		if mv.failed.Load() {
			n[failedMoveCount]++
		}
	}
	if p.offlineLocked() != nil {
		n[offlineCount]++
		return
	}
	if p.mu.role != leading {
		return
	}
	n[leaderCount]++
	if len(p.mu.adding)+len(p.mu.removing) > 0 {
		n[reassigningCount]++
	}
	under, below, at := p.shortageLocked()
	n[underReplicatedCount] += under
	n[underMinISRCount] += below
	n[atMinISRCount] += at
}

// shortageLocked says, each as 0 or 1, whether the ISR of a partition led here lacks a replica, is below min.insync.replicas, is
// just there; mu is held.
func (p *Partition) shortageLocked() (under, belowMin, atMin int64) {
	if len(p.mu.isr) < p.replicationFactorLocked() {
		under = 1
	}
	minISR := effectiveMinISR(int(p.mu.log.Config().MinInSyncReplicas), len(p.mu.replicas))
	switch isr := len(p.mu.isr); {
	case isr < minISR:
		belowMin = 1
	case isr == minISR:
		atMin = 1
	}
	return under, belowMin, atMin
}

// replicationFactorLocked does not count replicas that a reassignment is only adding; mu is held.
func (p *Partition) replicationFactorLocked() int { return len(p.mu.replicas) - len(p.mu.adding) }

func (c *metrics) eachPartition(yield func([]string, []float64) bool) {
	for _, p := range c.m.hosted() {
		var under, below, at, isr, replicas, lsoLag int64
		p.mu.RLock()
		if p.mu.role == leading && p.offlineLocked() == nil {
			under, below, at = p.shortageLocked()
			isr, replicas = int64(len(p.mu.isr)), int64(p.replicationFactorLocked())
		}
		if p.mu.log != nil {
			lsoLag = max(0, p.mu.log.HighWatermark()-p.mu.log.LastStableOffset())
		}
		p.mu.RUnlock()
		if !yield([]string{p.tp.Topic, strconv.Itoa(int(p.tp.Partition))},
			[]float64{float64(under), float64(below), float64(at), float64(isr), float64(replicas), float64(lsoLag)}) {
			return
		}
	}
}

func (c *metrics) eachFollowed(yield func([]string, []float64) bool) {
	perSource := c.m.fetchers.number()
	for _, p := range c.m.hosted() {
		p.mu.RLock()
		s := p.mu.fetch
		p.mu.RUnlock()
		if s == nil {
			continue
		}
		client := fetcherClient(fetcherKey{s.source, fetcherNumber(p.tp, perSource)})
		if !yield([]string{client, p.tp.Topic, strconv.Itoa(int(p.tp.Partition))}, []float64{float64(s.lag.Load())}) {
			return
		}
	}
}

// fetcherClient is what Kafka calls the thread that would do a fetcher's work.
func fetcherClient(k fetcherKey) string {
	return "ReplicaFetcherThread-" + strconv.Itoa(k.number) + "-" + strconv.Itoa(int(k.source))
}

func (c *metrics) eachWait(yield func([]string, []float64) bool) {
	for kind, name := range waitNames {
		n := float64(c.waiting[kind].Load())
		if !yield([]string{name}, []float64{n, n}) {
			return
		}
	}
}

// waits notes that a request waits, and returns what to call when it does no longer, to know for how long it did.
func (c *metrics) waits(kind waitKind) (ended func() time.Duration) {
	began := time.Now()
	c.waiting[kind].Add(1)
	return func() time.Duration {
		c.waiting[kind].Add(-1)
		return time.Since(began)
	}
}

// fetchExpired counts a fetch that waited for as long as it wanted to.
func (c *metrics) fetchExpired(replica meta.BrokerID) {
	who := "consumer"
	if replica >= 0 {
		who = "follower"
	}
	c.expired.WithLabelValues(who).Inc()
}

// fetcherCounts is a collector of what fetchers count for themselves.
type fetcherCounts metrics

var (
	fetcherRequests = prometheus.NewDesc("kafka_server_fetcherstats_requests_total", "Fetches sent to a leader.", []string{"clientId"}, nil)
	fetcherBytes    = prometheus.NewDesc("kafka_server_fetcherstats_bytes_total", "Bytes copied from a leader.", []string{"clientId"}, nil)
)

// Describe implements [prometheus.Collector].
func (c *fetcherCounts) Describe(out chan<- *prometheus.Desc) {
	out <- fetcherRequests
	out <- fetcherBytes
}

// Collect implements [prometheus.Collector].
func (c *fetcherCounts) Collect(out chan<- prometheus.Metric) {
	for _, f := range c.m.fetchers.list() {
		client := fetcherClient(f.key)
		out <- prometheus.MustNewConstMetric(fetcherRequests, prometheus.CounterValue, float64(f.requests.Load()), client)
		out <- prometheus.MustNewConstMetric(fetcherBytes, prometheus.CounterValue, float64(f.copied.Load()), client)
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
