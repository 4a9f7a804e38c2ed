package transport

import (
	"context"
	"sync"
)

// A budget bounds the bytes of requests that are in memory (queued.max.request.bytes). As in Kafka a request gets in as
// long as anything is left, so one larger than the rest, or than all, is not stuck; nobody else gets in until it is gone.
type budget struct {
	limit int64 // zero or negative: none

	mu struct {
		sync.Mutex
		used  int64
		freed chan struct{} // closed when bytes were freed, then replaced; nil while nobody waits
	}
}

// take waits for room. It is false if the ctx ended or stop was closed before.
func (b *budget) take(ctx context.Context, stop <-chan struct{}, n int) bool {
	if b.limit <= 0 {
		return true
	}
	for {
		b.mu.Lock()
		if b.mu.used < b.limit {
			b.mu.used += int64(n)
			b.mu.Unlock()
			return true
		}
		if b.mu.freed == nil {
			b.mu.freed = make(chan struct{})
		}
		freed := b.mu.freed
		b.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return false
		case <-stop:
			return false
		}
	}
}

func (b *budget) giveBack(n int) {
	if b.limit <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.used -= int64(n)
	if b.mu.freed != nil {
		close(b.mu.freed)
		b.mu.freed = nil
	}
}

// inUse is how many bytes are taken, 0 without a limit: nobody counts then.
func (b *budget) inUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.used
}
