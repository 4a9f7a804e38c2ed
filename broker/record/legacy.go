package record

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

// Message formats 0 and 1. An entry is one message, whose value may be the
// compressed concatenation of others:
//
//	offset int64, size int32
//	crc int32, magic int8, attributes int8
//	timestamp int64                           magic 1
//	key length int32, key, value length int32, value
//
// Inner offsets are absolute in format 0. In format 1 they count from 0 and the
// offset of the wrapper is that of the last inner message, so that a broker
// could assign offsets without compressing again (KIP-31). See LegacyRecord.java
// and AbstractLegacyRecordBatch.java.

// Positions counted from the CRC, that is after LogOverhead.
const (
	bodyMagic      = posMagic - LogOverhead
	bodyAttributes = posLegacyAttributes - LogOverhead
	bodyTimestamp  = posLegacyTimestamp - LogOverhead
)

// legacyState is the part of a reader for formats 0 and 1.
type legacyState struct {
	compressed bool
	done       bool
	offset     int64 // of an entry that is not compressed
	base       int64 // what relative inner offsets count from
	relative   bool
	seen       bool // an inner message

	// checkCRC makes the reader verify inner messages; of outer ones
	// Batch.CheckCRC takes care.
	checkCRC bool
	// innerMagic is the magic of the message last read.
	innerMagic int8
}

func (r *reader) openLegacy(b Batch) error {
	l := &r.legacy
	if b.Codec() == None {
		l.offset = b.BaseOffset()
		r.s = memoryStream(b[LogOverhead:])
		return nil
	}
	var wrapper Record
	if err := parseLegacy(b[LogOverhead:], &wrapper); err != nil {
		return err
	}
	switch {
	case b.Codec() > Lz4:
		return invalidf("codec %s in message format %d", b.Codec(), r.magic)
	case wrapper.Value == nil:
		return invalidf("compressed message without a value")
	}
	l.compressed = true
	if r.magic == Magic1 {
		l.relative = true
		last := b.BaseOffset()
		if err := r.openPayload(b.Codec(), wrapper.Value); err != nil {
			return err
		}
		lastInner, err := r.lastInnerOffset()
		if err != nil {
			return err
		}
		// Some versions of librdkafka sent wrappers with offset 0.
		if last != 0 {
			if l.base = last - lastInner; l.base < 0 {
				return invalidf("wrapper offset %d is below the last inner offset %d", last, lastInner)
			}
		}
	}
	return r.openPayload(b.Codec(), wrapper.Value)
}

// lastInnerOffset reads to the end. Decompressing twice keeps the messages from
// having to be held all at once.
func (r *reader) lastInnerOffset() (last int64, err error) {
	found := false
	for {
		offset, _, err := r.inner()
		switch {
		case err == io.EOF && found:
			return last, nil
		case err == io.EOF:
			return 0, errNoInner
		case err != nil:
			return 0, err
		}
		last, found = offset, true
	}
}

var errNoInner = invalidf("compressed message without inner messages")

// inner takes the next message of a compressed set. A torn one ends the set,
// as it does for Kafka.
func (r *reader) inner() (offset int64, body []byte, err error) {
	if err := r.s.fill(LogOverhead); err != nil {
		return 0, nil, err
	}
	prefix := r.s.rest()
	offset = int64(binary.BigEndian.Uint64(prefix))
	size := int32(binary.BigEndian.Uint32(prefix[posLength:]))
	if size < minLength0 {
		return 0, nil, invalidf("inner message of length %d", size)
	}
	if err := r.s.fill(LogOverhead + int(size)); err != nil {
		return 0, nil, err
	}
	return offset, r.s.take(LogOverhead + int(size))[LogOverhead:], nil
}

func (r *reader) nextLegacy(rec *Record) error {
	l := &r.legacy
	if l.done {
		return io.EOF
	}
	if !l.compressed {
		l.done = true
		l.innerMagic = r.magic
		rec.Offset = l.offset
		return parseLegacy(r.s.rest(), rec)
	}
	offset, body, err := r.inner()
	if err == io.EOF {
		l.done = true
		if !l.seen {
			return errNoInner
		}
		return io.EOF
	}
	if err != nil {
		return err
	}
	l.seen = true
	l.innerMagic = int8(body[bodyMagic])
	if l.checkCRC {
		if want, got := binary.BigEndian.Uint32(body), crc32.ChecksumIEEE(body[bodyMagic:]); want != got {
			return errInnerCRC
		}
	}
	if err := parseLegacy(body, rec); err != nil {
		return err
	}
	if rec.Attributes&attrCodec != 0 {
		return invalidf("compressed message within a compressed message")
	}
	rec.Offset = offset
	if l.relative {
		rec.Offset += l.base
	}
	if r.isAppendTime && l.innerMagic == Magic1 {
		rec.Timestamp = r.appendTime
	}
	return nil
}

// parseLegacy reads the part of a message after LogOverhead.
func parseLegacy(p []byte, rec *Record) error {
	if len(p) < minLength0 {
		return errRecordStructure
	}
	rec.Attributes = int8(p[bodyAttributes])
	rec.Timestamp = NoTimestamp
	rest := p[bodyTimestamp:]
	switch int8(p[bodyMagic]) {
	case Magic0:
	case Magic1:
		if len(p) < minLength1 {
			return errRecordStructure
		}
		rec.Timestamp = int64(binary.BigEndian.Uint64(rest))
		rest = rest[8:]
	default:
		return errRecordStructure
	}
	var ok bool
	if rec.Key, rest, ok = takeLegacyBytes(rest); !ok {
		return errRecordStructure
	}
	if rec.Value, _, ok = takeLegacyBytes(rest); !ok {
		return errRecordStructure
	}
	return nil
}

func takeLegacyBytes(p []byte) (b, rest []byte, ok bool) {
	if len(p) < 4 {
		return nil, nil, false
	}
	size := int32(binary.BigEndian.Uint32(p))
	p = p[4:]
	if size < 0 {
		return nil, p, true
	}
	if int(size) > len(p) {
		return nil, nil, false
	}
	return p[:size:size], p[size:], true
}

// FirstOffset is the offset of the first record. Of a compressed legacy entry
// only decompression tells it; dec may be nil.
func (b Batch) FirstOffset(dec *Decompressor) (int64, error) {
	if b.Magic() >= Magic2 || b.Codec() == None {
		return b.BaseOffset(), nil
	}
	for rec, err := range b.Records(dec) {
		return rec.Offset, err
	}
	return 0, errNoInner // not reached: an empty set is an error above
}
