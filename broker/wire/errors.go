package wire

import "strconv"

// Code is a Kafka error code as it travels in responses. The constants below are all codes of Apache Kafka 3.9
// (Errors.java); every one but None is an error, so code below the API may return them and be compared with errors.Is.
type Code int16

const (
	None Code = 0

	ErrUnknownServer                      Code = -1
	ErrOffsetOutOfRange                   Code = 1
	ErrCorruptMessage                     Code = 2
	ErrUnknownTopicOrPartition            Code = 3
	ErrInvalidFetchSize                   Code = 4
	ErrLeaderNotAvailable                 Code = 5
	ErrNotLeaderOrFollower                Code = 6
	ErrRequestTimedOut                    Code = 7
	ErrBrokerNotAvailable                 Code = 8
	ErrReplicaNotAvailable                Code = 9
	ErrMessageTooLarge                    Code = 10
	ErrStaleControllerEpoch               Code = 11
	ErrOffsetMetadataTooLarge             Code = 12
	ErrNetwork                            Code = 13
	ErrCoordinatorLoadInProgress          Code = 14
	ErrCoordinatorNotAvailable            Code = 15
	ErrNotCoordinator                     Code = 16
	ErrInvalidTopic                       Code = 17
	ErrRecordListTooLarge                 Code = 18
	ErrNotEnoughReplicas                  Code = 19
	ErrNotEnoughReplicasAfterAppend       Code = 20
	ErrInvalidRequiredAcks                Code = 21
	ErrIllegalGeneration                  Code = 22
	ErrInconsistentGroupProtocol          Code = 23
	ErrInvalidGroupID                     Code = 24
	ErrUnknownMemberID                    Code = 25
	ErrInvalidSessionTimeout              Code = 26
	ErrRebalanceInProgress                Code = 27
	ErrInvalidCommitOffsetSize            Code = 28
	ErrTopicAuthorizationFailed           Code = 29
	ErrGroupAuthorizationFailed           Code = 30
	ErrClusterAuthorizationFailed         Code = 31
	ErrInvalidTimestamp                   Code = 32
	ErrUnsupportedSASLMechanism           Code = 33
	ErrIllegalSASLState                   Code = 34
	ErrUnsupportedVersion                 Code = 35
	ErrTopicAlreadyExists                 Code = 36
	ErrInvalidPartitions                  Code = 37
	ErrInvalidReplicationFactor           Code = 38
	ErrInvalidReplicaAssignment           Code = 39
	ErrInvalidConfig                      Code = 40
	ErrNotController                      Code = 41
	ErrInvalidRequest                     Code = 42
	ErrUnsupportedForMessageFormat        Code = 43
	ErrPolicyViolation                    Code = 44
	ErrOutOfOrderSequenceNumber           Code = 45
	ErrDuplicateSequenceNumber            Code = 46
	ErrInvalidProducerEpoch               Code = 47
	ErrInvalidTxnState                    Code = 48
	ErrInvalidProducerIDMapping           Code = 49
	ErrInvalidTransactionTimeout          Code = 50
	ErrConcurrentTransactions             Code = 51
	ErrTransactionCoordinatorFenced       Code = 52
	ErrTransactionalIDAuthorizationFailed Code = 53
	ErrSecurityDisabled                   Code = 54
	ErrOperationNotAttempted              Code = 55
	ErrKafkaStorage                       Code = 56
	ErrLogDirNotFound                     Code = 57
	ErrSASLAuthenticationFailed           Code = 58
	ErrUnknownProducerID                  Code = 59
	ErrReassignmentInProgress             Code = 60
	ErrDelegationTokenAuthDisabled        Code = 61
	ErrDelegationTokenNotFound            Code = 62
	ErrDelegationTokenOwnerMismatch       Code = 63
	ErrDelegationTokenRequestNotAllowed   Code = 64
	ErrDelegationTokenAuthorizationFailed Code = 65
	ErrDelegationTokenExpired             Code = 66
	ErrInvalidPrincipalType               Code = 67
	ErrNonEmptyGroup                      Code = 68
	ErrGroupIDNotFound                    Code = 69
	ErrFetchSessionIDNotFound             Code = 70
	ErrInvalidFetchSessionEpoch           Code = 71
	ErrListenerNotFound                   Code = 72
	ErrTopicDeletionDisabled              Code = 73
	ErrFencedLeaderEpoch                  Code = 74
	ErrUnknownLeaderEpoch                 Code = 75
	ErrUnsupportedCompressionType         Code = 76
	ErrStaleBrokerEpoch                   Code = 77
	ErrOffsetNotAvailable                 Code = 78
	ErrMemberIDRequired                   Code = 79
	ErrPreferredLeaderNotAvailable        Code = 80
	ErrGroupMaxSizeReached                Code = 81
	ErrFencedInstanceID                   Code = 82
	ErrEligibleLeadersNotAvailable        Code = 83
	ErrElectionNotNeeded                  Code = 84
	ErrNoReassignmentInProgress           Code = 85
	ErrGroupSubscribedToTopic             Code = 86
	ErrInvalidRecord                      Code = 87
	ErrUnstableOffsetCommit               Code = 88
	ErrThrottlingQuotaExceeded            Code = 89
	ErrProducerFenced                     Code = 90
	ErrResourceNotFound                   Code = 91
	ErrDuplicateResource                  Code = 92
	ErrUnacceptableCredential             Code = 93
	ErrInconsistentVoterSet               Code = 94
	ErrInvalidUpdateVersion               Code = 95
	ErrFeatureUpdateFailed                Code = 96
	ErrPrincipalDeserializationFailure    Code = 97
	ErrSnapshotNotFound                   Code = 98
	ErrPositionOutOfRange                 Code = 99
	ErrUnknownTopicID                     Code = 100
	ErrDuplicateBrokerRegistration        Code = 101
	ErrBrokerIDNotRegistered              Code = 102
	ErrInconsistentTopicID                Code = 103
	ErrInconsistentClusterID              Code = 104
	ErrTransactionalIDNotFound            Code = 105
	ErrFetchSessionTopicID                Code = 106
	ErrIneligibleReplica                  Code = 107
	ErrNewLeaderElected                   Code = 108
	ErrOffsetMovedToTieredStorage         Code = 109
	ErrFencedMemberEpoch                  Code = 110
	ErrUnreleasedInstanceID               Code = 111
	ErrUnsupportedAssignor                Code = 112
	ErrStaleMemberEpoch                   Code = 113
	ErrMismatchedEndpointType             Code = 114
	ErrUnsupportedEndpointType            Code = 115
	ErrUnknownControllerID                Code = 116
	ErrUnknownSubscriptionID              Code = 117
	ErrTelemetryTooLarge                  Code = 118
	ErrInvalidRegistration                Code = 119
	ErrTransactionAbortable               Code = 120
)

