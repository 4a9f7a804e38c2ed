package zkstore

import "github.com/kraal-mq/kraal/zkstore/meta"

// Fence stands for a role held at some epoch. A fenced write is a multi whose first operation checks the version of
// the role's epoch znode, so a deposed holder's late write fails with [ErrFenced] and changes nothing.
type Fence struct {
	path    string
	version int32
	open    bool
}

// ControllerFence guards what the controller writes: epochVersion is the version of /controller_epoch that its
// election produced ([Controllership.EpochVersion]), not the epoch itself.
func ControllerFence(epochVersion int32) Fence {
	return Fence{path: controllerEpochPath, version: epochVersion}
}

// PartitionFence guards writes that only the leader of one partition may do, such as a coordinator's offsets: they
// fail once the partition's state has changed.
func PartitionFence(tp meta.TopicPartition, epoch meta.PartitionEpoch) Fence {
	return Fence{path: PartitionStatePath(tp), version: int32(epoch)}
}

// Unfenced is for writes Kafka does not guard. The zero Fence, by contrast, is refused.
func Unfenced() Fence { return Fence{open: true} }
