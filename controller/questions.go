package controller

import (
	"context"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Every question below is answered by the loop of the active controller, and with ErrNotController by any other. A
// context that ends only ends the waiting: what was asked may still happen.

// PartitionChange is one partition of an AlterPartition request (KIP-497): the state its leader wants.
type PartitionChange struct {
	Topic          string       // empty when TopicID is given (request version 2 and later)
	TopicID        meta.TopicID // zero when Topic is given
	Partition      int32
	LeaderEpoch    meta.LeaderEpoch
	PartitionEpoch meta.PartitionEpoch
	ISR            []meta.BrokerID // the leader's order is kept
	RecoveryState  meta.RecoveryState
}

// PartitionChangeResult is what became of one PartitionChange: the state now in force, or an error.
type PartitionChangeResult struct {
	Topic   string // resolved from the id; empty if the id is unknown
	TopicID meta.TopicID
	State   meta.LeaderAndISR
	Err     error
}

// AlterPartition changes ISRs at the request of a leader. The results are in the order of the changes. Errors:
// ErrStaleBrokerEpoch; per change ErrUnknownTopicID, ErrUnknownTopicOrPartition, ErrNotController, ErrFencedLeaderEpoch,
// ErrInvalidUpdateVersion, ErrInvalidRequest, ErrIneligibleReplica (OPERATION_NOT_ATTEMPTED below version 2).
func (c *Controller) AlterPartition(ctx context.Context, from meta.BrokerID, epoch meta.BrokerEpoch, changes []PartitionChange) ([]PartitionChangeResult, error) {
	e := &alterPartition{from: from, epoch: epoch, changes: changes, answer: newAnswer[[]PartitionChangeResult]()}
	return ask(ctx, c, e, e.answer)
}

// ElectionType says which leader an ElectLeaders question wants.
type ElectionType int8

const (
	// PreferredElection makes the first assigned replica the leader.
	PreferredElection ElectionType = 0
	// UncleanElection finds some live leader for a partition that has none, losing data if it must.
	UncleanElection ElectionType = 1
)

// ElectionResult is what became of one partition of an ElectLeaders question.
type ElectionResult struct {
	Leader meta.BrokerID // elected; wait for it to appear in the local metadata cache
	Err    error
}

// ElectLeaders elects leaders now. The results are in the order of the partitions. Errors per partition:
// ErrUnknownTopicOrPartition, ErrInvalidTopic, ErrElectionNotNeeded, ErrPreferredLeaderNotAvailable,
// ErrEligibleLeadersNotAvailable.
func (c *Controller) ElectLeaders(ctx context.Context, kind ElectionType, partitions []meta.TopicPartition) ([]ElectionResult, error) {
	e := &electLeaders{kind: kind, partitions: partitions, answer: newAnswer[[]ElectionResult]()}
	return ask(ctx, c, e, e.answer)
}

// Reassignment asks for new replicas of one partition (KIP-455). Nil Replicas cancel the one under way.
type Reassignment struct {
	meta.TopicPartition
	Replicas []meta.BrokerID
}

// AlterReassignments starts, replaces or cancels reassignments and returns once they have been started. The errors are in
// the order of the reassignments: ErrInvalidReplicaAssignment, ErrUnknownTopicOrPartition, ErrNoReassignmentInProgress, ErrServer.
func (c *Controller) AlterReassignments(ctx context.Context, reassignments []Reassignment) ([]error, error) {
	e := &alterReassignments{reassignments: reassignments, answer: newAnswer[[]error]()}
	return ask(ctx, c, e, e.answer)
}

// Reassignments returns the running reassignments among the given partitions, or all of them for nil.
func (c *Controller) Reassignments(ctx context.Context, partitions []meta.TopicPartition) (map[meta.TopicPartition]meta.Assignment, error) {
	e := &listReassignments{partitions: partitions, answer: newAnswer[map[meta.TopicPartition]meta.Assignment]()}
	return ask(ctx, c, e, e.answer)
}

// ControlledShutdown moves leaderships away from a broker that is about to stop, takes it out of ISRs, and returns the
// partitions it still leads: none means it may go. Errors: ErrStaleBrokerEpoch, ErrBrokerNotAvailable,
// ErrUnknownBroker. On a broker that is not the controller Kafka answers STALE_CONTROLLER_EPOCH here.
func (c *Controller) ControlledShutdown(ctx context.Context, broker meta.BrokerID, epoch meta.BrokerEpoch) ([]meta.TopicPartition, error) {
	e := &controlledShutdown{broker: broker, epoch: epoch, answer: newAnswer[[]meta.TopicPartition]()}
	return ask(ctx, c, e, e.answer)
}

// ProducerIDBlock is a range of producer ids given to one broker.
type ProducerIDBlock struct {
	Start  int64
	Length int32
}

// AllocateProducerIDs hands out the next block of producer ids. Errors: ErrBrokerIDNotRegistered, ErrStaleBrokerEpoch, ErrServer.
func (c *Controller) AllocateProducerIDs(ctx context.Context, broker meta.BrokerID, epoch meta.BrokerEpoch) (ProducerIDBlock, error) {
	e := &allocateProducerIDs{broker: broker, epoch: epoch, answer: newAnswer[ProducerIDBlock]()}
	return ask(ctx, c, e, e.answer)
}

// ask queues a question and waits for its answer.
func ask[T any](ctx context.Context, c *Controller, e event, a answer[T]) (T, error) {
	var zero T
	if !c.IsActive() || !c.queue.put(e) {
		return zero, ErrNotController
	}
	select {
	case r := <-a:
		return r.value, r.err
	case <-ctx.Done():
		return zero, ctx.Err()
	}
}

// answer carries the answer of the loop to the asker. Capacity 1 and only the first answer counts (an event may fail after
// it has answered), so the loop never waits.
type answer[T any] chan result[T]

type result[T any] struct {
	value T
	err   error
}

func newAnswer[T any]() answer[T]    { return make(answer[T], 1) }
func (a answer[T]) give(v T)         { a.put(result[T]{value: v}) }
func (a answer[T]) refuse(err error) { a.put(result[T]{err: err}) }

func (a answer[T]) put(r result[T]) {
	select {
	case a <- r:
	default:
	}
}
