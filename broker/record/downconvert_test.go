package record

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"testing"
)

// legacyOf is what is left of records in an older format.
func legacyOf(records []plainRecord, magic int8) []plainRecord {
	out := slices.Clone(records)
	for i := range out {
		out[i].headers = nil
		if magic == Magic0 {
			out[i].timestamp = NoTimestamp
		}
	}
	return out
}

func TestDownConvertGolden(t *testing.T) {
	for _, g := range goldenTopics(t) {
		for magic := Magic0; magic <= Magic2; magic++ {
			var out []byte
			var err error
			lost := map[int64]bool{}
			for b := range Batches(g.log) {
				before := len(out)
				out, err = DownConvert(out, b, magic, 0, nil)
				if b.Codec() == Zstd && magic < Magic2 {
					if !errors.Is(err, ErrUnsupportedCompression) || len(out) != before {
						t.Errorf("%s: zstd: %v", g.name, err)
					}
					for _, r := range collect(t, b) {
						lost[r.offset] = true
					}
					continue
				}
				if err != nil {
					t.Fatalf("%s at %d: %v", g.name, b.BaseOffset(), err)
				}
				if b.Magic() <= magic && !bytes.Equal(out[before:], b) {
					t.Errorf("%s at %d: changed without need", g.name, b.BaseOffset())
				}
			}
			want := g.want
			if magic < Magic2 {
				want = legacyOf(g.want, magic)
			}
			want = slices.DeleteFunc(slices.Clone(want), func(r plainRecord) bool { return lost[r.offset] })
			if got := dataRecords(t, out); !slices.EqualFunc(got, want, samePlain) {
				t.Errorf("%s to %d: %d records, want %d", g.name, magic, len(got), len(want))
			}
		}
	}
}

// Uncompressed messages and wrappers come out of the builder as Kafka wrote
// them, the compressed bytes apart.
func TestLegacyBuilderGolden(t *testing.T) {
	if got := legacySet(t, LegacyOptions{Magic: 1}, plainRecord{5, goldenTime, []byte("k"), []byte("v1"), nil}); !bytes.Equal(got, goldenMagic1) {
		t.Errorf("magic 1: %x", got)
	}
	if got := legacySet(t, LegacyOptions{Magic: 0}, plainRecord{5, goldenTime, []byte("k"), []byte("v1"), nil}); !bytes.Equal(got, goldenMagic0) {
		t.Errorf("magic 0: %x", got)
	}
	for _, g := range goldenTopics(t) {
		for b := range Batches(g.log) {
			if b.Magic() >= Magic2 {
				continue
			}
			o := LegacyOptions{Magic: b.Magic(), Codec: b.Codec(), TimestampType: b.TimestampType(), LogAppendTime: b.MaxTimestamp()}
			got := Batch(legacySet(t, o, collect(t, b)...))
			if b.Codec() == None {
				if !bytes.Equal(got, b) {
					t.Errorf("%s at %d: bytes differ", g.name, b.BaseOffset())
				}
				continue
			}
			if got.BaseOffset() != b.BaseOffset() || got.Attributes() != b.Attributes() || got.MaxTimestamp() != b.MaxTimestamp() || got.CheckCRC() != nil {
				t.Errorf("%s at %d: %+v, want %+v", g.name, b.BaseOffset(), got.Header(), b.Header())
			}
			if x, y := innerBytes(t, got), innerBytes(t, b); !bytes.Equal(x, y) {
				t.Errorf("%s at %d: inner messages differ:\n%x\n%x", g.name, b.BaseOffset(), x, y)
			}
		}
	}
}

