package replica

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// woken returns the tags that fired since the last time.
func woken(w *waiter) []int {
	select {
	case <-w.c:
	default:
	}
	return w.take(nil)
}

func wantWoken(t *testing.T, w *waiter, want ...int) {
	t.Helper()
	got := woken(w)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("woken: %v, want %v", got, want)
	}
}

func TestWaitlistWakesWhoWaitsForLess(t *testing.T) {
	var l waitlist
	l.init()
	l.reached(math.MaxInt64 - 1) // nobody waits
	w := newWaiter()
	waits := [3]wait{{waiter: w, tag: 0}, {waiter: w, tag: 1}, {waiter: w, tag: 2}}
	l.add(&waits[0], 5)
	l.add(&waits[1], 7)
	l.add(&waits[2], 7)
	l.reached(4)
	wantWoken(t, w)
	l.reached(6)
	wantWoken(t, w, 0)
	l.reached(6)
	wantWoken(t, w)
	waits[1].remove()
	l.reached(9)
	wantWoken(t, w, 2)
	if l.lowest.Load() != math.MaxInt64 || l.mu.first != nil {
		t.Errorf("an empty list keeps %d and %v", l.lowest.Load(), l.mu.first)
	}
	for i := range waits {
		waits[i].remove() // whatever became of them
		waits[i].remove()
	}
}

func TestWaitlistAddReplaces(t *testing.T) {
	var l, other waitlist
	l.init()
	other.init()
	w := newWaiter()
	e := wait{waiter: w}
	l.add(&e, 5)
	l.add(&e, 9)
	l.reached(6)
	wantWoken(t, w)
	other.add(&e, 1)
	l.reached(20)
	wantWoken(t, w)
	other.reached(1)
	wantWoken(t, w, 0)
}

func TestWaitlistWakeAll(t *testing.T) {
	var l waitlist
	l.init()
	w := newWaiter()
	waits := [2]wait{{waiter: w, tag: 0}, {waiter: w, tag: 1}}
	l.add(&waits[0], math.MaxInt64)
	l.add(&waits[1], 1)
	l.wakeAll()
	wantWoken(t, w, 0, 1)
}

// Any order of coming and going leaves the list in order.
func TestWaitlistAgainstAModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var l waitlist
	l.init()
	w := newWaiter()
	waits := make([]wait, 20)
	model := map[int]int64{}
	for i := range waits {
		waits[i].waiter, waits[i].tag = w, i
	}
	for step := range 10000 {
		i, at := rng.IntN(len(waits)), rng.Int64N(100)
		switch rng.IntN(3) {
		case 0:
			l.add(&waits[i], at)
			model[i] = at
		case 1:
			waits[i].remove()
			delete(model, i)
		default:
			l.reached(at)
			var want []int
			for i, waitsFor := range model {
				if waitsFor <= at {
					want = append(want, i)
					delete(model, i)
				}
			}
			slices.Sort(want)
			wantWoken(t, w, want...)
		}
		lowest := int64(math.MaxInt64)
		for _, at := range model {
			lowest = min(lowest, at)
		}
		if got := l.lowest.Load(); got != lowest {
			t.Fatalf("step %d: lowest %d, want %d", step, got, lowest)
		}
	}
}

// Whoever registers and then looks misses no move, whatever the order.
func TestNoWakeUpIsLost(t *testing.T) {
	var l waitlist
	l.init()
	const end = 20000
	at := make(chan int64, 1) // what the mover moved to last, to be looked at
	at <- 0
	go func() {
		for o := int64(1); o <= end; o++ {
			<-at
			at <- o
			l.reached(o)
		}
	}()
	w := newWaiter()
	e := wait{waiter: w}
	for seen := int64(0); seen < end; {
		want := min(end, seen+1+rand.Int64N(3))
		l.add(&e, want)
		now := <-at
		at <- now
		if now < want {
			<-w.c
			now = want
		}
		e.remove()
		woken(w)
		seen = now
	}
}
