package group

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// DeleteOffsets removes a group's committed offsets and returns the outcome for each partition, or an error for the whole.
func (c *Coordinator) DeleteOffsets(ctx context.Context, group string, partitions []meta.TopicPartition) ([]error, error) {
	if group == "" {
		return nil, ErrInvalidGroupID
	}
	type outcome struct {
		each  []error
		whole error
	}
	limited, cancel := context.WithTimeout(ctx, c.commitTimeout)
	defer cancel()
	o, err := ask(limited, c, group, func(s *Shard, reply func(outcome)) {
		s.DeleteOffsets(group, partitions, func(each []error, whole error) { reply(outcome{each, whole}) })
	})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = coord.ErrTimedOut
	}
	return o.each, errors.Join(err, o.whole)
}

// DeleteOffsets removes what no member subscribes to (GroupCoordinator.handleDeleteOffsets).
func (s *Shard) DeleteOffsets(group string, partitions []meta.TopicPartition, reply func([]error, error)) {
	t := s.offsets
	g := s.groups[group]
	switch {
	case g == nil || g.state == Dead:
		reply(nil, ErrGroupIDNotFound)
		return
	case g.state != Empty && g.protocolType != consumerType:
		reply(nil, ErrNonEmptyGroup)
		return
	}
	o := t.of(group)
	t.whenRead(o, func(err error) {
		if err == nil {
			err = t.stillThere(o)
		}
		if err != nil {
			reply(nil, err)
			return
		}
		outcomes := make([]error, len(partitions))
		going := make([]meta.TopicPartition, 0, len(partitions))
		for i, tp := range partitions {
			if g.state != Empty && g.wants(tp.Topic) {
				outcomes[i] = ErrGroupSubscribedToTopic
				continue
			}
			going = append(going, tp)
		}
		t.remove(o, going, func(err error) {
			for i := range outcomes {
				if outcomes[i] == nil {
					outcomes[i] = err
				}
			}
			reply(outcomes, nil)
		})
		t.metrics.deleted(len(going))
		s.buryIfBare(g, !o.bare())
	})
}

// remove ends committed offsets, and what open transactions have for their partitions. Nobody sees them from now on; done is called
// when that is durable. What it appends to the log is appended when it returns.
func (t *offsetTable) remove(o *groupOffsets, partitions []meta.TopicPartition, done func(error)) {
	left := 1
	var failure error
	one := func(err error) {
		if err != nil {
			failure = err
		}
		if left--; left == 0 {
			if t.alive {
				t.drop(o)
			}
			done(failure)
		}
	}
	topics := map[string]bool{}
	for _, tp := range partitions {
		e := o.entries[tp]
		if e == nil {
			continue
		}
		for producerID := range o.txns {
			if p := o.txns[producerID][tp]; p != nil {
				p.loggedOffset = loggedOffset{at: coord.NoPosition}
				t.endTxn(o, producerID, func(*pendingOffset) bool { return false })
			}
		}
		e.fromLog = nil
		t.hide(e)
		left++
		topics[tp.Topic] = true
		t.bury(o, tp, e, one)
	}
	if len(topics) == 0 || !t.toTree() {
		one(nil)
		return
	}
	names := make([]string, 0, len(topics))
	for topic := range topics {
		names = append(names, topic)
	}
	finish := done
	done = func(err error) {
		if t.alive {
			t.lane.Prune(o.id, names)
		}
		finish(err)
	}
	one(nil)
}

// bury ends what log and tree have of a partition, unless it gets a new value meanwhile. A coordinator may die between any two of its
// steps, and what is left then must not be older than what was to be deleted: so the tree first gets what it lacks, then the log
// loses its own, then the tree.
func (t *offsetTable) bury(o *groupOffsets, tp meta.TopicPartition, e *entry, done func(error)) {
	if end := t.s.env.LogEnd(); end != coord.NoPosition {
		e.decided = newest(e.decided, coord.Position{LeaderEpoch: end.LeaderEpoch, Offset: end.Offset - 1})
	}
	values := e.values
	step := func(next func()) func() {
		return func() {
			switch {
			case !t.alive:
				done(coord.ErrNotCoordinator)
			case e.values != values:
				o.tidy(tp)
				done(nil)
			default:
				next()
			}
		}
	}
	last := step(func() { t.buryInTree(o, tp, e, done) })
	e.whenLanded(step(func() {
		ended := e.logged
		if ended == coord.NoPosition {
			last()
			return
		}
		t.s.env.Append(coord.Plain(t.offsetTombstone(o.id, tp)), func(_ coord.Position, err error) {
			if err != nil {
				o.tidy(tp)
				done(err)
				return
			}
			if e.logged == ended { // until now a new value had to say that it is newer
				e.logged = coord.NoPosition
			}
			last()
		})
	}))
}

func (t *offsetTable) buryInTree(o *groupOffsets, tp meta.TopicPartition, e *entry, done func(error)) {
	if !t.toTree() || !e.tree.Exists && !e.tree.HasDetails && !e.tree.Unknown && e.puts == 0 {
		o.tidy(tp)
		done(nil)
		return
	}
	t.put(o, tp, e, OffsetValue{Delete: true}, func(err error) {
		if err == nil {
			e.position = coord.NoPosition
		}
		done(err)
	})
}

// removeAll deletes a group's offsets for good.
func (t *offsetTable) removeAll(g *Group, done func(error)) {
	o := t.of(g.id)
	t.whenRead(o, func(err error) {
		if err != nil {
			done(err)
			return
		}
		all := make([]meta.TopicPartition, 0, len(o.entries))
		for tp := range o.entries {
			all = append(all, tp)
		}
		for producerID := range o.txns {
			t.endTxn(o, producerID, func(*pendingOffset) bool { return true })
		}
		t.metrics.deleted(len(all))
		t.remove(o, all, done)
	})
}

// PartitionsDeleted removes what groups coordinated here have committed for partitions whose topics are being deleted. It returns when
// that is under way.
func (c *Coordinator) PartitionsDeleted(ctx context.Context, partitions []meta.TopicPartition) error {
	gone := make(map[meta.TopicPartition]bool, len(partitions))
	for _, tp := range partitions {
		gone[tp] = true
	}
	return c.shards.Each(ctx, func(_ int32, s *Shard) { s.offsets.dropPartitions(gone) })
}

// dropPartitions removes the offsets of deleted partitions (GroupCoordinator.handleDeletedPartitions). Of groups that nobody has asked
// for so far it is not known whether they have any.
func (t *offsetTable) dropPartitions(deleted map[meta.TopicPartition]bool) {
	if t.inTree() {
		for id := range t.s.groups {
			t.of(id)
		}
	}
	for _, o := range t.groups {
		t.whenRead(o, func(err error) {
			if err != nil {
				return
			}
			var gone []meta.TopicPartition
			for tp := range o.entries {
				if deleted[tp] {
					gone = append(gone, tp)
				}
			}
			if len(gone) == 0 {
				t.drop(o)
				return
			}
			t.s.logger.Info("removing offsets of deleted partitions", zap.String("group", o.id), zap.Int("offsets", len(gone)))
			t.metrics.deleted(len(gone))
			t.remove(o, gone, func(err error) {
				if err != nil && t.alive {
					t.s.logger.Warn("offsets of deleted partitions were left behind", zap.String("group", o.id), zap.Error(err))
				}
			})
		})
	}
}
