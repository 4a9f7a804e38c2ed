package group

import (
	"fmt"
	"time"

	"go.uber.org/zap"
)

// JoinRequest is a JoinGroup. Its bytes are the group's to keep.
type JoinRequest struct {
	Group      string
	MemberID   string // "": a new member
	InstanceID *string
	// RequireMemberID: a new member is given its id first and has to come back with it (KIP-394).
	RequireMemberID bool
	// CanSkipAssignment: a static leader that came back understands that it need not assign (KIP-814).
	CanSkipAssignment bool
	ClientID          string
	ClientHost        string
	RebalanceTimeout  time.Duration
	SessionTimeout    time.Duration
	ProtocolType      string
	Protocols         []Protocol
	Reason            *string
}

// JoinReply answers it. With an error most of it is empty; with ErrMemberIDRequired MemberID is the one to use.
type JoinReply struct {
	Err            error
	Generation     int32
	ProtocolType   *string
	Protocol       *string
	Leader         string
	MemberID       string
	SkipAssignment bool
	Members        []JoinedMember // for the leader
}

// JoinedMember is what the leader is told of a member.
type JoinedMember struct {
	ID         string
	InstanceID *string
	Metadata   []byte
}

// noGeneration stands in answers that have none.
const noGeneration = -1

func refuseJoin(memberID string, err error) JoinReply {
	return JoinReply{Err: err, Generation: noGeneration, MemberID: memberID}
}

// Join takes a JoinGroup. reply is called once: now, or when the join phase ends.
func (s *Shard) Join(q JoinRequest, reply func(JoinReply)) {
	if q.SessionTimeout < s.config.MinSessionTimeout || q.SessionTimeout > s.config.MaxSessionTimeout {
		reply(refuseJoin(q.MemberID, ErrInvalidSessionTimeout))
		return
	}
	g := s.groups[q.Group]
	if g == nil {
		if q.MemberID != "" {
			reply(refuseJoin(q.MemberID, ErrUnknownMember))
			return
		}
		g = s.create(q.Group)
	}
	switch {
	case !s.hasRoom(g, q.MemberID):
		if m := g.members[q.MemberID]; m != nil {
			s.drop(g, m)
		} else {
			g.forgetPending(q.MemberID)
		}
		reply(refuseJoin("", ErrGroupMaxSizeReached))
	case g.state == Dead:
		reply(refuseJoin(q.MemberID, ErrCoordinatorNotAvailable))
	case !g.supports(q.ProtocolType, q.Protocols):
		reply(refuseJoin(q.MemberID, ErrInconsistentGroupProtocol))
	case q.MemberID == "":
		s.joinNew(g, &q, reply)
	default:
		s.joinAgain(g, &q, reply)
	}
	s.checkJoined(g)
}

// hasRoom applies group.max.size (KIP-389). While the members of the next generation gather, those count who have come.
func (s *Shard) hasRoom(g *Group, memberID string) bool {
	m := g.members[memberID]
	switch g.state {
	case PreparingRebalance:
		return m != nil && m.join != nil || g.parked < s.config.MaxSize
	case CompletingRebalance, Stable:
		return m != nil || len(g.members) < s.config.MaxSize
	}
	return true
}

func (s *Shard) joinNew(g *Group, q *JoinRequest, reply func(JoinReply)) {
	prefix := q.ClientID
	if q.InstanceID != nil {
		prefix = *q.InstanceID
	}
	id := prefix + "-" + s.newID()
	switch {
	case q.InstanceID != nil && g.statics[*q.InstanceID] != nil:
		s.takeOver(g, g.statics[*q.InstanceID], id, q, reply)
	case q.InstanceID == nil && q.RequireMemberID:
		s.addPending(g, id, q.SessionTimeout)
		reply(refuseJoin(id, ErrMemberIDRequired))
	default:
		s.admit(g, id, q, reply)
	}
}

// admit adds a member, which makes the group rebalance.
func (s *Shard) admit(g *Group, id string, q *JoinRequest, reply func(JoinReply)) {
	m := &Member{
		id: id, instanceID: q.InstanceID, clientID: q.ClientID, clientHost: q.ClientHost, since: s.env.Now(),
		rebalanceTimeout: q.RebalanceTimeout, sessionTimeout: q.SessionTimeout,
		protocols: q.Protocols, isNew: true,
	}
	if g.state == PreparingRebalance && g.generation == 0 {
		g.newMemberAdded = true
	}
	g.add(m, q.ProtocolType, reply)
	s.setSession(g, m, newMemberTimeout)
	g.why.note(joined, id, q.Reason)
	if g.mayRebalance() {
		s.rebalance(g)
	}
}

