package record

import (
	"encoding/hex"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

// Bytes written by Apache Kafka 3.9.1.
var (
	goldenTwoRecords = unhex(`000000000000002a 00000046 00000007 02 29d161f1 0000 00000001 0000018bcfe56800 0000018bcfe56805
		ffffffffffffffff ffff ffffffff 00000002 1a 00 00 00 02 6b 04 7631 02 02 68 02 78 0c 00 0a 02 01 01 00`)
	goldenTxn = unhex(`0000000000000000 0000003b ffffffff 02 959dc5e1 0010 00000000 0000018bcfe56800 0000018bcfe56800
		0000000000000fa0 0003 0000000a 00000001 12 00 00 00 02 6b 04 7631 00`)
	goldenCommit = unhex(`0000000000000032 00000042 00000007 02 3a976004 0030 00000000 0000018bcfe56800 0000018bcfe56800
		0000000000000fa0 0003 ffffffff 00000001 20 00 00 00 08 00000001 0c 000000000009 00`)
	goldenAbort = unhex(`0000000000000032 00000042 00000007 02 cea9b64c 0030 00000000 0000018bcfe56800 0000018bcfe56800
		0000000000000fa0 0003 ffffffff 00000001 20 00 00 00 08 00000000 0c 000000000009 00`)
	goldenEmptied = unhex(`0000000000000064 00000031 00000007 02 fb930e46 0010 00000004 ffffffffffffffff 0000018bcfe56800
		0000000000000fa0 0003 0000000a 00000000`)
	goldenTombstone = unhex(`0000000000000000 0000003c 00000007 02 b06ca6c8 0040 00000000 0000018bd50bc400 0000018bcfe56800
		ffffffffffffffff ffff ffffffff 00000001 14 00 ffefb252 00 02 6b 01 00`)
	goldenMagic1 = unhex(`0000000000000005 00000019 3e731674 01 00 0000018bcfe56800 00000001 6b 00000002 7631`)
	goldenMagic0 = unhex(`0000000000000005 00000011 61505427 00 00 00000001 6b 00000002 7631`)
)

const goldenTime int64 = 1700000000000

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

func join(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func TestHeaderFields(t *testing.T) {
	for _, c := range []struct {
		name string
		data []byte
		want Header
	}{
		{"two records", goldenTwoRecords, Header{BaseOffset: 42, Length: 0x46, PartitionLeaderEpoch: 7, Magic: 2, CRC: 0x29d161f1,
			LastOffsetDelta: 1, BaseTimestamp: goldenTime, MaxTimestamp: goldenTime + 5, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1, Count: 2}},
		{"transactional", goldenTxn, Header{Length: 0x3b, PartitionLeaderEpoch: -1, Magic: 2, CRC: 0x959dc5e1, Attributes: 0x10,
			BaseTimestamp: goldenTime, MaxTimestamp: goldenTime, ProducerID: 4000, ProducerEpoch: 3, BaseSequence: 10, Count: 1}},
		{"magic 1", goldenMagic1, Header{BaseOffset: 5, Length: 0x19, PartitionLeaderEpoch: -1, Magic: 1, CRC: 0x3e731674,
			BaseTimestamp: goldenTime, MaxTimestamp: goldenTime, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1, Count: 1}},
		{"magic 0", goldenMagic0, Header{BaseOffset: 5, Length: 0x11, PartitionLeaderEpoch: -1, CRC: 0x61505427,
			BaseTimestamp: -1, MaxTimestamp: -1, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1, Count: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := View(c.data)
			if err != nil {
				t.Fatal(err)
			}
			c.want.Complete = true
			h := b.Header()
			if h != c.want {
				t.Errorf("got  %+v\nwant %+v", h, c.want)
			}
			if h.Size() != len(c.data) || b.Size() != h.Size() {
				t.Errorf("size %d, want %d", h.Size(), len(c.data))
			}
			if err := b.CheckCRC(); err != nil {
				t.Error(err)
			}
			if h.LastOffset() != b.LastOffset() || h.NextOffset() != b.NextOffset() || h.LastSequence() != b.LastSequence() ||
				h.Codec() != b.Codec() || h.TimestampType() != b.TimestampType() || h.IsControl() != b.IsControl() ||
				h.IsTransactional() != b.IsTransactional() || h.HasDeleteHorizon() != b.HasDeleteHorizon() || h.HasProducerID() != b.HasProducerID() {
				t.Error("Header and Batch disagree")
			}
			short, err := ParseHeader(c.data[:PrefixSize])
			if err != nil || short.Complete || short.Size() != len(c.data) || short.Magic != h.Magic || short.BaseOffset != h.BaseOffset {
				t.Errorf("from the prefix: %+v, %v", short, err)
			}
		})
	}
}

func TestFlags(t *testing.T) {
	commit, tomb := Batch(goldenCommit), Batch(goldenTombstone)
	if !commit.IsControl() || !commit.IsTransactional() || commit.HasDeleteHorizon() {
		t.Error("commit marker flags")
	}
	if !tomb.HasDeleteHorizon() || tomb.IsControl() || tomb.BaseTimestamp() != goldenTime+86400000 {
		t.Error("tombstone flags")
	}
	if e := Batch(goldenEmptied); e.LastOffset() != 104 || e.Count() != 0 || e.LastSequence() != 14 {
		t.Error("emptied batch")
	}
}

func TestNextOverSeveral(t *testing.T) {
	parts := [][]byte{goldenMagic0, goldenMagic1, goldenTwoRecords, goldenCommit}
	buf := join(parts...)
	var got int
	for b, err := range Batches(buf) {
		if err != nil {
			t.Fatal(err)
		}
		if string(b) != string(parts[got]) {
			t.Errorf("entry %d differs", got)
		}
		got++
	}
	if got != len(parts) {
		t.Fatalf("%d entries", got)
	}
	if _, _, err := Next(nil); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestNextTruncated(t *testing.T) {
	for _, data := range [][]byte{goldenTwoRecords, goldenMagic0, goldenMagic1} {
		for n := 1; n < len(data); n++ {
			if _, rest, err := Next(data[:n]); err != ErrTruncated || len(rest) != n {
				t.Fatalf("%d of %d bytes: %v", n, len(data), err)
			}
		}
	}
}

func TestNextCorrupt(t *testing.T) {
	for _, c := range []struct {
		name string
		pos  int
		with string
		in   []byte
	}{
		{"length below a message", posLength, "0000000d", goldenTwoRecords},
		{"negative length", posLength, "ffffffff", goldenTwoRecords},
		{"zeros", 0, strings.Repeat("00", 82), goldenTwoRecords},
		{"magic 3", posMagic, "03", goldenTwoRecords},
		{"magic -1", posMagic, "ff", goldenTwoRecords},
		{"v2 smaller than its header", posLength, "00000030", goldenTwoRecords},
		{"magic 1 too small", posLength, "00000015", goldenMagic1},
	} {
		data := append([]byte(nil), c.in...)
		copy(data[c.pos:], unhex(c.with))
		if _, _, err := Next(data); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, err := ParseHeader(data); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: ParseHeader: %v", c.name, err)
		}
	}
}

func TestCheckCRC(t *testing.T) {
	for _, data := range [][]byte{goldenTwoRecords, goldenMagic0, goldenMagic1} {
		data = append([]byte(nil), data...)
		data[len(data)-1] ^= 1
		if err := Batch(data).CheckCRC(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("flipped bit: %v", err)
		}
	}
}

func TestSetters(t *testing.T) {
	b := Batch(append([]byte(nil), goldenTwoRecords...))
	b.SetBaseOffset(1 << 40)
	b.SetPartitionLeaderEpoch(99)
	if b.LastOffset() != 1<<40+1 || b.PartitionLeaderEpoch() != 99 || b.CheckCRC() != nil {
		t.Error("offset or epoch")
	}
	b.SetMaxTimestamp(LogAppendTime, 5)
	if b.MaxTimestamp() != 5 || b.TimestampType() != LogAppendTime || b.CheckCRC() != nil {
		t.Error("append time")
	}
	b.SetMaxTimestamp(CreateTime, goldenTime+5)
	b.SetBaseOffset(42)
	b.SetPartitionLeaderEpoch(7)
	if string(b) != string(goldenTwoRecords) {
		t.Error("setting back does not give the same bytes")
	}
}

func TestAddSequenceWraps(t *testing.T) {
	for _, c := range [][3]int32{{0, 0, 0}, {5, 3, 8}, {math.MaxInt32, 1, 0}, {math.MaxInt32 - 1, 3, 1}, {math.MaxInt32, 0, math.MaxInt32}} {
		if got := AddSequence(c[0], c[1]); got != c[2] {
			t.Errorf("%d + %d = %d, want %d", c[0], c[1], got, c[2])
		}
	}
}

func FuzzBatches(f *testing.F) {
	for _, s := range [][]byte{goldenTwoRecords, goldenTxn, goldenCommit, goldenEmptied, goldenTombstone, goldenMagic0, goldenMagic1,
		join(goldenMagic0, goldenTwoRecords, goldenTwoRecords[:20])} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var total int
		for b, err := range Batches(data) {
			if err != nil {
				if b != nil {
					t.Fatal("batch beside an error")
				}
				break
			}
			total += b.Size()
			h := b.Header()
			if !h.Complete || h.Size() != len(b) || h.LastOffset() != b.LastOffset() || h.LastSequence() != b.LastSequence() {
				t.Fatalf("header %+v", h)
			}
			_ = b.CheckCRC()
		}
		if total > len(data) {
			t.Fatal("more batches than bytes")
		}
		_, _ = ParseHeader(data)
	})
}
