package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A producer snapshot (.snapshot) is the producer state as of the offset in its name:
//
//	version  int16   1
//	crc      uint32  CRC-32C of what follows
//	count    int32
//	count x {
//	    producerId            int64
//	    producerEpoch         int16
//	    lastSequence          int32   of the last data batch, -1 none
//	    lastOffset            int64   of the last data batch, -1 none
//	    offsetDelta           int32   of the last data batch: last - first offset
//	    timestamp             int64   of the last batch or marker
//	    coordinatorEpoch      int32   of the last marker, -1 none
//	    currentTxnFirstOffset int64   -1: no transaction open
//	}
//
// Of the remembered batches only the last survives.

const (
	snapshotVersion    = 1
	snapshotHeaderSize = 10
	snapshotEntrySize  = 46
)

var errSnapshot = errors.New("malformed producer snapshot")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeSnapshot(ps []*producer) []byte {
	b := make([]byte, snapshotHeaderSize, snapshotHeaderSize+len(ps)*snapshotEntrySize)
	be := binary.BigEndian
	be.PutUint16(b, snapshotVersion)
	be.PutUint32(b[6:], uint32(len(ps)))
	for _, p := range ps {
		last, ok := p.last()
		if !ok {
			last = producerBatch{lastSequence: -1, lastOffset: -1}
		}
		b = be.AppendUint64(b, uint64(p.id))
		b = be.AppendUint16(b, uint16(p.epoch))
		b = be.AppendUint32(b, uint32(last.lastSequence))
		b = be.AppendUint64(b, uint64(last.lastOffset))
		b = be.AppendUint32(b, uint32(last.delta))
		b = be.AppendUint64(b, uint64(p.lastTimestamp))
		b = be.AppendUint32(b, uint32(p.coordinatorEpoch))
		b = be.AppendUint64(b, uint64(p.txnStart))
	}
	be.PutUint32(b[2:], crc32.Checksum(b[6:], castagnoli))
	return b
}

func decodeSnapshot(b []byte) ([]producer, error) {
	be := binary.BigEndian
	if len(b) < snapshotHeaderSize {
		return nil, fmt.Errorf("%w: %d bytes", errSnapshot, len(b))
	}
	if v := be.Uint16(b); v != snapshotVersion {
		return nil, fmt.Errorf("%w: version %d", errSnapshot, v)
	}
	if want, got := be.Uint32(b[2:]), crc32.Checksum(b[6:], castagnoli); want != got {
		return nil, fmt.Errorf("%w: checksum %08x, stored %08x", errSnapshot, got, want)
	}
	n := int(int32(be.Uint32(b[6:])))
	b = b[snapshotHeaderSize:]
	if n < 0 || len(b)/snapshotEntrySize < n {
		return nil, fmt.Errorf("%w: %d entries in %d bytes", errSnapshot, n, len(b))
	}
	ps := make([]producer, n)
	for i := range ps {
		p, e := &ps[i], b[i*snapshotEntrySize:]
		p.id = int64(be.Uint64(e))
		p.epoch = int16(be.Uint16(e[8:]))
		last := producerBatch{
			lastSequence: int32(be.Uint32(e[10:])),
			lastOffset:   int64(be.Uint64(e[14:])),
			delta:        int32(be.Uint32(e[22:])),
		}
		p.lastTimestamp = int64(be.Uint64(e[26:]))
		p.coordinatorEpoch = int32(be.Uint32(e[34:]))
		p.txnStart = max(int64(be.Uint64(e[38:])), -1)
		if last.lastOffset >= 0 {
			last.timestamp = p.lastTimestamp
			p.add(last)
			p.partial = true
		}
	}
	return ps, nil
}
