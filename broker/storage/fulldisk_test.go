package storage

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// TestFullDisk: a disk without room costs nothing but what is to be written meanwhile. Reads, retention and the broker go on, other
// directories take new logs, and everything goes on without a restart when there is room again.
func TestFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	var full atomic.Bool
	fsys := &vfs.Fault{FS: mem, Hook: func(op vfs.Op, name string) error {
		if full.Load() && op == vfs.OpWrite && strings.HasPrefix(name, "/a") {
			return &vfs.ShortWrite{N: 37, Err: syscall.ENOSPC}
		}
		return nil
	}}
	c := DefaultLogConfig()
	c.SegmentBytes, c.MaxIndexBytes, c.RetentionBytes = 1000, 4096, 2000
	o := ManagerOptions{Dirs: []string{"/a", "/b"}, FS: fsys, TopicConfig: func(string) *LogConfig { return &c }}
	m := openTestManager(t, o)
	tp := meta.TopicPartition{Topic: "t"}
	l, err := m.GetOrCreate(tp, CreateOptions{IsNew: true, Dir: "/a"})
	check(t, err)
	for range 40 {
		_, err = l.AppendAsLeader(plain(t, 5), AppendOptions{})
		check(t, err)
	}
	l.SetHighWatermark(200)
	want := bytesOf(t, l)
	full.Store(true)
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ErrDiskFull) || errors.Is(err, ErrDirOffline) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for range 3 {
		_, err = l.AppendAsLeader(plain(t, 5), AppendOptions{})
		refused("append", err)
	}
	check(t, l.AssignEpochStart(7, 200)) // nothing is written in it
	_, err = l.AppendAsLeader(plain(t, 5), AppendOptions{LeaderEpoch: 7})
	refused("append in a new epoch", err)
	refused("checkpoint", m.CheckpointHighWatermarks())
	_, err = m.GetOrCreate(meta.TopicPartition{Topic: "u"}, CreateOptions{IsNew: true, Dir: "/a", TopicID: meta.NewTopicID()})
	refused("create", err)
	if bytesOf(t, l) != want || l.LogEndOffset() != 200 || len(m.LiveDirs()) != 2 {
		t.Errorf("ends at %d, live: %v", l.LogEndOffset(), m.LiveDirs())
	}
	if n, err := l.deleteOld(); err != nil || n == 0 {
		t.Errorf("retention on a full disk: %d %v", n, err)
	}
	full.Store(false)
	info, err := l.AppendAsLeader(plain(t, 5), AppendOptions{LeaderEpoch: 7})
	if content, _ := vfs.ReadFile(mem, "/a/t-0/"+epochFile); !strings.Contains(string(content), "7 200") {
		t.Errorf("written in an epoch of which the file knows nothing: %q", content)
	}
	if err != nil || info.FirstOffset != 200 {
		t.Errorf("with room again: %+v %v", info, err)
	}
	check(t, m.CheckpointHighWatermarks())
	want = bytesOf(t, l)
	check(t, m.Close())

	// A full disk does not keep a broker that died from coming back.
	full.Store(true)
	check(t, mem.Remove("/a/"+cleanShutdownFile))
	m = openTestManager(t, o)
	if l, ok := m.Log(tp); !ok || bytesOf(t, l) != want || len(m.LiveDirs()) != 2 {
		t.Errorf("after a restart: %v, live %v", l, m.LiveDirs())
	}
	full.Store(false)
	l, _ = m.Log(tp)
	_, err = l.AppendAsLeader(plain(t, 5), AppendOptions{})
	check(t, err)
}
