package txn

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// shard holds the transactional ids of one partition of __transaction_state. It implements coord.Machine; everything runs on
// the shard's goroutine.
type shard struct {
	c   *Coordinator
	env *coord.Env
	log *zap.Logger
	ids map[string]*transaction
	// endings are the prepared transactions whose markers are being sent.
	endings map[*transaction]*ending
	// parked are requests that wait for a transaction to be over.
	parked map[*transaction][]*parked
}

// parked is a request that came too early.
type parked struct {
	again  func()
	refuse func(error)
	timer  *coord.Timer
}

func newShard(c *Coordinator, env *coord.Env) *shard {
	return &shard{c: c, env: env, log: c.o.Logger, ids: make(map[string]*transaction), endings: make(map[*transaction]*ending),
		parked: make(map[*transaction][]*parked)}
}

func (s *shard) nowMs() int64 { return s.env.Now().UnixMilli() }

// Replay implements coord.Machine.
func (s *shard) Replay(r coord.Record, at coord.Position, _ int64, _ int16, _ bool) {
	id, err := decodeKey(r.Key)
	if err == nil && r.Value == nil {
		delete(s.ids, id)
		return
	}
	var st status
	if err == nil {
		st, err = decodeValue(r.Value)
	}
	if err != nil {
		s.log.Warn("passing over a record of the transaction log", zap.Int32("partition", s.env.Partition), zap.Int64("offset", at.Offset), zap.Error(err))
		return
	}
	s.ids[id] = &transaction{id: id, status: st, pending: none}
}

// ReplayMarker implements coord.Machine. Nobody writes transactionally here.
func (s *shard) ReplayMarker(int64, int16, bool) {}

// Loaded implements coord.Machine: everything read is on all in-sync replicas, so what was decided may be carried out.
func (s *shard) Loaded() {
	for _, t := range s.ids {
		if t.state.prepared() {
			s.finish(t)
		}
	}
	s.every(s.c.o.Config.AbortInterval, s.abortTimedOut)
	s.every(s.c.o.Config.RemoveInterval, s.removeExpired)
}

func (s *shard) every(d time.Duration, f func()) {
	var timer *coord.Timer
	timer = s.env.After(d, func() {
		f()
		timer.Reset(d)
	})
}

// Unloaded implements coord.Machine. Who waits for an append was answered.
func (s *shard) Unloaded() {
	for _, waiting := range s.parked {
		for _, p := range waiting {
			p.refuse(coord.ErrNotCoordinator)
		}
	}
	clear(s.parked)
	for _, e := range s.endings {
		e.cancelled.Store(true)
	}
	clear(s.endings)
}

// write appends a transition, and installs it once it is on all in-sync replicas.
func (s *shard) write(t *transaction, next status, done func(error)) {
	s.env.Append(coord.Plain(next.record(t.id)), func(_ coord.Position, err error) {
		if err != nil {
			t.pending = none
			done(appendError(err))
			return
		}
		t.install(next)
		done(nil)
	})
}

func appendError(err error) error {
	if errors.Is(err, coord.ErrTimedOut) {
		return fmt.Errorf("%w: %w", coord.ErrNotAvailable, err)
	}
	return err
}

// errNeedsProducerID asks for a fresh producer id, which a shard cannot wait for.
var errNeedsProducerID = errors.New("a producer id is needed")

// parkTime is how long a request waits for the markers of the last transaction before its producer is told to come again.
// Kafka tells it at once, and producers wait 20 ms or longer; the markers are written in a fraction of that.
const parkTime = 100 * time.Millisecond

// park runs a request again when a transaction is over, and at the latest after a while; false: the transaction is not about
// to be over.
func (s *shard) park(t *transaction, again func(), refuse func(error)) bool {
	if s.endings[t] == nil {
		return false
	}
	p := &parked{again: again, refuse: refuse}
	p.timer = s.env.After(parkTime, func() {
		s.parked[t] = slices.DeleteFunc(s.parked[t], func(o *parked) bool { return o == p })
		again()
	})
	s.parked[t] = append(s.parked[t], p)
	return true
}

