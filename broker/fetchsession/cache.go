package fetchsession

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options are what a cache is made with.
type Options struct {
	Slots   int              // max.incremental.fetch.session.cache.slots
	Clock   func() time.Time // nil: time.Now
	Metrics prometheus.Registerer
}

// Cache holds the sessions of all clients, a bounded number.
type Cache struct{ o Options }

// NewCache returns an empty cache.
func NewCache(o Options) *Cache { return &Cache{o: o} }

// Len returns the number of sessions.
func (c *Cache) Len() int { return 0 }
