package storage

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/kraal-mq/kraal/broker/record"
)

// keptBatches is how many batches per producer are remembered to recognise one sent again: as many as an idempotent
// client may have in flight.
const keptBatches = 5

// producer is what a log knows of one idempotent producer. The zero value is not useful; see unknownProducer.
type producer struct {
	id               int64
	epoch            int16 // -1: nothing known
	coordinatorEpoch int32 // of the last marker, -1 none
	lastTimestamp    int64
	txnStart         int64 // first offset of the open transaction, -1 none
	// partial: a snapshot told of it, which keeps one batch: the log may have more of those to be remembered. See lookBackLocked.
	partial bool
	n       int // batches in use, oldest first
	batches [keptBatches]producerBatch
}

// producerBatch is one batch of a producer.
type producerBatch struct {
	lastSequence int32
	delta        int32 // last offset - first offset, and as much for the sequence
	lastOffset   int64
	timestamp    int64
}

func (b producerBatch) firstOffset() int64 { return b.lastOffset - int64(b.delta) }

// firstSequence wraps: before 0 comes 2147483647.
func (b producerBatch) firstSequence() int32 {
	if b.lastSequence < b.delta {
		return math.MaxInt32 - (b.delta - b.lastSequence) + 1
	}
	return b.lastSequence - b.delta
}

func unknownProducer(id int64) producer {
	return producer{id: id, epoch: record.NoProducerEpoch, coordinatorEpoch: -1, lastTimestamp: -1, txnStart: -1}
}

func (p *producer) last() (b producerBatch, ok bool) {
	if p.n == 0 {
		return producerBatch{}, false
	}
	return p.batches[p.n-1], true
}

func (p *producer) lastSequence() int32 {
	b, ok := p.last()
	if !ok {
		return record.NoSequence
	}
	return b.lastSequence
}

func (p *producer) add(b producerBatch) {
	if p.n == keptBatches {
		copy(p.batches[:], p.batches[1:])
		p.n--
	}
	p.batches[p.n] = b
	p.n++
}

// raise takes up another epoch, which ends what the old one did.
func (p *producer) raise(epoch int16) {
	if p.epoch != epoch {
		p.epoch, p.n, p.partial = epoch, 0, false
	}
}

// duplicateOf returns the remembered batch with exactly the sequences of b.
func (p *producer) duplicateOf(b record.Batch) (producerBatch, bool) {
	if b.ProducerEpoch() != p.epoch {
		return producerBatch{}, false
	}
	first, last := b.BaseSequence(), b.LastSequence()
	for _, k := range p.batches[:p.n] {
		if k.lastSequence == last && k.firstSequence() == first {
			return k, true
		}
	}
	return producerBatch{}, false
}

// origin is who appends, which decides what is checked.
type origin int

const (
	fromClient      origin = iota // epoch and sequence
	fromCoordinator               // epoch
	fromLeader                    // nothing: the leader has checked
)

// finished is a transaction whose marker is being appended.
type finished struct {
	producerID int64
	first      int64
	marker     int64
	aborted    bool
}

// apply brings p up to date with a batch of its, or says why it must not be appended. known is false if nothing was
// known of the producer before this append; then any sequence will do. It returns the transaction the batch ends, if
// it ends one with data here. (ProducerAppendInfo.java)
func (p *producer) apply(b record.Batch, from origin, known bool, unverified int32) (done *finished, err error) {
	epoch, offset := b.ProducerEpoch(), b.BaseOffset()
	if b.IsControl() {
		if b.Count() == 0 {
			return nil, nil // emptied by compaction: the whole transaction is gone
		}
		marker, ok, err := b.EndTxn()
		if err != nil || !ok {
			return nil, err
		}
		if epoch < p.epoch && from != fromLeader {
			return nil, p.fenced(epoch, offset)
		}
		if marker.CoordinatorEpoch < p.coordinatorEpoch && from != fromLeader {
			return nil, fmt.Errorf("%w: marker at %d of producer %d by coordinator epoch %d, after %d",
				ErrCoordinatorFenced, offset, p.id, marker.CoordinatorEpoch, p.coordinatorEpoch)
		}
		if p.txnStart >= 0 {
			done = &finished{p.id, p.txnStart, offset, marker.Type == record.ControlAbort}
		}
		p.raise(epoch)
		p.coordinatorEpoch, p.lastTimestamp, p.txnStart = marker.CoordinatorEpoch, b.MaxTimestamp(), -1
		return done, nil
	}
	if epoch < p.epoch && from != fromLeader {
		return nil, p.fenced(epoch, offset)
	}
	if from == fromClient {
		if err := p.checkSequence(b, known, unverified); err != nil {
			return nil, err
		}
	}
	if p.txnStart >= 0 && !b.IsTransactional() {
		return nil, fmt.Errorf("%w: producer %d writes outside of its transaction at %d", ErrInvalidTxnState, p.id, offset)
	}
	p.raise(epoch)
	p.add(producerBatch{b.LastSequence(), int32(b.LastOffset() - offset), b.LastOffset(), b.MaxTimestamp()})
	p.lastTimestamp = b.MaxTimestamp()
	if p.txnStart < 0 && b.IsTransactional() {
		p.txnStart = offset
	}
	return nil, nil
}

