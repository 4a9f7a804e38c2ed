package storage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// copyLog brings a future log up to its current one.
func copyLog(t testing.TB, from, to *Log) {
	t.Helper()
	for to.LogEndOffset() < from.LogEndOffset() {
		_, err := to.AppendAsFollower(bytesFrom(t, from, to.LogEndOffset()))
		check(t, err)
	}
}

// bytesFrom reads what one read gives.
func bytesFrom(t testing.TB, l *Log, offset int64) []byte {
	t.Helper()
	r, err := l.Read(offset, 1<<20, l.LogEndOffset(), true)
	check(t, err)
	defer r.Slice.Release()
	buf := make([]byte, r.Slice.Len)
	if len(buf) > 0 {
		_, err = r.Slice.ReadAt(buf, 0)
		check(t, err)
	}
	return buf
}

// bytesOf is all of a log.
func bytesOf(t testing.TB, l *Log) string {
	t.Helper()
	var all strings.Builder
	for at := l.LogStartOffset(); at < l.LogEndOffset(); {
		buf := bytesFrom(t, l, at)
		all.Write(buf)
		for b, err := range record.Batches(buf) {
			check(t, err)
			at = b.NextOffset()
		}
	}
	return all.String()
}

// movedLog is a log of a few segments in /a with a complete copy in /b.
func movedLog(t testing.TB, fsys vfs.FS) (*Manager, meta.TopicPartition, ManagerOptions) {
	t.Helper()
	c := DefaultLogConfig()
	c.SegmentBytes, c.MaxIndexBytes = 2000, 4096
	o := ManagerOptions{Dirs: []string{"/a", "/b", "/c"}, FS: fsys, TopicConfig: func(string) *LogConfig { return &c }, Logger: testLogger(t)}
	m, err := OpenManager(context.Background(), o)
	check(t, err)
	tp := meta.TopicPartition{Topic: "t"}
	l, err := m.GetOrCreate(tp, CreateOptions{IsNew: true, Dir: "/a", TopicID: meta.NewTopicID()})
	check(t, err)
	check(t, l.AssignEpochStart(1, 0))
	for range 20 {
		_, err = l.AppendAsLeader(plain(t, 5), AppendOptions{LeaderEpoch: 1})
		check(t, err)
	}
	check(t, l.AssignEpochStart(3, l.LogEndOffset())) // nothing is written in it yet
	l.SetHighWatermark(90)
	check(t, m.CheckpointHighWatermarks())
	future, err := m.GetOrCreate(tp, CreateOptions{Future: true, Dir: "/b", TopicID: l.TopicID()})
	check(t, err)
	copyLog(t, l, future)
	return m, tp, o
}

// The broker may die at any step of a replacement, and so may the machine: there is one replica afterwards, with everything.
func TestReplacementSurvivesACrash(t *testing.T) {
	for _, how := range []string{"kill", "power failure"} {
		t.Run(how, func(t *testing.T) {
			for step := 1; ; step++ {
				if !crashInReplacement(t, how == "kill", step) {
					if step < 12 {
						t.Errorf("a replacement has %d steps", step)
					}
					return
				}
			}
		})
	}
}