// Error returns the name and the message: "NOT_CONTROLLER: this broker is not the controller".
func (c Code) Error() string { return c.Name() + ": " + c.Message() }

// Err returns nil for None and c itself otherwise.
func (c Code) Err() error {
	if c == None {
		return nil
	}
	return c
}

// Name returns the name users know the code by, such as "NOT_LEADER_OR_FOLLOWER".
func (c Code) Name() string { return c.describe().name }

// Message returns the sentence for a response's error message field when there is nothing better to say.
func (c Code) Message() string { return c.describe().message }

// Retriable reports whether a client may expect the same request to succeed later.
func (c Code) Retriable() bool { return c.describe().retriable }

type description struct {
	name, message string
	retriable     bool
}

func (c Code) describe() description {
	if i := int(c) + 1; i >= 0 && i < len(descriptions) {
		return descriptions[i]
	}
	return description{name: "CODE_" + strconv.Itoa(int(c)), message: "an error code this version does not know"}
}

// descriptions is indexed by code + 1.
var descriptions = [...]description{
	ErrUnknownServer + 1:                      {"UNKNOWN_SERVER_ERROR", "the broker failed in a way it did not expect", false},
	None + 1:                                  {"NONE", "no error", false},
	ErrOffsetOutOfRange + 1:                   {"OFFSET_OUT_OF_RANGE", "the offset is outside of the partition's log", false},
	ErrCorruptMessage + 1:                     {"CORRUPT_MESSAGE", "the record batch is corrupt: bad checksum, size or format", true},
	ErrUnknownTopicOrPartition + 1:            {"UNKNOWN_TOPIC_OR_PARTITION", "this broker does not know the topic or partition", true},
	ErrInvalidFetchSize + 1:                   {"INVALID_FETCH_SIZE", "the fetch size is invalid", false},
	ErrLeaderNotAvailable + 1:                 {"LEADER_NOT_AVAILABLE", "the partition has no leader at present", true},
	ErrNotLeaderOrFollower + 1:                {"NOT_LEADER_OR_FOLLOWER", "this broker is not the leader, or not a replica, of the partition", true},
	ErrRequestTimedOut + 1:                    {"REQUEST_TIMED_OUT", "the request timed out", true},
	ErrBrokerNotAvailable + 1:                 {"BROKER_NOT_AVAILABLE", "the broker is not available", false},
	ErrReplicaNotAvailable + 1:                {"REPLICA_NOT_AVAILABLE", "the replica is not available on this broker", true},
	ErrMessageTooLarge + 1:                    {"MESSAGE_TOO_LARGE", "the record batch is larger than the topic allows", false},
	ErrStaleControllerEpoch + 1:               {"STALE_CONTROLLER_EPOCH", "the controller epoch is out of date", false},
	ErrOffsetMetadataTooLarge + 1:             {"OFFSET_METADATA_TOO_LARGE", "the metadata of the offset commit is too large", false},
	ErrNetwork + 1:                            {"NETWORK_EXCEPTION", "the connection broke before an answer came", true},
	ErrCoordinatorLoadInProgress + 1:          {"COORDINATOR_LOAD_IN_PROGRESS", "the coordinator is still loading its state", true},
	ErrCoordinatorNotAvailable + 1:            {"COORDINATOR_NOT_AVAILABLE", "the coordinator is not available", true},
	ErrNotCoordinator + 1:                     {"NOT_COORDINATOR", "this broker is not the coordinator", true},
	ErrInvalidTopic + 1:                       {"INVALID_TOPIC_EXCEPTION", "the topic name is illegal, or the topic may not be used this way", false},
	ErrRecordListTooLarge + 1:                 {"RECORD_LIST_TOO_LARGE", "the records are larger than a log segment", false},
	ErrNotEnoughReplicas + 1:                  {"NOT_ENOUGH_REPLICAS", "fewer replicas are in sync than the topic requires", true},
	ErrNotEnoughReplicasAfterAppend + 1:       {"NOT_ENOUGH_REPLICAS_AFTER_APPEND", "the records were appended, but fewer replicas are in sync than the topic requires", true},
	ErrInvalidRequiredAcks + 1:                {"INVALID_REQUIRED_ACKS", "acks must be -1, 0 or 1", false},
	ErrIllegalGeneration + 1:                  {"ILLEGAL_GENERATION", "the generation is not the group's current one", false},
	ErrInconsistentGroupProtocol + 1:          {"INCONSISTENT_GROUP_PROTOCOL", "the member shares no protocol with the rest of the group", false},
	ErrInvalidGroupID + 1:                     {"INVALID_GROUP_ID", "the group id is invalid", false},
	ErrUnknownMemberID + 1:                    {"UNKNOWN_MEMBER_ID", "the coordinator does not know this member", false},
	ErrInvalidSessionTimeout + 1:              {"INVALID_SESSION_TIMEOUT", "the session timeout is outside of the range this broker allows", false},
	ErrRebalanceInProgress + 1:                {"REBALANCE_IN_PROGRESS", "the group is rebalancing; the member has to join again", false},
	ErrInvalidCommitOffsetSize + 1:            {"INVALID_COMMIT_OFFSET_SIZE", "the offset commit is too large", false},
	ErrTopicAuthorizationFailed + 1:           {"TOPIC_AUTHORIZATION_FAILED", "not authorized for the topic", false},
	ErrGroupAuthorizationFailed + 1:           {"GROUP_AUTHORIZATION_FAILED", "not authorized for the group", false},
	ErrClusterAuthorizationFailed + 1:         {"CLUSTER_AUTHORIZATION_FAILED", "not authorized for the cluster", false},
	ErrInvalidTimestamp + 1:                   {"INVALID_TIMESTAMP", "a record's timestamp is outside of the range the topic allows", false},
	ErrUnsupportedSASLMechanism + 1:           {"UNSUPPORTED_SASL_MECHANISM", "the SASL mechanism is not enabled", false},
	ErrIllegalSASLState + 1:                   {"ILLEGAL_SASL_STATE", "the request does not fit the state of the SASL exchange", false},
	ErrUnsupportedVersion + 1:                 {"UNSUPPORTED_VERSION", "the version, or what was asked for in it, is not supported", false},
	ErrTopicAlreadyExists + 1:                 {"TOPIC_ALREADY_EXISTS", "a topic of this name exists", false},
	ErrInvalidPartitions + 1:                  {"INVALID_PARTITIONS", "the number of partitions is invalid", false},
	ErrInvalidReplicationFactor + 1:           {"INVALID_REPLICATION_FACTOR", "the replication factor is below 1 or above the number of brokers", false},
	ErrInvalidReplicaAssignment + 1:           {"INVALID_REPLICA_ASSIGNMENT", "the replica assignment is invalid", false},
	ErrInvalidConfig + 1:                      {"INVALID_CONFIG", "the config is invalid", false},
	ErrNotController + 1:                      {"NOT_CONTROLLER", "this broker is not the controller", true},
	ErrInvalidRequest + 1:                     {"INVALID_REQUEST", "the request is invalid", false},
	ErrUnsupportedForMessageFormat + 1:        {"UNSUPPORTED_FOR_MESSAGE_FORMAT", "the message format does not support the request", false},
	ErrPolicyViolation + 1:                    {"POLICY_VIOLATION", "the request violates a policy", false},
	ErrOutOfOrderSequenceNumber + 1:           {"OUT_OF_ORDER_SEQUENCE_NUMBER", "the producer's sequence number does not follow the last one", false},
	ErrDuplicateSequenceNumber + 1:            {"DUPLICATE_SEQUENCE_NUMBER", "the producer's sequence number was already used", false},
	ErrInvalidProducerEpoch + 1:               {"INVALID_PRODUCER_EPOCH", "the producer's epoch is older than the current one", false},
	ErrInvalidTxnState + 1:                    {"INVALID_TXN_STATE", "the transaction is in a state that does not allow this", false},
	ErrInvalidProducerIDMapping + 1:           {"INVALID_PRODUCER_ID_MAPPING", "the producer id is not the one assigned to the transactional id", false},
	ErrInvalidTransactionTimeout + 1:          {"INVALID_TRANSACTION_TIMEOUT", "the transaction timeout is larger than this broker allows", false},
	ErrConcurrentTransactions + 1:             {"CONCURRENT_TRANSACTIONS", "another operation on the transaction is in progress", true},
	ErrTransactionCoordinatorFenced + 1:       {"TRANSACTION_COORDINATOR_FENCED", "the transaction coordinator was replaced by a newer one", false},
	ErrTransactionalIDAuthorizationFailed + 1: {"TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "not authorized for the transactional id", false},
	ErrSecurityDisabled + 1:                   {"SECURITY_DISABLED", "no authorizer is configured", false},
	ErrOperationNotAttempted + 1:              {"OPERATION_NOT_ATTEMPTED", "the operation was not attempted", false},
	ErrKafkaStorage + 1:                       {"KAFKA_STORAGE_ERROR", "the log directory failed", true},
	ErrLogDirNotFound + 1:                     {"LOG_DIR_NOT_FOUND", "this broker has no such log directory", false},
	ErrSASLAuthenticationFailed + 1:           {"SASL_AUTHENTICATION_FAILED", "SASL authentication failed", false},
	ErrUnknownProducerID + 1:                  {"UNKNOWN_PRODUCER_ID", "this broker knows nothing of the producer id", false},
	ErrReassignmentInProgress + 1:             {"REASSIGNMENT_IN_PROGRESS", "a partition is being reassigned", false},
	ErrDelegationTokenAuthDisabled + 1:        {"DELEGATION_TOKEN_AUTH_DISABLED", "delegation tokens are not enabled", false},
	ErrDelegationTokenNotFound + 1:            {"DELEGATION_TOKEN_NOT_FOUND", "there is no such delegation token", false},
	ErrDelegationTokenOwnerMismatch + 1:       {"DELEGATION_TOKEN_OWNER_MISMATCH", "the principal is neither owner nor renewer of the delegation token", false},
	ErrDelegationTokenRequestNotAllowed + 1:   {"DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", "delegation tokens may not be managed over this connection", false},
	ErrDelegationTokenAuthorizationFailed + 1: {"DELEGATION_TOKEN_AUTHORIZATION_FAILED", "not authorized for the delegation token", false},
	ErrDelegationTokenExpired + 1:             {"DELEGATION_TOKEN_EXPIRED", "the delegation token has expired", false},
	ErrInvalidPrincipalType + 1:               {"INVALID_PRINCIPAL_TYPE", "the principal type is not supported", false},
	ErrNonEmptyGroup + 1:                      {"NON_EMPTY_GROUP", "the group has members", false},
	ErrGroupIDNotFound + 1:                    {"GROUP_ID_NOT_FOUND", "there is no such group", false},
	ErrFetchSessionIDNotFound + 1:             {"FETCH_SESSION_ID_NOT_FOUND", "there is no such fetch session", true},
	ErrInvalidFetchSessionEpoch + 1:           {"INVALID_FETCH_SESSION_EPOCH", "the fetch session epoch is not the expected one", true},
	ErrListenerNotFound + 1:                   {"LISTENER_NOT_FOUND", "the leader has no endpoint on the listener of this connection", true},
	ErrTopicDeletionDisabled + 1:              {"TOPIC_DELETION_DISABLED", "topic deletion is disabled", false},
	ErrFencedLeaderEpoch + 1:                  {"FENCED_LEADER_EPOCH", "the leader epoch is older than the broker's", true},
	ErrUnknownLeaderEpoch + 1:                 {"UNKNOWN_LEADER_EPOCH", "the leader epoch is newer than the broker's", true},
	ErrUnsupportedCompressionType + 1:         {"UNSUPPORTED_COMPRESSION_TYPE", "the version of the request does not support the compression type", false},
	ErrStaleBrokerEpoch + 1:                   {"STALE_BROKER_EPOCH", "the broker epoch is out of date", false},
	ErrOffsetNotAvailable + 1:                 {"OFFSET_NOT_AVAILABLE", "the new leader's high watermark has not caught up yet", true},
	ErrMemberIDRequired + 1:                   {"MEMBER_ID_REQUIRED", "the member has to join again with the member id it was given", false},
	ErrPreferredLeaderNotAvailable + 1:        {"PREFERRED_LEADER_NOT_AVAILABLE", "the preferred leader is not available", true},
	ErrGroupMaxSizeReached + 1:                {"GROUP_MAX_SIZE_REACHED", "the group is full", false},
	ErrFencedInstanceID + 1:                   {"FENCED_INSTANCE_ID", "another member took over the group instance id", false},
	ErrEligibleLeadersNotAvailable + 1:        {"ELIGIBLE_LEADERS_NOT_AVAILABLE", "no replica is eligible to lead the partition", true},
	ErrElectionNotNeeded + 1:                  {"ELECTION_NOT_NEEDED", "the partition needs no election", true},
	ErrNoReassignmentInProgress + 1:           {"NO_REASSIGNMENT_IN_PROGRESS", "the partition is not being reassigned", false},
	ErrGroupSubscribedToTopic + 1:             {"GROUP_SUBSCRIBED_TO_TOPIC", "the group is subscribed to the topic", false},
	ErrInvalidRecord + 1:                      {"INVALID_RECORD", "a record is invalid", false},
	ErrUnstableOffsetCommit + 1:               {"UNSTABLE_OFFSET_COMMIT", "offsets of an open transaction are pending", true},
	ErrThrottlingQuotaExceeded + 1:            {"THROTTLING_QUOTA_EXCEEDED", "the quota is exceeded", true},
	ErrProducerFenced + 1:                     {"PRODUCER_FENCED", "a newer producer uses the transactional id", false},
	ErrResourceNotFound + 1:                   {"RESOURCE_NOT_FOUND", "there is no such resource", false},
	ErrDuplicateResource + 1:                  {"DUPLICATE_RESOURCE", "the request names a resource twice", false},
	ErrUnacceptableCredential + 1:             {"UNACCEPTABLE_CREDENTIAL", "the credential is not acceptable", false},
	ErrInconsistentVoterSet + 1:               {"INCONSISTENT_VOTER_SET", "the voter set does not match", false},
	ErrInvalidUpdateVersion + 1:               {"INVALID_UPDATE_VERSION", "the version of the update is out of date", false},
	ErrFeatureUpdateFailed + 1:                {"FEATURE_UPDATE_FAILED", "the features could not be updated", false},
	ErrPrincipalDeserializationFailure + 1:    {"PRINCIPAL_DESERIALIZATION_FAILURE", "the forwarded principal could not be read", false},
	ErrSnapshotNotFound + 1:                   {"SNAPSHOT_NOT_FOUND", "there is no such snapshot", false},
	ErrPositionOutOfRange + 1:                 {"POSITION_OUT_OF_RANGE", "the position is outside of the snapshot", false},
	ErrUnknownTopicID + 1:                     {"UNKNOWN_TOPIC_ID", "this broker does not know the topic id", true},
	ErrDuplicateBrokerRegistration + 1:        {"DUPLICATE_BROKER_REGISTRATION", "the broker id is in use", false},
	ErrBrokerIDNotRegistered + 1:              {"BROKER_ID_NOT_REGISTERED", "the broker id is not registered", false},
	ErrInconsistentTopicID + 1:                {"INCONSISTENT_TOPIC_ID", "the topic id is not that of the log", true},
	ErrInconsistentClusterID + 1:              {"INCONSISTENT_CLUSTER_ID", "the cluster id does not match", false},
	ErrTransactionalIDNotFound + 1:            {"TRANSACTIONAL_ID_NOT_FOUND", "there is no such transactional id", false},
	ErrFetchSessionTopicID + 1:                {"FETCH_SESSION_TOPIC_ID_ERROR", "the fetch session mixes topic names and topic ids", true},
	ErrIneligibleReplica + 1:                  {"INELIGIBLE_REPLICA", "the new ISR holds a replica that is not eligible", false},
	ErrNewLeaderElected + 1:                   {"NEW_LEADER_ELECTED", "the ISR was changed, and a new leader elected", false},
	ErrOffsetMovedToTieredStorage + 1:         {"OFFSET_MOVED_TO_TIERED_STORAGE", "the offset is in tiered storage", false},
	ErrFencedMemberEpoch + 1:                  {"FENCED_MEMBER_EPOCH", "the member epoch is fenced", false},
	ErrUnreleasedInstanceID + 1:               {"UNRELEASED_INSTANCE_ID", "another member still uses the group instance id", false},
	ErrUnsupportedAssignor + 1:                {"UNSUPPORTED_ASSIGNOR", "the assignor is not supported", false},
	ErrStaleMemberEpoch + 1:                   {"STALE_MEMBER_EPOCH", "the member epoch is out of date", false},
	ErrMismatchedEndpointType + 1:             {"MISMATCHED_ENDPOINT_TYPE", "the request went to an endpoint of another type", false},
	ErrUnsupportedEndpointType + 1:            {"UNSUPPORTED_ENDPOINT_TYPE", "the endpoint type is not supported", false},
	ErrUnknownControllerID + 1:                {"UNKNOWN_CONTROLLER_ID", "the controller id is not known", false},
	ErrUnknownSubscriptionID + 1:              {"UNKNOWN_SUBSCRIPTION_ID", "the telemetry subscription is not known", false},
	ErrTelemetryTooLarge + 1:                  {"TELEMETRY_TOO_LARGE", "the telemetry is too large", false},
	ErrInvalidRegistration + 1:                {"INVALID_REGISTRATION", "the broker registration is invalid", false},
	ErrTransactionAbortable + 1:               {"TRANSACTION_ABORTABLE", "the transaction has to be aborted", false},
}
