package dump

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/kraal-mq/kraal/broker/record"
)

// records prints the records of a batch. previous and the result are the offset of the last record seen, -1 at first.
func (d *dumper) records(path string, b record.Batch, previous int64) (last int64, err error) {
	last = previous
	for r, err := range b.Records(d.dec) {
		if err != nil {
			return last, err
		}
		if last != -1 && r.Offset != last+1 {
			d.findings.gaps.add(absolute(path), last, r.Offset)
		}
		last = r.Offset
		if err := d.record(b, r); err != nil {
			return last, err
		}
	}
	return last, nil
}

func (d *dumper) record(b record.Batch, r record.Record) error {
	defer d.out.WriteByte('\n')
	prefix := "| "
	if !d.skipMetadata {
		fmt.Fprintf(d.out, "%soffset: %d %s: %d keySize: %d valueSize: %d", prefix, r.Offset, b.TimestampType(), r.Timestamp,
			size(r.Key), size(r.Value))
		prefix = " "
		if b.Magic() >= record.Magic2 {
			d.sequenceAndHeaders(b, r)
		} else {
			d.checksum(b, r)
		}
		if b.IsControl() {
			if err := d.control(r); err != nil {
				return err
			}
		}
	}
	if !d.print || b.IsControl() {
		return nil
	}
	key, value, hasKey, hasValue, err := d.decode(r.Offset, r.Key, r.Value)
	if err != nil {
		return err
	}
	if hasKey {
		fmt.Fprintf(d.out, "%skey: %s", prefix, key)
	}
	if hasValue {
		fmt.Fprintf(d.out, " payload: %s", value)
	}
	return nil
}

func (d *dumper) sequenceAndHeaders(b record.Batch, r record.Record) {
	sequence := record.NoSequence
	if b.BaseSequence() != record.NoSequence {
		sequence = record.AddSequence(b.BaseSequence(), r.OffsetDelta)
	}
	fmt.Fprintf(d.out, " sequence: %d headerKeys: [", sequence)
	comma := ""
	for key := range r.Headers.All() {
		d.out.WriteString(comma)
		d.out.Write(key)
		comma = ","
	}
	d.out.WriteByte(']')
}

// checksum prints the checksum of a message of format 0 or 1. That of an inner message is computed from its fields, so it
// is not the stored one if the leader has set the timestamp of a wrapper and left the inner ones alone.
func (d *dumper) checksum(b record.Batch, r record.Record) {
	if b.Codec() == record.None {
		fmt.Fprintf(d.out, " isValid: %t crc: %d", b.CheckCRC() == nil, b.CRC())
		return
	}
	fmt.Fprintf(d.out, " isValid: true crc: %d", legacyChecksum(b.Magic(), r))
}

func legacyChecksum(magic int8, r record.Record) uint32 {
	m := []byte{byte(magic), byte(r.Attributes)}
	if magic >= record.Magic1 {
		m = binary.BigEndian.AppendUint64(m, uint64(r.Timestamp))
	}
	for _, field := range [][]byte{r.Key, r.Value} {
		m = binary.BigEndian.AppendUint32(m, uint32(size(field)))
		m = append(m, field...)
	}
	return crc32.ChecksumIEEE(m)
}

func (d *dumper) control(r record.Record) error {
	kind, err := record.ParseControlType(r.Key)
	if err != nil {
		return err
	}
	if kind == record.ControlUnknown {
		id := binary.BigEndian.Uint16(r.Key[2:]) // ParseControlType has seen four bytes
		fmt.Fprintf(d.out, " controlType: %s(%d)", kind, int16(id))
		return nil
	}
	marker, err := record.ParseEndTxnMarker(r.Key, r.Value)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, " endTxnMarker: %s coordinatorEpoch: %d", marker.Type, marker.CoordinatorEpoch)
	return nil
}

func (d *dumper) largestTimestamp(b record.Batch) (int64, error) {
	largest := record.NoTimestamp
	for r, err := range b.Records(d.dec) {
		if err != nil {
			return 0, err
		}
		largest = max(largest, r.Timestamp)
	}
	return largest, nil
}

func size(field []byte) int {
	if field == nil {
		return -1
	}
	return len(field)
}