// crashInReplacement says whether there was such a step.
func crashInReplacement(t *testing.T, kill bool, step int) bool {
	mem := vfs.NewMem()
	rng := rand.New(rand.NewPCG(uint64(step), 7))
	var replacing atomic.Bool
	var ops atomic.Int32
	var after *vfs.Mem
	m, tp, o := movedLog(t, &vfs.Fault{FS: mem, Hook: func(op vfs.Op, name string) error {
		if replacing.Load() && op != vfs.OpRead && op != vfs.OpStat && op != vfs.OpOpen && int(ops.Add(1)) == step {
			if kill {
				after = mem.Clone()
			} else {
				after = mem.CrashClone(rng)
			}
		}
		return nil
	}})
	defer m.Close()
	l, _ := m.Log(tp)
	want := bytesOf(t, l)
	// Power failures of now take nothing that was there before.
	check(t, l.Flush())
	replacing.Store(true)
	check(t, m.ReplaceWithFuture(tp))
	replacing.Store(false)
	if l, _ = m.Log(tp); l.LatestEpoch() != 3 || l.HighWatermark() != 90 {
		t.Errorf("the new replica is in epoch %d with high watermark %d", l.LatestEpoch(), l.HighWatermark())
	}
	if after == nil {
		return false
	}
	o.FS = after
	m2, err := OpenManager(context.Background(), o)
	if err != nil {
		t.Errorf("step %d: %v", step, err)
		return true
	}
	defer m2.Close()
	now, ok := m2.Log(tp)
	switch {
	case !ok:
		t.Fatalf("step %d: the replica is gone", step)
	case bytesOf(t, now) != want:
		t.Errorf("step %d: the replica in %s ends at %d", step, now.Dir(), now.LogEndOffset())
	}
	future, moving := m2.FutureLog(tp)
	if moving == (now.Dir() == "/b") {
		t.Errorf("step %d: the replica is in %s, and there is a future one: %v", step, now.Dir(), moving)
	}
	if moving {
		copyLog(t, now, future)
		check(t, m2.ReplaceWithFuture(tp))
		now, _ = m2.Log(tp)
	}
	if now.Dir() != "/b" || bytesOf(t, now) != want {
		t.Errorf("step %d: ended in %s at %d", step, now.Dir(), now.LogEndOffset())
	}
	if left, err := readReplaced(after, now.place.path()); err != nil || left != nil {
		t.Errorf("step %d: %v %v is left", step, left, err)
	}
	return true
}

// A log directory that fails while its replica is being replaced, and comes back later, brings an old replica along. It is
// known to be old even if the new one has moved on since.
func TestReplacedReplicaComesBack(t *testing.T) {
	mem := vfs.NewMem()
	var broken atomic.Bool
	m, tp, o := movedLog(t, &vfs.Fault{FS: mem, Hook: func(op vfs.Op, name string) error {
		if op == vfs.OpRename && name == "/a/t-0" {
			broken.Store(true) // from the moment the copy has its name
		}
		if broken.Load() && strings.HasPrefix(name, "/a") {
			return syscall.EIO
		}
		return nil
	}})
	check(t, m.ReplaceWithFuture(tp))
	if live := fmt.Sprint(m.LiveDirs()); live != "[/b /c]" {
		t.Fatalf("live: %s", live)
	}
	now, _ := m.Log(tp)
	_, err := now.AppendAsLeader(plain(t, 1), AppendOptions{LeaderEpoch: 3})
	check(t, err)
	_ = m.Close() // /a is offline

	// The broker runs on without it, and the replica moves once more.
	o.FS, o.Dirs = mem, []string{"/b", "/c"}
	m = openTestManager(t, o)
	now, _ = m.Log(tp)
	future, err := m.GetOrCreate(tp, CreateOptions{Future: true, Dir: "/c"})
	check(t, err)
	copyLog(t, now, future)
	check(t, m.ReplaceWithFuture(tp))
	check(t, m.Close())

	o.Dirs = []string{"/a", "/b", "/c"}
	m = openTestManager(t, o)
	now, ok := m.Log(tp)
	if !ok || now.Dir() != "/c" || now.LogEndOffset() != 101 {
		t.Fatalf("%v %v", now, ok)
	}
	if left, err := readReplaced(mem, "/c/t-0"); err != nil || left != nil {
		t.Errorf("%v %v", left, err)
	}
	// Two of which neither is known to replace the other need an operator.
	check(t, m.Close())
	check(t, mem.MkdirAll("/a/t-0"))
	if _, err := OpenManager(context.Background(), o); err == nil || !strings.Contains(err.Error(), "remove one of them") {
		t.Errorf("two replicas: %v", err)
	}
}

