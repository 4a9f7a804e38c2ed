package storage

import (
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
	"go.uber.org/zap"
)

// memLog is a log in memory, for tests that look inside.
func memLog(t testing.TB, fsys vfs.FS, change func(*ManagerOptions, *LogConfig)) (*Manager, *Log) {
	c := DefaultLogConfig()
	c.MaxIndexBytes = 1 << 20
	o := ManagerOptions{Dirs: []string{"/logs"}, FS: fsys, TopicConfig: func(string) *LogConfig { return &c }}
	if change != nil {
		change(&o, &c)
	}
	m := openTestManager(t, o)
	l, err := m.GetOrCreate(meta.TopicPartition{Topic: "t"}, CreateOptions{IsNew: true})
	check(t, err)
	return m, l
}

func memEnv(fsys vfs.FS) *env {
	mt, _ := newMetrics(nil)
	return &env{fs: fsys, logger: zap.NewNop(), now: time.Now, metrics: mt, flushSoon: func(*Log) {}}
}

// TestIndexSearch compares lookups with a sorted list, in every state an index can be in: with entries in memory only,
// in both places, in the file only, cut.
func TestIndexSearch(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	fsys := vfs.NewMem()
	check(t, fsys.MkdirAll("/d"))
	c := DefaultLogConfig()
	c.MaxIndexBytes = 1 << 20
	s, err := createSegment(memEnv(fsys), newPlace(&logDir{path: "/"}, "d"), 1000, &c, "")
	check(t, err)
	type entry struct{ offset, position, ts int64 }
	var entries []entry
	offset, position, ts := int64(1000), int64(0), int64(0)
	verify := func(what string) {
		t.Helper()
		for range 200 {
			target := 990 + rng.Int64N(offset-980)
			n := sort.Search(len(entries), func(i int) bool { return entries[i].offset > target })
			want := indexed{1000, 0}
			if n > 0 {
				want = indexed{entries[n-1].offset, entries[n-1].position}
			}
			if got, err := s.lookup(target); err != nil || got != want {
				t.Fatalf("%s: lookup %d of %d entries: %v %v, want %v", what, target, len(entries), got, err, want)
			}
			pos := rng.Int64N(position + 10)
			n = sort.Search(len(entries), func(i int) bool { return entries[i].position >= pos })
			got, ok, err := s.firstIndexedFrom(pos)
			if err != nil || ok != (n < len(entries)) || ok && got != (indexed{entries[n].offset, entries[n].position}) {
				t.Fatalf("%s: from position %d: %v %v %v, entry %d of %d", what, pos, got, ok, err, n, len(entries))
			}
			at := rng.Int64N(ts + 10)
			n = sort.Search(len(entries), func(i int) bool { return entries[i].ts > at })
			wantTime := timed{-1, 1000}
			if n > 0 {
				wantTime = timed{entries[n-1].ts, entries[n-1].offset}
			}
			if got, err := s.lookupTime(at); err != nil || got != wantTime {
				t.Fatalf("%s: lookup time %d: %v %v, want %v", what, at, got, err, wantTime)
			}
		}
	}
	for round := range 12 {
		for range []int{1, 5, 300, 600, 1500}[rng.IntN(5)] {
			offset += 1 + rng.Int64N(5)
			position += 1 + rng.Int64N(5000)
			ts += 1 + rng.Int64N(20)
			entries = append(entries, entry{offset, position, ts})
			s.mu.Lock()
			s.max = timed{ts, offset}
			check(t, s.addOffsetLocked(offset, position))
			check(t, s.addTimeLocked())
			s.mu.Unlock()
		}
		verify("after adding")
		switch round % 4 {
		case 0:
			check(t, s.sync(true))
			verify("after syncing")
		case 1:
			s.mu.Lock()
			s.used = false
			s.mu.Unlock()
			if open, err := s.idle(); open || err != nil {
				t.Fatal(open, err)
			}
			verify("after closing")
		case 2:
			cut := 1000 + rng.Int64N(offset-1000+1)
			s.mu.Lock()
			check(t, s.cutOffsetsLocked(cut))
			check(t, s.cutTimesLocked(cut))
			s.mu.Unlock()
			entries = entries[:sort.Search(len(entries), func(i int) bool { return entries[i].offset >= cut })]
			verify("after cutting")
		}
	}
	check(t, s.seal())
	info, err := fsys.Stat("/d/00000000000000001000.index")
	check(t, err)
	if info.Size() != int64(len(entries))*offsetEntryWidth {
		t.Errorf("sealed index has %d bytes for %d entries", info.Size(), len(entries))
	}
	s.closeFiles()
	s = openSegment(s.env, s.place, 1000, &c, 0, false)
	verify("after opening")
	// An entry below the last ones says that those are wrong.
	cut := entries[len(entries)-3].offset
	s.mu.Lock()
	check(t, s.addOffsetLocked(cut, position+1))
	s.mu.Unlock()
	if got, err := s.lookup(offset); err != nil || got != (indexed{cut, position + 1}) {
		t.Errorf("%v %v", got, err)
	}
}

func TestIndexFilesArePreallocated(t *testing.T) {
	fsys := vfs.NewMem()
	m, _ := memLog(t, fsys, func(_ *ManagerOptions, c *LogConfig) { c.MaxIndexBytes = 1003 })
	size := func(name string) int64 {
		info, err := fsys.Stat("/logs/t-0/" + name)
		check(t, err)
		return info.Size()
	}
	if a, b := size("00000000000000000000.index"), size("00000000000000000000.timeindex"); a != 1000 || b != 996 {
		t.Errorf("index files of %d and %d bytes, want 1000 and 996", a, b)
	}
	check(t, m.Close())
	if a, b := size("00000000000000000000.index"), size("00000000000000000000.timeindex"); a != 0 || b != 0 {
		t.Errorf("index files of %d and %d bytes after closing", a, b)
	}
}
