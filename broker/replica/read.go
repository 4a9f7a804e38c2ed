package replica

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Isolation is how far a reader may see.
type Isolation int8

const (
	// ReadUncommitted reads up to the high watermark.
	ReadUncommitted Isolation = 0
	// ReadCommitted reads up to the last stable offset.
	ReadCommitted Isolation = 1
)

// Replica ids of those who fetch without being a broker.
const (
	// Consumer is an ordinary client.
	Consumer meta.BrokerID = -1
	// Debugger may read a follower up to its log end (kafka-replica-verification).
	Debugger meta.BrokerID = -2
)

// FetchParams is what a fetch says for all its partitions.
type FetchParams struct {
	Replica      meta.BrokerID // who fetches: a broker id, Consumer or Debugger
	ReplicaEpoch meta.BrokerEpoch
	MaxWait      time.Duration
	MinBytes     int
	MaxBytes     int
	Isolation    Isolation
	// WholeBatch: the first partition with data gives at least one whole batch, whatever the limits (version 3 and later).
	WholeBatch bool
	// FromFollower: a consumer that may read from a follower (version 11 and later).
	FromFollower bool
	Rack         string // of the consumer; empty: unknown

	// Waited is set by who serves the fetch: for how long there was nothing to do but wait.
	Waited time.Duration

	// Of a watch's poll: when it began, and the clock that clean partitions go by.
	now   time.Time
	clock *pollClock
}

func (f *FetchParams) fromReplica() bool { return f.Replica >= 0 }

// enough is how many bytes end a wait.
func (f *FetchParams) enough() int { return min(f.MinBytes, f.MaxBytes) }

// FetchPartition is one partition of a fetch.
type FetchPartition struct {
	Partition          meta.TopicPartition
	TopicID            meta.TopicID // zero: the request names topics
	Offset             int64
	LogStart           int64 // the follower's; -1 from consumers
	MaxBytes           int
	CurrentLeaderEpoch meta.LeaderEpoch // meta.NoLeaderEpoch: not said
	LastFetchedEpoch   meta.LeaderEpoch // meta.NoLeaderEpoch: not said
}

// Fetched is what a fetch got of one partition. Whoever receives it releases Data.Slice once.
type Fetched struct {
	Err              error
	Data             storage.ReadInfo
	HasData          bool // Data.Slice must be released
	Reassigning      bool // the follower that fetches is being added
	HighWatermark    int64
	LastStableOffset int64
	LogStartOffset   int64
	Diverging        *Divergence // set: the follower's log does not fit, there are no data
	Aborted          []storage.AbortedTxn
	PreferredReplica meta.BrokerID // meta.NoBroker: read here
	// DownConversion is message.downconversion.enable of the topic.
	DownConversion bool

	end   int64 // how far the reader was allowed to see
	clean bool  // the follower has all there is, and is in the ISR
}

// isNews reports whether there is more to tell than records, so that nothing is waited for.
func (f *Fetched) isNews() bool {
	return f.Err != nil || f.Diverging != nil || f.PreferredReplica != meta.NoBroker
}

// Divergence is where a follower's log and the leader's part ways: the end of the leader's largest epoch that is not
// above the follower's (KIP-595).
type Divergence struct {
	Epoch     meta.LeaderEpoch
	EndOffset int64
}

// Bytes is the number of record bytes fetched.
func (f *Fetched) Bytes() int {
	if !f.HasData {
		return 0
	}
	return f.Data.Slice.Len
}

// Release gives back what the result holds open.
func (f *Fetched) Release() {
	if f.HasData {
		f.Data.Slice.Release()
		f.HasData = false
	}
}

// Fetch reads the partitions in order and waits, up to MaxWait, until there are MinBytes, an error, or something else to
// tell. Results are in the order of the partitions.
func (m *Manager) Fetch(ctx context.Context, params *FetchParams, parts []FetchPartition) []Fetched {
	results, enough := m.readAll(params, parts, true)
	if enough || params.MaxWait <= 0 || len(parts) == 0 {
		return results
	}
	l := m.newLongPoll(params, parts, results)
	ended := m.metrics.waits(waitingFetch)
	l.wait(ctx)
	params.Waited = ended()
	return l.results
}

func releaseAll(results []Fetched) {
	for i := range results {
		results[i].Release()
	}
}

// readAll reads once. Only the first reading of a request updates what the leader knows of the follower: leaving a wait is no fetch.
func (m *Manager) readAll(params *FetchParams, parts []FetchPartition, first bool) (results []Fetched, enough bool) {
	results = make([]Fetched, len(parts))
	left, total := params.MaxBytes, 0
	minOne := params.WholeBatch
	for i := range parts {
		r := &results[i]
		m.read(params, &parts[i], left, minOne, first, r)
		n := r.Bytes()
		if n > 0 {
			minOne = false
		}
		total += n
		left = max(0, left-n)
		enough = enough || r.isNews()
	}
	return results, enough || total >= params.enough()
}

func (m *Manager) read(params *FetchParams, f *FetchPartition, left int, minOne, first bool, r *Fetched) {
	p, err := m.partition(f.Partition)
	if err != nil {
		r.fail(err)
		return
	}
	m.readHosted(p, params, f, left, minOne, first, r)
}

func (m *Manager) readHosted(p *Partition, params *FetchParams, f *FetchPartition, left int, minOne, first bool, r *Fetched) {
	r.HighWatermark, r.LastStableOffset, r.LogStartOffset, r.PreferredReplica = -1, -1, -1, meta.NoBroker
	if err := p.read(params, f, left, minOne, first, r); err != nil {
		r.Release()
		r.fail(err)
	}
}

