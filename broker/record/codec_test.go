package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

func compressAll(t testing.TB, codec Codec, level int, magic int8, data []byte) []byte {
	t.Helper()
	c := acquireCompressor()
	defer c.release()
	if err := c.reset(nil, 0, codec, level, magic); err != nil {
		t.Fatal(err)
	}
	c.pending = append(c.pending, data...)
	out, err := c.finish()
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(out)
}

// decompressAll reads in steps, as records are read.
func decompressAll(d *Decompressor, codec Codec, magic int8, payload []byte) ([]byte, error) {
	defer d.drop()
	s, err := d.open(codec, magic, payload)
	if err != nil {
		return nil, err
	}
	var out []byte
	for {
		end, err := s.atEnd()
		if end || err != nil {
			return out, err
		}
		out = append(out, s.take(min(s.w-s.r, 1000))...)
	}
}

func TestCodecRoundTrip(t *testing.T) {
	text := bytes.Repeat([]byte("all happy families are alike; "), 20_000)
	d := AcquireDecompressor()
	defer d.Release()
	for _, codec := range allCodecs[1:] {
		for _, level := range []int{-131072, -1, 0, 1, 3, 9, 12, 17, 22} {
			for _, data := range [][]byte{nil, {7}, text[:100], text, randomBytes(xerialChunk), randomBytes(lz4BlockSize + 1)} {
				payload := compressAll(t, codec, level, Magic2, data)
				if len(data) == len(text) && len(payload) > len(data)/5 {
					t.Errorf("%s level %d: %d of %d bytes", codec, level, len(payload), len(data))
				}
				got, err := decompressAll(d, codec, Magic2, payload)
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%s level %d, %d bytes: %v", codec, level, len(data), err)
				}
			}
		}
	}
}

// What we write, others read.
func TestCodecsAreStandard(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 30_000)
	readers := map[Codec]func(io.Reader) (io.Reader, error){
		Gzip: func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		Lz4:  func(r io.Reader) (io.Reader, error) { return lz4.NewReader(r), nil },
		Zstd: func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
	}
	for codec, open := range readers {
		r, err := open(bytes.NewReader(compressAll(t, codec, 0, Magic2, data)))
		if err != nil {
			t.Fatal(codec, err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %v", codec, err)
		}
	}
}

func TestSnappyFramings(t *testing.T) {
	d := new(Decompressor)
	block := func(s string) []byte { return s2.EncodeSnappy(nil, []byte(s)) }
	chunk := func(b []byte) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...) }
	header := []byte(xerialHeader)
	for _, c := range []struct {
		name string
		in   []byte
		want string
		bad  bool
	}{
		{"one bare block", block("hello hello hello"), "hello hello hello", false},
		{"xerial", join(header, chunk(block("hello ")), chunk(block("again"))), "hello again", false},
		{"another version", join([]byte("\x82SNAPPY\x00\x00\x00\x00\x02\x00\x00\x00\x02"), chunk(block("hello"))), "hello", false},
		{"empty chunk", join(header, chunk(block("")), chunk(block("x"))), "x", false},
		{"streams put together", join(header, chunk(block("a")), header, header, chunk(block("b"))), "ab", false},
		{"header only", header, "", false},
		{"nothing", nil, "", false},
		{"torn chunk", join(header, chunk(block("hello"))[:6]), "", true},
		{"torn length", join(header, []byte{0, 0}), "", true},
		{"negative length", join(header, []byte{255, 255, 255, 255}), "", true},
		{"block claims a gigabyte", []byte{0x80, 0x80, 0x80, 0x80, 0x04, 0}, "", true},
		{"garbage", []byte("garbage"), "", true},
	} {
		got, err := decompressAll(d, Snappy, Magic2, c.in)
		if (err != nil) != c.bad || (err != nil && !errors.Is(err, ErrInvalidRecord)) || (!c.bad && string(got) != c.want) {
			t.Errorf("%s: %q %v", c.name, got, err)
		}
	}
}

