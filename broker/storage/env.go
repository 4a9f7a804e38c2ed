package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"go.uber.org/zap"
)

// env is what all logs of a manager share.
type env struct {
	fs      vfs.FS
	logger  *zap.Logger
	now     func() time.Time
	metrics *metrics

	tuning   tuning
	topicIDs bool

	openFiles   atomic.Int64
	nextGuardID atomic.Uint64

	// flushSoon and removeLater hand work to the manager's background goroutines; they do not block.
	flushSoon   func(*Log)
	removeLater func(after time.Duration, remove func() error)
	// checkpointRecoveryPoint and checkpointLogStart write those of a log's directory. Called under Log.mu. May be nil.
	checkpointRecoveryPoint func(*Log) error
	checkpointLogStart      func(*Log) error
	// truncated tells the cleaner that offsets from one on are new. Called under Log.mu. May be nil.
	truncated func(l *Log, offset int64) error
	// moving says whether the log is being copied to another directory. Called under Log.mu. May be nil.
	moving func(l *Log) bool
}

func (e *env) isMoving(l *Log) bool { return e.moving != nil && e.moving(l) }

func (e *env) nowMs() int64 { return e.now().UnixMilli() }

// logDir is one entry of log.dirs.
type logDir struct {
	path   string
	failed atomic.Pointer[DirError]
	onFail func(d *logDir) // called once, possibly under locks
	// onFull is called when a write found no room, possibly under locks. May be nil.
	onFull func(d *logDir, err error)
	full   atomic.Bool // the last thing heard of is that there is no room
	// fullSaid is when that was logged last, Unix nanoseconds.
	fullSaid atomic.Int64
}

// fail takes the directory offline and returns its (first) error. Errors that say nothing about the disk pass through.
func (d *logDir) fail(err error) error {
	if err == nil {
		return nil
	}
	if known := d.failed.Load(); known != nil {
		return known
	}
	de := &DirError{Dir: d.path, Err: err}
	if !d.failed.CompareAndSwap(nil, de) {
		return d.failed.Load()
	}
	if d.onFail != nil {
		d.onFail(d)
	}
	return de
}

// refuse is fail for what leaves everything as it was: if there is only no room for it, the directory stays online.
func (d *logDir) refuse(err error) error {
	if !isFull(err) {
		return d.fail(err)
	}
	d.full.Store(true)
	if d.onFull != nil {
		d.onFull(d, err)
	}
	if errors.Is(err, ErrDiskFull) {
		return err
	}
	return fmt.Errorf("log directory %s: %w: %w", d.path, ErrDiskFull, err)
}

// err is why the directory is offline, nil while it works.
func (d *logDir) err() error {
	if de := d.failed.Load(); de != nil {
		return de
	}
	return nil
}

// place is where a log's files are. It moves when the partition directory is renamed; its segments share it.
type place struct {
	dir *logDir
	p   atomic.Pointer[string]
	// moving is held for reading by those who use a path in the directory without holding Log.mu, from asking for the path
	// until the system has looked it up. Taken last.
	moving sync.RWMutex
}

func newPlace(dir *logDir, name string) *place {
	pl := &place{dir: dir}
	pl.set(name)
	return pl
}

func (pl *place) set(name string) {
	path := filepath.Join(pl.dir.path, name)
	pl.p.Store(&path)
}

// move renames the directory. The new path is published when it is one, and nobody is between asking for a path and using
// it: a file that is not found takes the log directory offline.
func (pl *place) move(fsys vfs.FS, name string) error {
	pl.moving.Lock()
	defer pl.moving.Unlock()
	if err := fsys.Rename(pl.path(), filepath.Join(pl.dir.path, name)); err != nil {
		return err
	}
	pl.set(name)
	return nil
}

// path of the partition directory.
func (pl *place) path() string { return *pl.p.Load() }

// file is the path of a file in the partition directory.
func (pl *place) file(name string) string { return *pl.p.Load() + string(filepath.Separator) + name }

// name of the partition directory in its log directory.
func (pl *place) name() string { return filepath.Base(pl.path()) }

// errGone is met by a reader that found its segment removed by retention, truncation or compaction; it looks again.
var errGone = errors.New("segment gone")

// raise stores v unless a is larger.
func raise(a *atomic.Int64, v int64) {
	for {
		old := a.Load()
		if old >= v || a.CompareAndSwap(old, v) {
			return
		}
	}
}

func ioError(what, path string, err error) error {
	return fmt.Errorf("%s %s: %w", what, filepath.Base(path), err)
}

// isIOError says whether err came from the operating system.
func isIOError(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	var number syscall.Errno
	return errors.As(err, &path) || errors.As(err, &link) || errors.As(err, &number)
}
