package group

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/coord"
)

// ShardOptions is what the shards of a broker share.
type ShardOptions struct {
	Config  Config
	Offsets OffsetOptions
	Board   Board
	NewID   func() string // a random UUID's text, for member ids
	Metrics *Metrics
	Logger  *zap.Logger
}

// NewShard makes the machine of one partition.
func NewShard(env *coord.Env, o ShardOptions) *Shard {
	s := newShard(onShard{env}, o)
	s.partition = env.Partition
	return s
}

func newShard(env Env, o ShardOptions) *Shard {
	s := &Shard{
		env: env, config: o.Config, board: o.Board, newID: o.NewID, metrics: o.Metrics, logger: o.Logger,
		groups: map[string]*Group{}, replayed: map[string]coord.Record{},
	}
	s.offsets = newOffsetTable(s, o.Offsets)
	return s
}

// Shards are the shards of this broker, found by group id. Met by *coord.Runtime[*Shard].
type Shards interface {
	Do(ctx context.Context, group string, event func(*Shard)) error
	Each(ctx context.Context, event func(partition int32, s *Shard)) error
}

// Coordinator takes requests to the shard of their group and waits for the answer. Its methods are for any goroutine. What they are
// given may be used after they return, if ctx ends first.
type Coordinator struct {
	shards Shards
	// commitTimeout is how long a client waits for its offsets to be durable, or to be found.
	commitTimeout time.Duration
}

// NewCoordinator returns a coordinator of the groups in shards. commitTimeout is offsets.commit.timeout.ms.
func NewCoordinator(shards Shards, commitTimeout time.Duration) *Coordinator {
	return &Coordinator{shards: shards, commitTimeout: commitTimeout}
}

// ask runs event on a group's shard and waits until it has called reply.
func ask[R any](ctx context.Context, c *Coordinator, group string, event func(s *Shard, reply func(R))) (R, error) {
	var none R
	replied := make(chan R, 1) // from the shard, which must not wait
	err := c.shards.Do(ctx, group, func(s *Shard) {
		event(s, func(r R) { replied <- r })
	})
	if err != nil {
		return none, err
	}
	select {
	case r := <-replied:
		return r, nil
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// Join takes a JoinGroup and returns when the join phase has ended.
func (c *Coordinator) Join(ctx context.Context, q JoinRequest) JoinReply {
	if q.Group == "" {
		return refuseJoin(q.MemberID, ErrInvalidGroupID)
	}
	r, err := ask(ctx, c, q.Group, func(s *Shard, reply func(JoinReply)) { s.Join(q, reply) })
	if err != nil {
		return refuseJoin(q.MemberID, err)
	}
	return r
}

// Sync takes a SyncGroup and returns when the assignment is in the log.
func (c *Coordinator) Sync(ctx context.Context, q SyncRequest) SyncReply {
	if q.Group == "" {
		return SyncReply{Err: ErrInvalidGroupID}
	}
	r, err := ask(ctx, c, q.Group, func(s *Shard, reply func(SyncReply)) { s.Sync(q, reply) })
	if errors.Is(err, coord.ErrLoading) {
		err = ErrRebalanceInProgress // the member is to join again, with what its generation will be by then
	}
	if err != nil {
		return SyncReply{Err: err}
	}
	return r
}

// Heartbeat takes a Heartbeat. While the group is being loaded its members are believed to be there.
func (c *Coordinator) Heartbeat(ctx context.Context, q HeartbeatRequest) error {
	if q.Group == "" {
		return ErrInvalidGroupID
	}
	outcome, err := ask(ctx, c, q.Group, func(s *Shard, reply func(error)) { reply(s.Heartbeat(q)) })
	if errors.Is(err, coord.ErrLoading) {
		return nil
	}
	return errors.Join(err, outcome)
}

// Leave takes a LeaveGroup and returns the outcome for each member, in order, or an error for the whole.
func (c *Coordinator) Leave(ctx context.Context, group string, leaving []Leaving) ([]error, error) {
	if group == "" {
		return nil, ErrInvalidGroupID
	}
	type outcome struct {
		members []error
		whole   error
	}
	o, err := ask(ctx, c, group, func(s *Shard, reply func(outcome)) {
		members, whole := s.Leave(group, leaving)
		reply(outcome{members, whole})
	})
	if err == nil {
		err = o.whole
	}
	return o.members, err
}

// Describe tells of one group.
func (c *Coordinator) Describe(ctx context.Context, group string) (Summary, error) {
	return ask(ctx, c, group, func(s *Shard, reply func(Summary)) { reply(s.Describe(group)) })
}

// List tells of all groups coordinated here. Those of partitions that are loading are missing, and the error is coord.ErrLoading then.
func (c *Coordinator) List(ctx context.Context) ([]Overview, error) {
	var all []Overview
	err := c.shards.Each(ctx, func(_ int32, s *Shard) { all = append(all, s.List()...) })
	if err != nil && !errors.Is(err, coord.ErrLoading) {
		return nil, err // a shard may yet write to all
	}
	return all, err
}

// Delete removes an empty group with its offsets.
func (c *Coordinator) Delete(ctx context.Context, group string) error {
	outcome, err := ask(ctx, c, group, func(s *Shard, reply func(error)) { s.Delete(group, reply) })
	return errors.Join(err, outcome)
}
