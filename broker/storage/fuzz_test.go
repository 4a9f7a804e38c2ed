package storage

import (
	"context"
	"testing"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

func FuzzCheckpoint(f *testing.F) {
	for _, s := range []string{"", "0\n1\na 0 5\n", "0\n2\n3 5\n4 9\n", "1\n0\n", "0\n99999999\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if offsets, err := parseOffsets(b); err == nil {
			again, err := parseOffsets(formatOffsets(offsets))
			if err != nil || len(again) != len(offsets) {
				t.Fatalf("%v does not survive: %v %v", offsets, again, err)
			}
		}
		if list, err := parseEpochs(b); err == nil {
			again, err := parseEpochs(formatEpochs(list))
			if err != nil || len(again) != len(list) {
				t.Fatalf("%v does not survive: %v %v", list, again, err)
			}
		}
		_, _ = parsePartitionMetadata(b)
		_, _ = parseMetaProperties(b)
		_, _, _ = parseFileName(string(b))
		_, _, _ = parseDirName(string(b))
	})
}

func FuzzSnapshot(f *testing.F) {
	p := unknownProducer(3)
	p.add(producerBatch{5, 2, 10, 1})
	f.Add(encodeSnapshot(nil))
	f.Add(encodeSnapshot([]*producer{&p}))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := decodeSnapshot(b)
		if err != nil {
			return
		}
		ps := make([]*producer, len(list))
		for i := range list {
			ps[i] = &list[i]
			list[i].lastSequence()
		}
		if _, err := decodeSnapshot(encodeSnapshot(ps)); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzRecovery opens a partition directory with any bytes in the files of its segment. The log must open, hold nothing
// but whole valid batches, take an append, and open again to the same.
func FuzzRecovery(f *testing.F) {
	batch := benchBatch(f, 200, &record.ProducerInfo{ID: 4})
	two := append(append([]byte(nil), batch...), batch...)
	record.Batch(two[len(batch):]).SetBaseOffset(batch.NextOffset())
	f.Add(two, []byte{}, []byte{}, []byte{}, []byte{}, false)
	f.Add(two[:len(two)-5], []byte{0, 0, 0, 1, 0, 0, 0, 0}, []byte{}, make([]byte, 34), []byte("0\n1\n3 0\n"), false)
	f.Add(make([]byte, 300), make([]byte, 80), make([]byte, 120), []byte{1}, []byte("x"), true)
	f.Add(append(append([]byte(nil), batch...), 0, 0, 0, 0, 0, 0, 0, 9, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0, 2), []byte{}, []byte{}, []byte{}, []byte{}, false)
	f.Fuzz(func(t *testing.T, log, index, times, txns, epochList []byte, clean bool) {
		fsys := vfs.NewMem()
		check(t, fsys.MkdirAll("/logs/t-0"))
		for name, content := range map[string][]byte{"00000000000000000000.log": log, "00000000000000000000.index": index,
			"00000000000000000000.timeindex": times, "00000000000000000000.txnindex": txns, epochFile: epochList,
			"00000000000000000001.snapshot": txns} {
			check(t, writeFile(fsys, "/logs/t-0/"+name, content))
		}
		if clean {
			check(t, writeFile(fsys, "/logs/"+cleanShutdownFile, nil))
		}
		tp := meta.TopicPartition{Topic: "t"}
		c := DefaultLogConfig()
		c.MaxIndexBytes = 4096
		open := func() (*Manager, *Log) {
			m, err := OpenManager(context.Background(), ManagerOptions{Dirs: []string{"/logs"}, FS: fsys, TopicConfig: func(string) *LogConfig { return &c }})
			if err != nil {
				return nil, nil
			}
			l, ok := m.Log(tp)
			if !ok {
				t.Fatal("no log")
			}
			return m, l
		}
		m, l := open()
		if m == nil {
			if !clean {
				t.Fatal("does not open")
			}
			return // indexes are believed after a clean stop
		}
		l.SetHighWatermark(l.LogEndOffset())
		// Whatever the indexes say after a clean stop, nothing may panic or hang.
		_, _, _ = l.OffsetForTimestamp(5)
		_, _, _ = l.MaxTimestampOffset()
		_, _ = l.AbortedTxns(0, 100)
		if clean {
			if r, err := l.Read(l.LogStartOffset(), 1000, l.LogEndOffset(), true); err == nil {
				r.Slice.Release()
			}
			_, _ = l.AppendAsLeader(append(record.Batch(nil), batch...), AppendOptions{})
			_, _ = l.TruncateTo(l.LogEndOffset() / 2)
			_ = m.Close()
			return
		}
		info, err := l.AppendAsLeader(benchBatch(t, 100, nil), AppendOptions{LeaderEpoch: l.LatestEpoch()})
		check(t, err)
		for next := l.LogStartOffset(); next < info.LEO; {
			r, err := l.Read(next, 1<<20, info.LEO, true)
			check(t, err)
			buf := make([]byte, r.Slice.Len)
			_, err = r.Slice.ReadAt(buf, 0)
			check(t, err)
			r.Slice.Release()
			for b, err := range record.Batches(buf) {
				check(t, err)
				check(t, b.CheckCRC())
				next = b.NextOffset()
			}
		}
		size := l.Size()
		check(t, m.Close())
		m, l = open()
		if m == nil || l.LogEndOffset() != info.LEO || l.Size() != size {
			t.Fatalf("opens to something else")
		}
		check(t, m.Close())
	})
}