func (p *producer) fenced(epoch int16, offset int64) error {
	return fmt.Errorf("%w: producer %d has epoch %d at %d, known is %d", ErrInvalidProducerEpoch, p.id, epoch, offset, p.epoch)
}

// checkSequence: a known epoch goes on where it was, a new one begins at 0. unverified is the lowest sequence seen
// while the transaction is being verified: a later one must not overtake it (KAFKA-14561); -1 none.
func (p *producer) checkSequence(b record.Batch, known bool, unverified int32) error {
	first, epoch := b.BaseSequence(), b.ProducerEpoch()
	if unverified >= 0 && first > unverified {
		return fmt.Errorf("%w: producer %d sends %d before %d", ErrOutOfOrderSequence, p.id, first, unverified)
	}
	if !known {
		return nil
	}
	if epoch != p.epoch {
		if first != 0 {
			return fmt.Errorf("%w: producer %d begins epoch %d with %d", ErrOutOfOrderSequence, p.id, epoch, first)
		}
		return nil
	}
	if !p.follows(first) {
		return fmt.Errorf("%w: producer %d sends %d after %d", ErrOutOfOrderSequence, p.id, first, p.lastSequence())
	}
	return nil
}

// follows reports whether a sequence comes next.
func (p *producer) follows(first int32) bool {
	last := p.lastSequence()
	return int64(first) == int64(last)+1 || first == 0 && last == math.MaxInt32
}

// expired: nothing heard for so long, by its records' timestamps, and no transaction open.
func (p *producer) expired(nowMs, afterMs int64) bool {
	return p.txnStart < 0 && nowMs-p.lastTimestamp >= afterMs
}

// producers is the producer state of one log as of end. Guarded by Log.mu.
type producers struct {
	byID map[int64]*producer
	// end: everything below this offset is taken into account.
	end int64
	// lastSnapshot is the offset of the newest snapshot, snapshots are those of all files, ascending.
	lastSnapshot int64
	snapshots    []int64

	verifying map[int64]*verification

	staged []stagedProducer // reused between appends
	begun  []openTxn
	done   []finished
}

// verification is a transaction being verified with its coordinator (KIP-890).
type verification struct {
	guard     VerificationGuard
	startedMs int64
	epoch     int16
	lowest    int32 // sequence
}

// stagedProducer is a producer as it will be once the append is written.
type stagedProducer struct {
	producer
	known         bool
	transactional bool // a batch of the append is
}

// stage returns the state that an append in progress works on. The pointer is good until the next call.
func (ps *producers) stage(id int64) *stagedProducer {
	for i := range ps.staged {
		if ps.staged[i].id == id {
			return &ps.staged[i]
		}
	}
	next := stagedProducer{producer: unknownProducer(id)}
	if p := ps.byID[id]; p != nil {
		next.producer, next.known = *p, p.epoch != record.NoProducerEpoch
	}
	ps.staged = append(ps.staged, next)
	return &ps.staged[len(ps.staged)-1]
}

// check stages one batch of an append.
func (ps *producers) check(b record.Batch, from origin) error {
	p := ps.stage(b.ProducerID())
	unverified := int32(record.NoSequence)
	if v := ps.verifying[p.id]; v != nil {
		unverified = v.lowest
	}
	open := p.txnStart
	done, err := p.apply(b, from, p.known, unverified)
	if err != nil {
		return err
	}
	if done != nil {
		ps.done = append(ps.done, *done)
	}
	if p.txnStart >= 0 && p.txnStart != open {
		ps.begun = append(ps.begun, openTxn{p.txnStart, p.id})
	}
	p.transactional = p.transactional || b.IsTransactional()
	return nil
}

