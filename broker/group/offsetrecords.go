package group

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// StoredOffset is a committed offset with all that goes with it.
type StoredOffset struct {
	Offset          int64
	LeaderEpoch     meta.LeaderEpoch // of the record before the offset; -1: not told
	Metadata        string
	CommitTimestamp int64 // milliseconds
	ExpireTimestamp int64 // asked for by the client; -1: retention is the brokers'
}

// The records of committed offsets (OffsetCommitKey.json, OffsetCommitValue.json). Keys are written in version 1. Values in the
// version the fleet's protocol knows, which is config's; but an expiry of its own has room in version 1 alone.
const (
	offsetKeyVersion    = 1
	expiringVersion     = 1
	newestOffsetVersion = 4
)

func offsetKey(group string, tp meta.TopicPartition) []byte {
	k := kmsg.OffsetCommitKey{Version: offsetKeyVersion, Group: group, Topic: tp.Topic, Partition: tp.Partition}
	return k.AppendTo(nil)
}

func decodeOffsetKey(key []byte) (group string, tp meta.TopicPartition, err error) {
	var k kmsg.OffsetCommitKey
	if err := k.ReadFrom(key); err != nil {
		return "", tp, fmt.Errorf("offset key: %w", err)
	}
	return k.Group, meta.TopicPartition{Topic: k.Topic, Partition: k.Partition}, nil
}

func encodeOffset(o StoredOffset, version int16) []byte {
	v := kmsg.NewOffsetCommitValue()
	if v.Version = version; o.ExpireTimestamp >= 0 {
		v.Version = expiringVersion
	}
	v.Offset, v.LeaderEpoch, v.Metadata = o.Offset, int32(o.LeaderEpoch), o.Metadata
	v.CommitTimestamp, v.ExpireTimestamp = o.CommitTimestamp, o.ExpireTimestamp
	return v.AppendTo(nil)
}

func decodeOffset(value []byte) (StoredOffset, error) {
	if len(value) < 2 {
		return StoredOffset{}, errors.New("the record is empty")
	}
	if version := int16(binary.BigEndian.Uint16(value)); version < 0 || version > newestOffsetVersion {
		return StoredOffset{}, fmt.Errorf("unknown version %d", version)
	}
	v := kmsg.NewOffsetCommitValue()
	if err := v.ReadFrom(value); err != nil {
		return StoredOffset{}, err
	}
	o := StoredOffset{Offset: v.Offset, LeaderEpoch: meta.NoLeaderEpoch, Metadata: v.Metadata, CommitTimestamp: v.CommitTimestamp, ExpireTimestamp: -1}
	if v.Version >= 3 {
		o.LeaderEpoch = meta.LeaderEpoch(v.LeaderEpoch)
	}
	if v.Version == expiringVersion {
		o.ExpireTimestamp = v.ExpireTimestamp
	}
	return o, nil
}

// offsetRecord is the record of a committed offset.
func (t *offsetTable) record(group string, tp meta.TopicPartition, o StoredOffset) coord.Record {
	return coord.Record{Key: offsetKey(group, tp), Value: encodeOffset(o, t.c.RecordVersion), Timestamp: t.s.env.Now().UnixMilli()}
}

// offsetTombstone is the record that ends one.
func (t *offsetTable) offsetTombstone(group string, tp meta.TopicPartition) coord.Record {
	return coord.Record{Key: offsetKey(group, tp), Timestamp: t.s.env.Now().UnixMilli()}
}