// lz4With writes a frame with options of the library.
func lz4With(t testing.TB, data []byte, options ...lz4.Option) []byte {
	var b bytes.Buffer
	w := lz4.NewWriter(&b)
	if err := w.Apply(options...); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestLz4Frames(t *testing.T) {
	d := new(Decompressor)
	data := bytes.Repeat([]byte("lz4 lz4 "), 40_000)
	noise := randomBytes(100_000)
	frame := func(o ...lz4.Option) []byte { return lz4With(t, data, o...) }
	change := func(b []byte, f func(b []byte)) []byte { b = bytes.Clone(b); f(b); return b }
	plain := frame(lz4.ChecksumOption(false), lz4.BlockSizeOption(lz4.Block64Kb))
	// descriptor sets a header byte and makes the checksum right.
	descriptor := func(pos int, v byte) []byte {
		return change(plain, func(b []byte) { b[pos] = v; b[6] = lz4HeaderChecksum(b[4:6]) })
	}
	broken := compressAll(t, Lz4, 0, Magic0, data)
	for _, c := range []struct {
		name  string
		in    []byte
		want  []byte
		magic int8
		bad   bool
	}{
		{"plain", plain, data, 2, false},
		{"4 MiB blocks", frame(lz4.BlockSizeOption(lz4.Block4Mb)), data, 2, false},
		{"block checksum", frame(lz4.BlockChecksumOption(true)), data, 2, false},
		{"content checksum", frame(lz4.ChecksumOption(true)), data, 2, false},
		{"wrong content checksum", change(frame(lz4.ChecksumOption(true)), func(b []byte) { b[len(b)-1]++ }), data, 2, false},
		{"content size", frame(lz4.SizeOption(uint64(len(data)))), data, 2, false},
		{"high compression", frame(lz4.CompressionLevelOption(lz4.Level9)), data, 2, false},
		{"stored blocks", lz4With(t, noise, lz4.BlockSizeOption(lz4.Block64Kb)), noise, 2, false},
		{"bytes behind the frame", join(plain, []byte("more")), data, 2, false},
		{"checksum of format 0", broken, data, 0, false},
		{"checksum of format 0 in format 1", broken, nil, 1, true},
		{"right checksum in format 0", plain, data, 0, false},
		{"wrong block checksum", change(frame(lz4.BlockChecksumOption(true), lz4.ChecksumOption(false)), func(b []byte) { b[len(b)-5]++ }), nil, 2, true},
		{"dependent blocks", descriptor(4, plain[4]&^lz4Independent), nil, 2, true},
		{"version", descriptor(4, plain[4]|lz4VersionAll), nil, 2, true},
		{"dictionary", descriptor(4, plain[4]|1), nil, 2, true},
		{"block size code", descriptor(5, 3<<4), nil, 2, true},
		{"reserved bit", descriptor(5, plain[5]|1), nil, 2, true},
		{"block larger than allowed", change(plain, func(b []byte) { binary.LittleEndian.PutUint32(b[7:], 65537) }), nil, 2, true},
		{"torn", plain[:len(plain)-10], nil, 2, true},
		{"without end mark", plain[:len(plain)-4], nil, 2, true},
		{"torn header", plain[:6], nil, 2, true},
		{"not lz4", []byte("not lz4 at all"), nil, 2, true},
	} {
		got, err := decompressAll(d, Lz4, c.magic, c.in)
		if (err != nil) != c.bad || (err != nil && !errors.Is(err, ErrInvalidRecord)) || (!c.bad && !bytes.Equal(got, c.want)) {
			t.Errorf("%s: %d bytes, %v", c.name, len(got), err)
		}
	}
}

// The header checksum of Kafka's own clients of format 0.
func TestLz4HeaderOfGoldenLogs(t *testing.T) {
	for _, name := range []string{"v0-lz4", "v1-lz4", "codec-lz4"} {
		for b := range Batches(gunzipFile(t, "testdata/golden/"+name+".log.gz")) {
			payload := b[HeaderSize:]
			if b.Magic() < Magic2 {
				var wrapper Record
				if err := parseLegacy(b[LogOverhead:], &wrapper); err != nil {
					t.Fatal(err)
				}
				payload = wrapper.Value
			}
			want := compressAll(t, Lz4, 0, b.Magic(), nil)[:lz4HeaderSize]
			if !bytes.Equal(payload[:lz4HeaderSize], want) {
				t.Errorf("%s: header %x, ours %x", name, payload[:lz4HeaderSize], want)
			}
		}
	}
}

func TestZstdFrames(t *testing.T) {
	d := new(Decompressor)
	data := bytes.Repeat([]byte("zstd "), 50_000)
	encode := func(data []byte, o ...zstd.EOption) []byte {
		e, err := zstd.NewWriter(nil, o...)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		return e.EncodeAll(data, nil)
	}
	stream := func(data []byte, o ...zstd.EOption) []byte { // without a content size
		var b bytes.Buffer
		e, err := zstd.NewWriter(&b, o...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	// A frame as level 22 makes it: a window of 128 MiB, a raw block.
	huge := append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 5<<3 | 1, 0, 0}, "hello"...)
	lie := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0x10, 1, 0, 0} // 256 MiB, and an empty block
	for _, c := range []struct {
		name string
		in   []byte
		want []byte
		bad  error
	}{
		{"one piece", encode(data), data, nil},
		{"stream", stream(data), data, nil},
		{"several frames", join(encode(data), stream(data)), join(data, data), nil},
		{"checksum", stream(data, zstd.WithEncoderCRC(true)), data, nil},
		{"best, large window", stream(data, zstd.WithWindowSize(1<<26), zstd.WithSingleSegment(false)), data, nil},
		{"window of level 22", huge, []byte("hello"), nil},
		{"window beyond", append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 18 << 3}, huge[6:]...), nil, ErrInvalidRecord},
		{"content size that cannot be", lie, nil, ErrInvalidRecord},
		{"torn", stream(data)[:20], nil, ErrInvalidRecord},
		{"empty", nil, nil, ErrInvalidRecord},
		{"garbage", []byte("garbage, garbage"), nil, ErrInvalidRecord},
	} {
		got, err := decompressAll(d, Zstd, Magic2, c.in)
		if (err != nil) != (c.bad != nil) || !errors.Is(err, c.bad) || (c.bad == nil && !bytes.Equal(got, c.want)) {
			t.Errorf("%s: %d bytes, %v", c.name, len(got), err)
		}
	}
}

