package storage

import (
	"slices"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// epochs is the history of leader epochs of one log (KIP-101): where each began. Pure; the Log that owns it guards it
// and writes the file.
//
// Invariant: entries ascend strictly in epoch and in start offset.
type epochs struct {
	entries []EpochEntry
}

// latest is the newest epoch, meta.NoLeaderEpoch if there is none.
func (h *epochs) latest() meta.LeaderEpoch {
	if len(h.entries) == 0 {
		return meta.NoLeaderEpoch
	}
	return h.entries[len(h.entries)-1].Epoch
}

// assign enters that epoch begins at start and says whether anything changed. Entries that contradict it, of a newer
// epoch or beginning at or after start, go: they are from a log that was truncated since.
func (h *epochs) assign(epoch meta.LeaderEpoch, start int64) bool {
	if epoch < 0 || start < 0 {
		return false
	}
	if n := len(h.entries); n > 0 {
		if last := h.entries[n-1]; last.Epoch == epoch && start >= last.StartOffset {
			return false
		}
	}
	keep := len(h.entries)
	for keep > 0 && (h.entries[keep-1].Epoch >= epoch || h.entries[keep-1].StartOffset >= start) {
		keep--
	}
	// A copy: readers hold on to snapshots of the old slice.
	h.entries = append(slices.Clip(h.entries[:keep]), EpochEntry{epoch, start})
	return true
}

// truncateFromEnd drops the epochs that begin at or after end and says whether any did.
func (h *epochs) truncateFromEnd(end int64) bool {
	keep := len(h.entries)
	for keep > 0 && h.entries[keep-1].StartOffset >= end {
		keep--
	}
	if keep == len(h.entries) {
		return false
	}
	h.entries = slices.Clip(h.entries[:keep])
	return true
}

// truncateFromStart drops the epochs that end at or before start; the one start lies in then begins there. It says
// whether anything changed.
func (h *epochs) truncateFromStart(start int64) bool {
	first := 0
	for first+1 < len(h.entries) && h.entries[first+1].StartOffset <= start {
		first++
	}
	if len(h.entries) == 0 || h.entries[first].StartOffset > start || (first == 0 && h.entries[0].StartOffset == start) {
		return false
	}
	h.entries = slices.Clone(h.entries[first:])
	h.entries[0].StartOffset = start
	return true
}

// clear forgets everything and says whether there was anything.
func (h *epochs) clear() bool {
	had := len(h.entries) > 0
	h.entries = nil
	return had
}

// endOffset is [Log.EndOffsetForEpoch] with the log end offset given.
func (h *epochs) endOffset(epoch meta.LeaderEpoch, leo int64) (meta.LeaderEpoch, int64) {
	latest := h.latest()
	switch {
	case epoch < 0 || latest < 0 || epoch > latest:
		return meta.NoLeaderEpoch, -1
	case epoch == latest:
		return latest, leo
	}
	// The first entry with a higher epoch; there is one.
	next := 0
	for h.entries[next].Epoch <= epoch {
		next++
	}
	if next == 0 {
		// All known epochs are newer: whatever was written in the older one ends where the oldest known begins.
		return epoch, h.entries[0].StartOffset
	}
	return h.entries[next-1].Epoch, h.entries[next].StartOffset
}

// forOffset is the epoch offset lies in.
func (h *epochs) forOffset(offset int64) meta.LeaderEpoch {
	epoch := meta.NoLeaderEpoch
	for _, e := range h.entries {
		if e.StartOffset > offset {
			break
		}
		epoch = e.Epoch
	}
	return epoch
}
