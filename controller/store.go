package controller

import (
	"context"
	"time"

	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Store is what the controller needs of ZooKeeper, within one session: *zkstore.Store. All reads and writes of many
// znodes are pipelined there, so each method costs a few round trips however long its list is.
type Store interface {
	// The role.
	Controller(ctx context.Context) (zkstore.ControllerInfo, error)
	Elect(ctx context.Context, id meta.BrokerID, now time.Time) (zkstore.Controllership, error)
	Resign(ctx context.Context, f zkstore.Fence) error
	Feature(ctx context.Context) (zkstore.Feature, error)
	SetFeature(ctx context.Context, f zkstore.Feature) (epoch int32, err error)

	// Brokers.
	Brokers(ctx context.Context) (live map[meta.BrokerID]meta.Broker, broken map[meta.BrokerID]error, err error)
	Broker(ctx context.Context, id meta.BrokerID) (meta.Broker, error)

	// Topics and partitions.
	TopicNames(ctx context.Context) ([]string, error)
	Topics(ctx context.Context, names []string) (topics map[string]meta.TopicAssignment, broken map[string]error, err error)
	SetTopic(ctx context.Context, f zkstore.Fence, name string, a meta.TopicAssignment) error
	DeleteTopic(ctx context.Context, f zkstore.Fence, name string) error
	Configs(ctx context.Context, es []meta.Entity) (configs map[meta.Entity]map[string]string, broken map[meta.Entity]error, err error)
	PartitionStates(ctx context.Context, tps []meta.TopicPartition) (states map[meta.TopicPartition]meta.LeaderAndISR, broken map[meta.TopicPartition]error, err error)
	CreatePartitionStates(ctx context.Context, f zkstore.Fence, states map[meta.TopicPartition]meta.LeaderAndISR) (created map[meta.TopicPartition]meta.PartitionEpoch, failed map[meta.TopicPartition]error, err error)
	UpdatePartitionStates(ctx context.Context, f zkstore.Fence, states map[meta.TopicPartition]meta.LeaderAndISR) (updated map[meta.TopicPartition]meta.PartitionEpoch, failed map[meta.TopicPartition]error, err error)

	// What tools and brokers ask for by znode.
	TopicDeletions(ctx context.Context) ([]string, error)
	UnmarkTopicDeletions(ctx context.Context, f zkstore.Fence, topics []string) error
	Reassignments(ctx context.Context) (rs []zkstore.Reassignment, exists bool, err error)
	SetReassignments(ctx context.Context, f zkstore.Fence, rs []zkstore.Reassignment) error
	PreferredElection(ctx context.Context) (tps []meta.TopicPartition, exists bool, err error)
	DeletePreferredElection(ctx context.Context, f zkstore.Fence) error
	ISRChanges(ctx context.Context) ([]zkstore.ISRChange, error)
	DeleteISRChanges(ctx context.Context, f zkstore.Fence, nodes []string) error
	LogDirEvents(ctx context.Context) ([]zkstore.LogDirEvent, error)
	DeleteLogDirEvents(ctx context.Context, f zkstore.Fence, nodes []string) error
	AllocateProducerIDs(ctx context.Context, broker meta.BrokerID) (zkstore.ProducerIDBlock, error)

	// "Look again": each is armed by the read of the same name.
	WatchController() *zkstore.Watch
	WatchBrokers() *zkstore.Watch
	WatchBrokerNodes() *zkstore.Watch
	WatchTopics() *zkstore.Watch
	WatchTopicNodes() *zkstore.Watch
	WatchTopicDeletions() *zkstore.Watch
	WatchReassignments() *zkstore.Watch
	WatchPreferredElection() *zkstore.Watch
	WatchISRChanges() *zkstore.Watch
	WatchLogDirEvents() *zkstore.Watch
}

var _ Store = (*zkstore.Store)(nil)
