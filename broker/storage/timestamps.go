package storage

import (
	"errors"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// TimestampOffset is a record's timestamp, offset and leader epoch (-1 unknown).
type TimestampOffset struct {
	Timestamp   int64
	Offset      int64
	LeaderEpoch meta.LeaderEpoch
}

// OffsetForTimestamp finds the first record with timestamp >= ts at or after the log start offset.
func (l *Log) OffsetForTimestamp(ts int64) (TimestampOffset, bool, error) {
	return l.lookForTime(func(segs []*segment) (TimestampOffset, bool, error) {
		start := l.logStart.Load()
		for _, s := range segs {
			largest, err := s.largestOrModified()
			if err != nil {
				return TimestampOffset{}, false, err
			}
			if largest >= ts {
				// Kafka looks no further, even if compaction or the log start offset hide what made this segment young.
				return s.firstSince(ts, start)
			}
		}
		return TimestampOffset{}, false, nil
	})
}

// MaxTimestampOffset finds the first record with the largest timestamp (KIP-734).
func (l *Log) MaxTimestampOffset() (TimestampOffset, bool, error) {
	return l.lookForTime(func(segs []*segment) (TimestampOffset, bool, error) {
		var best timed
		var in *segment
		for _, s := range segs {
			t, err := s.largest()
			if err != nil {
				return TimestampOffset{}, false, err
			}
			if in == nil || t.timestamp > best.timestamp {
				best, in = t, s
			}
		}
		if best.timestamp < 0 {
			return TimestampOffset{}, false, nil
		}
		return in.firstWithMax(best)
	})
}

// lookForTime repeats a search that ran into a segment being removed.
func (l *Log) lookForTime(search func([]*segment) (TimestampOffset, bool, error)) (TimestampOffset, bool, error) {
	var r retry
	for {
		if err := l.Err(); err != nil {
			return TimestampOffset{}, false, err
		}
		segs := l.segments.Load()
		t, ok, err := search(*segs)
		if errors.Is(err, record.ErrCorrupt) && l.segments.Load() != segs {
			err = errGone // cut and written over while it was read
		}
		if !r.again(l, err) {
			return t, ok, l.readFailed("search by timestamp", err)
		}
	}
}

// firstSince finds the first record at or after offset start with timestamp >= ts.
func (s *segment) firstSince(ts, start int64) (TimestampOffset, bool, error) {
	after, err := s.lookupTime(ts)
	if err != nil {
		return TimestampOffset{}, false, err
	}
	near, err := s.lookup(max(after.offset, start))
	if err != nil {
		return TimestampOffset{}, false, err
	}
	return s.findRecord(near.position, func(b *record.Header) bool { return b.MaxTimestamp >= ts && b.LastOffset() >= start },
		func(r *record.Record) bool { return r.Timestamp >= ts && r.Offset >= start })
}

// firstWithMax finds the first record with the segment's largest timestamp.
func (s *segment) firstWithMax(largest timed) (TimestampOffset, bool, error) {
	near, err := s.lookup(largest.offset)
	if err != nil {
		return TimestampOffset{}, false, err
	}
	return s.findRecord(near.position, func(b *record.Header) bool { return b.MaxTimestamp == largest.timestamp },
		func(r *record.Record) bool { return r.Timestamp == largest.timestamp })
}

// findRecord scans from a position for the first record that is wanted, in batches that may have one.
func (s *segment) findRecord(pos int64, mayHave func(*record.Header) bool, wanted func(*record.Record) bool) (TimestampOffset, bool, error) {
	h, err := s.acquire()
	if err != nil {
		return TimestampOffset{}, false, s.gone(err)
	}
	defer h.release()
	sc := newScanner(h, pos, s.size.Load(), scanBuffer)
	defer sc.close()
	var buf []byte
	for sc.next() {
		if !mayHave(&sc.h) {
			continue
		}
		if buf, err = readBatch(h, sc.at, sc.h.Size(), buf); err != nil {
			return TimestampOffset{}, false, err
		}
		b, err := record.View(buf)
		if err != nil {
			return TimestampOffset{}, false, err
		}
		for r, err := range b.Records(nil) {
			if err != nil {
				return TimestampOffset{}, false, err
			}
			if wanted(&r) {
				return TimestampOffset{r.Timestamp, r.Offset, meta.LeaderEpoch(b.PartitionLeaderEpoch())}, true, nil
			}
		}
	}
	return TimestampOffset{}, false, sc.err
}
