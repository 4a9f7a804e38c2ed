package record

import (
	"io"
	"iter"
)

// A Record is one record of a batch. Key, Value and Headers alias the batch
// or, when that is compressed, the decompressor's window: they are good until
// the iteration goes on. A nil Key or Value is null.
type Record struct {
	Offset    int64
	Timestamp int64 // of the batch, with LogAppendTime

	// As stored; 0 in formats 0 and 1.
	OffsetDelta    int32
	TimestampDelta int64
	Attributes     int8

	Key, Value []byte
	Headers    Headers
}

// Headers are the headers of a record as they are encoded. They have been
// checked when the record was read.
type Headers struct {
	count int32
	raw   []byte
}

// Len is the number of headers.
func (h Headers) Len() int { return int(h.count) }

// All goes over keys and values; a nil value is null.
func (h Headers) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		p := h.raw
		for range h.count {
			var key, value []byte
			key, p, _ = takeBytes(p)
			value, p, _ = takeBytes(p)
			if !yield(key, value) {
				return
			}
		}
	}
}

// minRecordBody is the smallest body: attributes and five one-byte varints.
const minRecordBody = 6

// Records goes over the records of a batch of any format. Dec may be nil, then
// one is taken from the pool if need be. An error is given once and ends it.
func (b Batch) Records(dec *Decompressor) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		var r reader
		defer r.close()
		if err := r.open(b, dec); err != nil {
			yield(Record{}, err)
			return
		}
		for {
			var rec Record
			err := r.next(&rec)
			if err == io.EOF || !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// A reader pulls the records out of one batch.
type reader struct {
	s    stream
	dec  *Decompressor
	mine bool // dec is to be released

	left          int32 // records still to come, v2
	baseOffset    int64
	baseTimestamp int64
	appendTime    int64
	isAppendTime  bool

	legacy legacyState
	magic  int8
}

func (r *reader) open(b Batch, dec *Decompressor) error {
	r.magic = b.Magic()
	r.isAppendTime = b.TimestampType() == LogAppendTime
	r.appendTime = b.MaxTimestamp()
	r.dec = dec
	if r.magic < Magic2 {
		return r.openLegacy(b)
	}
	r.baseOffset, r.baseTimestamp = b.BaseOffset(), b.BaseTimestamp()
	r.left = b.Count()
	if r.left < 0 {
		return invalidf("record count %d", r.left)
	}
	if r.left == 0 {
		return nil // emptied by compaction; whatever the codec bits say
	}
	return r.openPayload(b.Codec(), b[HeaderSize:])
}

func (r *reader) openPayload(codec Codec, payload []byte) (err error) {
	if codec == None {
		r.s = memoryStream(payload)
		return nil
	}
	if r.dec == nil {
		r.dec, r.mine = AcquireDecompressor(), true
	}
	r.s, err = r.dec.open(codec, r.magic, payload)
	return err
}

// close gives back what open took.
func (r *reader) close() {
	if r.mine {
		r.dec.Release()
		r.dec, r.mine = nil, false
	}
}

// next reads a record into rec, or returns io.EOF after the last one.
func (r *reader) next(rec *Record) error {
	if r.magic < Magic2 {
		return r.nextLegacy(rec)
	}
	if r.left == 0 {
		return r.checkEnd()
	}
	body, err := r.body()
	if err != nil {
		return err
	}
	r.left--
	if err := parseRecord(body, rec); err != nil {
		return err
	}
	rec.Offset = r.baseOffset + int64(rec.OffsetDelta)
	rec.Timestamp = r.baseTimestamp + rec.TimestampDelta
	if r.isAppendTime {
		rec.Timestamp = r.appendTime
	}
	return nil
}

// checkEnd returns io.EOF if nothing follows the last record.
func (r *reader) checkEnd() error {
	if r.s.src == nil && r.s.buf == nil {
		return io.EOF // an emptied batch
	}
	end, err := r.s.atEnd()
	switch {
	case err != nil:
		return err
	case !end:
		return invalidf("more records than the header counts")
	}
	return io.EOF
}

// body takes the next record without its length.
func (r *reader) body() ([]byte, error) {
	size, n := varint(r.s.rest())
	if n == 0 { // not in the window yet, or not there at all
		if err := r.s.fill(maxVarintLen); err != nil && err != io.EOF {
			return nil, err
		}
		size, n = varint(r.s.rest())
	}
	switch {
	case n <= 0:
		return nil, invalidf("%d records are missing", r.left)
	case size < minRecordBody:
		return nil, invalidf("record length %d", size)
	}
	if err := r.s.fill(n + int(size)); err != nil {
		if err == io.EOF {
			err = invalidf("record length %d is more than there is", size)
		}
		return nil, err
	}
	return r.s.take(n + int(size))[n:], nil
}

// parseRecord reads the body of a v2 record, which has to fit exactly.
func parseRecord(p []byte, rec *Record) error {
	rec.Attributes = int8(p[0])
	p = p[1:]
	var n int
	if rec.TimestampDelta, n = varlong(p); n <= 0 {
		return errRecordStructure
	}
	p = p[n:]
	if rec.OffsetDelta, n = varint(p); n <= 0 {
		return errRecordStructure
	}
	p = p[n:]
	var ok bool
	if rec.Key, p, ok = takeBytes(p); !ok {
		return errRecordStructure
	}
	if rec.Value, p, ok = takeBytes(p); !ok {
		return errRecordStructure
	}
	if rec.Headers.count, n = varint(p); n <= 0 || rec.Headers.count < 0 {
		return errRecordStructure
	}
	rec.Headers.raw = p[n:]
	if !checkHeaders(rec.Headers.raw, rec.Headers.count) {
		return errRecordStructure
	}
	return nil
}

var errRecordStructure = invalidf("malformed record")

// checkHeaders says whether p is exactly count headers.
func checkHeaders(p []byte, count int32) bool {
	for range count {
		size, n := varint(p)
		if n <= 0 || size < 0 || int(size) > len(p)-n {
			return false // header keys are never null
		}
		var ok bool
		if _, p, ok = takeBytes(p[n+int(size):]); !ok {
			return false
		}
	}
	return len(p) == 0
}

// takeBytes reads a length and that many bytes. Any negative length is null,
// as it is to Kafka.
func takeBytes(p []byte) (b, rest []byte, ok bool) {
	size, n := varint(p)
	if n <= 0 || int(size) > len(p)-n {
		return nil, nil, false
	}
	p = p[n:]
	if size < 0 {
		return nil, p, true
	}
	return p[:size:size], p[size:], true
}
