package record

import "math/bits"

// Varints are zig-zag encoded and then cut into groups of seven bits, the
// lowest first, as in Protocol Buffers (Kafka: ByteUtils.java).

const (
	maxVarintLen  = 5
	maxVarlongLen = 10
)

// varint reads an int32. n is the bytes it took, 0 when b ends within it, -1
// when it goes on for longer than an int32 can.
func varint(b []byte) (v int32, n int) {
	var u uint32
	for i := range min(len(b), maxVarintLen) {
		c := b[i]
		u |= uint32(c&0x7f) << (7 * i)
		if c < 0x80 {
			return int32(u>>1) ^ -int32(u&1), i + 1
		}
	}
	if len(b) >= maxVarintLen {
		return 0, -1
	}
	return 0, 0
}

// varlong reads an int64, with n as in varint.
func varlong(b []byte) (v int64, n int) {
	var u uint64
	for i := range min(len(b), maxVarlongLen) {
		c := b[i]
		u |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return int64(u>>1) ^ -int64(u&1), i + 1
		}
	}
	if len(b) >= maxVarlongLen {
		return 0, -1
	}
	return 0, 0
}

func appendVarint(dst []byte, v int32) []byte {
	return appendUvarint(dst, uint64(uint32(v<<1)^uint32(v>>31)))
}

func appendVarlong(dst []byte, v int64) []byte {
	return appendUvarint(dst, uint64(v<<1)^uint64(v>>63))
}

func appendUvarint(dst []byte, u uint64) []byte {
	for u >= 0x80 {
		dst = append(dst, byte(u)|0x80)
		u >>= 7
	}
	return append(dst, byte(u))
}

func sizeVarint(v int32) int { return sizeUvarint(uint64(uint32(v<<1) ^ uint32(v>>31))) }

func sizeVarlong(v int64) int { return sizeUvarint(uint64(v<<1) ^ uint64(v>>63)) }

func sizeUvarint(u uint64) int { return (bits.Len64(u|1) + 6) / 7 }
