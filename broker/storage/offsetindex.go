package storage

import (
	"encoding/binary"
	"math"
)

// The offset index (.index) maps offsets to file positions:
//
//	relativeOffset int32   last offset of a batch - base offset of the segment
//	position       int32   where that batch begins
//
// There is an entry for the first batch after more than index.interval.bytes since the last entry.

const offsetEntryWidth = 8

// indexed is an entry of the offset index.
type indexed struct {
	offset   int64
	position int64
}

func (s *segment) decodeOffset(entry []byte) indexed {
	return indexed{s.base + relative(entry), relative(entry[4:])}
}

// addOffsetLocked appends an entry. Entries at or above offset are of a file that is not what it was when it was closed:
// there are no such batches yet. They go.
func (s *segment) addOffsetLocked(offset, position int64) error {
	x := &s.offsets
	if err := s.knowLocked(x, indexSuffix); err != nil {
		return err
	}
	last, err := s.lastLocked(x, indexSuffix)
	if err != nil {
		return err
	}
	if last != nil && s.decodeOffset(last).offset >= offset {
		if err := s.cutOffsetsLocked(offset); err != nil {
			return err
		}
	}
	var entry [offsetEntryWidth]byte
	binary.BigEndian.PutUint32(entry[:], uint32(offset-s.base))
	binary.BigEndian.PutUint32(entry[4:], uint32(position))
	x.push(entry[:])
	return s.spillLocked(x, indexSuffix)
}

// offsetsFullLocked says whether no entry fits any more.
func (s *segment) offsetsFullLocked() (bool, error) {
	if err := s.knowLocked(&s.offsets, indexSuffix); err != nil {
		return false, err
	}
	return s.offsets.n >= s.maxIndexBytes/offsetEntryWidth, nil
}

// lookup returns the last index entry at or below offset; the beginning of the segment if there is none.
func (s *segment) lookup(offset int64) (indexed, error) {
	s.mu.Lock()
	v, err := s.viewLocked(&s.offsets, indexSuffix)
	s.mu.Unlock()
	if err != nil {
		return indexed{}, s.gone(err)
	}
	defer v.release()
	f, err := v.search(byOffset, min(offset-s.base, math.MaxInt32))
	if err != nil || !f.has {
		return indexed{s.base, 0}, err
	}
	return s.decodeOffset(f.at[:]), nil
}

// firstIndexedFrom returns the first index entry whose position is at least pos.
func (s *segment) firstIndexedFrom(pos int64) (indexed, bool, error) {
	s.mu.Lock()
	v, err := s.viewLocked(&s.offsets, indexSuffix)
	s.mu.Unlock()
	if err != nil {
		return indexed{}, false, s.gone(err)
	}
	defer v.release()
	f, err := v.search(byPosition, min(pos-1, math.MaxInt32))
	if err != nil || !f.hasTop {
		return indexed{}, false, err
	}
	return s.decodeOffset(f.next[:]), true, nil
}

// cutOffsetsLocked drops the entries at or above offset.
func (s *segment) cutOffsetsLocked(offset int64) error {
	v, err := s.viewLocked(&s.offsets, indexSuffix)
	if err != nil {
		return err
	}
	defer v.release()
	f, err := v.search(byOffset, min(offset-1-s.base, math.MaxInt32))
	if err != nil {
		return err
	}
	return s.cutLocked(&s.offsets, indexSuffix, f.n)
}
