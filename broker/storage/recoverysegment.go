package storage

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

const recoveryBuffer = 1 << 20

var recoveryBuffers = sync.Pool{New: func() any { return new([recoveryBuffer]byte) }}

// errOverflow: a batch whose offset cannot be told relative to the segment's base, from a release that did not roll in
// time (KAFKA-6264). The segment has to be split there.
type errOverflow struct {
	pos  int64
	base int64 // of the batch
}

func (e *errOverflow) Error() string {
	return fmt.Sprintf("offset %d at position %d does not fit the segment", e.base, e.pos)
}

// rebuilding is what recovery of a segment brings up to date besides its indexes.
type rebuilding struct {
	interval int32
	ps       *producers
	txns     *txns
	epochs   *epochs
	changed  bool // the epochs
}

// rebuild scans the whole segment, checks every batch, cuts the file at the first that is not whole or not valid, and
// makes the indexes anew. It returns how many bytes were cut, and why. (LogSegment.recover)
func (s *segment) rebuild(r *rebuilding) (cut int64, reason error, err error) {
	h, err := s.acquire()
	if err != nil {
		return 0, nil, err
	}
	defer h.release()
	if err := s.resetIndexes(); err != nil {
		return 0, nil, err
	}
	buf := recoveryBuffers.Get().(*[recoveryBuffer]byte)
	defer recoveryBuffers.Put(buf)
	in := validReader{r: h, end: s.size.Load(), buf: buf[:]}
	last := s.base - 1
	for {
		b, pos, err := in.next()
		if err == nil && b.LastOffset() <= last { // the CRC does not cover the offset
			err = fmt.Errorf("%w: offset %d after %d", record.ErrCorrupt, b.LastOffset(), last)
		}
		switch {
		case err == io.EOF, errors.Is(err, record.ErrTruncated), errors.Is(err, record.ErrCorrupt), errors.Is(err, record.ErrInvalidRecord):
			if err == io.EOF {
				err = nil
			}
			return s.rebuilt(h, pos, err)
		case err != nil:
			return 0, nil, err
		case !s.fits(b.LastOffset()):
			return 0, nil, &errOverflow{pos, b.BaseOffset()}
		}
		if err := s.take(b, pos, in.size, r); err != nil {
			if !errors.Is(err, record.ErrCorrupt) && !errors.Is(err, record.ErrInvalidRecord) {
				return 0, nil, err
			}
			return s.rebuilt(h, pos, err) // a control batch without a readable marker
		}
		last = b.LastOffset()
	}
}

func (s *segment) resetIndexes() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.txns.exists {
		h, err := s.openLocked(txnIndexSuffix)
		if err != nil {
			return err
		}
		err = h.Truncate(0)
		h.release()
		if err != nil {
			return err
		}
		s.txns.last, s.txns.unsynced = -1, true
	}
	s.txns.waiting = nil
	if err := s.cutLocked(&s.offsets, indexSuffix, 0); err != nil {
		return err
	}
	if err := s.cutLocked(&s.times, timeIndexSuffix, 0); err != nil {
		return err
	}
	s.offsets.unsynced, s.times.unsynced, s.unsynced = true, true, true
	s.max, s.maxKnown = timed{-1, s.base}, true
	s.firstTs, s.firstKnown = -1, true
	s.sinceIndex = 0
	return nil
}

// take enters a valid batch in indexes, epochs and producer state.
func (s *segment) take(b record.Batch, pos int64, size int, r *rebuilding) error {
	s.mu.Lock()
	if pos == 0 {
		s.firstTs = b.MaxTimestamp()
	}
	err := s.noteLocked(b.LastOffset(), b.MaxTimestamp(), pos, size, r.interval)
	s.mu.Unlock()
	if err != nil || b.Magic() < record.Magic2 {
		return err
	}
	if epoch := meta.LeaderEpoch(b.PartitionLeaderEpoch()); epoch > r.epochs.latest() {
		r.changed = r.epochs.assign(epoch, b.BaseOffset()) || r.changed
	}
	if b.HasProducerID() {
		if err := r.ps.check(b, fromLeader); err != nil {
			r.ps.reset()
			if errors.Is(err, ErrInvalidTxnState) {
				return nil // not a matter of bytes; the leader accepted it
			}
			return err
		}
	}
	return r.ps.commit(r.txns, b.LastOffset()+1, s.addTxn)
}

