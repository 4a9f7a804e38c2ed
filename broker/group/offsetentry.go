package group

import (
	"time"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// groupOffsets is what a shard knows of one group's offsets.
type groupOffsets struct {
	id      string
	entries map[meta.TopicPartition]*entry
	// txns are offsets committed in transactions that have not ended, by producer id.
	txns map[int64]map[meta.TopicPartition]*pendingOffset

	// reading is the state of what is known of the tree, where that has a say.
	reading readingPhase
	blind   bool // the tree is written and not read
	stale   bool // to be read again before the next fetch is answered
	readAt  time.Time
	readSeq uint64
	waiting []func(error) // for the reading to end

	seq uint64 // counts what goes to the tree
}

// readingPhase: unread --somebody asks--> underway --answered--> known --asked again--> underway.
type readingPhase int8

const (
	unread readingPhase = iota
	underway
	known
)

// entry is one partition's committed offset.
//
// Two orders have to be kept. In the log that is given by position. What goes to the tree alone is no record; it takes the
// position of the last record there is when it is decided on: it is newer than that record, and older than the next.
type entry struct {
	committed bool
	value     StoredOffset
	at        coord.Position // of value
	// decided is the position of the newest value there is, whether it can be seen yet or not. What is older is superseded.
	// Invariant: at <= decided.
	decided coord.Position

	writing int      // commits outside of transactions that are not durable yet
	behind  int      // values of transactions that are not in the tree yet
	puts    int      // calls of OffsetLane.Put that were not answered, of any kind
	landing []func() // to be called when there are none
	values  uint64   // counts the values that were given to the tree

	// logged is not below any record of this partition in the log, committed or not, that no tombstone has ended.
	logged coord.Position
	// fromLog is the newest value committed in the log while nothing is known of the tree.
	fromLog *loggedOffset

	tree       TreeOffset
	treeOffset int64
	// position is the newest record that what is in the tree, or on its way to it, includes or supersedes.
	position coord.Position
	touched  uint64 // groupOffsets.seq when something of ours was last on its way to the tree
}

type loggedOffset struct {
	value StoredOffset
	at    coord.Position
}

// pendingOffset is an offset committed in an open transaction.
type pendingOffset struct {
	loggedOffset     // the newest that is in the log; at is NoPosition: none
	appending    int // more are on the way there
}

func newGroupOffsets(id string) *groupOffsets {
	return &groupOffsets{id: id, entries: map[meta.TopicPartition]*entry{}, txns: map[int64]map[meta.TopicPartition]*pendingOffset{}}
}

// entry returns a partition's entry, making it if there is none.
func (o *groupOffsets) entry(tp meta.TopicPartition) *entry {
	e := o.entries[tp]
	if e == nil {
		e = &entry{at: coord.NoPosition, decided: coord.NoPosition, logged: coord.NoPosition, position: coord.NoPosition,
			tree: TreeOffset{Unknown: o.blind || o.reading != known, Details: zkstore.NoOffsetDetails()}}
		o.entries[tp] = e
	}
	return e
}

// touch notes that something goes to the tree, or arrived there: a reading that began before says nothing about the entry.
func (o *groupOffsets) touch(e *entry) {
	o.seq++
	e.touched = o.seq
}

// open reports whether an open transaction has something for the partition.
func (o *groupOffsets) open(tp meta.TopicPartition) bool {
	for _, txn := range o.txns {
		if txn[tp] != nil {
			return true
		}
	}
	return false
}

// tidy forgets an entry that says nothing.
func (o *groupOffsets) tidy(tp meta.TopicPartition) {
	e := o.entries[tp]
	if e != nil && !e.committed && e.writing+e.behind+e.puts+len(e.landing) == 0 && e.fromLog == nil && e.logged == coord.NoPosition && !e.tree.Exists && !o.open(tp) {
		delete(o.entries, tp)
	}
}

// bare reports whether there is nothing, committed or pending.
func (o *groupOffsets) bare() bool {
	if len(o.txns) > 0 || len(o.waiting) > 0 {
		return false
	}
	for _, e := range o.entries {
		if e.committed || e.writing > 0 || e.behind > 0 || e.fromLog != nil {
			return false
		}
	}
	return true
}

// unstable reports whether a commit of the partition is on its way (KIP-447).
func (o *groupOffsets) unstable(tp meta.TopicPartition) bool {
	e := o.entries[tp]
	return e != nil && (e.writing > 0 || e.behind > 0) || o.open(tp)
}

// supersede notes that there is a value at a position. It is false if there is a newer one.
func (e *entry) supersede(at coord.Position) bool {
	if at.Compare(e.decided) < 0 {
		return false
	}
	e.decided = at
	return true
}

// show lets a value be seen, unless a newer one can be.
func (t *offsetTable) show(e *entry, v StoredOffset, at coord.Position) {
	if e.committed && at.Compare(e.at) < 0 {
		return
	}
	if !e.committed {
		t.metrics.held(+1)
	}
	e.committed, e.value, e.at = true, v, at
}

// hide ends a value.
func (t *offsetTable) hide(e *entry) {
	if e.committed {
		t.metrics.held(-1)
	}
	e.committed, e.value = false, StoredOffset{}
}

// putOffset has a value written to the tree. told says that its commit timestamp is not the time of the writing.
func (t *offsetTable) putOffset(o *groupOffsets, tp meta.TopicPartition, e *entry, v StoredOffset, told bool, at coord.Position, done func(error)) {
	e.values++
	if e.logged.Compare(e.position) > 0 {
		e.position = at
	}
	d := zkstore.OffsetDetails{LeaderEpoch: max(v.LeaderEpoch, meta.NoLeaderEpoch), Metadata: v.Metadata, CommitTimestamp: -1, Retention: -1,
		Position: zkstore.NoOffsetPosition()}
	if told {
		d.CommitTimestamp = v.CommitTimestamp
	}
	if v.ExpireTimestamp >= 0 {
		d.Retention = max(v.ExpireTimestamp-v.CommitTimestamp, 0)
	}
	if e.position.Offset >= 0 {
		d.Position = zkstore.OffsetPosition{LeaderEpoch: e.position.LeaderEpoch, Offset: e.position.Offset}
	}
	t.put(o, tp, e, OffsetValue{Offset: v.Offset, Details: d}, done)
}

// whenLanded calls f when nothing of the entry is on its way to the tree.
func (e *entry) whenLanded(f func()) {
	if e.puts == 0 {
		f()
		return
	}
	e.landing = append(e.landing, f)
}

func (t *offsetTable) put(o *groupOffsets, tp meta.TopicPartition, e *entry, v OffsetValue, done func(error)) {
	o.touch(e)
	e.puts++
	t.lane.Put(o.id, tp, v, e.tree, func(err error) {
		e.puts--
		o.touch(e)
		if err == nil {
			e.tree, e.treeOffset = after(v), v.Offset
		} else {
			e.tree.Unknown = true
		}
		done(err)
		if landing := e.landing; e.puts == 0 && len(landing) > 0 {
			e.landing = nil
			for _, f := range landing {
				f()
			}
		}
		o.tidy(tp)
	})
}
