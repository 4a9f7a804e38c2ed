package storage

import (
	"fmt"
	"slices"

	"go.uber.org/zap"
)

// TruncateTo drops everything from offset on; batches that straddle it go whole, the log end offset becomes offset all
// the same. The high watermark comes down with it. It says whether anything was dropped.
func (l *Log) TruncateTo(offset int64) (bool, error) {
	if offset < 0 {
		return false, fmt.Errorf("truncate %s to %d: %w", l.tp, offset, ErrOffsetOutOfRange)
	}
	l.flushMu.Lock() // a flush in progress would set the recovery point of before
	defer l.flushMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.Err(); err != nil {
		return false, err
	}
	if leo := l.leo.Load(); offset >= leo {
		// An epoch that began here as leader but never wrote may contradict what the new leader has.
		return false, l.cutEpochsLocked(leo)
	}
	l.logger().Info("truncating", zap.Int64("offset", offset), zap.Int64("leo", l.leo.Load()))
	segs := *l.segments.Load()
	if segs[0].base > offset {
		return true, l.startOverLocked(offset)
	}
	history := *l.epochs.Load()
	shorter := history.truncateFromEnd(offset)
	if shorter {
		if err := l.stageEpochs(&history); err != nil {
			return false, err
		}
	}
	if err := l.lowerCheckpointsLocked(offset); err != nil {
		return false, err
	}
	l.mu.generation++
	l.lowerTo(offset)
	keep := floorSegment(segs, offset) + 1
	last := segs[keep-1]
	l.publish(segs[:keep:keep])
	if keep < len(segs) {
		// From the end, so that a crash leaves no hole.
		removed := slices.Clone(segs[keep:])
		slices.Reverse(removed)
		if err := l.removeSegmentsLocked(removed, "truncation"); err != nil {
			return false, err
		}
	}
	if err := last.truncate(offset); err != nil {
		return false, l.failed("truncate", err)
	}
	// Before anything new is written: old segments, or an old tail behind new batches, must not come back.
	if err := l.env.fs.SyncDir(l.place.path()); err != nil {
		return false, l.failed("truncate", err)
	}
	if shorter {
		if err := l.commitEpochsLocked(&history); err != nil {
			return false, err
		}
	}
	l.indexedTo.Store(min(l.indexedTo.Load(), last.base))
	if err := l.reloadProducersLocked(offset); err != nil {
		return false, err
	}
	return true, nil
}

// TruncateFullyAndStartAt drops everything and begins anew at offset.
func (l *Log) TruncateFullyAndStartAt(offset int64) error {
	if offset < 0 {
		return fmt.Errorf("start %s at %d: %w", l.tp, offset, ErrOffsetOutOfRange)
	}
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.Err(); err != nil {
		return err
	}
	l.logger().Info("dropping the whole log", zap.Int64("new_start", offset), zap.Int64("leo", l.leo.Load()))
	return l.startOverLocked(offset)
}

// startOverLocked needs flushMu and mu.
func (l *Log) startOverLocked(offset int64) error {
	if err := l.stageEpochs(&epochs{}); err != nil {
		return err
	}
	if err := l.lowerCheckpointsLocked(offset); err != nil {
		return err
	}
	l.mu.generation++
	l.lowerTo(offset)
	removed := slices.Clone(*l.segments.Load())
	slices.Reverse(removed)
	if err := l.removeSegmentsLocked(removed, "start over"); err != nil {
		return err
	}
	fresh, err := createSegment(l.env, l.place, offset, l.Config(), "")
	if err != nil {
		return l.failed("create segment", err)
	}
	l.publish([]*segment{fresh})
	if err := l.env.fs.SyncDir(l.place.path()); err != nil {
		return l.failed("start over", err)
	}
	l.hwMu.Lock()
	l.leo.Store(offset)
	l.logStart.Store(offset)
	l.hw.Store(offset)
	l.hwMu.Unlock()
	l.recoveryPoint.Store(offset)
	l.indexedTo.Store(offset)
	if err := l.commitEpochsLocked(&epochs{}); err != nil {
		return err
	}
	r := l.producerSourceLocked()
	if err := r.removeSnapshots(func(int64) bool { return true }); err != nil {
		return l.failed("remove producer snapshots", err)
	}
	l.txns.clear()
	l.mu.producers = producers{end: offset}
	if err := r.trySnapshot(); err != nil {
		return l.failed("write producer snapshot", err)
	}
	return nil
}

