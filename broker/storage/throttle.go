package storage

import (
	"context"
	"sync"
	"time"
)

// throttle holds several workers together to a number of bytes per second.
type throttle struct {
	perSecond float64
	mu        sync.Mutex
	free      time.Time // when what was granted so far is used up
}

// newThrottle returns nil, which does not limit, if perSecond is not a limit.
func newThrottle(perSecond float64) *throttle {
	if perSecond <= 0 || perSecond > 1<<50 {
		return nil
	}
	return &throttle{perSecond: perSecond}
}

// wait lets n bytes pass, at the latest when ctx ends.
func (t *throttle) wait(ctx context.Context, n int) error {
	if t == nil || n == 0 {
		return nil
	}
	now := time.Now()
	t.mu.Lock()
	if t.free.Before(now) {
		t.free = now
	}
	delay := t.free.Sub(now)
	t.free = t.free.Add(time.Duration(float64(n) / t.perSecond * float64(time.Second)))
	t.mu.Unlock()
	if delay <= 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
