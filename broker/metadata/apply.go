package metadata

import (
	"cmp"
	"reflect"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// apply makes the snapshot that follows from last and a request (ZkMetadataCache.scala): live brokers and controller
// are replaced, partition states merged, partitions whose leader is meta.LeaderDuringDelete removed, and a topic with
// its last partition. A topic takes on the id in the request, even if that is none.
func apply(last *Snapshot, req *kmsg.UpdateMetadataRequest) (*Snapshot, Changes) {
	next := &Snapshot{
		controllerID: meta.BrokerID(req.ControllerID),
		brokers:      liveBrokers(req.LiveBrokers, req.Version),
		names:        last.names,
		ids:          last.ids,
		partitions:   last.partitions,
		superseded:   make(chan struct{}),
	}
	if reflect.DeepEqual(next.brokers, last.brokers) {
		next.brokers = last.brokers
	}
	changes := Changes{Controller: next.controllerID != last.controllerID}

	topics := req.TopicStates
	if req.Version < 5 {
		topics = byTopic(req.PartitionStates)
	}
	if len(topics) == 0 {
		return next, changes
	}
	names, ids := edit(last.names), edit(last.ids)
	for i := range topics {
		state := &topics[i]
		hash := hashName(state.Topic)
		old := names.get(hash, state.Topic)
		if old == nil {
			old = &Topic{Name: state.Topic}
		}
		topic := &Topic{Name: old.Name, ID: state.TopicID}
		topic.Partitions = merge(old.Partitions, state.PartitionStates)
		for _, p := range state.PartitionStates {
			if meta.BrokerID(p.Leader) == meta.LeaderDuringDelete {
				changes.Deleted = append(changes.Deleted, meta.TopicPartition{Topic: topic.Name, Partition: p.Partition})
			}
		}
		next.partitions += len(topic.Partitions) - len(old.Partitions)

		if len(topic.Partitions) == 0 {
			names.remove(hash, topic.Name)
			topic.ID = meta.TopicID{}
		} else {
			names.put(hash, topic.Name, topic)
		}
		if !old.ID.IsZero() && old.ID != topic.ID {
			ids.remove(hashID(old.ID), old.ID)
		}
		if !topic.ID.IsZero() {
			ids.put(hashID(topic.ID), topic.ID, topic)
		}
	}
	next.names, next.ids = names.index, ids.index
	return next, changes
}

// merge returns old with states put in or taken out. It leaves old alone, and keeps what did not change.
func merge(old []*Partition, states []kmsg.UpdateMetadataRequestTopicPartition) []*Partition {
	if len(states) == 1 {
		return mergeOne(old, &states[0])
	}
	order := make([]int, len(states))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(states[a].Partition, states[b].Partition) })

	merged := make([]*Partition, 0, len(old)+len(states))
	for n, i := range order {
		state := &states[i]
		if n+1 < len(order) && states[order[n+1]].Partition == state.Partition {
			continue // the last word counts
		}
		for len(old) > 0 && old[0].ID < state.Partition {
			merged, old = append(merged, old[0]), old[1:]
		}
		var before *Partition
		if len(old) > 0 && old[0].ID == state.Partition {
			before, old = old[0], old[1:]
		}
		if p := partitionOf(before, state); p != nil {
			merged = append(merged, p)
		}
	}
	return slices.Clip(append(merged, old...))
}

func mergeOne(old []*Partition, state *kmsg.UpdateMetadataRequestTopicPartition) []*Partition {
	i, found := slices.BinarySearchFunc(old, state.Partition, comparePartition)
	var before *Partition
	if found {
		before = old[i]
	}
	p := partitionOf(before, state)
	merged := make([]*Partition, 0, len(old)+1)
	merged = append(merged, old[:i]...)
	if p != nil {
		merged = append(merged, p)
	}
	if found {
		i++
	}
	return append(merged, old[i:]...)
}

// partitionOf returns what a state says, before if it says nothing new, nil if the partition is being deleted.
func partitionOf(before *Partition, s *kmsg.UpdateMetadataRequestTopicPartition) *Partition {
	if meta.BrokerID(s.Leader) == meta.LeaderDuringDelete {
		return nil
	}
	// The three lists share one array: there are many partitions.
	all := make([]meta.BrokerID, 0, len(s.ISR)+len(s.Replicas)+len(s.OfflineReplicas))
	list := func(ids []int32) []meta.BrokerID {
		from := len(all)
		for _, id := range ids {
			all = append(all, meta.BrokerID(id))
		}
		return slices.Clip(all[from:])
	}
	p := &Partition{
		ID:              s.Partition,
		Leader:          meta.BrokerID(s.Leader),
		LeaderEpoch:     meta.LeaderEpoch(s.LeaderEpoch),
		PartitionEpoch:  meta.PartitionEpoch(s.ZKVersion),
		ControllerEpoch: meta.ControllerEpoch(s.ControllerEpoch),
		ISR:             list(s.ISR),
		Replicas:        list(s.Replicas),
		Offline:         list(s.OfflineReplicas),
	}
	if before != nil && before.equal(p) {
		return before
	}
	return p
}

// byTopic gathers the partition states of a request below version 5, which are not grouped.
func byTopic(states []kmsg.UpdateMetadataRequestTopicPartition) []kmsg.UpdateMetadataRequestTopicState {
	var topics []kmsg.UpdateMetadataRequestTopicState
	at := map[string]int{}
	for _, s := range states {
		i, ok := at[s.Topic]
		if !ok {
			i = len(topics)
			at[s.Topic] = i
			topics = append(topics, kmsg.UpdateMetadataRequestTopicState{Topic: s.Topic})
		}
		topics[i].PartitionStates = append(topics[i].PartitionStates, s)
	}
	return topics
}

// liveBrokers returns the brokers of a request sorted by id. Version 0 knows one plaintext address per broker, versions
// 1 and 2 endpoints without listener names: the listener is then named like the protocol (KIP-103).
func liveBrokers(live []kmsg.UpdateMetadataRequestLiveBroker, version int16) []meta.Broker {
	brokers := make([]meta.Broker, 0, len(live))
	for i := range live {
		l := &live[i]
		b := meta.Broker{ID: meta.BrokerID(l.ID), Epoch: meta.NoBrokerEpoch}
		if l.Rack != nil {
			b.Rack = *l.Rack
		}
		if version == 0 {
			b.Endpoints = []meta.Endpoint{{Listener: "PLAINTEXT", Protocol: "PLAINTEXT", Host: l.Host, Port: l.Port}}
		}
		for _, e := range l.Endpoints {
			protocol := protocolName(e.SecurityProtocol)
			listener := e.ListenerName
			if version < 3 {
				listener = protocol
			}
			b.Endpoints = append(b.Endpoints, meta.Endpoint{Listener: listener, Protocol: protocol, Host: e.Host, Port: e.Port})
		}
		brokers = append(brokers, b)
	}
	slices.SortFunc(brokers, func(a, b meta.Broker) int { return cmp.Compare(a.ID, b.ID) })
	return brokers
}

func protocolName(id int16) string {
	switch id {
	case 0:
		return "PLAINTEXT"
	case 1:
		return "SSL"
	case 2:
		return "SASL_PLAINTEXT"
	case 3:
		return "SASL_SSL"
	}
	return "UNKNOWN"
}
