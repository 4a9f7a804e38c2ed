package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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
	h, err := s.openLocked(txnIndexSuffix)
	if err != nil {
		return err
	}
	defer h.release()
	info, err := h.Stat()
	if err != nil {
		return err
	}
	if s.txns.last >= t.lastOffset {
		return fmt.Errorf("transaction index of segment %d: marker %d after %d", s.base, t.lastOffset, s.txns.last)
	}
	b := t.encode()
	if _, err := h.WriteAt(b[:], info.Size()/txnEntryWidth*txnEntryWidth); err != nil {
		return ioError("append to", fileName(s.base, txnIndexSuffix), err)
	}
	s.txns = txnIndex{exists: true, unsynced: true, last: t.lastOffset}
	return nil
}

// hasTxns says whether the segment holds abort markers.
func (s *segment) hasTxns() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.txns.exists
}

// eachTxn calls f for the entries in order until it returns false.
func (s *segment) eachTxn(f func(abortedTxn) bool) error {
	s.mu.Lock()
	if !s.txns.exists {
		s.mu.Unlock()
		return nil
	}
	h, err := s.openLocked(txnIndexSuffix)
	s.mu.Unlock()
	if err != nil {
		return s.gone(err)
	}
	defer h.release()
	page := pages.Get().(*[pageEntries * timeEntryWidth]byte)
	defer pages.Put(page)
	buf := page[:len(page)/txnEntryWidth*txnEntryWidth]
	for pos := int64(0); ; pos += int64(len(buf)) {
		n, err := h.ReadAt(buf, pos)
		for b := buf[:n]; len(b) >= txnEntryWidth; b = b[txnEntryWidth:] {
			t, err := decodeTxn(b)
			if err != nil {
				return fmt.Errorf("segment %d: %w", s.base, err)
			}
			if !f(t) {
				return nil
			}
		}
		if n < len(buf) {
			if err == io.EOF {
				err = nil
			}
			return err
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
		return nil
	}
	h, err := s.openLocked(txnIndexSuffix)
	if err != nil {
		return err
	}
	defer h.release()
	if err := h.Truncate(keep * txnEntryWidth); err != nil {
		return ioError("truncate", fileName(s.base, txnIndexSuffix), err)
	}
	s.txns.last, s.txns.unsynced = last, true
	return nil
}
