package coord

import (
	"cmp"
	"context"
	"errors"

	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Why a coordinator does not do what it is asked to.
var (
	// ErrNotCoordinator: this broker does not coordinate the key, or ceased to. The right one is to be looked for.
	ErrNotCoordinator = errors.New("not coordinator")
	// ErrLoading: this broker coordinates the key, but is still reading the log.
	ErrLoading = errors.New("coordinator is loading")
	// ErrNotAvailable: not now; nothing was changed, or it is not known whether it was.
	ErrNotAvailable = errors.New("coordinator not available")
	// ErrTimedOut: the in-sync replicas did not get the records in time. The records are in the log, and may be replicated yet.
	ErrTimedOut = errors.New("replication timed out")
	// ErrTooLarge: the records of an append do not fit into one batch of the topic.
	ErrTooLarge = errors.New("records too large")
)

// Record is one record of an internal topic. A nil Value is a tombstone.
type Record struct {
	Key, Value []byte
	Timestamp  int64
}

// Position is a place in a partition's log. Later records have larger positions, whichever leader wrote them.
type Position struct {
	LeaderEpoch meta.LeaderEpoch
	Offset      int64
}

// NoPosition is below every position.
var NoPosition = Position{LeaderEpoch: meta.NoLeaderEpoch, Offset: -1}

// Compare orders positions as the log does.
func (p Position) Compare(o Position) int {
	return cmp.Or(cmp.Compare(p.LeaderEpoch, o.LeaderEpoch), cmp.Compare(p.Offset, o.Offset))
}

// NoProducer is the producer id of batches that have none.
const NoProducer int64 = -1

// Batch is what is appended at once: all of it or nothing.
type Batch struct {
	Records []Record
	// ProducerID is NoProducer unless the batch is a producer's, as offsets committed in a transaction are.
	ProducerID    int64
	ProducerEpoch int16
	Transactional bool
	// Verified is the guard of a transactional batch, see [storage.AppendOptions].
	Verified storage.VerificationGuard
}

// plain batches may be put into one.
func (b *Batch) plain() bool { return b.ProducerID == NoProducer && !b.Transactional }

// Plain returns a batch without a producer.
func Plain(records ...Record) Batch { return Batch{Records: records, ProducerID: NoProducer} }

// Journal is an internal topic's logs as a coordinator needs them. Every method refuses with ErrNotCoordinator unless this
// broker leads the partition beyond doubt and has led it without interruption since epoch. Met in package broker, over
// replica.Manager.
type Journal interface {
	// Append writes one batch and does not wait for followers. Records get successive offsets.
	Append(tp meta.TopicPartition, epoch meta.LeaderEpoch, b Batch) (first Position, last int64, err error)
	// Await returns nil once offset last is on all in-sync replicas. ErrTimedOut if ctx ends first.
	Await(ctx context.Context, tp meta.TopicPartition, epoch meta.LeaderEpoch, last int64) error
	// Read returns whole batches from the one that holds from, or the next after it, about max bytes but at least one batch, up
	// to the log end; and the offset to go on from, which is from itself only at the log end.
	Read(tp meta.TopicPartition, epoch meta.LeaderEpoch, from int64, max int) (batches []byte, next int64, err error)
	// Bounds returns the log start offset and, as a position in the present epoch, the log end offset.
	Bounds(tp meta.TopicPartition, epoch meta.LeaderEpoch) (start int64, end Position, err error)
}
