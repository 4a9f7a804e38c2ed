package group

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Group is one consumer group, or any other group of the classic protocol. It belongs to its shard's goroutine.
type Group struct {
	id         string
	state      State
	stateSince time.Time // zero: unknown, as in records before version 2
	generation int32

	// protocolType is "" for a group that never had members.
	protocolType string
	// protocol is the one chosen for the generation, nil while the group is Empty.
	protocol *string
	// leader is the id of the member that assigns.
	// Invariant: leader is a member, or "" if there are none.
	leader string

	members map[string]*Member
	statics map[string]*Member // by instance id
	// pending are ids handed out with MEMBER_ID_REQUIRED whose holders have not joined yet.
	pending map[string]*alarm

	// offered counts for each protocol name the members that offer it.
	offered map[string]int
	// parked is how many members are parked in JoinGroup.
	// Invariant: parked = |{m in members: m.join != nil}|.
	parked int
	// owing is how many members owe their SyncGroup.
	owing int

	subscription subscription
	// newMemberAdded since the initial delay was last extended.
	newMemberAdded bool
	joinPhase      joinPhase
	syncPhase      alarm
	why            causes

	added uint64
}

func newGroup(id string, now time.Time) *Group {
	return &Group{
		id:         id,
		stateSince: now,
		members:    map[string]*Member{},
		statics:    map[string]*Member{},
		pending:    map[string]*alarm{},
		offered:    map[string]int{},
	}
}

// inOrder returns the members, longest in the group first. Kafka's order is that of a hash map.
func (g *Group) inOrder() []*Member {
	return slices.SortedFunc(maps.Values(g.members), func(a, b *Member) int { return cmp.Compare(a.order, b.order) })
}

// add takes a new member in, parked in join unless that is nil.
func (g *Group) add(m *Member, protocolType string, join func(JoinReply)) {
	if len(g.members) == 0 {
		g.protocolType = protocolType
	}
	if g.leader == "" {
		g.leader = m.id
	}
	if m.instanceID != nil {
		g.statics[*m.instanceID] = m
	}
	g.added++
	m.order = g.added
	g.members[m.id] = m
	g.count(m, +1)
	g.park(m, join)
	g.forgetPending(m.id)
}

// remove takes a member out, whatever it is parked in, and forgets its id if it was only pending.
func (g *Group) remove(id string) {
	if m := g.members[id]; m != nil {
		delete(g.members, id)
		g.count(m, -1)
		g.park(m, nil)
		g.settleSync(m)
		m.session.stop()
		if m.instanceID != nil {
			delete(g.statics, *m.instanceID)
		}
	}
	if g.leader == id {
		g.leader = ""
		if left := g.inOrder(); len(left) > 0 {
			g.leader = left[0].id
		}
	}
	g.forgetPending(id)
}

func (g *Group) forgetPending(id string) {
	if d := g.pending[id]; d != nil {
		d.stop()
		delete(g.pending, id)
	}
}

// replace gives a static member a new id.
func (g *Group) replace(m *Member, id string) {
	delete(g.members, m.id)
	if g.leader == m.id {
		g.leader = id
	}
	m.id = id
	g.members[id] = m
}

// update takes what a member that joins again now wants.
func (g *Group) update(m *Member, protocols []Protocol, rebalance, session time.Duration) {
	g.count(m, -1)
	m.protocols, m.rebalanceTimeout, m.sessionTimeout = protocols, rebalance, session
	g.count(m, +1)
}

func (g *Group) count(m *Member, by int) {
	for _, name := range names(m.protocols) {
		if g.offered[name] += by; g.offered[name] == 0 {
			delete(g.offered, name)
		}
	}
}

// park notes how to answer the JoinGroup the member is in; nil takes it out.
func (g *Group) park(m *Member, join func(JoinReply)) {
	if m.join != nil {
		g.parked--
	}
	if join != nil {
		g.parked++
	}
	m.join = join
}

// answerJoin ends the member's parking in JoinGroup, if it is there.
func (g *Group) answerJoin(m *Member, r JoinReply) bool {
	join := m.join
	if join == nil {
		return false
	}
	g.park(m, nil)
	join(r)
	return true
}

func (g *Group) settleSync(m *Member) {
	if m.owesSync {
		m.owesSync = false
		g.owing--
	}
}

func (g *Group) allJoined() bool { return g.parked == len(g.members) && len(g.pending) == 0 }

// supports reports whether a member with these protocols can be in the group: of its type, with one in common with all others.
func (g *Group) supports(protocolType string, protocols []Protocol) bool {
	if g.state == Empty {
		return protocolType != "" && len(protocols) > 0
	}
	return g.protocolType == protocolType && slices.ContainsFunc(protocols, func(p Protocol) bool {
		return g.offered[p.Name] == len(g.members)
	})
}

// choose returns the protocol of the next generation: every member votes for the first it offers that all support, and most votes win. Of
// two with as many the one an older member voted for wins (in Kafka, chance).
func (g *Group) choose() string {
	votes := map[string]int{}
	var ballot []string
	for _, m := range g.inOrder() {
		i := slices.IndexFunc(m.protocols, func(p Protocol) bool { return g.offered[p.Name] == len(g.members) })
		if i < 0 {
			continue // not with members that were let in by supports; a damaged log may say so
		}
		name := m.protocols[i].Name
		if votes[name]++; votes[name] == 1 {
			ballot = append(ballot, name)
		}
	}
	if len(ballot) == 0 {
		return ""
	}
	return slices.MaxFunc(ballot, func(a, b string) int { return cmp.Compare(votes[a], votes[b]) })
}

// electJoined makes a member that has joined the leader if the present one has not. It is false if nobody has joined.
func (g *Group) electJoined() bool {
	if leader := g.members[g.leader]; leader != nil && leader.join != nil {
		return true
	}
	for _, m := range g.inOrder() {
		if m.join != nil {
			g.leader = m.id
			return true
		}
	}
	return false
}

// rebalanceTimeout is the longest that a member asks for.
func (g *Group) rebalanceTimeout() time.Duration {
	var longest time.Duration
	for _, m := range g.members {
		longest = max(longest, m.rebalanceTimeout)
	}
	return longest
}

// check is the test every request of a member has to pass (GroupCoordinator.validateCurrentMember).
func (g *Group) check(id string, instanceID *string) (*Member, error) {
	if instanceID != nil {
		switch m := g.statics[*instanceID]; {
		case m == nil:
			return nil, ErrUnknownMember
		case m.id != id:
			return nil, ErrFencedInstance
		}
	}
	m := g.members[id]
	if m == nil {
		return nil, ErrUnknownMember
	}
	return m, nil
}

// checkGeneration is check, and that the member is of the present generation.
func (g *Group) checkGeneration(id string, instanceID *string, generation int32) (*Member, error) {
	if g.state == Dead {
		return nil, ErrCoordinatorNotAvailable
	}
	m, err := g.check(id, instanceID)
	if err == nil && generation != g.generation {
		return nil, ErrIllegalGeneration
	}
	return m, err
}
