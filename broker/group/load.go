package group

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/coord"
)

// Replay takes a record of the log. Of a group only the last one counts, so it is looked into when all have been seen.
func (s *Shard) Replay(r coord.Record, at coord.Position, producerID int64, producerEpoch int16, transactional bool) {
	kind, group, err := recordKind(r.Key)
	switch {
	case err != nil:
		s.logger.Warn("a record of groups or offsets cannot be read", zap.Int32("partition", s.partition), zap.Int64("offset", at.Offset), zap.Error(err))
	case kind == offsetRecord:
		s.offsets.replay(r, at, producerID, producerEpoch, transactional)
	case kind == groupRecord && r.Value == nil:
		delete(s.replayed, group)
	case kind == groupRecord:
		r.Key, r.Value = nil, bytes.Clone(r.Value)
		s.replayed[group] = r
	default:
		s.unknown++
	}
}

// ReplayMarker ends a transaction that committed offsets.
func (s *Shard) ReplayMarker(producerID int64, producerEpoch int16, committed bool) {
	s.offsets.replayMarker(producerID, producerEpoch, committed)
}

// Loaded brings the groups to life: with members they are Stable, whatever they were doing when they were last heard of, and every
// member has a whole session timeout to show itself.
func (s *Shard) Loaded() {
	if s.unknown > 0 {
		s.logger.Warn("records of unknown kinds were left alone", zap.Int32("partition", s.partition), zap.Int("records", s.unknown))
	}
	for _, id := range slices.Sorted(maps.Keys(s.replayed)) {
		g, err := decodeGroup(id, s.replayed[id].Value)
		if err != nil {
			s.logger.Error("a group's record cannot be read", zap.String("group", id), zap.Int32("partition", s.partition), zap.Error(err))
			continue
		}
		for _, m := range g.members {
			m.since = s.env.Now()
		}
		s.groups[id] = g
		s.metrics.added(g.state)
	}
	s.replayed = nil
	s.offsets.loaded()
	for _, id := range s.offsets.known() {
		s.groupOrNew(id)
	}
	for _, g := range s.inOrder() {
		if len(g.members) == 0 {
			continue
		}
		s.show(g)
		if len(g.members) > s.config.MaxSize {
			limit := fmt.Sprintf("%d members, %d allowed", len(g.members), s.config.MaxSize)
			g.why.note(overCapacity, limit, nil) // the members join again, as many as there is room for
			s.rebalance(g)
		}
		for _, m := range g.inOrder() {
			s.heardFrom(g, m)
		}
	}
	s.check.set(s.env, s.config.RetentionCheckInterval, s.expire)
}

// Unloaded answers everybody who is parked.
func (s *Shard) Unloaded() {
	s.ended = true
	s.check.stop()
	for _, g := range s.inOrder() {
		if g.state != Dead {
			s.become(g, Dead)
		}
		for _, m := range g.inOrder() {
			g.answerJoin(m, refuseJoin(m.id, coord.ErrNotCoordinator))
			m.answerSync(SyncReply{Err: coord.ErrNotCoordinator})
		}
		s.forget(g)
		s.board.Clear(g.id)
	}
	s.offsets.unloaded()
}

// EpochRaised implements [coord.EpochFollower].
func (s *Shard) EpochRaised() { s.offsets.raised() }
