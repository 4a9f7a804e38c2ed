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
	return collect(ctx, z.s, tps, PartitionStatePath, stateOf)
}

// PartitionState reads one state znode; [ErrNoNode] when there is none.
func (z *Store) PartitionState(ctx context.Context, tp meta.TopicPartition) (meta.LeaderAndISR, error) {
	n, err := z.s.get(ctx, PartitionStatePath(tp))
	if err != nil {
		return meta.LeaderAndISR{}, err
	}
	return stateOf(tp, n)
}

func stateOf(tp meta.TopicPartition, n znode) (meta.LeaderAndISR, error) {
	state, err := decodePartitionState(n.data)
	state.PartitionEpoch = meta.PartitionEpoch(n.stat.Version)
	return state, unreadable(PartitionStatePath(tp), err)
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
	return z.writeStates(ctx, f, tps, func(tp meta.TopicPartition) write {
		return write{path: PartitionStatePath(tp), data: encodePartitionState(states[tp]), create: true}
	})
}

// ensureFolders is one wave. What became of a folder shows when something is put into it.
func (z *Store) ensureFolders(ctx context.Context, f Fence, folders []string) error {
	writes := make([]write, len(folders))
	for i, at := range folders {
		writes[i] = write{path: at, create: true}
	}
	return z.s.writeMany(ctx, f, writes, func(_ int, _ int32, err error) error {
		if err != nil && ends(err) {
			return err
		}
		return nil
	})
}

// UpdatePartitionStates writes new states, each on condition that the znode still has the given PartitionEpoch, and
// returns the new ones. [ErrBadVersion] in failed means: read again, decide again. err is as in [Store.CreatePartitionStates].
func (z *Store) UpdatePartitionStates(ctx context.Context, f Fence, states map[meta.TopicPartition]meta.LeaderAndISR) (updated map[meta.TopicPartition]meta.PartitionEpoch, failed map[meta.TopicPartition]error, err error) {
	return z.writeStates(ctx, f, sortedPartitions(states), func(tp meta.TopicPartition) write {
		s := states[tp]
		return write{path: PartitionStatePath(tp), data: encodePartitionState(s), version: int32(s.PartitionEpoch)}
	})
}

func (z *Store) writeStates(ctx context.Context, f Fence, tps []meta.TopicPartition, one func(meta.TopicPartition) write) (map[meta.TopicPartition]meta.PartitionEpoch, map[meta.TopicPartition]error, error) {
	writes := make([]write, len(tps))
	for i, tp := range tps {
		writes[i] = one(tp)
	}
	out := newResults[meta.TopicPartition, meta.PartitionEpoch](len(tps))
	err := z.s.writeMany(ctx, f, writes, func(i int, version int32, err error) error {
		return out.note(tps[i], meta.PartitionEpoch(version), err)
	})
	return out.values, out.broken, err
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
	b = append(b, `,"version":`...)
	b = appendInt(b, partitionStateVersion)
	if s.RecoveryState != meta.Recovered {
		b = append(b, `,"leader_recovery_state":`...)
		b = appendInt(b, int(s.RecoveryState))
	}
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
