package record

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/pierrec/lz4/v4"
)

// The LZ4 frame format, as far as Kafka goes with it (Lz4BlockInputStream.java):
// independent blocks only, a content checksum is passed over, and in message
// format 0 the header checksum is wrong. Its first clients computed it over the
// magic number too, so readers do not look at it there and writers repeat it.

const (
	lz4Magic      = 0x184D2204
	lz4VersionBit = 1 << 6
	lz4VersionAll = 3 << 6

	lz4Independent     = 1 << 5
	lz4BlockChecksum   = 1 << 4
	lz4ContentSize     = 1 << 3
	lz4ContentChecksum = 1 << 2
	lz4Reserved        = 1<<1 | 1 // the low one is "dictionary id"

	lz4Block64KB  = 4
	lz4BlockSize  = 64 << 10 // when writing
	lz4Stored     = 1 << 31  // block length: not compressed
	maxLz4Ratio   = 255
	lz4HeaderSize = 7 // magic, flags, block descriptor, checksum
)

// A lz4Reader reads one frame; Kafka's readers stop at its end as well.
type lz4Reader struct {
	in       []byte
	out      []byte // what is left of the current block
	scratch  []byte
	flags    byte
	maxBlock int
}

// reset reads the frame header. anyChecksum is for message format 0.
func (l *lz4Reader) reset(payload []byte, anyChecksum bool) error {
	l.out = nil
	if len(payload) < lz4HeaderSize {
		return io.ErrUnexpectedEOF
	}
	if binary.LittleEndian.Uint32(payload) != lz4Magic {
		return errors.New("no lz4 frame")
	}
	flags, descriptor := payload[4], payload[5]
	switch {
	case flags&lz4VersionAll != lz4VersionBit:
		return errors.New("unknown frame version")
	case flags&lz4Reserved != 0 || descriptor&^(7<<4) != 0:
		return errors.New("reserved bits in the frame header")
	case flags&lz4Independent == 0:
		return errors.New("dependent blocks are not supported")
	case descriptor>>4 < lz4Block64KB:
		return errors.New("invalid block size")
	}
	end := lz4HeaderSize - 1
	if flags&lz4ContentSize != 0 {
		end += 8
	}
	if len(payload) < end+1 {
		return io.ErrUnexpectedEOF
	}
	if !anyChecksum && payload[end] != lz4HeaderChecksum(payload[4:end]) {
		return errors.New("wrong frame header checksum")
	}
	l.flags = flags
	l.maxBlock = 1 << (8 + 2*(descriptor>>4)) // 64 KiB, 256 KiB, 1 MiB, 4 MiB
	l.in = payload[end+1:]
	return nil
}

func lz4HeaderChecksum(b []byte) byte { return byte(xxh32(b) >> 8) }

func (l *lz4Reader) drop() {
	l.in, l.out = nil, nil
	if cap(l.scratch) > keepSize {
		l.scratch = nil
	}
}

func (l *lz4Reader) Read(p []byte) (int, error) {
	for len(l.out) == 0 {
		block, stored, err := l.block()
		switch {
		case err != nil:
			return 0, err
		case stored:
			l.out = block
			continue
		}
		bound := min(l.maxBlock, maxLz4Ratio*len(block))
		if bound <= len(p) {
			n, err := lz4.UncompressBlock(block, p[:bound])
			if err != nil || n > 0 {
				return n, err
			}
			continue
		}
		if len(l.scratch) < bound {
			l.scratch = make([]byte, bound)
		}
		n, err := lz4.UncompressBlock(block, l.scratch[:bound])
		if err != nil {
			return 0, err
		}
		l.out = l.scratch[:n]
	}
	n := copy(p, l.out)
	l.out = l.out[n:]
	return n, nil
}

// block takes the next block off the input.
func (l *lz4Reader) block() (block []byte, stored bool, err error) {
	if len(l.in) < 4 {
		return nil, false, io.ErrUnexpectedEOF
	}
	length := binary.LittleEndian.Uint32(l.in)
	rest := l.in[4:]
	size := int(length &^ lz4Stored)
	switch {
	case size == 0: // the end mark; the content checksum may follow
		if l.flags&lz4ContentChecksum != 0 && len(rest) < 4 {
			return nil, false, io.ErrUnexpectedEOF
		}
		return nil, false, io.EOF
	case size > l.maxBlock:
		return nil, false, errors.New("block is larger than the frame header allows")
	case size > len(rest):
		return nil, false, io.ErrUnexpectedEOF
	}
	block, rest = rest[:size], rest[size:]
	if l.flags&lz4BlockChecksum != 0 {
		if len(rest) < 4 {
			return nil, false, io.ErrUnexpectedEOF
		}
		if binary.LittleEndian.Uint32(rest) != xxh32(block) {
			return nil, false, errors.New("wrong block checksum")
		}
		rest = rest[4:]
	}
	l.in = rest
	return block, length&lz4Stored != 0, nil
}

// A lz4Writer writes a frame of independent 64 KiB blocks without checksums.
type lz4Writer struct {
	to      io.Writer
	level   lz4.CompressionLevel // 0 is the fast compressor
	pending []byte
	scratch []byte
	fast    lz4.Compressor
	high    *lz4.CompressorHC
}

// Kafka's levels go to 17, and its default, 9, stands for the fast compressor.
const lz4DefaultLevel = 9

func (l *lz4Writer) reset(to io.Writer, level int, magic int8) error {
	l.to, l.pending, l.level = to, l.pending[:0], 0
	if level != 0 && level != lz4DefaultLevel {
		l.level = lz4.Level1 << min(max(level-1, 0), 8)
		if l.high == nil {
			l.high = new(lz4.CompressorHC)
		}
		l.high.Level = l.level
	}
	h := make([]byte, lz4HeaderSize)
	binary.LittleEndian.PutUint32(h, lz4Magic)
	h[4] = lz4VersionBit | lz4Independent
	h[5] = lz4Block64KB << 4
	if magic == Magic0 {
		h[6] = lz4HeaderChecksum(h[:6])
	} else {
		h[6] = lz4HeaderChecksum(h[4:6])
	}
	_, err := to.Write(h)
	return err
}

func (l *lz4Writer) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		n := min(len(p), lz4BlockSize-len(l.pending))
		l.pending = append(l.pending, p[:n]...)
		p = p[n:]
		if len(l.pending) == lz4BlockSize {
			if err := l.flush(); err != nil {
				return 0, err
			}
		}
	}
	return written, nil
}

func (l *lz4Writer) flush() error {
	if len(l.pending) == 0 {
		return nil
	}
	if l.scratch == nil {
		l.scratch = make([]byte, 4+lz4.CompressBlockBound(lz4BlockSize))
	}
	var n int
	var err error
	if l.level == 0 {
		n, err = l.fast.CompressBlock(l.pending, l.scratch[4:])
	} else {
		n, err = l.high.CompressBlock(l.pending, l.scratch[4:])
	}
	if err != nil {
		return err
	}
	length := uint32(n)
	if n == 0 || n >= len(l.pending) {
		n = copy(l.scratch[4:], l.pending)
		length = uint32(n) | lz4Stored
	}
	binary.LittleEndian.PutUint32(l.scratch, length)
	l.pending = l.pending[:0]
	_, err = l.to.Write(l.scratch[:4+n])
	return err
}

func (l *lz4Writer) Close() error {
	if err := l.flush(); err != nil {
		return err
	}
	_, err := l.to.Write([]byte{0, 0, 0, 0})
	return err
}
