package controller

// partitionState is where a partition is in its life (Kafka's PartitionStateMachine).
type partitionState uint8

const (
	// partitionNonExistent: never created, or taken down for deletion.
	partitionNonExistent partitionState = iota
	// partitionNew: assigned, but without a leader ever elected and so without a state znode.
	partitionNew
	// partitionOnline: has a leader.
	partitionOnline
	// partitionOffline: had a leader, which is gone.
	partitionOffline
)

func (s partitionState) String() string {
	return [...]string{"NonExistent", "New", "Online", "Offline"}[s]
}

// partitionTransitions says from which states a state may be entered, as bits.
var partitionTransitions = [...]uint8{
	partitionNonExistent: 1 << partitionOffline,
	partitionNew:         1 << partitionNonExistent,
	partitionOnline:      1<<partitionNew | 1<<partitionOnline | 1<<partitionOffline,
	partitionOffline:     1<<partitionNew | 1<<partitionOnline | 1<<partitionOffline,
}

// may reports whether a partition in state s can go to the given state.
func (s partitionState) may(to partitionState) bool { return partitionTransitions[to]&(1<<s) != 0 }
