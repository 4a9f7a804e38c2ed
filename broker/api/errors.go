package api

import (
	"context"
	"errors"

	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/broker/group"
	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/replica"
	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/broker/txn"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/controller"
	"github.com/kraal-mq/kraal/zkstore"
	"go.uber.org/zap"
)

// codes maps what the packages below return to what clients are told. The first match counts.
var codes = []struct {
	err  error
	code wire.Code
}{
	{group.ErrInvalidGroupID, wire.ErrInvalidGroupID},
	{group.ErrCoordinatorNotAvailable, wire.ErrCoordinatorNotAvailable},
	{group.ErrUnknownMember, wire.ErrUnknownMemberID},
	{group.ErrFencedInstance, wire.ErrFencedInstanceID},
	{group.ErrIllegalGeneration, wire.ErrIllegalGeneration},
	{group.ErrRebalanceInProgress, wire.ErrRebalanceInProgress},
	{group.ErrInconsistentGroupProtocol, wire.ErrInconsistentGroupProtocol},
	{group.ErrInvalidSessionTimeout, wire.ErrInvalidSessionTimeout},
	{group.ErrMemberIDRequired, wire.ErrMemberIDRequired},
	{group.ErrGroupMaxSizeReached, wire.ErrGroupMaxSizeReached},
	{group.ErrNonEmptyGroup, wire.ErrNonEmptyGroup},
	{group.ErrGroupIDNotFound, wire.ErrGroupIDNotFound},
	{group.ErrTooLarge, wire.ErrUnknownServer},
	{group.ErrOffsetMetadataTooLarge, wire.ErrOffsetMetadataTooLarge},
	{group.ErrInvalidCommitSize, wire.ErrInvalidCommitOffsetSize},
	{group.ErrUnstableOffset, wire.ErrUnstableOffsetCommit},
	{group.ErrGroupSubscribedToTopic, wire.ErrGroupSubscribedToTopic},

	// A coordinator's word comes before why its log did not take a record.
	{coord.ErrNotCoordinator, wire.ErrNotCoordinator},
	{coord.ErrLoading, wire.ErrCoordinatorLoadInProgress},
	{coord.ErrNotAvailable, wire.ErrCoordinatorNotAvailable},
	{coord.ErrTooLarge, wire.ErrUnknownServer},
	{txn.ErrInvalidRequest, wire.ErrInvalidRequest},
	{txn.ErrInvalidProducerIDMapping, wire.ErrInvalidProducerIDMapping},
	{txn.ErrProducerFenced, wire.ErrProducerFenced},
	{txn.ErrConcurrentTransactions, wire.ErrConcurrentTransactions},
	{txn.ErrInvalidTxnState, wire.ErrInvalidTxnState},
	{txn.ErrInvalidTimeout, wire.ErrInvalidTransactionTimeout},
	{txn.ErrNotFound, wire.ErrTransactionalIDNotFound},
	{txn.ErrAbortable, wire.ErrTransactionAbortable},
	{txn.ErrNoAnswer, wire.ErrNetwork},

	{replica.ErrUnknownPartition, wire.ErrUnknownTopicOrPartition},
	{replica.ErrNotLeader, wire.ErrNotLeaderOrFollower},
	{replica.ErrFencedLeaderEpoch, wire.ErrFencedLeaderEpoch},
	{replica.ErrUnknownLeaderEpoch, wire.ErrUnknownLeaderEpoch},
	{replica.ErrStaleLeaderEpoch, wire.ErrStaleControllerEpoch},
	{replica.ErrStaleController, wire.ErrStaleControllerEpoch},
	{replica.ErrStaleBrokerEpoch, wire.ErrStaleBrokerEpoch},
	{replica.ErrInconsistentTopicID, wire.ErrInconsistentTopicID},
	{replica.ErrNotEnoughReplicas, wire.ErrNotEnoughReplicas},
	{replica.ErrNotEnoughReplicasAfterAppend, wire.ErrNotEnoughReplicasAfterAppend},
	{replica.ErrTimedOut, wire.ErrRequestTimedOut},
	{replica.ErrOffsetNotAvailable, wire.ErrOffsetNotAvailable},
	{replica.ErrPolicyViolation, wire.ErrPolicyViolation},
	{replica.ErrInternalTopic, wire.ErrInvalidTopic},
	{replica.ErrUnknownDir, wire.ErrLogDirNotFound},

	{record.ErrInvalidTimestamp, wire.ErrInvalidTimestamp},
	{record.ErrInvalidRecord, wire.ErrInvalidRecord},
	{record.ErrMessageTooLarge, wire.ErrMessageTooLarge},
	{record.ErrUnknownCodec, wire.ErrUnknownServer},
	{record.ErrUnsupportedCompression, wire.ErrUnsupportedCompressionType},
	{record.ErrCorrupt, wire.ErrCorruptMessage},
	{record.ErrTruncated, wire.ErrCorruptMessage},

	{storage.ErrOffsetOutOfRange, wire.ErrOffsetOutOfRange},
	{storage.ErrRecordListTooLarge, wire.ErrRecordListTooLarge},
	{storage.ErrOutOfOrderSequence, wire.ErrOutOfOrderSequenceNumber},
	{storage.ErrInvalidProducerEpoch, wire.ErrInvalidProducerEpoch},
	{storage.ErrInvalidTxnState, wire.ErrInvalidTxnState},
	{storage.ErrCoordinatorFenced, wire.ErrTransactionCoordinatorFenced},
	{storage.ErrTopicIDMismatch, wire.ErrInconsistentTopicID},
	{storage.ErrDirOffline, wire.ErrKafkaStorage},
	{storage.ErrDiskFull, wire.ErrKafkaStorage},
	{storage.ErrNameTooLong, wire.ErrInvalidTopic},
	{storage.ErrClosed, wire.ErrNotLeaderOrFollower},
	{storage.ErrDeleted, wire.ErrNotLeaderOrFollower},

	{controller.ErrNotController, wire.ErrNotController},
	{controller.ErrStaleBrokerEpoch, wire.ErrStaleBrokerEpoch},
	{controller.ErrBrokerNotAvailable, wire.ErrBrokerNotAvailable},
	{controller.ErrBrokerIDNotRegistered, wire.ErrBrokerIDNotRegistered},
	{controller.ErrUnknownTopicOrPartition, wire.ErrUnknownTopicOrPartition},
	{controller.ErrUnknownTopicID, wire.ErrUnknownTopicID},
	{controller.ErrInvalidTopic, wire.ErrInvalidTopic},
	{controller.ErrFencedLeaderEpoch, wire.ErrFencedLeaderEpoch},
	{controller.ErrInvalidUpdateVersion, wire.ErrInvalidUpdateVersion},
	{controller.ErrInvalidRequest, wire.ErrInvalidRequest},
	{controller.ErrIneligibleReplica, wire.ErrIneligibleReplica},
	{controller.ErrInvalidReplicaAssignment, wire.ErrInvalidReplicaAssignment},
	{controller.ErrNoReassignmentInProgress, wire.ErrNoReassignmentInProgress},
	{controller.ErrElectionNotNeeded, wire.ErrElectionNotNeeded},
	{controller.ErrPreferredLeaderNotAvailable, wire.ErrPreferredLeaderNotAvailable},
	{controller.ErrEligibleLeadersNotAvailable, wire.ErrEligibleLeadersNotAvailable},

	{config.ErrInvalidConfig, wire.ErrInvalidConfig},
	{config.ErrInvalidRequest, wire.ErrInvalidRequest},
	{config.ErrUnknownOperation, wire.ErrUnknownServer},

	{zkstore.ErrTooLarge, wire.ErrInvalidCommitOffsetSize},
	{zkstore.ErrNoController, wire.ErrRequestTimedOut},
	{zkstore.ErrUnknownOutcome, wire.ErrRequestTimedOut},
	{zkstore.ErrExpired, wire.ErrRequestTimedOut},
	{zkstore.ErrClosed, wire.ErrRequestTimedOut},
	{context.DeadlineExceeded, wire.ErrRequestTimedOut},
	{context.Canceled, wire.ErrRequestTimedOut},
}

