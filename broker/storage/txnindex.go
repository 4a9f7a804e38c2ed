package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// The transaction index (.txnindex) lists the transactions whose ABORT marker is in the segment:
//
//	version          int16   0
//	producerId       int64
//	firstOffset      int64   of the transaction in this partition
//	lastOffset       int64   of the marker; ascending
//	lastStableOffset int64   when the marker was written
//
// The file exists only if there are any, and is opened for each use: aborts are rare.

const txnEntryWidth = 34

// txnIndex is what is known of the file. Guarded by segment.mu.
type txnIndex struct {
	exists   bool
	unsynced bool
	last     int64 // lastOffset of the newest entry; -1 unknown or none
	// waiting are entries that there was no room for in the file. A flush of the segment fails until they are written.
	waiting []abortedTxn
}

// abortedTxn is an entry.
type abortedTxn struct {
	producerID       int64
	firstOffset      int64
	lastOffset       int64
	lastStableOffset int64
}

func (t abortedTxn) encode() (b [txnEntryWidth]byte) {
	binary.BigEndian.PutUint64(b[2:], uint64(t.producerID))
	binary.BigEndian.PutUint64(b[10:], uint64(t.firstOffset))
	binary.BigEndian.PutUint64(b[18:], uint64(t.lastOffset))
	binary.BigEndian.PutUint64(b[26:], uint64(t.lastStableOffset))
	return b
}

var errTxnIndex = errors.New("malformed transaction index")

func decodeTxn(b []byte) (abortedTxn, error) {
	if v := binary.BigEndian.Uint16(b); v != 0 {
		return abortedTxn{}, fmt.Errorf("%w: version %d", errTxnIndex, v)
	}
	return abortedTxn{
		producerID:       int64(binary.BigEndian.Uint64(b[2:])),
		firstOffset:      int64(binary.BigEndian.Uint64(b[10:])),
		lastOffset:       int64(binary.BigEndian.Uint64(b[18:])),
		lastStableOffset: int64(binary.BigEndian.Uint64(b[26:])),
	}, nil
}

// addTxn appends an entry.
func (s *segment) addTxn(t abortedTxn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.txns.last >= t.lastOffset {
		return fmt.Errorf("transaction index of segment %d: marker %d after %d", s.base, t.lastOffset, s.txns.last)
	}
	s.txns.waiting = append(s.txns.waiting, t)
	s.txns.last, s.txns.unsynced = t.lastOffset, true
	if err := s.writeTxnsLocked(); !isFull(err) {
		return err
	}
	return nil
}

// writeTxnsLocked brings the file up to date.
func (s *segment) writeTxnsLocked() error {
	if len(s.txns.waiting) == 0 {
		return nil
	}
	h, err := s.openLocked(txnIndexSuffix)
	if err != nil {
		return err
	}
	defer h.release()
	info, err := h.Stat()
	if err != nil {
		return err
	}
	s.txns.exists = true
	var b []byte
	for _, t := range s.txns.waiting {
		entry := t.encode()
		b = append(b, entry[:]...)
	}
	at := info.Size() / txnEntryWidth * txnEntryWidth
	if _, err := h.WriteAt(b, at); err != nil {
		err = ioError("append to", fileName(s.base, txnIndexSuffix), err)
		if undo := h.Truncate(at); undo != nil {
			return &syncError{errors.Join(err, undo)}
		}
		return err
	}
	s.txns.waiting = nil
	return nil
}

// hasTxns says whether the segment holds abort markers.
func (s *segment) hasTxns() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.txns.exists || len(s.txns.waiting) > 0
}

// eachTxn calls f for the entries in order until it returns false.
func (s *segment) eachTxn(f func(abortedTxn) bool) error {
	s.mu.Lock()
	exists, waiting := s.txns.exists, s.txns.waiting
	var h *handle
	var err error
	if exists {
		h, err = s.openLocked(txnIndexSuffix)
	}
	s.mu.Unlock()
	if err != nil {
		return s.gone(err)
	}
	last := int64(-1)
	if exists {
		defer h.release()
		more, err := s.eachWrittenTxn(h, func(t abortedTxn) bool {
			last = t.lastOffset
			return f(t)
		})
		if err != nil || !more {
			return err
		}
	}
	for _, t := range waiting {
		if t.lastOffset > last && !f(t) { // it may have been written meanwhile
			return nil
		}
	}
	return nil
}

// eachWrittenTxn calls f for the entries of the file, and says whether it wants more.
func (s *segment) eachWrittenTxn(h *handle, f func(abortedTxn) bool) (more bool, err error) {
	page := pages.Get().(*[pageEntries * timeEntryWidth]byte)
	defer pages.Put(page)
	buf := page[:len(page)/txnEntryWidth*txnEntryWidth]
	for pos := int64(0); ; pos += int64(len(buf)) {
		n, err := h.ReadAt(buf, pos)
		for b := buf[:n]; len(b) >= txnEntryWidth; b = b[txnEntryWidth:] {
			t, err := decodeTxn(b)
			if err != nil {
				return false, fmt.Errorf("segment %d: %w", s.base, err)
			}
			if !f(t) {
				return false, nil
			}
		}
		if n < len(buf) {
			if err == io.EOF {
				err = nil
			}
			return true, err
		}
	}
}

// checkTxns says whether the index can belong to this segment.
func (s *segment) checkTxns() error {
	var bad error
	err := s.eachTxn(func(t abortedTxn) bool {
		if t.lastOffset < s.base {
			bad = fmt.Errorf("%w: marker at %d in segment %d", errTxnIndex, t.lastOffset, s.base)
		}
		return false // they ascend
	})
	if err != nil {
		return err
	}
	return bad
}

// cutTxns drops the entries whose marker is at or above offset.
func (s *segment) cutTxns(offset int64) error {
	s.mu.Lock()
	s.txns.waiting = slices.DeleteFunc(slices.Clone(s.txns.waiting), func(t abortedTxn) bool { return t.lastOffset >= offset })
	left := len(s.txns.waiting)
	s.mu.Unlock()
	keep, last := int64(0), int64(-1)
	err := s.eachTxn(func(t abortedTxn) bool {
		if t.lastOffset >= offset {
			return false
		}
		keep, last = keep+1, t.lastOffset
		return true
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.txns.exists {
		s.txns.last = last
		return nil
	}
	h, err := s.openLocked(txnIndexSuffix)
	if err != nil {
		return err
	}
	defer h.release()
	if err := h.Truncate((keep - int64(left)) * txnEntryWidth); err != nil {
		return ioError("truncate", fileName(s.base, txnIndexSuffix), err)
	}
	s.txns.last, s.txns.unsynced = last, true
	return nil
}
