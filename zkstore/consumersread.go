package zkstore

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// ConsumerOwners tells which member, or thread of one, owns which partition of a group, by /consumers/<group>/owners.
func (z *Store) ConsumerOwners(ctx context.Context, group string) (map[meta.TopicPartition]string, error) {
	topics, err := z.s.children(ctx, consumerOwnersPath(group))
	if errors.Is(err, ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	owners := map[meta.TopicPartition]string{}
	err = z.s.pipeline(ctx, len(topics), func(ctx context.Context, i int) error {
		names, err := z.s.children(ctx, consumerOwnersPath(group)+"/"+topics[i])
		if err != nil && !errors.Is(err, ErrNoNode) {
			return err
		}
		for _, name := range names {
			p, err := strconv.ParseInt(name, 10, 32)
			if err != nil {
				continue // a stranger's
			}
			tp := meta.TopicPartition{Topic: topics[i], Partition: int32(p)}
			n, err := z.s.get(ctx, ConsumerOwnerNode(group, tp).Path())
			if errors.Is(err, ErrNoNode) {
				continue // given up meanwhile
			}
			if err != nil {
				return err
			}
			mu.Lock()
			owners[tp] = string(n.data)
			mu.Unlock()
		}
		return nil
	})
	return owners, err
}

// DeleteConsumerGroup removes everything of a group below /consumers. Nobody may be a member of it.
func (z *Store) DeleteConsumerGroup(ctx context.Context, group string) error {
	return z.s.deleteTree(ctx, Unfenced(), GroupPath(group))
}

// DeleteConsumerTopic removes what a group knows of one topic.
func (z *Store) DeleteConsumerTopic(ctx context.Context, group, topic string) error {
	for _, folder := range []string{groupOffsetsPath(group), groupDetailsPath(group), consumerOwnersPath(group)} {
		if err := z.s.deleteTree(ctx, Unfenced(), folder+"/"+topic); err != nil && !errors.Is(err, ErrNoNode) {
			return err
		}
	}
	return nil
}