// rebuilt ends the scan at pos.
func (s *segment) rebuilt(h *handle, pos int64, why error) (cut int64, reason error, err error) {
	cut = s.size.Load() - pos
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size.Store(pos)
	if cut > 0 {
		if err := h.Truncate(pos); err != nil {
			return 0, nil, err
		}
		// Before anything is appended: after a power failure the old bytes could lie behind new batches and, being
		// whole batches themselves, be taken for their continuation.
		if err := h.Sync(); err != nil {
			return 0, nil, err
		}
	}
	if err := s.trimLocked(); err != nil && !isFull(err) { // what is missing in the indexes is in memory
		return cut, why, err
	}
	return cut, why, nil
}

// validReader reads whole batches through one buffer and checks their CRCs. A batch larger than the buffer is checked in
// pieces, so that a broken length field does not size anything.
type validReader struct {
	r        io.ReaderAt
	pos, end int64
	size     int // of the current batch
	buf      []byte
	from     int64
	n        int
}

// next returns the batch at pos, of which at least the header is there, and moves behind it. io.EOF at the end,
// record.ErrTruncated at a torn tail, record.ErrCorrupt at anything that is not a batch; pos stays then.
func (v *validReader) next() (record.Batch, int64, error) {
	left := v.end - v.pos
	if left == 0 {
		return nil, v.pos, io.EOF
	}
	head, err := v.window(int(min(left, record.HeaderSize)))
	if err != nil {
		return nil, v.pos, err
	}
	hd, err := record.ParseHeader(head)
	if err != nil {
		return nil, v.pos, err
	}
	size := int64(hd.Size())
	if !hd.Complete || size > left {
		return nil, v.pos, record.ErrTruncated
	}
	at := v.pos
	if size <= int64(len(v.buf)) {
		b, err := v.window(int(size))
		if err != nil {
			return nil, at, err
		}
		if err := record.Batch(b).CheckCRC(); err != nil {
			return nil, at, err
		}
		v.pos, v.size = at+size, int(size)
		return record.Batch(b), at, nil
	}
	if err := v.checkLarge(&hd); err != nil {
		return nil, at, err
	}
	if hd.IsControl() {
		return nil, at, fmt.Errorf("%w: control batch of %d bytes", record.ErrCorrupt, size)
	}
	head, err = v.window(record.HeaderSize)
	if err != nil {
		return nil, at, err
	}
	v.pos, v.size = at+size, int(size)
	return record.Batch(head), at, nil
}

// window returns the n bytes at pos, through the buffer.
func (v *validReader) window(n int) ([]byte, error) {
	if v.pos < v.from || v.pos+int64(n) > v.from+int64(v.n) {
		want := int(min(int64(len(v.buf)), v.end-v.pos))
		got, err := v.r.ReadAt(v.buf[:want], v.pos)
		if got < n {
			if err == nil || err == io.EOF {
				err = record.ErrTruncated
			}
			return nil, err
		}
		v.from, v.n = v.pos, got
	}
	off := int(v.pos - v.from)
	return v.buf[off : off+n], nil
}

// checkLarge compares the CRC of a batch that does not fit the buffer.
func (v *validReader) checkLarge(h *record.Header) error {
	table, from := castagnoli, int64(record.PrefixSize+4)
	if h.Magic < record.Magic2 {
		table, from = crc32.IEEETable, record.PrefixSize-1
	}
	crc := uint32(0)
	for at, end := v.pos+from, v.pos+int64(h.Size()); at < end; {
		want := int(min(int64(len(v.buf)), end-at))
		n, err := v.r.ReadAt(v.buf[:want], at)
		v.from, v.n = at, n
		if n < want {
			if err == nil || err == io.EOF {
				err = record.ErrTruncated
			}
			return err
		}
		crc = crc32.Update(crc, table, v.buf[:n])
		at += int64(n)
	}
	if crc != h.CRC {
		return fmt.Errorf("%w: checksum %08x, stored %08x", record.ErrCorrupt, crc, h.CRC)
	}
	return nil
}
