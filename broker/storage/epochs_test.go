package storage

import (
	"slices"
	"testing"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// TestEpochLookup is the table of LeaderEpochFileCache.endOffsetFor.
func TestEpochLookup(t *testing.T) {
	h := epochs{[]EpochEntry{{2, 10}, {4, 20}, {7, 30}}}
	for _, c := range []struct {
		epoch     meta.LeaderEpoch
		wantEpoch meta.LeaderEpoch
		wantEnd   int64
	}{{-1, -1, -1}, {0, 0, 10}, {1, 1, 10}, {2, 2, 20}, {3, 2, 20}, {4, 4, 30}, {6, 4, 30}, {7, 7, 99}, {8, -1, -1}} {
		if e, end := h.endOffset(c.epoch, 99); e != c.wantEpoch || end != c.wantEnd {
			t.Errorf("epoch %d: (%d, %d), want (%d, %d)", c.epoch, e, end, c.wantEpoch, c.wantEnd)
		}
	}
	if e, end := (&epochs{}).endOffset(3, 99); e != -1 || end != -1 {
		t.Errorf("of nothing: (%d, %d)", e, end)
	}
	for offset, want := range map[int64]meta.LeaderEpoch{5: -1, 10: 2, 19: 2, 20: 4, 30: 7, 1000: 7} {
		if got := h.forOffset(offset); got != want {
			t.Errorf("epoch of offset %d: %d, want %d", offset, got, want)
		}
	}
}

func TestEpochChanges(t *testing.T) {
	start := []EpochEntry{{2, 10}, {4, 20}, {7, 30}}
	for _, c := range []struct {
		name    string
		change  func(*epochs) bool
		changed bool
		want    []EpochEntry
	}{
		{"assign the next", func(h *epochs) bool { return h.assign(8, 40) }, true, []EpochEntry{{2, 10}, {4, 20}, {7, 30}, {8, 40}}},
		{"assign the latest further on", func(h *epochs) bool { return h.assign(7, 35) }, false, start},
		{"assign the latest further back", func(h *epochs) bool { return h.assign(7, 25) }, true, []EpochEntry{{2, 10}, {4, 20}, {7, 25}}},
		{"assign an older", func(h *epochs) bool { return h.assign(4, 50) }, true, []EpochEntry{{2, 10}, {4, 50}}},
		{"assign before others", func(h *epochs) bool { return h.assign(9, 15) }, true, []EpochEntry{{2, 10}, {9, 15}}},
		{"assign nothing", func(h *epochs) bool { return h.assign(-1, 15) }, false, start},
		{"cut the end", func(h *epochs) bool { return h.truncateFromEnd(20) }, true, []EpochEntry{{2, 10}}},
		{"cut nothing", func(h *epochs) bool { return h.truncateFromEnd(31) }, false, start},
		{"cut all", func(h *epochs) bool { return h.truncateFromEnd(0) }, true, nil},
		{"cut the start within", func(h *epochs) bool { return h.truncateFromStart(25) }, true, []EpochEntry{{4, 25}, {7, 30}}},
		{"cut the start at a border", func(h *epochs) bool { return h.truncateFromStart(20) }, true, []EpochEntry{{4, 20}, {7, 30}}},
		{"cut the start before all", func(h *epochs) bool { return h.truncateFromStart(5) }, false, start},
		{"cut the start at the first", func(h *epochs) bool { return h.truncateFromStart(10) }, false, start},
		{"cut the start behind all", func(h *epochs) bool { return h.truncateFromStart(50) }, true, []EpochEntry{{7, 50}}},
	} {
		h := epochs{slices.Clone(start)}
		before := h.entries
		if got := c.change(&h); got != c.changed || !slices.Equal(h.entries, c.want) {
			t.Errorf("%s: %v %v, want %v %v", c.name, got, h.entries, c.changed, c.want)
		}
		if !slices.Equal(before, start) {
			t.Errorf("%s: changed what others may hold", c.name)
		}
	}
}
