package record

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// Limits that keep an exec short.
const fuzzLimit = 1 << 20

// seeds are batches of every format and codec.
func seeds(f *testing.F) [][]byte {
	s := [][]byte{goldenTwoRecords, goldenTxn, goldenCommit, goldenEmptied, goldenTombstone, goldenMagic0, goldenMagic1,
		join(goldenMagic1, goldenMagic1), nestedSet(f, Magic1, legacySet(f, LegacyOptions{Magic: 0}))}
	for _, codec := range allCodecs {
		s = append(s, clientBatch(f, BuilderOptions{Codec: codec}))
		for magic := Magic0; magic <= Magic1 && codec <= Lz4; magic++ {
			s = append(s, legacySet(f, LegacyOptions{Magic: magic, Codec: codec}))
		}
	}
	return s
}

// sound makes the checksums right, since most of what matters is behind them.
func sound(data []byte) []byte {
	data = bytes.Clone(data)
	for b, err := range Batches(data) {
		if err == nil {
			b.setCRC()
		}
	}
	return data
}

// known says whether an error is one that callers can map.
func known(err error) bool {
	for _, k := range []error{ErrTruncated, ErrCorrupt, ErrInvalidRecord, ErrInvalidTimestamp, ErrMessageTooLarge, ErrUnsupportedCompression} {
		if errors.Is(err, k) {
			return true
		}
	}
	return false
}

func FuzzRecords(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	d := &Decompressor{Limit: fuzzLimit}
	f.Fuzz(func(t *testing.T, data []byte) {
		for b, err := range Batches(data) {
			if err != nil {
				return
			}
			for rec, err := range b.Records(d) {
				if err != nil {
					if !known(err) {
						t.Fatalf("error of no kind: %v", err)
					}
					break
				}
				n := 0
				for k := range rec.Headers.All() {
					if k == nil {
						t.Fatal("null header key")
					}
					n++
				}
				if n != rec.Headers.Len() {
					t.Fatal("headers lost")
				}
			}
			_, _ = b.FirstOffset(d)
			if b.IsControl() {
				_, _, _ = b.EndTxn()
			}
		}
	})
}

func FuzzScan(f *testing.F) {
	for _, s := range seeds(f) {
		if b := Batch(s); b.Magic() == Magic2 && b.Codec() == None {
			f.Add([]byte(b[HeaderSize:]), b.Count(), b.BaseTimestamp(), true)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, count int32, base int64, needKey bool) {
		got, ok := scan(data, count, base, noBounds, needKey)
		if !ok || count < 0 {
			return
		}
		b := Batch(append(make([]byte, HeaderSize), data...))
		putHeader(b, Header{BaseTimestamp: base, Count: count}, nil)
		want := NoTimestamp
		n := int32(0)
		for rec, err := range b.Records(nil) {
			if err != nil || (needKey && rec.Key == nil) {
				t.Fatalf("scan let pass: %v", err)
			}
			want = max(want, rec.Timestamp)
			n++
		}
		if got != want || n != count {
			t.Fatalf("maximum %d, want %d; %d records", got, want, n)
		}
	})
}

func FuzzValidate(f *testing.F) {
	for _, s := range seeds(f) {
		for options := range uint8(8) {
			f.Add(s, options*31)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, options uint8) {
		o := DefaultValidateOptions(goldenTime)
		o.MaxMessageBytes = fuzzLimit
		o.MaxDecompressedBytes = fuzzLimit
		o.Compacted = options&1 != 0
		if options&2 != 0 {
			o.TimestampType = LogAppendTime
		}
		if options&4 != 0 {
			o.BeforeMax, o.AfterMax = 1000, 1000
		}
		o.TargetCodec = Codec(options>>3%6) - 1
		o.SingleV2Batch = options&64 != 0
		if options&128 != 0 {
			o.Origin = OriginCoordinator
		}
		data = sound(data)
		first, _ := View(data)
		stamped := first != nil && first.TimestampType() == LogAppendTime // the record's own timestamps do not count then
		v, err := Validate(data, o)
		if err != nil {
			if !known(err) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		if v.Batches == 0 {
			return
		}
		b, err := View(v.Buf)
		if err != nil || b.CheckCRC() != nil || b.Magic() != Magic2 || v.Batches != 1 {
			t.Fatalf("not a v2 batch: %v", err)
		}
		if v.MaxTimestamp != b.MaxTimestamp() || v.Records != int(b.Count()) || b.TimestampType() != o.TimestampType {
			t.Fatalf("%+v of %+v", v, b.Header())
		}
		if v.Converted || o.Compacted || b.Codec() == None { // it has been looked at
			n := 0
			for _, err := range b.Records(nil) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			if n != v.Records {
				t.Fatalf("%d records, %d counted", n, v.Records)
			}
		}
		if o.TimestampType == CreateTime && !stamped {
			o.Origin = OriginCoordinator // a rebuilt control batch stays one
			if again, err := Validate(v.Buf, o); err != nil || again.Converted && !v.Converted {
				t.Fatalf("not accepted again: %v", err)
			}
		}
	})
}

func FuzzDownConvert(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s, int8(0), int64(0))
		f.Add(join(s, s), int8(1), int64(43))
	}
	f.Fuzz(func(t *testing.T, data []byte, magic int8, from int64) {
		magic &= 1
		if len(data) > fuzzLimit {
			return
		}
		d, err := NewDownConversion(bytes.NewReader(data), int64(len(data)), magic, from)
		if err != nil {
			if !known(err) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		d.dec.Limit = fuzzLimit
		promised := d.Len()
		if n, err := d.WriteTo(io.Discard); err != nil || int(n) != promised {
			t.Fatalf("%d bytes of %d: %v", n, promised, err)
		}
	})
}

func FuzzDecompress(f *testing.F) {
	for _, codec := range allCodecs[1:] {
		for _, data := range [][]byte{nil, []byte("hello hello hello"), make([]byte, 100_000)} {
			f.Add(int8(codec), int8(2), compressAll(f, codec, 0, Magic2, data))
		}
	}
	f.Add(int8(Lz4), int8(0), compressAll(f, Lz4, 0, Magic0, []byte("old")))
	f.Add(int8(Lz4), int8(2), lz4With(f, randomBytes(1000)))
	f.Add(int8(Snappy), int8(2), []byte{5, 4 << 2, 'h', 'e', 'l', 'l', 'o'})
	d := &Decompressor{Limit: fuzzLimit}
	f.Fuzz(func(t *testing.T, codec, magic int8, payload []byte) {
		out, err := decompressAll(d, Codec(codec), magic, payload)
		if err != nil && !known(err) {
			t.Fatalf("error of no kind: %v", err)
		}
		if len(out) > fuzzLimit {
			t.Fatalf("%d bytes", len(out))
		}
		if err == nil && codec >= int8(Gzip) && codec <= int8(Zstd) {
			again := compressAll(t, Codec(codec), 0, magic, out)
			if back, err := decompressAll(d, Codec(codec), magic, again); err != nil || !bytes.Equal(back, out) {
				t.Fatalf("round trip: %v", err)
			}
		}
	})
}
