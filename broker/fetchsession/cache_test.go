package fetchsession

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// try makes a session of n partitions; 0 if there was no room.
func (f *fixture) try(privileged bool, n int) int32 {
	partitions := make([]int32, n)
	for i := range partitions {
		partitions[i] = int32(i)
	}
	fetch, _ := f.Begin(request(0, 0, "t", partitions...), privileged, f.resolve)
	id, _, code := fetch.Finish(read(fetch, 10))
	if code != wire.None {
		f.t.Fatal(code)
	}
	return id
}

// use sends a request that changes nothing and returns whether the session was still there.
func (f *fixture) use(id int32) bool {
	s := f.find(id)
	if s == nil {
		return false
	}
	f.begin(request(id, s.mu.epoch, "")).Release()
	return true
}

// firstShardOnly makes the next session go to the first shard, so that eviction is seen.
func (f *fixture) firstShardOnly() { f.next.Store(0) }

func TestSlotsAreSharedOut(t *testing.T) {
	f := newFixture(t, 7) // fewer than shards: none
	if id := f.try(true, 1); id != 0 {
		t.Errorf("session %d without a slot", id)
	}
	f = newFixture(t, 23) // two each
	seen := map[int32]bool{}
	for range 16 {
		id := f.try(false, 1)
		if id <= 0 || seen[id] {
			t.Fatalf("session %d", id)
		}
		seen[id] = true
	}
	if id := f.try(false, 1); id != 0 || f.Len() != 16 {
		t.Errorf("session %d, %d sessions", id, f.Len())
	}
	for i := range f.shards {
		s := &f.shards[i]
		if len(s.mu.sessions) != 2 {
			t.Errorf("shard %d has %d sessions", i, len(s.mu.sessions))
		}
		for id := range s.mu.sessions {
			if id < s.first || id >= s.end || f.shardOf(id) != s {
				t.Errorf("session %d is in shard %d", id, i)
			}
		}
	}
}

// TestEviction follows FetchSession.scala, tryEvict.
func TestEviction(t *testing.T) {
	for _, c := range []struct {
		name       string
		privileged bool // the resident
		size       int
		age, quiet time.Duration // since made, since used
		newcomer   bool          // privileged
		newSize    int
		evicted    bool
	}{
		{"consumer, new one larger", false, 2, 0, 0, false, 9, false},
		{"consumer, unused for long", false, 9, 121 * time.Second, 121 * time.Second, false, 1, true},
		{"consumer, unused for not quite long", false, 9, 120 * time.Second, 120 * time.Second, false, 1, false},
		{"consumer, old, new one larger", false, 2, 121 * time.Second, time.Second, false, 3, true},
		{"consumer, old, new one as large", false, 3, 121 * time.Second, time.Second, false, 3, false},
		{"consumer, old, new one smaller", false, 4, 121 * time.Second, time.Second, false, 3, false},
		{"consumer, new, follower comes", false, 9, 0, 0, true, 1, true},
		{"follower, new, follower comes", true, 2, 0, 0, true, 9, false},
		{"follower, old, larger follower comes", true, 2, 121 * time.Second, time.Second, true, 9, true},
		{"follower, old, larger consumer comes", true, 2, 121 * time.Second, time.Second, false, 9, false},
		{"follower, unused for long, consumer comes", true, 9, 300 * time.Second, 121 * time.Second, false, 1, true},
	} {
		f := newFixture(t, shardCount)
		resident := f.try(c.privileged, c.size)
		f.clock = f.clock.Add(c.age - c.quiet)
		if c.age > c.quiet {
			f.use(resident)
		}
		f.clock = f.clock.Add(c.quiet)
		f.firstShardOnly()
		id := f.try(c.newcomer, c.newSize)
		if still := f.find(resident) != nil; still == c.evicted || (id != 0) != c.evicted {
			t.Errorf("%s: resident still there %v, new session %d", c.name, still, id)
		}
	}
}

// TestLeastValuableGoesFirst: among several the consumer goes before the follower, the smaller before the larger, and
// whoever was unused for longest before all.
func TestLeastValuableGoesFirst(t *testing.T) {
	f := newFixture(t, 4*shardCount)
	make4 := func(privileged bool, size int) int32 {
		f.firstShardOnly()
		return f.try(privileged, size)
	}
	follower, small, large := make4(true, 1), make4(false, 2), make4(false, 5)
	quiet := make4(false, 50)
	f.clock = f.clock.Add(100 * time.Second)
	for _, id := range []int32{follower, small, large} {
		f.use(id)
	}
	f.clock = f.clock.Add(25 * time.Second)
	for _, gone := range []int32{quiet, small, large, follower} {
		if make4(true, 60) == 0 || f.find(gone) != nil {
			t.Errorf("session %d should have gone", gone)
		}
	}
}

func TestMetrics(t *testing.T) {
	r := prometheus.NewRegistry()
	c := NewCache(Options{Slots: 80, Metrics: r})
	fetch, _ := c.Begin(request(0, 0, "t", 1, 2, 3), false, nil)
	fetch.Finish(read(fetch, 1))
	if m, err := r.Gather(); err != nil || len(m) != 3 {
		t.Errorf("%d metrics, %v", len(m), err)
	}
	if c.Len() != 1 || c.partitions() != 3 {
		t.Errorf("%d sessions, %d partitions", c.Len(), c.partitions())
	}
}

// TestManyClients hammers few sessions, own ones and others', with all kinds of requests.
func TestManyClients(t *testing.T) {
	c := NewCache(Options{Slots: 2 * shardCount})
	resolve := func(meta.TopicID) (string, bool) { return "", false }
	var mu sync.Mutex
	known := []int32{0}
	var wg sync.WaitGroup
	for seed := range uint64(4) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, 1))
			for range 2000 {
				mu.Lock()
				id := known[r.IntN(len(known))]
				mu.Unlock()
				req := request(id, int32(r.IntN(5)-1), "t", int32(r.IntN(5)), int32(r.IntN(5)))
				if r.IntN(3) == 0 {
					forget(req, "t", 0, 1, 2, 3, 4)
				}
				fetch, code := c.Begin(req, r.IntN(2) == 0, resolve)
				if code != wire.None {
					continue
				}
				results := read(fetch, int64(r.IntN(3)))
				switch r.IntN(4) {
				case 0:
					fetch.Throttled()
				case 1:
					fetch.Release()
				default:
					fetch.Select(results)
					if id, _, _ := fetch.Finish(results); id != 0 {
						mu.Lock()
						known = append(known, id)
						if len(known) > 20 {
							known = known[10:]
						}
						mu.Unlock()
					}
				}
			}
		})
	}
	wg.Wait()
	if c.Len() > 2*shardCount {
		t.Errorf("%d sessions", c.Len())
	}
}

// BenchmarkIncremental is a fetch over a thousand partitions without news.
func BenchmarkIncremental(b *testing.B) {
	c := NewCache(Options{Slots: 80})
	partitions := make([]int32, 1000)
	for i := range partitions {
		partitions[i] = int32(i)
	}
	fetch, _ := c.Begin(request(0, 0, "t", partitions...), false, nil)
	results := read(fetch, 10)
	id, _, _ := fetch.Finish(results)
	req := request(id, 1, "")
	b.ReportAllocs()
	for b.Loop() {
		fetch, _ := c.Begin(req, false, nil)
		fetch.Finish(results)
		fetch.Release()
		req.SessionEpoch++
	}
}
