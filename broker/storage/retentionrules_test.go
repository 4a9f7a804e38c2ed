package storage

import (
	"testing"
	"time"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage/vfs"
)

// retained is a log whose segments hold ten batches of 1,000 bytes each, one a minute.
func retained(t *testing.T, n int, change func(*LogConfig)) (*Log, *time.Time) {
	now := time.UnixMilli(1_700_000_000_000)
	size := 0
	build := func() record.Batch {
		b := record.NewBuilder(record.BuilderOptions{})
		b.Append(now.UnixMilli(), nil, make([]byte, 920))
		batch, err := b.Build()
		check(t, err)
		return batch
	}
	size = len(build())
	_, l := memLog(t, vfs.NewMem(), func(o *ManagerOptions, c *LogConfig) {
		o.Now = func() time.Time { return now }
		c.SegmentBytes, c.RetentionMs = int32(10*size), -1
		change(c)
	})
	for range n {
		_, err := l.AppendAsLeader(build(), AppendOptions{})
		check(t, err)
		now = now.Add(time.Minute)
	}
	return l, &now
}

func TestRetention(t *testing.T) {
	for _, c := range []struct {
		name    string
		batches int
		change  func(*LogConfig)
		hw      int64
		later   time.Duration
		deleted int
		start   int64
	}{
		{"no limit", 35, func(*LogConfig) {}, 35, 1000 * time.Hour, 0, 0},
		{"by bytes, at least so many stay", 35, func(c *LogConfig) { c.RetentionBytes = 24 * int64(c.SegmentBytes) / 10 }, 35, 0, 1, 10},
		{"by bytes, exactly", 35, func(c *LogConfig) { c.RetentionBytes = 15 * int64(c.SegmentBytes) / 10 }, 35, 0, 2, 20},
		{"by time, whole segments", 35, func(c *LogConfig) { c.RetentionMs = 20 * 60_000 }, 35, 0, 1, 10},
		{"not above the high watermark", 35, func(c *LogConfig) { c.RetentionMs = 1000 }, 15, time.Hour, 1, 10},
		{"all, the active segment too", 35, func(c *LogConfig) { c.RetentionMs = 1000 }, 35, time.Hour, 4, 35},
		{"without the policy", 35, func(c *LogConfig) { c.Delete, c.RetentionMs, c.RetentionBytes = false, 1000, 1000 }, 35, time.Hour, 0, 0},
		{"an empty log", 0, func(c *LogConfig) { c.RetentionMs = 1000 }, 0, 1000 * time.Hour, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, now := retained(t, c.batches, c.change)
			l.SetHighWatermark(c.hw)
			*now = now.Add(c.later)
			n, err := l.deleteOld()
			if err != nil || n != c.deleted || l.LogStartOffset() != c.start || l.LogEndOffset() != int64(c.batches) {
				t.Errorf("deleted %d segments, log is [%d, %d): %v", n, l.LogStartOffset(), l.LogEndOffset(), err)
			}
			if n, _ := l.deleteOld(); n != 0 {
				t.Errorf("deleted %d more", n)
			}
		})
	}
}

func TestDeletedRecordsAreFreed(t *testing.T) {
	l, _ := retained(t, 35, func(c *LogConfig) { c.Delete = false })
	l.SetHighWatermark(30)
	if moved, err := l.AdvanceLogStartOffset(25); !moved || err != nil {
		t.Fatal(moved, err)
	}
	if n, err := l.deleteOld(); n != 2 || err != nil {
		t.Errorf("%d segments deleted: %v", n, err)
	}
	if l.LogStartOffset() != 25 || (*l.segments.Load())[0].base != 20 {
		t.Errorf("start %d, first segment %d", l.LogStartOffset(), (*l.segments.Load())[0].base)
	}
}

// TestFutureTimestampsKeepData: retention goes by records' time, whatever the clock says.
func TestFutureTimestampsKeepData(t *testing.T) {
	l, now := retained(t, 35, func(c *LogConfig) { c.RetentionMs = 60_000 })
	l.SetHighWatermark(35)
	*now = now.Add(-20 * time.Minute)
	if n, err := l.deleteOld(); n != 1 || err != nil {
		t.Errorf("%d segments deleted: %v", n, err)
	}
}

// TestRolling is LogSegment.shouldRoll.
func TestRolling(t *testing.T) {
	base := int64(1_700_000_000_000)
	at := func(ts int64) record.Batch {
		b := record.NewBuilder(record.BuilderOptions{})
		b.Append(ts, nil, make([]byte, 100))
		batch, err := b.Build()
		check(t, err)
		return batch
	}
	for _, c := range []struct {
		name   string
		change func(*LogConfig)
		batch  record.Batch
		rolls  bool
	}{
		{"room and time", func(*LogConfig) {}, at(base + 1000), false},
		{"no room", func(c *LogConfig) { c.SegmentBytes = 200 }, at(base), true},
		{"records far apart", func(c *LogConfig) { c.SegmentMs = 1000 }, at(base + 1001), true},
		{"records not so far apart", func(c *LogConfig) { c.SegmentMs = 1000 }, at(base + 1000), false},
		{"records before the first", func(c *LogConfig) { c.SegmentMs = 1000 }, at(base - 5000), false},
		{"compaction lag", func(c *LogConfig) { c.Compact, c.MaxCompactionLagMs = true, 1000 }, at(base + 1001), true},
		{"compaction lag without compaction", func(c *LogConfig) { c.MaxCompactionLagMs = 1000 }, at(base + 1001), false},
		{"no room in the indexes", func(c *LogConfig) { c.MaxIndexBytes = 7 }, at(base), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, l := memLog(t, vfs.NewMem(), func(_ *ManagerOptions, lc *LogConfig) { c.change(lc) })
			_, err := l.AppendAsLeader(at(base), AppendOptions{})
			check(t, err)
			_, err = l.AppendAsLeader(c.batch, AppendOptions{})
			check(t, err)
			if rolled := l.Segments() > 1; rolled != c.rolls {
				t.Errorf("%d segments", l.Segments())
			}
		})
	}
}

// TestOffsetsFarApart: an offset that does not fit the segment's 32 bits begins another.
func TestOffsetsFarApart(t *testing.T) {
	_, l := memLog(t, vfs.NewMem(), nil)
	for _, offset := range []int64{5, 1 << 31, 1<<40 + 3} {
		batch := plain(t, 1)
		batch.SetBaseOffset(offset)
		_, err := l.AppendAsFollower(batch)
		check(t, err)
	}
	if l.Segments() != 3 || l.LogEndOffset() != 1<<40+4 {
		t.Errorf("%d segments, end %d", l.Segments(), l.LogEndOffset())
	}
	for from, want := range map[int64]int64{0: 5, 6: 1 << 31, 1<<31 + 1: 1<<40 + 3} {
		r, err := l.Read(from, 1000, l.LogEndOffset(), true)
		if err != nil || r.StartOffset != want {
			t.Errorf("read at %d: %+v %v", from, r, err)
		}
		r.Slice.Release()
	}
}
