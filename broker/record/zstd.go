package record

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
)

// The window of a zstd frame can be up to 128 MiB (level 22), however little
// is in it, and the streaming decoder allocates it. So streaming is for windows
// up to maxZstdWindow; frames with larger ones are decoded in one piece, where
// memory grows with the output.
const (
	maxZstdWindow     = 8 << 20
	largestZstdWindow = 128 << 20
)

// A zstdReader reads zstd frames, one or several.
type zstdReader struct {
	stream *zstd.Decoder
	active bool // stream is in use

	whole *zstd.Decoder
	out   []byte // what is left of the output of whole
}

func (z *zstdReader) reset(payload []byte, in *bytes.Reader) (err error) {
	z.active = false
	z.out = nil
	var h zstd.Header
	if err := h.Decode(payload); err != nil {
		return err
	}
	if h.HasFCS && h.FrameContentSize > plausibleZstd(len(payload)) {
		return errors.New("content size cannot be true")
	}
	if h.WindowSize > maxZstdWindow || (h.SingleSegment && h.FrameContentSize > maxZstdWindow) {
		return z.resetWhole(payload)
	}
	if z.stream == nil {
		z.stream, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecodeBuffersBelow(0))
		if err != nil {
			return err
		}
	}
	in.Reset(payload)
	z.active = true
	return z.stream.Reset(in)
}

func (z *zstdReader) resetWhole(payload []byte) (err error) {
	if z.whole == nil {
		// The library takes the memory limit for a limit of the window too.
		z.whole, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(largestZstdWindow), zstd.WithDecoderMaxMemory(largestZstdWindow))
		if err != nil {
			return err
		}
	}
	z.out, err = z.whole.DecodeAll(payload, nil)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return errDecompressedTooLarge
	}
	return err
}

// plausibleZstd is the most that n bytes of zstd can stand for: blocks are at
// most 128 KiB and take at least four bytes.
func plausibleZstd(n int) uint64 { return uint64(n/4+1) * (128 << 10) }

func (z *zstdReader) Read(p []byte) (int, error) {
	if z.active {
		return z.stream.Read(p)
	}
	if len(z.out) == 0 {
		return 0, io.EOF
	}
	n := copy(p, z.out)
	z.out = z.out[n:]
	return n, nil
}

func (z *zstdReader) drop() {
	z.out = nil
	if z.active {
		z.active = false
		_ = z.stream.Reset(nil) // only ever says that nil is nil
	}
}
