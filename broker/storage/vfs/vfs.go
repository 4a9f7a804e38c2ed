package vfs

import (
	"io"
	"io/fs"
	"os"
	"time"
)

// FS is what the log layer needs of a filesystem. Paths are those of package os. Implementations are safe for
// concurrent use.
type FS interface {
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// Create creates name, or empties it if it exists, and opens it for reading and writing.
	Create(name string) (File, error)
	// OpenOrCreate opens name for reading and writing and creates it empty if it does not exist.
	OpenOrCreate(name string) (File, error)
	// ReadDir lists a directory in the order of the names.
	ReadDir(name string) ([]fs.DirEntry, error)
	// Stat describes a file or directory, following links.
	Stat(name string) (fs.FileInfo, error)
	// MkdirAll creates a directory and its missing parents.
	MkdirAll(name string) error
	// Rename replaces newname by oldname in one step.
	Rename(oldname, newname string) error
	// Remove deletes a file or an empty directory.
	Remove(name string) error
	// RemoveAll deletes a file or a directory with all it holds; it is no error if nothing is there.
	RemoveAll(name string) error
	// SetModTime sets a file's modification time.
	SetModTime(name string, t time.Time) error
	// SyncDir makes the entries of a directory durable: creations, renames and removals in it.
	SyncDir(name string) error
	// Lock takes an exclusive lock on name, creating it if missing. It fails at once if another process, or this one,
	// holds the lock. Closing the result, or the end of the process, releases it.
	Lock(name string) (io.Closer, error)
	// BootID names the run of the machine: while it is the same, what was written is there, synced or not. Empty if
	// there is no telling.
	BootID() string
	// Usage returns the size of, and the free space on, the volume that holds a directory.
	Usage(name string) (total, usable int64, err error)
}

// File is an open file. It keeps no position: every read and write names its own.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes the content and the size durable.
	Sync() error
	// Truncate sets the size; growing leaves a hole of zeros.
	Truncate(size int64) error
	// Preallocate reserves blocks up to size and sets the size, so that later writes below it cannot meet a full disk.
	// Where the system has no such call it only sets the size.
	Preallocate(size int64) error
	// Stat describes the file.
	Stat() (fs.FileInfo, error)
	// OS returns the operating system's file for sendfile and the like, nil if there is none.
	// Only its descriptor may be used, with explicit positions.
	OS() *os.File
}

// ReadFile returns the whole content of a file.
func ReadFile(fsys FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, info.Size())
	n, err := f.ReadAt(b, 0)
	if err == io.EOF || n == len(b) {
		err = nil
	}
	return b[:n], err
}
