package coordlog

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/tools/javatext"
)

// LegacyOffsets is the legacy dialect of an offset commit (kafka.coordinator.group.GroupMetadataManager's
// OffsetsMessageFormatter); ok is false for other records.
func LegacyOffsets(key, value []byte) (text string, ok bool, err error) {
	if key == nil {
		return "", false, nil
	}
	v, err := version(key)
	if err != nil {
		return "", false, fmt.Errorf("read key: %w", err)
	}
	if v < 0 || v > maxOffsetKey {
		return "", false, nil
	}
	k, err := read[kmsg.OffsetCommitKey]("key", key)
	if err != nil {
		return "", false, err
	}
	name := fmt.Sprintf("[%s,%s,%d]::", k.Group, k.Topic, k.Partition)
	if value == nil {
		return name + "NULL", true, nil
	}
	if v, err = version(value); err != nil || v < 0 || v > maxOffsetValue {
		return "", false, fmt.Errorf("unknown version %d of an offset's value", v)
	}
	o, err := read[kmsg.OffsetCommitValue]("value", value)
	if err != nil {
		return "", false, err
	}
	epoch, expire := "Optional.empty", "None"
	if o.Version >= 3 && o.LeaderEpoch != -1 {
		epoch = fmt.Sprintf("Optional[%d]", o.LeaderEpoch)
	}
	if o.Version == 1 && o.ExpireTimestamp != -1 {
		expire = fmt.Sprintf("Some(%d)", o.ExpireTimestamp)
	}
	return fmt.Sprintf("%sOffsetAndMetadata(offset=%d, leaderEpoch=%s, metadata=%s, commitTimestamp=%d, expireTimestamp=%s)",
		name, o.Offset, epoch, o.Metadata, o.CommitTimestamp, expire), true, nil
}

// LegacyGroupMetadata is the legacy dialect of a group's metadata.
func LegacyGroupMetadata(key, value []byte) (text string, ok bool, err error) {
	if key == nil {
		return "", false, nil
	}
	v, err := version(key)
	if err != nil {
		return "", false, fmt.Errorf("read key: %w", err)
	}
	if v != groupKey {
		return "", false, nil
	}
	k, err := read[kmsg.GroupMetadataKey]("key", key)
	if err != nil {
		return "", false, err
	}
	if value == nil {
		return k.Group + "::NULL", true, nil
	}
	if v, err = version(value); err != nil || v < 0 || v > maxGroupValue {
		return "", false, fmt.Errorf("unknown version %d of a group's value", v)
	}
	g, err := read[kmsg.GroupMetadataValue]("value", value)
	if err != nil {
		return "", false, err
	}
	state := "Stable"
	if len(g.Members) == 0 {
		state = "Empty"
	}
	return fmt.Sprintf("%s::GroupMetadata(groupId=%s, generation=%d, protocolType=%s, currentState=%s, members=HashMap(%s))",
		k.Group, k.Group, g.Generation, some(&g.ProtocolType), state, strings.Join(legacyMembers(g), ", ")), true, nil
}

func legacyMembers(g kmsg.GroupMetadataValue) []string {
	protocol := "null"
	if g.Protocol != nil {
		protocol = *g.Protocol
	}
	var table javatext.HashTable[string]
	for _, m := range g.Members {
		rebalance := m.RebalanceTimeoutMillis
		if g.Version == 0 {
			rebalance = m.SessionTimeoutMillis
		}
		table.Add(javatext.StringHash(m.MemberID), fmt.Sprintf("%s -> MemberMetadata(memberId=%s, groupInstanceId=%s, clientId=%s, clientHost=%s, "+
			"sessionTimeoutMs=%d, rebalanceTimeoutMs=%d, supportedProtocols=List(%s))",
			m.MemberID, m.MemberID, some(m.InstanceID), m.ClientID, m.ClientHost, m.SessionTimeoutMillis, rebalance, protocol))
	}
	return table.All()
}

// LegacyTransactions is the legacy dialect of a record of __transaction_state
// (kafka.coordinator.transaction.TransactionLog's TransactionLogMessageFormatter).
func LegacyTransactions(key, value []byte) (text string, ok bool, err error) {
	if key == nil {
		return "", false, nil
	}
	v, err := version(key)
	if err != nil {
		return "", false, fmt.Errorf("read key: %w", err)
	}
	if v < 0 || v > maxTransactionKey {
		return fmt.Sprintf("unknown::version=%d", v), true, nil
	}
	k, err := read[kmsg.TxnMetadataKey]("key", key)
	if err != nil {
		return "", false, err
	}
	if value == nil {
		return k.TransactionalID + "::NULL", true, nil
	}
	t, err := transactionValue(value)
	if err != nil {
		return "", false, err
	}
	state, err := stateName(t.State)
	if err != nil {
		return "", false, err
	}
	return fmt.Sprintf("%s::TransactionMetadata(transactionalId=%s, producerId=%d, producerEpoch=%d, txnTimeoutMs=%d, "+
		"state=%s, pendingState=None, topicPartitions=HashSet(%s), txnStartTimestamp=%d, txnLastUpdateTimestamp=%d)",
		k.TransactionalID, k.TransactionalID, t.ProducerID, t.ProducerEpoch, t.TimeoutMillis, state,
		strings.Join(partitionsOf(t), ", "), t.StartTimestamp, t.LastUpdateTimestamp), true, nil
}

func some(s *string) string {
	if s == nil {
		return "None"
	}
	return "Some(" + *s + ")"
}
