package zkstore

import (
	"context"
	"maps"
	"strconv"

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
	return offset, err == nil, err
}

func encodeOffset(offset int64) []byte { return strconv.AppendInt(nil, offset, 10) }

// Offsets reads many committed offsets of a group at once; those never committed are in neither map.
func (z *Store) Offsets(ctx context.Context, group string, tps []meta.TopicPartition) (offsets map[meta.TopicPartition]int64, broken map[meta.TopicPartition]error, err error) {
	type reading struct {
		offset    int64
		committed bool
	}
	path := func(tp meta.TopicPartition) string { return OffsetPath(group, tp) }
	found, broken, err := collect(ctx, z.s, tps, path, func(tp meta.TopicPartition, n znode) (r reading, err error) {
		r.offset, r.committed, err = decodeOffset(n.data)
		return r, unreadable(path(tp), err)
	})
	maps.DeleteFunc(found, func(_ meta.TopicPartition, r reading) bool { return !r.committed })
	offsets = make(map[meta.TopicPartition]int64, len(found))
	for tp, r := range found {
		offsets[tp] = r.offset
	}
	return offsets, broken, err
}

// SetOffsets writes committed offsets of a group as version 0 of OffsetCommit does on whichever broker is asked: without
// a fence, one by one, creating what is missing, and tells which failed. Of details told with an earlier offset only the
// position stays: it says which records of the log are older than what is here.
func (z *Store) SetOffsets(ctx context.Context, group string, offsets map[meta.TopicPartition]int64) (failed map[meta.TopicPartition]error, err error) {
	tps := sortedPartitions(offsets)
	at := func(tp meta.TopicPartition) string { return OffsetDetailsPath(group, tp) }
	detailed, _, err := collect(ctx, z.s, tps, at, func(tp meta.TopicPartition, n znode) (OffsetDetails, error) {
		d, err := decodeOffsetDetails(n.data)
		return d, unreadable(at(tp), err)
	})
	if err != nil {
		return nil, err
	}
	out := newResults[meta.TopicPartition, struct{}](0)
	err = z.s.pipeline(ctx, len(tps), func(ctx context.Context, i int) error {
		tp := tps[i]
		d, has := detailed[tp]
		left := NoOffsetDetails()
		if left.Position = d.Position; !has || d == left {
			_, err := z.s.put(ctx, OffsetPath(group, tp), encodeOffset(offsets[tp]))
			return out.note(tp, struct{}{}, err)
		}
		return out.note(tp, struct{}{}, z.WriteOffsets(ctx, []Fence{Unfenced()}, []OffsetWrite{
			{Group: group, TopicPartition: tp, Offset: offsets[tp], Details: &left, Exists: true, DetailsExist: true}}))
	})
	return out.broken, err
}
