package record

import (
	"errors"
	"fmt"
	"io"
	"math"
)

// Origin says who wrote a batch, which decides what is checked.
type Origin int8

// The origins.
const (
	// OriginClient is a producer: everything is checked.
	OriginClient Origin = iota
	// OriginCoordinator is this broker: control batches, markers and commits
	// without sequence are in order.
	OriginCoordinator
	// OriginReplication is a fetch from the leader, who has checked: only
	// sizes and checksums are, and bytes stay as they are.
	OriginReplication
)

// NoTimestampBound switches a timestamp bound off.
const NoTimestampBound int64 = math.MaxInt64

// ValidateOptions are what a topic asks of the batches appended to it. Begin
// with DefaultValidateOptions: zero values are strict ones.
type ValidateOptions struct {
	Origin Origin
	// Now is the append time in milliseconds.
	Now int64

	Compacted       bool          // cleanup.policy contains compact
	TimestampType   TimestampType // message.timestamp.type
	BeforeMax       int64         // message.timestamp.before.max.ms
	AfterMax        int64         // message.timestamp.after.max.ms
	TargetCodec     Codec         // compression.type; Producer keeps what came
	Level           int           // compression level; 0 is the codec's default
	MaxMessageBytes int           // max.message.bytes, of a batch

	// SingleV2Batch is the rule of Produce from version 3 on: exactly one
	// batch, of format 2.
	SingleV2Batch bool
	// RefuseZstdSource is the rule of Produce below version 7 (KIP-110).
	RefuseZstdSource bool
	// RefuseZstdTarget is the rule of inter.broker.protocol.version < 2.1:
	// zstd does not go into the log.
	RefuseZstdTarget bool

	// MaxDecompressedBytes overrides DefaultDecompressedLimit.
	MaxDecompressedBytes int64
}

// DefaultValidateOptions are those of a topic with Kafka's defaults.
func DefaultValidateOptions(now int64) ValidateOptions {
	return ValidateOptions{
		Now:             now,
		BeforeMax:       NoTimestampBound,
		AfterMax:        NoTimestampBound,
		TargetCodec:     Producer,
		MaxMessageBytes: 1048588,
	}
}

// Validated is the outcome of Validate: bytes that may be appended once they
// have offsets.
type Validated struct {
	// Buf is what to store: the bytes given, changed in place at most in
	// timestamp fields, attributes and checksum, or new ones if Converted.
	// From a leader's clients it is one v2 batch, or nothing at all.
	Buf     []byte
	Batches int
	// Records is the number of offsets to assign.
	Records int
	// MaxTimestamp is the largest timestamp stored, -1 if there is none, and
	// OffsetOfMaxTimestampDelta, from the first offset, is the last of the
	// batch it is in: like Kafka's, the time index knows batches only.
	MaxTimestamp              int64
	OffsetOfMaxTimestampDelta int32
	// Codec is that of the batch as it came.
	Codec     Codec
	Converted bool
}

// Validate does everything between receiving records and assigning offsets:
// what Kafka's LogValidator, UnifiedLog.analyzeAndValidateRecords and
// ProduceRequest.validateRecords check and change. Bytes after the last whole
// batch are cut off.
//
// A v2 batch that may be stored as it came is checked in place without an
// allocation. If it is compressed it is not decompressed either, unless the
// topic needs to see keys or has timestamp bounds: then header and checksum
// decide, and the header's maximum timestamp is taken for true. Kafka
// decompresses, to count and to look at every timestamp.
func Validate(buf []byte, o ValidateOptions) (Validated, error) {
	v, first, err := survey(buf, &o)
	if err != nil || v.Batches == 0 {
		return v, err
	}
	if o.Origin == OriginReplication {
		return v, nil
	}
	target := o.TargetCodec
	if target == Producer {
		target = v.Codec
	}
	if target == Zstd && o.RefuseZstdTarget {
		return Validated{}, fmt.Errorf("%w: zstd needs inter.broker.protocol.version 2.1", ErrUnsupportedCompression)
	}
	if v.Codec < None || v.Codec > Zstd {
		return Validated{}, fmt.Errorf("%w: %s", ErrUnknownCodec, v.Codec)
	}
	if v.Batches > 1 && (first.Magic() >= Magic2 || v.Codec != None) {
		return Validated{}, invalidf("%d batches where one is allowed", v.Batches)
	}
	if err := checkBatches(v.Buf, first, o.Origin); err != nil {
		return Validated{}, err
	}
	// Control records are never compressed.
	inPlace := first.Magic() == Magic2 && (v.Codec == target || (v.Codec == None && first.IsControl()))
	if !inPlace {
		slow := o // so that o itself stays on the stack
		return rebuild(v, target, &slow)
	}
	return keep(v, first, target, &o)
}