// Files of a log are opened while its directory gets another name.
func TestRenameBesideReaders(t *testing.T) {
	var reading atomic.Bool
	var opened atomic.Int32
	m, tp, _ := movedLog(t, &vfs.Fault{FS: vfs.NewMem(), Hook: func(op vfs.Op, name string) error {
		switch op {
		case vfs.OpOpen, vfs.OpCreate:
			opened.Add(1)
		case vfs.OpRename:
			// Readers first, as long as they may.
			before := opened.Load()
			for end := time.Now().Add(30 * time.Millisecond); reading.Load() && opened.Load() < before+20 && time.Now().Before(end); {
				runtime.Gosched()
			}
		}
		return nil
	}})
	defer m.Close()
	l, _ := m.Log(tp)
	future, _ := m.FutureLog(tp)
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				for _, log := range []*Log{l, future} {
					r, err := log.Read(rand.Int64N(100), 1000, 100, true)
					if err == nil {
						r.Slice.Release()
					} else if !errors.Is(err, ErrDeleted) {
						t.Errorf("read: %v", err)
						return
					}
					_ = log.closeIdle()
					_ = log.closeIdle()
					if _, err := (*log.segments.Load())[0].modifiedMs(); err != nil && log.Err() == nil {
						t.Errorf("stat: %v", err)
						return
					}
				}
			}
		})
	}
	reading.Store(true)
	check(t, m.ReplaceWithFuture(tp))
	check(t, m.Delete(tp))
	stop()
	readers.Wait()
	if live := m.LiveDirs(); len(live) != 3 {
		t.Errorf("live: %v", live)
	}
}

// A log that is being copied is not compacted, and a pass under way when the copying begins is given up: what was copied before
// would never be compacted afterwards, and tombstones would bring back what they hide.
func TestNoCompactionWhileMoving(t *testing.T) {
	c := DefaultLogConfig()
	o := ManagerOptions{Dirs: []string{"/a", "/b"}, FS: vfs.NewMem(), TopicConfig: func(string) *LogConfig { return &c }}
	compacted(&o, &c)
	m := openTestManager(t, o)
	tp := meta.TopicPartition{Topic: "t"}
	l, err := m.GetOrCreate(tp, CreateOptions{IsNew: true, Dir: "/a"})
	check(t, err)
	for i := range 100 {
		_, err = l.AppendAsLeader(keyed(t, record.BuilderOptions{}, fmt.Sprintf("k%d=%0100d", i%3, i)), AppendOptions{})
		check(t, err)
	}
	l.SetHighWatermark(100)
	size := l.Size()
	clean := func() bool { return m.cleaner.once(t.Context(), m.cleaner.config.Load(), nil) }

	// Under way.
	_, dirty, ok := m.cleaner.choose()
	if !ok {
		t.Fatal("nothing to clean")
	}
	p := &cleanPass{ctx: t.Context(), l: l, config: &c, cleaner: m.cleaner.config.Load(), threads: 1, dirty: dirty, nowMs: m.env.nowMs()}
	future, err := m.GetOrCreate(tp, CreateOptions{Future: true, Dir: "/b"})
	check(t, err)
	if _, err := p.run(); !errors.Is(err, errAborted) || l.Size() != size {
		t.Errorf("the pass under way: %v", err)
	}
	m.cleaner.release(l)
	if clean() || l.Size() != size {
		t.Error("compacted while it is copied")
	}
	copyLog(t, l, future)
	check(t, m.ReplaceWithFuture(tp))
	if !clean() || future.Size() >= size {
		t.Errorf("not compacted when it had moved: %d of %d bytes", future.Size(), size)
	}
	// A copy begun before a restart may lack what was compacted since: all of it is dirty.
	if _, ok := m.cleaner.point(future); !ok {
		t.Error("no position")
	}
	l = future
	future, err = m.GetOrCreate(tp, CreateOptions{Future: true, Dir: "/a"})
	check(t, err)
	copyLog(t, l, future)
	check(t, m.Close())
	m = openTestManager(t, o)
	check(t, m.ReplaceWithFuture(tp))
	l, _ = m.Log(tp)
	if at, ok := m.cleaner.point(l); ok || l.Dir() != "/a" {
		t.Errorf("position %d in %s", at, l.Dir())
	}
}
