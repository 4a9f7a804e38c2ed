package group

import "go.uber.org/zap"

// SyncRequest is a SyncGroup. Its bytes are the group's to keep.
type SyncRequest struct {
	Group        string
	MemberID     string
	InstanceID   *string
	Generation   int32
	ProtocolType *string // nil: not said
	Protocol     *string
	Assignments  map[string][]byte // by member id; from the leader
}

// SyncReply answers it.
type SyncReply struct {
	Err          error
	ProtocolType *string
	Protocol     *string
	Assignment   []byte
}

// Sync takes a SyncGroup. reply is called once: now, or when the generation's assignment is stored or has failed.
func (s *Shard) Sync(q SyncRequest, reply func(SyncReply)) {
	g := s.groups[q.Group]
	if g == nil {
		reply(SyncReply{Err: ErrUnknownMember})
		return
	}
	m, err := g.checkGeneration(q.MemberID, q.InstanceID, q.Generation)
	if err == nil && (q.ProtocolType != nil && *q.ProtocolType != g.protocolType ||
		q.Protocol != nil && (g.protocol == nil || *q.Protocol != *g.protocol)) {
		err = ErrInconsistentGroupProtocol
	}
	if err != nil {
		reply(SyncReply{Err: err})
		return
	}
	switch g.state {
	case PreparingRebalance:
		reply(SyncReply{Err: ErrRebalanceInProgress})
	case CompletingRebalance:
		m.answerSync(SyncReply{Err: ErrRebalanceInProgress}) // of a connection given up; Kafka never answers that
		m.sync = reply
		s.synced(g, m)
		if m.id == g.leader {
			s.assign(g, q.Assignments)
		}
	case Stable:
		s.synced(g, m)
		reply(g.synced(m))
		s.heardFrom(g, m)
	default:
		reply(SyncReply{Err: ErrUnknownMember})
	}
}

func (g *Group) synced(m *Member) SyncReply {
	protocolType := g.protocolType
	return SyncReply{ProtocolType: &protocolType, Protocol: g.protocol, Assignment: m.assignment}
}

// assign stores what the leader decided; when it is in the log the members are told. Members it left out are assigned nothing, and what
// it says of others is ignored.
func (s *Shard) assign(g *Group, decided map[string][]byte) {
	assignments := make(map[string][]byte, len(g.members))
	var without []string
	for _, m := range g.inOrder() {
		a, ok := decided[m.id]
		if !ok {
			without = append(without, m.id)
		}
		assignments[m.id] = a
	}
	if len(without) > 0 {
		s.logger.Warn("the leader assigned nothing to some members", s.fields(g, zap.String("leader", g.leader),
			zap.Int("count", len(without)), zap.Strings("members", without[:min(len(without), maxNamed)]))...)
	}
	generation, leader := g.generation, g.leader
	s.metrics.rebalances.Inc()
	s.store(g, assignments, func(err error) {
		if g.state != CompletingRebalance || g.generation != generation {
			return
		}
		if err != nil {
			s.assignmentFailed(g, err)
			reason := err.Error()
			g.why.note(notStored, leader, &reason)
			s.rebalance(g)
			return
		}
		for _, m := range g.members {
			m.assignment = assignments[m.id]
		}
		s.become(g, Stable)
		for _, m := range g.inOrder() {
			if m.answerSync(g.synced(m)) {
				s.heardFrom(g, m)
			}
		}
		s.show(g)
	})
}

// assignmentFailed answers those who wait for their assignment with an error. There is none now.
func (s *Shard) assignmentFailed(g *Group, err error) {
	for _, m := range g.inOrder() {
		m.assignment = nil
		if m.answerSync(SyncReply{Err: err}) {
			s.heardFrom(g, m)
		}
	}
}

func (g *Group) assignments() map[string][]byte {
	out := make(map[string][]byte, len(g.members))
	for _, m := range g.members {
		out[m.id] = m.assignment
	}
	return out
}
