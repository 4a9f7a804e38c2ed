package storage

import (
	"github.com/kraal-mq/kraal/broker/record"
)

// cleanFilter decides what of each batch stays, and writes it. (LogCleaner.cleanInto, MemoryRecords.filterTo)
type cleanFilter struct {
	offsets         *offsetMap
	txns            *cleanTxns
	nowMs           int64
	deleteRetention int64
	keepOldDeletes  bool // tombstones of formats 0 and 1 in the segment at hand are not old enough
	producers       map[int64]lastOfProducer
	dec             *record.Decompressor
	builder         record.Builder
	keep            []bool // per record of the batch at hand
}

// lastOfProducer is what has to survive of an active producer: the batch with its last sequence number, or, if all it
// has is a marker, that with its epoch.
type lastOfProducer struct {
	offset int64 // -1: no data
	epoch  int16
}

// filter appends to dst what stays of b, perhaps nothing.
func (f *cleanFilter) filter(dst []byte, b record.Batch) ([]byte, error) {
	discard, emptyTxn := false, false
	if b.IsControl() {
		void, err := f.txns.control(b)
		if err != nil {
			return dst, err
		}
		emptyTxn = void
		discard = void && b.HasDeleteHorizon() && b.BaseTimestamp() <= f.nowMs
	} else {
		discard = f.txns.data(b)
	}
	last := b.HasProducerID() && f.isLastOfProducer(b)
	if discard && !last {
		return dst, nil
	}
	kept, tombstones := 0, false
	f.keep = f.keep[:0]
	if !discard {
		for r, err := range b.Records(f.dec) {
			if err != nil {
				return dst, err
			}
			stays := b.IsControl() || f.stays(b, &r)
			f.keep = append(f.keep, stays)
			if stays {
				kept++
				tombstones = tombstones || r.Value == nil
			}
		}
	}
	if kept == 0 {
		if last && b.Magic() >= record.Magic2 {
			dst = record.AppendEmptied(dst, b)
		}
		return dst, nil
	}
	var horizon *int64
	newHorizon := b.Magic() >= record.Magic2 && (tombstones || emptyTxn) && !b.HasDeleteHorizon()
	switch {
	case newHorizon:
		at := f.nowMs + f.deleteRetention
		horizon = &at
	case b.HasDeleteHorizon():
		at := b.BaseTimestamp()
		horizon = &at
	}
	if kept == len(f.keep) && !newHorizon {
		return append(dst, b...), nil
	}
	if b.Magic() < record.Magic2 {
		return f.rewriteLegacy(dst, b)
	}
	return f.rewrite(dst, b, horizon)
}

func (f *cleanFilter) isLastOfProducer(b record.Batch) bool {
	p, ok := f.producers[b.ProducerID()]
	if !ok {
		return false
	}
	if p.offset >= 0 {
		return b.LastOffset() == p.offset
	}
	return b.IsControl() && b.ProducerEpoch() == p.epoch
}

// stays says whether a data record survives.
func (f *cleanFilter) stays(b record.Batch, r *record.Record) bool {
	if r.Offset > f.offsets.latest {
		return true // not looked at yet
	}
	if r.Key == nil || r.Offset < f.offsets.get(r.Key) {
		return false
	}
	if r.Value != nil {
		return true
	}
	if b.Magic() < record.Magic2 {
		return f.keepOldDeletes
	}
	return !b.HasDeleteHorizon() || f.nowMs < b.BaseTimestamp()
}

// rewrite writes the records that stay as a batch with the ends, producer and codec of the old one.
func (f *cleanFilter) rewrite(dst []byte, b record.Batch, horizon *int64) ([]byte, error) {
	o := record.BuilderOptions{
		BaseOffset:           b.BaseOffset(),
		PartitionLeaderEpoch: b.PartitionLeaderEpoch(),
		Producer:             &record.ProducerInfo{ID: b.ProducerID(), Epoch: b.ProducerEpoch(), BaseSequence: b.BaseSequence()},
		Codec:                b.Codec(),
		Transactional:        b.IsTransactional(),
		Control:              b.IsControl(),
		TimestampType:        b.TimestampType(),
		DeleteHorizon:        horizon,
	}
	if o.TimestampType == record.LogAppendTime {
		o.LogAppendTime = b.MaxTimestamp()
	}
	f.builder.Reset(dst, o)
	i := 0
	for r, err := range b.Records(f.dec) {
		if err != nil {
			f.builder.Discard()
			return dst, err
		}
		if f.keep[i] {
			f.builder.AppendRecord(&r)
		}
		i++
	}
	f.builder.SetLastOffset(b.LastOffset())
	if _, err := f.builder.Build(); err != nil {
		return dst, err
	}
	return f.builder.Buffer(), nil
}

// rewriteLegacy writes the records of a compressed wrapper that stay.
func (f *cleanFilter) rewriteLegacy(dst []byte, b record.Batch) ([]byte, error) {
	o := record.LegacyOptions{Magic: b.Magic(), Codec: b.Codec(), TimestampType: b.TimestampType()}
	if o.TimestampType == record.LogAppendTime {
		o.LogAppendTime = b.MaxTimestamp()
	}
	var lb record.LegacyBuilder
	lb.Reset(dst, o)
	i := 0
	for r, err := range b.Records(f.dec) {
		if err != nil {
			lb.Discard()
			return dst, err
		}
		if f.keep[i] {
			lb.Append(r.Offset, r.Timestamp, r.Key, r.Value)
		}
		i++
	}
	return lb.Build()
}
