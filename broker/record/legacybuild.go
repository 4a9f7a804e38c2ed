package record

import (
	"encoding/binary"
	"fmt"
	"math"
)

// LegacyOptions are what a LegacyBuilder writes.
type LegacyOptions struct {
	Magic int8 // Magic0 or Magic1
	Codec Codec
	Level int // 0 is the default of the codec

	// With LogAppendTime, the time of every message of format 1.
	TimestampType TimestampType
	LogAppendTime int64
}

// A LegacyBuilder writes messages of formats 0 and 1: one entry each, or with
// a codec one wrapper around all of them. It is not for concurrent use.
type LegacyBuilder struct {
	o     LegacyOptions
	buf   []byte
	start int
	err   error

	count       int
	firstOffset int64
	lastOffset  int64
	maxTime     int64
	compressor  *compressor // nil without a codec
}

// Reset begins a set of messages, which is appended to dst.
func (b *LegacyBuilder) Reset(dst []byte, o LegacyOptions) {
	b.Discard()
	*b = LegacyBuilder{o: o, buf: dst, start: len(dst), maxTime: NoTimestamp}
	switch {
	case o.Magic != Magic0 && o.Magic != Magic1:
		b.err = fmt.Errorf("record: %d is not a legacy format", o.Magic)
	case o.Codec == None:
	case o.Codec > Lz4:
		b.err = fmt.Errorf("%w: %s in message format %d", ErrUnsupportedCompression, o.Codec, o.Magic)
	default:
		b.buf = append(b.buf, make([]byte, b.wrapperSize())...)
		b.compressor = acquireCompressor()
		b.err = b.compressor.reset(b.buf, 0, o.Codec, o.Level, o.Magic)
	}
}

// Discard gives up what will not be built.
func (b *LegacyBuilder) Discard() {
	if b.compressor != nil {
		b.compressor.release()
		b.compressor = nil
	}
	b.buf = nil
}

// wrapperSize is what a wrapper has in front of its value.
func (b *LegacyBuilder) wrapperSize() int {
	if b.o.Magic == Magic0 {
		return LogOverhead + minLength0
	}
	return LogOverhead + minLength1
}

// Append adds a message. Offsets should increase, but it is not for a
// conversion to refuse what a producer numbered otherwise.
func (b *LegacyBuilder) Append(offset, timestamp int64, key, value []byte) {
	if b.err != nil {
		return
	}
	if b.count == 0 {
		b.firstOffset = offset
	}
	b.lastOffset = offset
	b.count++
	b.maxTime = max(b.maxTime, timestamp)
	m := legacyMessage{offset: offset, magic: b.o.Magic, timestamp: b.stamp(timestamp), key: key, value: value}
	m.attrs = b.timestampBit()
	if b.compressor == nil {
		b.buf, b.err = m.append(b.buf)
		return
	}
	if b.o.Magic == Magic1 {
		m.offset -= b.firstOffset
	}
	b.compressor.pending, b.err = m.append(b.compressor.pending)
	if b.err == nil && len(b.compressor.pending) >= pendingSize {
		b.err = b.compressor.flush()
	}
}

func (b *LegacyBuilder) stamp(timestamp int64) int64 {
	if b.o.TimestampType == LogAppendTime {
		return b.o.LogAppendTime
	}
	return timestamp
}

func (b *LegacyBuilder) timestampBit() int8 {
	if b.o.Magic == Magic1 && b.o.TimestampType == LogAppendTime {
		return attrLogAppendTime
	}
	return 0
}

// Build gives dst with the messages behind it. No message gives nothing.
func (b *LegacyBuilder) Build() ([]byte, error) {
	if b.compressor != nil && b.err == nil {
		if b.count == 0 {
			b.buf = b.buf[:b.start]
		} else if b.buf, b.err = b.compressor.finish(); b.err == nil {
			b.err = b.putWrapper()
		}
	}
	if b.compressor != nil {
		b.compressor.release()
		b.compressor = nil
	}
	if b.err != nil {
		return nil, b.err
	}
	return b.buf, nil
}

// putWrapper writes what precedes the compressed value.
func (b *LegacyBuilder) putWrapper() error {
	w := b.buf[b.start:]
	value := w[b.wrapperSize():]
	if len(w) > math.MaxInt32 {
		return errMessageSize
	}
	m := legacyMessage{offset: b.lastOffset, magic: b.o.Magic, attrs: int8(b.o.Codec) | b.timestampBit(), timestamp: b.stamp(b.maxTime)}
	head, err := m.append(w[:0]) // a null value; its length follows
	if err != nil {
		return err
	}
	binary.BigEndian.PutUint32(head[len(head)-4:], uint32(len(value)))
	binary.BigEndian.PutUint32(w[posLength:], uint32(len(w)-LogOverhead))
	Batch(w).setCRC()
	return nil
}

var errMessageSize = fmt.Errorf("%w: message above 2 GiB", ErrMessageTooLarge)

// legacyMessage is one message to be written.
type legacyMessage struct {
	offset       int64
	magic, attrs int8
	timestamp    int64
	key, value   []byte
}

func (m *legacyMessage) append(dst []byte) ([]byte, error) {
	size := minLength0 + len(m.key) + len(m.value)
	if m.magic == Magic1 {
		size += 8
	}
	if size > math.MaxInt32 {
		return dst, errMessageSize
	}
	start := len(dst)
	be := binary.BigEndian
	dst = be.AppendUint64(dst, uint64(m.offset))
	dst = be.AppendUint32(dst, uint32(size))
	dst = append(dst, 0, 0, 0, 0, byte(m.magic), byte(m.attrs))
	if m.magic == Magic1 {
		dst = be.AppendUint64(dst, uint64(m.timestamp))
	}
	dst = appendLegacyBytes(dst, m.key)
	dst = appendLegacyBytes(dst, m.value)
	Batch(dst[start:]).setCRC()
	return dst, nil
}

func appendLegacyBytes(dst, b []byte) []byte {
	if b == nil {
		return binary.BigEndian.AppendUint32(dst, math.MaxUint32) // -1
	}
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(b))), b...)
}
