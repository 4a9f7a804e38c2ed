package storage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

func plain(t testing.TB, n int) record.Batch { return numberedBatch(t, record.BuilderOptions{}, n) }

func TestDirectoriesAreLocked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	m := openTestManager(t, ManagerOptions{Dirs: []string{dir}})
	if _, err := OpenManager(context.Background(), ManagerOptions{Dirs: []string{dir}}); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	check(t, m.Close())
	openTestManager(t, ManagerOptions{Dirs: []string{dir}})
	if _, err := OpenManager(context.Background(), ManagerOptions{Dirs: []string{dir + "2", dir + "2/"}}); err == nil || errors.Is(err, ErrLocked) {
		t.Errorf("the same directory twice: %v", err)
	}
}

func TestCreatePlacesLogs(t *testing.T) {
	m := openTestManager(t, ManagerOptions{Dirs: []string{"/a", "/b"}, FS: vfs.NewMem()})
	count := map[string]int{}
	for p := range int32(6) {
		l, err := m.GetOrCreate(meta.TopicPartition{Topic: "t", Partition: p}, CreateOptions{IsNew: true})
		check(t, err)
		count[l.Dir()]++
	}
	if count["/a"] != 3 || count["/b"] != 3 {
		t.Errorf("%v", count)
	}
	tp := meta.TopicPartition{Topic: "wanted"}
	m.PreferDir(tp, "/b")
	l, err := m.GetOrCreate(tp, CreateOptions{IsNew: true})
	if err != nil || l.Dir() != "/b" {
		t.Errorf("%v %v", l, err)
	}
	if _, err := m.GetOrCreate(meta.TopicPartition{Topic: "nowhere"}, CreateOptions{Dir: "/c"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	id, other := meta.NewTopicID(), meta.NewTopicID()
	_, err = m.GetOrCreate(tp, CreateOptions{TopicID: id})
	check(t, err)
	if _, err := m.GetOrCreate(tp, CreateOptions{TopicID: other}); !errors.Is(err, ErrTopicIDMismatch) {
		t.Errorf("another topic of the same name: %v", err)
	}
	if _, err := m.GetOrCreate(meta.TopicPartition{Topic: strings.Repeat("x", 260)}, CreateOptions{}); !errors.Is(err, ErrNameTooLong) {
		t.Errorf("%v", err)
	}
}

// TestOfflineDirectory: one bad directory of two, from the start and later.
func TestOfflineDirectory(t *testing.T) {
	mem := vfs.NewMem()
	var bad string
	fsys := &vfs.Fault{FS: mem, Hook: func(_ vfs.Op, name string) error {
		if bad != "" && strings.HasPrefix(name, bad) {
			return syscall.EIO
		}
		return nil
	}}
	var told []string
	o := ManagerOptions{Dirs: []string{"/a", "/b"}, FS: fsys, OnDirFailure: func(dir string, err error) { told = append(told, dir) }}
	m := openTestManager(t, o)
	var logs []*Log
	for p := range int32(4) {
		l, err := m.GetOrCreate(meta.TopicPartition{Topic: "t", Partition: p}, CreateOptions{IsNew: true})
		check(t, err)
		logs = append(logs, l)
	}
	bad = "/b"
	failed := 0
	for range 3 {
		for _, l := range logs {
			_, err := l.AppendAsLeader(plain(t, 1), AppendOptions{})
			switch {
			case l.Dir() == "/a":
				check(t, err)
			case !errors.Is(err, ErrDirOffline) || !errors.Is(err, syscall.EIO):
				t.Errorf("append in the failed directory: %v", err)
			default:
				failed++
			}
		}
	}
	if failed != 6 || len(told) != 1 || told[0] != "/b" {
		t.Errorf("%d failures, told of %v", failed, told)
	}
	bad = ""
	if _, err := logs[1].Read(0, 100, 1, true); !errors.Is(err, ErrDirOffline) {
		t.Errorf("a failed directory came back: %v", err)
	}
	dirs := m.Dirs()
	if dirs[0].Err != nil || dirs[1].Err == nil || dirs[0].Total <= 0 || dirs[1].Total != -1 || len(m.LiveDirs()) != 1 {
		t.Errorf("%+v", dirs)
	}
	tp := meta.TopicPartition{Topic: "new"}
	if _, err := m.GetOrCreate(tp, CreateOptions{}); !errors.Is(err, ErrDirOffline) {
		t.Errorf("created although the replica may be in the failed directory: %v", err)
	}
	l, err := m.GetOrCreate(tp, CreateOptions{IsNew: true})
	if err != nil || l.Dir() != "/a" {
		t.Errorf("%v", err)
	}
	if _, err := m.GetOrCreate(logs[1].tp, CreateOptions{IsNew: true}); !errors.Is(err, ErrDirOffline) {
		t.Errorf("got a log of the failed directory: %v", err)
	}
	if err := m.Close(); !errors.Is(err, ErrDirOffline) {
		t.Errorf("close: %v", err)
	}
	for dir, want := range map[string]bool{"/a/": true, "/b/": false} {
		if _, err := mem.Stat(dir + cleanShutdownFile); (err == nil) != want {
			t.Errorf("%s marked clean: %v", dir, err)
		}
	}
	bad = "/b"
	m = openTestManager(t, o)
	if len(m.LiveDirs()) != 1 || m.Dirs()[1].Err == nil {
		t.Errorf("%+v", m.Dirs())
	}
	check(t, errors.Unwrap(errors.Join(m.Close())))
	bad = "/"
	if _, err := OpenManager(context.Background(), o); !errors.Is(err, ErrDirOffline) {
		t.Errorf("opened without any directory: %v", err)
	}
}

// TestFullDiskAtASync: a sync that finds no room leaves nobody knows what. The directory goes offline, the broker lives, and after
// making room and a restart everything acknowledged is there.
func TestFullDiskAtASync(t *testing.T) {
	mem := vfs.NewMem()
	room := 10_000
	fsys := &vfs.Fault{FS: mem, Hook: func(op vfs.Op, name string) error {
		if op != vfs.OpSync || !strings.HasSuffix(name, logSuffix) {
			return nil
		}
		if room -= 300; room < 0 {
			return syscall.ENOSPC
		}
		return nil
	}}
	m, l := memLog(t, fsys, func(_ *ManagerOptions, c *LogConfig) { c.FlushMessages = 1 })
	acknowledged := int64(0)
	var err error
	for err == nil {
		var info AppendInfo
		if info, err = l.AppendAsLeader(plain(t, 3), AppendOptions{}); err == nil {
			acknowledged = info.LEO
		}
	}
	if !errors.Is(err, ErrDirOffline) || !errors.Is(err, syscall.ENOSPC) || acknowledged == 0 {
		t.Fatal(acknowledged, err)
	}
	_ = m.Close()
	room = 1 << 40
	m, l = memLog(t, fsys, nil)
	if l.LogEndOffset() < acknowledged {
		t.Errorf("log ends at %d, acknowledged was %d", l.LogEndOffset(), acknowledged)
	}
	_, err = l.AppendAsLeader(plain(t, 1), AppendOptions{})
	check(t, err)
}

func TestDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		m, l := memLog(t, mem, func(o *ManagerOptions, _ *LogConfig) { o.DirDeleteDelay = time.Minute })
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- m.Run(ctx) }()
		_, err := l.AppendAsLeader(plain(t, 5), AppendOptions{})
		check(t, err)
		slice, err := l.Read(0, 1000, 5, true)
		check(t, err)
		l.SetHighWatermark(5)
		check(t, l.Flush())
		check(t, m.CheckpointRecoveryPoints())
		check(t, m.CheckpointHighWatermarks())
		check(t, m.Delete(l.tp))
		if err := m.Delete(l.tp); !errors.Is(err, ErrNotFound) {
			t.Errorf("deleted twice: %v", err)
		}
		if _, err := l.AppendAsLeader(plain(t, 1), AppendOptions{}); !errors.Is(err, ErrDeleted) {
			t.Errorf("append to a deleted log: %v", err)
		}
		if _, err := l.Read(0, 10, 5, true); !errors.Is(err, ErrDeleted) {
			t.Errorf("read from a deleted log: %v", err)
		}
		dirs := func() (names []string) {
			entries, err := mem.ReadDir("/logs")
			check(t, err)
			for _, e := range entries {
				if e.IsDir() {
					names = append(names, e.Name())
				}
			}
			return names
		}
		if got := dirs(); len(got) != 1 || !strings.HasPrefix(got[0], "t-0.") || !strings.HasSuffix(got[0], "-delete") {
			t.Errorf("%v", got)
		}
		// A log of the same name inherits nothing, also if the broker dies before the next checkpoint.
		fresh, err := m.GetOrCreate(l.tp, CreateOptions{IsNew: true})
		check(t, err)
		_, err = fresh.AppendAsLeader(plain(t, 2), AppendOptions{})
		check(t, err)
		killed := openTestManager(t, ManagerOptions{Dirs: []string{"/logs"}, FS: mem.Clone()})
		again, _ := killed.Log(l.tp)
		if again.LogStartOffset() != 0 || again.LogEndOffset() != 2 || again.RecoveryPoint() != 0 || killed.ReadHighWatermark(l.tp) != 0 {
			t.Errorf("log [%d, %d) recovery point %d high watermark %d", again.LogStartOffset(), again.LogEndOffset(), again.RecoveryPoint(),
				killed.ReadHighWatermark(l.tp))
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := dirs(); len(got) != 1 || got[0] != "t-0" {
			t.Errorf("%v", got)
		}
		buf := make([]byte, slice.Slice.Len)
		if _, err := slice.Slice.ReadAt(buf, 0); err != nil {
			t.Errorf("a slice of the deleted log: %v", err)
		}
		slice.Slice.Release()
		stop()
		check(t, <-ended)
	})
}

func TestDeletionGoesOnAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		m, l := memLog(t, mem, nil)
		check(t, m.Delete(l.tp))
		check(t, m.Close())
		m = openTestManager(t, ManagerOptions{Dirs: []string{"/logs"}, FS: mem})
		if _, ok := m.Log(l.tp); ok {
			t.Error("a deleted log came back")
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- m.Run(ctx) }()
		synctest.Wait()
		entries, err := mem.ReadDir("/logs")
		check(t, err)
		for _, e := range entries {
			if e.IsDir() {
				t.Errorf("%s is still there", e.Name())
			}
		}
		stop()
		check(t, <-ended)
	})
}

func TestLoadRefuses(t *testing.T) {
	for name, prepare := range map[string]func(root string) error{
		"a name nobody knows": func(root string) error { return os.MkdirAll(filepath.Join(root, "a", "lost+found"), 0o755) },
		"a partition twice": func(root string) error {
			return errors.Join(os.MkdirAll(filepath.Join(root, "a", "t-0"), 0o755), os.MkdirAll(filepath.Join(root, "b", "t-0"), 0o755))
		},
		"a directory of KRaft": func(root string) error {
			return os.WriteFile(filepath.Join(root, "a", metaPropertiesFile), []byte("version=1\nnode.id=1\n"), 0o644)
		},
		"directories of two brokers": func(root string) error {
			return errors.Join(os.WriteFile(filepath.Join(root, "a", metaPropertiesFile), []byte("version=0\nbroker.id=1\n"), 0o644), os.WriteFile(filepath.Join(root, "b", metaPropertiesFile), []byte("version=0\nbroker.id=2\n"), 0o644))
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			dirs := []string{filepath.Join(root, "a"), filepath.Join(root, "b")}
			for _, d := range dirs {
				check(t, os.MkdirAll(d, 0o755))
			}
			check(t, prepare(root))
			if m, err := OpenManager(context.Background(), ManagerOptions{Dirs: dirs}); err == nil {
				m.Close()
				t.Error("opened")
			}
			// The locks are given back.
			lock, err := vfs.OS{}.Lock(filepath.Join(dirs[0], lockFile))
			check(t, err)
			lock.Close()
		})
	}
}

