package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"
)

// clientBatch is what a producer sends.
func clientBatch(t testing.TB, o BuilderOptions, records ...plainRecord) Batch {
	o.PartitionLeaderEpoch = NoLeaderEpoch
	if records == nil {
		records = []plainRecord{{0, goldenTime, []byte("a"), []byte("1"), nil}, {1, goldenTime + 7, []byte("b"), nil, []RecordHeader{{"h", nil}}},
			{2, goldenTime + 3, []byte("c"), []byte("3"), nil}}
	}
	return build(t, o, records...)
}

// edit changes bytes of a copy and makes the checksum right again.
func edit(b Batch, change func(b Batch)) Batch {
	b = bytes.Clone(b)
	change(b)
	b.setCRC()
	return b
}

func put16(pos int, v int16) func(Batch) {
	return func(b Batch) { binary.BigEndian.PutUint16(b[pos:], uint16(v)) }
}
func put32(pos int, v int32) func(Batch) {
	return func(b Batch) { binary.BigEndian.PutUint32(b[pos:], uint32(v)) }
}
func put64(pos int, v int64) func(Batch) {
	return func(b Batch) { binary.BigEndian.PutUint64(b[pos:], uint64(v)) }
}

func legacySet(t testing.TB, o LegacyOptions, records ...plainRecord) []byte {
	t.Helper()
	if records == nil {
		records = []plainRecord{{0, goldenTime, []byte("a"), []byte("1"), nil}, {1, goldenTime + 7, []byte("b"), nil, nil}, {2, goldenTime + 3, []byte("c"), []byte("3"), nil}}
	}
	var b LegacyBuilder
	b.Reset(nil, o)
	for _, r := range records {
		b.Append(r.offset, r.timestamp, r.key, r.value)
	}
	out, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// One row per rule of LogValidator, analyzeAndValidateRecords and
// ProduceRequest.validateRecords.
func TestValidateRefuses(t *testing.T) {
	plain := clientBatch(t, BuilderOptions{})
	gz := clientBatch(t, BuilderOptions{Codec: Gzip})
	zs := clientBatch(t, BuilderOptions{Codec: Zstd})
	wide := clientBatch(t, BuilderOptions{Codec: Gzip}, plainRecord{value: bytes.Repeat([]byte("wide"), 5000)})
	idempotent := clientBatch(t, BuilderOptions{Producer: &ProducerInfo{7, 0, 0}})
	nullKey := []plainRecord{{0, goldenTime, []byte("a"), nil, nil}, {1, goldenTime, nil, []byte("x"), nil}, {2, goldenTime, nil, nil, nil}}
	old := []plainRecord{{0, goldenTime, []byte("a"), nil, nil}, {1, goldenTime - 1000, []byte("b"), nil, nil}, {2, goldenTime + 1000, []byte("c"), nil, nil}}
	v1gzip := legacySet(t, LegacyOptions{Magic: 1, Codec: Gzip})

	none := func(*ValidateOptions) {}
	compact := func(o *ValidateOptions) { o.Compacted = true }
	bounded := func(o *ValidateOptions) { o.BeforeMax, o.AfterMax = 999, 999 }
	toGzip := func(o *ValidateOptions) { o.TargetCodec = Gzip }
	appendTime := func(o *ValidateOptions) { o.TimestampType = LogAppendTime }
	single := func(o *ValidateOptions) { o.SingleV2Batch = true }

	for _, c := range []struct {
		name    string
		buf     []byte
		o       func(*ValidateOptions)
		want    error
		indexes []int32 // of an InvalidRecordsError
	}{
		{"base offset", edit(plain, put64(posOffset, 1)), none, ErrInvalidRecord, nil},
		{"too large", plain, func(o *ValidateOptions) { o.MaxMessageBytes = len(plain) - 1 }, ErrMessageTooLarge, nil},
		{"too large by conversion", wide, func(o *ValidateOptions) { o.TargetCodec, o.MaxMessageBytes = None, 10_000 }, ErrMessageTooLarge, nil},
		{"too large by compression", clientBatch(t, BuilderOptions{}, plainRecord{value: randomBytes(1000)}),
			func(o *ValidateOptions) { o.TargetCodec, o.MaxMessageBytes = Gzip, 1075 }, ErrMessageTooLarge, nil},
		{"checksum", func() []byte { b := bytes.Clone(plain); b[len(b)-1]++; return b }(), none, ErrCorrupt, nil},
		{"size", edit(plain, put32(posLength, 13)), none, ErrCorrupt, nil},
		{"magic", edit(plain, func(b Batch) { b[posMagic] = 9 }), none, ErrCorrupt, nil},

		{"two v2 batches", join(plain, plain), none, ErrInvalidRecord, nil},
		{"two compressed sets", join(v1gzip, v1gzip), none, ErrInvalidRecord, nil},
		{"formats 0 and 1", join(goldenMagic0, goldenMagic1), none, ErrInvalidRecord, nil},
		{"formats 1 and 2", join(goldenMagic1, plain), none, ErrInvalidRecord, nil},

		{"negative last offset delta", edit(plain, put32(posLastOffsetDelta, -1)), none, ErrInvalidRecord, nil},
		{"count 0", edit(plain, put32(posCount, 0)), none, ErrInvalidRecord, nil},
		{"count negative", edit(plain, put32(posCount, -3)), none, ErrInvalidRecord, nil},
		{"count is not delta+1", edit(plain, put32(posLastOffsetDelta, 7)), none, ErrInvalidRecord, nil},
		{"control batch", edit(plain, put16(posAttributes, attrControl)), none, ErrInvalidRecord, nil},
		{"no sequence", edit(idempotent, put32(posBaseSequence, -1)), none, ErrInvalidRecord, nil},

		{"fewer records than counted", edit(plain, func(b Batch) { put32(posCount, 4)(b); put32(posLastOffsetDelta, 3)(b) }), none, ErrInvalidRecord, nil},
		{"more records than counted", edit(plain, func(b Batch) { put32(posCount, 2)(b); put32(posLastOffsetDelta, 1)(b) }), none, ErrInvalidRecord, nil},
		{"record length", edit(plain, func(b Batch) { b[HeaderSize] += 2 }), none, ErrInvalidRecord, nil},
		{"negative record length", edit(plain, func(b Batch) { b[HeaderSize] = 1 }), none, ErrInvalidRecord, nil},
		{"key length", edit(plain, func(b Batch) { b[HeaderSize+4] = 0x7e }), none, ErrInvalidRecord, nil},
		{"header count", edit(plain, func(b Batch) { b[HeaderSize+8] = 2 }), none, ErrInvalidRecord, nil},
		{"negative header count", edit(plain, func(b Batch) { b[HeaderSize+8] = 1 }), none, ErrInvalidRecord, nil},

		{"fewer compressed", edit(gz, func(b Batch) { put32(posCount, 4)(b); put32(posLastOffsetDelta, 3)(b) }), compact, ErrInvalidRecord, nil},
		{"more compressed", edit(gz, func(b Batch) { put32(posCount, 2)(b); put32(posLastOffsetDelta, 1)(b) }), compact, ErrInvalidRecord, nil},
		{"garbage for gzip", edit(gz, func(b Batch) { b[HeaderSize]++ }), compact, ErrInvalidRecord, nil},
		{"garbage for another codec", edit(gz, put16(posAttributes, int16(Zstd))), toGzip, ErrInvalidRecord, nil},

		{"null keys", clientBatch(t, BuilderOptions{}, nullKey...), compact, ErrInvalidRecord, []int32{1, 2}},
		{"null keys, compressed", clientBatch(t, BuilderOptions{Codec: Lz4}, nullKey...), compact, ErrInvalidRecord, []int32{1, 2}},
		{"null keys, to be compressed", clientBatch(t, BuilderOptions{}, nullKey...), func(o *ValidateOptions) { o.Compacted, o.TargetCodec = true, Snappy }, ErrInvalidRecord, []int32{1, 2}},
		{"null keys, format 1", legacySet(t, LegacyOptions{Magic: 1, Codec: Gzip}, nullKey...), compact, ErrInvalidRecord, []int32{1, 2}},
		{"null key, format 0", legacySet(t, LegacyOptions{}, nullKey[1]), compact, ErrInvalidRecord, []int32{0}},

		{"timestamps", clientBatch(t, BuilderOptions{}, old...), bounded, ErrInvalidTimestamp, []int32{1, 2}},
		{"timestamps, compressed", clientBatch(t, BuilderOptions{Codec: Zstd}, old...), bounded, ErrInvalidTimestamp, []int32{1, 2}},
		{"timestamps, format 1", legacySet(t, LegacyOptions{Magic: 1, Codec: Snappy}, old...), bounded, ErrInvalidTimestamp, []int32{1, 2}},
		{"timestamp and key", clientBatch(t, BuilderOptions{}, plainRecord{0, goldenTime, nil, nil, nil}, plainRecord{1, 5, []byte("k"), nil, nil}),
			func(o *ValidateOptions) { bounded(o); compact(o) }, ErrInvalidTimestamp, []int32{0, 1}},
		{"LogAppendTime to LogAppendTime", edit(plain, put16(posAttributes, attrLogAppendTime)), appendTime, ErrInvalidTimestamp, []int32{0, 1, 2}},
		{"LogAppendTime to LogAppendTime, compressed", edit(gz, put16(posAttributes, int16(Gzip)|attrLogAppendTime)), appendTime, ErrInvalidTimestamp, []int32{0, 1, 2}},
		{"LogAppendTime of -1 to CreateTime", edit(plain, func(b Batch) { put16(posAttributes, attrLogAppendTime)(b); put64(posMaxTimestamp, -1)(b) }), none, ErrInvalidTimestamp, []int32{0, 1, 2}},

		{"inner format", nestedSet(t, Magic1, legacySet(t, LegacyOptions{Magic: 0})), none, ErrInvalidRecord, []int32{0, 1, 2}},
		{"inner compression", nestedSet(t, Magic1, v1gzip), none, ErrInvalidRecord, nil},
		{"inner checksum", nestedSet(t, Magic0, func() []byte { b := legacySet(t, LegacyOptions{}); b[len(b)-1]++; return b }()), none, ErrCorrupt, nil},
		{"no inner messages", nestedSet(t, Magic0, nil), none, ErrInvalidRecord, nil},
		{"wrapper offset", edit(v1gzip, put64(posOffset, 1)), none, ErrInvalidRecord, nil},
		{"zstd in format 1", edit(v1gzip, func(b Batch) { b[posLegacyAttributes] = byte(Zstd) }), none, ErrInvalidRecord, nil},
		{"null value of a wrapper", edit(goldenMagic1[:len(goldenMagic1)-2], func(b Batch) {
			put32(posLength, int32(len(b)-LogOverhead))(b)
			put32(len(b)-4, -1)(b)
			b[posLegacyAttributes] = byte(Gzip)
		}), none, ErrInvalidRecord, nil},

		{"zstd below Produce 7", zs, func(o *ValidateOptions) { o.RefuseZstdSource = true }, ErrUnsupportedCompression, nil},
		{"zstd below IBP 2.1", zs, func(o *ValidateOptions) { o.RefuseZstdTarget = true }, ErrUnsupportedCompression, nil},
		{"zstd topic below IBP 2.1", plain, func(o *ValidateOptions) { o.RefuseZstdTarget, o.TargetCodec = true, Zstd }, ErrUnsupportedCompression, nil},
		{"codec 5", edit(gz, put16(posAttributes, 5)), none, ErrUnknownCodec, nil},
		{"nothing for Produce 3", nil, single, ErrInvalidRecord, nil},
		{"half a batch for Produce 3", plain[:70], single, ErrInvalidRecord, nil},
		{"two batches for Produce 3", join(plain, plain), single, ErrInvalidRecord, nil},
		{"format 1 for Produce 3", goldenMagic1, single, ErrInvalidRecord, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := DefaultValidateOptions(goldenTime)
			c.o(&o)
			_, err := Validate(bytes.Clone(c.buf), o)
			if c.want != nil && !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			var invalid *InvalidRecordsError
			var indexes []int32
			if errors.As(err, &invalid) {
				for _, e := range invalid.Errors {
					indexes = append(indexes, e.Index)
				}
			}
			if !slices.Equal(indexes, c.indexes) {
				t.Errorf("records %v, want %v (%v)", indexes, c.indexes, err)
			}
		})
	}
}

