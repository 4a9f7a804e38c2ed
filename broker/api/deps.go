package api

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/fetchsession"
	"github.com/kraal-mq/kraal/broker/group"
	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/replica"
	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/broker/transport"
	"github.com/kraal-mq/kraal/broker/txn"
	"github.com/kraal-mq/kraal/controller"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Deps is what the handlers need of the rest of the broker.
type Deps struct {
	BrokerID  meta.BrokerID
	ClusterID string

	Config     *config.Dynamic
	Replicas   *replica.Manager
	LogDirs    LogDirs
	Metadata   *metadata.Cache
	Sessions   *fetchsession.Cache
	Znodes     func() Znodes // of the present session; after its end every call fails until there is a new one
	Controller Controller
	Topics     TopicConfigs
	IDs        ProducerIDs
	Placement  Placement
	Groups     Groups
	Txns       Txns
	Verifier   TxnVerifier
	// FeatureEpoch is the version of /feature, -1 if there is none.
	FeatureEpoch func() int64
	Loggers      Loggers
	Authorizer   Authorizer // nil: everything is allowed

	Logger  *zap.Logger
	Metrics prometheus.Registerer
}

// LogDirs tells of the log directories. Met by *storage.Manager.
type LogDirs interface {
	Dirs() []storage.DirInfo
}

// Znodes is what handlers read and write in ZooKeeper themselves: in ZooKeeper mode topics and configs are written by the broker
// that is asked, and the controller follows. Met by *zkstore.Store.
type Znodes interface {
	Topics(ctx context.Context, names []string) (topics map[string]meta.TopicAssignment, broken map[string]error, err error)
	Topic(ctx context.Context, name string) (meta.TopicAssignment, error)
	TopicNames(ctx context.Context) ([]string, error)
	TopicExists(ctx context.Context, name string) (bool, error)
	CreateTopic(ctx context.Context, name string, config map[string]string, a meta.TopicAssignment) error
	SetTopic(ctx context.Context, f zkstore.Fence, name string, a meta.TopicAssignment) error
	MarkTopicForDeletion(ctx context.Context, name string) error
	MarkedForDeletion(ctx context.Context, name string) (bool, error)
	Brokers(ctx context.Context) (live map[meta.BrokerID]meta.Broker, broken map[meta.BrokerID]error, err error)
	Config(ctx context.Context, e meta.Entity) (map[string]string, error)
	Configs(ctx context.Context, es []meta.Entity) (configs map[meta.Entity]map[string]string, broken map[meta.Entity]error, err error)
	SetConfig(ctx context.Context, e meta.Entity, config map[string]string) error
	// Offsets and SetOffsets are for version 0 of OffsetFetch and OffsetCommit.
	Offsets(ctx context.Context, group string, tps []meta.TopicPartition) (offsets map[meta.TopicPartition]int64, broken map[meta.TopicPartition]error, err error)
	SetOffsets(ctx context.Context, group string, offsets map[meta.TopicPartition]int64) (failed map[meta.TopicPartition]error, err error)
}

// Controller is this broker's controller, active or not. Met by *controller.Controller.
type Controller interface {
	IsActive() bool
	TopicDeleting(topic string) bool
	AlterPartition(ctx context.Context, from meta.BrokerID, epoch meta.BrokerEpoch, changes []controller.PartitionChange) ([]controller.PartitionChangeResult, error)
	ElectLeaders(ctx context.Context, kind controller.ElectionType, partitions []meta.TopicPartition) ([]controller.ElectionResult, error)
	AlterReassignments(ctx context.Context, reassignments []controller.Reassignment) ([]error, error)
	Reassignments(ctx context.Context, partitions []meta.TopicPartition) (map[meta.TopicPartition]meta.Assignment, error)
	ControlledShutdown(ctx context.Context, broker meta.BrokerID, epoch meta.BrokerEpoch) ([]meta.TopicPartition, error)
	AllocateProducerIDs(ctx context.Context, broker meta.BrokerID, epoch meta.BrokerEpoch) (controller.ProducerIDBlock, error)
}

// TopicConfigs keeps the overrides of topics as this broker last read them.
type TopicConfigs interface {
	TopicOverrides(topic string) map[string]string
	// LearnTopics reads the overrides of topics this broker had nothing to do with so far.
	LearnTopics(ctx context.Context, topics []string)
}

// Placement says where keys are coordinated, by the partitions of the internal topics.
type Placement interface {
	// PartitionFor returns the partition of an internal topic whose leader coordinates a key. known is false while it may
	// yet turn out to be another.
	PartitionFor(topic, key string) (partition int32, known bool)
	// EnsureTopic has an internal topic made in the background if there is none.
	EnsureTopic(topic string)
	// Marked tells who coordinates over a partition, if anybody, of a transaction's marker in its log. The channels are those
	// of coord.Runtime.Marker.
	Marked(tp meta.TopicPartition, offset, producerID int64, producerEpoch int16, committed bool) (applied, ended <-chan struct{})
}

// Txns coordinates transactional ids on this broker. Met by *txn.Coordinator.
type Txns interface {
	InitProducerID(ctx context.Context, r txn.InitRequest) (id int64, epoch int16, err error)
	AddPartitions(ctx context.Context, p txn.Producer, tps []meta.TopicPartition) error
	VerifyPartitions(ctx context.Context, p txn.Producer, tps []meta.TopicPartition) []error
	EndTxn(ctx context.Context, p txn.Producer, commit bool) error
	Describe(ctx context.Context, id string) (txn.Description, error)
	List(ctx context.Context) ([]txn.Description, error)
}

// TxnVerifier asks coordinators of transactions, here or elsewhere, whether partitions are part of one. Met by *txn.Verifier.
type TxnVerifier interface {
	Verify(ctx context.Context, v txn.Verification) []error
}

// ProducerIDs hands out producer ids that no other producer of the fleet has.
type ProducerIDs interface {
	NextProducerID(ctx context.Context) (int64, error)
}

// Groups are the groups that this broker coordinates. Met by *group.Coordinator.
type Groups interface {
	Join(ctx context.Context, q group.JoinRequest) group.JoinReply
	Sync(ctx context.Context, q group.SyncRequest) group.SyncReply
	Heartbeat(ctx context.Context, q group.HeartbeatRequest) error
	Leave(ctx context.Context, name string, leaving []group.Leaving) ([]error, error)
	Describe(ctx context.Context, name string) (group.Summary, error)
	List(ctx context.Context) ([]group.Overview, error)
	Delete(ctx context.Context, name string) error
	Commit(ctx context.Context, q group.CommitRequest) []error
	Fetch(ctx context.Context, name string, partitions []meta.TopicPartition, all, stable bool) ([]group.FetchedOffset, error)
	DeleteOffsets(ctx context.Context, name string, partitions []meta.TopicPartition) ([]error, error)
	PartitionsDeleted(ctx context.Context, partitions []meta.TopicPartition) error
}

// Loggers are the broker's log levels by logger name, changeable while it runs (KIP-412).
type Loggers interface {
	Levels() map[string]string
	SetLevel(logger, level string) error
	UnsetLevel(logger string) error
}

// Authorizer says whether the owner of a connection may do something. It must not block.
type Authorizer interface {
	Allowed(c *transport.Conn, op acl.Operation, t acl.ResourceType, name string) bool
	// AllowedOnAny is whether op is allowed on at least one resource of the type.
	AllowedOnAny(c *transport.Conn, op acl.Operation, t acl.ResourceType) bool
}
