package produce

import (
	"bytes"
	"io"
)

// lines cuts input at \n, \r or \r\n, as java.io.BufferedReader does. A line longer than limit is cut there and its
// true size told: no broker would take it, and it must not fill the memory.
type lines struct {
	in    io.Reader
	limit int

	buf  []byte // what was read and not yet given out is buf[r:w]
	r, w int
	err  error
	skip bool // a \n right at buf[r] belongs to the \r of the line before
}

const readSize = 256 << 10

func newLines(in io.Reader, limit int) *lines {
	return &lines{in: in, limit: limit, buf: make([]byte, readSize)}
}

// next returns a line, valid until the call after, and its size, which is larger than the line's length if it was cut.
// At the end it returns io.EOF.
func (l *lines) next() (line []byte, size int, err error) {
	scanned := 0 // of buf[r:w], without an end of line in it
	dropped := 0 // bytes of this line beyond the limit
	for {
		if l.skip && l.r < l.w {
			if l.buf[l.r] == '\n' {
				l.r++
			}
			l.skip = false
		}
		if at := endOfLine(l.buf[l.r+scanned : l.w]); at >= 0 {
			line = l.buf[l.r : l.r+scanned+at]
			l.r += len(line) + 1
			l.skip = l.buf[l.r-1] == '\r'
			return l.cut(line, dropped)
		}
		scanned = l.w - l.r
		if scanned > l.limit { // keep just enough to show that it is too long
			dropped += scanned - l.limit
			l.w, scanned = l.r+l.limit, l.limit
		}
		if l.err != nil {
			line = l.buf[l.r:l.w]
			l.r = l.w
			if len(line) == 0 && dropped == 0 {
				return nil, 0, l.err
			}
			if l.err != io.EOF {
				return nil, 0, l.err
			}
			return l.cut(line, dropped)
		}
		l.fill()
	}
}

func (l *lines) cut(line []byte, dropped int) ([]byte, int, error) {
	size := len(line) + dropped
	return line[:min(len(line), l.limit)], size, nil
}

// fill reads more behind what is there.
func (l *lines) fill() {
	if l.r > 0 {
		l.w = copy(l.buf, l.buf[l.r:l.w])
		l.r = 0
	}
	if l.w == len(l.buf) {
		l.buf = append(l.buf, make([]byte, len(l.buf))...)
	}
	var n int
	n, l.err = l.in.Read(l.buf[l.w:])
	l.w += n
}

// endOfLine is the position of the first \n or \r, -1 without one.
func endOfLine(b []byte) int {
	n := bytes.IndexByte(b, '\n')
	if n >= 0 {
		b = b[:n]
	}
	if r := bytes.IndexByte(b, '\r'); r >= 0 {
		return r
	}
	return n
}
