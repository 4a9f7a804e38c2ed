package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

func benchLog(b *testing.B, change func(*LogConfig)) (*Manager, *Log) {
	c := DefaultLogConfig()
	c.SegmentBytes = 256 << 20
	c.RetentionBytes = 1 << 30
	c.FileDeleteDelayMs = 0
	if change != nil {
		change(&c)
	}
	m := openTestManager(b, ManagerOptions{Dirs: []string{filepath.Join(b.TempDir(), "logs")}, TopicConfig: func(string) *LogConfig { return &c }})
	l, err := m.GetOrCreate(meta.TopicPartition{Topic: "bench"}, CreateOptions{IsNew: true})
	check(b, err)
	return m, l
}

func benchBatch(b testing.TB, size int, p *record.ProducerInfo) record.Batch {
	rb := record.NewBuilder(record.BuilderOptions{Producer: p})
	value := make([]byte, 100)
	for rb.Size() < size {
		rb.Append(1700000000000, nil, value)
	}
	batch, err := rb.Build()
	check(b, err)
	return batch
}

// BenchmarkAppend appends batches as a leader, with retention keeping the disk from filling.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{200, 1 << 10, 16 << 10, 1<<20 - 200} {
		for _, idempotent := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dB/idempotent=%v", size, idempotent), func(b *testing.B) {
				m, l := benchLog(b, nil)
				var p *record.ProducerInfo
				if idempotent {
					p = &record.ProducerInfo{ID: 5}
				}
				batch := benchBatch(b, size, p)
				count := batch.LastOffsetDelta() + 1
				b.SetBytes(int64(len(batch)))
				b.ReportAllocs()
				sequence := int32(0)
				for b.Loop() {
					if idempotent {
						setSequence(batch, sequence)
						sequence += count
					}
					if _, err := l.AppendAsLeader(batch, AppendOptions{}); err != nil {
						b.Fatal(err)
					}
					if l.Size() > 2<<30 {
						b.StopTimer()
						l.SetHighWatermark(l.LogEndOffset())
						_, err := l.deleteOld()
						check(b, err)
						for todo, _ := m.later.due(); len(todo) > 0; todo, _ = m.later.due() {
							for _, t := range todo {
								check(b, t.do())
							}
						}
						b.StartTimer()
					}
				}
			})
		}
	}
}

// setSequence changes the base sequence; the checksum is not looked at on the way in.
func setSequence(b record.Batch, sequence int32) {
	b[53], b[54], b[55], b[56] = byte(sequence>>24), byte(sequence>>16), byte(sequence>>8), byte(sequence)
}

// BenchmarkAppendFlushed is flush.messages=1 from several producers at once, who share syncs.
func BenchmarkAppendFlushed(b *testing.B) {
	_, l := benchLog(b, func(c *LogConfig) { c.FlushMessages = 1 })
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		batch := append(record.Batch(nil), benchBatch(b, 1<<10, nil)...)
		for pb.Next() {
			if _, err := l.AppendAsLeader(batch, AppendOptions{}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkRead finds data: at the end of the log, and all over it.
func BenchmarkRead(b *testing.B) {
	_, l := benchLog(b, nil)
	batch := benchBatch(b, 1<<10, nil)
	for l.Size() < 64<<20 {
		_, err := l.AppendAsLeader(batch, AppendOptions{})
		check(b, err)
	}
	count := int64(batch.LastOffsetDelta() + 1)
	end := l.LogEndOffset()
	for _, where := range []struct {
		name   string
		offset func(i int64) int64
	}{
		{"tail", func(i int64) int64 { return end - count }},
		{"anywhere", func(i int64) int64 { return i * 7919 * count % end }},
	} {
		b.Run(where.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := int64(0); b.Loop(); i++ {
				r, err := l.Read(where.offset(i), 1<<20, end, true)
				if err != nil || r.Slice.Len == 0 {
					b.Fatal(err)
				}
				r.Slice.Release()
			}
		})
	}
}

// BenchmarkRecover rebuilds a segment.
func BenchmarkRecover(b *testing.B) {
	_, l := benchLog(b, nil)
	batch := benchBatch(b, 16<<10, nil)
	for l.Size() < 128<<20 {
		_, err := l.AppendAsLeader(batch, AppendOptions{})
		check(b, err)
	}
	b.SetBytes(l.Size())
	for b.Loop() {
		r := &rebuilding{interval: 4096, ps: &producers{}, txns: &l.txns, epochs: &epochs{}}
		if cut, _, err := l.active().rebuild(r); cut != 0 || err != nil {
			b.Fatal(cut, err)
		}
	}
}

// BenchmarkOpenIdle opens a thousand logs that were closed cleanly, and tells what each keeps in memory.
func BenchmarkOpenIdle(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "logs")
	o := ManagerOptions{Dirs: []string{dir}, RecoveryThreads: 4}
	m := openTestManager(b, o)
	batch := benchBatch(b, 1000, nil)
	for p := range int32(1000) {
		l, err := m.GetOrCreate(meta.TopicPartition{Topic: "idle", Partition: p}, CreateOptions{IsNew: true, TopicID: meta.TopicID{1}})
		check(b, err)
		for range 10 {
			_, err = l.AppendAsLeader(batch, AppendOptions{})
			check(b, err)
		}
	}
	check(b, m.Close())
	var kept uint64
	for b.Loop() {
		before := heap()
		m := openTestManager(b, o)
		kept = heap() - before
		if n := m.env.openFiles.Load(); n != 0 {
			b.Fatalf("%d files open", n)
		}
		check(b, m.Close())
		check(b, os.Remove(filepath.Join(dir, bootFile)))
	}
	b.ReportMetric(float64(kept)/1000, "B/log")
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}