// nestedSet makes a wrapper around any bytes.
func nestedSet(t testing.TB, magic int8, inner []byte) []byte {
	c := acquireCompressor()
	defer c.release()
	if err := c.reset(nil, 0, Gzip, 0, magic); err != nil {
		t.Fatal(err)
	}
	c.pending = append(c.pending, inner...)
	value, err := c.finish()
	if err != nil {
		t.Fatal(err)
	}
	m := legacyMessage{offset: 2, magic: magic, attrs: int8(Gzip), timestamp: goldenTime, value: value}
	out, err := m.append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Stored in place: the same memory, changed at most in its header.
func TestValidateInPlace(t *testing.T) {
	for _, codec := range allCodecs {
		for _, name := range []string{"plain", "same codec", "compacted", "bounded"} {
			b := clientBatch(t, BuilderOptions{Codec: codec})
			before := bytes.Clone(b)
			o := DefaultValidateOptions(goldenTime)
			o.SingleV2Batch = true
			switch name {
			case "same codec":
				o.TargetCodec = codec
			case "compacted":
				o.Compacted = true
			case "bounded":
				o.BeforeMax, o.AfterMax = 100, 100
			}
			v, err := Validate(b, o)
			if err != nil {
				t.Fatal(codec, name, err)
			}
			want := Validated{Buf: v.Buf, Batches: 1, Records: 3, MaxTimestamp: goldenTime + 7, OffsetOfMaxTimestampDelta: 2, Codec: codec}
			if &v.Buf[0] != &b[0] || !bytes.Equal(v.Buf, before) || !equalValidated(v, want) {
				t.Errorf("%s %s: %+v", codec, name, v)
			}
		}
	}
}

func equalValidated(a, b Validated) bool {
	return bytes.Equal(a.Buf, b.Buf) && a.Batches == b.Batches && a.Records == b.Records && a.MaxTimestamp == b.MaxTimestamp &&
		a.OffsetOfMaxTimestampDelta == b.OffsetOfMaxTimestampDelta && a.Codec == b.Codec && a.Converted == b.Converted
}

func TestValidateTimestamps(t *testing.T) {
	now := goldenTime + 1_000_000
	for _, codec := range []Codec{None, Snappy} {
		b := clientBatch(t, BuilderOptions{Codec: codec})
		o := DefaultValidateOptions(now)

		// LogAppendTime: the header says now, base and deltas stay.
		o.TimestampType = LogAppendTime
		o.BeforeMax, o.AfterMax = 1, 1 // and bounds are not looked at
		v, err := Validate(bytes.Clone(b), o)
		if err != nil {
			t.Fatal(err)
		}
		got := Batch(v.Buf)
		if v.MaxTimestamp != now || got.MaxTimestamp() != now || got.TimestampType() != LogAppendTime || got.BaseTimestamp() != goldenTime || got.CheckCRC() != nil {
			t.Errorf("%s: %+v", codec, got.Header())
		}
		for _, r := range collect(t, got) {
			if r.timestamp != now {
				t.Errorf("%s: timestamp %d", codec, r.timestamp)
			}
		}

		// A LogAppendTime batch in a CreateTime topic becomes CreateTime.
		o = DefaultValidateOptions(now)
		v, err = Validate(edit(b, put16(posAttributes, int16(codec)|attrLogAppendTime)), o)
		if err != nil {
			t.Fatal(err)
		}
		if got = Batch(v.Buf); got.TimestampType() != CreateTime || got.MaxTimestamp() != goldenTime+7 || got.CheckCRC() != nil {
			t.Errorf("%s: %+v", codec, got.Header())
		}

		// The maximum is that of the records, if they are looked at.
		o.Compacted = true
		v, err = Validate(edit(b, put64(posMaxTimestamp, now+5)), o)
		if err != nil {
			t.Fatal(err)
		}
		if got = Batch(v.Buf); v.MaxTimestamp != goldenTime+7 || got.MaxTimestamp() != goldenTime+7 || got.CheckCRC() != nil {
			t.Errorf("%s: %+v", codec, got.Header())
		}
	}

	// No timestamp at all passes every bound.
	o := DefaultValidateOptions(now)
	o.BeforeMax, o.AfterMax = 0, 0
	v, err := Validate(clientBatch(t, BuilderOptions{}, plainRecord{0, -1, nil, nil, nil}), o)
	if err != nil || v.MaxTimestamp != -1 {
		t.Errorf("%+v %v", v, err)
	}
	// Bounds are inclusive.
	for _, ts := range []int64{now - 10, now + 20} {
		o.BeforeMax, o.AfterMax = 10, 20
		if _, err := Validate(clientBatch(t, BuilderOptions{}, plainRecord{0, ts, nil, nil, nil}), o); err != nil {
			t.Error(ts, err)
		}
	}
	// Extreme values do not wrap around.
	for _, ts := range []int64{math.MinInt64, math.MaxInt64} {
		o.BeforeMax, o.AfterMax = math.MaxInt64-1, math.MaxInt64-1
		if _, err := Validate(clientBatch(t, BuilderOptions{}, plainRecord{0, ts, nil, nil, nil}), o); (err != nil) != (ts < 0) {
			t.Error(ts, err)
		}
	}
}

func TestValidateRecompresses(t *testing.T) {
	producer := &ProducerInfo{4000, 3, 10}
	for _, from := range allCodecs {
		for _, to := range allCodecs {
			if from == to {
				continue
			}
			b := clientBatch(t, BuilderOptions{Codec: from, Producer: producer, Transactional: true})
			o := DefaultValidateOptions(goldenTime)
			o.TargetCodec = to
			v, err := Validate(b, o)
			if err != nil {
				t.Fatal(from, to, err)
			}
			got := Batch(v.Buf)
			want := Validated{Buf: v.Buf, Batches: 1, Records: 3, MaxTimestamp: goldenTime + 7, OffsetOfMaxTimestampDelta: 2, Codec: from, Converted: true}
			if !equalValidated(v, want) || got.Codec() != to || got.CheckCRC() != nil || !got.IsTransactional() ||
				got.ProducerID() != 4000 || got.ProducerEpoch() != 3 || got.BaseSequence() != 10 || got.BaseOffset() != 0 {
				t.Errorf("%s to %s: %+v %+v", from, to, v, got.Header())
			}
			if !slices.EqualFunc(collect(t, got), collect(t, b), samePlain) {
				t.Errorf("%s to %s: records differ", from, to)
			}
		}
	}
}

// Some older clients get the inner offsets wrong. Compressed batches of theirs
// are rebuilt where the offsets are seen; uncompressed ones stay.
func TestValidateIrregularOffsets(t *testing.T) {
	records := []plainRecord{{3, goldenTime, []byte("a"), nil, nil}, {5, goldenTime, []byte("b"), nil, nil}}
	fix := put32(posLastOffsetDelta, 1)
	o := DefaultValidateOptions(goldenTime)
	o.Compacted = true
	v, err := Validate(edit(clientBatch(t, BuilderOptions{Codec: Gzip}, records...), fix), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := collect(t, v.Buf); !v.Converted || got[0].offset != 0 || got[1].offset != 1 {
		t.Errorf("%+v", got)
	}
	b := edit(clientBatch(t, BuilderOptions{}, records...), fix)
	if v, err = Validate(b, o); err != nil || v.Converted || !bytes.Equal(v.Buf, b) {
		t.Errorf("%+v %v", v, err)
	}
}

func TestValidateLegacy(t *testing.T) {
	for _, magic := range []int8{0, 1} {
		for _, from := range []Codec{None, Gzip, Snappy, Lz4} {
			for _, to := range []Codec{Producer, None, Zstd} {
				set := legacySet(t, LegacyOptions{Magic: magic, Codec: from})
				o := DefaultValidateOptions(goldenTime + 5)
				o.TargetCodec = to
				v, err := Validate(join(set, set[:20]), o) // a torn tail is cut
				if err != nil {
					t.Fatal(magic, from, to, err)
				}
				got := Batch(v.Buf)
				wantMax := goldenTime + 7
				if magic == 0 {
					wantMax = -1
				}
				wantCodec := to
				if to == Producer {
					wantCodec = from
				}
				if !v.Converted || v.Batches != 1 || v.Records != 3 || v.MaxTimestamp != wantMax || got.MaxTimestamp() != wantMax ||
					got.Codec() != wantCodec || got.Magic() != 2 || got.CheckCRC() != nil || got.HasProducerID() {
					t.Errorf("magic %d %s to %s: %+v %+v", magic, from, to, v, got.Header())
				}
				for i, r := range collect(t, got) {
					if r.offset != int64(i) || (magic == 0) != (r.timestamp == -1) {
						t.Errorf("magic %d %s to %s: %+v", magic, from, to, r)
					}
				}
				o.TimestampType = LogAppendTime
				if v, err = Validate(set, o); err != nil || v.MaxTimestamp != o.Now || Batch(v.Buf).TimestampType() != LogAppendTime {
					t.Errorf("magic %d %s to %s: %+v %v", magic, from, to, v, err)
				}
			}
		}
	}
	// librdkafka's wrappers with offset 0.
	set := edit(legacySet(t, LegacyOptions{Magic: 1, Codec: Gzip}), put64(posOffset, 0))
	if v, err := Validate(set, DefaultValidateOptions(0)); err != nil || v.Records != 3 {
		t.Errorf("%+v %v", v, err)
	}
	if v, err := Validate(nil, DefaultValidateOptions(0)); err != nil || v.Batches != 0 || len(v.Buf) != 0 {
		t.Errorf("nothing: %+v %v", v, err)
	}
}

func TestValidateOrigins(t *testing.T) {
	marker, err := AppendEndTxn(nil, EndTxnMarker{ControlCommit, 1}, 9, 1, goldenTime)
	if err != nil {
		t.Fatal(err)
	}
	o := DefaultValidateOptions(goldenTime)
	o.Origin = OriginCoordinator
	o.TargetCodec = Gzip // but a marker is not compressed
	if v, err := Validate(marker, o); err != nil || v.Converted {
		t.Errorf("marker: %+v %v", v, err)
	}
	commit := clientBatch(t, BuilderOptions{Transactional: true, Producer: &ProducerInfo{9, 1, NoSequence}})
	if _, err := Validate(commit, o); err != nil {
		t.Errorf("transactional commit: %v", err)
	}

	o.Origin = OriginReplication
	o.MaxMessageBytes = 1
	o.TimestampType = LogAppendTime
	fetched := join(goldenTwoRecords, goldenCommit, goldenEmptied, goldenTwoRecords[:50])
	before := bytes.Clone(fetched)
	v, err := Validate(fetched, o)
	if err != nil || v.Batches != 3 || v.Records != 3 || v.MaxTimestamp != goldenTime+5 || v.OffsetOfMaxTimestampDelta != 1 ||
		len(v.Buf) != len(fetched)-50 || !bytes.Equal(fetched, before) {
		t.Errorf("fetched: %+v %v", v, err)
	}
	fetched[70]++
	if _, err := Validate(fetched, o); !errors.Is(err, ErrCorrupt) {
		t.Errorf("fetched and damaged: %v", err)
	}
}

// The fast path neither allocates nor decompresses.
func TestValidateFastPath(t *testing.T) {
	o := DefaultValidateOptions(goldenTime)
	o.SingleV2Batch = true
	for _, codec := range allCodecs {
		b := clientBatch(t, BuilderOptions{Codec: codec})
		if codec != None {
			b = edit(b, func(b Batch) { clear(b[HeaderSize:]) })
		}
		var err error
		allocs := testing.AllocsPerRun(100, func() { _, err = Validate(b, o) })
		if allocs != 0 || err != nil {
			t.Errorf("%s: %v allocations, %v", codec, allocs, err)
		}
	}
}

func TestRecordErrorsAreBounded(t *testing.T) {
	b := NewBuilder(BuilderOptions{Codec: Zstd})
	for range 3 * maxRecordErrors {
		b.Append(goldenTime, nil, nil)
	}
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	o := DefaultValidateOptions(goldenTime)
	o.Compacted = true
	_, err = Validate(batch, o)
	var invalid *InvalidRecordsError
	if !errors.As(err, &invalid) || invalid.Count != 3*maxRecordErrors || len(invalid.Errors) != maxRecordErrors {
		t.Errorf("%v", err)
	}
}

// scan and the slow path agree about every batch of the golden logs.
func TestScanAgrees(t *testing.T) {
	for _, g := range goldenTopics(t) {
		for b := range Batches(g.log) {
			if b.Magic() < Magic2 || b.Codec() != None || b.Count() == 0 {
				continue
			}
			got, ok := scan(b[HeaderSize:], b.Count(), b.BaseTimestamp(), noBounds, false)
			if !ok || (b.TimestampType() == CreateTime && got != b.MaxTimestamp()) {
				t.Errorf("%s at %d: %d %v", g.name, b.BaseOffset(), got, ok)
			}
		}
	}
}
