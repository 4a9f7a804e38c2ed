package record

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// plainRecord is a record with its own memory, to compare with.
type plainRecord struct {
	offset, timestamp int64
	key, value        []byte
	headers           []RecordHeader
}

func collect(t testing.TB, b Batch) []plainRecord {
	t.Helper()
	out, err := collectErr(b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func collectErr(b Batch) ([]plainRecord, error) {
	var out []plainRecord
	for rec, err := range b.Records(nil) {
		if err != nil {
			return out, err
		}
		p := plainRecord{offset: rec.Offset, timestamp: rec.Timestamp, key: bytes.Clone(rec.Key), value: bytes.Clone(rec.Value)}
		for k, v := range rec.Headers.All() {
			p.headers = append(p.headers, RecordHeader{string(k), bytes.Clone(v)})
		}
		out = append(out, p)
	}
	return out, nil
}

func samePlain(a, b plainRecord) bool {
	same := func(x, y []byte) bool { return bytes.Equal(x, y) && (x == nil) == (y == nil) }
	return a.offset == b.offset && a.timestamp == b.timestamp && same(a.key, b.key) && same(a.value, b.value) &&
		slices.EqualFunc(a.headers, b.headers, func(x, y RecordHeader) bool { return x.Key == y.Key && same(x.Value, y.Value) })
}

func build(t testing.TB, o BuilderOptions, records ...plainRecord) Batch {
	t.Helper()
	b := NewBuilder(o)
	for _, r := range records {
		b.AppendAt(r.offset, r.timestamp, r.key, r.value, r.headers...)
	}
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if err := batch.CheckCRC(); err != nil {
		t.Fatal(err)
	}
	return batch
}

var allCodecs = []Codec{None, Gzip, Snappy, Lz4, Zstd}

func TestBuildGolden(t *testing.T) {
	horizon := goldenTime + 86400000
	for _, c := range []struct {
		name    string
		want    []byte
		o       BuilderOptions
		records []plainRecord
	}{
		{"two records", goldenTwoRecords, BuilderOptions{BaseOffset: 42, PartitionLeaderEpoch: 7}, []plainRecord{
			{42, goldenTime, []byte("k"), []byte("v1"), []RecordHeader{{"h", []byte("x")}}},
			{43, goldenTime + 5, nil, nil, nil},
		}},
		{"transactional", goldenTxn, BuilderOptions{PartitionLeaderEpoch: -1, Transactional: true, Producer: &ProducerInfo{4000, 3, 10}},
			[]plainRecord{{0, goldenTime, []byte("k"), []byte("v1"), nil}}},
		{"tombstone", goldenTombstone, BuilderOptions{PartitionLeaderEpoch: 7, DeleteHorizon: &horizon},
			[]plainRecord{{0, goldenTime, []byte("k"), nil, nil}}},
	} {
		if got := build(t, c.o, c.records...); !bytes.Equal(got, c.want) {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, hex.EncodeToString(got), hex.EncodeToString(c.want))
		}
		got := collect(t, Batch(c.want))
		if !slices.EqualFunc(got, c.records, samePlain) {
			t.Errorf("%s: read %+v", c.name, got)
		}
	}
}

func TestEmptiedGolden(t *testing.T) {
	b := NewBuilder(BuilderOptions{BaseOffset: 100, PartitionLeaderEpoch: 7, Codec: Zstd, Transactional: true, Producer: &ProducerInfo{4000, 3, 10}})
	for i := range int64(5) {
		b.Append(goldenTime-i, nil, []byte("v"))
	}
	full, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	got := AppendEmptied([]byte("x"), full)[1:]
	if !bytes.Equal(got, goldenEmptied) {
		t.Errorf("got %x", got)
	}
	if recs := collect(t, Batch(got)); len(recs) != 0 {
		t.Errorf("%d records in an emptied batch", len(recs))
	}
}

func TestEndTxnGolden(t *testing.T) {
	for _, c := range []struct {
		t    ControlType
		want []byte
	}{{ControlCommit, goldenCommit}, {ControlAbort, goldenAbort}} {
		m := EndTxnMarker{Type: c.t, CoordinatorEpoch: 9}
		got, err := AppendEndTxn(nil, m, 4000, 3, goldenTime)
		if err != nil {
			t.Fatal(err)
		}
		Batch(got).SetBaseOffset(50)
		Batch(got).SetPartitionLeaderEpoch(7)
		if !bytes.Equal(got, c.want) {
			t.Errorf("%s: got %x", c.t, got)
		}
		if back, ok, err := Batch(c.want).EndTxn(); back != m || !ok || err != nil {
			t.Errorf("%s: read %+v %v %v", c.t, back, ok, err)
		}
	}
	if _, err := AppendEndTxn(nil, EndTxnMarker{Type: ControlUnknown}, 1, 1, 1); err == nil {
		t.Error("marker of unknown type written")
	}
}

func TestControlRecords(t *testing.T) {
	for _, c := range []struct {
		key, value string
		want       EndTxnMarker
		ok         bool
		err        bool
	}{
		{"0000 0001", "0000 00000009", EndTxnMarker{ControlCommit, 9}, true, false},
		{"0005 0000", "0003 00000009 ffff", EndTxnMarker{ControlAbort, 9}, true, false}, // later versions may add fields
		{"0000 0002", "", EndTxnMarker{}, false, false},                                 // leader change
		{"0000 7fff", "", EndTxnMarker{}, false, false},
		{"ffff 0001", "0000 00000009", EndTxnMarker{}, false, true},
		{"0000 00", "0000 00000009", EndTxnMarker{}, false, true},
		{"", "", EndTxnMarker{}, false, true},
		{"0000 0001", "0000 000000", EndTxnMarker{}, false, true},
		{"0000 0001", "ffff 00000009", EndTxnMarker{}, false, true},
	} {
		b := build(t, BuilderOptions{Control: true}, plainRecord{key: unhex(c.key), value: unhex(c.value)})
		got, ok, err := b.EndTxn()
		if got != c.want || ok != c.ok || (err != nil) != c.err || (err != nil && !errors.Is(err, ErrInvalidRecord)) {
			t.Errorf("%s / %s: %+v %v %v", c.key, c.value, got, ok, err)
		}
	}
}

func someRecords(base int64) []plainRecord {
	return []plainRecord{
		{base, goldenTime, []byte("k"), []byte("v"), nil},
		{base + 1, goldenTime - 10, nil, []byte{}, []RecordHeader{{"h", nil}, {"h", []byte("x")}, {"", []byte{}}, {"ключ", []byte("v")}}},
		{base + 5, goldenTime + 10, []byte{}, nil, nil},
		{base + 6, 0, bytes.Repeat([]byte("long "), 20_000), bytes.Repeat([]byte("0123456789abcdef"), 30_000), nil},
		{base + 1<<20, math.MaxInt64, []byte("end"), []byte(strings.Repeat("z", 300)), []RecordHeader{{strings.Repeat("h", 200), nil}}},
	}
}

func TestBuildRoundTrip(t *testing.T) {
	for _, codec := range allCodecs {
		for _, level := range []int{0, 1, 9} {
			want := someRecords(1000)
			b := build(t, BuilderOptions{BaseOffset: 998, Codec: codec, Level: level}, want...)
			if got := collect(t, b); !slices.EqualFunc(got, want, samePlain) {
				t.Errorf("%s level %d: records differ", codec, level)
			}
			if b.Codec() != codec || b.Count() != 5 || b.BaseOffset() != 998 || b.LastOffset() != 1000+1<<20 ||
				b.BaseTimestamp() != goldenTime || b.MaxTimestamp() != math.MaxInt64 || b.HasProducerID() {
				t.Errorf("%s: header %+v", codec, b.Header())
			}
			if codec != None && len(b) > 60_000 {
				t.Errorf("%s level %d: %d bytes", codec, level, len(b))
			}
		}
	}
}

func TestBuildAppendTimeAndLastOffset(t *testing.T) {
	b := NewBuilder(BuilderOptions{TimestampType: LogAppendTime, LogAppendTime: 77, Control: false})
	b.Append(5, nil, []byte("a"))
	b.Append(6, nil, []byte("b"))
	b.SetLastOffset(9)
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if batch.LastOffset() != 9 || batch.Count() != 2 || batch.MaxTimestamp() != 77 || batch.TimestampType() != LogAppendTime {
		t.Errorf("%+v", batch.Header())
	}
	for _, r := range collect(t, batch) {
		if r.timestamp != 77 {
			t.Errorf("timestamp %d", r.timestamp)
		}
	}
}

func TestBuilderAppendsAndIsReused(t *testing.T) {
	var b Builder
	dst := []byte("before")
	for i, codec := range append(allCodecs, allCodecs...) {
		b.Reset(dst, BuilderOptions{BaseOffset: int64(i), Codec: codec})
		b.Append(1, []byte("key"), []byte("value"))
		if _, err := b.Build(); err != nil {
			t.Fatal(err)
		}
		dst = b.Buffer()
	}
	n := 0
	for batch, err := range Batches(dst[len("before"):]) {
		if err != nil || batch.BaseOffset() != int64(n) || batch.CheckCRC() != nil {
			t.Fatalf("batch %d: %v", n, err)
		}
		if r := collect(t, batch); string(r[0].value) != "value" {
			t.Fatalf("batch %d: %+v", n, r)
		}
		n++
	}
	if n != 2*len(allCodecs) {
		t.Errorf("%d batches", n)
	}
}

func TestBuilderRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		fill func(b *Builder)
		want error
	}{
		"nothing":                {func(*Builder) {}, nil},
		"offset going back":      {func(b *Builder) { b.AppendAt(5, 0, nil, nil); b.AppendAt(5, 0, nil, nil) }, errOffsetOrder},
		"offset below the base":  {func(b *Builder) { b.AppendAt(-1, 0, nil, nil) }, errOffsetOrder},
		"offset too far":         {func(b *Builder) { b.AppendAt(1<<31, 0, nil, nil) }, errOffsetOrder},
		"last offset going back": {func(b *Builder) { b.AppendAt(5, 0, nil, nil); b.SetLastOffset(4) }, errOffsetOrder},
	} {
		b := NewBuilder(BuilderOptions{})
		c.fill(b)
		if batch, err := b.Build(); err == nil || batch != nil || (c.want != nil && !errors.Is(err, c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, codec := range allCodecs {
		b := NewBuilder(BuilderOptions{Codec: codec, MaxSize: 1000})
		for range 100 {
			b.Append(0, nil, randomBytes(3000))
		}
		if _, err := b.Build(); !errors.Is(err, ErrMessageTooLarge) {
			t.Errorf("%s: %v", codec, err)
		}
	}
	if _, err := NewBuilder(BuilderOptions{Codec: 6}).Build(); !errors.Is(err, ErrUnsupportedCompression) {
		t.Errorf("codec 6: %v", err)
	}
}