func TestGzipMembers(t *testing.T) {
	a, b := compressAll(t, Gzip, 0, Magic2, []byte("one ")), compressAll(t, Gzip, 9, Magic2, []byte("two"))
	got, err := decompressAll(new(Decompressor), Gzip, Magic2, join(a, b))
	if err != nil || string(got) != "one two" {
		t.Errorf("%q %v", got, err)
	}
	a[len(a)-5]++ // its checksum
	if _, err := decompressAll(new(Decompressor), Gzip, Magic2, a); !errors.Is(err, ErrInvalidRecord) {
		t.Errorf("checksum: %v", err)
	}
}

func TestBombs(t *testing.T) {
	zeros := make([]byte, 1<<20)
	for _, codec := range allCodecs[1:] {
		// Many records: the total is over the limit.
		b := NewBuilder(BuilderOptions{Codec: codec})
		for range 20 {
			b.Append(0, zeros[:1], zeros)
		}
		bomb, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		d := &Decompressor{Limit: 10 << 20}
		n := 0
		for _, err = range bomb.Records(d) {
			n++
		}
		if !errors.Is(err, ErrMessageTooLarge) || n < 9 || n > 11 {
			t.Errorf("%s: %d records, %v", codec, n, err)
		}
		d.drop()
		if cap(d.window) > keepSize {
			t.Errorf("%s: window of %d bytes kept", codec, cap(d.window))
		}
		o := DefaultValidateOptions(0)
		o.Compacted, o.MaxDecompressedBytes = true, 10<<20
		if _, err := Validate(bomb, o); !errors.Is(err, ErrMessageTooLarge) {
			t.Errorf("%s: %v", codec, err)
		}
		// To be stored uncompressed, it is too large long before that.
		o = DefaultValidateOptions(0)
		o.TargetCodec = None
		if _, err := Validate(bomb, o); !errors.Is(err, ErrMessageTooLarge) {
			t.Errorf("%s uncompressed: %v", codec, err)
		}
	}
	// One record of more than a window may have, by its own account.
	length := appendVarint(nil, 1<<30)
	payload := compressAll(t, Zstd, 0, Magic2, append(length, zeros...))
	batch := Batch(append(make([]byte, HeaderSize), payload...))
	putHeader(batch, Header{Attributes: int16(Zstd), Count: 1}, nil)
	var err error
	for _, err = range batch.Records(nil) {
	}
	if !errors.Is(err, ErrMessageTooLarge) {
		t.Errorf("length: %v", err)
	}
}

func TestCodecNames(t *testing.T) {
	for _, c := range append(allCodecs, Producer) {
		if got, err := ParseCodec(c.String()); err != nil || got != c {
			t.Errorf("%s: %v %v", c, got, err)
		}
	}
	if c, err := ParseCodec("uncompressed"); err != nil || c != None {
		t.Error(c, err)
	}
	if _, err := ParseCodec("brotli"); err == nil {
		t.Error("brotli")
	}
	if got := Codec(6).String(); got != "codec(6)" {
		t.Error(got)
	}
}

func TestVarints(t *testing.T) {
	for v, want := range map[int32]string{0: "00", -1: "01", 1: "02", 63: "7e", 64: "8001", -64: "7f", 300: "d804", 1<<31 - 1: "feffffff0f", -1 << 31: "ffffffff0f"} {
		enc := appendVarint(nil, v)
		if !bytes.Equal(enc, unhex(want)) || sizeVarint(v) != len(enc) {
			t.Errorf("%d: %x", v, enc)
		}
		if got, n := varint(enc); got != v || n != len(enc) {
			t.Errorf("%x: %d %d", enc, got, n)
		}
		if got, n := varlong(appendVarlong(nil, int64(v)<<31)); got != int64(v)<<31 || n != sizeVarlong(int64(v)<<31) {
			t.Errorf("%d<<31: %d %d", v, got, n)
		}
		if _, n := varint(enc[:len(enc)-1]); n != 0 {
			t.Errorf("%x cut: %d", enc, n)
		}
	}
	if _, n := varint(bytes.Repeat([]byte{0x80}, 5)); n != -1 {
		t.Error("endless varint")
	}
	if _, n := varlong(bytes.Repeat([]byte{0xff}, 10)); n != -1 {
		t.Error("endless varlong")
	}
}

func TestXXH32(t *testing.T) {
	for in, want := range map[string]uint32{"": 0x02cc5d05, "a": 0x550d7456, "abc": 0x32d153ff, "Nobody inspects the spammish repetition": 0xe2293b2f} {
		if got := xxh32([]byte(in)); got != want {
			t.Errorf("%q: %08x", in, got)
		}
	}
}
