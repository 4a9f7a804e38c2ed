package dump

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"

	"github.com/kraal-mq/kraal/broker/record"
)

// A producer snapshot: version int16 = 1, crc uint32 (CRC-32C of what follows), count int32, then count entries:
// producer id int64, epoch int16, last sequence int32, last offset int64, offset delta int32, timestamp int64,
// coordinator epoch int32, first offset of the open transaction int64 (storage/.../log/ProducerStateManager.java).
const (
	snapshotVersion   = 1
	snapshotHeader    = 10
	snapshotEntrySize = 46
)

// snapshot prints what a snapshot says; like Kafka it reports a corrupt one on stderr and goes on.
func (d *dumper) snapshot(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if why := checkSnapshot(b); why != "" {
		d.flush()
		fmt.Fprintln(d.err, why)
		return nil
	}
	for e := b[snapshotHeader:]; len(e) >= snapshotEntrySize; e = e[snapshotEntrySize:] {
		long := func(at int) int64 { return int64(binary.BigEndian.Uint64(e[at:])) }
		number := func(at int) int32 { return int32(binary.BigEndian.Uint32(e[at:])) }
		txn := "OptionalLong.empty"
		if first := long(38); first >= 0 {
			txn = fmt.Sprintf("OptionalLong[%d]", first)
		}
		fmt.Fprintf(d.out, "producerId: %d producerEpoch: %d coordinatorEpoch: %d currentTxnFirstOffset: %s lastTimestamp: %d ",
			long(0), int16(binary.BigEndian.Uint16(e[8:])), number(34), txn, long(26))
		if lastOffset := long(14); lastOffset >= 0 {
			lastSequence, delta := number(10), number(22)
			fmt.Fprintf(d.out, "firstSequence: %d lastSequence: %d lastOffset: %d offsetDelta: %d timestamp: %d",
				firstSequence(lastSequence, delta), lastSequence, lastOffset, delta, long(26))
		}
		fmt.Fprintln(d.out)
	}
	return nil
}

func checkSnapshot(b []byte) string {
	if len(b) < snapshotHeader {
		return fmt.Sprintf("Snapshot failed schema validation: %d bytes", len(b))
	}
	if v := int16(binary.BigEndian.Uint16(b)); v != snapshotVersion {
		return fmt.Sprintf("Snapshot contained an unknown file version %d", v)
	}
	stored, computed := binary.BigEndian.Uint32(b[2:]), crc32.Checksum(b[6:], crc32.MakeTable(crc32.Castagnoli))
	if stored != computed {
		return fmt.Sprintf("Snapshot is corrupt (CRC is no longer valid). Stored crc: %d. Computed crc: %d", stored, computed)
	}
	if n := int32(binary.BigEndian.Uint32(b[6:])); n < 0 || int64(n)*snapshotEntrySize > int64(len(b)-snapshotHeader) {
		return fmt.Sprintf("Snapshot failed schema validation: %d entries in %d bytes", n, len(b))
	}
	return ""
}

// firstSequence goes back from the last sequence number of a batch; below 0 comes 2147483647.
func firstSequence(last, delta int32) int32 {
	if last == record.NoSequence || delta <= last {
		return last - delta
	}
	return last - delta + (1<<31 - 1) + 1
}
