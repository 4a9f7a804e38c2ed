package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/prometheus/client_golang/prometheus"
)

func compacted(o *ManagerOptions, c *LogConfig) {
	c.Compact, c.Delete = true, false
	c.SegmentBytes, c.IndexIntervalBytes = 2000, 100
	c.MinCleanableDirtyRatio = 0.01
	o.Cleaner = DefaultCleanerConfig()
}

func keyed(t testing.TB, o record.BuilderOptions, pairs ...string) record.Batch {
	b := record.NewBuilder(o)
	for _, p := range pairs {
		k, v, ok := strings.Cut(p, "=")
		if !ok {
			b.Append(time.Now().UnixMilli(), []byte(k), nil)
			continue
		}
		b.Append(time.Now().UnixMilli(), []byte(k), []byte(v))
	}
	batch, err := b.Build()
	check(t, err)
	return batch
}

// TestCompactionModel compacts logs of random keyed records, transactions among them, and compares what a committed
// reader sees: below the checkpoint each key once, with its last value; above it everything; tombstones until their
// horizon.
func TestCompactionModel(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		now := time.UnixMilli(1_700_000_000_000)
		mem := vfs.NewMem()
		m, l := memLog(t, mem, func(o *ManagerOptions, c *LogConfig) {
			compacted(o, c)
			c.SegmentBytes = int32(800 + rng.IntN(4000))
			c.DeleteRetentionMs = 1000
			o.Now = func() time.Time { return now }
			o.ProducerIDExpiration = time.Duration(1+rng.IntN(1000)) * time.Hour
		})
		type rec struct {
			offset int64
			key    string
			value  string
			tomb   bool
		}
		var all []rec // committed, in order
		open := map[int64][]rec{}
		sequence := map[int64]int32{}
		for range 12 {
			for range 10 + rng.IntN(30) {
				now = now.Add(time.Duration(rng.IntN(100)) * time.Millisecond)
				var pairs []string
				for range 1 + rng.IntN(4) {
					p := fmt.Sprint("key-", rng.IntN(25))
					if rng.IntN(6) > 0 {
						p += fmt.Sprint("=", rng.Uint64())
					}
					pairs = append(pairs, p)
				}
				o := record.BuilderOptions{Codec: record.Codec(rng.IntN(5))}
				id := rng.Int64N(6) - 3 // below 0: a plain producer
				if id == 0 && len(open[0]) > 0 && rng.IntN(2) == 0 {
					id = 0
				}
				if id >= 0 {
					if recs := open[id]; len(recs) > 0 && rng.IntN(3) == 0 {
						kind := record.ControlType(rng.IntN(2))
						_, err := l.AppendAsLeader(marker(t, kind, id, 0, 0), AppendOptions{FromCoordinator: true})
						check(t, err)
						if kind == record.ControlCommit {
							all = append(all, recs...)
						}
						delete(open, id)
						continue
					}
					o.Transactional = true
					o.Producer = &record.ProducerInfo{ID: id, BaseSequence: sequence[id]}
					sequence[id] += int32(len(pairs))
				}
				info, err := l.AppendAsLeader(keyed(t, o, pairs...), AppendOptions{})
				check(t, err)
				for i, p := range pairs {
					k, v, ok := strings.Cut(p, "=")
					r := rec{info.FirstOffset + int64(i), k, v, !ok}
					if id >= 0 {
						open[id] = append(open[id], r)
					} else {
						all = append(all, r)
					}
				}
			}
			slices.SortFunc(all, func(a, b rec) int { return int(a.offset - b.offset) })
			l.SetHighWatermark(l.LogEndOffset())
			cleanLog(t, m, l)
			if rng.IntN(3) == 0 {
				now = now.Add(2 * time.Second)
			}
			if rng.IntN(4) == 0 { // a kill in between
				mem = mem.Clone()
				hw := l.HighWatermark()
				m, l = memLog(t, mem, func(o *ManagerOptions, c *LogConfig) {
					*c = *l.Config()
					o.Now = func() time.Time { return now }
					o.ProducerIDExpiration = time.Duration(1+rng.IntN(1000)) * time.Hour
				})
				l.SetHighWatermark(hw)
			}
			point, _ := m.cleaner.point(l)
			stable := l.LastStableOffset()
			seen := map[int64]rec{}
			order := int64(-1)
			for _, s := range readRecords(t, l, 1+rng.IntN(3000), true) {
				var r rec
				_, err := fmt.Sscanf(s, "%d at", &r.offset)
				check(t, err)
				if r.offset <= order {
					t.Fatalf("seed %d: offset %d after %d", seed, r.offset, order)
				}
				order = r.offset
				seen[r.offset] = r
			}
			last := map[string]int64{}
			for _, r := range all {
				if r.offset < point {
					last[r.key] = r.offset
				}
			}
			known := map[int64]rec{}
			for _, r := range all {
				known[r.offset] = r
				if r.offset >= stable {
					continue
				}
				_, there := seen[r.offset]
				switch latest := last[r.key] == r.offset; {
				case r.offset >= point && !there:
					t.Fatalf("seed %d: record %d above the checkpoint %d is gone", seed, r.offset, point)
				case latest && !r.tomb && !there:
					t.Fatalf("seed %d: last value of %s at %d is gone", seed, r.key, r.offset)
				case r.offset < point && !latest && there:
					t.Fatalf("seed %d: overtaken value of %s at %d, last is %d", seed, r.key, r.offset, last[r.key])
				}
			}
			for offset := range seen {
				if _, ok := known[offset]; !ok {
					t.Fatalf("seed %d: record %d that was never committed", seed, offset)
				}
			}
		}
		m.Close()
	}
}

