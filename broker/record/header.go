package record

// Header is the header of an entry by value, for scans over a file that do
// not read the bodies. Fields and methods have the names of Batch's getters.
type Header struct {
	BaseOffset           int64
	Length               int32
	PartitionLeaderEpoch int32
	Magic                int8
	CRC                  uint32
	Attributes           int16
	LastOffsetDelta      int32
	BaseTimestamp        int64
	MaxTimestamp         int64
	ProducerID           int64
	ProducerEpoch        int16
	BaseSequence         int32
	Count                int32

	// Complete is false when only BaseOffset, Length and Magic are known
	// because the bytes given ended before the header did.
	Complete bool
}

// ParseHeader reads a header from the first bytes of an entry. PrefixSize
// bytes suffice for size and magic, HeaderSize bytes for everything in any
// format. It makes the same checks as Next, but for the body being there.
func ParseHeader(hdr []byte) (Header, error) {
	if _, err := entrySize(hdr); err != nil {
		return Header{}, err
	}
	b := Batch(hdr)
	h := Header{
		BaseOffset:           b.BaseOffset(),
		Length:               b.Length(),
		Magic:                b.Magic(),
		PartitionLeaderEpoch: NoLeaderEpoch,
		BaseTimestamp:        NoTimestamp,
		MaxTimestamp:         NoTimestamp,
		ProducerID:           NoProducerID,
		ProducerEpoch:        NoProducerEpoch,
		BaseSequence:         NoSequence,
		Count:                UnknownCount,
	}
	if len(hdr) < headerSize(h.Magic) {
		return h, nil
	}
	h.Complete = true
	h.PartitionLeaderEpoch = b.PartitionLeaderEpoch()
	h.CRC = b.CRC()
	h.Attributes = b.Attributes()
	h.LastOffsetDelta = b.LastOffsetDelta()
	h.BaseTimestamp = b.BaseTimestamp()
	h.MaxTimestamp = b.MaxTimestamp()
	h.ProducerID = b.ProducerID()
	h.ProducerEpoch = b.ProducerEpoch()
	h.BaseSequence = b.BaseSequence()
	h.Count = b.Count()
	return h, nil
}

// headerSize is how many bytes the getters of a magic look at.
func headerSize(magic int8) int {
	switch magic {
	case Magic0:
		return posLegacyAttributes + 1
	case Magic1:
		return posLegacyTimestamp + 8
	}
	return HeaderSize
}

// Header copies the header out of the batch.
func (b Batch) Header() Header {
	h, _ := ParseHeader(b) // a Batch has passed these checks
	return h
}

// Size is the number of bytes of the whole entry.
func (h *Header) Size() int { return LogOverhead + int(h.Length) }

// LastOffset is the offset of the last record, see Batch.LastOffset.
func (h *Header) LastOffset() int64 { return h.BaseOffset + int64(h.LastOffsetDelta) }

// NextOffset is the first offset after the batch.
func (h *Header) NextOffset() int64 { return h.LastOffset() + 1 }

// Codec is how the records are compressed.
func (h *Header) Codec() Codec { return Codec(h.Attributes & attrCodec) }

// TimestampType says who set the timestamps.
func (h *Header) TimestampType() TimestampType { return timestampType(h.Magic, h.Attributes) }

// IsTransactional says whether the batch is part of a transaction.
func (h *Header) IsTransactional() bool { return h.flag(attrTransactional) }

// IsControl says whether the batch holds control records.
func (h *Header) IsControl() bool { return h.flag(attrControl) }

// HasDeleteHorizon says whether BaseTimestamp is a delete horizon.
func (h *Header) HasDeleteHorizon() bool { return h.flag(attrDeleteHorizon) }

func (h *Header) flag(bit int16) bool { return h.Magic >= Magic2 && h.Attributes&bit != 0 }

// HasProducerID says whether the batch comes from an idempotent producer.
func (h *Header) HasProducerID() bool { return h.ProducerID > NoProducerID }

// LastSequence is the sequence number of the last record.
func (h *Header) LastSequence() int32 { return lastSequence(h.BaseSequence, h.LastOffsetDelta) }
