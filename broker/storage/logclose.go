package storage

// close makes everything durable, leaves the files as a clean stop does, and ends the log.
func (l *Log) close() error {
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.Err(); err != nil {
		l.abandonLocked()
		return err
	}
	defer l.abandonLocked()
	l.end(ErrClosed)
	if l.mu.epochsDirty {
		if err := l.writeEpochFile(l.epochs.Load()); err != nil {
			return l.failed("write leader epochs", err)
		}
	}
	segs := *l.segments.Load()
	leo := l.leo.Load()
	active := segs[len(segs)-1]
	if err := active.seal(); err != nil {
		return l.failed("close", err)
	}
	if len(segs) == 1 && leo == 0 {
		// Nothing was ever written: a log that is gone after a power failure would be created again just as it is. A broker may
		// hold thousands of these, and each would cost four syncs.
		return nil
	}
	dirty := false
	for _, s := range segs {
		s.mu.Lock()
		dirty = dirty || s.unsynced
		s.mu.Unlock()
		if err := s.sync(true); err != nil {
			return l.failed("close", err)
		}
	}
	r := l.producerSourceLocked()
	written, err := r.snapshot(true)
	if err != nil {
		return l.failed("write producer snapshot", err)
	}
	if dirty || written {
		if err := l.env.fs.SyncDir(l.place.path()); err != nil {
			return l.failed("close", err)
		}
	}
	l.recoveryPoint.Store(leo)
	l.indexedTo.Store(leo)
	return nil
}

// abandonLocked closes the files without writing anything: the directory is offline, or the log is deleted. It needs mu.
func (l *Log) abandonLocked() {
	for _, s := range *l.segments.Load() {
		s.mu.Lock()
		if s.log != nil {
			s.log.release()
			s.log = nil
		}
		for _, x := range [...]*index{&s.offsets, &s.times} {
			if x.h != nil {
				x.h.release()
				x.h = nil
			}
		}
		s.removed = true
		s.mu.Unlock()
	}
}

// closeIdle closes the files of segments that nobody used since the last call.
func (l *Log) closeIdle() error {
	if l.Err() != nil {
		return nil
	}
	for _, s := range *l.segments.Load() {
		if _, err := s.idle(); err != nil {
			if r := (&retry{}); r.again(l, err) {
				return nil // removed meanwhile
			}
			return l.refused("write index", err)
		}
	}
	return nil
}
