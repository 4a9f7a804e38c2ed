package wire

import (
	"encoding/binary"
	"math"
)

const (
	fetchKey           = 1
	fetchFlexible      = 12
	fetchTopicIDs      = 13
	fetchNodeEndpoints = 16
)

// Key returns 1.
func (*FetchResponse) Key() int16 { return fetchKey }

// GetVersion returns the version of the request this answers.
func (r *FetchResponse) GetVersion() int16 { return r.Version }

// IsFlexible reports whether the version has compact types and tagged fields.
func (r *FetchResponse) IsFlexible() bool { return r.Version >= fetchFlexible }

// Release gives up the sections of a response that will not be sent.
func (r *FetchResponse) Release() {
	r.eachPartition(func(p *FetchPartition) {
		if p.Records != nil {
			p.Records.Release()
			p.Records = nil
		}
	})
}

// RecordBytes returns how many bytes of records the response carries: what the fetch quota counts besides the rest.
func (r *FetchResponse) RecordBytes() int {
	n := 0
	r.eachPartition(func(p *FetchPartition) {
		if p.Records != nil {
			n += p.Records.Len()
		}
	})
	return n
}

func (r *FetchResponse) eachPartition(f func(*FetchPartition)) {
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			f(&r.Topics[i].Partitions[j])
		}
	}
}

// AppendTo appends the body with all records copied into memory. The sections are not released.
// A section that cannot be read is left out together with its bytes, so use it where sections are in memory.
func (r *FetchResponse) AppendTo(dst []byte) []byte {
	e := fetchEncoder{dst: dst, flexible: r.IsFlexible(), version: r.Version}
	e.response(r, func(s Section) {
		at := len(e.dst)
		e.dst = append(e.dst, make([]byte, s.Len())...)
		if readSection(s, e.dst[at:], 0) != nil {
			e.dst = e.dst[:at]
		}
	})
	return e.dst
}

// AppendPieces appends the body to p and hands the sections over to it.
func (r *FetchResponse) AppendPieces(p *Pieces) {
	e := fetchEncoder{dst: p.mem, flexible: r.IsFlexible(), version: r.Version}
	e.response(r, func(s Section) {
		p.mem = e.dst
		p.section(s)
		e.dst = p.mem
	})
	p.mem = e.dst
	r.eachPartition(func(p *FetchPartition) { p.Records = nil })
}

// fetchEncoder appends the fields of FetchResponse.json as the version has them.
type fetchEncoder struct {
	dst      []byte
	flexible bool
	version  int16
}

func (e *fetchEncoder) response(r *FetchResponse, records func(Section)) {
	if e.version >= 1 {
		e.int32(r.ThrottleMillis)
	}
	if e.version >= 7 {
		e.int16(int16(r.Code))
		e.int32(r.SessionID)
	}
	e.arrayLen(len(r.Topics))
	for i := range r.Topics {
		t := &r.Topics[i]
		if e.version >= fetchTopicIDs {
			e.dst = append(e.dst, t.TopicID[:]...)
		} else {
			e.string(t.Topic)
		}
		e.arrayLen(len(t.Partitions))
		for j := range t.Partitions {
			e.partition(&t.Partitions[j], records)
		}
		e.noTags()
	}
	if !e.flexible {
		return
	}
	if e.version < fetchNodeEndpoints || len(r.Nodes) == 0 {
		e.noTags()
		return
	}
	e.uvarint(1)
	e.tag(0, func() { e.nodes(r.Nodes) })
}

func (e *fetchEncoder) partition(p *FetchPartition, records func(Section)) {
	e.int32(p.Partition)
	e.int16(int16(p.Code))
	e.int64(p.HighWatermark)
	if e.version >= 4 {
		e.int64(p.LastStableOffset)
	}
	if e.version >= 5 {
		e.int64(p.LogStartOffset)
	}
	if e.version >= 4 {
		e.aborted(p.AbortedTransactions)
	}
	if e.version >= 11 {
		e.int32(p.PreferredReadReplica)
	}
	switch {
	case p.Records != nil:
		e.arrayLen(p.Records.Len())
		records(p.Records)
	case p.NullRecords:
		e.null()
	default:
		e.arrayLen(0)
	}
	if !e.flexible {
		return
	}
	tags := 0
	if p.Diverging != nil {
		tags++
	}
	if p.CurrentLeader != nil {
		tags++
	}
	e.uvarint(uint32(tags))
	if d := p.Diverging; d != nil {
		e.uvarint(0)
		e.uvarint(4 + 8 + 1)
		e.int32(d.Epoch)
		e.int64(d.EndOffset)
		e.noTags()
	}
	if l := p.CurrentLeader; l != nil {
		e.uvarint(1)
		e.uvarint(4 + 4 + 1)
		e.int32(l.LeaderID)
		e.int32(l.LeaderEpoch)
		e.noTags()
	}
}

func (e *fetchEncoder) aborted(txns []AbortedTransaction) {
	if txns == nil {
		e.null()
		return
	}
	e.arrayLen(len(txns))
	for _, t := range txns {
		e.int64(t.ProducerID)
		e.int64(t.FirstOffset)
		e.noTags()
	}
}

func (e *fetchEncoder) nodes(nodes []FetchNode) {
	e.arrayLen(len(nodes))
	for _, n := range nodes {
		e.int32(n.ID)
		e.string(n.Host)
		e.int32(n.Port)
		if n.Rack == nil {
			e.uvarint(0)
		} else {
			e.string(*n.Rack)
		}
		e.noTags()
	}
}

func (e *fetchEncoder) int16(v int16)    { e.dst = binary.BigEndian.AppendUint16(e.dst, uint16(v)) }
func (e *fetchEncoder) int32(v int32)    { e.dst = binary.BigEndian.AppendUint32(e.dst, uint32(v)) }
func (e *fetchEncoder) int64(v int64)    { e.dst = binary.BigEndian.AppendUint64(e.dst, uint64(v)) }
func (e *fetchEncoder) uvarint(v uint32) { e.dst = binary.AppendUvarint(e.dst, uint64(v)) }

func (e *fetchEncoder) noTags() {
	if e.flexible {
		e.dst = append(e.dst, 0)
	}
}

// null writes what stands for a null array, or null bytes.
func (e *fetchEncoder) null() {
	if e.flexible {
		e.uvarint(0)
	} else {
		e.int32(-1)
	}
}

// arrayLen writes the length of an array, or of bytes: both are laid out alike.
func (e *fetchEncoder) arrayLen(n int) {
	if e.flexible {
		e.uvarint(uint32(n) + 1)
	} else {
		e.int32(int32(n))
	}
}

func (e *fetchEncoder) string(s string) {
	if e.flexible {
		e.uvarint(uint32(len(s)) + 1)
	} else {
		s = s[:min(len(s), math.MaxInt16)]
		e.int16(int16(len(s)))
	}
	e.dst = append(e.dst, s...)
}

// tag writes a tagged field: its number, its size, and what write appends.
func (e *fetchEncoder) tag(number uint32, write func()) {
	e.uvarint(number)
	start := len(e.dst)
	write()
	content := append([]byte(nil), e.dst[start:]...)
	e.dst = e.dst[:start]
	e.uvarint(uint32(len(content)))
	e.dst = append(e.dst, content...)
}
