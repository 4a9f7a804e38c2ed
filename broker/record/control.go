package record

import (
	"encoding/binary"
	"fmt"
)

// ControlType is what a control record says, from its key:
// version int16, type int16 (ControlRecordType.java).
type ControlType int16

// The control records of a broker in ZooKeeper mode. Others are unknown to it,
// and readers pass over them.
const (
	ControlAbort   ControlType = 0
	ControlCommit  ControlType = 1
	ControlUnknown ControlType = -1
)

// String gives Kafka's name.
func (t ControlType) String() string {
	switch t {
	case ControlAbort:
		return "ABORT"
	case ControlCommit:
		return "COMMIT"
	}
	return "UNKNOWN"
}

const (
	controlKeySize = 4
	endTxnSize     = 6 // version int16, coordinator epoch int32 (EndTransactionMarker.java)
)

// ParseControlType reads the key of a control record. Versions above 0 are
// read as version 0.
func ParseControlType(key []byte) (ControlType, error) {
	if len(key) < controlKeySize {
		return ControlUnknown, invalidf("control record key of %d bytes", len(key))
	}
	if version := int16(binary.BigEndian.Uint16(key)); version < 0 {
		return ControlUnknown, invalidf("control record key version %d", version)
	}
	switch t := ControlType(binary.BigEndian.Uint16(key[2:])); t {
	case ControlAbort, ControlCommit:
		return t, nil
	}
	return ControlUnknown, nil
}

// EndTxnMarker ends a transaction in one partition.
type EndTxnMarker struct {
	Type             ControlType // ControlCommit or ControlAbort
	CoordinatorEpoch int32
}

// ParseEndTxnMarker reads key and value of a commit or abort record.
func ParseEndTxnMarker(key, value []byte) (EndTxnMarker, error) {
	t, err := ParseControlType(key)
	if err != nil {
		return EndTxnMarker{}, err
	}
	if t == ControlUnknown {
		return EndTxnMarker{}, invalidf("control record does not end a transaction")
	}
	if len(value) < endTxnSize {
		return EndTxnMarker{}, invalidf("transaction marker of %d bytes", len(value))
	}
	if version := int16(binary.BigEndian.Uint16(value)); version < 0 {
		return EndTxnMarker{}, invalidf("transaction marker version %d", version)
	}
	return EndTxnMarker{Type: t, CoordinatorEpoch: int32(binary.BigEndian.Uint32(value[2:]))}, nil
}

// EndTxn reads the marker out of a control batch that is one; ok is false for
// control batches with something else in them.
func (b Batch) EndTxn() (m EndTxnMarker, ok bool, err error) {
	for rec, err := range b.Records(nil) {
		if err != nil {
			return EndTxnMarker{}, false, err
		}
		if t, err := ParseControlType(rec.Key); err != nil || t == ControlUnknown {
			return EndTxnMarker{}, false, err
		}
		m, err := ParseEndTxnMarker(rec.Key, rec.Value)
		return m, err == nil, err
	}
	return EndTxnMarker{}, false, nil // emptied by compaction
}

// AppendEndTxn appends the batch that holds a marker. Offset and leader epoch
// are for the log to set.
func AppendEndTxn(dst []byte, m EndTxnMarker, producerID int64, producerEpoch int16, timestamp int64) ([]byte, error) {
	if m.Type != ControlAbort && m.Type != ControlCommit {
		return dst, fmt.Errorf("record: a transaction cannot end with %s", m.Type)
	}
	key := binary.BigEndian.AppendUint16(make([]byte, 2, controlKeySize), uint16(m.Type))
	value := binary.BigEndian.AppendUint32(make([]byte, 2, endTxnSize), uint32(m.CoordinatorEpoch))
	var b Builder
	b.Reset(dst, BuilderOptions{
		PartitionLeaderEpoch: NoLeaderEpoch,
		Producer:             &ProducerInfo{ID: producerID, Epoch: producerEpoch, BaseSequence: NoSequence},
		Transactional:        true,
		Control:              true,
	})
	b.Append(timestamp, key, value)
	if _, err := b.Build(); err != nil {
		return dst, err
	}
	return b.Buffer(), nil
}
