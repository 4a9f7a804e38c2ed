package replica

import (
	"math"
	"sync"
	"sync/atomic"
)

// waiter is a request that waits. It is told which of its waits came true, not what happened: the woken goroutine looks
// again.
type waiter struct {
	// c is sent to by whoever moves an offset or changes a role, received by the one waiting goroutine, never closed.
	// Capacity 1: a wake-up that is already pending says all that a second one would.
	c chan struct{}

	mu struct {
		sync.Mutex
		fired []int // tags of the waits that came true and were not taken yet
	}
}

func newWaiter() *waiter { return &waiter{c: make(chan struct{}, 1)} }

func (w *waiter) fire(tag int) {
	w.mu.Lock()
	w.mu.fired = append(w.mu.fired, tag)
	w.mu.Unlock()
	select {
	case w.c <- struct{}{}:
	default:
	}
}

// take appends the tags fired since the last time to dst.
func (w *waiter) take(dst []int) []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	dst = append(dst, w.mu.fired...)
	w.mu.fired = w.mu.fired[:0]
	return dst
}

// wait is a waiter's place in one waitlist. The zero value waits for nothing.
type wait struct {
	waiter *waiter
	tag    int

	list *waitlist // the one it was added to last; the waiter's own

	// Guarded by list.mu.

	at         int64
	prev, next *wait
	linked     bool
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
		first *wait
	}
}

// init must be called before first use: nobody waits.
func (l *waitlist) init() { l.lowest.Store(math.MaxInt64) }

// add makes e fire once the offset has reached at. Added again, it waits for the new offset.
func (l *waitlist) add(e *wait, at int64) {
	e.remove()
	e.list = l
	l.mu.Lock()
	defer l.mu.Unlock()
	e.at, e.linked = at, true
	e.prev, e.next = nil, l.mu.first
	if e.next != nil {
		e.next.prev = e
	}
	l.mu.first = e
	if at < l.lowest.Load() {
		l.lowest.Store(at)
	}
}

// remove ends a wait, whether it fired or not.
func (e *wait) remove() {
	l := e.list
	if l == nil {
		return
	}
	e.list = nil
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.linked {
		l.unlinkLocked(e)
		l.settleLocked()
	}
}

// reached fires and forgets all that wait for offset or less.
func (l *waitlist) reached(offset int64) {
	if offset < l.lowest.Load() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := l.mu.first; e != nil; {
		next := e.next
		if e.at <= offset {
			l.unlinkLocked(e)
			e.waiter.fire(e.tag)
		}
		e = next
	}
	l.settleLocked()
}

// wakeAll fires and forgets all, because the partition's role changed and they must look again.
func (l *waitlist) wakeAll() { l.reached(math.MaxInt64) }

func (l *waitlist) unlinkLocked(e *wait) {
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		l.mu.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	}
	e.prev, e.next, e.linked = nil, nil, false
}

// settleLocked sets lowest again; mu is held. Few wait for one partition at a time, so a scan beats a heap.
func (l *waitlist) settleLocked() {
	lowest := int64(math.MaxInt64)
	for e := l.mu.first; e != nil; e = e.next {
		lowest = min(lowest, e.at)
	}
	l.lowest.Store(lowest)
}