// reset forgets what was staged.
func (ps *producers) reset() {
	ps.staged, ps.begun, ps.done = ps.staged[:0], ps.begun[:0], ps.done[:0]
}

// commit makes what was staged the state as of end, and tells t of the transactions begun and finished. aborted, if not
// nil, is given an entry for the transaction index for each that was aborted.
func (ps *producers) commit(t *txns, end int64, aborted func(abortedTxn) error) error {
	var err error
	for i := range ps.staged {
		s := &ps.staged[i]
		p := ps.byID[s.id]
		if p == nil {
			if ps.byID == nil {
				ps.byID = make(map[int64]*producer)
			}
			p = new(producer)
			ps.byID[s.id] = p
		}
		*p = s.producer
		if s.transactional {
			delete(ps.verifying, s.id) // it is open or over now
		}
	}
	for _, b := range ps.begun {
		t.begin(b.producerID, b.first)
	}
	for _, d := range ps.done {
		if d.aborted && aborted != nil && err == nil {
			err = aborted(abortedTxn{d.producerID, d.first, d.marker, t.stableWithout(d)})
		}
		t.end(d)
	}
	ps.end = end
	ps.reset()
	return err
}

// expire forgets producers not heard of for long, and says whether any remain.
func (ps *producers) expire(nowMs, afterMs int64) {
	for id, p := range ps.byID {
		if p.expired(nowMs, afterMs) {
			delete(ps.byID, id)
		}
	}
	if len(ps.byID) == 0 {
		ps.byID = nil // a map keeps the room of its best days
	}
	for id, v := range ps.verifying {
		if nowMs-v.startedMs >= afterMs {
			delete(ps.verifying, id)
		}
	}
}

// sorted lists the producers by id.
func (ps *producers) sorted() []*producer {
	return slices.SortedFunc(maps.Values(ps.byID), func(a, b *producer) int { return cmp.Compare(a.id, b.id) })
}

// txns follows the transactions of a log that hold the last stable offset back. It has its own lock because the high
// watermark moves without Log.mu.
type txns struct {
	mu struct {
		sync.Mutex
		open    []openTxn  // undecided, by first offset
		waiting []finished // decided, with a marker at or above the high watermark; by first offset
	}
	// firstUnstable is the smallest first offset of all, noOffset if there are none.
	firstUnstable atomic.Int64
	waiting       atomic.Int32 // len(mu.waiting)
}

type openTxn struct{ first, producerID int64 }

// noOffset stands for "none" where a smallest offset is kept.
const noOffset = math.MaxInt64

func (t *txns) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.open, t.mu.waiting = nil, nil
	t.updateLocked()
}

func (t *txns) updateLocked() {
	first := int64(noOffset)
	if len(t.mu.open) > 0 {
		first = t.mu.open[0].first
	}
	if len(t.mu.waiting) > 0 {
		first = min(first, t.mu.waiting[0].first)
	}
	t.waiting.Store(int32(len(t.mu.waiting)))
	t.firstUnstable.Store(first)
}

// begin notes that the producer has a transaction open since first; again is no harm.
func (t *txns) begin(producerID, first int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, found := slices.BinarySearchFunc(t.mu.open, first, func(o openTxn, at int64) int { return cmp.Compare(o.first, at) })
	if !found {
		t.mu.open = slices.Insert(t.mu.open, i, openTxn{first, producerID})
		t.updateLocked()
	}
}

// end moves a transaction from open to waiting.
func (t *txns) end(d finished) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.open = slices.DeleteFunc(t.mu.open, func(o openTxn) bool { return o.first == d.first })
	i, _ := slices.BinarySearchFunc(t.mu.waiting, d.first, func(o finished, at int64) int { return cmp.Compare(o.first, at) })
	t.mu.waiting = slices.Insert(t.mu.waiting, i, d)
	t.updateLocked()
}

// stableWithout is the last stable offset once d is decided, as if all were replicated.
func (t *txns) stableWithout(d finished) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range t.mu.open {
		if o.producerID != d.producerID {
			return o.first
		}
	}
	return d.marker + 1
}

// replicated drops the decided transactions whose marker is below hw.
func (t *txns) replicated(hw int64) {
	if t.waiting.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.waiting = slices.DeleteFunc(t.mu.waiting, func(d finished) bool { return d.marker < hw })
	if len(t.mu.waiting) == 0 {
		t.mu.waiting = nil
	}
	t.updateLocked()
}
