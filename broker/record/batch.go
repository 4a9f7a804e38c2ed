package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"math"
)

// Sizes of the parts of an entry that every format shares, and of the v2 header.
const (
	// LogOverhead is the offset and the length field in front of every entry.
	LogOverhead = 12
	// PrefixSize is how many bytes tell the size and the magic of an entry.
	PrefixSize = 17
	// HeaderSize is the v2 batch header, LogOverhead included.
	HeaderSize = 61

	// The smallest length fields (bytes after LogOverhead) of formats 0 and 1.
	minLength0 = 14
	minLength1 = 22
)

// Message format versions.
const (
	Magic0 int8 = 0
	Magic1 int8 = 1
	Magic2 int8 = 2
)

// "None" values of header fields, as Kafka writes them.
const (
	NoTimestamp     int64 = -1
	NoProducerID    int64 = -1
	NoProducerEpoch int16 = -1
	NoSequence      int32 = -1
	NoLeaderEpoch   int32 = -1
	// UnknownCount is the Count of a compressed legacy entry: only
	// decompression tells it.
	UnknownCount int32 = -1
)

// Positions of fields. The first four are common to all formats.
const (
	posOffset      = 0
	posLength      = 8
	posLeaderEpoch = 12 // v2; formats 0 and 1 have their CRC here
	posMagic       = 16

	posCRC             = 17
	posAttributes      = 21 // the v2 CRC covers everything from here on
	posLastOffsetDelta = 23
	posBaseTimestamp   = 27
	posMaxTimestamp    = 35
	posProducerID      = 43
	posProducerEpoch   = 51
	posBaseSequence    = 53
	posCount           = 57

	posLegacyCRC        = 12
	posLegacyAttributes = 17
	posLegacyTimestamp  = 18 // magic 1
)

// Bits of the attributes. Only the low byte is in use; formats 0 and 1 share
// the codec and, magic 1, the timestamp type.
const (
	attrCodec         = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
	attrDeleteHorizon = 0x40
)

// TimestampType says who set the timestamps of a batch.
type TimestampType int8

// The timestamp types. NoTimestampType is that of magic 0.
const (
	NoTimestampType TimestampType = -1
	CreateTime      TimestampType = 0
	LogAppendTime   TimestampType = 1
)

// String gives Kafka's name for the type.
func (t TimestampType) String() string {
	switch t {
	case CreateTime:
		return "CreateTime"
	case LogAppendTime:
		return "LogAppendTime"
	}
	return "NoTimestampType"
}

var (
	// ErrTruncated means the buffer ends before the entry does: a torn tail
	// of a file, or the cut end of a fetch response.
	ErrTruncated = errors.New("record: truncated")
	// ErrCorrupt means the bytes are not what was written: impossible sizes,
	// an unknown magic, a wrong checksum.
	ErrCorrupt = errors.New("record: corrupt")
)

// castagnoli selects the hardware instruction on amd64 and arm64.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A Batch is exactly one entry of a log, in place: a v2 batch, or one message
// (possibly a compressed wrapper) of format 0 or 1. Invariant, established by
// Next and View: len == LogOverhead + length field, magic is 0..2, and the
// fixed header of that magic is all there, so no getter can panic.
//
// Getters of fields that a legacy entry does not have give the "none" value.
type Batch []byte

// Next takes the first entry off buf. At the end it returns io.EOF; when fewer
// bytes are left than the entry needs, ErrTruncated, and rest is all of buf;
// when the bytes cannot be an entry, ErrCorrupt. The checksum is not looked at.
func Next(buf []byte) (b Batch, rest []byte, err error) {
	if len(buf) == 0 {
		return nil, nil, io.EOF
	}
	size, err := entrySize(buf)
	if err != nil {
		return nil, buf, err
	}
	if len(buf) < size {
		return nil, buf, ErrTruncated
	}
	return Batch(buf[:size:size]), buf[size:], nil
}

// View takes buf, which must be one whole entry and nothing else, as a Batch.
func View(buf []byte) (Batch, error) {
	b, rest, err := Next(buf)
	switch {
	case err == io.EOF:
		return nil, ErrTruncated
	case err != nil:
		return nil, err
	case len(rest) > 0:
		return nil, fmt.Errorf("%w: %d bytes after the batch", ErrCorrupt, len(rest))
	}
	return b, nil
}

// Batches goes over the entries of buf and ends silently at its end. Anything
// else that stops it is given once, as the error of a nil Batch.
func Batches(buf []byte) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		for {
			b, rest, err := Next(buf)
			if err == io.EOF {
				return
			}
			if !yield(b, err) || err != nil {
				return
			}
			buf = rest
		}
	}
}

