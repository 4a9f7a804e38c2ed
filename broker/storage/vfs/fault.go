package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// Op names a kind of filesystem call for [Fault].
type Op string

// The operations a Fault can meet.
const (
	OpOpen     Op = "open"
	OpCreate   Op = "create"
	OpReadDir  Op = "readdir"
	OpStat     Op = "stat"
	OpMkdir    Op = "mkdir"
	OpRename   Op = "rename"
	OpRemove   Op = "remove"
	OpModTime  Op = "chtimes"
	OpSyncDir  Op = "syncdir"
	OpLock     Op = "lock"
	OpUsage    Op = "usage"
	OpRead     Op = "read"
	OpWrite    Op = "write"
	OpTruncate Op = "truncate"
	OpSync     Op = "sync"
)

// ShortWrite as the error of a hook for OpWrite lets N bytes through before Err.
type ShortWrite struct {
	N   int
	Err error
}

func (e *ShortWrite) Error() string { return fmt.Sprintf("short write: %v", e.Err) }

// Unwrap returns Err.
func (e *ShortWrite) Unwrap() error { return e.Err }

// Fault asks Hook before every operation. What Hook returns is the operation's result; it may also block, for a slow
// disk. For a rename, name is the old one. Hook must be safe for concurrent use.
type Fault struct {
	FS   FS
	Hook func(op Op, name string) error
}

// Open implements [FS].
func (f *Fault) Open(name string) (File, error) { return f.open(OpOpen, name, f.FS.Open) }

// Create implements [FS].
func (f *Fault) Create(name string) (File, error) { return f.open(OpCreate, name, f.FS.Create) }

// OpenOrCreate implements [FS].
func (f *Fault) OpenOrCreate(name string) (File, error) {
	return f.open(OpCreate, name, f.FS.OpenOrCreate)
}

func (f *Fault) open(op Op, name string, open func(string) (File, error)) (File, error) {
	if err := f.Hook(op, name); err != nil {
		return nil, err
	}
	file, err := open(name)
	if err != nil {
		return nil, err
	}
	return &faultFile{file, f, name}, nil
}

// ReadDir implements [FS].
func (f *Fault) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := f.Hook(OpReadDir, name); err != nil {
		return nil, err
	}
	return f.FS.ReadDir(name)
}

// Stat implements [FS].
func (f *Fault) Stat(name string) (fs.FileInfo, error) {
	if err := f.Hook(OpStat, name); err != nil {
		return nil, err
	}
	return f.FS.Stat(name)
}

func (f *Fault) do(op Op, name string, act func() error) error {
	if err := f.Hook(op, name); err != nil {
		return err
	}
	return act()
}

// MkdirAll implements [FS].
func (f *Fault) MkdirAll(name string) error {
	return f.do(OpMkdir, name, func() error { return f.FS.MkdirAll(name) })
}

// Rename implements [FS].
func (f *Fault) Rename(oldname, newname string) error {
	return f.do(OpRename, oldname, func() error { return f.FS.Rename(oldname, newname) })
}

// Remove implements [FS].
func (f *Fault) Remove(name string) error {
	return f.do(OpRemove, name, func() error { return f.FS.Remove(name) })
}

// RemoveAll implements [FS].
func (f *Fault) RemoveAll(name string) error {
	return f.do(OpRemove, name, func() error { return f.FS.RemoveAll(name) })
}

// SetModTime implements [FS].
func (f *Fault) SetModTime(name string, t time.Time) error {
	return f.do(OpModTime, name, func() error { return f.FS.SetModTime(name, t) })
}

// SyncDir implements [FS].
func (f *Fault) SyncDir(name string) error {
	return f.do(OpSyncDir, name, func() error { return f.FS.SyncDir(name) })
}

// Lock implements [FS].
func (f *Fault) Lock(name string) (io.Closer, error) {
	if err := f.Hook(OpLock, name); err != nil {
		return nil, err
	}
	return f.FS.Lock(name)
}

// BootID implements [FS].
func (f *Fault) BootID() string { return f.FS.BootID() }

// Usage implements [FS].
func (f *Fault) Usage(name string) (total, usable int64, err error) {
	if err := f.Hook(OpUsage, name); err != nil {
		return 0, 0, err
	}
	return f.FS.Usage(name)
}

type faultFile struct {
	File
	f    *Fault
	name string
}

func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.f.Hook(OpRead, f.name); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	err := f.f.Hook(OpWrite, f.name)
	if short, ok := err.(*ShortWrite); ok {
		n, werr := f.File.WriteAt(p[:min(short.N, len(p))], off)
		if werr != nil {
			return n, werr
		}
		return n, short.Err
	}
	if err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

func (f *faultFile) Sync() error {
	return f.f.do(OpSync, f.name, f.File.Sync)
}

func (f *faultFile) Truncate(size int64) error {
	return f.f.do(OpTruncate, f.name, func() error { return f.File.Truncate(size) })
}

func (f *faultFile) Preallocate(size int64) error {
	return f.f.do(OpWrite, f.name, func() error { return f.File.Preallocate(size) })
}

// OS hides the descriptor so that reads cannot go round the hook.
func (f *faultFile) OS() *os.File { return nil }
