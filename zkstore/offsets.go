package zkstore

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strconv"
	"sync"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Offset reads one committed offset below /consumers; [ErrNoNode] when there is none.
func (z *Store) Offset(ctx context.Context, group string, tp meta.TopicPartition) (int64, error) {
	at := OffsetPath(group, tp)
	n, err := z.s.get(ctx, at)
	if err != nil {
		return 0, err
	}
	offset, committed, err := decodeOffset(n.data)
	if err == nil && !committed {
		return 0, failed("read", at, ErrNoNode)
	}
	return offset, unreadable(at, err)
}

// decodeOffset takes a znode without data for no offset.
func decodeOffset(data []byte) (offset int64, committed bool, err error) {
	if data == nil {
		return 0, false, nil
	}
	offset, err = strconv.ParseInt(string(data), 10, 64)
	return offset, true, err
}

// Offsets reads many committed offsets of a group at once; those never committed are in neither map.
func (z *Store) Offsets(ctx context.Context, group string, tps []meta.TopicPartition) (offsets map[meta.TopicPartition]int64, broken map[meta.TopicPartition]error, err error) {
	const none = -1
	path := func(tp meta.TopicPartition) string { return OffsetPath(group, tp) }
	offsets, broken, err = collect(ctx, z.s, tps, path, func(tp meta.TopicPartition, n znode) (int64, error) {
		offset, committed, err := decodeOffset(n.data)
		if !committed {
			offset = none
		}
		return offset, unreadable(path(tp), err)
	})
	maps.DeleteFunc(offsets, func(_ meta.TopicPartition, offset int64) bool { return offset == none })
	return offsets, broken, err
}

// SetOffsets writes committed offsets of a group, creating what is missing, and tells which failed.
func (z *Store) SetOffsets(ctx context.Context, f Fence, group string, offsets map[meta.TopicPartition]int64) (failed map[meta.TopicPartition]error, err error) {
	return z.eachOffset(ctx, sortedPartitions(offsets), func(ctx context.Context, tp meta.TopicPartition) error {
		return z.s.putFenced(ctx, f, OffsetPath(group, tp), strconv.AppendInt(nil, offsets[tp], 10))
	})
}

func (z *Store) eachOffset(ctx context.Context, tps []meta.TopicPartition, do func(context.Context, meta.TopicPartition) error) (map[meta.TopicPartition]error, error) {
	out := newResults[meta.TopicPartition, struct{}](0)
	err := z.s.pipeline(ctx, len(tps), func(ctx context.Context, i int) error {
		return out.note(tps[i], struct{}{}, do(ctx, tps[i]))
	})
	return out.broken, err
}

// DeleteOffsets removes committed offsets of a group and, when nothing is left, the group's offsets znodes.
func (z *Store) DeleteOffsets(ctx context.Context, f Fence, group string, tps []meta.TopicPartition) (failed map[meta.TopicPartition]error, err error) {
	failed, err = z.eachOffset(ctx, tps, func(ctx context.Context, tp meta.TopicPartition) error {
		return z.s.deleteFenced(ctx, f, OffsetPath(group, tp))
	})
	if err != nil {
		return failed, err
	}
	folders := map[string]bool{}
	for _, tp := range tps {
		folders[path.Dir(OffsetPath(group, tp))] = true
	}
	emptied := append(slices.Sorted(maps.Keys(folders)), groupOffsetsPath(group), path.Dir(groupOffsetsPath(group)))
	for _, folder := range emptied {
		if err := z.s.deleteFenced(ctx, f, folder); err != nil && !errors.Is(err, ErrNotEmpty) {
			return failed, err
		}
	}
	return failed, nil
}

// OffsetGroups lists the groups that have a znode below /consumers, sorted.
func (z *Store) OffsetGroups(ctx context.Context) ([]string, error) {
	names, err := z.s.children(ctx, consumersPath)
	slices.Sort(names)
	return names, err
}

// OffsetPartitions lists the partitions a group has committed offsets for, sorted.
func (z *Store) OffsetPartitions(ctx context.Context, group string) ([]meta.TopicPartition, error) {
	topics, err := z.s.children(ctx, groupOffsetsPath(group))
	if errors.Is(err, ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var (
		mu  sync.Mutex
		tps []meta.TopicPartition
	)
	err = z.s.pipeline(ctx, len(topics), func(ctx context.Context, i int) error {
		names, err := z.s.children(ctx, groupOffsetsPath(group)+"/"+topics[i])
		if err != nil && !errors.Is(err, ErrNoNode) {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, name := range names {
			if p, err := strconv.ParseInt(name, 10, 32); err == nil {
				tps = append(tps, meta.TopicPartition{Topic: topics[i], Partition: int32(p)})
			}
		}
		return nil
	})
	slices.SortFunc(tps, meta.TopicPartition.Compare)
	return tps, err
}
