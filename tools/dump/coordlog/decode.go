package coordlog

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Highest versions known to Kafka 3.9. A record type is the version of its key: 0 and 1 are offset commits, 2 is group
// metadata (group-coordinator/.../CoordinatorRecordSerde.java).
const (
	maxOffsetKey         = 1
	groupKey             = 2
	maxOffsetValue       = 4
	maxGroupValue        = 4
	maxTransactionKey    = 0
	maxTransactionValue  = 1
	maxConsumerProtocol  = 3
	consumerProtocolType = "consumer"
)

var errNoVersion = errors.New("shorter than a version")

func version(b []byte) (int16, error) {
	if len(b) < 2 {
		return 0, errNoVersion
	}
	return int16(binary.BigEndian.Uint16(b)), nil
}

type reader interface{ ReadFrom([]byte) error }

func read[T any, P interface {
	*T
	reader
}](what string, b []byte) (T, error) {
	var v T
	if err := P(&v).ReadFrom(b); err != nil {
		return v, fmt.Errorf("read %s: %w", what, err)
	}
	return v, nil
}

func offsetKeyJSON(k kmsg.OffsetCommitKey) string {
	o := newObject()
	o.str("group", k.Group)
	o.str("topic", k.Topic)
	o.int("partition", int64(k.Partition))
	return o.done()
}

func offsetValueJSON(v kmsg.OffsetCommitValue) string {
	o := newObject()
	o.int("offset", v.Offset)
	if v.Version >= 3 {
		o.int("leaderEpoch", int64(v.LeaderEpoch))
	}
	o.str("metadata", v.Metadata)
	o.int("commitTimestamp", v.CommitTimestamp)
	if v.Version == 1 {
		o.int("expireTimestamp", v.ExpireTimestamp)
	}
	return o.done()
}

func groupKeyJSON(k kmsg.GroupMetadataKey) string {
	o := newObject()
	o.str("group", k.Group)
	return o.done()
}

// groupValueJSON prints subscription and assignment of members as base64, or decoded when members is set and the
// group speaks the consumer protocol.
func groupValueJSON(v kmsg.GroupMetadataValue, members bool) string {
	o := newObject()
	o.str("protocolType", v.ProtocolType)
	o.int("generation", int64(v.Generation))
	o.optional("protocol", v.Protocol)
	o.optional("leader", v.Leader)
	if v.Version >= 2 {
		o.int("currentStateTimestamp", v.CurrentStateTimestamp)
	}
	decode := members && v.ProtocolType == consumerProtocolType
	o.raw("members", array(len(v.Members), func(i int) string { return memberJSON(v.Version, v.Members[i], decode) }))
	return o.done()
}

func memberJSON(version int16, m kmsg.GroupMetadataValueMember, decode bool) string {
	o := newObject()
	o.str("memberId", m.MemberID)
	if version >= 3 {
		o.optional("groupInstanceId", m.InstanceID)
	}
	o.str("clientId", m.ClientID)
	o.str("clientHost", m.ClientHost)
	if version >= 1 {
		o.int("rebalanceTimeout", int64(m.RebalanceTimeoutMillis))
	}
	o.int("sessionTimeout", int64(m.SessionTimeoutMillis))
	if text, ok := subscriptionJSON(m.Subscription); decode && ok {
		o.raw("subscription", text)
	} else {
		o.bytes("subscription", m.Subscription)
	}
	if text, ok := assignmentJSON(m.Assignment); decode && ok {
		o.raw("assignment", text)
	} else {
		o.bytes("assignment", m.Assignment)
	}
	return o.done()
}

func subscriptionJSON(b []byte) (string, bool) {
	s, err := read[kmsg.ConsumerMemberMetadata]("subscription", b)
	if err != nil || s.Version < 0 || s.Version > maxConsumerProtocol {
		return "", false
	}
	o := newObject()
	o.raw("topics", array(len(s.Topics), func(i int) string { return quoted(s.Topics[i]) }))
	o.bytes("userData", s.UserData)
	if s.Version >= 1 {
		o.raw("ownedPartitions", array(len(s.OwnedPartitions), func(i int) string {
			return partitionsJSON(s.OwnedPartitions[i].Topic, "partitions", s.OwnedPartitions[i].Partitions)
		}))
	}
	if s.Version >= 2 {
		o.int("generationId", int64(s.Generation))
	}
	if s.Version >= 3 {
		o.optional("rackId", s.Rack)
	}
	return o.done(), true
}

func assignmentJSON(b []byte) (string, bool) {
	a, err := read[kmsg.ConsumerMemberAssignment]("assignment", b)
	if err != nil || a.Version < 0 || a.Version > maxConsumerProtocol {
		return "", false
	}
	o := newObject()
	o.raw("assignedPartitions", array(len(a.Topics), func(i int) string {
		return partitionsJSON(a.Topics[i].Topic, "partitions", a.Topics[i].Partitions)
	}))
	o.bytes("userData", a.UserData)
	return o.done(), true
}

func partitionsJSON(topic, name string, partitions []int32) string {
	o := newObject()
	o.str("topic", topic)
	o.raw(name, array(len(partitions), func(i int) string { return fmt.Sprint(partitions[i]) }))
	return o.done()
}

func transactionKeyJSON(k kmsg.TxnMetadataKey) string {
	o := newObject()
	o.str("transactionalId", k.TransactionalID)
	return o.done()
}

func transactionValueJSON(v kmsg.TxnMetadataValue) string {
	o := newObject()
	o.int("producerId", v.ProducerID)
	o.int("producerEpoch", int64(v.ProducerEpoch))
	o.int("transactionTimeoutMs", int64(v.TimeoutMillis))
	o.int("transactionStatus", int64(v.State))
	if v.Topics == nil {
		o.raw("transactionPartitions", "null")
	} else {
		o.raw("transactionPartitions", array(len(v.Topics), func(i int) string {
			return partitionsJSON(v.Topics[i].Topic, "partitionIds", v.Topics[i].Partitions)
		}))
	}
	o.int("transactionLastUpdateTimestampMs", v.LastUpdateTimestamp)
	o.int("transactionStartTimestampMs", v.StartTimestamp)
	return o.done()
}

// stateName is the name of a transaction's state as the broker's log and the tools print it
// (core/.../coordinator/transaction/TransactionMetadata.scala).
func stateName(s kmsg.TransactionState) (string, error) {
	names := [...]string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead",
		"PrepareEpochFence"}
	if s < 0 || int(s) >= len(names) {
		return "", fmt.Errorf("unknown transaction state %d", s)
	}
	return names[s], nil
}
