package zkstore

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// OffsetGroups lists the groups that have a znode below /consumers, sorted.
func (z *Store) OffsetGroups(ctx context.Context) ([]string, error) {
	names, err := z.s.children(ctx, consumersPath)
	for i, name := range names {
		names[i] = nameOfPath(name)
	}
	slices.Sort(names)
	return names, err
}

// OffsetPartitions lists the partitions a group has committed offsets for, sorted. What is not named by a number is none.
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
			if p, err := strconv.ParseInt(name, 10, 32); err == nil && strconv.Itoa(int(p)) == name {
				tps = append(tps, meta.TopicPartition{Topic: nameOfPath(topics[i]), Partition: int32(p)})
			}
		}
		return nil
	})
	slices.SortFunc(tps, meta.TopicPartition.Compare)
	return tps, err
}

// GroupOffsets reads all committed offsets of a group, whoever wrote them. A partition whose offset cannot be read is
// in broken; details that cannot be read are in broken too, and the offset is had without them.
func (z *Store) GroupOffsets(ctx context.Context, group string) (offsets map[meta.TopicPartition]CommittedOffset, broken map[meta.TopicPartition]error, err error) {
	tps, err := z.OffsetPartitions(ctx, group)
	if err != nil || len(tps) == 0 {
		return nil, nil, err
	}
	type znodeOf struct {
		meta.TopicPartition
		details bool
	}
	type content struct {
		offset    CommittedOffset
		committed bool
		details   OffsetDetails
	}
	keys := make([]znodeOf, 0, 2*len(tps))
	for _, tp := range tps {
		keys = append(keys, znodeOf{tp, false}, znodeOf{tp, true})
	}
	at := func(k znodeOf) string {
		if k.details {
			return OffsetDetailsPath(group, k.TopicPartition)
		}
		return OffsetPath(group, k.TopicPartition)
	}
	found, failed, err := collect(ctx, z.s, keys, at, func(k znodeOf, n znode) (c content, err error) {
		if k.details {
			c.details, err = decodeOffsetDetails(n.data)
			return c, unreadable(at(k), err)
		}
		c.offset.Offset, c.committed, err = decodeOffset(n.data)
		c.offset.Modified = time.UnixMilli(n.stat.Mtime)
		return c, unreadable(at(k), err)
	})
	if err != nil {
		return nil, nil, err
	}
	broken = map[meta.TopicPartition]error{}
	for k, err := range failed {
		if broken[k.TopicPartition] == nil || !k.details {
			broken[k.TopicPartition] = err
		}
	}
	offsets = make(map[meta.TopicPartition]CommittedOffset, len(tps))
	for _, tp := range tps {
		c := found[znodeOf{tp, false}]
		if !c.committed {
			continue
		}
		d, has := found[znodeOf{tp, true}]
		c.offset.HasDetails = has || failed[znodeOf{tp, true}] != nil
		c.offset.Details = NoOffsetDetails()
		if has {
			c.offset.Details = d.details
		}
		offsets[tp] = c.offset
	}
	return offsets, broken, nil
}

// HasMembers reports whether somebody is registered as a member of a group, as consumers of Kafka 0.8 do.
func (z *Store) HasMembers(ctx context.Context, group string) (bool, error) {
	names, err := z.s.children(ctx, GroupPath(group)+"/ids")
	if errors.Is(err, ErrNoNode) {
		return false, nil
	}
	return len(names) > 0, err
}