// unpark runs all requests that wait for a transaction.
func (s *shard) unpark(t *transaction) {
	waiting := s.parked[t]
	delete(s.parked, t)
	for _, p := range waiting {
		p.timer.Stop()
		p.again()
	}
}

// initProducerID answers with the producer to be. wait: if a transaction is about to be over, that is waited for.
func (s *shard) initProducerID(r *InitRequest, freshID int64, wait bool, reply func(producer, error)) {
	t := s.ids[r.TransactionalID]
	p := producer{r.ProducerID, r.ProducerEpoch}
	refuse := func(err error) { reply(noProducer, err) }
	if t == nil {
		if freshID == noProducerID {
			reply(noProducer, errNeedsProducerID)
			return
		}
		t = newTransaction(r.TransactionalID, freshID, r.TimeoutMs, s.nowMs())
		s.ids[t.id] = t
	}
	switch {
	case t.pending != none:
		if !wait || !s.park(t, func() { s.initProducerID(r, freshID, false, reply) }, refuse) {
			reply(noProducer, ErrConcurrentTransactions)
		}
	case p != noProducer && !t.mayContinue(p):
		reply(noProducer, ErrProducerFenced)
	case t.state.prepared():
		reply(noProducer, ErrConcurrentTransactions)
	case t.state == Ongoing:
		// The epoch made here is never given to anybody: when the abort is through, the producer gets the next.
		s.fence(t, func(err error) {
			switch {
			case err != nil:
				reply(noProducer, err)
			case !wait || !s.park(t, func() { s.initProducerID(r, freshID, false, reply) }, refuse):
				reply(noProducer, ErrConcurrentTransactions)
			}
		})
	case t.needsProducerID(p) && freshID == noProducerID:
		reply(noProducer, errNeedsProducerID)
	default:
		next, err := t.initialise(p, freshID, r.TimeoutMs, s.nowMs())
		if err != nil {
			reply(noProducer, err)
			return
		}
		s.write(t, next, func(err error) {
			if err == nil {
				s.log.Info("producer initialised", zap.String("txn_id", t.id), zap.Int64("producer_id", next.producerID), zap.Int16("producer_epoch", next.producerEpoch))
			}
			reply(producer{next.producerID, next.producerEpoch}, err)
		})
	}
}

// find returns a transaction that a producer takes part in.
func (s *shard) find(id string, p producer) (*transaction, error) {
	t := s.ids[id]
	switch {
	case t == nil || t.producerID != p.id:
		return nil, ErrInvalidProducerIDMapping
	case t.producerEpoch != p.epoch:
		return t, ErrProducerFenced
	}
	return t, nil
}

// add makes partitions part of the transaction. wait: if the last one is about to be over, that is waited for.
func (s *shard) add(id string, p producer, tps []meta.TopicPartition, wait bool, reply func(error)) {
	t, err := s.find(id, p)
	switch {
	case err != nil:
	case t.pending != none, t.state.prepared():
		if wait && s.park(t, func() { s.add(id, p, tps, false, reply) }, reply) {
			return
		}
		err = ErrConcurrentTransactions
	case t.state == Ongoing && t.partitions.containsAll(tps):
	default:
		var next status
		if next, err = t.add(tps, s.nowMs()); err == nil {
			s.write(t, next, reply)
			return
		}
	}
	reply(err)
}

// verify says of each partition whether it is part of the transaction.
func (s *shard) verify(id string, p producer, tps []meta.TopicPartition) []error {
	errs := make([]error, len(tps))
	t, err := s.find(id, p)
	if err == nil && t.state.prepared() {
		err = ErrConcurrentTransactions
	}
	for i, tp := range tps {
		errs[i] = err
		if err == nil && !t.partitions.containsAll([]meta.TopicPartition{tp}) {
			errs[i] = ErrAbortable
		}
	}
	return errs
}

