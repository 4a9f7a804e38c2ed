package storage

import (
	"errors"
	"slices"

	"go.uber.org/zap"
)

// deleteOld deletes the segments that retention no longer wants, from the oldest on, and says how many: those below the
// log start offset, then by size, then by time. Without delete in the policy only the first.
func (l *Log) deleteOld() (int, error) {
	c := l.Config()
	rules := []retentionRule{{"log start offset", l.belowStart}}
	if c.Delete && c.RetentionBytes >= 0 {
		rules = append(rules, retentionRule{"retention.bytes", l.beyondBytes(c.RetentionBytes)})
	}
	if c.Delete && c.RetentionMs >= 0 {
		rules = append(rules, retentionRule{"retention.ms", l.beyondTime(c.RetentionMs)})
	}
	total := 0
	for _, r := range rules {
		n, err := l.deleteWhile(r)
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

// retentionRule says whether segment s may go; next is the one after it, nil if s is the active one.
type retentionRule struct {
	name   string
	allows func(s, next *segment) (bool, error)
}

func (l *Log) belowStart(_, next *segment) (bool, error) {
	return next != nil && next.base <= l.logStart.Load(), nil
}

// beyondBytes lets segments go while at least limit bytes remain.
func (l *Log) beyondBytes(limit int64) func(s, next *segment) (bool, error) {
	excess := l.Size() - limit
	return func(s, _ *segment) (bool, error) {
		if excess -= s.size.Load(); excess < 0 {
			return false, nil
		}
		return true, nil
	}
}

func (l *Log) beyondTime(ms int64) func(s, next *segment) (bool, error) {
	now := l.env.nowMs()
	return func(s, _ *segment) (bool, error) {
		largest, err := s.largestOrModified()
		return now-largest > ms, err
	}
}

// deleteWhile deletes segments from the oldest on while the rule allows it and everything in them is committed.
func (l *Log) deleteWhile(r retentionRule) (int, error) {
	if err := l.Err(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	segs, leo, generation := *l.segments.Load(), l.leo.Load(), l.mu.generation
	l.mu.Unlock()
	// Without the lock: the rule may read files.
	n, err := l.countDeletable(segs, leo, r)
	if err != nil {
		if again := (&retry{}); again.again(l, err) {
			return 0, nil // truncated meanwhile; next time
		}
		return 0, l.readFailed("look at segments for retention", err)
	}
	if n == 0 {
		return 0, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.Err(); err != nil {
		return 0, err
	}
	now := *l.segments.Load()
	if l.mu.generation != generation || len(now) < n || !slices.Equal(now[:n], segs[:n]) || l.hw.Load() < endOf(now, n-1, l.leo.Load()) {
		return 0, nil // changed meanwhile; next time
	}
	if n == len(segs) && l.leo.Load() != leo {
		return 0, nil // the rule was asked about the active segment as it was before the last append
	}
	if n == len(now) {
		// There is always an active segment.
		_, err := l.rollLocked(l.leo.Load())
		switch {
		case errors.Is(err, ErrDiskFull) && n > 1:
			n-- // the others make room for it
		case err != nil:
			return 0, err
		}
		now = *l.segments.Load()
	}
	return n, l.dropOldestLocked(now, n, r.name)
}

func (l *Log) countDeletable(segs []*segment, leo int64, r retentionRule) (int, error) {
	for i, s := range segs {
		var next *segment
		if i+1 < len(segs) {
			next = segs[i+1]
		} else if s.size.Load() == 0 {
			return i, nil
		}
		if l.hw.Load() < endOf(segs, i, leo) {
			return i, nil
		}
		ok, err := r.allows(s, next)
		if err != nil || !ok {
			return i, err
		}
	}
	return len(segs), nil
}

// dropOldestLocked removes the first n segments, fewer than all. It needs mu.
func (l *Log) dropOldestLocked(segs []*segment, n int, why string) error {
	// The start offset first: nobody may be told of offsets that are going.
	l.advanceStartLocked(segs[n].base)
	l.mu.generation++
	gone := segs[:n:n]
	l.publish(slices.Clone(segs[n:]))
	if err := l.removeSegmentsLocked(gone, why); err != nil {
		return err
	}
	src := l.producerSourceLocked()
	err := src.removeSnapshots(func(o int64) bool {
		i := floorSegment(gone, o)
		return i >= 0 && gone[i].base == o
	})
	if err != nil {
		return l.failed("remove producer snapshots", err)
	}
	return nil
}

// retain runs retention on one log and reports what no caller is there to hear of.
func (m *Manager) retain(l *Log) {
	if _, err := l.deleteOld(); err != nil && !errors.Is(err, ErrDirOffline) && !errors.Is(err, ErrDiskFull) && !errors.Is(err, ErrDeleted) && !errors.Is(err, ErrClosed) {
		l.logger().Error("retention failed", zap.Error(err))
	}
}