// TestCleanerGoesOn: a partition with a broken batch, and one that makes the pass panic, are set aside, logged and
// counted; the third is compacted.
func TestCleanerGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		c := DefaultLogConfig()
		reg := prometheus.NewRegistry()
		o := ManagerOptions{Dirs: []string{"/logs"}, FS: mem, Metrics: reg, TopicConfig: func(string) *LogConfig { return &c }}
		compacted(&o, &c)
		o.ProducerIDExpirationCheckInterval = -1 // would stumble over what is planted below
		m := openTestManager(t, o)
		logs := map[string]*Log{}
		for _, topic := range []string{"broken", "fine", "panics"} {
			l, err := m.GetOrCreate(meta.TopicPartition{Topic: topic}, CreateOptions{IsNew: true})
			check(t, err)
			for i := range 60 {
				_, err := l.AppendAsLeader(keyed(t, record.BuilderOptions{}, "a="+strings.Repeat("x", i), fmt.Sprint("b=", i)), AppendOptions{})
				check(t, err)
			}
			l.SetHighWatermark(l.LogEndOffset())
			logs[topic] = l
		}
		f, err := mem.Open("/logs/broken-0/00000000000000000000.log")
		check(t, err)
		_, err = f.WriteAt([]byte{0xff}, 300)
		check(t, err)
		logs["panics"].mu.producers.byID = map[int64]*producer{5: nil} // what no log has
		before := logs["fine"].Size()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- m.Run(ctx) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := logs["fine"].Size(); got >= before/2 {
			t.Errorf("not compacted: %d of %d bytes", got, before)
		}
		if n := metric(t, reg, "kraal_storage_cleaner_failures_total"); n != 2 {
			t.Errorf("%v failures counted", n)
		}
		if n := metric(t, reg, "kafka_log_logcleanermanager_uncleanable_partitions_count"); n != 2 {
			t.Errorf("%v partitions set aside", n)
		}
		for topic, l := range logs {
			if err := l.Err(); err != nil {
				t.Errorf("%s: %v", topic, err)
			}
		}
		logs["panics"].mu.producers.byID = nil
		// Compaction does not stop for the others.
		for i := range 60 {
			_, err := logs["fine"].AppendAsLeader(keyed(t, record.BuilderOptions{}, "a="+strings.Repeat("y", i)), AppendOptions{})
			check(t, err)
		}
		logs["fine"].SetHighWatermark(logs["fine"].LogEndOffset())
		grown := logs["fine"].Size()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := logs["fine"].Size(); got >= grown {
			t.Errorf("not compacted again: %d bytes", got)
		}
		m.ReconfigureCleaner(CleanerConfig{Enable: false})
		synctest.Wait()
		stop()
		check(t, <-ended)
	})
}

