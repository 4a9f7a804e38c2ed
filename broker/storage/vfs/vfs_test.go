package vfs

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestFilesystemsAgree runs the same calls against the real filesystem and the one in memory.
func TestFilesystemsAgree(t *testing.T) {
	for name, fsys := range map[string]FS{"os": OS{}, "mem": NewMem()} {
		t.Run(name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "a", "b")
			check(t, fsys.MkdirAll(root))
			p := func(s string) string { return filepath.Join(root, s) }

			if _, err := fsys.Open(p("x")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("open missing: %v", err)
			}
			f, err := fsys.Create(p("x"))
			check(t, err)
			_, err = f.WriteAt([]byte("hello"), 3)
			check(t, err)
			check(t, f.Sync())
			b := make([]byte, 10)
			n, err := f.ReadAt(b, 2)
			if n != 6 || err != io.EOF || string(b[:n]) != "\x00hello" {
				t.Errorf("read %q %v", b[:n], err)
			}
			check(t, f.Truncate(4))
			check(t, f.Truncate(6))
			got, err := ReadFile(fsys, p("x"))
			if err != nil || string(got) != "\x00\x00\x00h\x00\x00" {
				t.Errorf("content %q %v", got, err)
			}
			check(t, f.Preallocate(4096))
			check(t, f.Close())
			check(t, fsys.Rename(p("x"), p("y")))
			when := time.Unix(1700000000, 0)
			check(t, fsys.SetModTime(p("y"), when))
			info, err := fsys.Stat(p("y"))
			check(t, err)
			if info.Size() != 4096 || !info.ModTime().Equal(when) {
				t.Errorf("stat %d %v", info.Size(), info.ModTime())
			}
			_, err = fsys.OpenOrCreate(p("z"))
			check(t, err)
			check(t, fsys.SyncDir(root))
			entries, err := fsys.ReadDir(root)
			check(t, err)
			if len(entries) != 2 || entries[0].Name() != "y" || entries[1].Name() != "z" {
				t.Errorf("entries %v", entries)
			}
			check(t, fsys.Remove(p("z")))
			if err := fsys.Remove(p("z")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("remove missing: %v", err)
			}
			lock, err := fsys.Lock(p(".lock"))
			check(t, err)
			if _, err := fsys.Lock(p(".lock")); err == nil {
				t.Error("locked twice")
			}
			check(t, lock.Close())
			lock, err = fsys.Lock(p(".lock"))
			check(t, err)
			check(t, lock.Close())
			if total, usable, err := fsys.Usage(root); err != nil || total < usable || usable <= 0 {
				t.Errorf("usage %d %d %v", total, usable, err)
			}
			check(t, fsys.RemoveAll(root))
			check(t, fsys.RemoveAll(root))
		})
	}
}

func TestCrashKeepsWhatWasSynced(t *testing.T) {
	for seed := range uint64(200) {
		m := NewMem()
		check(t, m.MkdirAll("/d"))
		check(t, m.SyncDir("/"))
		f, err := m.Create("/d/f")
		check(t, err)
		_, err = f.WriteAt([]byte("safe"), 0)
		check(t, err)
		check(t, f.Sync())
		check(t, m.SyncDir("/d"))
		_, err = f.WriteAt([]byte("lost?"), 4)
		check(t, err)
		_, err = m.Create("/d/g")
		check(t, err)
		check(t, m.Rename("/d/g", "/d/h"))

		c := m.CrashClone(rand.New(rand.NewPCG(seed, 0)))
		got, err := ReadFile(c, "/d/f")
		if err != nil || len(got) < 4 || string(got[:4]) != "safe" {
			t.Fatalf("seed %d: %q %v", seed, got, err)
		}
		_, gerr := c.Stat("/d/g")
		_, herr := c.Stat("/d/h")
		if gerr == nil && herr == nil {
			t.Fatalf("seed %d: a rename left both names", seed)
		}
		k := m.Clone()
		if got, err := ReadFile(k, "/d/f"); err != nil || string(got) != "safelost?" {
			t.Fatalf("clone: %q %v", got, err)
		}
	}
}

func TestFault(t *testing.T) {
	boom := errors.New("boom")
	var fail Op
	f := &Fault{FS: NewMem(), Hook: func(op Op, name string) error {
		if op == fail {
			return boom
		}
		if op == OpWrite && fail == "full" {
			return &ShortWrite{2, syscall.ENOSPC}
		}
		return nil
	}}
	file, err := f.Create("/x")
	check(t, err)
	fail = "full"
	if n, err := file.WriteAt([]byte("abc"), 0); n != 2 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("short write %d %v", n, err)
	}
	fail = OpSync
	if err := file.Sync(); err != boom {
		t.Errorf("sync: %v", err)
	}
	fail = OpRename
	if err := f.Rename("/x", "/y"); err != boom {
		t.Errorf("rename: %v", err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
