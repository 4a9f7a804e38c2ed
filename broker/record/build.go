package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ProducerInfo is the part of a header that makes a batch idempotent. Kafka's
// coordinators also write sequence 0 without a producer id.
type ProducerInfo struct {
	ID           int64
	Epoch        int16
	BaseSequence int32 // NoSequence for transaction markers
}

// RecordHeader is a header of a record to be written. A nil Value is null.
type RecordHeader struct {
	Key   string
	Value []byte
}

// BuilderOptions are the header fields of a batch to be written.
type BuilderOptions struct {
	BaseOffset           int64
	PartitionLeaderEpoch int32
	Producer             *ProducerInfo // nil: not idempotent

	Codec Codec
	Level int // 0 is the default of the codec

	Transactional, Control bool

	// With LogAppendTime, the time that all records get. Timestamps given to
	// Append then only make the deltas, which nobody looks at.
	TimestampType TimestampType
	LogAppendTime int64

	// DeleteHorizon, if not nil, becomes the base timestamp (KIP-534).
	DeleteHorizon *int64

	// MaxSize refuses batches of more bytes with ErrMessageTooLarge; 0: any.
	MaxSize int
}

// A Builder writes v2 batches. It compresses as it goes, so that what it holds
// is the output and a few blocks. It is not for concurrent use.
type Builder struct {
	o     BuilderOptions
	buf   []byte
	start int // of the batch in buf
	err   error

	count      int32
	baseTime   int64
	maxTime    int64
	lastOffset int64

	compressor *compressor // nil without a codec
}

// NewBuilder begins a batch.
func NewBuilder(o BuilderOptions) *Builder {
	b := new(Builder)
	b.Reset(nil, o)
	return b
}

// Reset begins another batch, which is appended to dst.
func (b *Builder) Reset(dst []byte, o BuilderOptions) {
	b.Discard()
	var header [HeaderSize]byte
	*b = Builder{o: o, buf: append(dst, header[:]...), start: len(dst), lastOffset: o.BaseOffset - 1,
		maxTime: NoTimestamp}
	if o.DeleteHorizon != nil {
		b.baseTime = *o.DeleteHorizon
	}
	if o.Codec == None {
		return
	}
	limit := 0
	if o.MaxSize > 0 {
		limit = max(o.MaxSize-HeaderSize, 1)
	}
	b.compressor = acquireCompressor()
	b.err = b.compressor.reset(b.buf, limit, o.Codec, o.Level, Magic2)
}

// Discard gives up a batch that will not be built.
func (b *Builder) Discard() {
	if b.compressor != nil {
		b.compressor.release()
		b.compressor = nil
	}
	b.buf = nil
}

// Append adds a record at the next offset.
func (b *Builder) Append(timestamp int64, key, value []byte, headers ...RecordHeader) {
	b.AppendAt(b.lastOffset+1, timestamp, key, value, headers...)
}

// AppendAt adds a record at an offset after that of the last one.
func (b *Builder) AppendAt(offset, timestamp int64, key, value []byte, headers ...RecordHeader) {
	size := 0
	for _, h := range headers {
		size += sizeVarint(int32(len(h.Key))) + len(h.Key) + sizeBytes(h.Value)
	}
	b.begin(offset, timestamp, key, value, int32(len(headers)), size)
	if b.err != nil {
		return
	}
	out := b.out()
	for _, h := range headers {
		*out = appendVarint(*out, int32(len(h.Key)))
		*out = append(*out, h.Key...)
		*out = appendBytes(*out, h.Value)
	}
	b.end()
}

// AppendRecord adds a record as it was read, at its own offset.
func (b *Builder) AppendRecord(rec *Record) { b.appendRecordAt(rec.Offset, rec) }

func (b *Builder) appendRecordAt(offset int64, rec *Record) {
	b.begin(offset, rec.Timestamp, rec.Key, rec.Value, rec.Headers.count, len(rec.Headers.raw))
	if b.err != nil {
		return
	}
	out := b.out()
	*out = append(*out, rec.Headers.raw...)
	b.end()
}

var errOffsetOrder = errors.New("record: offsets of a batch must increase and stay within 2^31 of its base")

// begin writes a record up to its headers, which take headerBytes.
func (b *Builder) begin(offset, timestamp int64, key, value []byte, headers int32, headerBytes int) {
	if b.err != nil {
		return
	}
	delta := offset - b.o.BaseOffset
	if offset <= b.lastOffset || delta < 0 || delta > math.MaxInt32 {
		b.err = fmt.Errorf("%w: %d after %d", errOffsetOrder, offset, b.lastOffset)
		return
	}
	if b.count == 0 && b.o.DeleteHorizon == nil {
		b.baseTime = timestamp
	}
	timeDelta := timestamp - b.baseTime
	size := 1 + sizeVarlong(timeDelta) + sizeVarint(int32(delta)) + sizeBytes(key) + sizeBytes(value) + sizeVarint(headers) + headerBytes
	if size > math.MaxInt32 {
		b.err = fmt.Errorf("%w: record of %d bytes", ErrMessageTooLarge, size)
		return
	}
	out := b.out()
	if b.o.MaxSize > 0 && b.compressor == nil && len(*out)-b.start+sizeVarint(int32(size))+size > b.o.MaxSize {
		b.err = fmt.Errorf("%w: over %d bytes", ErrMessageTooLarge, b.o.MaxSize)
		return
	}
	*out = appendVarint(*out, int32(size))
	*out = append(*out, 0) // attributes, none defined
	*out = appendVarlong(*out, timeDelta)
	*out = appendVarint(*out, int32(delta))
	*out = appendBytes(*out, key)
	*out = appendBytes(*out, value)
	*out = appendVarint(*out, headers)
	b.count++
	b.lastOffset = offset
	b.maxTime = max(b.maxTime, timestamp)
}

