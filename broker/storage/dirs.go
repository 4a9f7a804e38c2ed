package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// DirInfo describes a log directory.
type DirInfo struct {
	Path          string // absolute
	Err           error  // why it is offline; nil: live
	Total, Usable int64  // bytes of the volume; -1 unknown
}

// directory is a log directory with what the manager keeps for it.
type directory struct {
	logDir
	fs   vfs.FS
	lock io.Closer

	clean bool // it was stopped cleanly, or all its logs have been loaded: it may be marked clean

	// mayHaveHoles: since our last run here the machine, not just the broker, may have died. What was not synced may
	// be missing then, and not only at the end: the system writes back files in any order.
	mayHaveHoles bool

	properties    MetaProperties
	hasProperties bool

	// What the checkpoint files say. The lock is held while they are written.
	mu struct {
		sync.Mutex
		recoveryPoints, logStarts, highWatermarks map[meta.TopicPartition]int64
	}

	// entries lets several that made something in the directory share one sync of it.
	entries struct {
		asked atomic.Int64
		sync.Mutex
		synced int64 // all of asked up to here are durable
	}

	// queue of logs to be flushed in the background; wake has room for one: look again.
	queue struct {
		sync.Mutex
		logs map[*Log]struct{}
	}
	wake chan struct{}
}

func newDirectory(fsys vfs.FS, path string) *directory {
	d := &directory{fs: fsys, wake: make(chan struct{}, 1)}
	d.path = path
	d.queue.logs = map[*Log]struct{}{}
	return d
}

func (d *directory) file(name string) string { return filepath.Join(d.path, name) }

// open creates the directory if missing, locks it and reads its small files. An error means it is offline, but for
// ErrLocked and a meta.properties that must not be here.
func (d *directory) open() error {
	if _, err := d.fs.Stat(d.path); errors.Is(err, fs.ErrNotExist) {
		if err := d.fs.MkdirAll(d.path); err != nil {
			return err
		}
		if err := d.fs.SyncDir(filepath.Dir(d.path)); err != nil {
			return err
		}
	}
	if _, err := d.fs.ReadDir(d.path); err != nil {
		return err
	}
	lock, err := d.fs.Lock(d.file(lockFile))
	if errors.Is(err, fs.ErrPermission) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLocked, err)
	}
	d.lock = lock
	if err := d.readProperties(); err != nil {
		return err
	}
	switch _, err := d.fs.Stat(d.file(cleanShutdownFile)); {
	case err == nil:
		d.clean = true
		// Gone for good before the first write: a crash from now on is a crash.
		if err := d.fs.Remove(d.file(cleanShutdownFile)); err != nil {
			return err
		}
		if err := d.fs.SyncDir(d.path); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	boot := d.fs.BootID()
	known, err := vfs.ReadFile(d.fs, d.file(bootFile))
	same := err == nil && boot != "" && string(known) == boot
	d.mayHaveHoles = err == nil && !same
	if !same {
		// Without room it is left empty, and the next start takes it for another run: that is careful enough.
		if err := writeFileSync(d.fs, d.file(bootFile), []byte(boot)); err != nil && !isFull(err) {
			return err
		}
	}
	// Not readable: recover everything rather than nothing, begin at the first record there is. Nil makes the next
	// checkpoint be written in any case.
	d.mu.recoveryPoints, _ = d.readOffsets(recoveryPointFile)
	d.mu.logStarts, _ = d.readOffsets(logStartFile)
	d.mu.highWatermarks, err = d.readOffsets(highWatermarkFile)
	return err
}

// syncEntries makes durable what was made in the directory before.
func (d *directory) syncEntries() error {
	own := d.entries.asked.Add(1)
	d.entries.Lock()
	defer d.entries.Unlock()
	if d.entries.synced >= own {
		return nil // somebody's sync began after our request, and has ended
	}
	all := d.entries.asked.Load()
	if err := d.fs.SyncDir(d.path); err != nil {
		return err
	}
	d.entries.synced = all
	return nil
}

