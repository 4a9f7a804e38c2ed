package storage

import (
	"io"
	"os"
	"sync/atomic"

	"github.com/kraal-mq/kraal/broker/storage/vfs"
)

// handle is an open file shared by its segment and by the readers of its slices. It closes when the last of them lets
// go, so retention, truncation and idle closing never pull a file from under a transfer.
type handle struct {
	vfs.File
	refs atomic.Int32
	open *atomic.Int64 // how many are open
}

func newHandle(f vfs.File, open *atomic.Int64) *handle {
	h := &handle{File: f, open: open}
	h.refs.Store(1)
	open.Add(1)
	return h
}

// retain adds a reference; the caller must have one, or hold the lock under which the owner has one.
func (h *handle) retain() *handle {
	h.refs.Add(1)
	return h
}

// release gives one reference back. The error of closing a file whose content was written is of no use: what mattered
// was synced before.
func (h *handle) release() {
	if h.refs.Add(-1) == 0 {
		h.open.Add(-1)
		_ = h.File.Close()
	}
}

// FileSlice is a range of a log file. It keeps the file open until Release, whatever happens to the log.
type FileSlice struct {
	Pos int64 // position in the file
	Len int   // bytes

	h *handle
}

// Retain adds a reference, to be given back with another Release.
func (s FileSlice) Retain() {
	if s.h != nil {
		s.h.retain()
	}
}

// Release gives the reference back. The slice must not be used after the last one is gone. Releasing the zero slice
// does nothing.
func (s FileSlice) Release() {
	if s.h != nil {
		s.h.release()
	}
}

// OS is the operating system's file, for sendfile with an explicit position; nil if there is none (use ReadAt then).
func (s FileSlice) OS() *os.File {
	if s.h == nil {
		return nil
	}
	return s.h.File.OS()
}

// ReadAt reads from the slice, off relative to its beginning; io.EOF at its end. If the log was truncated meanwhile the
// missing rest shows as io.ErrUnexpectedEOF.
func (s FileSlice) ReadAt(p []byte, off int64) (int, error) {
	left := int64(s.Len) - off
	if left <= 0 || off < 0 {
		return 0, io.EOF
	}
	short := int64(len(p)) > left
	if short {
		p = p[:left]
	}
	n, err := s.h.ReadAt(p, s.Pos+off)
	switch {
	case n < len(p) && (err == nil || err == io.EOF):
		return n, io.ErrUnexpectedEOF
	case n < len(p):
		return n, err
	case short:
		return n, io.EOF
	}
	return n, nil
}
