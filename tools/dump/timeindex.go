package dump

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/kraal-mq/kraal/broker/record"
)

const timeEntrySize = 12

// timeEntry is the i-th of a time index: timestamp, relative offset.
func (x *indexFile) timeEntry(i int) (timestamp, offset int64) {
	b := x.bytes[i*x.entrySize:]
	return int64(binary.BigEndian.Uint64(b)), x.base + int64(int32(binary.BigEndian.Uint32(b[8:])))
}

func (d *dumper) timeIndex(path string) error {
	x, err := readIndex(path, timeEntrySize)
	if err != nil {
		return err
	}
	if d.sanityOnly {
		if err := x.checkTimes(); err != nil {
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
	offsets, err := readIndex(sibling(path, ".index"), offsetEntrySize)
	if errors.Is(err, fs.ErrNotExist) {
		offsets = &indexFile{base: x.base, entrySize: offsetEntrySize} // search from the start
	} else if err != nil {
		return err
	}
	previous := record.NoTimestamp
	for i := range x.entries() {
		timestamp, offset := x.timeEntry(i)
		if offset == x.base && i > 0 {
			return nil // the zeros of a preallocated file
		}
		if err := d.checkTime(path, log, offsets.lookup(offset), timestamp, offset, previous); err != nil {
			return err
		}
		if !d.verifyOnly {
			fmt.Fprintf(d.out, "timestamp: %d offset: %d\n", timestamp, offset)
		}
		previous = timestamp
	}
	return nil
}

// checkTime looks, from position on, for the batch that ends at offset and compares its largest timestamp.
func (d *dumper) checkTime(path string, log *segmentFile, position, timestamp, offset, previous int64) error {
	for {
		b, err := log.batch(position, log.size)
		if errors.Is(err, record.ErrTruncated) || errors.Is(err, errEnd) {
			d.findings.lost.add(absolute(path), offset, -1)
			return nil
		} else if err != nil {
			return err
		}
		if b.LastOffset() < offset {
			position += int64(b.Size())
			continue
		}
		if b.LastOffset() != offset {
			d.findings.lost.add(absolute(path), offset, b.LastOffset())
			return nil
		}
		largest, err := d.largestTimestamp(b)
		if err != nil {
			return err
		}
		if largest != timestamp {
			d.findings.timeMismatches.add(absolute(path), timestamp, largest)
		}
		if previous >= timestamp {
			d.findings.outOfOrder.add(absolute(path), timestamp, previous)
		}
		return nil
	}
}

// checkTimes is the check a starting broker makes (storage/.../log/TimeIndex.java).
func (x *indexFile) checkTimes() error {
	if n := x.entries(); n > 0 {
		first, _ := x.timeEntry(0)
		timestamp, offset := x.timeEntry(n - 1)
		if timestamp < first {
			return corruptIndex("Corrupt time index found, time index file (%s) has non-zero size but the last timestamp is %d which is less than the first timestamp %d",
				absolute(x.path), timestamp, first)
		}
		if offset < x.base {
			return corruptIndex("Corrupt time index found, time index file (%s) has non-zero size but the last offset is %d which is less than the first offset %d",
				absolute(x.path), offset, x.base)
		}
	}
	if len(x.bytes)%x.entrySize != 0 {
		return corruptIndex("Time index file %s is corrupt, found %d bytes which is neither positive nor a multiple of %d",
			absolute(x.path), len(x.bytes), x.entrySize)
	}
	return nil
}