// fail makes an error of a result.
func (f *Fetched) fail(err error) {
	*f = Fetched{Err: err, HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1, PreferredReplica: meta.NoBroker}
}

// read serves one partition of a fetch. The order of the checks is Kafka's (ReplicaManager.readFromLog, Partition.fetchRecords).
func (p *Partition) read(params *FetchParams, f *FetchPartition, left int, minOne, first bool, r *Fetched) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.offlineLocked(); err != nil {
		return err
	}
	if !f.TopicID.IsZero() && !p.mu.topicID.IsZero() && f.TopicID != p.mu.topicID {
		return fmt.Errorf("%s: fetched as %s, is %s: %w", p.tp, f.TopicID, p.mu.topicID, ErrInconsistentTopicID)
	}
	if err := p.checkEpochLocked(f.CurrentLeaderEpoch); err != nil {
		return err
	}
	readFollower := params.Replica == Debugger || params.Replica == Consumer && params.FromFollower
	log, err := p.leaderLogLocked()
	if err != nil && params.fromReplica() && p.m.cfg.Backing > 0 {
		log, err = p.ledLogLocked() // who follows in this very epoch may go on: that settles the doubt
	}
	if err != nil && readFollower {
		log, err = p.logLocked()
	}
	if err != nil {
		return err
	}
	if params.fromReplica() && !p.isReplicaLocked(params.Replica) {
		// The follower is ahead of this leader, or behind; both errors make it try again.
		if f.CurrentLeaderEpoch != meta.NoLeaderEpoch {
			return fmt.Errorf("%s: broker %d is no replica: %w", p.tp, params.Replica, ErrUnknownLeaderEpoch)
		}
		return p.leaderErrorLocked(ErrNotLeader)
	}
	// What the reply says of the log is as of before the read, so that a reader never believes in more than it was offered.
	r.LogStartOffset, r.HighWatermark, r.LastStableOffset = log.LogStartOffset(), log.HighWatermark(), log.LastStableOffset()
	leo := log.LogEndOffset()
	if f.LastFetchedEpoch != meta.NoLeaderEpoch {
		if r.Diverging, err = divergence(log, f); err != nil {
			return err
		}
		if r.Diverging != nil {
			return nil
		}
	}
	if params.Replica == Consumer && p.mu.role == leading {
		r.PreferredReplica = p.preferredReplicaLocked(params, f.Offset)
		if r.PreferredReplica != meta.NoBroker {
			return nil
		}
	}
	upTo := r.HighWatermark
	switch {
	case params.fromReplica(), params.Replica == Debugger:
		upTo = leo
	case params.Isolation == ReadCommitted:
		upTo = r.LastStableOffset
	}
	r.end = upTo
	if !p.heldBackLocked(params) {
		if err := p.readLog(log, params, f, min(f.MaxBytes, left), upTo, minOne, r); err != nil {
			return err
		}
	}
	if params.fromReplica() && p.mu.role == leading {
		if first {
			p.followerFetchedLocked(params, f, leo)
		}
		if params.clock != nil && f.Offset >= leo && slices.Contains(p.mu.isr, params.Replica) {
			r.clean = p.attachClock(params.Replica, f, params.clock)
		}
	}
	return nil
}

func (p *Partition) readLog(log *storage.Log, params *FetchParams, f *FetchPartition, maxBytes int, upTo int64, minOne bool, r *Fetched) error {
	data, err := log.Read(f.Offset, max(0, maxBytes), upTo, minOne)
	if err != nil {
		return fmt.Errorf("fetch %s at %d: %w", p.tp, f.Offset, err)
	}
	r.Data, r.HasData, r.DownConversion = data, true, log.Config().MessageDownConversion
	r.Reassigning = params.fromReplica() && slices.Contains(p.mu.adding, params.Replica)
	if params.WholeBatch && !minOne && data.FirstBatchLength > data.Slice.Len {
		// A first batch that is cut is of no use to a reader that was promised whole ones.
		r.Release()
		r.Data = storage.ReadInfo{}
	}
	if params.Isolation == ReadCommitted && params.Replica == Consumer {
		r.Aborted = []storage.AbortedTxn{}
		if r.Bytes() > 0 {
			aborted, err := log.AbortedTxnsIn(f.Offset, data)
			if err != nil {
				return fmt.Errorf("fetch %s at %d: %w", p.tp, f.Offset, err)
			}
			r.Aborted = append(r.Aborted, aborted...) // empty is not the same as none
		}
	}
	return nil
}

// divergence compares the epoch of the last record a follower has with the leader's history (KIP-595's truncation on fetch).
func divergence(log *storage.Log, f *FetchPartition) (*Divergence, error) {
	epoch, end := log.EndOffsetForEpoch(f.LastFetchedEpoch)
	if end < 0 {
		return nil, &storage.OffsetError{Offset: f.Offset, Start: log.LogStartOffset(), End: log.LogEndOffset()}
	}
	if start := log.LogStartOffset(); f.Offset < start {
		return nil, &storage.OffsetError{Offset: f.Offset, Start: start, End: log.LogEndOffset()}
	}
	if epoch < f.LastFetchedEpoch || end < f.Offset {
		return &Divergence{Epoch: epoch, EndOffset: end}, nil
	}
	return nil, nil
}
