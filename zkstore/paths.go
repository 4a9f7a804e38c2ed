package zkstore

import (
	"strconv"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

const (
	controllerPath        = "/controller"
	controllerEpochPath   = "/controller_epoch"
	clusterIDPath         = "/cluster/id"
	brokersPath           = "/brokers/ids"
	brokerSequencePath    = "/brokers/seqid"
	topicsPath            = "/brokers/topics"
	topicDeletionsPath    = "/admin/delete_topics"
	reassignmentsPath     = "/admin/reassign_partitions"
	preferredElectionPath = "/admin/preferred_replica_election"
	configPath            = "/config"
	configChangesPath     = "/config/changes"
	isrChangesPath        = "/isr_change_notification"
	logDirEventsPath      = "/log_dir_event_notification"
	producerIDsPath       = "/latest_producer_id_block"
	featurePath           = "/feature"
	migrationPath         = "/migration"
	tokensPath            = "/delegation_token/tokens"
	tokenChangesPath      = "/delegation_token/token_changes"
	literalACLPath        = "/kafka-acl"
	prefixedACLPath       = "/kafka-acl-extended/prefixed"
	literalACLChanges     = "/kafka-acl-changes"
	extendedACLChanges    = "/kafka-acl-extended-changes"
	consumersPath         = "/consumers"
)

// The znodes of a queue are named by what they tell of and a sequence number of ten digits that ZooKeeper adds.
const (
	configChangePrefix = "config_change_"
	isrChangePrefix    = "isr_change_"
	logDirEventPrefix  = "log_dir_event_"
	aclChangePrefix    = "acl_changes_"
	tokenChangePrefix  = "token_change_"
)

// persistentPaths are made by every broker at every start, in Kafka's order.
var persistentPaths = []string{
	consumersPath, brokersPath, topicsPath, configChangesPath, topicDeletionsPath, brokerSequencePath, isrChangesPath,
	producerIDsPath, logDirEventsPath, "/config/topics", "/config/clients", "/config/users", "/config/brokers", "/config/ips",
}

// BrokerPath is a broker's registration.
func BrokerPath(id meta.BrokerID) string { return brokersPath + "/" + strconv.Itoa(int(id)) }

// TopicPath is a topic's assignment and id.
func TopicPath(topic string) string { return topicsPath + "/" + topic }

func partitionsPath(topic string) string { return TopicPath(topic) + "/partitions" }

// PartitionPath is the folder of one partition.
func PartitionPath(tp meta.TopicPartition) string {
	return partitionsPath(tp.Topic) + "/" + strconv.Itoa(int(tp.Partition))
}

// PartitionStatePath is where leader, ISR and epochs of a partition are kept.
func PartitionStatePath(tp meta.TopicPartition) string { return PartitionPath(tp) + "/state" }

// TopicDeletionPath marks a topic for deletion.
func TopicDeletionPath(topic string) string { return topicDeletionsPath + "/" + topic }

// ConfigPath holds the dynamic config of an entity.
func ConfigPath(e meta.Entity) string { return configPath + "/" + e.String() }

// ACLPath holds the access control entries of a resource.
func ACLPath(r ACLResource) string {
	if r.Prefixed {
		return prefixedACLPath + "/" + r.Type + "/" + r.Name
	}
	return literalACLPath + "/" + r.Type + "/" + r.Name
}

// TokenPath holds a delegation token.
func TokenPath(id string) string { return tokensPath + "/" + id }

// GroupPath is the folder of a group: its offsets, its members and what they own.
func GroupPath(group string) string { return consumersPath + "/" + pathName(group) }

func groupOffsetsPath(group string) string { return GroupPath(group) + "/offsets" }

func groupDetailsPath(group string) string { return GroupPath(group) + "/kraal" }

// OffsetPath holds a committed offset.
func OffsetPath(group string, tp meta.TopicPartition) string {
	return offsetPathIn(groupOffsetsPath(group), tp)
}

// OffsetDetailsPath holds what an offset's own znode has no room for.
func OffsetDetailsPath(group string, tp meta.TopicPartition) string {
	return offsetPathIn(groupDetailsPath(group), tp)
}

func offsetPathIn(folder string, tp meta.TopicPartition) string {
	return folder + "/" + pathName(tp.Topic) + "/" + strconv.Itoa(int(tp.Partition))
}
