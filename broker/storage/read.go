package storage

import (
	"errors"
	"fmt"
	"io"

	"github.com/kraal-mq/kraal/broker/record"
)

// ReadInfo is a piece of a log, beginning at a batch.
type ReadInfo struct {
	// Slice holds the bytes; whoever got it must Release it once, also when it is empty.
	Slice FileSlice
	// FirstBatchLength is the size of the batch at the beginning of Slice, which may be cut if Slice.Len is less;
	// 0 when nothing was read.
	FirstBatchLength int
	// StartOffset is the base offset of the first batch, which may be below the offset asked for; -1 if nothing was read.
	StartOffset int64

	segmentBase int64
}

// Read finds the batches holding offsets from..., at most maxBytes of them and none at or beyond upTo (the high
// watermark, last stable offset or log end offset: exclusive). With minOneBatch the first batch is given whole even if
// it is larger. The last batch may be cut. One call never crosses a segment. No record bytes are read.
// ErrOffsetOutOfRange if from is not in [LogStartOffset, LogEndOffset]; nothing if from >= upTo.
func (l *Log) Read(from int64, maxBytes int, upTo int64, minOneBatch bool) (ReadInfo, error) {
	var r retry
	for {
		info, err := l.readOnce(from, maxBytes, upTo, minOneBatch)
		if !r.again(l, err) {
			return info, l.readFailed("read", err)
		}
	}
}

// retry is for readers that look at segments without a lock and may find them removed or cut.
type retry struct{ seen *[]*segment }

// again says whether to look once more. Who removes or cuts holds mu and publishes a new list, so after waiting for mu
// with the same list there is nothing to wait for: the file is shorter than it was written.
func (r *retry) again(l *Log, err error) bool {
	if !errors.Is(err, errGone) {
		return false
	}
	now := l.segments.Load()
	if now == r.seen {
		return false
	}
	l.mu.Lock()
	r.seen = l.segments.Load()
	l.mu.Unlock()
	return true
}

// readFailed tells errors that mean a bad disk from those that do not.
func (l *Log) readFailed(what string, err error) error {
	switch {
	case err == nil, errors.Is(err, ErrOffsetOutOfRange), errors.Is(err, ErrDirOffline), errors.Is(err, ErrClosed), errors.Is(err, ErrDeleted):
		return err
	case errors.Is(err, record.ErrCorrupt), errors.Is(err, record.ErrMessageTooLarge), errors.Is(err, record.ErrUnsupportedCompression),
		errors.Is(err, record.ErrInvalidRecord):
		return fmt.Errorf("%s, %s: %w", l.tp, what, err) // bad content
	case errors.Is(err, errGone):
		err = io.ErrUnexpectedEOF
	}
	return l.failed(what, err)
}

func (l *Log) readOnce(from int64, maxBytes int, upTo int64, minOneBatch bool) (ReadInfo, error) {
	nothing := ReadInfo{StartOffset: -1}
	if err := l.Err(); err != nil {
		return nothing, err
	}
	leo := l.leo.Load()
	if start := l.logStart.Load(); from < start || from > leo {
		return nothing, fmt.Errorf("read %s: %w", l.tp, &OffsetError{from, start, leo})
	}
	upTo = min(upTo, leo)
	if from >= upTo {
		return nothing, nil
	}
	segs := *l.segments.Load()
	for i := max(floorSegment(segs, from), 0); i < len(segs); i++ {
		s := segs[i]
		if s.base >= upTo {
			break
		}
		whole := i+1 < len(segs) && segs[i+1].base <= upTo
		info, ok, err := s.read(from, maxBytes, upTo, whole, minOneBatch)
		if err != nil || ok {
			return info, err
		}
		// Offsets from here to the end of the segment are gone by compaction: go on with the next.
	}
	return nothing, nil
}

// read is [Log.Read] in one segment. whole: upTo is not below its end. ok is false if it has nothing at or after from.
func (s *segment) read(from int64, maxBytes int, upTo int64, whole, minOneBatch bool) (info ReadInfo, ok bool, err error) {
	h, err := s.acquire()
	if err != nil {
		return ReadInfo{}, false, s.gone(err)
	}
	size := s.size.Load()
	first, ok, err := s.locate(h, from, 0)
	if err != nil || !ok {
		h.release()
		return ReadInfo{}, false, err
	}
	limit := size
	if !whole {
		limit, err = s.positionOf(h, upTo, first.pos, first.pos+int64(maxBytes), size)
		if err != nil {
			h.release()
			return ReadInfo{}, false, err
		}
	}
	n := int64(maxBytes)
	if minOneBatch {
		n = max(n, first.size)
	}
	n = min(n, limit-first.pos)
	if n <= 0 {
		h.release()
		return ReadInfo{StartOffset: -1}, true, nil
	}
	return ReadInfo{
		Slice:            FileSlice{Pos: first.pos, Len: int(n), h: h},
		FirstBatchLength: int(first.size),
		StartOffset:      first.base,
		segmentBase:      s.base,
	}, true, nil
}

