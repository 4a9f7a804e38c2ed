package wire

import (
	"io"
	"syscall"
)

// A Section is a run of record bytes inside a fetch response. It stays valid until Release, which is called exactly
// once: after the response was sent, or when it will not be.
type Section interface {
	Len() int

	// ReadAt reads from the section, off counting from its start.
	io.ReaderAt

	// File returns the open file that holds the section, and where in it the section starts, so that it can be sent
	// without passing through this process. A nil file means that there is none; ReadAt works in either case.
	File() (file syscall.Conn, offset int64)

	Release()
}

// Bytes is a section in memory: down-converted records, or those of a file that is not one of the operating system's.
type Bytes []byte

func (b Bytes) Len() int { return len(b) }

func (b Bytes) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(b)) {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (b Bytes) File() (syscall.Conn, int64) { return nil, 0 }

func (b Bytes) Release() {}
