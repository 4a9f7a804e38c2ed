package group

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// FetchedOffset is one partition's committed offset as OffsetFetch tells it.
type FetchedOffset struct {
	meta.TopicPartition
	Offset      int64 // -1: none
	LeaderEpoch meta.LeaderEpoch
	Metadata    string
	Err         error // ErrUnstableOffset
}

// Fetch returns the committed offsets of partitions, or with all those there are. If they must be stable, a partition of which a
// commit is on its way gets ErrUnstableOffset instead.
func (c *Coordinator) Fetch(ctx context.Context, group string, partitions []meta.TopicPartition, all, stable bool) ([]FetchedOffset, error) {
	type found struct {
		offsets []FetchedOffset
		err     error
	}
	limited, cancel := context.WithTimeout(ctx, c.commitTimeout)
	defer cancel()
	f, err := ask(limited, c, group, func(s *Shard, reply func(found)) {
		s.FetchOffsets(group, partitions, all, stable, func(offsets []FetchedOffset, err error) { reply(found{offsets, err}) })
	})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = coord.ErrLoading // ZooKeeper does not answer; the client comes again
	}
	return f.offsets, errors.Join(err, f.err)
}

// FetchOffsets calls reply now, or when the group's offsets have been read.
func (s *Shard) FetchOffsets(group string, partitions []meta.TopicPartition, all, stable bool, reply func([]FetchedOffset, error)) {
	s.offsets.fetch(group, partitions, all, stable, reply)
}

func (t *offsetTable) fetch(group string, partitions []meta.TopicPartition, all, stable bool, reply func([]FetchedOffset, error)) {
	o := t.groups[group]
	if o == nil && t.inTree() {
		o = t.of(group) // somebody may have written to the tree
	}
	if g := t.s.groups[group]; o == nil || g != nil && g.state == Dead {
		reply(fetchOf(nil, partitions, all, stable), nil)
		return
	}
	t.whenFresh(o, func(err error) {
		if err != nil {
			reply(nil, err)
			return
		}
		reply(fetchOf(o, partitions, all, stable), nil)
		t.drop(o)
	})
}

// fetchOf looks partitions up; o may be nil.
func fetchOf(o *groupOffsets, partitions []meta.TopicPartition, all, stable bool) []FetchedOffset {
	var entries map[meta.TopicPartition]*entry
	if o != nil {
		entries = o.entries
	}
	if all {
		partitions = slices.SortedFunc(maps.Keys(entries), meta.TopicPartition.Compare)
	}
	found := make([]FetchedOffset, 0, len(partitions))
	for _, tp := range partitions {
		f := FetchedOffset{TopicPartition: tp, Offset: -1, LeaderEpoch: meta.NoLeaderEpoch}
		e := entries[tp]
		switch {
		case all && !e.committed:
			continue
		case stable && o != nil && o.unstable(tp):
			f.Err = ErrUnstableOffset
		case e != nil && e.committed:
			f.Offset, f.LeaderEpoch, f.Metadata = e.value.Offset, e.value.LeaderEpoch, e.value.Metadata
		}
		found = append(found, f)
	}
	return found
}
