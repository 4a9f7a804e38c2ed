package storage

import (
	"context"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// TestRecoveryIsBoundedByTheActiveSegment: what was sealed is flushed and written down soon, not when the checkpoint's minute is
// over, so a crash costs a scan of the active segment however much was written before.
func TestRecoveryIsBoundedByTheActiveSegment(t *testing.T) {
	mem := vfs.NewMem()
	config := DefaultLogConfig()
	config.SegmentBytes = 1000
	m := openTestManager(t, ManagerOptions{Dirs: []string{"/data"}, FS: mem, TopicConfig: func(string) *LogConfig { return &config }, RecoveryThreads: 1})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	defer func() {
		stop()
		check(t, <-done)
	}()
	tp := meta.TopicPartition{Topic: "t"}
	l, err := m.GetOrCreate(tp, CreateOptions{IsNew: true})
	check(t, err)
	for i := range 100 {
		_, err := l.AppendAsLeader(numbered(i), AppendOptions{})
		check(t, err)
	}
	active := l.active().base
	if active == 0 {
		t.Fatal("nothing was sealed")
	}
	// Another roll after the gap between checkpoints, as any log that is written to has.
	deadline := time.Now().Add(10 * time.Second)
	for i := 100; ; i++ {
		content, err := vfs.ReadFile(mem, "/data/"+recoveryPointFile)
		if err == nil {
			points, err := parseOffsets(content)
			check(t, err)
			if points[tp] >= active {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the recovery point was not written down")
		}
		_, err = l.AppendAsLeader(numbered(i), AppendOptions{})
		check(t, err)
	}
}
