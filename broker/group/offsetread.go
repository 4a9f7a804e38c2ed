package group

import (
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// freshFor is how long a reading of a group without members counts: others may write its offsets, consumers of old and version 0 of
// OffsetCommit on other brokers.
const freshFor = time.Second

// whenRead calls f when a group's offsets are known, which where the tree has the last word means that they have been read there.
func (t *offsetTable) whenRead(o *groupOffsets, f func(error)) {
	if o.reading == known {
		f(nil)
		return
	}
	o.waiting = append(o.waiting, f)
	t.read(o)
}

// whenFresh is whenRead for a group that others may write to.
func (t *offsetTable) whenFresh(o *groupOffsets, f func(error)) {
	g := t.s.groups[o.id]
	hasMembers := g != nil && len(g.members) > 0
	if t.inTree() && o.reading == known && (o.stale || !hasMembers && t.s.env.Now().Sub(o.readAt) > freshFor) {
		t.read(o)
	}
	if o.reading == underway {
		o.waiting = append(o.waiting, f)
		return
	}
	t.whenRead(o, f)
}

// read reads a group's offsets in the tree, unless that is under way.
func (t *offsetTable) read(o *groupOffsets) {
	if o.reading == underway || t.lane == nil {
		return
	}
	first := o.reading == unread
	o.reading, o.readSeq = underway, o.seq
	t.lane.Read(o.id, func(r GroupReading, err error) {
		switch {
		case err == nil:
			o.reading, o.readAt, o.stale = known, t.s.env.Now(), false
			t.merge(o, r)
		case first:
			o.reading = unread
		default:
			o.reading = known
		}
		t.answerWaiting(o, err)
		t.drop(o)
	})
}

func (t *offsetTable) answerWaiting(o *groupOffsets, err error) {
	waiting := o.waiting
	o.waiting = nil
	for _, f := range waiting {
		f(err)
	}
}

// merge takes in what the tree has.
func (t *offsetTable) merge(o *groupOffsets, r GroupReading) {
	for tp, err := range r.Broken {
		t.s.logger.Warn("a committed offset in ZooKeeper cannot be read", zap.String("group", o.id), zap.Stringer("of", tp), zap.Error(err))
	}
	for tp, found := range r.Offsets {
		if e := o.entry(tp); e.touched <= o.readSeq && e.puts == 0 {
			t.mergeOne(e, found)
		}
	}
	for tp, e := range o.entries {
		if _, found := r.Offsets[tp]; !found && r.Broken[tp] == nil && e.touched <= o.readSeq && e.puts == 0 {
			t.mergeNone(o, tp, e)
		}
		t.commitLogged(o, tp, e)
		o.tidy(tp)
	}
	if len(r.Offsets) > 0 {
		t.s.groupOrNew(o.id)
	}
}

// mergeOne takes in one offset of the tree.
func (t *offsetTable) mergeOne(e *entry, found zkstore.CommittedOffset) {
	d := found.Details
	first := e.tree.Unknown
	same := !first && e.tree.Exists && e.treeOffset == found.Offset && e.tree.Details == d
	v := StoredOffset{Offset: found.Offset, LeaderEpoch: d.LeaderEpoch, Metadata: d.Metadata, CommitTimestamp: found.Modified.UnixMilli(), ExpireTimestamp: -1}
	if d.CommitTimestamp >= 0 {
		v.CommitTimestamp = d.CommitTimestamp
	}
	if d.Retention >= 0 {
		v.ExpireTimestamp = v.CommitTimestamp + d.Retention
	}
	if !first && !same && e.tree.HasDetails && e.tree.Details == d {
		// Somebody else wrote the offset and knows nothing of details: they were another offset's.
		v = StoredOffset{Offset: v.Offset, LeaderEpoch: meta.NoLeaderEpoch, CommitTimestamp: found.Modified.UnixMilli(), ExpireTimestamp: -1}
	}
	e.tree, e.treeOffset = TreeOffset{Exists: true, HasDetails: found.HasDetails, Details: d}, found.Offset
	e.position = coord.Position{LeaderEpoch: d.Position.LeaderEpoch, Offset: d.Position.Offset}
	if e.position.LeaderEpoch > t.s.env.LeaderEpoch() { // of a topic that was deleted since
		e.position = coord.NoPosition
	}
	at := newest(e.decided, e.position)
	e.decided = at
	t.show(e, v, at)
}

// mergeNone notes that the tree has nothing of a partition.
func (t *offsetTable) mergeNone(o *groupOffsets, tp meta.TopicPartition, e *entry) {
	e.tree, e.position = TreeOffset{Details: zkstore.NoOffsetDetails()}, coord.NoPosition
	if !e.committed {
		return
	}
	t.s.logger.Info("somebody deleted a committed offset in ZooKeeper", zap.String("group", o.id), zap.Stringer("of", tp))
	t.hide(e)
	t.bury(o, tp, e, func(error) {}) // or the next coordinator would take the log's for newer
}
