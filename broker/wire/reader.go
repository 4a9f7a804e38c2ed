package wire

import "encoding/binary"

// reader takes apart bytes that nobody has vouched for. Once something did not fit it is bad, and stays so.
type reader struct {
	src []byte
	bad bool
}

func (r *reader) fail() {
	r.bad = true
	r.src = nil
}

// span takes the next n bytes.
func (r *reader) span(n int) []byte {
	if n < 0 || n > len(r.src) {
		r.fail()
		return nil
	}
	b := r.src[:n]
	r.src = r.src[n:]
	return b
}

func (r *reader) int8() int8 {
	if b := r.span(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (r *reader) int16() int16 {
	if b := r.span(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *reader) int32() int32 {
	if b := r.span(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

// uvarint takes an unsigned varint of at most five bytes.
func (r *reader) uvarint() uint32 {
	var v uint32
	for i := range 5 {
		if i >= len(r.src) {
			break
		}
		c := r.src[i]
		if i == 4 && c > 0x0f {
			break // does not fit into 32 bits
		}
		v |= uint32(c&0x7f) << (7 * i)
		if c < 0x80 {
			r.src = r.src[i+1:]
			return v
		}
	}
	r.fail()
	return 0
}

// skipTags takes a block of tagged fields (KIP-482). Each has at least two bytes, so a count that says more than is
// there ends at once.
func (r *reader) skipTags() (count int) {
	n := int64(r.uvarint())
	if n*2 > int64(len(r.src)) {
		r.fail()
		return 0
	}
	for range n {
		r.uvarint()
		r.span(int(r.uvarint()))
		if r.bad {
			return 0
		}
	}
	return int(n)
}
