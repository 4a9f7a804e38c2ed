package quota

import (
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// NoLimit is a rate of bytes per second that holds nothing back.
const NoLimit = math.MaxInt64

// Replication holds the traffic of the replicas that are throttled to a rate (KIP-73; ReplicationQuotaManager.scala). It says
// whether the rate is exceeded now; that only replicas lacking something are held back then is for who copies to see to. Bytes of
// all throttled replicas count, and nothing is granted in part, so that single answers may be far above the rate. Safe for
// concurrent use.
type Replication struct {
	limit atomic.Int64
	// throttled is replaced, never changed; nil: none. change orders its writers.
	throttled atomic.Pointer[map[string]Partitions]
	change    sync.Mutex

	mu struct {
		sync.Mutex
		window Window
	}
}

// Partitions are some of a topic, or all.
type Partitions struct {
	All     bool
	Numbers map[int32]struct{}
}

func (p *Partitions) empty() bool { return !p.All && len(p.Numbers) == 0 }

// NewReplication measures over num samples of size, and throttles nothing yet.
func NewReplication(num int, size time.Duration) *Replication {
	r := &Replication{}
	r.limit.Store(NoLimit)
	r.mu.window = Window{Num: max(num, 1), Size: max(size, time.Millisecond), Simple: true}
	return r
}

// SetLimit changes the rate, in bytes per second.
func (r *Replication) SetLimit(bytesPerSecond int64) { r.limit.Store(bytesPerSecond) }

// Limit is the rate.
func (r *Replication) Limit() int64 { return r.limit.Load() }

// Throttle says which partitions of a topic are throttled from now on.
func (r *Replication) Throttle(topic string, p Partitions) {
	r.change.Lock()
	defer r.change.Unlock()
	var next map[string]Partitions
	if old := r.throttled.Load(); old != nil {
		if _, known := (*old)[topic]; !known && p.empty() {
			return
		}
		next = maps.Clone(*old)
	} else if p.empty() {
		return
	} else {
		next = map[string]Partitions{}
	}
	next[topic] = p
	if p.empty() {
		delete(next, topic)
	}
	if len(next) == 0 {
		r.throttled.Store(nil)
		return
	}
	r.throttled.Store(&next)
}

// Throttled says whether a partition is throttled.
func (r *Replication) Throttled(topic string, partition int32) bool {
	topics := r.throttled.Load()
	if topics == nil {
		return false
	}
	p, ok := (*topics)[topic]
	if !ok {
		return false
	}
	_, named := p.Numbers[partition]
	return p.All || named
}

// Any says whether any partition is throttled.
func (r *Replication) Any() bool { return r.throttled.Load() != nil }

// Record notes bytes of throttled replicas that were sent or copied.
func (r *Replication) Record(bytes int, now time.Time) {
	if bytes == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.window.Record(float64(bytes), now)
}

// Rate is how many bytes a second were recorded lately.
func (r *Replication) Rate(now time.Time) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.window.Rate(now)
}

// Delay is for how long the rate stays exceeded if nothing more is recorded, but not more than a sample's length, since limits
// change; 0 while it is not exceeded.
func (r *Replication) Delay(now time.Time) time.Duration {
	limit := r.limit.Load()
	if limit == NoLimit {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &r.mu.window
	rate := w.Rate(now)
	if rate <= float64(limit) {
		return 0
	}
	wait := (rate - float64(limit)) / float64(limit) * float64(w.span(now)) // infinite without any rate
	return time.Duration(min(max(wait, float64(time.Millisecond)), float64(w.Size)))
}

// Exceeded says whether throttled replicas have to be held back.
func (r *Replication) Exceeded(now time.Time) bool { return r.Delay(now) > 0 }
