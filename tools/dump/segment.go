package dump

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/kraal-mq/kraal/broker/record"
)

// segmentFile gives the batches of a .log by position.
type segmentFile struct {
	file *os.File
	size int64
	buf  []byte // of the last batch
}

// errEnd says that no batch begins at a position: fewer bytes are left than tell its size.
var errEnd = errors.New("end of the segment")

func openSegment(path string) (*segmentFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &segmentFile{file: f, size: info.Size()}, nil
}

func (s *segmentFile) close() { s.file.Close() }

// batch reads the batch at position of a log that ends at end. It is valid until the next call. The length field is
// trusted only as far as the file reaches.
func (s *segmentFile) batch(position, end int64) (record.Batch, error) {
	if position < 0 || end-position < record.PrefixSize {
		return nil, errEnd
	}
	var prefix [record.HeaderSize]byte
	n, err := s.file.ReadAt(prefix[:min(int64(len(prefix)), end-position)], position)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	h, err := record.ParseHeader(prefix[:n])
	if length := int64(int32(binary.BigEndian.Uint32(prefix[8:]))); err != nil && length > end-position-record.LogOverhead {
		return nil, record.ErrTruncated // junk, most likely; Kafka takes it for a torn batch
	}
	if err != nil {
		return nil, fmt.Errorf("%s at position %d: %w", s.file.Name(), position, err)
	}
	if int64(h.Size()) > end-position {
		return nil, record.ErrTruncated
	}
	if cap(s.buf) < h.Size() {
		s.buf = make([]byte, h.Size())
	}
	s.buf = s.buf[:h.Size()]
	if _, err := s.file.ReadAt(s.buf, position); err != nil {
		return nil, err
	}
	return record.View(s.buf)
}

func (d *dumper) segment(path string) error {
	decode, notices, err := d.decoder()
	for _, n := range notices {
		fmt.Fprintln(d.out, n)
	}
	if err != nil {
		return err
	}
	d.decode = decode
	base, err := baseOffset(filepath.Base(path))
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "Log starting offset: %d\n", base)
	s, err := openSegment(path)
	if err != nil {
		return err
	}
	defer s.close()
	end := s.size
	if d.maxBytes < noLimit {
		end = min(end, int64(d.maxBytes))
	}
	position, last := int64(0), int64(-1)
	var failed error
	for {
		b, err := s.batch(position, end)
		if errors.Is(err, errEnd) || errors.Is(err, record.ErrTruncated) {
			break
		} else if err != nil {
			d.flush()
			fmt.Fprintln(d.err, err)
			failed = errReported
			break
		}
		d.printBatch(b, position)
		if d.deep {
			if last, err = d.records(path, b, last); err != nil {
				d.flush()
				fmt.Fprintf(d.err, "%s at position %d: %v\n", path, position, err)
				failed = errReported
			}
		}
		position += int64(b.Size())
	}
	if d.maxBytes >= noLimit && end > position {
		fmt.Fprintf(d.out, "Found %d invalid bytes at the end of %s\n", end-position, filepath.Base(path))
	}
	return failed
}

func (d *dumper) printBatch(b record.Batch, position int64) {
	if b.Magic() >= record.Magic2 {
		horizon := "OptionalLong.empty"
		if b.HasDeleteHorizon() {
			horizon = "OptionalLong[" + strconv.FormatInt(b.BaseTimestamp(), 10) + "]"
		}
		fmt.Fprintf(d.out, "baseOffset: %d lastOffset: %d count: %d baseSequence: %d lastSequence: %d producerId: %d producerEpoch: %d "+
			"partitionLeaderEpoch: %d isTransactional: %t isControl: %t deleteHorizonMs: %s",
			b.BaseOffset(), b.LastOffset(), b.Count(), b.BaseSequence(), b.LastSequence(), b.ProducerID(), b.ProducerEpoch(),
			b.PartitionLeaderEpoch(), b.IsTransactional(), b.IsControl(), horizon)
	} else {
		fmt.Fprintf(d.out, "offset: %d", b.LastOffset())
	}
	fmt.Fprintf(d.out, " position: %d %s: %d size: %d magic: %d compresscodec: %s crc: %d isvalid: %t\n",
		position, b.TimestampType(), b.MaxTimestamp(), b.Size(), b.Magic(), b.Codec(), b.CRC(), b.CheckCRC() == nil)
}
