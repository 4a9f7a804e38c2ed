package replica

import (
	"errors"
	"fmt"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Why a request for a partition was refused. The errors returned carry more words; test with errors.Is and errors.As.
var (
	// ErrUnknownPartition: no such partition is known here.
	ErrUnknownPartition = errors.New("unknown topic or partition")
	// ErrNotLeader: this broker does not lead the partition, or does not hold it at all; see [LeaderError].
	ErrNotLeader = errors.New("not leader or follower")
	// ErrFencedLeaderEpoch: the sender's leader epoch is older than the one here; see [LeaderError].
	ErrFencedLeaderEpoch = errors.New("fenced leader epoch")
	// ErrUnknownLeaderEpoch: the sender's leader epoch is newer than the one here, which has not heard of it yet.
	ErrUnknownLeaderEpoch = errors.New("unknown leader epoch")
	// ErrStaleLeaderEpoch: a control request that does not raise the partition's leader epoch.
	ErrStaleLeaderEpoch = errors.New("leader epoch is not newer")
	// ErrInconsistentTopicID: the sender means another topic of the same name.
	ErrInconsistentTopicID = errors.New("inconsistent topic id")
	// ErrNotEnoughReplicas: the ISR is smaller than min.insync.replicas; nothing was appended.
	ErrNotEnoughReplicas = errors.New("not enough in-sync replicas")
	// ErrNotEnoughReplicasAfterAppend: the ISR shrank below min.insync.replicas after the append.
	ErrNotEnoughReplicasAfterAppend = errors.New("not enough in-sync replicas after the append")
	// ErrTimedOut: the replicas did not acknowledge in time. The records stay in the log.
	ErrTimedOut = errors.New("request timed out")
	// ErrOffsetNotAvailable: a new leader does not know yet what is committed.
	ErrOffsetNotAvailable = errors.New("offset not available")
	// ErrPolicyViolation: the topic's configuration does not allow it.
	ErrPolicyViolation = errors.New("policy violation")
	// ErrInternalTopic: clients may not do this to internal topics.
	ErrInternalTopic = errors.New("internal topic")
	// ErrStaleController: a control request from a controller that was deposed.
	ErrStaleController = errors.New("stale controller epoch")
	// ErrStaleBrokerEpoch: a control request meant for an earlier life of this broker.
	ErrStaleBrokerEpoch = errors.New("stale broker epoch")
	// ErrUnsupportedTimestamp: a special timestamp the request's version does not know.
	ErrUnsupportedTimestamp = errors.New("unsupported timestamp")
)

// LeaderError refuses a request and says who leads, as far as this replica knows, so that clients need not ask (KIP-951).
type LeaderError struct {
	Err         error // ErrNotLeader or ErrFencedLeaderEpoch
	Partition   meta.TopicPartition
	Leader      meta.BrokerID
	LeaderEpoch meta.LeaderEpoch
}

func (e *LeaderError) Error() string {
	return fmt.Sprintf("%s: %v (leader %d, epoch %d)", e.Partition, e.Err, e.Leader, e.LeaderEpoch)
}

func (e *LeaderError) Unwrap() error { return e.Err }
