package replica

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage"
)

// TopicCount is something that is counted for each topic and for all of them together, like Kafka's BrokerTopicMetrics.
type TopicCount int

// What is counted. A refusal that a client can expect (wrong leader, too large, unknown topic) is no failure.
const (
	MessagesIn TopicCount = iota
	BytesIn
	BytesOut
	BytesRejected
	ProduceRequests
	FetchRequests
	ProducesFailed
	FetchesFailed
	ProduceConversions
	FetchConversions
	CorruptRecords
	// From here on only for all topics together.
	InvalidMagicRecords
	InvalidOffsetRecords
	NoKeyRecords
	ReplicationBytesIn
	ReplicationBytesOut
	ReassignmentBytesIn
	ReassignmentBytesOut
	topicCounts
)

var topicSeries = [topicCounts]struct{ name, help string }{
	MessagesIn:           {"messagesin", "Records appended by producers."},
	BytesIn:              {"bytesin", "Bytes appended by producers."},
	BytesOut:             {"bytesout", "Bytes sent to consumers."},
	BytesRejected:        {"bytesrejected", "Bytes of records refused because they were too large."},
	ProduceRequests:      {"totalproducerequests", "Produces, counted for each partition."},
	FetchRequests:        {"totalfetchrequests", "Fetches, those of followers included, counted for each partition."},
	ProducesFailed:       {"failedproducerequests", "Produces that failed for other reasons than a client has to expect, counted for each partition."},
	FetchesFailed:        {"failedfetchrequests", "Fetches that failed for other reasons than a client has to expect, counted for each partition."},
	ProduceConversions:   {"producemessageconversions", "Records converted to the topic's format or codec when they were produced."},
	FetchConversions:     {"fetchmessageconversions", "Records converted to an older format for the consumer that fetched them."},
	CorruptRecords:       {"invalidmessagecrcrecords", "Batches refused for their checksum."},
	InvalidMagicRecords:  {"invalidmagicnumberrecords", "Batches, or records of one, refused because their message formats do not go together."},
	InvalidOffsetRecords: {"invalidoffsetorsequencerecords", "Batches refused because record count, offsets and sequence do not go together."},
	NoKeyRecords:         {"nokeycompactedtopicrecords", "Records without a key refused by compacted topics."},
	ReplicationBytesIn:   {"replicationbytesin", "Bytes copied from leaders."},
	ReplicationBytesOut:  {"replicationbytesout", "Bytes sent to followers."},
	ReassignmentBytesIn:  {"reassignmentbytesin", "Bytes copied from leaders into replicas being added."},
	ReassignmentBytesOut: {"reassignmentbytesout", "Bytes sent to followers being added."},
}

// TopicMetrics are the counts of one topic, or the totals. Safe for concurrent use.
type TopicMetrics struct {
	totals *TopicMetrics // nil: these are they
	n      [topicCounts]atomic.Int64
}

// Count adds n, to the topic's count and the total.
func (t *TopicMetrics) Count(c TopicCount, n int) {
	if t.totals != nil {
		t.n[c].Add(int64(n))
		t = t.totals
	}
	t.n[c].Add(int64(n))
}

// topicMetrics holds the counts of all topics. It is a collector that says nothing of itself beforehand, because its series come
// both with and without a topic, which a described one's may not.
type topicMetrics struct {
	m       *Manager
	totals  TopicMetrics
	topics  sync.Map // name to *TopicMetrics
	all, of [topicCounts]*prometheus.Desc
}

func newTopicMetrics(m *Manager, r prometheus.Registerer) *topicMetrics {
	t := &topicMetrics{m: m}
	for c, s := range topicSeries {
		name := "kafka_server_brokertopicmetrics_" + s.name + "_total"
		t.all[c] = prometheus.NewDesc(name, s.help, nil, nil)
		t.of[c] = prometheus.NewDesc(name, s.help, []string{"topic"}, nil)
	}
	if r != nil {
		r.MustRegister(t)
	}
	return t
}