// entrySize checks the prefix and gives the whole size of the entry.
func entrySize(buf []byte) (int, error) {
	if len(buf) < LogOverhead {
		return 0, ErrTruncated
	}
	length := int32(binary.BigEndian.Uint32(buf[posLength:]))
	if length < minLength0 {
		return 0, fmt.Errorf("%w: length %d is below the smallest message", ErrCorrupt, length)
	}
	if len(buf) < PrefixSize {
		return 0, ErrTruncated
	}
	size := LogOverhead + int(length)
	switch magic := int8(buf[posMagic]); magic {
	case Magic2:
		if size < HeaderSize {
			return 0, fmt.Errorf("%w: batch of %d bytes is smaller than its header", ErrCorrupt, size)
		}
	case Magic1:
		if length < minLength1 {
			return 0, fmt.Errorf("%w: message of length %d is too small for magic 1", ErrCorrupt, length)
		}
	case Magic0:
	default:
		return 0, fmt.Errorf("%w: magic %d", ErrCorrupt, magic)
	}
	return size, nil
}

// Size is the number of bytes of the whole entry.
func (b Batch) Size() int { return len(b) }

// Length is the length field: Size without LogOverhead.
func (b Batch) Length() int32 { return int32(binary.BigEndian.Uint32(b[posLength:])) }

// Magic is the message format version.
func (b Batch) Magic() int8 { return int8(b[posMagic]) }

// BaseOffset is the offset field: of v2 the first offset of the batch. Of a
// legacy entry it is the offset of the last inner message, see FirstOffset.
func (b Batch) BaseOffset() int64 { return int64(binary.BigEndian.Uint64(b[posOffset:])) }

// LastOffset is the offset of the last record, also when compaction has since
// removed that record.
func (b Batch) LastOffset() int64 { return b.BaseOffset() + int64(b.LastOffsetDelta()) }

// NextOffset is the first offset after the batch.
func (b Batch) NextOffset() int64 { return b.LastOffset() + 1 }

// PartitionLeaderEpoch is the epoch of the leader that appended the batch.
func (b Batch) PartitionLeaderEpoch() int32 {
	if b.Magic() < Magic2 {
		return NoLeaderEpoch
	}
	return int32(binary.BigEndian.Uint32(b[posLeaderEpoch:]))
}

// CRC is the checksum field.
func (b Batch) CRC() uint32 {
	if b.Magic() < Magic2 {
		return binary.BigEndian.Uint32(b[posLegacyCRC:])
	}
	return binary.BigEndian.Uint32(b[posCRC:])
}

// Attributes are the attribute bits.
func (b Batch) Attributes() int16 {
	if b.Magic() < Magic2 {
		return int16(b[posLegacyAttributes])
	}
	return int16(binary.BigEndian.Uint16(b[posAttributes:]))
}

// Codec is how the records are compressed. It may be one nobody knows.
func (b Batch) Codec() Codec { return Codec(b.Attributes() & attrCodec) }

// TimestampType says who set the timestamps.
func (b Batch) TimestampType() TimestampType { return timestampType(b.Magic(), b.Attributes()) }

// IsTransactional says whether the batch is part of a transaction.
func (b Batch) IsTransactional() bool { return b.flag(attrTransactional) }

// IsControl says whether the batch holds control records.
func (b Batch) IsControl() bool { return b.flag(attrControl) }

// HasDeleteHorizon says whether BaseTimestamp is the time from which
// tombstones and markers of this batch may be removed (KIP-534).
func (b Batch) HasDeleteHorizon() bool { return b.flag(attrDeleteHorizon) }

func (b Batch) flag(bit int16) bool { return b.Magic() >= Magic2 && b.Attributes()&bit != 0 }

// LastOffsetDelta is LastOffset - BaseOffset.
func (b Batch) LastOffsetDelta() int32 {
	if b.Magic() < Magic2 {
		return 0
	}
	return int32(binary.BigEndian.Uint32(b[posLastOffsetDelta:]))
}

// BaseTimestamp is what timestamp deltas count from: the first timestamp, or
// the delete horizon.
func (b Batch) BaseTimestamp() int64 {
	if b.Magic() < Magic2 {
		return b.MaxTimestamp()
	}
	return int64(binary.BigEndian.Uint64(b[posBaseTimestamp:]))
}

