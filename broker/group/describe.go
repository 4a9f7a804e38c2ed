package group

import "time"

// Summary is a group as DescribeGroups shows it. Metadata and assignments are there only while it is Stable, and so is the protocol.
type Summary struct {
	State        string
	ProtocolType string
	Protocol     string
	Members      []MemberSummary
}

// MemberSummary is one of its members.
type MemberSummary struct {
	ID         string
	InstanceID *string
	ClientID   string
	ClientHost string
	Metadata   []byte
	Assignment []byte
}

// Describe tells of a group. One that does not exist is a dead one.
func (s *Shard) Describe(group string) Summary {
	g := s.groups[group]
	if g == nil {
		return Summary{State: Dead.String()}
	}
	out := Summary{State: g.state.String(), ProtocolType: g.protocolType}
	if g.state == Stable {
		out.Protocol = *g.protocol
	}
	for _, m := range g.inOrder() {
		one := MemberSummary{ID: m.id, InstanceID: m.instanceID, ClientID: m.clientID, ClientHost: m.clientHost}
		if g.state == Stable {
			one.Metadata, one.Assignment = m.metadata(*g.protocol), m.assignment
		}
		out.Members = append(out.Members, one)
	}
	return out
}

// Overview is a group as ListGroups shows it.
type Overview struct {
	ID           string
	State        string
	ProtocolType string
}

// List tells of all groups, by id.
func (s *Shard) List() []Overview {
	list := make([]Overview, 0, len(s.groups))
	for _, g := range s.inOrder() {
		list = append(list, Overview{ID: g.id, State: g.state.String(), ProtocolType: g.protocolType})
	}
	return list
}

// Delete removes a group without members, and its offsets. done is called once: now, or when the offsets are gone.
func (s *Shard) Delete(group string, done func(error)) {
	g := s.groups[group]
	switch {
	case g == nil, g.state == Dead:
		done(ErrGroupIDNotFound)
	case g.state != Empty:
		done(ErrNonEmptyGroup)
	default:
		s.bury(g, done)
	}
}

// bury ends an Empty group and its offsets. Until these are gone the group is Dead and its clients are told to come back: were it
// forgotten at once, what they commit to its successor could be deleted with it.
func (s *Shard) bury(g *Group, done func(error)) {
	s.become(g, Dead)
	s.offsets.removeAll(g, func(err error) {
		if s.ended {
			done(err)
			return
		}
		s.forget(g)
		s.board.Forget(g.id)
		done(err)
	})
	if g.generation > 0 {
		s.appendTombstone(g)
	}
}

// buryIfBare ends a group that has neither members nor offsets.
func (s *Shard) buryIfBare(g *Group, offsetsLeft bool) {
	if g.state != Empty || offsetsLeft || len(g.pending) > 0 || s.groups[g.id] != g {
		return
	}
	s.become(g, Dead)
	if g.generation > 0 {
		s.appendTombstone(g)
	}
	s.forget(g)
	s.board.Forget(g.id)
}

// stateTime is since when the group is in its state, zero if that is not known.
func (g *Group) stateTime() time.Time { return g.stateSince }
