package txn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Records of __transaction_state: key version 0, value version 0, as Kafka writes it as long as the feature transaction.version
// is 0, which it always is in ZooKeeper mode (TransactionLogKey.json, TransactionLogValue.json). Value version 1 is read: its
// tags, about KIP-890's second part, are nothing to a coordinator that does not do that.

const (
	keyVersion      = 0
	maxValueVersion = 1
)

// errUnknownRecord marks records of a kind that this version knows nothing of. Kafka passes over them.
var errUnknownRecord = errors.New("record of an unknown version")

func encodeKey(id string) []byte {
	key := kmsg.NewTxnMetadataKey()
	key.Version, key.TransactionalID = keyVersion, id
	return key.AppendTo(nil)
}

// record is what the log says of a transactional id in a status.
func (s *status) record(id string) coord.Record {
	v := kmsg.NewTxnMetadataValue()
	v.ProducerID, v.ProducerEpoch, v.TimeoutMillis, v.State = s.producerID, s.producerEpoch, s.timeoutMs, kmsg.TransactionState(s.state)
	v.LastUpdateTimestamp, v.StartTimestamp = s.updatedMs, s.startMs
	if s.state != Empty {
		v.Topics = s.partitions.topics()
	}
	return coord.Record{Key: encodeKey(id), Value: v.AppendTo(nil), Timestamp: s.updatedMs}
}

// topics are the partitions by topic, sorted.
func (s partitionSet) topics() []kmsg.TxnMetadataValueTopic {
	topics := []kmsg.TxnMetadataValueTopic{} // empty is not the same as null
	for _, tp := range s.sorted() {
		if n := len(topics); n == 0 || topics[n-1].Topic != tp.Topic {
			t := kmsg.NewTxnMetadataValueTopic()
			t.Topic = tp.Topic
			topics = append(topics, t)
		}
		last := &topics[len(topics)-1]
		last.Partitions = append(last.Partitions, tp.Partition)
	}
	return topics
}

func (s partitionSet) sorted() []meta.TopicPartition {
	tps := make([]meta.TopicPartition, 0, len(s))
	for tp := range s {
		tps = append(tps, tp)
	}
	slices.SortFunc(tps, meta.TopicPartition.Compare)
	return tps
}

func decodeKey(b []byte) (id string, err error) {
	if v, err := version(b); err != nil || v != keyVersion {
		return "", fmt.Errorf("key: %w", errors.Join(errUnknownRecord, err))
	}
	var key kmsg.TxnMetadataKey
	if err := key.ReadFrom(b); err != nil {
		return "", fmt.Errorf("key: %w", err)
	}
	return key.TransactionalID, nil
}

func decodeValue(b []byte) (status, error) {
	if v, err := version(b); err != nil || v > maxValueVersion {
		return status{}, fmt.Errorf("value: %w", errors.Join(errUnknownRecord, err))
	}
	var v kmsg.TxnMetadataValue
	if err := v.ReadFrom(b); err != nil {
		return status{}, fmt.Errorf("value: %w", err)
	}
	s := status{state: State(v.State), producerID: v.ProducerID, producerEpoch: v.ProducerEpoch, timeoutMs: v.TimeoutMillis,
		startMs: v.StartTimestamp, updatedMs: v.LastUpdateTimestamp, lastProducerID: noProducerID, lastProducerEpoch: noProducerEpoch}
	if s.state < Empty || s.state > CompleteAbort {
		return status{}, fmt.Errorf("value: state %s is never written", s.state)
	}
	if len(v.Topics) > 0 {
		s.partitions = partitionSet{}
	}
	for _, t := range v.Topics {
		for _, p := range t.Partitions {
			s.partitions[meta.TopicPartition{Topic: t.Topic, Partition: p}] = struct{}{}
		}
	}
	return s, nil
}

func version(b []byte) (int16, error) {
	if len(b) < 2 {
		return 0, fmt.Errorf("%d bytes", len(b))
	}
	return int16(binary.BigEndian.Uint16(b)), nil
}
