package zkstore

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// TopicDeletions lists the topics marked for deletion, sorted.
func (z *Store) TopicDeletions(ctx context.Context) ([]string, error) {
	names, err := z.s.children(ctx, topicDeletionsPath)
	slices.Sort(names)
	return names, err
}

// WatchTopicDeletions tells of topics being marked; [Store.TopicDeletions] re-arms it.
func (z *Store) WatchTopicDeletions() *Watch {
	return z.s.watches.subscribe(watchKey{topicDeletionsPath, childWatch}, false)
}

// MarkTopicForDeletion asks the controller to delete a topic. Marking twice is no error.
func (z *Store) MarkTopicForDeletion(ctx context.Context, topic string) error {
	return z.s.ensure(ctx, TopicDeletionPath(topic))
}

// MarkedForDeletion reports whether a topic is marked.
func (z *Store) MarkedForDeletion(ctx context.Context, topic string) (bool, error) {
	return z.s.exists(ctx, TopicDeletionPath(topic))
}

// UnmarkTopicDeletions removes markers without deleting anything.
func (z *Store) UnmarkTopicDeletions(ctx context.Context, f Fence, topics []string) error {
	return z.s.pipeline(ctx, len(topics), func(ctx context.Context, i int) error {
		return z.s.deleteFenced(ctx, f, TopicDeletionPath(topics[i]))
	})
}

// Reassignment is one partition's line in /admin/reassign_partitions.
type Reassignment struct {
	meta.TopicPartition
	Replicas []meta.BrokerID
}

// Reassignments reads /admin/reassign_partitions, which only tools create; exists tells an empty list from none.
func (z *Store) Reassignments(ctx context.Context) (rs []Reassignment, exists bool, err error) {
	n, err := z.s.get(ctx, reassignmentsPath)
	if errors.Is(err, ErrNoNode) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	rs, err = decodeReassignments(n.data)
	return rs, true, unreadable(reassignmentsPath, err)
}

// WatchReassignments tells of that znode; [Store.Reassignments] re-arms it, also when the znode is missing.
func (z *Store) WatchReassignments() *Watch {
	return z.s.watches.subscribe(watchKey{reassignmentsPath, dataWatch}, false)
}

// SetReassignments rewrites the znode, creating it if need be; an empty list deletes it.
func (z *Store) SetReassignments(ctx context.Context, f Fence, rs []Reassignment) error {
	if len(rs) == 0 {
		return z.s.deleteFenced(ctx, f, reassignmentsPath)
	}
	return z.s.putFenced(ctx, f, reassignmentsPath, encodeReassignments(rs))
}

// PreferredElection reads /admin/preferred_replica_election, which only tools create; exists tells an empty list from none.
func (z *Store) PreferredElection(ctx context.Context) (tps []meta.TopicPartition, exists bool, err error) {
	n, err := z.s.get(ctx, preferredElectionPath)
	if errors.Is(err, ErrNoNode) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	tps, err = decodePartitionList(n.data)
	return tps, true, unreadable(preferredElectionPath, err)
}

// WatchPreferredElection tells of that znode; [Store.PreferredElection] re-arms it, also when the znode is missing.
func (z *Store) WatchPreferredElection() *Watch {
	return z.s.watches.subscribe(watchKey{preferredElectionPath, dataWatch}, false)
}

// RequestPreferredElection creates the znode; [ErrNodeExists] while an earlier request is pending.
func (z *Store) RequestPreferredElection(ctx context.Context, tps []meta.TopicPartition) error {
	return z.s.createDeep(ctx, preferredElectionPath, encodePartitionList(tps))
}

// DeletePreferredElection removes the znode once the election has been tried.
func (z *Store) DeletePreferredElection(ctx context.Context, f Fence) error {
	return z.s.deleteFenced(ctx, f, preferredElectionPath)
}

// encodeReassignments writes {"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[4,2,3]}]}.
func encodeReassignments(rs []Reassignment) []byte {
	b := []byte(`{"version":1,"partitions":`)
	b = appendList(b, rs, func(b []byte, r Reassignment) []byte {
		b = appendPartition(b, r.TopicPartition)
		b = append(b, `,"replicas":`...)
		return append(appendBrokerIDs(b, r.Replicas), '}')
	})
	return append(b, '}')
}

func decodeReassignments(data []byte) ([]Reassignment, error) {
	o, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	return optional(o, "partitions", asList(func(raw json.RawMessage) (r Reassignment, err error) {
		p, err := asObject(raw)
		if err != nil {
			return r, err
		}
		if r.TopicPartition, err = partitionOf(p); err != nil {
			return r, err
		}
		r.Replicas, err = mandatory(p, "replicas", asBrokerIDs)
		return r, err
	}), nil)
}

// encodePartitionList writes {"version":1,"partitions":[{"topic":"t","partition":0}]}: preferred elections and ISR notices.
func encodePartitionList(tps []meta.TopicPartition) []byte {
	b := []byte(`{"version":1,"partitions":`)
	b = appendList(b, tps, func(b []byte, tp meta.TopicPartition) []byte { return append(appendPartition(b, tp), '}') })
	return append(b, '}')
}

func decodePartitionList(data []byte) ([]meta.TopicPartition, error) {
	o, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	return mandatory(o, "partitions", asList(func(raw json.RawMessage) (tp meta.TopicPartition, err error) {
		p, err := asObject(raw)
		if err != nil {
			return tp, err
		}
		return partitionOf(p)
	}))
}

// appendPartition leaves the object open.
func appendPartition(b []byte, tp meta.TopicPartition) []byte {
	b = appendString(append(b, `{"topic":`...), tp.Topic)
	return appendInt(append(b, `,"partition":`...), tp.Partition)
}

func partitionOf(o object) (tp meta.TopicPartition, err error) {
	if tp.Topic, err = mandatory(o, "topic", asString); err != nil {
		return tp, err
	}
	tp.Partition, err = mandatory(o, "partition", asInt[int32](32))
	return tp, err
}
