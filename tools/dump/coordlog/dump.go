package coordlog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/tools/javatext"
)

const tombstone = "<DELETE>"

// DumpOffsets is the dump dialect of a record of __consumer_offsets. hasValue is false when nothing is to be printed for
// the value, which a record that cannot be read has.
func DumpOffsets(offset int64, key, value []byte) (k, v string, hasValue bool) {
	skip := func(why any) (string, string, bool) {
		return fmt.Sprintf("Error at offset %d, skipping. %s", offset, why), "", false
	}
	recordType, err := version(key)
	if err != nil {
		return skip("Could not read version from key's buffer.")
	}
	var keyText string
	switch {
	case recordType >= 0 && recordType <= maxOffsetKey:
		var ok kmsg.OffsetCommitKey
		if ok, err = read[kmsg.OffsetCommitKey]("key", key); err != nil {
			return skip(err)
		}
		keyText = offsetKeyJSON(ok)
	case recordType == groupKey:
		var gk kmsg.GroupMetadataKey
		if gk, err = read[kmsg.GroupMetadataKey]("key", key); err != nil {
			return skip(err)
		}
		keyText = groupKeyJSON(gk)
	default:
		return fmt.Sprintf("Unknown record type %d at offset %d, skipping.", recordType, offset), "", false
	}
	o := newObject()
	o.str("type", fmt.Sprint(recordType))
	o.raw("data", keyText)
	k = o.done()
	if value == nil {
		return k, tombstone, true
	}

	valueVersion, err := version(value)
	if err != nil {
		return skip("Could not read version from value's buffer.")
	}
	var valueText string
	if recordType == groupKey {
		if valueVersion < 0 || valueVersion > maxGroupValue {
			return skip(unsupported(valueVersion))
		}
		gv, err := read[kmsg.GroupMetadataValue]("value", value)
		if err != nil {
			return skip(err)
		}
		valueText = groupValueJSON(gv, true)
	} else {
		if valueVersion < 0 || valueVersion > maxOffsetValue {
			return skip(unsupported(valueVersion))
		}
		ov, err := read[kmsg.OffsetCommitValue]("value", value)
		if err != nil {
			return skip(err)
		}
		valueText = offsetValueJSON(ov)
	}
	o = newObject()
	o.str("version", fmt.Sprint(valueVersion))
	o.raw("data", valueText)
	return k, o.done(), true
}

func unsupported(version int16) string {
	return fmt.Sprintf("Could not read record with version %d from value's buffer: unsupported.", version)
}

// DumpTransactions is the dump dialect of a record of __transaction_state.
func DumpTransactions(key, value []byte) (k, v string, hasValue bool, err error) {
	keyVersion, err := version(key)
	if err != nil {
		return "", "", false, fmt.Errorf("read key: %w", err)
	}
	if keyVersion < 0 || keyVersion > maxTransactionKey {
		return fmt.Sprintf("unknown::version=%d", keyVersion), "", false, nil
	}
	tk, err := read[kmsg.TxnMetadataKey]("key", key)
	if err != nil {
		return "", "", false, err
	}
	k = "transaction_metadata::transactionalId=" + tk.TransactionalID
	if value == nil {
		return k, tombstone, true, nil
	}
	tv, err := transactionValue(value)
	if err != nil {
		return "", "", false, err
	}
	state, err := stateName(tv.State)
	if err != nil {
		return "", "", false, err
	}
	v = fmt.Sprintf("producerId:%d,producerEpoch:%d,state=%s,partitions=[%s],txnLastUpdateTimestamp=%d,txnTimeoutMs=%d",
		tv.ProducerID, tv.ProducerEpoch, state, strings.Join(partitionsOf(tv), ","), tv.LastUpdateTimestamp, tv.TimeoutMillis)
	return k, v, true, nil
}

func transactionValue(value []byte) (kmsg.TxnMetadataValue, error) {
	v, err := version(value)
	if err != nil {
		return kmsg.TxnMetadataValue{}, fmt.Errorf("read value: %w", err)
	}
	if v < 0 || v > maxTransactionValue {
		return kmsg.TxnMetadataValue{}, fmt.Errorf("unknown version %d of a transaction's value", v)
	}
	return read[kmsg.TxnMetadataValue]("value", value)
}

// partitionsOf lists the partitions of a transaction in the order of the set they are kept in; an empty transaction has
// none whatever the record says, as in Kafka.
func partitionsOf(v kmsg.TxnMetadataValue) []string {
	if v.State == 0 {
		return nil
	}
	var set javatext.HashTable[string]
	for _, t := range v.Topics {
		partitions := slices.Clone(t.Partitions)
		slices.Sort(partitions)
		partitions = slices.Compact(partitions)
		set.Reserve(len(partitions))
		for _, p := range partitions {
			set.Add(31*(31+p)+javatext.StringHash(t.Topic), fmt.Sprintf("%s-%d", t.Topic, p))
		}
	}
	return set.All()
}
