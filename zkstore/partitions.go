package zkstore

import (
	"context"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// PartitionStates reads many state znodes at once. Partitions without one are in neither map; unreadable ones are in broken.
func (z *Store) PartitionStates(ctx context.Context, tps []meta.TopicPartition) (states map[meta.TopicPartition]meta.LeaderAndISR, broken map[meta.TopicPartition]error, err error) {
	return nil, nil, errPending
}

// PartitionIDs lists the partitions of a topic that have znodes, sorted; none when the topic has none yet.
func (z *Store) PartitionIDs(ctx context.Context, topic string) ([]int32, error) {
	return nil, errPending
}

// CreatePartitionStates writes the first state of partitions, and the znodes above them, in three pipelined waves. A
// partition that already has another state fails with [ErrNodeExists]. Created ones have partition epoch 0. err is for
// what ends the whole call: [ErrFenced], the session's or the context's end; the maps then tell what is known.
func (z *Store) CreatePartitionStates(ctx context.Context, f Fence, states map[meta.TopicPartition]meta.LeaderAndISR) (created map[meta.TopicPartition]meta.PartitionEpoch, failed map[meta.TopicPartition]error, err error) {
	return nil, nil, errPending
}

// UpdatePartitionStates writes new states, each on condition that the znode still has the given PartitionEpoch, and
// returns the new ones. [ErrBadVersion] in failed means: read again, decide again. err is as in [Store.CreatePartitionStates].
func (z *Store) UpdatePartitionStates(ctx context.Context, f Fence, states map[meta.TopicPartition]meta.LeaderAndISR) (updated map[meta.TopicPartition]meta.PartitionEpoch, failed map[meta.TopicPartition]error, err error) {
	return nil, nil, errPending
}
