package storage

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"go.uber.org/zap"
)

// idleInterval: files that nobody touched for one to two of these are closed.
const idleInterval = 30 * time.Second

// Run does the background work until ctx ends: flushing, retention, checkpoints, delayed deletion, closing of idle files,
// cleaning. It returns when all of it has ended.
func (m *Manager) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, d := range m.dirs {
		wg.Go(func() { m.flushQueued(ctx, d) })
	}
	wg.Go(func() { m.later.run(ctx) })
	every := func(interval time.Duration, task func()) {
		if interval <= 0 || interval > math.MaxInt64/4 {
			return
		}
		wg.Go(func() { m.every(ctx, interval, task) })
	}
	every(m.o.RetentionCheckInterval, m.retainAll)
	every(m.o.FlushCheckInterval, m.flushOverdue)
	every(m.o.FlushCheckpointInterval, func() { m.report("recovery points not written", m.eachLiveDir(m.checkpointRecoveryPoints)) })
	every(m.o.StartOffsetCheckpointInterval, func() { m.report("log start offsets not written", m.eachLiveDir(m.checkpointStartOffsets)) })
	every(m.o.ProducerIDExpirationCheckInterval, m.expireProducers)
	every(idleInterval, m.closeIdle)
	wg.Go(func() { m.cleaner.run(ctx) })
	wg.Wait()
	return nil
}

// every runs a task after the initial delay and then in intervals.
func (m *Manager) every(ctx context.Context, interval time.Duration, task func()) {
	timer := time.NewTimer(m.o.InitialDelay)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		task()
		timer.Reset(interval)
	}
}

// report logs an error nobody else hears of, unless it is that a directory is offline or full, which was logged then.
func (m *Manager) report(what string, err error) {
	if err != nil && !errors.Is(err, ErrDirOffline) && !errors.Is(err, ErrDiskFull) && !errors.Is(err, ErrDeleted) && !errors.Is(err, ErrClosed) {
		m.env.logger.Error(what, zap.Error(err))
	}
}

// minCheckpointGap is how far apart flushes of sealed segments write the recovery points down at least.
const minCheckpointGap = time.Second

// flushQueued makes the segments durable that were rolled, or recovered, in a directory, and writes the recovery points down, so that
// after a crash only what is not sealed has to be scanned, not all that was written since the last checkpoint's turn. One
// goroutine per directory: a slow disk does not hold up the others.
func (m *Manager) flushQueued(ctx context.Context, d *directory) {
	var written time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		}
		for l := range d.takeQueue() {
			if ctx.Err() != nil {
				return // Close flushes everything
			}
			m.report("flush failed", l.flushSealed())
		}
		if time.Since(written) >= minCheckpointGap {
			m.report("recovery points not written", m.checkpointRecoveryPoints(d))
			written = time.Now()
		}
	}
}

// retainAll runs retention on the logs the cleaner does not run it on.
func (m *Manager) retainAll() {
	for _, l := range m.list(false) {
		if !l.Config().Compact || !m.cleaner.config.Load().Enable {
			m.retain(l)
		}
	}
	for _, l := range m.list(true) {
		m.retain(l)
	}
}

// flushOverdue flushes the logs whose flush.ms has passed.
func (m *Manager) flushOverdue() {
	now := m.env.nowMs()
	for _, l := range m.all() {
		if c := l.Config(); now-l.lastFlushMs.Load() >= c.FlushMs && l.recoveryPoint.Load() < l.leo.Load() {
			m.report("flush failed", l.Flush())
		}
	}
}

func (m *Manager) expireProducers() {
	now := m.env.nowMs()
	for _, l := range m.all() {
		l.mu.Lock()
		l.mu.producers.expire(now, m.env.tuning.producerExpirationMs.Load())
		l.mu.Unlock()
	}
}

// closeIdle closes files nobody uses, and all of those in directories that are offline.
func (m *Manager) closeIdle() {
	for _, l := range m.all() {
		if l.Err() == nil {
			m.report("idle files not closed", l.closeIdle())
			continue
		}
		if l.mu.TryLock() { // a disk that hangs keeps it
			l.abandonLocked()
			l.mu.Unlock()
		}
	}
}