func metric(t *testing.T, reg *prometheus.Registry, name string) float64 {
	families, err := reg.Gather()
	check(t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Errorf("no metric %s", name)
	return -1
}

// TestCleanerFullDisk: no room for the output is no reason to take the directory offline.
func TestCleanerFullDisk(t *testing.T) {
	now := time.Now()
	full := false
	mem := vfs.NewMem()
	fsys := &vfs.Fault{FS: mem, Hook: func(op vfs.Op, name string) error {
		if full && op == vfs.OpWrite && strings.HasSuffix(name, cleanedSuffix) {
			return syscall.ENOSPC
		}
		return nil
	}}
	m, l := memLog(t, fsys, func(o *ManagerOptions, c *LogConfig) {
		compacted(o, c)
		o.Now = func() time.Time { return now }
	})
	for i := range 60 {
		_, err := l.AppendAsLeader(keyed(t, record.BuilderOptions{}, "a="+strings.Repeat("x", i)), AppendOptions{})
		check(t, err)
	}
	l.SetHighWatermark(l.LogEndOffset())
	full = true
	if !m.cleaner.once(t.Context(), m.cleaner.config.Load(), nil) {
		t.Fatal("nothing to clean")
	}
	if l.Err() != nil {
		t.Fatal(l.Err())
	}
	if m.cleaner.once(t.Context(), m.cleaner.config.Load(), nil) {
		t.Error("tried again at once")
	}
	entries, err := mem.ReadDir("/logs/t-0")
	check(t, err)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), cleanedSuffix) {
			t.Errorf("%s is left", e.Name())
		}
	}
	full = false
	now = now.Add(2 * fullDiskRetry)
	before := l.Size()
	if !m.cleaner.once(t.Context(), m.cleaner.config.Load(), nil) || l.Size() >= before {
		t.Error("not tried again later")
	}
}

// TestCleanerAborts: a log truncated during a pass keeps what the truncation left.
func TestCleanerAborts(t *testing.T) {
	var during func()
	fsys := &vfs.Fault{FS: vfs.NewMem(), Hook: func(op vfs.Op, name string) error {
		if op == vfs.OpModTime && during != nil { // the output is written, the swap is next
			d := during
			during = nil
			d()
		}
		return nil
	}}
	m, l := memLog(t, fsys, compacted)
	for i := range 60 {
		_, err := l.AppendAsLeader(keyed(t, record.BuilderOptions{}, "a="+strings.Repeat("x", i)), AppendOptions{})
		check(t, err)
	}
	l.SetHighWatermark(l.LogEndOffset())
	before := len(readRecords(t, l, 1000, false))
	during = func() {
		_, err := l.TruncateTo(50)
		check(t, err)
	}
	m.cleaner.once(t.Context(), m.cleaner.config.Load(), nil)
	if got := len(readRecords(t, l, 1000, false)); got != 50 || before != 60 {
		t.Errorf("%d of %d records", got, before)
	}
	if _, ok := m.cleaner.point(l); ok {
		t.Error("the pass was noted as done")
	}
	m.cleaner.once(t.Context(), m.cleaner.config.Load(), nil)
	if got := len(readRecords(t, l, 1000, false)); got >= 50 {
		t.Errorf("%d records after the next pass", got)
	}
}

// TestCleanerChoice: what is due, and what may not be touched.
func TestCleanerChoice(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	m, l := memLog(t, vfs.NewMem(), func(o *ManagerOptions, c *LogConfig) {
		compacted(o, c)
		o.Now = func() time.Time { return now }
		c.MinCleanableDirtyRatio = 0.5
	})
	fill := func(n int) {
		for range n {
			b := record.NewBuilder(record.BuilderOptions{})
			b.Append(now.UnixMilli(), []byte(fmt.Sprint("k", now.UnixNano())), make([]byte, 100))
			batch, err := b.Build()
			check(t, err)
			_, err = l.AppendAsLeader(batch, AppendOptions{})
			check(t, err)
			now = now.Add(time.Second)
		}
		l.SetHighWatermark(l.LogEndOffset())
	}
	with := func(change func(*LogConfig)) (d dirtyRange, due bool) {
		c := *l.Config()
		change(&c)
		old := l.config.Swap(&c)
		defer l.config.Store(old)
		d, _, due, err := m.cleaner.consider(l, now.UnixMilli())
		check(t, err)
		return d, due
	}
	same := func(*LogConfig) {}
	fill(60)
	segs := *l.segments.Load()
	if d, due := with(same); !due || d.first != 0 || d.uncleanable != segs[len(segs)-1].base {
		t.Errorf("%+v %v", d, due)
	}
	// Segments with records younger than min.compaction.lag.ms stay.
	young := now.UnixMilli() - (1_700_000_000_000 + segs[2].base*1000)
	if d, _ := with(func(c *LogConfig) { c.MinCompactionLagMs = young }); d.uncleanable > segs[2].base || d.uncleanable == 0 {
		t.Errorf("%+v, segment 2 begins at %d", d, segs[2].base)
	}
	// Nothing at or above the last stable offset.
	_, err := l.AppendAsLeader(transactional(t, 1, 0, 0, 1), AppendOptions{})
	check(t, err)
	check(t, m.cleaner.put(l, segs[len(segs)-2].base))
	if _, due := with(same); due {
		t.Error("due although most is clean")
	}
	if _, due := with(func(c *LogConfig) { c.MaxCompactionLagMs = 10_000 }); !due {
		t.Error("not due although overdue")
	}
	if _, due := with(func(c *LogConfig) { c.MaxCompactionLagMs = math.MaxInt64 - 1 }); due {
		t.Error("overdue since before the epoch")
	}
	check(t, m.cleaner.put(l, l.LogEndOffset()+10))
	if d, _ := with(same); d.first != 0 {
		t.Errorf("first dirty offset beyond the end: %+v", d)
	}
}