func innerBytes(t *testing.T, b Batch) []byte {
	t.Helper()
	var wrapper Record
	if err := parseLegacy(b[LogOverhead:], &wrapper); err != nil {
		t.Fatal(err)
	}
	out, err := decompressAll(new(Decompressor), b.Codec(), b.Magic(), wrapper.Value)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLegacyBuilderRefuses(t *testing.T) {
	for name, o := range map[string]LegacyOptions{"format 2": {Magic: 2}, "zstd": {Codec: Zstd}} {
		var b LegacyBuilder
		b.Reset(nil, o)
		b.Append(0, 0, nil, nil)
		if out, err := b.Build(); err == nil || out != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	var b LegacyBuilder
	b.Reset([]byte("x"), LegacyOptions{Codec: Gzip})
	if out, err := b.Build(); err != nil || string(out) != "x" {
		t.Errorf("empty: %q %v", out, err)
	}
}

func send(t *testing.T, log []byte, magic int8, from int64) []byte {
	t.Helper()
	d, err := NewDownConversion(bytes.NewReader(log), int64(len(log)), magic, from)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	n, err := d.WriteTo(&out)
	if err != nil || int(n) != d.Len() || out.Len() != d.Len() {
		t.Fatalf("%d bytes of %d, %v", n, d.Len(), err)
	}
	return out.Bytes()
}

// whole reads what a client can: everything up to a message that is not all
// there.
func whole(t *testing.T, buf []byte) (out []plainRecord, torn bool) {
	t.Helper()
	for b, err := range Batches(buf) {
		if errors.Is(err, ErrTruncated) {
			return out, true
		}
		if err != nil || b.CheckCRC() != nil {
			t.Fatal(err, b.CheckCRC())
		}
		out = append(out, collect(t, b)...)
	}
	return out, false
}

func TestDownConversion(t *testing.T) {
	var log []byte
	var want []plainRecord
	for i := range int64(200) { // many steps
		r := plainRecord{i * 3, goldenTime + i, []byte("key"), randomBytes(4000), []RecordHeader{{"header", randomBytes(300)}}}
		log = append(log, build(t, BuilderOptions{BaseOffset: i * 3, Codec: allCodecs[i%4], Transactional: i%2 == 0, Producer: &ProducerInfo{1, 1, int32(i)}}, r)...)
		want = append(want, r)
		if i%10 == 0 {
			marker := bytes.Clone(goldenCommit)
			Batch(marker).SetBaseOffset(i*3 + 1)
			log = append(log, marker...)
		}
	}
	for _, magic := range []int8{0, 1} {
		out := send(t, log, magic, 0)
		if len(out) != len(log) {
			t.Errorf("%d bytes, want those of the source, %d", len(out), len(log))
		}
		got, torn := whole(t, out)
		if !slices.EqualFunc(got, legacyOf(want, magic), samePlain) || !torn {
			t.Errorf("magic %d: %d records, want %d", magic, len(got), len(want))
		}
		// A source that ends within a batch.
		got, _ = whole(t, send(t, log[:len(log)-100], magic, 0))
		if len(got) != len(want)-1 {
			t.Errorf("magic %d, torn source: %d records", magic, len(got))
		}
	}
}

func TestDownConversionBeginsInside(t *testing.T) {
	for _, codec := range []Codec{None, Gzip} {
		b := build(t, BuilderOptions{Codec: codec}, someRecords(0)[:3]...)
		got, _ := whole(t, send(t, b, 1, 1))
		want := 2 // offset 0 is dropped
		if codec != None {
			want = 3
		}
		if len(got) != want {
			t.Errorf("%s: %d records", codec, len(got))
		}
	}
}

func TestDownConversionGrows(t *testing.T) {
	// Small records are larger in the old formats: the first batch is sent
	// whole anyway, the second is cut.
	b := NewBuilder(BuilderOptions{})
	for range 100 {
		b.Append(goldenTime, nil, []byte("x"))
	}
	first, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	second := bytes.Clone(first)
	Batch(second).SetBaseOffset(100)
	out := send(t, join(first, second), 1, 0)
	if got, _ := whole(t, out); len(got) != 100 || len(out) <= len(first)+len(second) {
		t.Errorf("%d records in %d bytes", len(got), len(out))
	}
}

func TestDownConversionOfNothing(t *testing.T) {
	if out := send(t, nil, 1, 0); len(out) != 0 {
		t.Errorf("%d bytes of nothing", len(out))
	}
	if out := send(t, goldenTwoRecords[:40], 1, 0); len(out) != 0 {
		t.Errorf("%d bytes of a torn batch", len(out))
	}
	out := send(t, join(goldenCommit, goldenAbort, goldenEmptied), 1, 0)
	if got, torn := whole(t, out); len(got) != 0 || !torn || len(out) != minOverflow {
		t.Errorf("control batches: %x", out)
	}
}

func TestDownConversionErrors(t *testing.T) {
	plain := build(t, BuilderOptions{}, someRecords(0)...)
	zs := build(t, BuilderOptions{Codec: Zstd, BaseOffset: 2000000}, someRecords(2000000)...)
	if _, err := NewDownConversion(bytes.NewReader(zs), int64(len(zs)), 1, 0); !errors.Is(err, ErrUnsupportedCompression) {
		t.Errorf("zstd first: %v", err)
	}
	for _, log := range [][]byte{join(goldenTxn, plain, zs, plain), join(goldenTxn, plain, make([]byte, 200_000))} {
		got, torn := whole(t, send(t, log, 1, 0))
		if len(got) != 6 || !torn {
			t.Errorf("something bad later: %d records", len(got))
		}
	}
	bad := edit(plain, func(b Batch) { b[HeaderSize] = 1 })
	if _, err := NewDownConversion(bytes.NewReader(bad), int64(len(bad)), 1, 0); !errors.Is(err, ErrInvalidRecord) {
		t.Errorf("malformed: %v", err)
	}
	if _, err := NewDownConversion(bytes.NewReader(nil), math.MaxInt64, 1, 0); err == nil {
		t.Error("a source of 8 EiB")
	}

	// The log is shorter than promised: an error of the connection.
	log := bytes.Repeat(plain, 4)
	d, err := NewDownConversion(bytes.NewReader(log), int64(len(log))+1000, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.WriteTo(io.Discard); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short source: %v", err)
	}
	// The client goes away.
	d, err = NewDownConversion(bytes.NewReader(log), int64(len(log)), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	r.Close()
	if n, err := d.WriteTo(w); err != io.ErrClosedPipe || n != 0 {
		t.Errorf("%d %v", n, err)
	}
}
