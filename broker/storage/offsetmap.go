package storage

import (
	"crypto/sha256"
	"encoding/binary"
)

// offsetMap tells for each key of the dirty part of a log the offset of its last record. It keeps 128 bits of a hash
// instead of the key, cryptographic because clients choose the keys and two with the same hash would lose one.
type offsetMap struct {
	slots  []offsetSlot
	used   int
	limit  int   // of used
	latest int64 // everything up to here is in the map
}

type offsetSlot struct {
	hash [16]byte
	next int64 // offset + 1; 0: free
}

const offsetSlotSize = 24

// newOffsetMap takes at most memory bytes, and no more than keys need, filled up to load (0..1).
func newOffsetMap(memory int64, load float64, keys int64) *offsetMap {
	slots := max(memory/offsetSlotSize, 2)
	if need := int64(float64(keys)/load) + 2; keys >= 0 && need > 0 && need < slots {
		slots = need
	}
	return &offsetMap{slots: make([]offsetSlot, slots), limit: max(min(int(float64(slots)*load), int(slots)-1), 1), latest: -1}
}

func hashKey(key []byte) (h [16]byte) {
	sum := sha256.Sum256(key)
	copy(h[:], sum[:])
	return h
}

func (m *offsetMap) find(h [16]byte) *offsetSlot {
	i := binary.LittleEndian.Uint64(h[:8]) % uint64(len(m.slots))
	for {
		s := &m.slots[i]
		if s.next == 0 || s.hash == h {
			return s
		}
		if i++; i == uint64(len(m.slots)) {
			i = 0
		}
	}
}

// put notes the offset of a key; false if the map is full. Offsets come in ascending order.
func (m *offsetMap) put(key []byte, offset int64) bool {
	if m.used >= m.limit {
		return false
	}
	h := hashKey(key)
	s := m.find(h)
	if s.next == 0 {
		m.used++
		s.hash = h
	}
	s.next = offset + 1
	return true
}

// get returns the last offset of a key, -1 if it is not in the map.
func (m *offsetMap) get(key []byte) int64 { return m.find(hashKey(key)).next - 1 }