// TestInterruptedSwap opens a log at every moment a compaction can die at: it must hold either what it held before or the
// outcome.
func TestInterruptedSwap(t *testing.T) {
	die := errors.New("dead")
	for after := 1; ; after++ {
		mem := vfs.NewMem()
		counting, left := false, after
		fsys := &vfs.Fault{FS: mem, Hook: func(op vfs.Op, name string) error {
			if counting && op != vfs.OpRead && op != vfs.OpOpen && op != vfs.OpStat {
				if left--; left < 0 {
					return die
				}
			}
			return nil
		}}
		m, l := memLog(t, fsys, func(o *ManagerOptions, c *LogConfig) {
			compacted(o, c)
			c.SegmentBytes = 1500
		})
		for i := range 40 {
			_, err := l.AppendAsLeader(keyed(t, record.BuilderOptions{}, fmt.Sprint("k", i%4, "=", strings.Repeat("x", i))), AppendOptions{})
			check(t, err)
		}
		l.SetHighWatermark(l.LogEndOffset())
		check(t, l.Flush())
		c := *l.Config()
		c.SegmentBytes = 4000 // to merge segments
		l.config.Store(&c)
		end := l.LogEndOffset()
		full := readRecords(t, l, 1<<20, false)
		counting = true
		m.cleaner.once(t.Context(), m.cleaner.config.Load(), nil)
		counting = false
		survived := left >= 0
		for _, power := range []bool{false, true} {
			now := mem.Clone()
			if power {
				now = mem.CrashClone(rand.New(rand.NewPCG(uint64(after), 5)))
			}
			_, again := memLog(t, now, compacted)
			again.SetHighWatermark(again.LogEndOffset())
			if again.LogEndOffset() != end {
				t.Errorf("died after %d: log ends at %d, not %d (power %v)", after, again.LogEndOffset(), end, power)
			}
			got := readRecords(t, again, 1<<20, false)
			last := map[string]string{}
			for _, r := range got {
				_, kv, _ := strings.Cut(r, ": ")
				k, _, _ := strings.Cut(kv, "=")
				last[k] = r
				if !slices.Contains(full, r) {
					t.Errorf("died after %d: record from nowhere: %s", after, r)
				}
			}
			wanted := map[string]string{}
			for _, r := range full {
				_, kv, _ := strings.Cut(r, ": ")
				k, _, _ := strings.Cut(kv, "=")
				wanted[k] = r
			}
			if !maps.Equal(last, wanted) {
				t.Errorf("died after %d: %v, want %v", after, last, wanted)
			}
			entries, err := now.ReadDir("/logs/t-0")
			check(t, err)
			for _, e := range entries {
				if s := e.Name(); strings.HasSuffix(s, swapSuffix) || strings.HasSuffix(s, cleanedSuffix) || strings.HasSuffix(s, deletedSuffix) {
					t.Errorf("died after %d: %s is left", after, s)
				}
			}
		}
		if survived {
			if after < 20 {
				t.Errorf("only %d steps", after)
			}
			return
		}
	}
}

func TestOffsetMap(t *testing.T) {
	m := newOffsetMap(24*100, 0.9, -1)
	if len(m.slots) != 100 {
		t.Errorf("%d slots", len(m.slots))
	}
	want := map[string]int64{}
	for i := range int64(1000) {
		key := fmt.Sprint("key", i%90)
		if !m.put([]byte(key), i) {
			break
		}
		want[key] = i
	}
	if m.used != 90 || m.put([]byte("one more"), 5) {
		t.Errorf("%d used", m.used)
	}
	for k, v := range want {
		if got := m.get([]byte(k)); got != v {
			t.Errorf("%s: %d, want %d", k, got, v)
		}
	}
	if m.get([]byte("absent")) != -1 {
		t.Error("absent key found")
	}
	if small := newOffsetMap(128<<20, 0.9, 100); len(small.slots) > 200 {
		t.Errorf("%d slots for 100 keys", len(small.slots))
	}
}
