package zkstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// PartitionStates reads many state znodes at once. Partitions without one are in neither map; unreadable ones are in broken.
func (z *Store) PartitionStates(ctx context.Context, tps []meta.TopicPartition) (states map[meta.TopicPartition]meta.LeaderAndISR, broken map[meta.TopicPartition]error, err error) {
	return collect(ctx, z.s, tps, z.partitionState)
}

func (z *Store) partitionState(ctx context.Context, tp meta.TopicPartition) (meta.LeaderAndISR, error) {
	at := PartitionStatePath(tp)
	n, err := z.s.get(ctx, at)
	if err != nil {
		return meta.LeaderAndISR{}, err
	}
	state, err := decodePartitionState(n.data)
	state.PartitionEpoch = meta.PartitionEpoch(n.stat.Version)
	return state, unreadable(at, err)
}

// PartitionIDs lists the partitions of a topic that have znodes, sorted; none when the topic has none yet.
func (z *Store) PartitionIDs(ctx context.Context, topic string) ([]int32, error) {
	names, err := z.s.children(ctx, partitionsPath(topic))
	if errors.Is(err, ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ids := make([]int32, 0, len(names))
	for _, name := range names {
		if id, err := strconv.ParseInt(name, 10, 32); err == nil {
			ids = append(ids, int32(id))
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// CreatePartitionStates writes the first state of partitions, and the znodes above them, in three pipelined waves. A
// partition that already has another state fails with [ErrNodeExists]. Created ones have partition epoch 0. err is for
// what ends the whole call: [ErrFenced], the session's or the context's end; the maps then tell what is known.
func (z *Store) CreatePartitionStates(ctx context.Context, f Fence, states map[meta.TopicPartition]meta.LeaderAndISR) (created map[meta.TopicPartition]meta.PartitionEpoch, failed map[meta.TopicPartition]error, err error) {
	tps := sortedPartitions(states)
	folders := make([]string, 0, len(tps))
	for i, tp := range tps {
		if i == 0 || tp.Topic != tps[i-1].Topic {
			folders = append(folders, partitionsPath(tp.Topic))
		}
	}
	if err := z.ensureFolders(ctx, f, folders); err != nil {
		return nil, nil, err
	}
	folders = folders[:0]
	for _, tp := range tps {
		folders = append(folders, PartitionPath(tp))
	}
	if err := z.ensureFolders(ctx, f, folders); err != nil {
		return nil, nil, err
	}
	return attempt(ctx, z.s, tps, func(ctx context.Context, tp meta.TopicPartition) (meta.PartitionEpoch, error) {
		return 0, z.s.createFenced(ctx, f, PartitionStatePath(tp), encodePartitionState(states[tp]))
	})
}

// ensureFolders is one wave. What became of a folder shows when something is put into it.
func (z *Store) ensureFolders(ctx context.Context, f Fence, folders []string) error {
	_, _, err := attempt(ctx, z.s, folders, func(ctx context.Context, at string) (struct{}, error) {
		return struct{}{}, z.s.createFenced(ctx, f, at, nil)
	})
	return err
}

// UpdatePartitionStates writes new states, each on condition that the znode still has the given PartitionEpoch, and
// returns the new ones. [ErrBadVersion] in failed means: read again, decide again. err is as in [Store.CreatePartitionStates].
func (z *Store) UpdatePartitionStates(ctx context.Context, f Fence, states map[meta.TopicPartition]meta.LeaderAndISR) (updated map[meta.TopicPartition]meta.PartitionEpoch, failed map[meta.TopicPartition]error, err error) {
	return attempt(ctx, z.s, sortedPartitions(states), func(ctx context.Context, tp meta.TopicPartition) (meta.PartitionEpoch, error) {
		s := states[tp]
		version, err := z.s.setFenced(ctx, f, PartitionStatePath(tp), encodePartitionState(s), int32(s.PartitionEpoch))
		return meta.PartitionEpoch(version), err
	})
}

func sortedPartitions[V any](m map[meta.TopicPartition]V) []meta.TopicPartition {
	return slices.SortedFunc(maps.Keys(m), meta.TopicPartition.Compare)
}

const partitionStateVersion = 1

// encodePartitionState writes {"controller_epoch":17,"leader":1,"version":1,"leader_epoch":4,"isr":[1,2,3]}, and in it
// "leader_recovery_state":1 while the leader recovers from an unclean election.
func encodePartitionState(s meta.LeaderAndISR) []byte {
	b := make([]byte, 0, 128)
	b = append(b, `{"controller_epoch":`...)
	b = appendInt(b, s.ControllerEpoch)
	b = append(b, `,"leader":`...)
	b = appendInt(b, s.Leader)
	if s.RecoveryState != meta.Recovered {
		b = append(b, `,"leader_recovery_state":`...)
		b = appendInt(b, int(s.RecoveryState))
	}
	b = append(b, `,"version":`...)
	b = appendInt(b, partitionStateVersion)
	b = append(b, `,"leader_epoch":`...)
	b = appendInt(b, s.LeaderEpoch)
	b = append(b, `,"isr":`...)
	b = appendBrokerIDs(b, s.ISR)
	return append(b, '}')
}

func decodePartitionState(data []byte) (s meta.LeaderAndISR, err error) {
	o, err := parseObject(data)
	if err != nil {
		return s, err
	}
	if s.Leader, err = mandatory(o, "leader", asInt[meta.BrokerID](32)); err != nil {
		return s, err
	}
	if s.LeaderEpoch, err = mandatory(o, "leader_epoch", asInt[meta.LeaderEpoch](32)); err != nil {
		return s, err
	}
	if s.ISR, err = mandatory(o, "isr", asBrokerIDs); err != nil {
		return s, err
	}
	if s.ControllerEpoch, err = mandatory(o, "controller_epoch", asInt[meta.ControllerEpoch](32)); err != nil {
		return s, err
	}
	if s.RecoveryState, err = optional(o, "leader_recovery_state", asInt[meta.RecoveryState](8), meta.Recovered); err != nil {
		return s, err
	}
	if s.RecoveryState != meta.Recovered && s.RecoveryState != meta.Recovering {
		return s, fmt.Errorf("leader_recovery_state %d", s.RecoveryState)
	}
	return s, nil
}
