package group

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// OffsetConfig is how offsets are kept. Nothing of it changes while the broker runs.
type OffsetConfig struct {
	InTree      bool          // offsets.storage=zookeeper: commits go to the tree; else to the log
	Both        bool          // dual.commit.enabled: to the other, too
	MetadataMax int           // offset.metadata.max.bytes, which counts UTF-16 units
	Retention   time.Duration // offsets.retention.minutes
	// RecordVersion is that of the values written to the log: 1 to 3, by inter.broker.protocol.version.
	RecordVersion int16
}

// offsetTable is the half of a shard that keeps committed offsets: the shard's keeper. See "Offsets" in the package's description.
type offsetTable struct {
	s            *Shard
	c            OffsetConfig
	tree         *OffsetTree
	lane         *OffsetLane // nil before the shard is loaded
	partitionFor func(group string) (partition int32, known bool)
	metrics      *OffsetMetrics

	groups map[string]*groupOffsets
	// alive between loaded and unloaded.
	alive bool
	// producers finds the groups that a producer's open transaction has offsets of.
	producers map[int64]map[string]*groupOffsets
}

// OffsetOptions is what the tables of a broker share.
type OffsetOptions struct {
	Config OffsetConfig
	Tree   *OffsetTree // nil unless offsets are written to the tree
	// PartitionFor says which shard a group belongs to. known is false while it may yet turn out to be another.
	PartitionFor func(group string) (partition int32, known bool)
	Metrics      *OffsetMetrics
}

func newOffsetTable(s *Shard, o OffsetOptions) *offsetTable {
	return &offsetTable{s: s, c: o.Config, tree: o.Tree, partitionFor: o.PartitionFor, metrics: o.Metrics,
		groups: map[string]*groupOffsets{}, producers: map[int64]map[string]*groupOffsets{}}
}

// inTree says whether the tree has the last word, and toTree and toLog where commits go.
func (t *offsetTable) inTree() bool { return t.c.InTree }
func (t *offsetTable) toTree() bool { return t.c.InTree || t.c.Both }
func (t *offsetTable) toLog() bool  { return !t.c.InTree || t.c.Both }

// of returns a group's offsets, making a place for them if there is none.
func (t *offsetTable) of(group string) *groupOffsets {
	o := t.groups[group]
	if o == nil {
		o = newGroupOffsets(group)
		if !t.inTree() {
			o.reading, o.blind = known, true
		}
		t.groups[group] = o
	}
	return o
}

// drop forgets a group's offsets if there are none.
func (t *offsetTable) drop(o *groupOffsets) {
	if t.groups[o.id] == o && o.reading != underway && o.bare() && len(o.entries) == 0 {
		delete(t.groups, o.id)
	}
}

// replay takes a record of the log. A plain one is a commit of a broker that kept offsets there; whether it counts where the tree has
// the last word shows when the group is read.
func (t *offsetTable) replay(r coord.Record, at coord.Position, producerID int64, _ int16, transactional bool) {
	group, tp, err := decodeOffsetKey(r.Key)
	var v StoredOffset
	if err == nil && r.Value != nil {
		v, err = decodeOffset(r.Value)
	}
	if err != nil {
		t.s.logger.Warn("the record of an offset cannot be read", zap.Int32("partition", t.s.partition), zap.Int64("offset", at.Offset), zap.Error(err))
		return
	}
	o := t.of(group)
	switch e := o.entry(tp); {
	case r.Value == nil:
		e.fromLog, e.logged = nil, coord.NoPosition
		if o.tidy(tp); len(o.entries) == 0 {
			t.drop(o)
		}
	case transactional:
		t.appended(o, producerID, tp, loggedOffset{v, at})
	default:
		e.fromLog, e.logged = &loggedOffset{v, at}, at
	}
}

// loaded begins the shard's life.
func (t *offsetTable) loaded() {
	if t.toTree() {
		t.lane = t.tree.Open(t.s.partition, t.s.env.LeaderEpoch(), t.s.env.Post)
	}
	for _, o := range t.groups {
		for tp, e := range o.entries {
			t.commitLogged(o, tp, e)
		}
	}
	t.alive = true
	if t.inTree() {
		t.lane.Groups(t.listed)
	}
}

// listPause is how long to wait for what is not known about the shards yet.
const listPause = 200 * time.Millisecond

// listed brings those groups to life that have nothing in the log.
func (t *offsetTable) listed(groups []string, err error) {
	if err != nil {
		return // deposed: the shard is about to end
	}
	for _, group := range groups {
		partition, known := t.partitionFor(group)
		if !known {
			t.s.env.After(listPause, func() { t.lane.Groups(t.listed) })
			return
		}
		if partition == t.s.partition {
			t.s.groupOrNew(group)
		}
	}
}

// raised says that the leadership goes on in the next epoch.
func (t *offsetTable) raised() {
	if t.lane != nil {
		t.lane.Raise(t.s.env.LeaderEpoch())
	}
}

// unloaded answers everybody who waits.
func (t *offsetTable) unloaded() {
	t.alive = false
	if t.lane != nil {
		t.lane.Close()
	}
	for _, o := range t.groups {
		t.answerWaiting(o, coord.ErrNotCoordinator)
		for _, e := range o.entries {
			t.hide(e)
		}
	}
	clear(t.groups)
}

// known lists the groups that the log says have offsets.
func (t *offsetTable) known() []string {
	ids := make([]string, 0, len(t.groups))
	for id := range t.groups {
		ids = append(ids, id)
	}
	return ids
}

// membersCame has the tree read again before the next fetch: a group of old consumers may have been at work while this had no members.
func (t *offsetTable) membersCame(g *Group) {
	if o := t.groups[g.id]; o != nil && t.inTree() {
		o.stale = true
	}
}

func (t *offsetTable) membersGone(*Group) {}

// storeFailure is what clients are told when offsets could not be stored.
func storeFailure(err error) error {
	if errors.Is(err, coord.ErrTooLarge) {
		return errors.Join(ErrInvalidCommitSize, err)
	}
	return err
}

// recordsOf makes the records of a commit.
func (t *offsetTable) recordsOf(group string, offsets []commitPart) []coord.Record {
	records := make([]coord.Record, len(offsets))
	for i, c := range offsets {
		records[i] = t.record(group, c.tp, c.value)
	}
	return records
}

// commitPart is one partition of a commit.
type commitPart struct {
	index int // in the request
	tp    meta.TopicPartition
	value StoredOffset
	told  bool // the client told the commit timestamp
}
