package replica

import (
	"sync"
	"sync/atomic"
	"time"
)

// leaderships keeps fetches of followers short for a while after this broker began to lead. What a parked fetch waits for does
// not include the new partitions, and until they are fetched too, no produce with acks=all to them is acknowledged. The
// followers learn of them from the controller, at about the same time as the leader.
type leaderships struct {
	last atomic.Int64 // when the newest began, Unix nanoseconds

	mu struct {
		sync.Mutex
		// begun is closed by the next begin and then replaced; parked fetches receive.
		begun chan struct{}
	}
}

const (
	shortPoll  = 20 * time.Millisecond // long enough to cost nothing, short beside a produce's round trip through a failover
	settleTime = time.Second           // for the followers to have heard, and fetched
)

// begin notes that this broker leads partitions that others replicate, from now on.
func (l *leaderships) begin(now time.Time) {
	l.last.Store(now.UnixNano())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.begun != nil {
		close(l.mu.begun)
		l.mu.begun = nil
	}
}

// next is closed when more leaderships begin; nil for those who need not know.
func (l *leaderships) next(params *FetchParams) <-chan struct{} {
	if !params.fromReplica() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.begun == nil {
		l.mu.begun = make(chan struct{})
	}
	return l.mu.begun
}

// shorten caps how long a fetch may be parked.
func (l *leaderships) shorten(params *FetchParams, wait time.Duration, now time.Time) time.Duration {
	if params.fromReplica() && now.UnixNano()-l.last.Load() < int64(settleTime) {
		return min(wait, shortPoll)
	}
	return wait
}