// Describe implements [prometheus.Collector].
func (t *topicMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector]. Topics that no longer exist are forgotten here.
func (t *topicMetrics) Collect(out chan<- prometheus.Metric) {
	for c := range t.all {
		out <- prometheus.MustNewConstMetric(t.all[c], prometheus.CounterValue, float64(t.totals.n[c].Load()))
	}
	hosted := map[string]bool{}
	for _, p := range t.m.hosted() {
		hosted[p.tp.Topic] = true
	}
	for name, counts := range t.topics.Range {
		topic, of := name.(string), counts.(*TopicMetrics)
		if !hosted[topic] && t.m.metadata.Load().Topic(topic) == nil {
			t.topics.Delete(topic)
			continue
		}
		for c := range InvalidMagicRecords {
			if n := of.n[c].Load(); n > 0 {
				out <- prometheus.MustNewConstMetric(t.of[c], prometheus.CounterValue, float64(n), topic)
			}
		}
	}
}

// topic returns a topic's counts; for a topic that does not exist only the totals, since anybody can make up names.
func (t *topicMetrics) topic(name string) *TopicMetrics {
	if known, ok := t.topics.Load(name); ok {
		return known.(*TopicMetrics)
	}
	if t.m.metadata.Load().Topic(name) == nil {
		return &t.totals
	}
	counts, _ := t.topics.LoadOrStore(name, &TopicMetrics{totals: &t.totals})
	return counts.(*TopicMetrics)
}

// TopicMetrics returns the counts of a topic.
func (m *Manager) TopicMetrics(topic string) *TopicMetrics { return m.metrics.topics.topic(topic) }

// countAppend counts what became of an append.
func (t *TopicMetrics) countAppend(r *AppendRequest, a *Appended) {
	t.Count(ProduceRequests, 1)
	switch {
	case a.Err == nil && !a.Duplicate:
		t.Count(MessagesIn, a.Records)
		t.Count(BytesIn, a.Bytes)
	case errors.Is(a.Err, record.ErrMessageTooLarge), errors.Is(a.Err, storage.ErrRecordListTooLarge):
		t.Count(BytesRejected, len(r.Records))
	case errors.Is(a.Err, record.ErrCorrupt):
		t.Count(CorruptRecords, 1)
	case a.Stored && !errors.Is(a.Err, storage.ErrDirOffline) && !errors.Is(a.Err, storage.ErrDiskFull):
		t.Count(ProducesFailed, 1)
		t.countInvalid(a.Err)
	}
}

// countInvalid counts what Kafka tells apart among invalid records (LogValidator.java).
func (t *TopicMetrics) countInvalid(err error) {
	if t.totals != nil {
		t = t.totals
	}
	for kind, c := range map[error]TopicCount{record.ErrInvalidMagic: InvalidMagicRecords, record.ErrInvalidOffset: InvalidOffsetRecords,
		record.ErrNoKey: NoKeyRecords} {
		if rejected := (*record.InvalidRecordsError)(nil); errors.As(err, &rejected) {
			t.Count(c, rejected.ByKind[kind])
		} else if errors.Is(err, kind) {
			t.Count(c, 1)
		}
	}
}

// countCopied counts what was appended as a follower; adding is whether this replica is being added by a reassignment.
func (t *topicMetrics) countCopied(bytes int, adding bool) {
	t.totals.Count(ReplicationBytesIn, bytes)
	if adding {
		t.totals.Count(ReassignmentBytesIn, bytes)
	}
}

// CountSent counts records that a response took along.
func (t *TopicMetrics) CountSent(f *Fetched, bytes int, toFollower bool) {
	switch {
	case !toFollower:
		t.Count(BytesOut, bytes)
	case t.totals != nil:
		t.totals.CountSent(f, bytes, toFollower)
	default:
		t.Count(ReplicationBytesOut, bytes)
		if f.Reassigning {
			t.Count(ReassignmentBytesOut, bytes)
		}
	}
}
