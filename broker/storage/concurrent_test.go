package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// TestConcurrentUse has appenders, readers, retention, compaction, truncation, flushes and idle closing work on the same
// logs at once. Readers check that what they get is whole batches with the right checksums in ascending order.
func TestConcurrentUse(t *testing.T) {
	c := DefaultLogConfig()
	c.SegmentBytes, c.IndexIntervalBytes, c.MaxIndexBytes = 8000, 200, 1000
	c.RetentionBytes, c.FileDeleteDelayMs = 40_000, 1
	c.FlushMessages = 50
	compact := c
	compact.Compact, compact.Delete, compact.MinCleanableDirtyRatio = true, false, 0.01
	cleanerConfig := DefaultCleanerConfig()
	cleanerConfig.Backoff, cleanerConfig.Threads = time.Millisecond, 2
	m := openTestManager(t, ManagerOptions{
		Dirs:    []string{filepath.Join(t.TempDir(), "a")},
		Cleaner: cleanerConfig,
		TopicConfig: func(topic string) *LogConfig {
			if topic == "compacted" {
				return &compact
			}
			return &c
		},
		InitialDelay: time.Millisecond, RetentionCheckInterval: 2 * time.Millisecond, FlushCheckpointInterval: 3 * time.Millisecond,
		StartOffsetCheckpointInterval: 3 * time.Millisecond, FlushCheckInterval: 3 * time.Millisecond,
		OnDirFailure: func(dir string, err error) { t.Errorf("%s failed: %v", dir, err) },
	})
	ctx, stop := context.WithCancel(t.Context())
	var background sync.WaitGroup
	background.Go(func() { _ = m.Run(ctx) })

	var appends atomic.Int64
	var workers sync.WaitGroup
	until := time.Now().Add(2 * time.Second)
	if testing.Short() {
		until = time.Now().Add(300 * time.Millisecond)
	}
	working := func() bool { return time.Now().Before(until) && !t.Failed() }
	for _, topic := range []string{"deleted", "compacted", "truncated"} {
		l, err := m.GetOrCreate(meta.TopicPartition{Topic: topic}, CreateOptions{IsNew: true})
		check(t, err)
		for w := range 2 {
			workers.Go(func() {
				for i := 0; working(); i++ {
					b := record.NewBuilder(record.BuilderOptions{})
					for k := range 3 {
						b.Append(time.Now().UnixMilli(), fmt.Append(nil, "key", (i+k)%20), make([]byte, i%200))
					}
					batch, err := b.Build()
					if err == nil {
						_, err = l.AppendAsLeader(batch, AppendOptions{LeaderEpoch: meta.LeaderEpoch(i / 1000)})
					}
					if err != nil {
						t.Errorf("append %d to %s: %v", w, topic, err)
						return
					}
					l.SetHighWatermark(l.LogEndOffset())
					appends.Add(1)
				}
			})
		}
		for range 2 {
			workers.Go(func() {
				for next := int64(0); working(); {
					next = readSome(t, l, next, topic == "truncated")
				}
			})
		}
		workers.Go(func() {
			for working() {
				if err := l.closeIdle(); err != nil {
					t.Errorf("close idle files of %s: %v", topic, err)
				}
				_, _, err := l.OffsetForTimestamp(time.Now().UnixMilli() - 100)
				if err == nil {
					_, _, err = l.MaxTimestampOffset()
				}
				if err != nil {
					t.Errorf("search %s by time: %v", topic, err)
				}
				l.BytesBetween(l.LogStartOffset(), l.LogEndOffset())
				l.EndOffsetForEpoch(0)
			}
		})
		if topic == "truncated" {
			workers.Go(func() {
				for working() {
					if _, err := l.TruncateTo(max(l.LogEndOffset()-10, l.LogStartOffset())); err != nil {
						t.Errorf("truncate: %v", err)
					}
				}
			})
		}
	}
	workers.Wait()
	stop()
	background.Wait()
	check(t, m.Close())
	if n := m.env.openFiles.Load(); n != 0 {
		t.Errorf("%d files left open", n)
	}
	if appends.Load() == 0 {
		t.Error("nothing was appended")
	}
}

// readSome reads once and returns where to go on.
func readSome(t *testing.T, l *Log, next int64, cut bool) int64 {
	r, err := l.Read(next, 5000, l.HighWatermark(), true)
	if errors.Is(err, ErrOffsetOutOfRange) {
		return l.LogStartOffset()
	}
	if err != nil {
		t.Errorf("read %s at %d: %v", l.tp, next, err)
		return 0
	}
	defer r.Slice.Release()
	if r.Slice.Len == 0 {
		return next
	}
	buf := make([]byte, r.Slice.Len)
	if _, err := r.Slice.ReadAt(buf, 0); err != nil {
		if !cut || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("read %s at %d: %v", l.tp, next, err)
		}
		return next
	}
	if cut {
		return next + 1 // the bytes may have been written over since
	}
	for b, err := range record.Batches(buf) {
		if errors.Is(err, record.ErrTruncated) {
			break
		}
		if err == nil {
			err = b.CheckCRC()
		}
		if err != nil || b.LastOffset() < next {
			t.Errorf("read %s at %d: batch %v: %v", l.tp, next, b, err)
			return 0
		}
		next = b.NextOffset()
	}
	return next
}
