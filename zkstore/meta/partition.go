package meta

import "slices"

// RecoveryState tells whether a leader was elected uncleanly and has not recovered yet (KIP-704).
// In ZooKeeper mode it is RECOVERED (0) unless an election says otherwise.
type RecoveryState int8

const (
	Recovered  RecoveryState = 0
	Recovering RecoveryState = 1
)

// LeaderAndISR is who leads a partition and who is in sync: the content of the partition's state znode.
type LeaderAndISR struct {
	Leader          BrokerID
	LeaderEpoch     LeaderEpoch
	ISR             []BrokerID // leader's order is kept; treat as immutable
	RecoveryState   RecoveryState
	ControllerEpoch ControllerEpoch // of the controller that decided it
	PartitionEpoch  PartitionEpoch  // version of the znode, not part of its text
}

// Assignment is where the replicas of a partition live or are moving (KIP-455).
// During a reassignment Replicas holds the target followed by those to be removed.
type Assignment struct {
	Replicas []BrokerID
	Adding   []BrokerID
	Removing []BrokerID
}

// Reassigning reports whether replicas are being added or removed.
func (a Assignment) Reassigning() bool { return len(a.Adding) > 0 || len(a.Removing) > 0 }

// Target returns the replicas the partition has once the running reassignment is finished.
func (a Assignment) Target() []BrokerID {
	if !a.Reassigning() {
		return a.Replicas
	}
	return without(a.Replicas, a.Removing)
}

// Origin returns the replicas the partition had before the running reassignment.
func (a Assignment) Origin() []BrokerID {
	if !a.Reassigning() {
		return a.Replicas
	}
	return without(a.Replicas, a.Adding)
}

func without(all, drop []BrokerID) []BrokerID {
	kept := make([]BrokerID, 0, len(all))
	for _, id := range all {
		if !slices.Contains(drop, id) {
			kept = append(kept, id)
		}
	}
	return kept
}

// TopicAssignment is the content of /brokers/topics/<topic>.
type TopicAssignment struct {
	ID         TopicID // zero when the topic was made before topic ids
	Partitions map[int32]Assignment
	Version    int32 // of the znode
}
