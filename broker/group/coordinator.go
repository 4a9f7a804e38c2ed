package group

import (
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/coord"
)

// ShardOptions is what the shards of a broker share.
type ShardOptions struct {
	Config  Config
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
	return &Shard{
		env: env, config: o.Config, board: o.Board, newID: o.NewID, metrics: o.Metrics, logger: o.Logger,
		groups: map[string]*Group{}, offsets: noOffsets{}, replayed: map[string]coord.Record{},
	}
}
