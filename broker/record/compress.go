package record

import (
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// A compressor holds encoders and buffers for reuse. It writes one payload at
// a time: reset, fill pending and flush, finish.
type compressor struct {
	out     cappedBuffer
	active  io.WriteCloser
	pending []byte // input that is gathered until it is worth a call

	snappy xerialWriter
	lz4    lz4Writer
	gzip   [gzip.BestCompression + 1]*gzip.Writer // by level, 0 being the default
	zstd   [zstd.SpeedBestCompression + 1]*zstd.Encoder
}

// pendingSize is how much is gathered.
const pendingSize = 16 << 10

var compressors = sync.Pool{New: func() any { return new(compressor) }}

func acquireCompressor() *compressor { return compressors.Get().(*compressor) }

// release forgets the payload and gives c back to the pool.
func (c *compressor) release() {
	c.out, c.active = cappedBuffer{}, nil
	if c.pending = c.pending[:0]; cap(c.pending) > keepSize {
		c.pending = nil
	}
	compressors.Put(c)
}

// zstdWindow is the window of what we write. It is that of Kafka's default
// level or less, and keeps an encoder's memory in the low megabytes.
const zstdWindow = 1 << 20

// reset begins a payload that is appended to dst. More than limit bytes of
// output are refused with ErrMessageTooLarge, unless limit is 0. Level 0 is the
// default of the codec; magic matters for lz4.
func (c *compressor) reset(dst []byte, limit int, codec Codec, level int, magic int8) error {
	c.out = cappedBuffer{data: dst, start: len(dst), limit: limit}
	switch codec {
	case Gzip:
		if level < gzip.BestSpeed || level > gzip.BestCompression {
			level = 0
		}
		if c.gzip[level] == nil {
			at := level
			if level == 0 {
				at = gzip.DefaultCompression
			}
			w, err := gzip.NewWriterLevel(&c.out, at)
			if err != nil {
				return err
			}
			c.gzip[level] = w
		}
		c.gzip[level].Reset(&c.out)
		c.active = c.gzip[level]
	case Snappy:
		c.active = &c.snappy
		return c.snappy.reset(&c.out)
	case Lz4:
		c.active = &c.lz4
		return c.lz4.reset(&c.out, level, magic)
	case Zstd:
		if level == 0 {
			level = 3
		}
		speed := zstd.EncoderLevelFromZstd(level)
		if c.zstd[speed] == nil {
			w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
				zstd.WithEncoderLevel(speed), zstd.WithWindowSize(zstdWindow), zstd.WithEncoderCRC(false), zstd.WithZeroFrames(true))
			if err != nil {
				return err
			}
			c.zstd[speed] = w
		}
		c.zstd[speed].Reset(&c.out)
		c.active = c.zstd[speed]
	default:
		return fmt.Errorf("%w: %s", ErrUnknownCodec, codec)
	}
	return nil
}

func (c *compressor) flush() error {
	_, err := c.active.Write(c.pending)
	c.pending = c.pending[:0]
	return err
}

// finish gives dst with the payload behind it.
func (c *compressor) finish() ([]byte, error) {
	if err := c.flush(); err != nil {
		return nil, err
	}
	err := c.active.Close()
	return c.out.data, err
}

var errOutputTooLarge = fmt.Errorf("%w: over the limit after compression", ErrMessageTooLarge)

// A cappedBuffer collects what encoders write.
type cappedBuffer struct {
	data         []byte
	start, limit int
}

func (b *cappedBuffer) Write(p []byte) (int, error) {
	if b.limit > 0 && len(b.data)-b.start+len(p) > b.limit {
		return 0, errOutputTooLarge
	}
	b.data = append(b.data, p...)
	return len(p), nil
}
