package coordlog

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// unknown stands for a key or value of a version this package does not know (KAFKA-15853 and
// tools/.../consumer/ApiMessageFormatter.java).
const unknown = `"unknown"`

// FormatOffsets is the formatter dialect of an offset commit; ok is false for records that the formatter leaves out.
func FormatOffsets(key, value []byte) (text string, ok bool, err error) {
	return format(key, value,
		func(v int16) (string, bool, error) {
			switch {
			case v >= 0 && v <= maxOffsetKey:
				k, err := read[kmsg.OffsetCommitKey]("key", key)
				return offsetKeyJSON(k), true, err
			case v == groupKey:
				return "", false, nil
			}
			return unknown, true, nil
		},
		func(v int16) (string, error) {
			if v < 0 || v > maxOffsetValue {
				return unknown, nil
			}
			value, err := read[kmsg.OffsetCommitValue]("value", value)
			return offsetValueJSON(value), err
		})
}

// FormatGroupMetadata is the formatter dialect of a group's metadata.
func FormatGroupMetadata(key, value []byte) (text string, ok bool, err error) {
	return format(key, value,
		func(v int16) (string, bool, error) {
			switch {
			case v >= 0 && v <= maxOffsetKey:
				return "", false, nil
			case v == groupKey:
				k, err := read[kmsg.GroupMetadataKey]("key", key)
				return groupKeyJSON(k), true, err
			}
			return unknown, true, nil
		},
		func(v int16) (string, error) {
			if v < 0 || v > maxGroupValue {
				return unknown, nil
			}
			value, err := read[kmsg.GroupMetadataValue]("value", value)
			return groupValueJSON(value, false), err
		})
}

// FormatTransactions is the formatter dialect of a record of __transaction_state.
func FormatTransactions(key, value []byte) (text string, ok bool, err error) {
	return format(key, value,
		func(v int16) (string, bool, error) {
			if v < 0 || v > maxTransactionKey {
				return unknown, true, nil
			}
			k, err := read[kmsg.TxnMetadataKey]("key", key)
			return transactionKeyJSON(k), true, err
		},
		func(v int16) (string, error) {
			if v < 0 || v > maxTransactionValue {
				return unknown, nil
			}
			value, err := read[kmsg.TxnMetadataValue]("value", value)
			return transactionValueJSON(value), err
		})
}

func format(key, value []byte, keyText func(int16) (string, bool, error), valueText func(int16) (string, error)) (string, bool, error) {
	o := newObject()
	if key == nil {
		o.raw("key", "null")
	} else {
		v, err := version(key)
		if err != nil {
			return "", false, fmt.Errorf("read key: %w", err)
		}
		data, ok, err := keyText(v)
		if err != nil || !ok {
			return "", false, err
		}
		o.raw("key", versioned(v, data))
	}
	if value == nil {
		o.raw("value", "null")
	} else {
		v, err := version(value)
		if err != nil {
			return "", false, fmt.Errorf("read value: %w", err)
		}
		data, err := valueText(v)
		if err != nil {
			return "", false, err
		}
		o.raw("value", versioned(v, data))
	}
	return o.done(), true, nil
}

func versioned(v int16, data string) string {
	o := newObject()
	o.int("version", int64(v))
	o.raw("data", data)
	return o.done()
}
