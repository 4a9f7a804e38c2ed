package record

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/s2"
)

// Java clients write snappy in the framing of the xerial library: a header,
// then chunks of {int32 length, snappy block}. Others send one bare block.

const (
	xerialHeader    = "\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01" // magic, version 1, compatible with 1
	xerialMagicSize = 8
	xerialChunk     = 32 << 10 // of input, when writing

	// A snappy copy gives at most 64 bytes for two or three.
	maxSnappyRatio = 64
)

// A xerialReader reads both framings.
type xerialReader struct {
	in      []byte
	out     []byte // what is left of the current block
	scratch []byte
	bare    bool // in is one block
}

func (x *xerialReader) reset(payload []byte) error {
	x.in, x.out = payload, nil
	if cap(x.scratch) > keepSize {
		x.scratch = nil
	}
	x.bare = len(payload) > 0 && !x.takeHeader()
	return nil
}

func (x *xerialReader) takeHeader() bool {
	if len(x.in) < len(xerialHeader) || string(x.in[:xerialMagicSize]) != xerialHeader[:xerialMagicSize] {
		return false
	}
	x.in = x.in[len(xerialHeader):] // the versions say nothing yet
	return true
}

func (x *xerialReader) Read(p []byte) (int, error) {
	for len(x.out) == 0 {
		block, err := x.block()
		if err != nil {
			return 0, err
		}
		size, err := s2.DecodedLen(block)
		if err != nil {
			return 0, err
		}
		if size > maxSnappyRatio*len(block) {
			return 0, errors.New("block length cannot be true")
		}
		if size > 0 && size <= len(p) {
			_, err = s2.Decode(p[:size], block)
			return size, err
		}
		if size > len(x.scratch) {
			x.scratch = make([]byte, size)
		}
		if x.out, err = s2.Decode(x.scratch, block); err != nil {
			x.out = nil
			return 0, err
		}
	}
	n := copy(p, x.out)
	x.out = x.out[n:]
	return n, nil
}

// block takes the next compressed block off the input.
func (x *xerialReader) block() ([]byte, error) {
	if len(x.in) == 0 {
		return nil, io.EOF
	}
	if x.bare {
		b := x.in
		x.in = nil
		return b, nil
	}
	for x.takeHeader() { // streams may have been put together
	}
	if len(x.in) < 4 {
		return nil, io.ErrUnexpectedEOF
	}
	size := int(int32(binary.BigEndian.Uint32(x.in)))
	if size < 0 || size > len(x.in)-4 {
		return nil, io.ErrUnexpectedEOF
	}
	b := x.in[4 : 4+size]
	x.in = x.in[4+size:]
	return b, nil
}

// A xerialWriter writes the xerial framing.
type xerialWriter struct {
	to      io.Writer
	pending []byte
	scratch []byte
}

func (x *xerialWriter) reset(to io.Writer) error {
	x.to, x.pending = to, x.pending[:0]
	_, err := io.WriteString(to, xerialHeader)
	return err
}

func (x *xerialWriter) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		n := min(len(p), xerialChunk-len(x.pending))
		x.pending = append(x.pending, p[:n]...)
		p = p[n:]
		if len(x.pending) == xerialChunk {
			if err := x.flush(); err != nil {
				return 0, err
			}
		}
	}
	return written, nil
}

func (x *xerialWriter) flush() error {
	if len(x.pending) == 0 {
		return nil
	}
	if x.scratch == nil {
		x.scratch = make([]byte, 4+s2.MaxEncodedLen(xerialChunk))
	}
	block := s2.EncodeSnappy(x.scratch[4:], x.pending)
	binary.BigEndian.PutUint32(x.scratch, uint32(len(block)))
	x.pending = x.pending[:0]
	_, err := x.to.Write(x.scratch[:4+len(block)])
	return err
}

func (x *xerialWriter) Close() error { return x.flush() }
