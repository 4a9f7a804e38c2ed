package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// DownConvert appends what a client sees of batch b that knows message formats
// up to toMagic (KIP-31, KIP-98): control batches vanish, headers and producer
// fields too, and of an uncompressed batch the records below firstOffset, where
// the fetch began. Codecs are kept; older formats have no zstd.
func DownConvert(dst []byte, b Batch, toMagic int8, firstOffset int64, dec *Decompressor) ([]byte, error) {
	switch {
	case toMagic >= Magic2 || b.Magic() <= toMagic:
		return append(dst, b...), nil
	case b.IsControl():
		return dst, nil
	case b.Codec() > Lz4:
		return dst, fmt.Errorf("%w: %s does not exist in message format %d", ErrUnsupportedCompression, b.Codec(), toMagic)
	}
	o := LegacyOptions{Magic: toMagic, Codec: b.Codec()}
	if b.TimestampType() == LogAppendTime {
		o.TimestampType, o.LogAppendTime = LogAppendTime, b.MaxTimestamp()
	}
	var lb LegacyBuilder
	lb.Reset(dst, o)
	defer lb.Discard()
	for rec, err := range b.Records(dec) {
		if err != nil {
			return dst, err
		}
		if o.Codec != None || rec.Offset >= firstOffset {
			lb.Append(rec.Offset, rec.Timestamp, rec.Key, rec.Value)
		}
		if lb.err != nil {
			break
		}
	}
	out, err := lb.Build()
	if err != nil {
		return dst, err
	}
	return out, nil
}

const (
	// downConvertStep is how much of the log is read and converted at once.
	downConvertStep = 128 << 10
	// minOverflow is the smallest thing that a client takes for the beginning
	// of a message too large for it.
	minOverflow = LogOverhead
)

// A DownConversion is a piece of log that becomes an older format while it is
// sent (LazyDownConversionRecords.java). How long the outcome will be is not
// known when the response has to say so. So it promises the size of the source,
// or of the first converted batch if that is more; converted bytes beyond are
// cut, as fetch responses may end within a message anyway; and if there are
// less, the beginning of a message that is too large fills up the rest.
type DownConversion struct {
	src         io.ReaderAt
	pos, end    int64 // of the source, read so far and in all
	toMagic     int8
	firstOffset int64

	dec    *Decompressor
	in     []byte // source bytes; in[taken:] is to be converted
	taken  int
	out    []byte // converted and not written
	length int

	records int // taken from the source
}

// NewDownConversion prepares size bytes of src, which begin with a batch, and
// converts the first. Errors with that are the client's to know, e.g.
// ErrUnsupportedCompression; later the response is under way.
func NewDownConversion(src io.ReaderAt, size int64, toMagic int8, firstOffset int64) (*DownConversion, error) {
	if size > math.MaxInt32 {
		return nil, fmt.Errorf("record: down-conversion of %d bytes", size)
	}
	d := &DownConversion{src: src, end: size, toMagic: toMagic, firstOffset: firstOffset, dec: AcquireDecompressor()}
	batches, err := d.convert(1)
	if err != nil {
		d.Close()
		return nil, err
	}
	switch {
	case len(d.out) > 0:
		d.length = max(int(size), len(d.out))
	case batches > 0:
		d.length = minOverflow
	}
	return d, nil
}

// Len is the number of bytes that WriteTo will write.
func (d *DownConversion) Len() int { return d.length }

// Records is how many records have been converted; of older formats, compressed ones count as one.
func (d *DownConversion) Records() int { return d.records }

// Close lets go of buffers. WriteTo does it by itself.
func (d *DownConversion) Close() {
	if d.dec != nil {
		d.dec.Release()
		d.dec = nil
	}
	d.in, d.out = nil, nil
}

// WriteTo writes Len bytes, once.
func (d *DownConversion) WriteTo(w io.Writer) (written int64, err error) {
	defer d.Close()
	for left := d.length; left > 0; left = d.length - int(written) {
		if len(d.out) == 0 && d.dec != nil {
			if _, err := d.convert(downConvertStep); err != nil {
				if errors.Is(err, errDownConvertRead) {
					return written, err
				}
				// The client will fetch from this batch on and get the error.
				d.out = nil
			}
		}
		if len(d.out) == 0 {
			n, err := writeOverflow(w, left)
			return written + n, err
		}
		n, err := w.Write(d.out[:min(len(d.out), left)])
		written += int64(n)
		if err != nil {
			return written, err
		}
		d.out = d.out[:0]
	}
	return written, nil
}

// convert replaces out by the conversion of the next batches, enough of them
// to make least bytes of source and to have any output at all.
func (d *DownConversion) convert(least int) (batches int, err error) {
	d.out = d.out[:0]
	for source := 0; source < least || len(d.out) == 0; {
		b, err := d.next()
		if err == io.EOF {
			return batches, nil
		}
		if err != nil {
			return batches, err
		}
		if d.records++; b.Magic() == Magic2 {
			d.records += int(b.Count()) - 1
		}
		before := len(d.out)
		if d.out, err = DownConvert(d.out, b, d.toMagic, d.firstOffset, d.dec); err != nil {
			if before > 0 { // send what there is; the error comes back later
				d.out, d.taken = d.out[:before], d.taken-len(b)
				return batches, nil
			}
			return batches, err
		}
		batches++
		source += len(b)
	}
	return batches, nil
}

var errDownConvertRead = errors.New("record: reading the log for down-conversion")

// next takes a batch off the source; a torn one is its end.
func (d *DownConversion) next() (Batch, error) {
	for {
		b, _, err := Next(d.in[d.taken:])
		if err == nil {
			d.taken += len(b)
			return b, nil
		}
		if err != io.EOF && !errors.Is(err, ErrTruncated) {
			return nil, err
		}
		if d.pos == d.end {
			return nil, io.EOF
		}
		want := downConvertStep
		if size, err := entrySize(d.in[d.taken:]); err == nil {
			want = max(want, size)
		}
		if err := d.read(want); err != nil {
			return nil, fmt.Errorf("%w: %w", errDownConvertRead, err)
		}
	}
}

// read makes in hold want bytes from the next batch on, or what there is.
func (d *DownConversion) read(want int) error {
	have := copy(d.in, d.in[d.taken:])
	d.taken = 0
	total := have + int(min(int64(want-have), d.end-d.pos))
	if cap(d.in) < total {
		d.in = append(make([]byte, 0, total), d.in[:have]...)
	}
	d.in = d.in[:total]
	n, err := d.src.ReadAt(d.in[have:], d.pos)
	d.pos += int64(n)
	if n == total-have {
		return nil
	}
	d.in = d.in[:have+n]
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// writeOverflow writes n bytes that begin like a message of more than n.
func writeOverflow(w io.Writer, n int) (written int64, err error) {
	chunk := make([]byte, max(LogOverhead, min(n, downConvertStep)))
	binary.BigEndian.PutUint64(chunk, math.MaxUint64) // offset -1
	binary.BigEndian.PutUint32(chunk[posLength:], uint32(min(max(n+1, HeaderSize), math.MaxInt32)))
	for n > 0 {
		m, err := w.Write(chunk[:min(n, len(chunk))])
		written += int64(m)
		n -= m
		if err != nil {
			return written, err
		}
		clear(chunk[:LogOverhead])
	}
	return written, nil
}