func TestWriteMetaProperties(t *testing.T) {
	mem := vfs.NewMem()
	o := ManagerOptions{Dirs: []string{"/a", "/b"}, FS: mem}
	m := openTestManager(t, o)
	if _, ok := m.MetaProperties(); ok {
		t.Error("properties out of nothing")
	}
	check(t, m.WriteMetaProperties(3, "cluster"))
	check(t, m.Close())
	m = openTestManager(t, o)
	if p, ok := m.MetaProperties(); !ok || p.BrokerID != 3 || p.ClusterID != "cluster" {
		t.Errorf("%+v %v", p, ok)
	}
}

// TestFutureLog is the move of a replica to another directory (KIP-113).
func TestFutureLog(t *testing.T) {
	mem := vfs.NewMem()
	o := ManagerOptions{Dirs: []string{"/a", "/b"}, FS: mem}
	m := openTestManager(t, o)
	tp := meta.TopicPartition{Topic: "t"}
	l, err := m.GetOrCreate(tp, CreateOptions{IsNew: true, Dir: "/a"})
	check(t, err)
	_, err = l.AppendAsLeader(plain(t, 5), AppendOptions{})
	check(t, err)
	check(t, m.cleaner.put(l, 3))
	future, err := m.GetOrCreate(tp, CreateOptions{Future: true, Dir: "/b"})
	check(t, err)
	if f, ok := m.FutureLog(tp); !ok || f != future || !f.IsFuture() || f.Dir() != "/b" {
		t.Errorf("%v %v", f, ok)
	}
	r, err := l.Read(0, 1000, 5, true)
	check(t, err)
	buf := make([]byte, r.Slice.Len)
	_, err = r.Slice.ReadAt(buf, 0)
	check(t, err)
	r.Slice.Release()
	_, err = future.AppendAsFollower(buf)
	check(t, err)
	check(t, m.ReplaceWithFuture(tp))
	now, ok := m.Log(tp)
	if !ok || now != future || now.IsFuture() || now.LogEndOffset() != 5 {
		t.Errorf("%v %v", now, ok)
	}
	if p, ok := m.cleaner.point(now); !ok || p != 3 {
		t.Errorf("cleaner checkpoint %d %v", p, ok)
	}
	if err := l.Err(); !errors.Is(err, ErrDeleted) {
		t.Errorf("the old log: %v", err)
	}
	_, err = now.AppendAsLeader(plain(t, 1), AppendOptions{})
	check(t, err)
	check(t, m.Close())
	m = openTestManager(t, o)
	if now, ok = m.Log(tp); !ok || now.Dir() != "/b" || now.LogEndOffset() != 6 {
		t.Errorf("%v %v", now, ok)
	}
	if _, ok := m.FutureLog(tp); ok {
		t.Error("a future log is left")
	}
}

// TestSharedFlush: appends that wait for the disk together need few syncs.
func TestSharedFlush(t *testing.T) {
	const appends = 50
	var syncs atomic.Int32
	all := make(chan struct{}) // closed when everything is appended; the first sync waits for that
	fsys := &vfs.Fault{FS: vfs.NewMem(), Hook: func(op vfs.Op, name string) error {
		if op == vfs.OpSync && strings.HasSuffix(name, logSuffix) {
			syncs.Add(1)
			<-all
		}
		return nil
	}}
	_, l := memLog(t, fsys, func(_ *ManagerOptions, c *LogConfig) { c.FlushMessages = 1 })
	var wg sync.WaitGroup
	for range appends {
		batch := plain(t, 1)
		wg.Go(func() {
			info, err := l.AppendAsLeader(batch, AppendOptions{})
			if err != nil || l.RecoveryPoint() < info.LEO {
				t.Errorf("acknowledged %d with recovery point %d: %v", info.LEO, l.RecoveryPoint(), err)
			}
		})
	}
	for l.LogEndOffset() < appends {
		runtime.Gosched()
	}
	close(all)
	wg.Wait()
	if n := syncs.Load(); n > 3 {
		t.Errorf("%d syncs for %d appends at once", n, appends)
	}
}
