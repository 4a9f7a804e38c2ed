package controller

import "errors"

// What a question can be answered with. broker/api maps these to Kafka's error codes.
var (
	// ErrNotController: this broker is not, or is no longer, the active controller.
	ErrNotController = errors.New("not the active controller")
	// ErrStaleBrokerEpoch: the asking broker is unknown or speaks for an earlier life of its id.
	ErrStaleBrokerEpoch = errors.New("stale broker epoch")
	// ErrBrokerNotAvailable: no broker with that id is registered, and the request named no broker epoch.
	ErrBrokerNotAvailable = errors.New("broker not available")
	// ErrUnknownBroker: no broker with that id is registered, although the request named a broker epoch. Kafka's lookup
	// fails there, and its answer is UNKNOWN_SERVER_ERROR.
	ErrUnknownBroker = errors.New("broker is not registered")
	// ErrBrokerIDNotRegistered: AllocateProducerIDs from a broker that is not registered.
	ErrBrokerIDNotRegistered = errors.New("broker id not registered")
	// ErrUnknownTopicOrPartition: the controller knows no such partition, or its topic is being deleted.
	ErrUnknownTopicOrPartition = errors.New("unknown topic or partition")
	// ErrUnknownTopicID: no topic has that id.
	ErrUnknownTopicID = errors.New("unknown topic id")
	// ErrInvalidTopic: the topic is being deleted.
	ErrInvalidTopic = errors.New("topic is queued for deletion")
	// ErrFencedLeaderEpoch: the leader speaks for an earlier leadership.
	ErrFencedLeaderEpoch = errors.New("fenced leader epoch")
	// ErrInvalidUpdateVersion: the partition state was changed since the leader last heard of it.
	ErrInvalidUpdateVersion = errors.New("partition epoch is out of date")
	// ErrInvalidRequest: a recovery state that cannot be.
	ErrInvalidRequest = errors.New("invalid request")
	// ErrIneligibleReplica: a proposed ISR member is dead or shutting down.
	ErrIneligibleReplica = errors.New("ineligible replica in the ISR")
	// ErrInvalidReplicaAssignment: a reassignment target that cannot be.
	ErrInvalidReplicaAssignment = errors.New("invalid replica assignment")
	// ErrNoReassignmentInProgress: nothing to cancel.
	ErrNoReassignmentInProgress = errors.New("no reassignment in progress")
	// ErrElectionNotNeeded: the preferred replica already leads, or an unclean election found a live leader.
	ErrElectionNotNeeded = errors.New("election not needed")
	// ErrPreferredLeaderNotAvailable: the preferred replica is offline or not in the ISR.
	ErrPreferredLeaderNotAvailable = errors.New("preferred leader not available")
	// ErrEligibleLeadersNotAvailable: an unclean election found no live replica.
	ErrEligibleLeadersNotAvailable = errors.New("no eligible leader available")
	// ErrServer: an attempt failed for a reason that is not the asker's; wraps the cause.
	ErrServer = errors.New("controller failure")
)
