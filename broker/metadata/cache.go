package metadata

import (
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Cache holds the current snapshot.
type Cache struct {
	current atomic.Pointer[Snapshot]
	applyMu sync.Mutex // one Apply at a time
}

// NewCache returns a cache with an empty snapshot: no brokers, no topics, no controller.
func NewCache() *Cache {
	c := new(Cache)
	c.current.Store(&Snapshot{controllerID: meta.NoBroker, superseded: make(chan struct{})})
	return c
}

// Load returns the current snapshot, never nil.
func (c *Cache) Load() *Snapshot { return c.current.Load() }

// Changes is what an UpdateMetadata did.
type Changes struct {
	// Deleted are the partitions that are gone: their leader was meta.LeaderDuringDelete. The group coordinator drops
	// their offsets.
	Deleted []meta.TopicPartition

	// Controller is whether the controller is another than before.
	Controller bool
}

// Apply makes the snapshot that follows from an UpdateMetadata request the current one. Whether the request may be
// applied (controller epoch, broker epoch) was decided before. The request is not kept.
func (c *Cache) Apply(req *kmsg.UpdateMetadataRequest) Changes {
	c.applyMu.Lock()
	defer c.applyMu.Unlock()
	last := c.current.Load()
	next, changes := apply(last, req)
	c.current.Store(next)
	close(last.superseded)
	return changes
}
