package group

import (
	"time"

	"go.uber.org/zap"
)

// joinPhase is the time a group in PreparingRebalance has left.
type joinPhase struct {
	alarm alarm
	// initial is the first phase of a group that was Empty: it ends by time alone, so that members that start together are in one
	// generation (KIP-134).
	initial   bool
	delay     time.Duration // what the alarm was last set to, if initial
	remaining time.Duration // by how much an initial phase may yet be prolonged
}

// mayRebalance reports whether a rebalance can begin: not while the join phase of one is under way.
func (g *Group) mayRebalance() bool { return g.state.mayBecome(PreparingRebalance) }

// rebalance begins a join phase. Why has been noted before.
func (s *Shard) rebalance(g *Group) {
	if g.state == CompletingRebalance {
		s.assignmentFailed(g, ErrRebalanceInProgress)
	}
	s.stopSyncPhase(g)
	wasEmpty := g.state == Empty
	s.become(g, PreparingRebalance)
	g.why.since = s.env.Now()
	g.joinPhase.initial = wasEmpty
	if wasEmpty {
		s.offsets.membersCame(g)
		delay := s.config.InitialRebalanceDelay
		g.joinPhase.delay, g.joinPhase.remaining = delay, max(g.rebalanceTimeout()-delay, 0)
		s.setJoinAlarm(g, delay)
		return
	}
	s.setJoinAlarm(g, g.rebalanceTimeout())
	s.checkJoined(g)
}

func (s *Shard) setJoinAlarm(g *Group, d time.Duration) {
	g.joinPhase.alarm.set(s.env, d, func() { s.joinTimeUp(g) })
}

// checkJoined ends the join phase as soon as everybody has joined.
func (s *Shard) checkJoined(g *Group) {
	if g.state == PreparingRebalance && !g.joinPhase.initial && g.allJoined() {
		s.endJoinPhase(g)
	}
}

// joinTimeUp ends the join phase, unless it is the initial one and members were still arriving (InitialDelayedJoin).
func (s *Shard) joinTimeUp(g *Group) {
	if g.state != PreparingRebalance {
		return
	}
	if p := &g.joinPhase; p.initial && g.newMemberAdded && p.remaining > 0 {
		g.newMemberAdded = false
		last := p.delay
		p.delay = min(s.config.InitialRebalanceDelay, p.remaining)
		p.remaining = max(p.remaining-last, 0)
		s.setJoinAlarm(g, p.delay)
		return
	}
	s.endJoinPhase(g)
}

// endJoinPhase begins the next generation with those who have joined (GroupCoordinator.onCompleteJoin).
func (s *Shard) endJoinPhase(g *Group) {
	g.joinPhase.alarm.stop()
	for _, m := range g.inOrder() {
		if m.join == nil && !m.isStatic() { // a static member may come back until its session ends
			g.why.note(missedJoin, m.id, nil)
			s.drop(g, m)
		}
	}
	if !g.electJoined() && len(g.members) > 0 {
		// Only static members, and none came: there is nobody to assign. Prolonged, and from now on ending as soon as all have come.
		g.joinPhase.initial = false
		s.setJoinAlarm(g, g.rebalanceTimeout())
		return
	}
	g.generation++
	g.newMemberAdded = false
	g.clearOwing()
	if len(g.members) == 0 {
		g.protocol = nil
		g.reconsider()
		s.become(g, Empty)
		s.logGeneration(g, "group is empty")
		s.offsets.membersGone(g)
		s.board.Clear(g.id)
		s.store(g, nil, func(err error) {
			if err != nil {
				s.logger.Warn("a group that became empty could not be written", s.fields(g, zap.Error(err))...)
			}
		})
		return
	}
	chosen := g.choose()
	g.protocol = &chosen
	g.reconsider()
	s.become(g, CompletingRebalance)
	s.logGeneration(g, "group has a new generation")
	list := g.listMembers()
	for _, m := range g.inOrder() {
		r := s.joined(g, m)
		if m.id == g.leader {
			r.Members = list
		}
		g.answerJoin(m, r)
		m.isNew = false
		s.heardFrom(g, m)
		m.owesSync = true
	}
	g.owing = len(g.members)
	g.syncPhase.set(s.env, g.rebalanceTimeout(), func() { s.syncTimeUp(g) })
}

// clearOwing forgets who still owes a SyncGroup.
func (g *Group) clearOwing() {
	for _, m := range g.members {
		m.owesSync = false
	}
	g.owing = 0
}

func (s *Shard) stopSyncPhase(g *Group) {
	g.clearOwing()
	g.syncPhase.stop()
}

// synced notes a member's SyncGroup.
func (s *Shard) synced(g *Group, m *Member) {
	g.settleSync(m)
	if g.owing == 0 {
		g.syncPhase.stop()
	}
}

// syncTimeUp removes those who joined but did not ask for their assignment within the rebalance timeout (KAFKA-12890).
func (s *Shard) syncTimeUp(g *Group) {
	if g.owing == 0 || g.state != CompletingRebalance && g.state != Stable {
		return
	}
	for _, m := range g.inOrder() {
		if m.owesSync {
			g.why.note(missedSync, m.id, nil)
			s.drop(g, m)
		}
	}
	s.rebalance(g)
}

// drop takes a member out of the group without starting a rebalance, answering whatever it is parked in.
func (s *Shard) drop(g *Group, m *Member) {
	g.answerJoin(m, JoinReply{Err: ErrUnknownMember, Generation: noGeneration})
	m.answerSync(SyncReply{Err: ErrUnknownMember})
	g.remove(m.id)
}

// expel takes a member out of the group and lets the others rebalance.
func (s *Shard) expel(g *Group, m *Member, why cause, reason *string) {
	g.why.note(why, m.id, reason)
	s.drop(g, m)
	switch g.state {
	case Stable, CompletingRebalance:
		s.rebalance(g)
	case PreparingRebalance:
		s.checkJoined(g)
	}
}

// heardFrom puts the end of the member's session off.
func (s *Shard) heardFrom(g *Group, m *Member) { s.setSession(g, m, m.sessionTimeout) }

func (s *Shard) setSession(g *Group, m *Member, d time.Duration) {
	m.session.set(s.env, d, func() { s.sessionOver(g, m) })
}

// sessionOver removes a member not heard from in time. One that is parked waits for us, not we for it: its session begins anew when it
// is answered.
func (s *Shard) sessionOver(g *Group, m *Member) {
	if g.state == Dead || m.excusedFromHeartbeat() {
		return
	}
	s.expel(g, m, timedOut, nil)
}

// addPending remembers a member id that was handed out, for as long as the session it asked for.
func (s *Shard) addPending(g *Group, id string, session time.Duration) {
	a := &alarm{}
	g.pending[id] = a
	a.set(s.env, session, func() { s.removePending(g, id) })
}

func (s *Shard) removePending(g *Group, id string) {
	g.forgetPending(id)
	s.checkJoined(g)
}

func (s *Shard) logGeneration(g *Group, message string) {
	fields := s.fields(g,
		zap.Int("members", len(g.members)),
		zap.Duration("took", s.env.Now().Sub(g.why.since)))
	if g.protocol != nil {
		fields = append(fields, zap.Int("static", len(g.statics)), zap.String("leader", g.leader), zap.String("protocol", *g.protocol))
	}
	s.logger.Info(message, append(fields, g.why.fields()...)...)
	g.why = causes{}
}
