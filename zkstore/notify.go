package zkstore

import (
	"context"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// ISRChange is one notice of a leader on inter.broker.protocol.version below 2.7: it changed these partitions' states itself.
type ISRChange struct {
	Node       string // name of the sequential znode, for [Store.DeleteISRChanges]
	Partitions []meta.TopicPartition
	Err        error // not nil: the notice is unreadable; delete it all the same
}

// ISRChanges reads the pending notices, oldest first.
func (z *Store) ISRChanges(ctx context.Context) ([]ISRChange, error) { return nil, errPending }

// WatchISRChanges tells of new notices; [Store.ISRChanges] re-arms it.
func (z *Store) WatchISRChanges() *Watch { return nil }

// DeleteISRChanges removes notices by name.
func (z *Store) DeleteISRChanges(ctx context.Context, f Fence, nodes []string) error {
	return errPending
}

// PublishISRChange adds a notice.
func (z *Store) PublishISRChange(ctx context.Context, tps []meta.TopicPartition) error {
	return errPending
}

// LogDirEvent is one notice of a broker that lost a log directory.
type LogDirEvent struct {
	Node   string // name of the sequential znode, for [Store.DeleteLogDirEvents]
	Broker meta.BrokerID
	Err    error // not nil: the notice is unreadable; delete it all the same
}

// LogDirEvents reads the pending notices, oldest first.
func (z *Store) LogDirEvents(ctx context.Context) ([]LogDirEvent, error) { return nil, errPending }

// WatchLogDirEvents tells of new notices; [Store.LogDirEvents] re-arms it.
func (z *Store) WatchLogDirEvents() *Watch { return nil }

// DeleteLogDirEvents removes notices by name.
func (z *Store) DeleteLogDirEvents(ctx context.Context, f Fence, nodes []string) error {
	return errPending
}

// PublishLogDirFailure adds a notice that broker lost a log directory.
func (z *Store) PublishLogDirFailure(ctx context.Context, broker meta.BrokerID) error {
	return errPending
}

// Follower replays one queue of change notices, each to be taken as "read that again". It remembers how far it came, so
// keep it over sessions and Run it on each.
type Follower struct{}

// FollowConfigs follows /config/changes. apply is called for each notice, one at a time; an error is logged and passed over.
func FollowConfigs(apply func(context.Context, *Store, meta.Entity) error) *Follower { return nil }

// FollowACLs follows /kafka-acl-changes and /kafka-acl-extended-changes.
func FollowACLs(apply func(context.Context, *Store, ACLResource) error) *Follower { return nil }

// FollowTokens follows /delegation_token/token_changes; apply gets the token's id.
func FollowTokens(apply func(context.Context, *Store, string) error) *Follower { return nil }

// Run follows until the context or the session ends and returns why. Notices older than 15 minutes are removed, as
// every Kafka broker does.
func (f *Follower) Run(ctx context.Context, z *Store) error { return errPending }
