package metadata

import (
	"iter"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Snapshot is the fleet at one moment. Nothing in it may be changed.
type Snapshot struct {
	controllerID meta.BrokerID
	superseded   chan struct{}
}

// Topic is one topic of a snapshot.
type Topic struct {
	Name string
	ID   meta.TopicID // zero: none

	// Partitions are sorted by id. Ids are those the controller told of: there may be gaps.
	Partitions []*Partition
}

// Partition is one partition of a snapshot.
type Partition struct {
	ID              int32
	Leader          meta.BrokerID // meta.NoBroker: none
	LeaderEpoch     meta.LeaderEpoch
	PartitionEpoch  meta.PartitionEpoch // version of the state znode
	ControllerEpoch meta.ControllerEpoch
	ISR             []meta.BrokerID
	Replicas        []meta.BrokerID
	Offline         []meta.BrokerID // replicas on brokers or in log directories that are offline
}

// ControllerID returns the active controller, meta.NoBroker if unknown.
func (s *Snapshot) ControllerID() meta.BrokerID { return s.controllerID }

// Superseded is closed when a newer snapshot took this one's place: a wait for news is
// Load, look, then wait for Superseded or the ctx.
func (s *Snapshot) Superseded() <-chan struct{} { return s.superseded }

// Brokers returns the live brokers sorted by id.
func (s *Snapshot) Brokers() []meta.Broker { return nil }

// Broker returns a live broker.
func (s *Snapshot) Broker(id meta.BrokerID) (meta.Broker, bool) { return meta.Broker{}, false }

// Alive reports whether a broker is listed.
func (s *Snapshot) Alive(id meta.BrokerID) bool { return false }

// Endpoint returns a live broker's endpoint on a listener.
func (s *Snapshot) Endpoint(id meta.BrokerID, listener string) (meta.Endpoint, bool) {
	return meta.Endpoint{}, false
}

// Topic returns a topic by name, nil if unknown.
func (s *Snapshot) Topic(name string) *Topic { return nil }

// TopicByID returns a topic by id, nil if unknown.
func (s *Snapshot) TopicByID(id meta.TopicID) *Topic { return nil }

// Partition returns a partition, nil if unknown.
func (s *Snapshot) Partition(topic string, partition int32) *Partition { return nil }

// Topics yields all topics in no particular order.
func (s *Snapshot) Topics() iter.Seq[*Topic] { return func(func(*Topic) bool) {} }

// TopicCount and PartitionCount return how many there are.
func (s *Snapshot) TopicCount() int { return 0 }

func (s *Snapshot) PartitionCount() int { return 0 }

// Partition returns the partition of that id, nil if unknown.
func (t *Topic) Partition(id int32) *Partition { return nil }