// readOffsets reads an offset checkpoint; a missing one is empty.
func (d *directory) readOffsets(name string) (map[meta.TopicPartition]int64, error) {
	content, err := vfs.ReadFile(d.fs, d.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return map[meta.TopicPartition]int64{}, nil
	}
	if err != nil {
		return nil, err
	}
	offsets, err := parseOffsets(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.file(name), err)
	}
	return offsets, nil
}

// writeOffsets replaces an offset checkpoint. The caller orders writers.
func (d *directory) writeOffsets(name string, offsets map[meta.TopicPartition]int64) error {
	if err := d.err(); err != nil {
		return err
	}
	if err := writeFileAtomic(d.fs, d.file(name), formatOffsets(offsets)); err != nil {
		return d.refuse(err) // the old one stands
	}
	return nil
}

// flushSoon queues a log for the directory's flusher.
func (d *directory) flushSoon(l *Log) {
	d.queue.Lock()
	d.queue.logs[l] = struct{}{}
	d.queue.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// takeQueue empties the queue.
func (d *directory) takeQueue() map[*Log]struct{} {
	d.queue.Lock()
	defer d.queue.Unlock()
	logs := d.queue.logs
	if len(logs) == 0 {
		return nil
	}
	d.queue.logs = map[*Log]struct{}{}
	return logs
}

// markClean writes the marker of a clean stop. The broker epoch in it means something in KRaft only.
func (d *directory) markClean() error {
	if err := writeFileSync(d.fs, d.file(cleanShutdownFile), []byte(`{"version":0,"brokerEpoch":-1}`)); err != nil {
		return d.fail(err)
	}
	return d.fail(d.fs.SyncDir(d.path))
}

// info describes the directory.
func (d *directory) info() DirInfo {
	i := DirInfo{Path: d.path, Err: d.err(), Total: -1, Usable: -1}
	if i.Err == nil {
		if total, usable, err := d.fs.Usage(d.path); err == nil {
			i.Total, i.Usable = total, usable
		}
	}
	return i
}

// MetaProperties is the content of meta.properties.
type MetaProperties struct {
	BrokerID    meta.BrokerID // meta.NoBroker: not given
	ClusterID   string        // empty: not given
	DirectoryID string        // kept if found, never made here
}

// ErrMetaProperties: a meta.properties this broker must not start with.
var ErrMetaProperties = errors.New("unusable meta.properties")

func (d *directory) readProperties() error {
	content, err := vfs.ReadFile(d.fs, d.file(metaPropertiesFile))
	if errors.Is(err, fs.ErrNotExist) {
		d.properties.BrokerID = meta.NoBroker
		return nil
	}
	if err != nil {
		return err
	}
	d.properties, err = parseMetaProperties(content)
	if err != nil {
		return fmt.Errorf("%s: %w", d.file(metaPropertiesFile), err)
	}
	d.hasProperties = true
	return nil
}

func parseMetaProperties(content []byte) (MetaProperties, error) {
	p := MetaProperties{BrokerID: meta.NoBroker}
	version := "0" // of a release that wrote none
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		value = strings.ReplaceAll(strings.TrimSpace(value), `\`, "") // java.util.Properties escapes : and = needlessly
		switch strings.TrimSpace(key) {
		case "version":
			version = value
		case "broker.id":
			id, err := strconv.ParseInt(value, 10, 32)
			if err != nil {
				return p, fmt.Errorf("%w: broker.id %.20q", ErrMetaProperties, value)
			}
			p.BrokerID = meta.BrokerID(id)
		case "cluster.id":
			p.ClusterID = value
		case "directory.id":
			p.DirectoryID = value
		}
	}
	if version != "0" {
		return p, fmt.Errorf("%w: version %.20q: the directory belongs to a KRaft node", ErrMetaProperties, version)
	}
	return p, nil
}

func formatMetaProperties(p MetaProperties, now time.Time) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "#\n#%s\n", now.Format("Mon Jan 02 15:04:05 MST 2006"))
	fmt.Fprintf(&b, "broker.id=%d\n", p.BrokerID)
	fmt.Fprintf(&b, "cluster.id=%s\n", p.ClusterID)
	if p.DirectoryID != "" {
		fmt.Fprintf(&b, "directory.id=%s\n", p.DirectoryID)
	}
	b.WriteString("version=0\n")
	return []byte(b.String())
}
