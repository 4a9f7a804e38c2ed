package zkstore

import (
	"context"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Offset reads one committed offset below /consumers; [ErrNoNode] when there is none.
func (z *Store) Offset(ctx context.Context, group string, tp meta.TopicPartition) (int64, error) {
	return 0, errPending
}

// Offsets reads many committed offsets of a group at once; those never committed are in neither map.
func (z *Store) Offsets(ctx context.Context, group string, tps []meta.TopicPartition) (offsets map[meta.TopicPartition]int64, broken map[meta.TopicPartition]error, err error) {
	return nil, nil, errPending
}

// SetOffsets writes committed offsets of a group, creating what is missing, and tells which failed.
func (z *Store) SetOffsets(ctx context.Context, f Fence, group string, offsets map[meta.TopicPartition]int64) (failed map[meta.TopicPartition]error, err error) {
	return nil, errPending
}

// DeleteOffsets removes committed offsets of a group and, when nothing is left, the group's offsets znodes.
func (z *Store) DeleteOffsets(ctx context.Context, f Fence, group string, tps []meta.TopicPartition) (failed map[meta.TopicPartition]error, err error) {
	return nil, errPending
}

// OffsetGroups lists the groups that have a znode below /consumers, sorted.
func (z *Store) OffsetGroups(ctx context.Context) ([]string, error) { return nil, errPending }

// OffsetPartitions lists the partitions a group has committed offsets for, sorted.
func (z *Store) OffsetPartitions(ctx context.Context, group string) ([]meta.TopicPartition, error) {
	return nil, errPending
}