// MaxTimestamp is the largest timestamp of the batch, or the append time.
func (b Batch) MaxTimestamp() int64 {
	switch b.Magic() {
	case Magic0:
		return NoTimestamp
	case Magic1:
		return int64(binary.BigEndian.Uint64(b[posLegacyTimestamp:]))
	}
	return int64(binary.BigEndian.Uint64(b[posMaxTimestamp:]))
}

// ProducerID is the id of an idempotent producer.
func (b Batch) ProducerID() int64 {
	if b.Magic() < Magic2 {
		return NoProducerID
	}
	return int64(binary.BigEndian.Uint64(b[posProducerID:]))
}

// HasProducerID says whether the batch comes from an idempotent producer.
func (b Batch) HasProducerID() bool { return b.ProducerID() > NoProducerID }

// ProducerEpoch is the epoch of the producer.
func (b Batch) ProducerEpoch() int16 {
	if b.Magic() < Magic2 {
		return NoProducerEpoch
	}
	return int16(binary.BigEndian.Uint16(b[posProducerEpoch:]))
}

// BaseSequence is the sequence number of the first record.
func (b Batch) BaseSequence() int32 {
	if b.Magic() < Magic2 {
		return NoSequence
	}
	return int32(binary.BigEndian.Uint32(b[posBaseSequence:]))
}

// LastSequence is the sequence number of the last record.
func (b Batch) LastSequence() int32 { return lastSequence(b.BaseSequence(), b.LastOffsetDelta()) }

// Count is the number of records, as the header says.
func (b Batch) Count() int32 {
	if b.Magic() < Magic2 {
		if b.Codec() != None {
			return UnknownCount
		}
		return 1
	}
	return int32(binary.BigEndian.Uint32(b[posCount:]))
}

// SetBaseOffset changes the offset field, which the checksum does not cover.
func (b Batch) SetBaseOffset(offset int64) {
	binary.BigEndian.PutUint64(b[posOffset:], uint64(offset))
}

// SetPartitionLeaderEpoch changes the leader epoch, which the checksum does
// not cover. Legacy entries have none and stay as they are.
func (b Batch) SetPartitionLeaderEpoch(epoch int32) {
	if b.Magic() >= Magic2 {
		binary.BigEndian.PutUint32(b[posLeaderEpoch:], uint32(epoch))
	}
}

// SetMaxTimestamp changes type and maximum of the timestamps of a v2 batch and
// with them the checksum. Like Kafka it leaves base and deltas alone: with
// LogAppendTime a reader takes the maximum as the time of every record.
func (b Batch) SetMaxTimestamp(t TimestampType, ts int64) {
	if b.Magic() < Magic2 || (b.TimestampType() == t && b.MaxTimestamp() == ts) {
		return
	}
	attrs := b.Attributes() &^ attrLogAppendTime
	if t == LogAppendTime {
		attrs |= attrLogAppendTime
	}
	binary.BigEndian.PutUint16(b[posAttributes:], uint16(attrs))
	binary.BigEndian.PutUint64(b[posMaxTimestamp:], uint64(ts))
	b.setCRC()
}

// ComputeCRC is the checksum the bytes ought to have.
func (b Batch) ComputeCRC() uint32 {
	if b.Magic() < Magic2 {
		return crc32.ChecksumIEEE(b[posMagic:])
	}
	return crc32.Checksum(b[posAttributes:], castagnoli)
}

// CheckCRC compares the checksum with the bytes.
func (b Batch) CheckCRC() error {
	if want, got := b.CRC(), b.ComputeCRC(); want != got {
		return fmt.Errorf("%w: checksum %08x, stored %08x", ErrCorrupt, got, want)
	}
	return nil
}

func (b Batch) setCRC() {
	pos := posCRC
	if b.Magic() < Magic2 {
		pos = posLegacyCRC
	}
	binary.BigEndian.PutUint32(b[pos:], b.ComputeCRC())
}

func timestampType(magic int8, attrs int16) TimestampType {
	switch {
	case magic == Magic0:
		return NoTimestampType
	case attrs&attrLogAppendTime != 0:
		return LogAppendTime
	}
	return CreateTime
}

// lastSequence wraps as Kafka does: after 2147483647 comes 0.
func lastSequence(base, delta int32) int32 {
	if base == NoSequence {
		return NoSequence
	}
	return AddSequence(base, delta)
}

// AddSequence is the sequence number n after base.
func AddSequence(base, n int32) int32 {
	if base > math.MaxInt32-n {
		return n - (math.MaxInt32 - base) - 1
	}
	return base + n
}
