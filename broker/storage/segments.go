package storage

import (
	"cmp"
	"slices"
)

// floorSegment is the position of the segment with the largest base at or below offset, -1 if offset is below all.
func floorSegment(segs []*segment, offset int64) int {
	i, found := slices.BinarySearchFunc(segs, offset, func(s *segment, o int64) int { return cmp.Compare(s.base, o) })
	if found {
		return i
	}
	return i - 1
}

// endOf is where segment i ends: at the base of the next, or at the log end offset.
func endOf(segs []*segment, i int, leo int64) int64 {
	if i+1 < len(segs) {
		return segs[i+1].base
	}
	return leo
}
