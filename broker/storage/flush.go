package storage

import (
	"errors"
	"io/fs"
	"math"
)

// Flush makes everything appended so far durable.
func (l *Log) Flush() error {
	if err := l.Err(); err != nil {
		return err
	}
	return l.flushTo(l.leo.Load())
}

// flushIfDue is flush.messages: acknowledged means synced then.
func (l *Log) flushIfDue(leo int64) error {
	if c := l.Config(); c.FlushMessages == math.MaxInt64 || leo-l.recoveryPoint.Load() < c.FlushMessages {
		return nil
	}
	return l.flushTo(leo)
}

// flushTo makes everything below offset durable and moves the recovery point there. What was appended meanwhile goes
// along, so of several that wait for flushMu the first does the work of all.
//
// Sealed segments are synced with their indexes; of the active one only the records, because recovery rebuilds the
// indexes of the segment the recovery point lies in.
func (l *Log) flushTo(offset int64) error {
	if l.recoveryPoint.Load() >= offset && l.indexedTo.Load() >= l.active().base {
		return nil
	}
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	if err := l.Err(); err != nil {
		return err
	}
	// The end first: what lies below it is in the segments read next.
	leo := l.leo.Load()
	segs := *l.segments.Load()
	active := segs[len(segs)-1].base
	target := active
	if offset > active {
		target = leo
	}
	from, rp := l.indexedTo.Load(), l.recoveryPoint.Load()
	if rp >= target && from >= active {
		return nil
	}
	todo := segs
	for len(todo) > 1 && todo[1].base <= min(rp, from) {
		todo = todo[1:]
	}
	if target == active {
		todo = todo[:len(todo)-1]
	}
	if err := l.syncSegments(todo, false); err != nil {
		return err
	}
	if err := l.Err(); err != nil {
		return err // the directory failed meanwhile, and closed files count as synced
	}
	raise(&l.indexedTo, active)
	raise(&l.recoveryPoint, target)
	l.lastFlushMs.Store(l.env.nowMs())
	return nil
}

// syncSegments makes segments durable, with the indexes of all but the active one or, if sealed, of all.
func (l *Log) syncSegments(segs []*segment, sealed bool) error {
	active, rp := l.active(), l.recoveryPoint.Load()
	syncDir := false
	for _, s := range segs {
		if err := s.sync(sealed || s != active); err != nil {
			return l.refused("flush", err)
		}
		syncDir = syncDir || s.base >= rp
	}
	if !syncDir {
		return nil
	}
	if err := l.env.fs.SyncDir(l.place.path()); err != nil {
		return l.failed("flush directory", err)
	}
	return nil
}

// flushSealed is the background's part: the segments below the active one, the producer snapshots, the epoch file.
func (l *Log) flushSealed() error {
	l.mu.Lock()
	if err := l.Err(); err != nil {
		l.mu.Unlock()
		return err
	}
	snapshots := l.mu.snapshots
	l.mu.snapshots = nil
	var err error
	if l.mu.epochsDirty {
		err = l.writeEpochsLocked(l.epochs.Load())
	}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	for _, offset := range snapshots {
		l.place.moving.RLock()
		f, err := l.env.fs.Open(l.place.file(fileName(offset, snapshotSuffix)))
		l.place.moving.RUnlock()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			if err = f.Sync(); err != nil {
				err = &syncError{err}
			}
			_ = f.Close()
		}
		if err != nil {
			return l.failed("flush producer snapshot", err)
		}
	}
	return l.flushTo(l.active().base)
}

// checkpointableRecoveryPoint is the recovery point as it may be written down: every segment below the one it lies in
// has durable indexes.
func (l *Log) checkpointableRecoveryPoint() int64 {
	indexed := l.indexedTo.Load()
	rp := l.recoveryPoint.Load()
	segs := *l.segments.Load()
	if i := floorSegment(segs, rp); i >= 0 && segs[i].base > indexed {
		return min(rp, indexed)
	}
	return rp
}
