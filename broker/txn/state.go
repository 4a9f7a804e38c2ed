package txn

import (
	"errors"
	"fmt"
	"maps"
	"math"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// State is where a transactional id is in the life of its transaction. The values are those of Kafka's log.
type State int8

// The states, and what leads to them.
const (
	Empty             State = 0 // InitProducerId
	Ongoing           State = 1 // partitions or offsets were added
	PrepareCommit     State = 2 // EndTxn: decided, markers are being written
	PrepareAbort      State = 3 // EndTxn, timeout, or a newer producer
	CompleteCommit    State = 4 // all markers are written
	CompleteAbort     State = 5
	Dead              State = 6 // only pending: the id has expired and is being removed
	PrepareEpochFence State = 7 // only pending: a newer producer or the timeout fences, and PrepareAbort follows
	none              State = -1
)

var stateNames = [...]string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"}

// String returns the name that tools show.
func (s State) String() string {
	if s < 0 || int(s) >= len(stateNames) {
		return fmt.Sprintf("State(%d)", int8(s))
	}
	return stateNames[s]
}

// ParseState is the inverse of [State.String].
func ParseState(name string) (State, bool) {
	for i, n := range stateNames {
		if n == name {
			return State(i), true
		}
	}
	return none, false
}

// from says which states a state may follow (TransactionMetadata.scala).
var from = [...][]State{
	Empty:             {Empty, CompleteCommit, CompleteAbort},
	Ongoing:           {Ongoing, Empty, CompleteCommit, CompleteAbort},
	PrepareCommit:     {Ongoing},
	PrepareAbort:      {Ongoing, PrepareEpochFence},
	CompleteCommit:    {PrepareCommit},
	CompleteAbort:     {PrepareAbort},
	Dead:              {Empty, CompleteCommit, CompleteAbort},
	PrepareEpochFence: {Ongoing},
}

func (s State) mayFollow(old State) bool {
	for _, f := range from[s] {
		if f == old {
			return true
		}
	}
	return false
}

// prepared says that the outcome is decided and markers are to be written.
func (s State) prepared() bool { return s == PrepareCommit || s == PrepareAbort }

// expires says that an id in this state is forgotten after transactional.id.expiration.ms.
func (s State) expires() bool { return s == Empty || s == CompleteCommit || s == CompleteAbort }

const (
	noProducerID    int64 = -1
	noProducerEpoch int16 = -1
	noTime          int64 = -1
	// lastEpoch is the last one that a producer is given. The one above it is for fencing that producer.
	lastEpoch int16 = math.MaxInt16 - 1
)

// status is what the log says of a transactional id, and two fields that it does not say. A transition makes another one.
type status struct {
	state         State
	producerID    int64
	producerEpoch int16
	timeoutMs     int32
	partitions    partitionSet // never changed, but replaced. While prepared: those without a marker
	startMs       int64        // noTime: no transaction since InitProducerId
	updatedMs     int64

	// What the last InitProducerId took the place of, to recognise it when it is sent again (KIP-360). Not in the log, so
	// that noProducerID and noProducerEpoch after a coordinator has moved.
	lastProducerID    int64
	lastProducerEpoch int16
}

type partitionSet map[meta.TopicPartition]struct{}

func (s partitionSet) containsAll(tps []meta.TopicPartition) bool {
	for _, tp := range tps {
		if _, ok := s[tp]; !ok {
			return false
		}
	}
	return true
}

func (s partitionSet) with(tps []meta.TopicPartition) partitionSet {
	union := make(partitionSet, len(s)+len(tps))
	maps.Copy(union, s)
	for _, tp := range tps {
		union[tp] = struct{}{}
	}
	return union
}

// transaction is one transactional id.
type transaction struct {
	id string
	status
	// pending is the transition under way, none if there is none.
	pending State
	// fenceFailed says that the last fence may not have got into the log. The epoch is not raised once more then: nobody was
	// told of it, and epochs are finite.
	fenceFailed bool
}

// newTransaction is an id that nothing is known of but its producer id to be.
func newTransaction(id string, producerID int64, timeoutMs int32, nowMs int64) *transaction {
	return &transaction{id: id, pending: none, status: status{state: Empty, producerID: producerID, producerEpoch: noProducerEpoch,
		timeoutMs: timeoutMs, startMs: noTime, updatedMs: nowMs, lastProducerID: noProducerID, lastProducerEpoch: noProducerEpoch}}
}

// producer is a producer id with its epoch, as a producer sends them that goes on after an error; the zero value is not useful.
type producer struct {
	id    int64
	epoch int16
}

// noProducer is sent by a producer that begins.
var noProducer = producer{noProducerID, noProducerEpoch}

// errBroken says that a transition was asked for that cannot be, which is for whoever asks to know before.
var errBroken = errors.New("impossible transition")

// begin notes that a transition is under way.
func (t *transaction) begin(next status) (status, error) {
	if t.pending != none || !next.state.mayFollow(t.state) {
		return status{}, fmt.Errorf("%w of %s from %s, pending %s, to %s", errBroken, t.id, t.state, t.pending, next.state)
	}
	t.pending = next.state
	return next, nil
}

// install makes a transition the state once it is on all in-sync replicas.
func (t *transaction) install(next status) {
	t.status, t.pending = next, none
}

// exhausted epochs call for another producer id.
func exhausted(epoch int16) bool { return epoch >= lastEpoch }

// mayContinue says whether a producer that goes on may do so under the present id: nothing was written yet, it has the
// present producer id (the epoch is looked at later), or it had the one before, used up, and did not hear of the new one.
func (t *transaction) mayContinue(p producer) bool {
	return t.producerEpoch == noProducerEpoch || p.id == t.producerID || p.id == t.lastProducerID && exhausted(p.epoch)
}

// needsProducerID says that initialise wants a fresh producer id.
func (t *transaction) needsProducerID(p producer) bool {
	return exhausted(t.producerEpoch) && (p == noProducer || p.epoch == t.producerEpoch)
}

// initialise prepares InitProducerId for an id with no transaction open (KIP-360). freshID is used if needsProducerID says so.
func (t *transaction) initialise(p producer, freshID int64, timeoutMs int32, nowMs int64) (status, error) {
	next := status{state: Empty, producerID: t.producerID, producerEpoch: t.producerEpoch + 1, timeoutMs: timeoutMs, startMs: noTime, updatedMs: nowMs,
		lastProducerID: t.producerID, lastProducerEpoch: noProducerEpoch}
	switch {
	case t.needsProducerID(p):
		next.producerID, next.producerEpoch = freshID, 0
		if p != noProducer {
			next.lastProducerEpoch = t.producerEpoch
		}
	case p == noProducer:
	case t.producerEpoch == noProducerEpoch, p.epoch == t.producerEpoch:
		next.lastProducerEpoch = t.producerEpoch
	case p.epoch == t.lastProducerEpoch:
		// It did not hear the answer. Nobody else has come since, who would have set the last epoch to none.
		next.producerEpoch, next.lastProducerEpoch = t.producerEpoch, t.lastProducerEpoch
	default:
		return status{}, ErrProducerFenced
	}
	return t.begin(next)
}

// fence raises the epoch of an ongoing transaction, which its producer does not survive, and prepares the abort.
func (t *transaction) fence(nowMs int64) (status, error) {
	if _, err := t.begin(status{state: PrepareEpochFence}); err != nil {
		return status{}, err
	}
	next := t.status
	next.state, next.updatedMs, next.lastProducerEpoch = PrepareAbort, nowMs, noProducerEpoch
	if !t.fenceFailed && next.producerEpoch < math.MaxInt16 {
		next.producerEpoch++
	}
	t.pending = PrepareAbort
	// In force at once: the old producer is to be refused from now on, whether or not this gets into the log.
	t.producerEpoch, t.lastProducerEpoch = next.producerEpoch, noProducerEpoch
	return next, nil
}

// add prepares that partitions become part of the transaction, which begins if none is ongoing.
func (t *transaction) add(tps []meta.TopicPartition, nowMs int64) (status, error) {
	next := t.status
	if t.state != Ongoing {
		next.startMs = nowMs
	}
	next.state, next.updatedMs, next.partitions = Ongoing, nowMs, t.partitions.with(tps)
	return t.begin(next)
}

// end prepares the decision.
func (t *transaction) end(commit bool, nowMs int64) (status, error) {
	next := t.status
	next.state, next.updatedMs = PrepareAbort, nowMs
	if commit {
		next.state = PrepareCommit
	}
	return t.begin(next)
}

// complete prepares the end of a prepared transaction.
func (t *transaction) complete(nowMs int64) (status, error) {
	next := t.status
	next.state, next.updatedMs, next.partitions = CompleteAbort, nowMs, nil
	if t.state == PrepareCommit {
		next.state = CompleteCommit
	}
	t.fenceFailed = false
	return t.begin(next)
}

// timedOut says whether a transaction has been open for longer than its producer allowed.
func (t *transaction) timedOut(nowMs int64) bool {
	return t.pending == none && t.state == Ongoing && t.startMs+int64(t.timeoutMs) < nowMs
}

// expired says whether an id has not been used for so long that it is forgotten.
func (t *transaction) expired(nowMs, afterMs int64) bool {
	return t.pending == none && t.state.expires() && t.updatedMs <= nowMs-afterMs
}
