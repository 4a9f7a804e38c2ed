package storage

import (
	"io"
	"sync"

	"github.com/kraal-mq/kraal/broker/record"
)

// scanner goes over the batch headers of a file without reading the bodies.
//
//	sc := newScanner(file, pos, end)
//	defer sc.close()
//	for sc.next() { ... sc.h, sc.at ... }
//
// It ends silently where the file does, or at a batch that is cut off there (torn is then true); anything that cannot be
// a batch is err.
type scanner struct {
	r        io.ReaderAt
	pos, end int64
	h        record.Header
	at       int64 // where the current batch begins
	torn     bool
	err      error

	buf      *[scanBuffer]byte
	from     int64 // file position of buf
	buffered int
	chunk    int
}

const (
	scanBuffer = 16 << 10
	// A lookup scans one index interval, so small reads do; a pass over a file takes all that fits.
	lookupChunk = 4 << 10
)

var scanBuffers = sync.Pool{New: func() any { return new([scanBuffer]byte) }}

func newScanner(r io.ReaderAt, pos, end int64, chunk int) scanner {
	return scanner{r: r, pos: pos, end: end, buf: scanBuffers.Get().(*[scanBuffer]byte), chunk: min(chunk, scanBuffer)}
}

func (s *scanner) close() {
	if s.buf != nil {
		scanBuffers.Put(s.buf)
		s.buf = nil
	}
}

func (s *scanner) next() bool {
	left := s.end - s.pos
	if left <= 0 || s.err != nil {
		return false
	}
	if left < record.PrefixSize {
		s.torn = true
		return false
	}
	need := int(min(left, record.HeaderSize))
	if s.pos < s.from || s.pos+int64(need) > s.from+int64(s.buffered) {
		want := int(min(left, int64(s.chunk)))
		n, err := s.r.ReadAt(s.buf[:want], s.pos)
		if n < need {
			if err == nil || err == io.EOF {
				err = errGone // the file got shorter than it was known to be
			}
			s.err = err
			return false
		}
		s.from, s.buffered = s.pos, n
	}
	off := int(s.pos - s.from)
	h, err := record.ParseHeader(s.buf[off : off+need])
	if err != nil {
		s.err = err
		return false
	}
	size := int64(h.Size())
	if !h.Complete || size > left {
		s.torn = true
		return false
	}
	s.h, s.at = h, s.pos
	s.pos += size
	return true
}

// header is the current batch as far as it is buffered: enough for the getters of the header, not for records.
func (s *scanner) header() record.Batch {
	off := int(s.at - s.from)
	return record.Batch(s.buf[off : off+int(min(record.HeaderSize, s.h.Size()))])
}

// readBatch reads a whole batch into buf, grown if need be. The size is one that fits in the file.
func readBatch(r io.ReaderAt, at int64, size int, buf []byte) ([]byte, error) {
	if cap(buf) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	n, err := r.ReadAt(buf, at)
	if n == size {
		return buf, nil
	}
	if err == nil || err == io.EOF {
		err = errGone
	}
	return buf, err
}
