package storage

import (
	"encoding/binary"
	"math"
)

// The time index (.timeindex) maps timestamps to offsets:
//
//	timestamp      int64   no record up to the offset is younger
//	relativeOffset int32   last offset of the batch that has that timestamp - base offset of the segment
//
// An entry goes with an entry of the offset index if the largest timestamp has grown since the last one. A last entry
// with the segment's largest timestamp is made when the segment is rolled or closed; a slot is kept free for it.

const timeEntryWidth = 12

// timed is an entry of the time index.
type timed struct {
	timestamp int64
	offset    int64
}

func (s *segment) decodeTime(entry []byte) timed {
	return timed{int64(binary.BigEndian.Uint64(entry)), s.base + relative(entry[8:])}
}

// lastTimeLocked returns the last entry, {-1, base} if there is none.
func (s *segment) lastTimeLocked() (timed, error) {
	last, err := s.lastLocked(&s.times, timeIndexSuffix)
	if err != nil || last == nil {
		return timed{-1, s.base}, err
	}
	return s.decodeTime(last), nil
}

// addTimeLocked appends the segment's largest timestamp so far unless the last entry has it already.
func (s *segment) addTimeLocked() error {
	if err := s.knowMaxLocked(); err != nil {
		return err
	}
	last, err := s.lastTimeLocked()
	if err != nil {
		return err
	}
	t := s.max
	if t.timestamp <= last.timestamp {
		return nil
	}
	if s.times.n > 0 && t.offset < last.offset { // see addOffsetLocked
		if err := s.cutTimesLocked(t.offset); err != nil {
			return err
		}
	}
	var entry [timeEntryWidth]byte
	binary.BigEndian.PutUint64(entry[:], uint64(t.timestamp))
	binary.BigEndian.PutUint32(entry[8:], uint32(t.offset-s.base))
	s.times.push(entry[:])
	return s.spillLocked(&s.times, timeIndexSuffix)
}

// timesFullLocked says whether only the slot of the last entry is left.
func (s *segment) timesFullLocked() (bool, error) {
	if err := s.knowLocked(&s.times, timeIndexSuffix); err != nil {
		return false, err
	}
	return s.times.n >= s.maxIndexBytes/timeEntryWidth-1, nil
}

// lookupTime returns the last time index entry at or below ts; {-1, base} if there is none.
func (s *segment) lookupTime(ts int64) (timed, error) {
	s.mu.Lock()
	v, err := s.viewLocked(&s.times, timeIndexSuffix)
	s.mu.Unlock()
	if err != nil {
		return timed{}, s.gone(err)
	}
	defer v.release()
	f, err := v.search(byTime, ts)
	if err != nil || !f.has {
		return timed{-1, s.base}, err
	}
	return s.decodeTime(f.at[:]), nil
}

// cutTimesLocked drops the entries whose offset is at or above offset.
func (s *segment) cutTimesLocked(offset int64) error {
	v, err := s.viewLocked(&s.times, timeIndexSuffix)
	if err != nil {
		return err
	}
	defer v.release()
	f, err := v.search(byTimeOffset, min(offset-1-s.base, math.MaxInt32))
	if err != nil {
		return err
	}
	return s.cutLocked(&s.times, timeIndexSuffix, f.n)
}
