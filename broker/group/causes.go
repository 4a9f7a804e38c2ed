package group

import (
	"fmt"
	"time"

	"go.uber.org/zap"
)

// causes is why a group rebalances: what happened since its last generation. It becomes one line of the log.
type causes struct {
	since   time.Time // when the join phase began
	tallies []tally   // in the order the causes came up
}

// cause is a kind of thing that makes a group rebalance; the text is the log's field.
type cause string

const (
	joined          cause = "joined"
	rejoined        cause = "leader_rejoined"
	resubscribed    cause = "changed_subscription"
	changedMetadata cause = "changed_metadata"
	left            cause = "left"
	timedOut        cause = "timed_out"
	missedJoin      cause = "missed_join"
	missedSync      cause = "missed_sync"
	replaced        cause = "static_member_replaced"
	notStored       cause = "assignment_not_stored"
	overCapacity    cause = "over_capacity"
)

// tally is one cause, and whom it concerns.
type tally struct {
	cause   cause
	members []string // the first maxNamed
	count   int
}

// Of each cause so many members are named, and reasons are cut to so many characters: both come from clients.
const (
	maxNamed  = 10
	maxReason = 255
)

// note adds a member to a cause. The reason is in the client's words (KIP-800), or an error.
func (c *causes) note(cause cause, member string, reason *string) {
	t := c.tally(cause)
	if t.count++; t.count > maxNamed {
		return
	}
	if reason != nil && *reason != "" {
		member = fmt.Sprintf("%s (%.*s)", member, maxReason, *reason)
	}
	t.members = append(t.members, member)
}

func (c *causes) tally(cause cause) *tally {
	for i := range c.tallies {
		if c.tallies[i].cause == cause {
			return &c.tallies[i]
		}
	}
	c.tallies = append(c.tallies, tally{cause: cause})
	return &c.tallies[len(c.tallies)-1]
}

func (c *causes) fields() []zap.Field {
	fields := make([]zap.Field, 0, len(c.tallies))
	for _, t := range c.tallies {
		members := t.members
		if more := t.count - len(members); more > 0 {
			members = append(members, fmt.Sprintf("and %d more", more))
		}
		fields = append(fields, zap.Strings(string(t.cause), members))
	}
	return fields
}