// Code returns the error code for err. An error nobody foresaw is UNKNOWN_SERVER_ERROR, and logged here, once.
func (h *Handler) code(err error) wire.Code {
	if err == nil {
		return wire.None
	}
	var c wire.Code
	if errors.As(err, &c) {
		return c
	}
	var refused *refusal
	if errors.As(err, &refused) {
		return refused.code
	}
	for _, m := range codes {
		if errors.Is(err, m.err) {
			return m.code
		}
	}
	h.Logger.Error("a request failed in a way nobody foresaw", zap.Error(err))
	return wire.ErrUnknownServer
}

// refusal is an error whose code and text are meant for the client as they stand.
type refusal struct {
	code    wire.Code
	message string
}

func (r *refusal) Error() string { return r.message }

func refuse(code wire.Code, message string) error { return &refusal{code: code, message: message} }

// codeAndReason is codeAndMessage for responses where Kafka sends a message only if there is more to say than the code does.
func (h *Handler) codeAndReason(err error) (int16, *string) {
	code, message := h.codeAndMessage(err)
	if _, bare := err.(wire.Code); bare {
		message = nil
	}
	return code, message
}

// codeAndMessage returns both for an error, as responses with a message field carry them.
func (h *Handler) codeAndMessage(err error) (int16, *string) {
	if err == nil {
		return 0, nil
	}
	code := h.code(err)
	if code == wire.ErrUnknownServer {
		return int16(code), nil // the message is for our log
	}
	text := err.Error()
	if c, ok := err.(wire.Code); ok {
		text = c.Message()
	}
	return int16(code), &text
}
