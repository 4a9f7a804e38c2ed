package replica

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/storage"
)

// movers copies replicas between log directories (ReplicaAlterLogDirsManager.scala): a fixed number of workers, each with one
// replica at a time, which it stays with until it has moved, so that as few as possible are half done. The first by name goes first.
type movers struct {
	m       *Manager
	workers int

	// mu is a leaf.
	mu struct {
		sync.Mutex
		waiting []*move // by partition
		// changed is closed and replaced when waiting gets longer; workers receive.
		changed chan struct{}
	}
}

func newMovers(m *Manager) *movers {
	ms := &movers{m: m, workers: max(1, m.cfg.Movers)}
	ms.mu.changed = make(chan struct{})
	return ms
}

// run lets the workers work until ctx ends.
func (ms *movers) run(ctx context.Context) {
	var wg sync.WaitGroup
	for range ms.workers {
		wg.Go(func() { ms.work(ctx) })
	}
	wg.Wait()
}

// add has a move made, sooner or later.
func (ms *movers) add(mv *move) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	i, _ := slices.BinarySearchFunc(ms.mu.waiting, mv, func(a, b *move) int { return a.p.tp.Compare(b.p.tp) })
	ms.mu.waiting = slices.Insert(ms.mu.waiting, i, mv)
	close(ms.mu.changed)
	ms.mu.changed = make(chan struct{})
}

// take returns the first move that is due; without one, how long until one is (negative: none is waiting), and what to wait for.
func (ms *movers) take(now time.Time) (mv *move, wait time.Duration, changed <-chan struct{}) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	wait = -1
	for i, mv := range ms.mu.waiting {
		left := mv.until.Sub(now)
		if left <= 0 {
			ms.mu.waiting = slices.Delete(ms.mu.waiting, i, i+1)
			return mv, 0, nil
		}
		if wait < 0 || left < wait {
			wait = left
		}
	}
	return nil, wait, ms.mu.changed
}

func (ms *movers) work(ctx context.Context) {
	var buf []byte
	for ctx.Err() == nil {
		mv, wait, changed := ms.take(ms.m.clock())
		if mv != nil {
			buf = ms.make(ctx, mv, buf)
			continue
		}
		var due <-chan time.Time
		if wait >= 0 {
			due = time.After(wait)
		} else {
			buf = nil
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-due:
		}
	}
}

// fullDiskRetry is how long a move rests whose target has no room. Others go on meanwhile.
const fullDiskRetry = 30 * time.Second

// make works on a move until it is over, or something is in its way.
func (ms *movers) make(ctx context.Context, mv *move, buf []byte) []byte {
	quota := ms.m.moveQuota
	log := ms.m.logger.With(zap.String("topic", mv.p.tp.Topic), zap.Int32("partition", mv.p.tp.Partition), zap.String("dir", mv.to.Dir()))
	log.Info("moving a replica to another log directory", zap.String("from", mv.from.Dir()), zap.Int64("offset", mv.to.LogEndOffset()),
		zap.Int64("leo", mv.from.LogEndOffset()))
	for ctx.Err() == nil {
		if wait := quota.Delay(ms.m.clock()); wait > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
			continue
		}
		n, caughtUp, err := 0, false, error(nil)
		n, caughtUp, buf, err = mv.step(buf)
		quota.Record(n, ms.m.clock())
		if err == nil && caughtUp {
			n, buf, err = mv.finish(buf)
			quota.Record(n, ms.m.clock())
			if err == nil {
				return buf
			}
		}
		switch {
		case err == nil, errors.Is(err, errNotYet):
		case errors.Is(err, errMoveEnded), errors.Is(err, storage.ErrDeleted), errors.Is(err, storage.ErrClosed):
			log.Info("the move has ended")
			return buf
		case errors.Is(err, storage.ErrDiskFull):
			log.Warn("no room to move the replica to; trying again later", zap.Duration("pause", fullDiskRetry), zap.Error(err))
			mv.until = ms.m.clock().Add(fullDiskRetry)
			ms.add(mv)
			return buf
		default:
			mv.failed.Store(true)
			log.Error("the replica is not moved any further, until the partition's leader is named again", zap.Int64("offset", mv.to.LogEndOffset()),
				zap.Int64("leo", mv.from.LogEndOffset()), zap.Error(err))
			return buf
		}
	}
	return buf
}
