package record

import (
	"fmt"
	"io"
	"math"
)

// A rewriter looks at every record of what a client sent, and if need be
// writes them anew as one v2 batch.
type rewriter struct {
	o   *ValidateOptions
	dec *Decompressor
	out *Builder // nil: only look

	count        int64 // records so far, over all entries
	maxTimestamp int64
	irregular    bool // inner offsets are not 0, 1, 2...
}

func (r *rewriter) decompressor() *Decompressor {
	if r.dec == nil {
		r.dec = AcquireDecompressor()
		r.dec.Limit = r.o.MaxDecompressedBytes
	}
	return r.dec
}

func (r *rewriter) close() {
	if r.dec != nil {
		r.dec.Release()
		r.dec = nil
	}
	if r.out != nil {
		r.out.Discard()
	}
}

// look checks the records of one batch without writing anything.
func look(b Batch, o *ValidateOptions) (maxTimestamp int64, irregular bool, err error) {
	r := rewriter{o: o}
	defer r.close()
	err = r.check(b)
	return r.maxTimestamp, r.irregular, err
}

// rebuild writes the records of all entries of v as one batch.
func rebuild(v Validated, target Codec, o *ValidateOptions) (Validated, error) {
	first, _, err := Next(v.Buf)
	if err != nil {
		return Validated{}, err
	}
	bo := BuilderOptions{
		PartitionLeaderEpoch: NoLeaderEpoch, Codec: target, Level: o.Level, MaxSize: o.MaxMessageBytes,
		Transactional: first.IsTransactional(), Control: first.IsControl(),
		TimestampType: o.TimestampType, LogAppendTime: o.Now,
		Producer: &ProducerInfo{ID: first.ProducerID(), Epoch: first.ProducerEpoch(), BaseSequence: first.BaseSequence()},
	}
	r := rewriter{o: o, out: new(Builder)}
	defer r.close()
	r.out.Reset(make([]byte, 0, len(v.Buf)+HeaderSize), bo)
	for b, err := range Batches(v.Buf) {
		if err != nil {
			return Validated{}, err
		}
		if err := r.check(b); err != nil {
			return Validated{}, err
		}
	}
	if r.count == 0 {
		return Validated{}, invalidf("no records")
	}
	out, err := r.out.Build()
	if err != nil {
		return Validated{}, err
	}
	if len(out) > o.MaxMessageBytes {
		return Validated{}, fmt.Errorf("%w: batch of %d bytes after conversion, at most %d allowed", ErrMessageTooLarge, len(out), o.MaxMessageBytes)
	}
	return Validated{
		Buf: out, Batches: 1, Records: int(out.Count()), Codec: v.Codec, Converted: true,
		MaxTimestamp: out.MaxTimestamp(), OffsetOfMaxTimestampDelta: out.LastOffsetDelta(),
	}, nil
}

// check goes over the records of one entry and appends them to out. Invalid
// records are gathered, then nothing more is appended.
func (r *rewriter) check(b Batch) error {
	r.maxTimestamp = NoTimestamp
	var rd reader
	rd.legacy.checkCRC = true
	defer rd.close()
	if b.Codec() != None {
		rd.dec = r.decompressor()
	}
	if err := rd.open(b, rd.dec); err != nil {
		return err
	}
	limit := r.o.bounds()
	var rejected InvalidRecordsError
	var rec Record
	for index := int32(0); ; index++ {
		rec = Record{}
		err := rd.next(&rec)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		kind, message := r.checkRecord(b, &rd, &rec, limit)
		if kind != nil {
			rejected.add(kind, index, message)
			continue
		}
		if b.Magic() > Magic0 {
			r.maxTimestamp = max(r.maxTimestamp, rec.Timestamp)
			if rec.Offset-b.firstOffsetField() != int64(index) {
				r.irregular = true
			}
		}
		if r.out != nil && rejected.Count == 0 {
			if r.count > math.MaxInt32 {
				return invalidf("too many records")
			}
			r.out.appendRecordAt(r.count, &rec)
			r.count++
			if r.out.err != nil {
				return r.out.err
			}
		}
	}
	if rejected.Count > 0 {
		return &rejected
	}
	return nil
}

// firstOffsetField is what inner offsets should start from.
func (b Batch) firstOffsetField() int64 {
	if b.Magic() < Magic2 {
		return 0
	}
	return b.BaseOffset()
}

// checkRecord applies the rules that refuse single records.
func (r *rewriter) checkRecord(b Batch, rd *reader, rec *Record, limit bounds) (kind error, message string) {
	if b.Magic() < Magic2 && rd.legacy.innerMagic != b.Magic() {
		return ErrInvalidMagic, fmt.Sprintf("message format %d inside of format %d", rd.legacy.innerMagic, b.Magic())
	}
	if r.o.Compacted && rec.Key == nil {
		return ErrNoKey, "a compacted topic takes no record without a key"
	}
	if r.o.TimestampType == CreateTime && rec.Timestamp != NoTimestamp {
		if rec.Timestamp < limit.min || rec.Timestamp > limit.max {
			return ErrInvalidTimestamp, fmt.Sprintf("timestamp %d is not within [%d, %d]", rec.Timestamp, limit.min, limit.max)
		}
	} else if b.TimestampType() == LogAppendTime {
		return ErrInvalidTimestamp, "a producer may not set the timestamp type LogAppendTime"
	}
	return nil, ""
}
