package record

// bounds are the timestamps a topic takes, NoTimestamp excepted.
type bounds struct{ min, max int64 }

// scan is the pass that every uncompressed batch gets before it is appended,
// and the reason why it is one loop over the bytes: are there count records
// that fit exactly, each with a key if keys are needed, all timestamps within
// bounds? It gives the largest timestamp. Whatever is not plainly in order is
// left to the slow path, which finds the right words for it.
func scan(data []byte, count int32, baseTimestamp int64, limit bounds, needKey bool) (maxTimestamp int64, ok bool) {
	maxTimestamp = NoTimestamp
	for ; count > 0; count-- {
		// The length, in most cases of one or two bytes.
		if len(data) < 2 {
			return 0, false
		}
		size, n := uint64(data[0]), 1
		if size >= 0x80 {
			size, n = size&0x7f|uint64(data[1])<<7, 2
			if data[1] >= 0x80 {
				if size, n = uvarint(data, 2, size&(1<<14-1), 14, maxVarintLen); n == 0 {
					return 0, false
				}
			}
		}
		if size&1 != 0 { // negative
			return 0, false
		}
		end := n + int(size>>1)
		if end > len(data) || end-n < minRecordBody {
			return 0, false
		}
		p := data[n+1 : end] // after the attributes
		data = data[end:]

		delta, i := uint64(p[0]), 1
		if delta >= 0x80 {
			if delta, i = uvarint(p, 1, delta&0x7f, 7, maxVarlongLen); i == 0 {
				return 0, false
			}
		}
		timestamp := baseTimestamp + (int64(delta>>1) ^ -int64(delta&1))
		if (timestamp < limit.min || timestamp > limit.max) && timestamp != NoTimestamp {
			return 0, false
		}
		maxTimestamp = max(maxTimestamp, timestamp)

		// The offset delta, which the log assigns anyway.
		start := i
		for i < len(p) && p[i] >= 0x80 {
			i++
		}
		if i++; i-start > maxVarintLen {
			return 0, false
		}

		// Key and value.
		if i, ok = skipBytes(p, i, needKey); !ok {
			return 0, false
		}
		if i, ok = skipBytes(p, i, false); !ok {
			return 0, false
		}

		// The headers: none, if this is the last byte and zero.
		if i != len(p)-1 || p[i] != 0 {
			headers, n := varint(p[min(i, len(p)):])
			if n <= 0 || headers < 0 || !checkHeaders(p[i+n:], headers) {
				return 0, false
			}
		}
	}
	return maxTimestamp, len(data) == 0
}

// skipBytes steps over a length and its bytes, in p from i on.
func skipBytes(p []byte, i int, needed bool) (next int, ok bool) {
	if i >= len(p) {
		return 0, false
	}
	size := uint64(p[i])
	i++
	if size >= 0x80 {
		if size, i = uvarint(p, i, size&0x7f, 7, maxVarintLen); i == 0 {
			return 0, false
		}
	}
	if size&1 != 0 { // null
		return i, !needed
	}
	i += int(size >> 1)
	return i, i <= len(p)
}

// uvarint reads on, from i, in a varint whose bytes so far gave u, shift bits.
// next is 0 if it does not end within maxLen bytes.
func uvarint(p []byte, i int, u uint64, shift, maxLen int) (v uint64, next int) {
	for ; i < len(p) && shift < 7*maxLen; shift += 7 {
		c := p[i]
		i++
		u |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return u, i
		}
	}
	return 0, 0
}
