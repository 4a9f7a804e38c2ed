package zkstore

import (
	"strconv"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

const (
	controllerPath      = "/controller"
	controllerEpochPath = "/controller_epoch"
)

// PartitionStatePath is where leader, ISR and epochs of a partition are kept.
func PartitionStatePath(tp meta.TopicPartition) string {
	return "/brokers/topics/" + tp.Topic + "/partitions/" + strconv.Itoa(int(tp.Partition)) + "/state"
}
