package metadata

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Cache holds the current snapshot.
type Cache struct{}

// NewCache returns a cache with an empty snapshot: no brokers, no topics, no controller.
func NewCache() *Cache { return &Cache{} }

// Load returns the current snapshot, never nil.
func (c *Cache) Load() *Snapshot { return nil }

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
func (c *Cache) Apply(req *kmsg.UpdateMetadataRequest) Changes { return Changes{} }
