package coord

import (
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Machine is the state of one shard. Its methods are called by the shard's goroutine alone.
type Machine interface {
	// Replay is called while loading, for each record in the order of the log. The record lies in a buffer that is used again:
	// what is kept must be copied.
	Replay(r Record, at Position, producerID int64, producerEpoch int16, transactional bool)
	// ReplayMarker says that a producer's transaction ended in this partition: while loading, in the order of the log, and
	// afterwards when its marker is on all in-sync replicas.
	ReplayMarker(producerID int64, producerEpoch int16, committed bool)
	// Loaded says that the whole log was replayed. From now on there are events.
	Loaded()
	// Unloaded ends the machine: whoever waits for it is to be answered ErrNotCoordinator. It is also called if loading came
	// to no end. Callbacks of appends under way have been called with ErrNotCoordinator before.
	Unloaded()
}

// EpochFollower may be implemented by machines that want to know when their leadership went on in the next epoch.
type EpochFollower interface {
	// EpochRaised is called after Env.LeaderEpoch was changed.
	EpochRaised()
}

// Env is what a machine may do. It is given to its constructor; its methods are for the shard's goroutine, except Post and
// Now.
type Env struct {
	Partition int32
	// LeaderEpoch is that of this broker's leadership. It is raised if this broker stays the leader, see [EpochFollower].
	LeaderEpoch meta.LeaderEpoch

	core *core
}

// Now returns the time.
func (e *Env) Now() time.Time { return time.Now() }

// Post runs f on the shard's goroutine, soon. It is dropped if the shard has ended. Any goroutine may call it.
func (e *Env) Post(f func()) { e.core.mail.put(f) }

// Append writes a batch to the partition's log. done runs when all in-sync replicas have it, with the position of its first
// record, the others following at the next offsets; or when it failed. Plain batches of one turn are written as one; it fails
// or succeeds as a whole then.
//
// A batch without records writes nothing; done runs when everything that is in the log now is on all in-sync replicas.
//
// What is appended from within Unloaded, or from a callback called for that reason, is dropped without a callback.
func (e *Env) Append(b Batch, done func(at Position, err error)) { e.core.append(b, done) }

// LogEnd returns where the next record will be. It is NoPosition if this broker ceased to lead.
func (e *Env) LogEnd() Position {
	e.core.flush()
	_, end, err := e.core.journal.Bounds(e.core.tp, e.core.epoch())
	if err != nil {
		return NoPosition
	}
	return end
}
