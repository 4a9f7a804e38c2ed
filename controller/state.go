package controller

import (
	"cmp"
	"slices"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// state is what the active controller knows of the cluster. Owned by the loop and thrown away with the term.
//
// It is authoritative for assignments: edits of existing partitions in topic znodes are overwritten by the next write.
type state struct {
	brokers     map[meta.BrokerID]*broker // every registered broker, those shutting down included
	topics      map[string]*topic
	byID        map[meta.TopicID]*topic // topics that have an id
	unreadable  map[string]bool         // topics that exist, but whose znode cannot be read
	reassigning map[*partition]struct{} // Invariant: p is in it only if p.topic is in topics and not queued for deletion
}

// broker is one registered broker.
type broker struct {
	meta.Broker
	// shuttingDown is set by ControlledShutdown and left only when the broker's registration goes. Such a broker still gets
	// requests, but it is not live: it cannot be elected or join an ISR.
	shuttingDown bool
	// offline holds the partitions whose log directory this broker lost, as told by KAFKA_STORAGE_ERROR.
	offline map[*partition]struct{}
	outbox  *outbox
}

// topic is one topic.
type topic struct {
	name       string
	id         meta.TopicID
	partitions map[int32]*partition

	queued     bool // for deletion: its marker was seen
	started    bool // its partitions have been taken offline for deletion
	ineligible bool // deletion has to wait: a replica is out of reach
}

// partition is one partition of a topic.
type partition struct {
	topic      *topic
	id         int32
	assignment meta.Assignment
	state      partitionState
	replicas   []replica // one per broker that has or had a replica; few, so no map

	known bool              // whether leadership holds anything: the partition has a state znode
	info  meta.LeaderAndISR // as last read from or written to ZooKeeper
}

// replica is the state of one partition on one broker.
type replica struct {
	broker meta.BrokerID
	state  replicaState
}

// partitionReplica names one replica.
type partitionReplica struct {
	*partition
	broker meta.BrokerID
}

func newState() *state {
	return &state{
		brokers:     make(map[meta.BrokerID]*broker),
		topics:      make(map[string]*topic),
		byID:        make(map[meta.TopicID]*topic),
		unreadable:  make(map[string]bool),
		reassigning: make(map[*partition]struct{}),
	}
}

func (p *partition) tp() meta.TopicPartition {
	return meta.TopicPartition{Topic: p.topic.name, Partition: p.id}
}

// replicaState returns the state of the replica on a broker; replicaNonExistent for one never heard of.
func (p *partition) replicaState(id meta.BrokerID) replicaState {
	for i := range p.replicas {
		if p.replicas[i].broker == id {
			return p.replicas[i].state
		}
	}
	return replicaNonExistent
}

// setReplicaState remembers a replica's state; replicaNonExistent forgets it.
func (p *partition) setReplicaState(id meta.BrokerID, s replicaState) {
	i := slices.IndexFunc(p.replicas, func(r replica) bool { return r.broker == id })
	switch {
	case s == replicaNonExistent && i >= 0:
		p.replicas = slices.Delete(p.replicas, i, i+1)
	case s == replicaNonExistent:
	case i >= 0:
		p.replicas[i].state = s
	default:
		p.replicas = append(p.replicas, replica{id, s})
	}
}

// addTopic makes a topic known, without partitions.
func (s *state) addTopic(name string, id meta.TopicID) *topic {
	t := &topic{name: name, partitions: make(map[int32]*partition)}
	s.topics[name] = t
	s.setTopicID(t, id)
	return t
}

func (s *state) setTopicID(t *topic, id meta.TopicID) {
	if t.id = id; !id.IsZero() {
		s.byID[id] = t
	}
}

// addPartition makes a partition known.
func (s *state) addPartition(t *topic, id int32, a meta.Assignment) *partition {
	p := &partition{topic: t, id: id, assignment: a}
	t.partitions[id] = p
	return p
}

// dropTopic forgets a topic and everything about its partitions.
func (s *state) dropTopic(t *topic) {
	delete(s.topics, t.name)
	if s.byID[t.id] == t {
		delete(s.byID, t.id)
	}
	for _, p := range t.partitions {
		delete(s.reassigning, p)
		for _, b := range s.brokers {
			delete(b.offline, p)
		}
	}
}

// partition returns a known partition or nil.
func (s *state) partition(tp meta.TopicPartition) *partition {
	if t := s.topics[tp.Topic]; t != nil {
		return t.partitions[tp.Partition]
	}
	return nil
}

// live reports whether a broker is registered and not shutting down.
func (s *state) live(id meta.BrokerID) bool {
	b := s.brokers[id]
	return b != nil && !b.shuttingDown
}

// online reports whether a replica can serve: its broker is live and has not lost its log directory.
func (s *state) online(p *partition, id meta.BrokerID) bool {
	b := s.brokers[id]
	return b != nil && !b.shuttingDown && !b.lost(p)
}

// onlineOrLeaving is online, but accepts brokers that are shutting down: they can still hand over.
func (s *state) onlineOrLeaving(p *partition, id meta.BrokerID) bool {
	b := s.brokers[id]
	return b != nil && !b.lost(p)
}

func (b *broker) lost(p *partition) bool {
	_, lost := b.offline[p]
	return lost
}

// brokerIDs returns all registered brokers in ascending order.
func (s *state) brokerIDs() []meta.BrokerID {
	ids := make([]meta.BrokerID, 0, len(s.brokers))
	for id := range s.brokers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// partitions returns the partitions for which keep is true (nil: all), by topic name and number, which is the order
// everything is done in.
func (s *state) partitions(keep func(*partition) bool) []*partition {
	n := 0
	names := make([]string, 0, len(s.topics))
	for name, t := range s.topics {
		names = append(names, name)
		n += len(t.partitions)
	}
	slices.Sort(names)
	if keep != nil {
		n = min(n, 64)
	}
	all := make([]*partition, 0, n)
	for _, name := range names {
		all = append(all, s.topics[name].sorted(keep)...)
	}
	return all
}

// sorted returns the topic's partitions for which keep is true (nil: all) in ascending order.
func (t *topic) sorted(keep func(*partition) bool) []*partition {
	ps := make([]*partition, 0, len(t.partitions))
	for _, p := range t.partitions {
		if keep == nil || keep(p) {
			ps = append(ps, p)
		}
	}
	slices.SortFunc(ps, func(a, b *partition) int { return cmp.Compare(a.id, b.id) })
	return ps
}

// replicas returns the assigned replicas for which keep is true (nil: all).
func (s *state) replicas(keep func(p *partition, id meta.BrokerID) bool) []partitionReplica {
	return replicasOf(s.partitions(nil), keep)
}

// replicasOf returns the assigned replicas of some partitions for which keep is true (nil: all).
func replicasOf(ps []*partition, keep func(p *partition, id meta.BrokerID) bool) []partitionReplica {
	var rs []partitionReplica
	for _, p := range ps {
		for _, id := range p.assignment.Replicas {
			if keep == nil || keep(p, id) {
				rs = append(rs, partitionReplica{p, id})
			}
		}
	}
	return rs
}

// comparePartitions orders by topic name, then number.
func comparePartitions(a, b *partition) int {
	if a.topic != b.topic {
		return cmp.Compare(a.topic.name, b.topic.name)
	}
	return cmp.Compare(a.id, b.id)
}

// contains reports whether a set of brokers, in any order, has all the others.
func containsAll(set, of []meta.BrokerID) bool {
	for _, id := range of {
		if !slices.Contains(set, id) {
			return false
		}
	}
	return true
}

// without returns ids that are not in drop, in their order.
func without(ids, drop []meta.BrokerID) []meta.BrokerID {
	kept := make([]meta.BrokerID, 0, len(ids))
	for _, id := range ids {
		if !slices.Contains(drop, id) {
			kept = append(kept, id)
		}
	}
	return kept
}