// out is where records are written to.
func (b *Builder) out() *[]byte {
	if b.compressor != nil {
		return &b.compressor.pending
	}
	return &b.buf
}

func (b *Builder) end() {
	if b.compressor != nil && len(b.compressor.pending) >= pendingSize {
		b.err = b.compressor.flush()
	}
}

// Count is the number of records so far.
func (b *Builder) Count() int { return int(b.count) }

// Size is the number of bytes so far, compressed or yet to be.
func (b *Builder) Size() int {
	if b.compressor != nil {
		return len(b.compressor.out.data) - b.start + len(b.compressor.pending)
	}
	return len(b.buf) - b.start
}

// SetLastOffset makes the batch reach up to an offset although its last record
// is gone: compaction keeps the ends of a batch, and with them its sequence.
func (b *Builder) SetLastOffset(offset int64) {
	if b.err == nil && (offset < b.lastOffset || offset-b.o.BaseOffset > math.MaxInt32) {
		b.err = fmt.Errorf("%w: last offset %d", errOffsetOrder, offset)
	}
	b.lastOffset = offset
}

// Build completes the batch. It lies at the end of Buffer.
func (b *Builder) Build() (Batch, error) {
	if b.err == nil && b.count == 0 {
		b.err = errors.New("record: a batch needs a record")
	}
	if b.compressor != nil && b.err == nil {
		b.buf, b.err = b.compressor.finish()
		b.compressor.release()
		b.compressor = nil
	}
	if b.err != nil {
		b.Discard()
		return nil, b.err
	}
	size := len(b.buf) - b.start
	if size-LogOverhead > math.MaxInt32 {
		b.err = fmt.Errorf("%w: batch of %d bytes", ErrMessageTooLarge, size)
		return nil, b.err
	}
	batch := Batch(b.buf[b.start:len(b.buf):len(b.buf)])
	b.putHeader(batch)
	return batch, nil
}

// Buffer is the dst of Reset with the batch behind it.
func (b *Builder) Buffer() []byte { return b.buf }

func (b *Builder) putHeader(h Batch) {
	attrs := int16(b.o.Codec)
	maxTime := b.maxTime
	if b.o.TimestampType == LogAppendTime {
		attrs |= attrLogAppendTime
		maxTime = b.o.LogAppendTime
	}
	if b.o.Transactional {
		attrs |= attrTransactional
	}
	if b.o.Control {
		attrs |= attrControl
	}
	if b.o.DeleteHorizon != nil {
		attrs |= attrDeleteHorizon
	}
	putHeader(h, Header{
		BaseOffset: b.o.BaseOffset, PartitionLeaderEpoch: b.o.PartitionLeaderEpoch, Attributes: attrs,
		LastOffsetDelta: int32(b.lastOffset - b.o.BaseOffset), BaseTimestamp: b.baseTime, MaxTimestamp: maxTime, Count: b.count,
	}, b.o.Producer)
}

// putHeader writes everything in front of the records that are in h already.
func putHeader(h Batch, f Header, p *ProducerInfo) {
	if p == nil {
		p = &ProducerInfo{ID: NoProducerID, Epoch: NoProducerEpoch, BaseSequence: NoSequence}
	}
	be := binary.BigEndian
	be.PutUint64(h[posOffset:], uint64(f.BaseOffset))
	be.PutUint32(h[posLength:], uint32(len(h)-LogOverhead))
	be.PutUint32(h[posLeaderEpoch:], uint32(f.PartitionLeaderEpoch))
	h[posMagic] = byte(Magic2)
	be.PutUint16(h[posAttributes:], uint16(f.Attributes))
	be.PutUint32(h[posLastOffsetDelta:], uint32(f.LastOffsetDelta))
	be.PutUint64(h[posBaseTimestamp:], uint64(f.BaseTimestamp))
	be.PutUint64(h[posMaxTimestamp:], uint64(f.MaxTimestamp))
	be.PutUint64(h[posProducerID:], uint64(p.ID))
	be.PutUint16(h[posProducerEpoch:], uint16(p.Epoch))
	be.PutUint32(h[posBaseSequence:], uint32(p.BaseSequence))
	be.PutUint32(h[posCount:], uint32(f.Count))
	h.setCRC()
}

// AppendEmptied appends what compaction leaves of a v2 batch that lost all its
// records but holds the last sequence number of its producer.
func AppendEmptied(dst []byte, of Batch) []byte {
	start := len(dst)
	var header [HeaderSize]byte
	dst = append(dst, header[:]...)
	f := of.Header()
	f.Attributes &= attrLogAppendTime | attrTransactional | attrControl
	f.BaseTimestamp = NoTimestamp
	f.Count = 0
	putHeader(Batch(dst[start:]), f, &ProducerInfo{ID: f.ProducerID, Epoch: f.ProducerEpoch, BaseSequence: f.BaseSequence})
	return dst
}

func sizeBytes(b []byte) int {
	if b == nil {
		return 1
	}
	return sizeVarint(int32(len(b))) + len(b)
}

func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 1) // -1
	}
	return append(appendVarint(dst, int32(len(b))), b...)
}
