package replica

import (
	"math"
	"sync"
	"sync/atomic"
)

// waiter is a wake-up signal for one waiting request. It carries no news: the woken goroutine looks again.
type waiter struct {
	// c is sent to by whoever moves an offset or changes a role, received by the one waiting goroutine, never closed.
	// Capacity 1: a wake-up that is already pending says all that a second one would.
	c chan struct{}
}

func newWaiter() *waiter { return &waiter{c: make(chan struct{}, 1)} }

func (w *waiter) wake() {
	select {
	case w.c <- struct{}{}:
	default:
	}
}

// waitlist holds who waits for one offset of one partition (log end, high watermark or last stable offset) to reach a value.
// Appends pass through it at full speed: as long as nobody waits for an offset below theirs it costs one atomic load.
//
// A waiter registers first and looks at the offset afterwards, so that no move in between is missed.
type waitlist struct {
	// lowest is the smallest offset anybody waits for; math.MaxInt64 if nobody waits. Written under mu.
	lowest atomic.Int64
	mu     struct {
		sync.Mutex
		waiting map[*waiter]int64
	}
}

// init must be called before first use: nobody waits.
func (l *waitlist) init() { l.lowest.Store(math.MaxInt64) }

// add makes w wake once the offset has reached at. Adding w again replaces its offset.
func (l *waitlist) add(w *waiter, at int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.waiting == nil {
		l.mu.waiting = make(map[*waiter]int64)
	}
	l.mu.waiting[w] = at
	l.settleLocked()
}

// remove forgets w, woken or not.
func (l *waitlist) remove(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, waits := l.mu.waiting[w]; waits {
		delete(l.mu.waiting, w)
		l.settleLocked()
	}
}

// reached wakes and forgets all who wait for offset or less.
func (l *waitlist) reached(offset int64) {
	if offset < l.lowest.Load() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for w, at := range l.mu.waiting {
		if at <= offset {
			delete(l.mu.waiting, w)
			w.wake()
		}
	}
	l.settleLocked()
}

// wakeAll wakes and forgets everybody, because the partition's role changed and they must look again.
func (l *waitlist) wakeAll() { l.reached(math.MaxInt64) }

// settleLocked sets lowest again; mu is held. Few wait for one partition at a time, so a scan beats a heap.
func (l *waitlist) settleLocked() {
	lowest := int64(math.MaxInt64)
	for _, at := range l.mu.waiting {
		lowest = min(lowest, at)
	}
	if len(l.mu.waiting) == 0 {
		l.mu.waiting = nil // an idle partition keeps no map
	}
	l.lowest.Store(lowest)
}
