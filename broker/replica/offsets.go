package replica

import (
	"fmt"
	"time"

	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Special timestamps of a ListOffsets.
const (
	Latest        int64 = -1 // the end a reader may see
	Earliest      int64 = -2 // the log start offset
	MaxTimestamp  int64 = -3 // the record with the largest timestamp (KIP-734)
	EarliestLocal int64 = -4 // as Earliest: there is no tiered storage here (KIP-405)
	LatestTiered  int64 = -5 // nothing is tiered (KIP-1005)
)

// OffsetQuery is one partition of a ListOffsets.
type OffsetQuery struct {
	Partition          meta.TopicPartition
	Timestamp          int64 // a special one, or the first record not older than this
	CurrentLeaderEpoch meta.LeaderEpoch
	Replica            meta.BrokerID // who asks: a broker id, Consumer or Debugger
	Isolation          Isolation
	// Asked is when the question was taken up; zero: now.
	Asked time.Time
}

// NoOffset is the answer of a query that found nothing.
var NoOffset = storage.TimestampOffset{Timestamp: -1, Offset: -1, LeaderEpoch: meta.NoLeaderEpoch}

// LookupOffset answers a ListOffsets query (version 1 and later). The end that a consumer is told is not behind one that another
// broker has told of before; a leader in doubt may have to wait until it knows that, see [Partition.confirm].
func (m *Manager) LookupOffset(q OffsetQuery) (storage.TimestampOffset, error) {
	p, err := m.partition(q.Partition)
	if err != nil {
		return NoOffset, err
	}
	if q.Asked.IsZero() {
		q.Asked = m.clock()
	}
	p.mu.RLock()
	found, err := p.lookupLocked(q)
	epoch, doubted := p.mu.leaderEpoch, p.inDoubtLocked()
	p.mu.RUnlock()
	if err == nil && doubted && q.Timestamp == Latest && q.Replica == Consumer {
		if err = p.confirm(epoch, q.Asked); err != nil {
			return NoOffset, err
		}
	}
	return found, err
}

// lookupLocked looks up an offset; mu is held.
func (p *Partition) lookupLocked(q OffsetQuery) (storage.TimestampOffset, error) {
	log, err := p.queryLogLocked(q)
	if err != nil {
		return NoOffset, err
	}
	end := log.LogEndOffset()
	fromClient := q.Replica == Consumer
	if fromClient {
		end = log.HighWatermark()
		if q.Isolation == ReadCommitted {
			end = log.LastStableOffset()
		}
	}
	// Until the high watermark has reached this leader's own epoch, what earlier leaders committed may lie above it.
	unsure := fromClient && p.mu.role == leading && log.HighWatermark() < p.mu.epochStart

	switch q.Timestamp {
	case Latest:
		if unsure {
			return NoOffset, fmt.Errorf("%s: %w", p.tp, ErrOffsetNotAvailable)
		}
		return storage.TimestampOffset{Timestamp: -1, Offset: end, LeaderEpoch: p.mu.leaderEpoch}, nil
	case Earliest, EarliestLocal:
		start := log.LogStartOffset()
		return storage.TimestampOffset{Timestamp: -1, Offset: start, LeaderEpoch: log.EpochForOffset(start)}, nil
	case LatestTiered:
		return NoOffset, nil
	}
	found, ok, err := lookupTime(log, q.Timestamp)
	if err != nil {
		return NoOffset, fmt.Errorf("look up %d in %s: %w", q.Timestamp, p.tp, err)
	}
	switch {
	case ok && found.Offset < end:
		return found, nil
	case unsure:
		return NoOffset, fmt.Errorf("%s: %w", p.tp, ErrOffsetNotAvailable)
	default:
		return NoOffset, nil
	}
}

func lookupTime(log *storage.Log, ts int64) (storage.TimestampOffset, bool, error) {
	if ts == MaxTimestamp {
		return log.MaxTimestampOffset()
	}
	return log.OffsetForTimestamp(ts)
}

func (p *Partition) queryLogLocked(q OffsetQuery) (*storage.Log, error) {
	if err := p.offlineLocked(); err != nil {
		return nil, err
	}
	if err := p.checkEpochLocked(q.CurrentLeaderEpoch); err != nil {
		return nil, err
	}
	if q.Replica == Debugger {
		return p.logLocked()
	}
	return p.leaderLogLocked()
}

// LegacyOffsets answers a ListOffsets of version 0: up to limit segment base offsets in descending order, led by the end of
// the log, of segments last written before timestamp (or by the special values Latest and Earliest).
func (m *Manager) LegacyOffsets(q OffsetQuery, limit int) ([]int64, error) {
	p, err := m.partition(q.Partition)
	if err != nil {
		return nil, err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	log, err := p.queryLogLocked(q)
	if err != nil {
		return nil, err
	}
	end := log.LogEndOffset()
	if q.Replica == Consumer {
		end = log.HighWatermark()
	}
	offsets, err := log.OffsetsBefore(q.Timestamp, limit)
	if err != nil {
		return nil, fmt.Errorf("look up %d in %s: %w", q.Timestamp, p.tp, err)
	}
	visible := make([]int64, 0, len(offsets)+1)
	for _, o := range offsets {
		// Kafka puts the readable end in place of whatever lies above it.
		if o = min(o, end); len(visible) == 0 || visible[len(visible)-1] != o {
			visible = append(visible, o)
		}
	}
	return visible, nil
}

// EndOfEpoch answers an OffsetForLeaderEpoch: the largest epoch the leader knows that is not above epoch, and its end.
func (m *Manager) EndOfEpoch(tp meta.TopicPartition, current, epoch meta.LeaderEpoch) (Divergence, error) {
	none := Divergence{Epoch: meta.NoLeaderEpoch, EndOffset: -1}
	p, err := m.partition(tp)
	if err != nil {
		return none, err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.offlineLocked(); err != nil {
		return none, err
	}
	if err := p.checkEpochLocked(current); err != nil {
		return none, err
	}
	log, err := p.leaderLogLocked()
	if err != nil {
		return none, err
	}
	e, end := log.EndOffsetForEpoch(epoch)
	return Divergence{Epoch: e, EndOffset: end}, nil
}

// ActiveProducers lists the producers a replica knows, leading or following.
func (m *Manager) ActiveProducers(tp meta.TopicPartition) ([]storage.ProducerState, error) {
	p, err := m.partition(tp)
	if err != nil {
		return nil, err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	log, err := p.logLocked()
	if err != nil {
		return nil, err
	}
	return log.ActiveProducers(), nil
}
