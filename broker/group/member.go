package group

import (
	"bytes"
	"slices"
	"time"
)

// Protocol is a way of assigning partitions that a member offers, with what the leader needs to know of the member for it.
type Protocol struct {
	Name     string
	Metadata []byte
}

// Member is one member of a group, owned by the shard like all of the group.
type Member struct {
	id         string
	instanceID *string // set for static members (KIP-345)
	clientID   string
	clientHost string
	since      time.Time // it joined, or was loaded; shown to people

	rebalanceTimeout time.Duration
	sessionTimeout   time.Duration

	// protocols in order of preference. A member that was loaded from the log has only the one the group had chosen.
	protocols  []Protocol
	assignment []byte

	// join and sync answer the request the member is parked in, nil if it is in none.
	join func(JoinReply)
	sync func(SyncReply)
	// isNew until the member has taken part in a generation; such a member has newMemberTimeout instead of its session timeout.
	isNew bool
	// owesSync from the end of the join phase until the member's SyncGroup.
	owesSync bool

	session alarm
	order   uint64 // counts up with every member added; members are listed by it
}

// newMemberTimeout is how long a new member may be parked in its first JoinGroup (GroupCoordinator.NewMemberJoinTimeoutMs): its client
// may be gone for good, and rebalance timeouts may be endless.
const newMemberTimeout = 5 * time.Minute

func (m *Member) isStatic() bool { return m.instanceID != nil }

// parked members are not expected to send heartbeats, unless they are new (MemberMetadata.hasSatisfiedHeartbeat).
func (m *Member) excusedFromHeartbeat() bool { return !m.isNew && (m.join != nil || m.sync != nil) }

// offers reports whether the member has just these protocols in this order.
func (m *Member) offers(protocols []Protocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a, b Protocol) bool {
		return a.Name == b.Name && bytes.Equal(a.Metadata, b.Metadata)
	})
}

func (m *Member) metadata(protocol string) []byte {
	for _, p := range m.protocols {
		if p.Name == protocol {
			return p.Metadata
		}
	}
	return nil
}

// names returns the protocols' names, each once.
func names(protocols []Protocol) []string {
	var out []string
	for _, p := range protocols {
		if !slices.Contains(out, p.Name) {
			out = append(out, p.Name)
		}
	}
	return out
}

// answerSync ends the member's parking in SyncGroup, if it is there.
func (m *Member) answerSync(r SyncReply) bool {
	if m.sync == nil {
		return false
	}
	m.sync(r)
	m.sync = nil
	return true
}
