package group

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// OffsetLane is one coordinator's way to the tree. Its methods are for the shard's goroutine; they do not wait.
type OffsetLane struct {
	tree   *OffsetTree
	tp     meta.TopicPartition
	post   func(func())
	logger *zap.Logger

	mu laneState // guarded by tree.mu
}

type laneState struct {
	phase lanePhase
	epoch meta.LeaderEpoch
	fence zkstore.Fence
	after *OffsetLane // of the same partition, with requests under way; nil: none

	slots    map[slotKey]*slot
	stalled  []*slot       // with something to send, waiting for the fence
	underWay int           // requests that carry something of this lane
	queued   bool          // in tree.mu.checks
	proven   bool          // the tree has confirmed the fence once since it was opened
	reads    []pendingRead // to be begun when proven

	answers  []outcome
	draining bool // posted
}

// lanePhase: checking --the state znode names us--> open; open --fence refused--> checking; checking --it names another--> deposed;
// deposed --our epoch was raised--> checking; any --Close--> closed.
type lanePhase int8

const (
	checking lanePhase = iota
	opened
	deposed
	closed
)

// outcome is an answer on its way to the shard's goroutine.
type outcome struct {
	done func(error)
	err  error
	slot *slot // nil: it is about none
}

// Put writes a value, instead of what waits to be written to the same partition. known is what the caller last learned of the tree.
// done is called once. coord.ErrNotCoordinator says that nothing more is written; the outcome is then unknown.
func (l *OffsetLane) Put(group string, tp meta.TopicPartition, v OffsetValue, known TreeOffset, done func(error)) {
	t := l.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.overLocked() {
		l.answerLocked(done, coord.ErrNotCoordinator)
		return
	}
	key := slotKey{group, tp}
	s := l.mu.slots[key]
	if s == nil {
		s = &slot{lane: l, key: key, known: known}
		l.mu.slots[key] = s
	}
	s.waiting = &v
	s.waiters = append(s.waiters, done)
	t.enqueueLocked(s)
}

// Read reads all offsets of a group, once the fence is proven: so what was written under the fences before is seen. It is repeated
// until it succeeds; only coord.ErrNotCoordinator is ever given.
func (l *OffsetLane) Read(group string, done func(GroupReading, error)) {
	l.read(func(ctx context.Context) (func(), error) {
		offsets, broken, err := l.tree.o.Store.GroupOffsets(ctx, group)
		return func() { done(GroupReading{offsets, broken}, nil) }, err
	}, func(err error) { done(GroupReading{}, err) })
}

// Groups lists all groups of the tree, whoever coordinates them, as Read reads.
func (l *OffsetLane) Groups(done func([]string, error)) {
	l.read(func(ctx context.Context) (func(), error) {
		groups, err := l.tree.o.Store.OffsetGroups(ctx)
		return func() { done(groups, nil) }, err
	}, func(err error) { done(nil, err) })
}

// Members tells whether the tree has members of a group, as consumers of old register themselves.
func (l *OffsetLane) Members(group string, done func(bool, error)) {
	l.read(func(ctx context.Context) (func(), error) {
		some, err := l.tree.o.Store.HasMembers(ctx, group)
		return func() { done(some, nil) }, err
	}, func(err error) { done(false, err) })
}

// Prune removes the folders that a group's deleted offsets left behind. It is tidying: it may fail, and nobody waits for it.
func (l *OffsetLane) Prune(group string, topics []string) {
	t := l.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.mu.phase != opened {
		return
	}
	fence := l.mu.fence
	t.readLocked(func(ctx context.Context) {
		if err := t.o.Store.PruneOffsets(ctx, fence, group, topics); err != nil && ctx.Err() == nil {
			l.logger.Debug("empty folders were left behind", zap.String("group", group), zap.Error(err))
		}
	})
}

// GroupReading is what the tree has of a group.
type GroupReading struct {
	Offsets map[meta.TopicPartition]zkstore.CommittedOffset
	Broken  map[meta.TopicPartition]error // what cannot be read
}

// pendingRead is a reading that cannot begin yet.
type pendingRead struct {
	attempt func(context.Context)
	refuse  func(error)
}

// read has f called until it succeeds, and then what it returned on the shard's goroutine.
func (l *OffsetLane) read(f func(context.Context) (func(), error), refuse func(error)) {
	t := l.tree
	r := pendingRead{refuse: refuse, attempt: func(ctx context.Context) {
		var pause backoff
		for {
			done, err := f(ctx)
			if l.took(done, err, refuse) || ctx.Err() != nil {
				return
			}
			l.logger.Warn("offsets could not be read from ZooKeeper, trying again", zap.Error(err))
			pause.wait(ctx)
		}
	}}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case l.overLocked():
		l.answerLocked(refuse, coord.ErrNotCoordinator)
	case l.mu.proven:
		t.readLocked(r.attempt)
	default:
		l.mu.reads = append(l.mu.reads, r)
	}
}

