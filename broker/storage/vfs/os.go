package vfs

import (
	"io"
	"io/fs"
	"os"
	"time"
)

// OS is the operating system's filesystem.
type OS struct{}

const (
	filePerm = 0o644
	dirPerm  = 0o755
)

// Open implements [FS].
func (OS) Open(name string) (File, error) { return openOS(name, os.O_RDWR) }

// Create implements [FS].
func (OS) Create(name string) (File, error) { return openOS(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC) }

// OpenOrCreate implements [FS].
func (OS) OpenOrCreate(name string) (File, error) { return openOS(name, os.O_RDWR|os.O_CREATE) }

func openOS(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, filePerm)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// ReadDir implements [FS].
func (OS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

// Stat implements [FS].
func (OS) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

// MkdirAll implements [FS].
func (OS) MkdirAll(name string) error { return os.MkdirAll(name, dirPerm) }

// Rename implements [FS].
func (OS) Rename(oldname, newname string) error { return os.Rename(oldname, newname) }

// Remove implements [FS].
func (OS) Remove(name string) error { return os.Remove(name) }

// RemoveAll implements [FS].
func (OS) RemoveAll(name string) error { return os.RemoveAll(name) }

// SetModTime implements [FS].
func (OS) SetModTime(name string, t time.Time) error { return os.Chtimes(name, time.Time{}, t) }

// SyncDir implements [FS].
func (OS) SyncDir(name string) error { return syncDir(name) }

// Lock implements [FS].
func (OS) Lock(name string) (io.Closer, error) { return lockFile(name) }

// BootID implements [FS].
func (OS) BootID() string { return bootID() }

// Usage implements [FS].
func (OS) Usage(name string) (total, usable int64, err error) { return usage(name) }

type osFile struct{ *os.File }

func (f osFile) OS() *os.File { return f.File }

func (f osFile) Preallocate(size int64) error { return preallocate(f.File, size) }
