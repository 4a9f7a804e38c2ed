package broker

import (
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/broker/group"
	"github.com/kraal-mq/kraal/broker/record"
)

// coordinateGroups has groups coordinated over the offsets topic.
func (c *coordinators) coordinateGroups() *group.Coordinator {
	cfg := c.b.dynamic.Current()
	showcase := group.NewShowcase(func() group.Registry { return c.b.life.store() }, c.b.o.Logging.Logger("group"))
	c.beside = append(c.beside, showcase.Run)
	options := group.ShardOptions{
		Config: group.Config{
			MinSessionTimeout:      cfg.Group.MinSessionTimeout,
			MaxSessionTimeout:      cfg.Group.MaxSessionTimeout,
			InitialRebalanceDelay:  cfg.Group.InitialRebalanceDelay,
			MaxSize:                int(cfg.Group.MaxSize),
			RetentionCheckInterval: cfg.Offsets.RetentionCheckInterval,
			RecordVersion:          groupRecordVersion(cfg.Broker.InterBrokerProtocol),
		},
		Offsets: c.keepOffsets(),
		Board:   showcase,
		NewID:   randomUUID,
		Metrics: group.NewMetrics(c.b.o.Metrics),
		Logger:  c.b.o.Logging.Logger("group"),
	}
	t := c.topics[offsetsTopic]
	shards := coord.New(coord.Options[*group.Shard]{
		Topic:           offsetsTopic,
		Journal:         journal{hosts: c.b.hosts, codec: record.Codec(cfg.Offsets.TopicCompressionCodec)},
		New:             func(env *coord.Env) *group.Shard { return group.NewShard(env, options) },
		Partitions:      t.partitionsOf,
		LoadBufferBytes: int(cfg.Offsets.LoadBufferSize),
		MaxBatchBytes:   func() int { return int(c.b.dynamic.Current().Defaults.MaxMessageBytes) },
		AppendTimeout:   func() time.Duration { return cfg.Offsets.CommitTimeout },
		Logger:          c.b.o.Logging.Logger("coord"),
	})
	t.runtime = shards
	return group.NewCoordinator(shards, cfg.Offsets.CommitTimeout)
}

// groupRecordVersion is the newest that brokers of an inter-broker protocol can read (GroupMetadataManager.groupMetadataValue).
func groupRecordVersion(protocol config.Version) int16 {
	switch {
	case protocol < config.V0_10_1_IV0:
		return 0
	case protocol < config.V2_1_IV0:
		return 1
	case protocol < config.V2_3_IV0:
		return 2
	}
	return 3
}

// randomUUID returns the text of a random UUID, version 4, as Java's UUID.randomUUID does.
func randomUUID() string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // never fails (crypto/rand)
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	t := hex.EncodeToString(u[:])
	return t[:8] + "-" + t[8:12] + "-" + t[12:16] + "-" + t[16:20] + "-" + t[20:]
}