// locate finds the first batch that ends at or after offset. h is the .log file; nothing before position min is looked at.
func (s *segment) locate(h *handle, offset, min int64) (b located, ok bool, err error) {
	size := s.size.Load()
	s.mu.Lock()
	b, ok, known := s.recent.find(offset, size)
	s.mu.Unlock()
	if known {
		return b, ok, nil
	}
	near, err := s.lookup(offset)
	if err != nil {
		return located{}, false, err
	}
	return locateFrom(h, max(near.position, min), size, offset)
}

// locateFrom scans for the first batch that ends at or after offset.
func locateFrom(h *handle, pos, size, offset int64) (b located, ok bool, err error) {
	sc := newScanner(h, pos, size, lookupChunk)
	defer sc.close()
	for sc.next() {
		if last := sc.h.LastOffset(); last >= offset {
			return located{sc.h.BaseOffset, last, sc.at, int64(sc.h.Size())}, true, nil
		}
	}
	return located{}, false, sc.err
}

// positionOf is where the batches that may be read up to offset end: where the first batch reaching offset begins, or
// at size. Answers beyond enough need not be exact.
func (s *segment) positionOf(h *handle, offset, from, enough, size int64) (int64, error) {
	s.mu.Lock()
	b, ok, known := s.recent.find(offset, size)
	s.mu.Unlock()
	if !known {
		near, err := s.lookup(offset)
		if err != nil {
			return 0, err
		}
		if near.position >= enough {
			return near.position, nil
		}
		if b, ok, err = locateFrom(h, max(near.position, from), size, offset); err != nil {
			return 0, err
		}
	}
	if !ok {
		return size, nil
	}
	return b.pos, nil
}

// BytesBetween estimates, without touching the disk when the offsets are recent, how many bytes lie in [from, upTo).
func (l *Log) BytesBetween(from, upTo int64) int64 {
	if from >= upTo || l.Err() != nil {
		return 0
	}
	segs := *l.segments.Load()
	var n int64
	for i := max(floorSegment(segs, from), 0); i < len(segs) && segs[i].base < upTo; i++ {
		s := segs[i]
		end := s.size.Load()
		if i+1 == len(segs) || segs[i+1].base > upTo {
			if upTo < l.leo.Load() {
				end = s.estimate(upTo)
			}
		}
		n += max(end-s.estimate(from), 0)
	}
	return n
}

// estimate is about where offset lies in the file: exact if it is recent, the index entry before it if not.
func (s *segment) estimate(offset int64) int64 {
	if offset <= s.base {
		return 0
	}
	size := s.size.Load()
	s.mu.Lock()
	b, ok, known := s.recent.find(offset, size)
	s.mu.Unlock()
	switch {
	case known && ok:
		return b.pos
	case known:
		return size
	}
	near, err := s.lookup(offset)
	if err != nil {
		return size // an estimate; who reads then will meet the error
	}
	return min(near.position, size)
}

// AbortedTxn is an aborted transaction as a fetch response lists it.
type AbortedTxn struct {
	ProducerID  int64
	FirstOffset int64
}

// AbortedTxns lists the aborted transactions with data in [from, upTo).
func (l *Log) AbortedTxns(from, upTo int64) ([]AbortedTxn, error) {
	var r retry
	for {
		var found []AbortedTxn
		err := l.eachAborted(from, upTo, func(t abortedTxn) { found = append(found, AbortedTxn{t.producerID, t.firstOffset}) })
		if !r.again(l, err) {
			return found, l.readFailed("read transaction index", err)
		}
	}
}

// AbortedTxnsIn lists the aborted transactions that may have data in what Read(from, ...) returned.
func (l *Log) AbortedTxnsIn(from int64, r ReadInfo) ([]AbortedTxn, error) {
	if r.Slice.Len == 0 {
		return nil, nil
	}
	var again retry
	for {
		upTo, err := l.upperBound(r)
		if again.again(l, err) {
			continue
		}
		if err != nil {
			return nil, l.readFailed("read offset index", err)
		}
		return l.AbortedTxns(from, upTo)
	}
}

// upperBound is an offset that nothing in r reaches: that of the first index entry at or after its end.
func (l *Log) upperBound(r ReadInfo) (int64, error) {
	leo := l.leo.Load()
	segs := *l.segments.Load()
	i := floorSegment(segs, r.StartOffset)
	if i < 0 {
		return leo, nil
	}
	if segs[i].base == r.segmentBase { // else compaction has merged it away meanwhile
		e, ok, err := segs[i].firstIndexedFrom(r.Slice.Pos + int64(r.Slice.Len))
		if err != nil || ok {
			return e.offset, err
		}
	}
	return endOf(segs, i, leo), nil
}

// eachAborted calls f for the aborted transactions that reach into [from, upTo). (LocalLog.collectAbortedTransactions)
func (l *Log) eachAborted(from, upTo int64, f func(abortedTxn)) error {
	if err := l.Err(); err != nil {
		return err
	}
	segs := *l.segments.Load()
	for _, s := range segs[max(floorSegment(segs, from), 0):] {
		complete := false
		err := s.eachTxn(func(t abortedTxn) bool {
			if t.lastOffset >= from && t.firstOffset < upTo {
				f(t)
			}
			complete = t.lastStableOffset >= upTo
			return !complete
		})
		if err != nil || complete {
			return err
		}
	}
	return nil
}
