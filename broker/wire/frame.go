package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrFrameTooLarge means that a size prefix is above the cap, or negative. The connection cannot be used any more.
var ErrFrameTooLarge = errors.New("frame size out of bounds")

const (
	sizePrefix = 4

	// readAhead is how much a FrameReader takes from its source while it waits for a frame: enough for most requests
	// to come in with one read, little enough to be held by ten thousand idle connections.
	readAhead = 512

	// trusted is how much of an announced frame is allocated before any of it has arrived; beyond it the buffer
	// grows with what did arrive.
	trusted = 128 << 10
)

// ReadFrame reads one frame, without its size prefix, from r. It reads no byte beyond the frame.
// io.EOF means that r ended before the frame began, io.ErrUnexpectedEOF that it ended within.
// The caller frees the buffer.
func ReadFrame(r io.Reader, maxSize int) (*Buffer, error) {
	var prefix [sizePrefix]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return nil, err
	}
	size, err := frameSize(prefix[:], maxSize)
	if err != nil {
		return nil, err
	}
	return readPayload(r, nil, size)
}

// A FrameReader reads frames off a connection. Small frames cost one read, because a few bytes are read ahead while
// it waits; the rest of a larger frame is read straight into the pooled buffer. Not for use by several goroutines.
type FrameReader struct {
	src      io.Reader
	from, to int // unread bytes of ahead
	ahead    [readAhead]byte
}

// NewFrameReader returns a reader of the frames in src.
func NewFrameReader(src io.Reader) *FrameReader { return &FrameReader{src: src} }

// Reset makes r read from src, as after a TLS handshake. What was read ahead is kept.
func (r *FrameReader) Reset(src io.Reader) { r.src = src }

// Buffered returns how many bytes were read ahead: if more than none, the peer sent on without waiting.
func (r *FrameReader) Buffered() int { return r.to - r.from }

// Next reads the next frame, without its size prefix. Errors are those of [ReadFrame].
func (r *FrameReader) Next(maxSize int) (*Buffer, error) {
	size, err := r.Size(maxSize)
	if err != nil {
		return nil, err
	}
	return r.Payload(size)
}

// Size waits for the next frame and returns its size. [FrameReader.Payload] has to follow.
func (r *FrameReader) Size(maxSize int) (int, error) {
	if err := r.fill(sizePrefix); err != nil {
		return 0, err
	}
	size, err := frameSize(r.ahead[r.from:], maxSize)
	if err == nil {
		r.from += sizePrefix
	}
	return size, err
}

// Payload reads the frame whose size was returned by [FrameReader.Size].
func (r *FrameReader) Payload(size int) (*Buffer, error) {
	have := r.ahead[r.from:min(r.to, r.from+size)]
	r.from += len(have)
	return readPayload(r.src, have, size)
}

// fill reads until n bytes are buffered.
func (r *FrameReader) fill(n int) error {
	if r.from == r.to {
		r.from, r.to = 0, 0
	}
	for empty := 0; r.to-r.from < n; {
		if r.from+n > len(r.ahead) {
			r.to = copy(r.ahead[:], r.ahead[r.from:r.to])
			r.from = 0
		}
		m, err := r.src.Read(r.ahead[r.to:])
		r.to += m
		switch {
		case r.to-r.from >= n:
			return nil
		case err == io.EOF && r.to > r.from:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case m > 0:
			empty = 0
		default:
			if empty++; empty > 100 {
				return io.ErrNoProgress
			}
		}
	}
	return nil
}

func frameSize(prefix []byte, maxSize int) (int, error) {
	size := int32(binary.BigEndian.Uint32(prefix))
	if size < 0 || int64(size) > int64(maxSize) {
		return 0, fmt.Errorf("%w: %d bytes announced, at most %d allowed%s", ErrFrameTooLarge, size, maxSize, otherProtocol(prefix))
	}
	return int(size), nil
}

// otherProtocol names what has come in place of a size, where that is plain.
func otherProtocol(prefix []byte) string {
	switch start := string(prefix[:sizePrefix]); {
	case start[0] == 22 && start[1] == 3: // handshake, version 3.x
		return ": this is TLS, on a listener without"
	case start == "GET " || start == "POST" || start == "HEAD" || start == "PUT ":
		return ": this is HTTP"
	}
	return ""
}

// readPayload returns a buffer of size bytes, the first of which are have. Memory follows arrival: the buffer holds
// at most [trusted] bytes, or four times what came, before the rest is there.
func readPayload(r io.Reader, have []byte, size int) (*Buffer, error) {
	buf := GetBuffer(min(size, trusted))
	n := copy(buf.b, have)
	for {
		m, err := io.ReadFull(r, buf.b[n:])
		n += m
		if err != nil {
			buf.Free()
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if n == size {
			return buf, nil
		}
		larger := GetBuffer(min(size, 4*n))
		copy(larger.b, buf.b)
		buf.Free()
		buf = larger
	}
}
