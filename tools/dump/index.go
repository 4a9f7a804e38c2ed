package dump

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kraal-mq/kraal/broker/record"
)

// indexFile is an index in memory: at most log.index.size.max.bytes, 10 MB unless somebody raised it.
type indexFile struct {
	path      string
	base      int64
	bytes     []byte
	entrySize int
}

func readIndex(path string, entrySize int) (*indexFile, error) {
	base, err := baseOffset(filepath.Base(path))
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return &indexFile{path, base, b, entrySize}, nil
}

func (x *indexFile) entries() int { return len(x.bytes) / x.entrySize }

// entry is the i-th of an offset index: relative offset, position.
func (x *indexFile) entry(i int) (offset, position int64) {
	b := x.bytes[i*x.entrySize:]
	return x.base + int64(int32(binary.BigEndian.Uint32(b))), int64(int32(binary.BigEndian.Uint32(b[4:])))
}

const offsetEntrySize = 8

func (d *dumper) offsetIndex(path string) error {
	x, err := readIndex(path, offsetEntrySize)
	if err != nil {
		return err
	}
	if x.entries() == 0 {
		fmt.Fprintf(d.out, "%s is empty.\n", path)
		return nil
	}
	if d.sanityOnly {
		if err := x.checkOffsets(); err != nil {
			return err
		}
		fmt.Fprintf(d.out, "%s passed sanity check.\n", path)
		return nil
	}
	log, err := openSegment(sibling(path, ".log"))
	if err != nil {
		return err
	}
	defer log.close()
	for i := range x.entries() {
		offset, position := x.entry(i)
		if offset == x.base && i > 0 {
			return nil // the zeros of a preallocated file
		}
		last, err := log.lastOffsetAt(position, d.maxMessageSize)
		if err != nil {
			return err
		}
		if last != offset {
			d.findings.mismatches.add(absolute(path), offset, last)
		}
		if !d.verifyOnly {
			fmt.Fprintf(d.out, "offset: %d position: %d\n", offset, position)
		}
	}
	return nil
}

// checkOffsets is the check a starting broker makes to decide whether to rebuild (storage/.../log/OffsetIndex.java).
func (x *indexFile) checkOffsets() error {
	if n := x.entries(); n > 0 {
		if last, _ := x.entry(n - 1); last < x.base {
			return corruptIndex("Corrupt index found, index file %s has non-zero size but the last offset is %d which is less than the base offset %d",
				absolute(x.path), last, x.base)
		}
	}
	if len(x.bytes)%x.entrySize != 0 {
		return corruptIndex("Index file %s is corrupt, found %d bytes which is neither positive nor a multiple of %d",
			absolute(x.path), len(x.bytes), x.entrySize)
	}
	return nil
}

// lookup is the position of the last entry at or below offset, 0 without one.
func (x *indexFile) lookup(offset int64) int64 {
	low, high := 0, x.entries()
	for low < high {
		mid := (low + high) / 2
		if at, _ := x.entry(mid); at <= offset {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == 0 {
		return 0
	}
	_, position := x.entry(low - 1)
	return position
}

// lastOffsetAt is the last offset of the batch at position, -1 if there is no whole batch within maxSize bytes.
func (s *segmentFile) lastOffsetAt(position int64, maxSize int) (int64, error) {
	b, err := s.batch(position, min(s.size, position+int64(maxSize)))
	switch {
	case errors.Is(err, record.ErrTruncated), errors.Is(err, errEnd):
		return -1, nil
	case err != nil:
		return 0, err
	}
	return b.LastOffset(), nil
}