// survey walks the batches: whole, small enough, with the right checksum?
func survey(buf []byte, o *ValidateOptions) (v Validated, first Batch, err error) {
	v.MaxTimestamp = NoTimestamp
	var size int
	for rest := buf; ; {
		b, next, err := Next(rest)
		if err == io.EOF || errors.Is(err, ErrTruncated) {
			break
		}
		if err != nil {
			return Validated{}, nil, err
		}
		if err := surveyBatch(b, o); err != nil {
			return Validated{}, nil, err
		}
		if v.Batches == 0 {
			first = b
		}
		if c := b.Codec(); c != None {
			v.Codec = c
		}
		if ts := b.MaxTimestamp(); ts > v.MaxTimestamp {
			v.MaxTimestamp = ts
			v.OffsetOfMaxTimestampDelta = int32(b.LastOffset() - first.BaseOffset())
		}
		v.Batches++
		v.Records += int(max(b.Count(), 0))
		size += len(b)
		rest = next
	}
	v.Buf = buf[:size]
	if o.SingleV2Batch && v.Batches != 1 {
		return Validated{}, nil, invalidf("%d batches where exactly one is allowed", v.Batches)
	}
	return v, first, nil
}

func surveyBatch(b Batch, o *ValidateOptions) error {
	if o.Origin != OriginReplication {
		magic := b.Magic()
		switch {
		case o.SingleV2Batch && magic < Magic2:
			return invalidf("message format %d where 2 is required", magic)
		case o.RefuseZstdSource && b.Codec() == Zstd:
			return fmt.Errorf("%w: zstd needs Produce version 7", ErrUnsupportedCompression)
		case o.Origin == OriginClient && magic >= Magic2 && b.BaseOffset() != 0:
			return invalidf("base offset %d from a client", b.BaseOffset())
		case len(b) > o.MaxMessageBytes:
			return fmt.Errorf("%w: batch of %d bytes, at most %d allowed", ErrMessageTooLarge, len(b), o.MaxMessageBytes)
		}
	}
	return b.CheckCRC()
}

// checkBatches makes the checks on headers.
func checkBatches(buf []byte, first Batch, origin Origin) error {
	for rest := buf; len(rest) > 0; {
		b, next, err := Next(rest)
		if err != nil {
			return err
		}
		if b.Magic() != first.Magic() {
			return kindf(ErrInvalidMagic, "message format %d after format %d", b.Magic(), first.Magic())
		}
		if b.Magic() >= Magic2 && (b.Count() < 0 || b.LastOffsetDelta() < 0) {
			return kindf(ErrInvalidOffset, "record count %d, last offset delta %d", b.Count(), b.LastOffsetDelta())
		}
		if origin == OriginClient {
			if err := checkClientBatch(b); err != nil {
				return err
			}
		}
		rest = next
	}
	return nil
}

func checkClientBatch(b Batch) error {
	if b.Magic() < Magic2 {
		return nil
	}
	switch delta, count := b.LastOffsetDelta(), b.Count(); {
	case count == 0:
		return kindf(ErrInvalidOffset, "no records")
	case int64(count) != int64(delta)+1:
		return kindf(ErrInvalidOffset, "record count %d with last offset delta %d", count, delta)
	case b.IsControl():
		return kindf(ErrInvalidOffset, "control batch from a client")
	case b.HasProducerID() && b.BaseSequence() < 0:
		return kindf(ErrInvalidOffset, "sequence %d of producer %d", b.BaseSequence(), b.ProducerID())
	}
	return nil
}

// keep checks the records of a v2 batch that is to be stored as it is, and
// sets its timestamp fields.
func keep(v Validated, b Batch, target Codec, o *ValidateOptions) (Validated, error) {
	maxTimestamp := b.MaxTimestamp()
	limit := o.bounds()
	// A producer has no business with LogAppendTime; the slow path sorts out
	// the cases where it may stay.
	sure := b.TimestampType() == CreateTime
	switch {
	case sure && b.Codec() == None:
		maxTimestamp, sure = scan(b[HeaderSize:], b.Count(), b.BaseTimestamp(), limit, o.Compacted)
	case o.Compacted || limit != noBounds:
		sure = false
	}
	if !sure {
		slow := *o // as above
		irregular, err := false, error(nil)
		if maxTimestamp, irregular, err = look(b, &slow); err != nil {
			return Validated{}, err
		}
		if irregular && b.Codec() != None {
			return rebuild(v, target, &slow)
		}
	}
	if o.TimestampType == LogAppendTime {
		maxTimestamp = o.Now
	}
	b.SetMaxTimestamp(o.TimestampType, maxTimestamp)
	v.MaxTimestamp = maxTimestamp
	v.OffsetOfMaxTimestampDelta = b.LastOffsetDelta()
	return v, nil
}

var noBounds = bounds{math.MinInt64, math.MaxInt64}

// bounds are absolute; with LogAppendTime there are none.
func (o *ValidateOptions) bounds() bounds {
	limit := noBounds
	if o.TimestampType == LogAppendTime {
		return limit
	}
	if o.BeforeMax != NoTimestampBound && o.Now >= math.MinInt64+o.BeforeMax {
		limit.min = o.Now - o.BeforeMax
	}
	if o.AfterMax != NoTimestampBound && o.Now <= math.MaxInt64-o.AfterMax {
		limit.max = o.Now + o.AfterMax
	}
	return limit
}
