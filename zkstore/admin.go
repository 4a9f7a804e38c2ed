package zkstore

import (
	"context"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// TopicDeletions lists the topics marked for deletion, sorted.
func (z *Store) TopicDeletions(ctx context.Context) ([]string, error) { return nil, errPending }

// WatchTopicDeletions tells of topics being marked; [Store.TopicDeletions] re-arms it.
func (z *Store) WatchTopicDeletions() *Watch { return nil }

// MarkTopicForDeletion asks the controller to delete a topic. Marking twice is no error.
func (z *Store) MarkTopicForDeletion(ctx context.Context, topic string) error { return errPending }

// MarkedForDeletion reports whether a topic is marked.
func (z *Store) MarkedForDeletion(ctx context.Context, topic string) (bool, error) {
	return false, errPending
}

// UnmarkTopicDeletions removes markers without deleting anything.
func (z *Store) UnmarkTopicDeletions(ctx context.Context, f Fence, topics []string) error {
	return errPending
}

// Reassignment is one partition's line in /admin/reassign_partitions.
type Reassignment struct {
	meta.TopicPartition
	Replicas []meta.BrokerID
}

// Reassignments reads /admin/reassign_partitions, which only tools create; exists tells an empty list from none.
func (z *Store) Reassignments(ctx context.Context) (rs []Reassignment, exists bool, err error) {
	return nil, false, errPending
}

// WatchReassignments tells of that znode; [Store.Reassignments] re-arms it, also when the znode is missing.
func (z *Store) WatchReassignments() *Watch { return nil }

// SetReassignments rewrites the znode, creating it if need be; an empty list deletes it.
func (z *Store) SetReassignments(ctx context.Context, f Fence, rs []Reassignment) error {
	return errPending
}

// PreferredElection reads /admin/preferred_replica_election, which only tools create; exists tells an empty list from none.
func (z *Store) PreferredElection(ctx context.Context) (tps []meta.TopicPartition, exists bool, err error) {
	return nil, false, errPending
}

// WatchPreferredElection tells of that znode; [Store.PreferredElection] re-arms it, also when the znode is missing.
func (z *Store) WatchPreferredElection() *Watch { return nil }

// RequestPreferredElection creates the znode; [ErrNodeExists] while an earlier request is pending.
func (z *Store) RequestPreferredElection(ctx context.Context, tps []meta.TopicPartition) error {
	return errPending
}

// DeletePreferredElection removes the znode once the election has been tried.
func (z *Store) DeletePreferredElection(ctx context.Context, f Fence) error { return errPending }
