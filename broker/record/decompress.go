package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// Limits of decompression. A kilobyte can stand for gigabytes, so output is
// made in a window and counted; neither a length field nor a ratio ever sizes
// a buffer by itself.
const (
	// DefaultDecompressedLimit is how many bytes one batch may decompress to.
	DefaultDecompressedLimit = 256 << 20
	// maxRecordSize is the largest single record that is read out of a
	// compressed batch: the window has to hold it.
	maxRecordSize = 64 << 20
	// windowSize is the window to begin with.
	windowSize = 64 << 10
	// keepSize is the largest buffer kept for the next batch.
	keepSize = 1 << 20
)

// A Decompressor holds decoders and buffers for reuse. It serves one
// iteration at a time and is not for concurrent use. The zero value is ready.
type Decompressor struct {
	// Limit overrides DefaultDecompressedLimit.
	Limit int64

	window []byte
	in     bytes.Reader
	gzip   *gzip.Reader
	snappy xerialReader
	lz4    lz4Reader
	zstd   zstdReader
}

var decompressors = sync.Pool{New: func() any { return new(Decompressor) }}

// AcquireDecompressor takes a Decompressor from a pool.
func AcquireDecompressor() *Decompressor { return decompressors.Get().(*Decompressor) }

// Release gives d back to the pool. Records read with it are gone then.
func (d *Decompressor) Release() {
	d.Limit = 0
	d.drop()
	decompressors.Put(d)
}

// drop forgets the input, and buffers that grew beyond what is worth keeping.
func (d *Decompressor) drop() {
	d.in.Reset(nil)
	d.snappy.reset(nil)
	d.lz4.drop()
	d.zstd.drop()
	if cap(d.window) > keepSize {
		d.window = nil
	}
}

// open starts to decompress payload. Magic matters for lz4, see lz4Reader.
func (d *Decompressor) open(codec Codec, magic int8, payload []byte) (stream, error) {
	if d.window == nil {
		d.window = make([]byte, windowSize)
	}
	limit := d.Limit
	if limit <= 0 {
		limit = DefaultDecompressedLimit
	}
	s := stream{buf: d.window, dec: d, left: limit}
	var err error
	switch codec {
	case Gzip:
		d.in.Reset(payload)
		if d.gzip == nil {
			d.gzip = new(gzip.Reader)
		}
		err = d.gzip.Reset(&d.in)
		s.src = d.gzip
	case Snappy:
		err = d.snappy.reset(payload)
		s.src = &d.snappy
	case Lz4:
		err = d.lz4.reset(payload, magic == Magic0)
		s.src = &d.lz4
	case Zstd:
		err = d.zstd.reset(payload, &d.in)
		s.src = &d.zstd
	default:
		return stream{}, fmt.Errorf("%w: %s", ErrUnknownCodec, codec)
	}
	if err != nil {
		return stream{}, decompressError(codec, err)
	}
	s.codec = codec
	return s, nil
}

// decompressError makes everything a decoder complains about, an early end
// above all, an ErrInvalidRecord: the checksum has said that this is what the
// producer sent.
func decompressError(codec Codec, err error) error {
	if errors.Is(err, ErrMessageTooLarge) {
		return err
	}
	return fmt.Errorf("%w: cannot decompress %s: %v", ErrInvalidRecord, codec, err)
}

var errDecompressedTooLarge = fmt.Errorf("%w: decompressed records are over the limit", ErrMessageTooLarge)

// A stream is a window over records. Without src the window is all there is:
// the bytes of an uncompressed batch.
type stream struct {
	buf  []byte // buf[r:w] is what was read and not taken yet
	r, w int

	src   io.Reader
	codec Codec
	dec   *Decompressor // owner of buf, if src is set
	left  int64         // how many more bytes src may give
	err   error         // of src, io.EOF included
}

func memoryStream(data []byte) stream { return stream{buf: data, w: len(data), err: io.EOF} }

// fill reads on until n bytes are in the window. At a clean end of the source
// it returns io.EOF and the window has fewer.
func (s *stream) fill(n int) error {
	for s.w-s.r < n {
		if s.err != nil {
			return s.err
		}
		if n > maxRecordSize {
			return errDecompressedTooLarge
		}
		if s.r > 0 {
			copy(s.buf, s.buf[s.r:s.w])
			s.w -= s.r
			s.r = 0
		}
		// The window grows by what has really been read, not to n at once.
		if s.w == len(s.buf) {
			s.buf = append(s.buf, make([]byte, len(s.buf))...)
			s.dec.window = s.buf
		}
		m, err := s.src.Read(s.buf[s.w:])
		s.w += m
		s.left -= int64(m)
		switch {
		case s.left < 0:
			s.err = errDecompressedTooLarge
			return s.err
		case err == io.EOF:
			s.err = io.EOF
		case err != nil:
			s.err = decompressError(s.codec, err)
		}
	}
	return nil
}

// take hands out the next n bytes of the window. They are valid until the
// next fill.
func (s *stream) take(n int) []byte {
	b := s.buf[s.r : s.r+n : s.r+n]
	s.r += n
	return b
}

// rest is what the window holds.
func (s *stream) rest() []byte { return s.buf[s.r:s.w] }

// atEnd says whether nothing is left, or which error hides the answer.
func (s *stream) atEnd() (bool, error) {
	if s.r < s.w {
		return false, nil
	}
	err := s.fill(1)
	if err == io.EOF {
		return true, nil
	}
	return false, err
}