// took says whether an attempt to read was the last.
func (l *OffsetLane) took(done func(), err error, refuse func(error)) bool {
	l.tree.mu.Lock()
	defer l.tree.mu.Unlock()
	switch {
	case l.overLocked():
		l.answerLocked(refuse, coord.ErrNotCoordinator)
	case err == nil:
		l.answerLocked(func(error) { done() }, nil)
	default:
		return false
	}
	return true
}

// overLocked reports whether nothing is written or read any more.
func (l *OffsetLane) overLocked() bool {
	return l.mu.phase == deposed || l.mu.phase == closed || l.tree.mu.stopped
}

// Raise says that the leadership goes on in the next epoch.
func (l *OffsetLane) Raise(epoch meta.LeaderEpoch) {
	l.tree.mu.Lock()
	defer l.tree.mu.Unlock()
	l.mu.epoch = epoch
	if l.mu.phase == deposed {
		l.checkLocked() // the znode was ahead of the news by more than one epoch
	}
}

// Close ends the lane and answers everybody who waits for a write. Readings are forgotten.
func (l *OffsetLane) Close() {
	l.tree.mu.Lock()
	l.mu.draining = true // by us
	l.refuseAllLocked(closed)
	answers := l.mu.answers
	l.mu.answers, l.mu.draining = nil, false
	l.tree.mu.Unlock()
	for _, a := range answers {
		a.done(a.err)
	}
}

// refuseAllLocked ends writing: what waits is not sent, what is under way is not waited for.
func (l *OffsetLane) refuseAllLocked(phase lanePhase) {
	l.mu.phase = phase
	for key, s := range l.mu.slots {
		for _, done := range append(s.flyers, s.waiters...) {
			l.answerLocked(done, coord.ErrNotCoordinator)
		}
		s.flyers, s.waiters, s.waiting = nil, nil, nil
		delete(l.mu.slots, key)
	}
	for _, r := range l.mu.reads {
		l.answerLocked(r.refuse, coord.ErrNotCoordinator)
	}
	l.mu.reads, l.mu.stalled = nil, nil
}

// answerLocked has done called on the shard's goroutine.
func (l *OffsetLane) answerLocked(done func(error), err error) {
	l.postLocked(outcome{done: done, err: err})
}

func (l *OffsetLane) postLocked(o outcome) {
	l.mu.answers = append(l.mu.answers, o)
	if !l.mu.draining {
		l.mu.draining = true
		l.post(l.drain)
	}
}

// drain runs on the shard's goroutine. If it never does, because the shard has ended, Close gives the answers.
func (l *OffsetLane) drain() {
	l.tree.mu.Lock()
	answers := l.mu.answers
	l.mu.answers, l.mu.draining = nil, false
	l.tree.mu.Unlock()
	for _, a := range answers {
		a.done(a.err)
	}
	l.tree.mu.Lock()
	defer l.tree.mu.Unlock()
	for _, a := range answers {
		if a.slot != nil {
			a.slot.unheard--
			a.slot.tidyLocked()
		}
	}
}

// checkLocked has the fence looked at.
func (l *OffsetLane) checkLocked() {
	l.mu.phase = checking
	if !l.mu.queued && l.mu.after == nil {
		l.mu.queued = true
		l.tree.mu.checks = append(l.tree.mu.checks, l)
		l.tree.mu.toWrite.Signal()
	}
}

var errStaleState = errors.New("the partition's state is older than our leadership")

// check finds the fence of a lane: the version of its partition's state, provided that it names us as leader. The next epoch is as
// good as ours: had somebody led in between, it would be two further on. On the way in a multi that changes nothing proves the
// fence; what this session reads after it is not older than that.
func (t *OffsetTree) check(ctx context.Context, l *OffsetLane) error {
	state, err := t.o.Store.PartitionState(ctx, l.tp)
	if err != nil && !errors.Is(err, zkstore.ErrNoNode) {
		return err
	}
	t.mu.Lock()
	epoch, proven := l.mu.epoch, l.mu.proven
	t.mu.Unlock()
	lost := err != nil || state.Leader != t.o.BrokerID || state.LeaderEpoch > epoch+1
	if state.LeaderEpoch < epoch && err == nil {
		return errStaleState // the server we read from lags behind
	}
	fence := zkstore.PartitionFence(l.tp, state.PartitionEpoch)
	if !lost && !proven {
		err := t.o.Store.WriteOffsets(ctx, []zkstore.Fence{fence}, nil)
		if err != nil {
			return err // refused, too: read again
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	l.mu.queued = false
	switch {
	case l.mu.phase != checking:
	case lost:
		l.logger.Info("offsets are no longer written: the partition has passed on", zap.Int32("leader_epoch", int32(epoch)),
			zap.Int32("leader", int32(state.Leader)), zap.Int32("new_leader_epoch", int32(state.LeaderEpoch)))
		l.refuseAllLocked(deposed)
	default:
		l.mu.phase, l.mu.fence, l.mu.proven = opened, fence, true
		for _, s := range l.mu.stalled {
			s.queued = false
			t.enqueueLocked(s)
		}
		for _, r := range l.mu.reads {
			t.readLocked(r.attempt)
		}
		l.mu.stalled, l.mu.reads = nil, nil
	}
	return nil
}
