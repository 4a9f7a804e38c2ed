package broker

import (
	"context"

	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/group"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// keepOffsets says how the shards of groups keep offsets, and has the tree run beside them if they keep them there.
func (c *coordinators) keepOffsets() group.OffsetOptions {
	cfg := c.b.dynamic.Current()
	o := group.OffsetOptions{
		Config: group.OffsetConfig{
			InTree:        cfg.Offsets.Storage == "zookeeper",
			Both:          cfg.Offsets.DualCommit,
			MetadataMax:   int(cfg.Offsets.MetadataMaxBytes),
			Retention:     cfg.Offsets.Retention,
			RecordVersion: offsetRecordVersion(cfg.Broker.InterBrokerProtocol),
		},
		PartitionFor: func(name string) (int32, bool) { return c.PartitionFor(offsetsTopic, name) },
		Metrics:      group.NewOffsetMetrics(c.b.o.Metrics),
	}
	if o.Config.InTree || o.Config.Both {
		o.Tree = group.NewOffsetTree(group.TreeOptions{BrokerID: c.b.id, Topic: offsetsTopic, Store: offsetStore{c.b.life},
			Metrics: group.NewTreeMetrics(c.b.o.Metrics), Logger: c.b.o.Logging.Logger("group")})
		c.beside = append(c.beside, o.Tree.Run)
	}
	return o
}

// offsetRecordVersion is the newest that brokers of an inter-broker protocol can read (GroupMetadataManager.offsetCommitValue).
func offsetRecordVersion(protocol config.Version) int16 {
	switch {
	case protocol < config.V2_1_IV0:
		return 1
	case protocol < config.V2_1_IV1:
		return 2
	}
	return 3
}

// offsetStore is the store of the present session. It implements [group.OffsetStore].
type offsetStore struct{ life *lifecycle }

func (s offsetStore) PartitionState(ctx context.Context, tp meta.TopicPartition) (meta.LeaderAndISR, error) {
	return s.life.store().PartitionState(ctx, tp)
}

func (s offsetStore) WriteOffsets(ctx context.Context, fences []zkstore.Fence, writes []zkstore.OffsetWrite) error {
	return s.life.store().WriteOffsets(ctx, fences, writes)
}

func (s offsetStore) PruneOffsets(ctx context.Context, f zkstore.Fence, name string, topics []string) error {
	return s.life.store().PruneOffsets(ctx, f, name, topics)
}

func (s offsetStore) GroupOffsets(ctx context.Context, name string) (map[meta.TopicPartition]zkstore.CommittedOffset, map[meta.TopicPartition]error, error) {
	return s.life.store().GroupOffsets(ctx, name)
}

func (s offsetStore) HasMembers(ctx context.Context, name string) (bool, error) {
	return s.life.store().HasMembers(ctx, name)
}

func (s offsetStore) OffsetGroups(ctx context.Context) ([]string, error) {
	return s.life.store().OffsetGroups(ctx)
}
