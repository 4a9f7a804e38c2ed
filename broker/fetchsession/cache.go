package fetchsession

import (
	"cmp"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	shardCount = 8

	// idsPerShard is how many session ids a shard owns, so that an id tells its shard.
	idsPerShard = math.MaxInt32 / shardCount

	// evictAfter is how long a session is safe: from others unless it is used, and from consumers' sessions once made.
	evictAfter = 120 * time.Second
)

// Options are what a cache is made with.
type Options struct {
	Slots   int              // max.incremental.fetch.session.cache.slots
	Clock   func() time.Time // nil: time.Now
	Metrics prometheus.Registerer
}

// Cache holds the sessions of all clients, a bounded number.
type Cache struct {
	shards    [shardCount]shard
	slots     int           // of each shard
	next      atomic.Uint32 // counts creations: shards take turns
	now       func() time.Time
	evictions prometheus.Counter
}

type shard struct {
	first, end int32 // ids: first <= id < end

	mu struct {
		sync.Mutex
		sessions map[int32]*session
	}
}

// NewCache returns an empty cache. With fewer than eight slots it never holds a session, as each shard has its share.
func NewCache(o Options) *Cache {
	c := &Cache{slots: o.Slots / shardCount, now: o.Clock}
	if c.now == nil {
		c.now = time.Now
	}
	for i := range c.shards {
		s := &c.shards[i]
		s.first, s.end = max(1, int32(i)*idsPerShard), int32(i+1)*idsPerShard
		s.mu.sessions = map[int32]*session{}
	}
	c.evictions = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "kafka_server_fetchsessioncache_incrementalfetchsessionevictions_total", Help: "Fetch sessions that made room for others.",
	})
	if o.Metrics != nil {
		o.Metrics.MustRegister(c.evictions,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "kafka_server_fetchsessioncache_numincrementalfetchsessions", Help: "Fetch sessions.",
			}, func() float64 { return float64(c.Len()) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "kafka_server_fetchsessioncache_numincrementalfetchpartitionscached", Help: "Partitions of all fetch sessions.",
			}, func() float64 { return float64(c.partitions()) }))
	}
	return c
}

// Len returns the number of sessions.
func (c *Cache) Len() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += len(s.mu.sessions)
		s.mu.Unlock()
	}
	return n
}

func (c *Cache) partitions() int64 {
	n := int64(0)
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, session := range s.mu.sessions {
			n += session.size.Load()
		}
		s.mu.Unlock()
	}
	return n
}

// shardOf returns the shard that owns an id, nil if none does.
func (c *Cache) shardOf(id int32) *shard {
	if i := id / idsPerShard; id > 0 && i < shardCount {
		return &c.shards[i]
	}
	return nil
}

func (c *Cache) find(id int32) *session {
	s := c.shardOf(id)
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.sessions[id]
}

// remove drops the session of an id; if only is not nil, only that one.
func (c *Cache) remove(id int32, only *session) {
	s := c.shardOf(id)
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if only == nil || s.mu.sessions[id] == only {
		delete(s.mu.sessions, id)
	}
}

// create makes a session of a full fetch, if there is room or room can be made, and returns its id, else noSession.
func (c *Cache) create(f *Fetch, results []Result) int32 {
	s := &c.shards[(c.next.Add(1)-1)%shardCount]
	now := c.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.sessions) >= c.slots {
		victim := s.evictableLocked(f.privileged, len(f.partitions), now)
		if victim == nil {
			return noSession
		}
		delete(s.mu.sessions, victim.id)
		c.evictions.Inc()
	}
	id := s.newIDLocked()
	s.mu.sessions[id] = newSession(id, f, results, now)
	return id
}

// evictableLocked returns the session that makes room for a new one, or nil: one unused for long, else the least valuable
// of those the new one may replace, unless it is worth more. A follower's session may replace any consumer's, and any that
// is not new; a consumer's only one that is not new.
func (s *shard) evictableLocked(privileged bool, size int, now time.Time) *session {
	var stalest, least *session
	for _, other := range s.mu.sessions {
		if stalest == nil || lessRecentlyUsed(other, stalest) {
			stalest = other
		}
		old := now.Sub(other.created) > evictAfter
		if (old || privileged && !other.privileged) && (least == nil || compareValue(other, least.privileged, least.size.Load(), least.id) < 0) {
			least = other
		}
	}
	switch {
	case stalest == nil:
		return nil
	case now.UnixNano()-stalest.lastUsed.Load() > int64(evictAfter):
		return stalest
	case least == nil || compareValue(least, privileged, int64(size), 0) > 0:
		return nil
	}
	return least
}

func lessRecentlyUsed(a, b *session) bool {
	return cmp.Or(cmp.Compare(a.lastUsed.Load(), b.lastUsed.Load()), cmp.Compare(a.id, b.id)) < 0
}

// compareValue orders sessions by what they are worth: followers above consumers, then by size.
func compareValue(s *session, privileged bool, size int64, id int32) int {
	rank := func(privileged bool) int {
		if privileged {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(rank(s.privileged), rank(privileged)), cmp.Compare(s.size.Load(), size), cmp.Compare(s.id, id))
}

// newIDLocked returns an id of the shard that is free. Ids are random so that a client with an old one is found out.
func (s *shard) newIDLocked() int32 {
	for {
		id := s.first + rand.Int32N(s.end-s.first)
		if s.mu.sessions[id] == nil {
			return id
		}
	}
}
