package group

import "github.com/kraal-mq/kraal/broker/coord"

// keeper is the half of a shard that keeps committed offsets, as the half that keeps members needs it. Its methods run on the shard's
// goroutine.
type keeper interface {
	// replay and replayMarker are Machine's for the records of offsets; key begins with their version.
	replay(r coord.Record, at coord.Position, producerID int64, producerEpoch int16, transactional bool)
	replayMarker(producerID int64, producerEpoch int16, committed bool)
	loaded()
	unloaded()
	// known lists the groups that have offsets, committed or pending, as far as the log says.
	known() []string
	// expire removes what has outlived its retention and reports whether offsets are left, committed or pending; at once or later.
	expire(g *Group, report func(left bool))
	// removeAll deletes a group's offsets. What it appends before it returns shares a batch with what its caller appends then.
	removeAll(g *Group, done func(error))
	// membersCame and membersGone say that g ceased to be Empty, and became it.
	membersCame(g *Group)
	membersGone(g *Group)
}

// noOffsets keeps none.
type noOffsets struct{}

func (noOffsets) replay(coord.Record, coord.Position, int64, int16, bool) {}
func (noOffsets) replayMarker(int64, int16, bool)                         {}
func (noOffsets) loaded()                                                 {}
func (noOffsets) unloaded()                                               {}
func (noOffsets) known() []string                                         { return nil }
func (noOffsets) expire(_ *Group, report func(bool))                      { report(false) }
func (noOffsets) removeAll(_ *Group, done func(error))                    { done(nil) }
func (noOffsets) membersCame(*Group)                                      {}
func (noOffsets) membersGone(*Group)                                      {}
