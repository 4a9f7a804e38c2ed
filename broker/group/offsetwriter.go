package group

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// OffsetValue is what the tree is to say of a partition: an offset with its details, or nothing.
type OffsetValue struct {
	Offset  int64
	Details zkstore.OffsetDetails
	Delete  bool
}

// TreeOffset is what is known of a partition's znodes.
type TreeOffset struct {
	Unknown    bool // and the rest says nothing
	Exists     bool
	HasDetails bool
	Details    zkstore.OffsetDetails
}

// after is what is known once v was written.
func after(v OffsetValue) TreeOffset {
	if v.Delete {
		return TreeOffset{Details: zkstore.NoOffsetDetails()}
	}
	return TreeOffset{Exists: true, HasDetails: v.Details != zkstore.NoOffsetDetails(), Details: v.Details}
}

type slotKey struct {
	group string
	tp    meta.TopicPartition
}

// slot is one partition of a group with something to be written, or under way. It is guarded by OffsetTree.mu.
//
// It is in its lane's table as long as it knows more of the tree than the shard does: while there is something to be written, and
// until the shard has been told what was.
type slot struct {
	lane *OffsetLane
	key  slotKey

	waiting *OffsetValue  // to be sent; the newest
	waiters []func(error) // to be answered when it, or something newer, is durable
	flying  *OffsetValue  // sent
	flyers  []func(error)

	known   TreeOffset
	queued  bool // in the tree's queue or its lane's stalled
	unheard int  // answers that the shard has not been given yet
}

// enqueueLocked puts a slot in line, once.
func (t *OffsetTree) enqueueLocked(s *slot) {
	if s.queued || s.flying != nil || s.waiting == nil {
		return
	}
	s.queued = true
	if s.lane.mu.phase != opened {
		s.lane.mu.stalled = append(s.lane.mu.stalled, s)
		return
	}
	t.mu.queue = append(t.mu.queue, s)
	t.mu.toWrite.Signal()
}

// A request has at most so many partitions, and about so many bytes: larger ones take ZooKeeper longer than they save.
const (
	maxGathered      = 256
	maxGatheredBytes = 256 << 10
)

// load is one request.
type load struct {
	lanes  []*OffsetLane
	fences []zkstore.Fence // of lanes
	slots  []*slot
	writes []zkstore.OffsetWrite // of slots
}

// write is a writer's life.
func (t *OffsetTree) write(ctx context.Context) {
	var pause backoff
	for {
		l, lane := t.take()
		var err error
		switch {
		case lane != nil:
			if err = t.check(ctx, lane); err != nil {
				t.checkAgain(lane)
			}
		case l != nil:
			err = t.send(ctx, l)
		default:
			return
		}
		if ctx.Err() != nil {
			continue // take will say so
		}
		if err == nil {
			pause.reset()
			continue
		}
		t.o.Logger.Warn("ZooKeeper did not take offsets, trying again", zap.Error(err))
		pause.wait(ctx)
	}
}

// take waits for something to do: a request to send, or a fence to look at. Neither: the tree has stopped.
func (t *OffsetTree) take() (*load, *OffsetLane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		if t.mu.stopped {
			return nil, nil
		}
		if len(t.mu.checks) > 0 {
			lane := t.mu.checks[0]
			t.mu.checks = t.mu.checks[1:]
			return nil, lane
		}
		if l := t.gatherLocked(); l != nil {
			return l, nil
		}
		t.mu.toWrite.Wait()
	}
}

// gatherLocked takes what has waited longest into one request.
func (t *OffsetTree) gatherLocked() *load {
	var l load
	carried := map[*OffsetLane]bool{}
	size, taken := 0, 0
	for _, s := range t.mu.queue {
		if len(l.slots) == maxGathered {
			break
		}
		lane := s.lane
		switch lane.mu.phase {
		case opened:
		case checking: // since the slot was put in line
			lane.mu.stalled = append(lane.mu.stalled, s)
			taken++
			continue
		default: // refused already
			s.queued = false
			taken++
			continue
		}
		w := s.request()
		if size += w.Size(); size > maxGatheredBytes && len(l.slots) > 0 {
			break
		}
		taken++
		s.queued = false
		s.flying, s.flyers, s.waiting, s.waiters = s.waiting, s.waiters, nil, nil
		l.slots, l.writes = append(l.slots, s), append(l.writes, w)
		if !carried[lane] {
			carried[lane] = true
			lane.mu.underWay++
			l.lanes, l.fences = append(l.lanes, lane), append(l.fences, lane.mu.fence)
		}
	}
	clear(t.mu.queue[:taken])
	if t.mu.queue = t.mu.queue[taken:]; len(t.mu.queue) == 0 {
		t.mu.queue = nil // let the array go
	}
	if len(l.slots) == 0 {
		return nil
	}
	if len(t.mu.queue) > 0 {
		t.mu.toWrite.Signal()
	}
	return &l
}

