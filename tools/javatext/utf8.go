package javatext

import "unicode/utf8"

// UTF8 is what new String(b, UTF_8) makes of b: every maximal beginning of a character that does not go on as it should
// becomes one U+FFFD (Unicode 15, 3.9, "substitution of maximal subparts"). Go's own functions replace byte by byte or
// whole runs.
func UTF8(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	out := make([]byte, 0, len(b)+16)
	for len(b) > 0 {
		if r, size := utf8.DecodeRune(b); r != utf8.RuneError || size > 1 {
			out = append(out, b[:size]...)
			b = b[size:]
			continue
		}
		out = utf8.AppendRune(out, utf8.RuneError)
		b = b[subpart(b):]
	}
	return string(out)
}

// subpart is the length of the ill-formed sequence at the start of b that is replaced as one.
func subpart(b []byte) int {
	var second [2]byte // what the second byte may be
	length := 0
	switch c := b[0]; {
	case c >= 0xC2 && c <= 0xDF:
		length, second = 2, [2]byte{0x80, 0xBF}
	case c == 0xE0:
		length, second = 3, [2]byte{0xA0, 0xBF}
	case c == 0xED:
		length, second = 3, [2]byte{0x80, 0x9F}
	case c >= 0xE1 && c <= 0xEF:
		length, second = 3, [2]byte{0x80, 0xBF}
	case c == 0xF0:
		length, second = 4, [2]byte{0x90, 0xBF}
	case c >= 0xF1 && c <= 0xF3:
		length, second = 4, [2]byte{0x80, 0xBF}
	case c == 0xF4:
		length, second = 4, [2]byte{0x80, 0x8F}
	}
	n := 1
	for ; n < length && n < len(b); n++ {
		low, high := byte(0x80), byte(0xBF)
		if n == 1 {
			low, high = second[0], second[1]
		}
		if b[n] < low || b[n] > high {
			break
		}
	}
	return n
}
