package group

import (
	"fmt"
	"time"

	"go.uber.org/zap"
)

// causes is why a group rebalances: what happened since its last generation. It becomes one line of the log.
type causes struct {
	since  time.Time // when the join phase began
	events []event
}

// cause is a kind of thing that makes a group rebalance; the text is the log's field.
type cause string

const (
	joined       cause = "joined"
	rejoined     cause = "leader_rejoined"
	resubscribed cause = "changed_subscription"
	left         cause = "left"
	timedOut     cause = "timed_out"
	missedJoin   cause = "missed_join"
	missedSync   cause = "missed_sync"
	replaced     cause = "static_member_replaced"
	notStored    cause = "assignment_not_stored"
	overCapacity cause = "over_capacity"
)

type event struct {
	cause  cause
	member string
	reason string // in the client's words (KIP-800), or an error
}

func (c *causes) note(cause cause, member string, reason *string) {
	e := event{cause: cause, member: member}
	if reason != nil {
		e.reason = *reason
	}
	c.events = append(c.events, e)
}

// Of each cause so many members are named, and reasons are cut to so many characters: both come from clients.
const (
	maxNamed  = 10
	maxReason = 255
)

// fields puts the causes together for a log line, in the order they first came up.
func (c *causes) fields() []zap.Field {
	var order []cause
	members := map[cause][]string{}
	count := map[cause]int{}
	for _, e := range c.events {
		if count[e.cause]++; count[e.cause] == 1 {
			order = append(order, e.cause)
		}
		if count[e.cause] > maxNamed {
			continue
		}
		text := e.member
		if e.reason != "" {
			text = fmt.Sprintf("%s (%.*s)", text, maxReason, e.reason)
		}
		members[e.cause] = append(members[e.cause], text)
	}
	var fields []zap.Field
	for _, cause := range order {
		list := members[cause]
		if more := count[cause] - len(list); more > 0 {
			list = append(list, fmt.Sprintf("and %d more", more))
		}
		fields = append(fields, zap.Strings(string(cause), list))
	}
	return fields
}
