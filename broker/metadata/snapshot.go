package metadata

import (
	"cmp"
	"iter"
	"slices"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Snapshot is the fleet at one moment. Nothing in it may be changed.
type Snapshot struct {
	controllerID meta.BrokerID
	brokers      []meta.Broker // sorted by id
	names        index[string]
	ids          index[meta.TopicID] // Invariant: holds exactly the topics of names that have an id
	partitions   int                 // of all topics
	superseded   chan struct{}       // closed by Cache.Apply, once
}

// Topic is one topic of a snapshot.
type Topic struct {
	Name string
	ID   meta.TopicID // zero: none

	// Partitions are sorted by id, and there is at least one. Ids are those the controller told of: there may be gaps.
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

// Brokers returns the live brokers sorted by id. Their Epoch is not known here.
func (s *Snapshot) Brokers() []meta.Broker { return s.brokers }

// Broker returns a live broker.
func (s *Snapshot) Broker(id meta.BrokerID) (meta.Broker, bool) {
	i, ok := slices.BinarySearchFunc(s.brokers, id, func(b meta.Broker, id meta.BrokerID) int { return cmp.Compare(b.ID, id) })
	if !ok {
		return meta.Broker{}, false
	}
	return s.brokers[i], true
}

// Alive reports whether a broker is listed.
func (s *Snapshot) Alive(id meta.BrokerID) bool {
	_, ok := s.Broker(id)
	return ok
}

// Endpoint returns a live broker's endpoint on a listener.
func (s *Snapshot) Endpoint(id meta.BrokerID, listener string) (meta.Endpoint, bool) {
	b, ok := s.Broker(id)
	if !ok {
		return meta.Endpoint{}, false
	}
	return b.Endpoint(listener)
}

// Topic returns a topic by name, nil if unknown.
func (s *Snapshot) Topic(name string) *Topic { return s.names.get(hashName(name), name) }

// TopicByID returns a topic by id, nil if unknown.
func (s *Snapshot) TopicByID(id meta.TopicID) *Topic { return s.ids.get(hashID(id), id) }

// Partition returns a partition, nil if unknown.
func (s *Snapshot) Partition(topic string, partition int32) *Partition {
	if t := s.Topic(topic); t != nil {
		return t.Partition(partition)
	}
	return nil
}

// Topics yields all topics in no particular order.
func (s *Snapshot) Topics() iter.Seq[*Topic] { return s.names.all() }

// TopicCount returns the number of topics.
func (s *Snapshot) TopicCount() int { return s.names.len }

// PartitionCount returns the number of partitions of all topics together.
func (s *Snapshot) PartitionCount() int { return s.partitions }

// Partition returns the partition of that id, nil if unknown.
func (t *Topic) Partition(id int32) *Partition {
	if id >= 0 && int(id) < len(t.Partitions) && t.Partitions[id].ID == id {
		return t.Partitions[id] // no gaps up to here, as nearly always
	}
	i, ok := slices.BinarySearchFunc(t.Partitions, id, comparePartition)
	if !ok {
		return nil
	}
	return t.Partitions[i]
}

func comparePartition(p *Partition, id int32) int { return cmp.Compare(p.ID, id) }

// equal reports whether two states of a partition are the same.
func (p *Partition) equal(o *Partition) bool {
	return p.ID == o.ID && p.Leader == o.Leader && p.LeaderEpoch == o.LeaderEpoch &&
		p.PartitionEpoch == o.PartitionEpoch && p.ControllerEpoch == o.ControllerEpoch &&
		slices.Equal(p.ISR, o.ISR) && slices.Equal(p.Replicas, o.Replicas) && slices.Equal(p.Offline, o.Offline)
}
