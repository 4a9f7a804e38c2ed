package dump

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// An entry of a transaction index: version int16, then producer id, first and last offset of an aborted transaction and
// the last stable offset when its marker was written, int64 each (storage/.../log/AbortedTxn.java).
const abortedTxnSize = 34

func (d *dumper) txnIndex(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	var e [abortedTxnSize]byte
	for {
		if _, err := io.ReadFull(in, e[:]); err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		} else if err != nil {
			return err
		}
		version := int16(binary.BigEndian.Uint16(e[:]))
		if version > 0 {
			return &javaError{"org.apache.kafka.common.KafkaException",
				fmt.Sprintf("Unexpected aborted transaction version %d in transaction index %s, current version is 0", version, absolute(path))}
		}
		number := func(at int) int64 { return int64(binary.BigEndian.Uint64(e[at:])) }
		fmt.Fprintf(d.out, "version: %d producerId: %d firstOffset: %d lastOffset: %d lastStableOffset: %d\n",
			version, number(2), number(10), number(18), number(26))
	}
}
