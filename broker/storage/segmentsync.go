package storage

import "time"

// sync makes the records durable, with indexes also those: what is needed before the recovery point may pass the
// segment.
func (s *segment) sync(indexes bool) error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	var files [4]toSync
	todo, err := s.beginSync(files[:0], indexes)
	if len(todo) == 0 {
		return err
	}
	started := time.Now()
	defer func() { s.env.metrics.flush.Took(time.Since(started)) }()
	for _, f := range todo {
		if err == nil {
			if err = f.h.Sync(); err != nil {
				err = &syncError{ioError("sync", fileName(s.base, f.suffix), err)}
			}
		}
		f.h.release()
	}
	return err
}

// toSync is a file about to be synced, with a reference.
type toSync struct {
	h      *handle
	suffix string
}

// beginSync writes out what is in memory only and returns the files to be synced, which count as synced from then on. If there
// is no room for it nothing does.
func (s *segment) beginSync(todo []toSync, indexes bool) ([]toSync, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removed {
		return nil, nil
	}
	add := func(h *handle, suffix string) { todo = append(todo, toSync{h, suffix}) }
	err := func() error {
		if s.unsynced {
			h, err := s.acquireLocked()
			if err != nil {
				return err
			}
			add(h, logSuffix)
		}
		if !indexes {
			return nil
		}
		for _, x := range [...]struct {
			*index
			suffix string
		}{{&s.offsets, indexSuffix}, {&s.times, timeIndexSuffix}} {
			if !x.unsynced {
				continue
			}
			if err := s.writeIndexLocked(x.index, x.suffix); err != nil {
				return err
			}
			if err := s.openIndexLocked(x.index, x.suffix); err != nil {
				return err
			}
			add(x.h.retain(), x.suffix)
		}
		if err := s.writeTxnsLocked(); err != nil {
			return err
		}
		if s.txns.unsynced {
			h, err := s.openLocked(txnIndexSuffix)
			if err != nil {
				return err
			}
			add(h, txnIndexSuffix)
		}
		return nil
	}()
	if err != nil {
		for _, f := range todo {
			f.h.release()
		}
		return nil, err
	}
	s.unsynced = false
	if indexes {
		s.offsets.unsynced, s.times.unsynced, s.txns.unsynced = false, false, false
	}
	return todo, nil
}