// lowerTo brings the offsets down before the data goes, so that nobody is told to read what is being cut.
func (l *Log) lowerTo(offset int64) {
	l.hwMu.Lock()
	defer l.hwMu.Unlock()
	l.leo.Store(min(l.leo.Load(), offset))
	l.hw.Store(min(l.hw.Load(), offset))
}

// cutEpochsLocked drops the epochs that begin at or after end, durably: followed by appends of an older epoch they
// would be believed after a crash. It needs mu.
func (l *Log) cutEpochsLocked(end int64) error {
	e := *l.epochs.Load()
	if !e.truncateFromEnd(end) {
		return nil
	}
	return l.writeEpochsLocked(&e)
}

// lowerCheckpointsLocked makes it durable that nothing from offset on is safe, nor clean, nor below the log start offset.
// Otherwise the checkpoints of before would, after a crash, vouch for what was written in place of what is cut now, or
// have all of it dropped as deleted. It needs mu.
func (l *Log) lowerCheckpointsLocked(offset int64) error {
	if l.env.truncated != nil {
		if err := l.env.truncated(l, offset); err != nil {
			return err
		}
	}
	if old := l.logStart.Load(); old > offset {
		l.logStart.Store(offset)
		if l.env.checkpointLogStart != nil {
			if err := l.env.checkpointLogStart(l); err != nil {
				l.logStart.Store(old)
				return err
			}
		}
	}
	old := l.recoveryPoint.Load()
	if old <= offset {
		return nil
	}
	l.recoveryPoint.Store(offset)
	err := l.checkpointRecoveryPointLocked()
	if err != nil {
		l.recoveryPoint.Store(old) // the file says so still, and the next attempt must see it
	}
	return err
}

func (l *Log) checkpointRecoveryPointLocked() error {
	if l.env.checkpointRecoveryPoint == nil {
		return nil
	}
	return l.env.checkpointRecoveryPoint(l)
}

// reloadProducersLocked brings the producer state back to offset. It needs mu.
func (l *Log) reloadProducersLocked(offset int64) error {
	r := l.producerSourceLocked()
	// The snapshots of the removed segments are among those above offset.
	if err := r.rebuild(offset, false); err != nil {
		return l.failed("rebuild producer state", err)
	}
	return nil
}

// truncate cuts the segment before the first batch that reaches offset, and makes it the active one.
func (s *segment) truncate(offset int64) error {
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer h.release()
	b, ok, err := s.locate(h, offset, 0)
	if err != nil {
		return err
	}
	if err := s.cutTxns(offset); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent = nil
	if err := s.cutOffsetsLocked(offset); err != nil {
		return err
	}
	if err := s.cutTimesLocked(offset); err != nil {
		return err
	}
	s.active = true
	s.sinceIndex = 0
	if ok {
		s.size.Store(b.pos)
		if err := h.Truncate(b.pos); err != nil {
			return ioError("truncate", fileName(s.base, logSuffix), err)
		}
		if err := h.Sync(); err != nil {
			return ioError("sync", fileName(s.base, logSuffix), err)
		}
	}
	if s.size.Load() == 0 {
		s.createdMs = s.env.nowMs()
		s.firstTs, s.firstKnown = -1, true
	}
	return s.rescanMaxLocked(h)
}

// rescanMaxLocked finds the largest timestamp anew: the last time index entry, or a batch after it.
func (s *segment) rescanMaxLocked(h *handle) error {
	last, err := s.lastTimeLocked()
	if err != nil {
		return err
	}
	s.max, s.maxKnown = last, true
	v, err := s.viewLocked(&s.offsets, indexSuffix)
	if err != nil {
		return err
	}
	defer v.release()
	f, err := v.search(byOffset, last.offset-s.base)
	if err != nil {
		return err
	}
	pos := int64(0)
	if f.has {
		pos = s.decodeOffset(f.at[:]).position
	}
	sc := newScanner(h, pos, s.size.Load(), scanBuffer)
	defer sc.close()
	for sc.next() {
		if sc.h.MaxTimestamp > s.max.timestamp {
			s.max = timed{sc.h.MaxTimestamp, sc.h.LastOffset()}
		}
	}
	return sc.err
}
