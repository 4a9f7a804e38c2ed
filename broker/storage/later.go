package storage

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// laterQueue holds deletions until their time has come. What is in it when the broker stops is found and deleted at
// the next start.
type laterQueue struct {
	now func() time.Time
	mu  struct {
		sync.Mutex
		items []laterItem // by time
	}
	wake chan struct{} // from add to run; room for one: look again
}

type laterItem struct {
	at time.Time
	do func() error
}

func newLaterQueue(now func() time.Time) *laterQueue {
	return &laterQueue{now: now, wake: make(chan struct{}, 1)}
}

func (q *laterQueue) add(after time.Duration, do func() error) {
	q.mu.Lock()
	item := laterItem{q.now().Add(after), do}
	i, _ := slices.BinarySearchFunc(q.mu.items, item, func(a, b laterItem) int {
		return cmp.Or(a.at.Compare(b.at), -1) // behind its equals
	})
	q.mu.items = slices.Insert(q.mu.items, i, item)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// due takes what is due now, and says how long until the next is, -1 if there is none.
func (q *laterQueue) due() (todo []laterItem, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	n := 0
	for n < len(q.mu.items) && !q.mu.items[n].at.After(now) {
		n++
	}
	todo = slices.Clone(q.mu.items[:n])
	q.mu.items = slices.Delete(q.mu.items, 0, n)
	if len(q.mu.items) == 0 {
		return todo, -1
	}
	return todo, q.mu.items[0].at.Sub(now)
}

// run does what is due until ctx ends. An error of a deletion has taken its directory offline, or does not matter.
func (q *laterQueue) run(ctx context.Context) {
	for {
		todo, wait := q.due()
		for _, item := range todo {
			if ctx.Err() != nil {
				return
			}
			_ = item.do()
		}
		var timer <-chan time.Time
		if wait >= 0 {
			timer = time.After(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-q.wake:
		case <-timer:
		}
	}
}
