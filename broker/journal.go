package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/replica"
	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// journal is the logs of one internal topic as its coordinators see them. It implements [coord.Journal].
type journal struct {
	hosts *replica.Manager
	codec record.Codec
}

// Append implements [coord.Journal].
func (j journal) Append(tp meta.TopicPartition, epoch meta.LeaderEpoch, b coord.Batch) (first coord.Position, last int64, err error) {
	buf, err := b.Encode(nil, j.codec)
	if err != nil {
		return coord.NoPosition, -1, err
	}
	a := j.hosts.Append(replica.AppendRequest{Partition: tp, Records: buf, Acks: replica.AcksAll, Origin: record.OriginCoordinator,
		Verified: b.Verified, Fenced: true, LeaderEpoch: epoch})
	if a.Err != nil {
		return coord.NoPosition, -1, journalError(a.Err)
	}
	return coord.Position{LeaderEpoch: a.LeaderEpoch, Offset: a.FirstOffset}, a.LastOffset, nil
}

// Await implements [coord.Journal].
func (j journal) Await(ctx context.Context, tp meta.TopicPartition, epoch meta.LeaderEpoch, last int64) error {
	return journalError(j.hosts.AwaitReplicated(ctx, tp, epoch, last))
}

// Read implements [coord.Journal].
func (j journal) Read(tp meta.TopicPartition, epoch meta.LeaderEpoch, from int64, max int) (batches []byte, next int64, err error) {
	batches, next, err = j.hosts.ReadLed(tp, epoch, from, max)
	return batches, next, journalError(err)
}

// Bounds implements [coord.Journal].
func (j journal) Bounds(tp meta.TopicPartition, epoch meta.LeaderEpoch) (start int64, end coord.Position, err error) {
	start, leo, now, err := j.hosts.Reigns(tp, epoch)
	if err != nil {
		return -1, coord.NoPosition, journalError(err)
	}
	return start, coord.Position{LeaderEpoch: now, Offset: leo}, nil
}

// journalErrors is what Kafka's coordinators make of a failed append (TransactionStateManager.appendTransactionToLog,
// GroupMetadataManager.storeGroup): the right one is to be looked for, or it is to be tried again.
var journalErrors = []struct{ of, is error }{
	{replica.ErrNotLeader, coord.ErrNotCoordinator},
	{replica.ErrFencedLeaderEpoch, coord.ErrNotCoordinator},
	{replica.ErrUnknownLeaderEpoch, coord.ErrNotCoordinator},
	{storage.ErrDirOffline, coord.ErrNotCoordinator},
	{storage.ErrDiskFull, coord.ErrNotAvailable},
	{storage.ErrClosed, coord.ErrNotCoordinator},
	{storage.ErrDeleted, coord.ErrNotCoordinator},
	{replica.ErrUnknownPartition, coord.ErrNotAvailable},
	{replica.ErrNotEnoughReplicas, coord.ErrNotAvailable},
	{replica.ErrNotEnoughReplicasAfterAppend, coord.ErrNotAvailable},
	{replica.ErrTimedOut, coord.ErrTimedOut},
	{record.ErrMessageTooLarge, coord.ErrTooLarge},
	{storage.ErrRecordListTooLarge, coord.ErrTooLarge},
}

func journalError(err error) error {
	for _, m := range journalErrors {
		if errors.Is(err, m.of) {
			return fmt.Errorf("%w: %w", m.is, err)
		}
	}
	return err
}
