package controller

import (
	"sync"
	"time"
)

// queue is the loop's unbounded queue of events. Unbounded, because the loop must never wait for those who wait for it: a
// watch callback or an outbox that blocked here could hold up the very answer the loop is waiting for.
type queue struct {
	mu struct {
		sync.Mutex
		events []queued
		closed bool
	}
	// wake says "look again". Senders: put; receiver: the loop; never closed. Capacity 1: one signal covers any number of events.
	wake chan struct{}
	// waited is told for how long an event was queued. Called under mu.
	waited func(time.Duration)
}

type queued struct {
	event
	since time.Time
}

func newQueue(waited func(time.Duration)) *queue {
	return &queue{wake: make(chan struct{}, 1), waited: waited}
}

// put appends an event. False means that the loop has ended and the event is refused already.
func (q *queue) put(e event) bool {
	q.mu.Lock()
	if q.mu.closed {
		q.mu.Unlock()
		return false
	}
	q.mu.events = append(q.mu.events, queued{e, time.Now()})
	q.mu.Unlock()
	q.signal()
	return true
}

// clearAndPut drops all queued events, refusing them, and queues this one. Events that end or begin a session are kept.
func (q *queue) clearAndPut(e event) bool {
	q.mu.Lock()
	if q.mu.closed {
		q.mu.Unlock()
		return false
	}
	var kept, dropped []queued
	for _, old := range q.mu.events {
		switch old.event.(type) {
		case *sessionStarted, *sessionEnded:
			kept = append(kept, old)
		default:
			dropped = append(dropped, old)
		}
	}
	q.mu.events = append(kept, queued{e, time.Now()})
	q.mu.Unlock()
	q.signal()
	for _, old := range dropped {
		old.refuse(ErrNotController)
	}
	return true
}

// take returns the first event, or nil when there is none now.
func (q *queue) take() event {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.mu.events) == 0 {
		return nil
	}
	e := q.mu.events[0]
	q.mu.events[0] = queued{}
	if q.mu.events = q.mu.events[1:]; len(q.mu.events) == 0 {
		q.mu.events = nil // let the backing array go
	}
	q.waited(time.Since(e.since))
	return e.event
}

// close refuses what is queued and everything that comes later.
func (q *queue) close() {
	q.mu.Lock()
	q.mu.closed = true
	rest := q.mu.events
	q.mu.events = nil
	q.mu.Unlock()
	for _, e := range rest {
		e.refuse(ErrNotController)
	}
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.mu.events)
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