func (s *Shard) joinAgain(g *Group, q *JoinRequest, reply func(JoinReply)) {
	if g.pending[q.MemberID] != nil {
		if q.InstanceID != nil {
			// Pending ids are given to dynamic members alone; Kafka answers UNKNOWN_SERVER_ERROR.
			reply(refuseJoin(q.MemberID, fmt.Errorf("member %s of group %s has become static", q.MemberID, g.id)))
			return
		}
		s.admit(g, q.MemberID, q, reply)
		return
	}
	m, err := g.check(q.MemberID, q.InstanceID)
	if err != nil {
		reply(refuseJoin(q.MemberID, err))
		return
	}
	switch same := m.offers(q.Protocols); {
	case g.state == PreparingRebalance:
		if why := g.whyAgain(m, q); why == resubscribed {
			g.why.note(why, m.id, q.Reason)
		}
		s.parkAgain(g, m, q, reply)
	case g.state == CompletingRebalance && same, g.state == Stable && same && m.id != g.leader:
		r := s.joined(g, m) // the answer to its last JoinGroup was lost
		if g.state == CompletingRebalance && m.id == g.leader {
			r.Members = g.listMembers()
		}
		reply(r)
	case g.state == CompletingRebalance, g.state == Stable:
		g.why.note(g.whyAgain(m, q), m.id, q.Reason)
		s.parkAgain(g, m, q, reply)
		s.rebalance(g)
	default:
		reply(refuseJoin(q.MemberID, ErrUnknownMember))
	}
}

// whyAgain is why a member may want another generation.
func (g *Group) whyAgain(m *Member, q *JoinRequest) cause {
	switch {
	case m.offers(q.Protocols):
		return rejoined // how a leader says that what it assigns has changed, partitions for one
	case g.protocolType == consumerType && sameTopics(m.protocols, q.Protocols):
		return changedMetadata // what it owns, for one, which cooperative members give up first and then join again (KIP-429)
	}
	return resubscribed
}

// parkAgain parks a member in its next JoinGroup. One it is parked in already is of a connection given up; Kafka never answers that.
func (s *Shard) parkAgain(g *Group, m *Member, q *JoinRequest, reply func(JoinReply)) {
	g.answerJoin(m, refuseJoin(m.id, ErrRebalanceInProgress))
	g.update(m, q.Protocols, q.RebalanceTimeout, q.SessionTimeout)
	g.park(m, reply)
}

// joined is the answer to a member's JoinGroup in the present generation, without the list for the leader.
func (s *Shard) joined(g *Group, m *Member) JoinReply {
	protocolType := g.protocolType
	return JoinReply{Generation: g.generation, ProtocolType: &protocolType, Protocol: g.protocol, Leader: g.leader, MemberID: m.id}
}

func (g *Group) listMembers() []JoinedMember {
	list := make([]JoinedMember, 0, len(g.members))
	for _, m := range g.inOrder() {
		list = append(list, JoinedMember{ID: m.id, InstanceID: m.instanceID, Metadata: m.metadata(*g.protocol)})
	}
	return list
}

// takeOver gives the place of a static member to the one that came with its instance id (KIP-345). Whoever had it is fenced from then on.
func (s *Shard) takeOver(g *Group, m *Member, id string, q *JoinRequest, reply func(JoinReply)) {
	was, wasLeader := *m, g.leader
	g.answerJoin(m, refuseJoin(m.id, ErrFencedInstance))
	m.answerSync(SyncReply{Err: ErrFencedInstance})
	g.replace(m, id)
	g.update(m, q.Protocols, q.RebalanceTimeout, q.SessionTimeout)
	s.heardFrom(g, m)
	g.park(m, reply)
	switch {
	case g.state == Stable && g.choose() == *g.protocol:
		s.logger.Info("a static member came back with the group unchanged", s.fields(g,
			zap.String("instance", *m.instanceID), zap.String("member", m.id), zap.String("replaces", was.id))...)
		s.storeTakeOver(g, m, &was, wasLeader, q.CanSkipAssignment)
	case g.state == Stable, g.state == CompletingRebalance:
		// Either the protocol changes, or the leader may have assigned to the old id already.
		g.why.note(replaced, id, q.Reason)
		s.rebalance(g)
	default: // PreparingRebalance: answered with the others. Empty has no members.
		g.why.note(replaced, id, q.Reason)
	}
}

// storeTakeOver writes the group with the member's new id and answers without a rebalance. In the meantime the group may have
// begun one, whose end answers instead.
func (s *Shard) storeTakeOver(g *Group, m, was *Member, wasLeader string, canSkip bool) {
	id, generation := m.id, g.generation
	s.store(g, g.assignments(), func(err error) {
		if g.state != Stable || g.generation != generation || g.members[id] != m || m.join == nil {
			return
		}
		if err != nil {
			s.logger.Warn("a static member's new id could not be written", s.fields(g, zap.String("member", id), zap.Error(err))...)
			g.update(m, was.protocols, was.rebalanceTimeout, was.sessionTimeout)
			g.replace(m, was.id)
			s.heardFrom(g, m)
			r := s.joined(g, m)
			r.Err, r.MemberID, r.Leader = err, "", wasLeader
			g.answerJoin(m, r)
			return
		}
		s.show(g)
		r := s.joined(g, m)
		switch {
		case !canSkip:
			// With its own id as the leader's it would take itself for the leader and assign.
			r.Leader = wasLeader
		case g.leader == id:
			r.SkipAssignment, r.Members = true, g.listMembers()
		}
		g.answerJoin(m, r)
	})
}
