package storage

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// strayNames lists what is set aside in a directory.
func strayNames(t testing.TB, fsys vfs.FS, dir string) []string {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	check(t, err)
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), strayDirSuffix) {
			names = append(names, e.Name())
		}
	}
	return names
}

// A replica set aside is kept for as long as it was said, over restarts, and then removed; what others have set aside never is.
func TestStrayIsRemovedAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		o := ManagerOptions{Dirs: []string{"/a", "/b"}, FS: mem, StrayDeleteDelay: 24 * time.Hour}
		run := func(during func(m *Manager)) {
			t.Helper()
			m, err := OpenManager(context.Background(), o)
			check(t, err)
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = m.Run(ctx)
			}()
			during(m)
			stop()
			<-ended
			check(t, m.Close())
		}
		tp := meta.TopicPartition{Topic: strings.Repeat("n", 240), Partition: 12}
		run(func(m *Manager) {
			l, err := m.GetOrCreate(tp, CreateOptions{IsNew: true, Dir: "/a"})
			check(t, err)
			_, err = l.AppendAsLeader(plain(t, 5), AppendOptions{})
			check(t, err)
			check(t, m.SetAside(tp, "a test\nof two lines"))
			if err := m.SetAside(tp, ""); err == nil {
				t.Error("set aside twice")
			}
			if _, ok := m.Log(tp); ok || l.Err() == nil {
				t.Error("the log is in use")
			}
			// Another of the name.
			l, err = m.GetOrCreate(tp, CreateOptions{IsNew: true, Dir: "/a"})
			check(t, err)
			if l.LogEndOffset() != 0 {
				t.Error("the new log is not new")
			}
			time.Sleep(10 * time.Hour)
		})
		check(t, mem.MkdirAll("/b/others-0.00000000000000000000000000000001-stray"))
		run(func(m *Manager) {
			time.Sleep(13 * time.Hour)
			if n := strayNames(t, mem, "/a"); len(n) != 1 || len(n[0]) > maxNameLength {
				t.Fatalf("after 23 hours: %q", n)
			}
		})
		o.StrayDeleteDelay = -1
		run(func(m *Manager) { time.Sleep(1000 * time.Hour) })
		if n := strayNames(t, mem, "/a"); len(n) != 1 {
			t.Fatalf("to be kept for ever: %q", n)
		}
		o.StrayDeleteDelay = 2000 * time.Hour
		run(func(m *Manager) {
			time.Sleep(900 * time.Hour)
			if n := strayNames(t, mem, "/a"); len(n) != 1 {
				t.Errorf("after 1923 hours of 2000: %q", n)
			}
			time.Sleep(100 * time.Hour)
			if n := strayNames(t, mem, "/a"); len(n) != 0 {
				t.Errorf("after its time: %q", n)
			}
			if n := strayNames(t, mem, "/b"); len(n) != 1 {
				t.Errorf("of others: %q", n)
			}
			if _, ok := m.Log(tp); !ok {
				t.Error("the other log of the name is gone")
			}
		})
		entries, err := mem.ReadDir("/a")
		check(t, err)
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), deleteDirSuffix) {
				t.Errorf("%s is left", e.Name())
			}
		}
	})
}

// The broker may die at any step of setting aside: the replica is in its place or set aside, and whole.
func TestSettingAsideSurvivesACrash(t *testing.T) {
	for _, kill := range []bool{true, false} {
		for step := 1; ; step++ {
			mem := vfs.NewMem()
			rng := rand.New(rand.NewPCG(uint64(step), 9))
			var watching atomic.Bool
			var ops atomic.Int32
			var after *vfs.Mem
			m, tp, o := movedLog(t, &vfs.Fault{FS: mem, Hook: func(op vfs.Op, name string) error {
				if watching.Load() && op != vfs.OpRead && op != vfs.OpStat && op != vfs.OpOpen && int(ops.Add(1)) == step {
					if kill {
						after = mem.Clone()
					} else {
						after = mem.CrashClone(rng)
					}
				}
				return nil
			}})
			l, _ := m.Log(tp)
			want := bytesOf(t, l)
			check(t, l.Flush())
			watching.Store(true)
			check(t, m.SetAside(tp, "test"))
			watching.Store(false)
			check(t, m.Close())
			if after == nil {
				if step < 8 {
					t.Errorf("setting aside has %d steps", step)
				}
				break
			}
			o.FS = after
			m, err := OpenManager(context.Background(), o)
			if err != nil {
				t.Fatalf("step %d: %v", step, err)
			}
			stray := strayNames(t, after, "/a")
			if l, ok := m.Log(tp); ok == (len(stray) > 0) || ok && bytesOf(t, l) != want {
				t.Errorf("step %d: there is a log: %v, set aside: %q", step, ok, stray)
			}
			if len(stray) > 0 {
				// Put back by hand it is what it was.
				check(t, m.Close())
				check(t, after.Rename("/a/"+stray[0], "/a/"+tp.String()))
				m, err = OpenManager(context.Background(), o)
				check(t, err)
				if l, ok := m.Log(tp); !ok || bytesOf(t, l) != want {
					t.Errorf("step %d: put back, there is %v", step, l)
				}
				if _, err := after.Stat("/a/" + tp.String() + "/" + strayFile); err == nil {
					t.Errorf("step %d: %s is left", step, strayFile)
				}
			}
			check(t, m.Close())
		}
	}
}