// end decides the transaction, and answers when that is certain.
func (s *shard) end(id string, p producer, commit bool, reply func(error)) {
	t, err := s.find(id, p)
	switch {
	case err != nil:
	case t.pending != none:
		err = ErrConcurrentTransactions
	case t.state == Ongoing:
		var next status
		if next, err = t.end(commit, s.nowMs()); err == nil {
			s.write(t, next, func(err error) {
				reply(err)
				if err == nil {
					s.finish(t)
				}
			})
			return
		}
	case t.state == PrepareCommit && commit, t.state == PrepareAbort && !commit:
		err = ErrConcurrentTransactions
	case t.state == CompleteCommit && commit, t.state == CompleteAbort && !commit:
		// Sent again: the answer to the first time was lost.
	default:
		err = ErrInvalidTxnState
	}
	reply(err)
}

// fence ends a transaction that its producer will not end.
func (s *shard) fence(t *transaction, done func(error)) {
	next, err := t.fence(s.nowMs())
	if err != nil {
		done(err)
		return
	}
	s.write(t, next, func(err error) {
		t.fenceFailed = err != nil
		if err == nil {
			s.finish(t)
		}
		done(err)
	})
}

// finish has the markers of a prepared transaction written.
func (s *shard) finish(t *transaction) {
	next, err := t.complete(s.nowMs())
	if err != nil {
		s.log.Error("a prepared transaction cannot be completed", zap.Error(err))
		return
	}
	e := &ending{Marker: Marker{ProducerID: t.producerID, ProducerEpoch: t.producerEpoch, Committed: t.state == PrepareCommit,
		CoordinatorEpoch: int32(s.env.LeaderEpoch)}, id: t.id}
	e.written = func(tps []meta.TopicPartition) {
		s.env.Post(func() { s.marked(t, e, next, tps) })
	}
	s.endings[t] = e
	tps := t.partitions.sorted()
	if len(tps) == 0 {
		s.complete(t, e, next)
		return
	}
	s.c.markers.send(e, tps)
}

// marked notes that partitions have the marker of an ending, or are gone.
func (s *shard) marked(t *transaction, e *ending, next status, tps []meta.TopicPartition) {
	if s.endings[t] != e {
		return
	}
	left := make(partitionSet, len(t.partitions))
	for tp := range t.partitions {
		left[tp] = struct{}{}
	}
	for _, tp := range tps {
		delete(left, tp)
	}
	t.partitions = left
	if len(left) == 0 {
		s.complete(t, e, next)
	}
}

// completionRetry is the pause before the end of a transaction is written again, after that failed.
const completionRetry = 100 * time.Millisecond

// complete writes that a transaction is over.
func (s *shard) complete(t *transaction, e *ending, next status) {
	s.env.Append(coord.Plain(next.record(t.id)), func(_ coord.Position, err error) {
		switch {
		case s.endings[t] != e:
		case err != nil:
			s.log.Info("the end of a transaction could not be written, trying again", zap.String("txn_id", t.id), zap.Error(err))
			s.env.After(completionRetry, func() {
				if s.endings[t] == e {
					s.complete(t, e, next)
				}
			})
		default:
			delete(s.endings, t)
			t.install(next)
			s.unpark(t)
		}
	})
}

// abortTimedOut ends transactions that are open for longer than their producers allowed.
func (s *shard) abortTimedOut() {
	now := s.nowMs()
	for _, t := range s.ids {
		if !t.timedOut(now) {
			continue
		}
		s.fence(t, func(err error) {
			if err != nil {
				s.log.Warn("a transaction has timed out, and could not be aborted", zap.String("txn_id", t.id), zap.Error(err))
				return
			}
			s.log.Info("aborting a transaction that has timed out", zap.String("txn_id", t.id), zap.Int64("producer_id", t.producerID), zap.Int16("producer_epoch", t.producerEpoch))
		})
	}
}

// removeExpired forgets ids that have not been used for long.
func (s *shard) removeExpired() {
	now := s.nowMs()
	for id, t := range s.ids {
		if !t.expired(now, s.c.o.Config.IDExpiration.Milliseconds()) {
			continue
		}
		if _, err := t.begin(status{state: Dead}); err != nil {
			continue
		}
		s.env.Append(coord.Plain(coord.Record{Key: encodeKey(id), Timestamp: now}), func(_ coord.Position, err error) {
			t.pending = none
			if err != nil {
				s.log.Warn("an expired transactional id could not be removed", zap.String("txn_id", id), zap.Error(err))
				return
			}
			delete(s.ids, id)
		})
	}
}
