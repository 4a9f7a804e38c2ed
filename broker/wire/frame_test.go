package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

func frame(payload []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...)
}

func randomBytes(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

var frameSizes = []int{0, 1, 8, readAhead - 5, readAhead - 4, readAhead - 3, readAhead, 5000, trusted - 1, trusted, trusted + 1, 4*trusted + 1, 3 << 20, 9 << 20}

func TestReadFrame(t *testing.T) {
	for _, size := range frameSizes {
		want := randomBytes(size)
		src := bytes.NewReader(append(frame(want), "rest"...))
		buf, err := ReadFrame(src, 16<<20)
		if err != nil || !bytes.Equal(buf.Bytes(), want) {
			t.Fatalf("size %d: %v, or another content", size, err)
		}
		buf.Free()
		if src.Len() != len("rest") {
			t.Fatalf("size %d: read beyond the frame", size)
		}
	}
}

// TestFrameReader reads frames of all sizes behind one another, however the bytes come in.
func TestFrameReader(t *testing.T) {
	var stream []byte
	for range 3 {
		for _, size := range frameSizes {
			stream = append(stream, frame(randomBytes(size))...)
		}
	}
	for name, src := range map[string]io.Reader{
		"whole":          bytes.NewReader(stream),
		"half":           iotest.HalfReader(bytes.NewReader(stream)),
		"data with EOF":  iotest.DataErrReader(bytes.NewReader(stream)),
		"byte by byte":   iotest.OneByteReader(bytes.NewReader(stream[:1<<20])),
		"nothing or all": &stutter{bytes.NewReader(stream), false},
	} {
		r := NewFrameReader(src)
		n := 0
		for {
			buf, err := r.Next(16 << 20)
			if err != nil {
				if err == io.ErrUnexpectedEOF && name == "byte by byte" {
					break
				}
				if err != io.EOF || n != 3*len(frameSizes) {
					t.Fatalf("%s: after %d frames: %v", name, n, err)
				}
				break
			}
			if want := randomBytes(frameSizes[n%len(frameSizes)]); !bytes.Equal(buf.Bytes(), want) {
				t.Fatalf("%s: frame %d differs", name, n)
			}
			buf.Free()
			n++
		}
	}
}

// stutter returns no bytes and no error every other time, as a reader may.
type stutter struct {
	r     io.Reader
	empty bool
}

func (s *stutter) Read(p []byte) (int, error) {
	if s.empty = !s.empty; s.empty {
		return 0, nil
	}
	return s.r.Read(p)
}

func TestFrameErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		bytes []byte
		want  error
	}{
		{"nothing", nil, io.EOF},
		{"half a prefix", []byte{0, 0}, io.ErrUnexpectedEOF},
		{"no payload", []byte{0, 0, 0, 9}, io.ErrUnexpectedEOF},
		{"half a payload", []byte{0, 0, 0, 9, 1, 2}, io.ErrUnexpectedEOF},
		{"negative", []byte{0xff, 0xff, 0xff, 0xff}, ErrFrameTooLarge},
		{"too large", []byte{0, 0, 4, 1}, ErrFrameTooLarge},
	} {
		if _, err := ReadFrame(bytes.NewReader(c.bytes), 1024); !errors.Is(err, c.want) {
			t.Errorf("%s: ReadFrame: %v, want %v", c.name, err, c.want)
		}
		if _, err := NewFrameReader(bytes.NewReader(c.bytes)).Next(1024); !errors.Is(err, c.want) {
			t.Errorf("%s: Next: %v, want %v", c.name, err, c.want)
		}
	}
	if _, err := NewFrameReader(iotest.ErrReader(iotest.ErrTimeout)).Next(1024); err != iotest.ErrTimeout {
		t.Errorf("a read error became %v", err)
	}
}

// TestSizePrefixIsNotTrusted announces 100 MB and sends a little: memory must follow what arrived.
func TestSizePrefixIsNotTrusted(t *testing.T) {
	for _, sent := range []int{0, 100, trusted + 1} {
		stream := append([]byte{6, 0, 0, 0}, make([]byte, sent)...)
		largest := 0
		r := NewFrameReader(&watched{bytes.NewReader(stream), &largest})
		if _, err := r.Next(128 << 20); err != io.ErrUnexpectedEOF {
			t.Fatal(err)
		}
		if limit := max(trusted, 4*sent); largest > limit {
			t.Errorf("%d bytes sent, but a read of %d offered", sent, largest)
		}
	}
}

type watched struct {
	r       io.Reader
	largest *int
}

func (w *watched) Read(p []byte) (int, error) {
	*w.largest = max(*w.largest, len(p))
	return w.r.Read(p)
}

func TestSizeClasses(t *testing.T) {
	last := 0
	for n := 1; n <= 1<<maxClassBits; n += 1 + n/1000 {
		class, size := sizeClass(n)
		if size < n || class < last || class >= len(pools) || size > 512 && size-n > n/4 {
			t.Fatalf("%d bytes: class %d of %d bytes after class %d", n, class, size, last)
		}
		if c, s := sizeClass(size); c != class || s != size {
			t.Fatalf("a full buffer of class %d is of class %d", class, c)
		}
		last = class
	}
	if last != len(pools)-1 {
		t.Errorf("largest class is %d of %d", last, len(pools))
	}
	if class, _ := sizeClass(1<<maxClassBits + 1); class != -1 {
		t.Error("a huge buffer is pooled")
	}
	var none *Buffer
	none.Free()
	GetBuffer(1<<maxClassBits + 1).Free()
}

func TestReadingAFrameAllocatesNothing(t *testing.T) {
	stream := frame(make([]byte, 100_000))
	src := bytes.NewReader(stream)
	r := NewFrameReader(src)
	if n := testing.AllocsPerRun(100, func() {
		src.Reset(stream)
		buf, err := r.Next(1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		buf.Free()
	}); n > 0 && !raceEnabled {
		t.Errorf("%v allocations per frame", n)
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(frame([]byte("abc")), uint16(1))
	f.Add([]byte{0, 0, 4, 1, 2}, uint16(7))
	f.Fuzz(func(t *testing.T, stream []byte, step uint16) {
		a, b := bytes.NewReader(stream), NewFrameReader(&chunks{bytes.NewReader(stream), int(step%600) + 1})
		for {
			one, err1 := ReadFrame(a, 1<<20)
			two, err2 := b.Next(1 << 20)
			if (err1 == nil) != (err2 == nil) {
				t.Fatalf("ReadFrame says %v, FrameReader says %v", err1, err2)
			}
			if err1 != nil {
				return
			}
			if !bytes.Equal(one.Bytes(), two.Bytes()) {
				t.Fatal("the two readers disagree")
			}
			one.Free()
			two.Free()
		}
	})
}

type chunks struct {
	r    io.Reader
	size int
}

func (c *chunks) Read(p []byte) (int, error) { return c.r.Read(p[:min(len(p), c.size)]) }
