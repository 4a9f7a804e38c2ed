package controller

// replicaState is where one replica is in its life (Kafka's ReplicaStateMachine).
type replicaState uint8

const (
	// replicaNonExistent: never heard of, or deleted and forgotten.
	replicaNonExistent replicaState = iota
	// replicaNew: its broker was told to create it, by the creation of the topic or by a reassignment.
	replicaNew
	// replicaOnline: takes part.
	replicaOnline
	// replicaOffline: its broker or log directory is gone, or it was told to stop.
	replicaOffline
	// replicaDeletionStarted: its broker was told to delete it.
	replicaDeletionStarted
	// replicaDeletionSuccessful: its broker said that it did.
	replicaDeletionSuccessful
	// replicaDeletionIneligible: it cannot be deleted now; tried again when its broker comes back.
	replicaDeletionIneligible
)

func (s replicaState) String() string {
	return [...]string{"NonExistent", "New", "Online", "Offline", "DeletionStarted", "DeletionSuccessful", "DeletionIneligible"}[s]
}

// replicaTransitions says from which states a state may be entered, as bits.
var replicaTransitions = [...]uint8{
	replicaNonExistent:        1 << replicaDeletionSuccessful,
	replicaNew:                1 << replicaNonExistent,
	replicaOnline:             1<<replicaNew | 1<<replicaOnline | 1<<replicaOffline | 1<<replicaDeletionIneligible,
	replicaOffline:            1<<replicaNew | 1<<replicaOnline | 1<<replicaOffline | 1<<replicaDeletionIneligible,
	replicaDeletionStarted:    1 << replicaOffline,
	replicaDeletionSuccessful: 1 << replicaDeletionStarted,
	replicaDeletionIneligible: 1<<replicaOffline | 1<<replicaDeletionStarted,
}

// may reports whether a replica in state s can go to the given state.
func (s replicaState) may(to replicaState) bool { return replicaTransitions[to]&(1<<s) != 0 }