// request is what has to be written for a slot's waiting value.
func (s *slot) request() zkstore.OffsetWrite {
	w := zkstore.OffsetWrite{Group: s.key.group, TopicPartition: s.key.tp, Offset: s.waiting.Offset, Delete: s.waiting.Delete,
		Exists: s.known.Exists, DetailsExist: s.known.HasDetails, Unknown: s.known.Unknown}
	if !w.Delete && (s.known.Unknown || s.waiting.Details != s.known.Details) {
		w.Details = &s.waiting.Details
	}
	return w
}

// send makes a request and deals with its outcome. An error means that it is unknown, and is being sent again.
func (t *OffsetTree) send(ctx context.Context, l *load) error {
	began := time.Now()
	err := t.o.Store.WriteOffsets(ctx, l.fences, l.writes)
	t.o.Metrics.sent(len(l.slots), time.Since(began), err)
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.landedLocked(l)
	refused := (*zkstore.RefusedWrite)(nil)
	switch {
	case err == nil:
		for _, s := range l.slots {
			s.durableLocked()
		}
		return nil
	case errors.As(err, &refused) && refused.Fence >= 0:
		if lane := l.lanes[refused.Fence]; lane.mu.phase == opened && lane.mu.fence == l.fences[refused.Fence] {
			lane.checkLocked()
		}
		err = nil
	case errors.As(err, &refused):
		l.slots[refused.Write].refusedLocked(refused.Err)
		err = nil
	}
	var front []*slot
	for _, s := range l.slots {
		if s.againLocked(err == nil) {
			front = append(front, s)
		}
	}
	t.mu.queue = append(front, t.mu.queue...)
	t.mu.toWrite.Signal()
	return err
}

// durableLocked notes that what was under way is in the tree.
func (s *slot) durableLocked() {
	if s.orphanedLocked() {
		return
	}
	s.answerLocked(nil)
	s.known = after(*s.flying)
	s.landLocked()
}

// refusedLocked tells those who wait that their value cannot be written: it is not the fence that is in the way.
func (s *slot) refusedLocked(err error) {
	if s.orphanedLocked() {
		return
	}
	s.answerLocked(err)
	s.known.Unknown = true
	s.landLocked()
}

// orphanedLocked reports whether the lane was deposed or closed while the slot was under way: its waiters were answered then, and if
// the lane lives again, the partition has another slot.
func (s *slot) orphanedLocked() bool { return s.lane.mu.slots[s.key] != s }

func (s *slot) landLocked() {
	s.flying, s.flyers = nil, nil
	s.lane.tree.enqueueLocked(s)
	s.tidyLocked()
}

// answerLocked tells those whose value, or an older one, was under way.
func (s *slot) answerLocked(err error) {
	for _, done := range s.flyers {
		s.unheard++
		s.lane.postLocked(outcome{done, err, s})
	}
}

// tidyLocked forgets a slot that has nothing to say any more.
func (s *slot) tidyLocked() {
	if s.waiting == nil && s.flying == nil && s.unheard == 0 && !s.orphanedLocked() {
		delete(s.lane.mu.slots, s.key)
	}
}

// againLocked takes back what was under way, unless there is something newer by now, and says whether to put the slot first in line.
// nothingDone is false when the outcome is unknown.
func (s *slot) againLocked(nothingDone bool) bool {
	if s.flying == nil || s.orphanedLocked() { // refused, and dealt with; or answered
		return false
	}
	s.known.Unknown = s.known.Unknown || !nothingDone
	if s.waiting == nil {
		s.waiting = s.flying
	}
	s.waiters = append(s.flyers, s.waiters...)
	s.flying, s.flyers = nil, nil
	if s.lane.mu.phase != opened {
		s.lane.tree.enqueueLocked(s)
		return false
	}
	s.queued = true
	return true
}

// landedLocked lets those go on who waited for a request to land.
func (t *OffsetTree) landedLocked(l *load) {
	for _, lane := range l.lanes {
		if lane.mu.underWay--; lane.mu.underWay > 0 {
			continue
		}
		if next := t.mu.lanes[lane.tp.Partition]; next.mu.after == lane {
			next.mu.after = nil
			if next.mu.phase == checking {
				next.checkLocked()
			}
		}
	}
}

// checkAgain puts a lane back whose fence could not be looked at.
func (t *OffsetTree) checkAgain(l *OffsetLane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.mu.queued = false
	if l.mu.phase == checking {
		l.checkLocked()
	}
}

// readLocked has f called by a reader.
func (t *OffsetTree) readLocked(f func(context.Context)) {
	t.mu.reads = append(t.mu.reads, f)
	t.mu.toRead.Signal()
}

// read is a reader's life.
func (t *OffsetTree) read(ctx context.Context) {
	for {
		t.mu.Lock()
		for len(t.mu.reads) == 0 && !t.mu.stopped {
			t.mu.toRead.Wait()
		}
		if t.mu.stopped {
			t.mu.Unlock()
			return
		}
		f := t.mu.reads[0]
		t.mu.reads[0] = nil
		t.mu.reads = t.mu.reads[1:]
		t.mu.Unlock()
		f(ctx)
	}
}
