package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
	"go.uber.org/zap"
)

// A replica that has been copied to another log directory (KIP-113) takes the place of the one it was copied from in steps
// that may each be the last:
//
//  1. the copy is synced, and a file kraal-replaces in it names the log directory of the other
//  2. the copy's directory is renamed from -future to the plain name, durably
//  3. the other's directory is renamed to -delete, durably
//  4. kraal-replaces is removed
//
// So there is a complete replica with the plain name at any time, and after a crash between 2 and 3 there are two: the file
// says which of them has to go. It also says so much later, when the other's log directory failed in between and comes back.
// Apache Kafka does the same without 1 and 4 (LogManager.replaceCurrentWithFutureLog) and refuses to start with two.
//
// The file holds a log directory per line. Of a replica that moved on before an earlier directory came back it holds several.

// ReplaceWithFuture makes the future log of a partition the current one and deletes the old one. The caller has stopped all
// writers of both and found them equal.
func (m *Manager) ReplaceWithFuture(tp meta.TopicPartition) error {
	m.changing.Lock()
	defer m.changing.Unlock()
	m.mu.RLock()
	current, future := m.mu.logs[tp], m.mu.future[tp]
	m.mu.RUnlock()
	if current == nil || future == nil {
		return fmt.Errorf("replace %s: %w", tp, ErrNotFound)
	}
	if err := errors.Join(current.Err(), future.Err()); err != nil {
		return err
	}
	if a, b := current.LogEndOffset(), future.LogEndOffset(); a != b {
		return fmt.Errorf("replace %s: the future log ends at %d, the current one at %d: %w", tp, b, a, ErrUnexpectedOffset)
	}
	if err := future.inherit(current); err != nil {
		return err
	}
	if err := future.Flush(); err != nil {
		return err
	}
	d := m.dirOf(future)
	if err := m.checkpointStartOffsets(d); err != nil {
		return err
	}
	if err := future.takePlace(current); err != nil {
		return err
	}
	m.mu.Lock()
	delete(m.mu.future, tp)
	m.mu.logs[tp] = future
	m.mu.count[current.place.dir]--
	m.mu.Unlock()
	if clean := m.cleaner.take(current); clean >= 0 && !future.resumed {
		m.report("cleaner checkpoint not written", m.cleaner.put(future, clean))
	}
	m.env.logger.Info("log replaced by its future log", zap.String("topic", tp.Topic), zap.Int32("partition", tp.Partition),
		zap.String("from", current.Dir()), zap.String("dir", future.Dir()), zap.Int64("log_end_offset", future.LogEndOffset()))
	// From here on the future log is the replica. What fails takes a log directory offline, and says so there.
	if err := m.deleteLog(current); err == nil {
		_ = m.forgetReplaced(future)
	}
	m.report("recovery points not written", m.checkpointRecoveryPoints(d))
	m.report("high watermarks not written", m.checkpointHighWatermarks(d))
	return nil
}

// CheckFutureName is ErrNameTooLong for a partition that cannot be moved, because its topic's name leaves no room for the
// suffix of a future log's directory.
func CheckFutureName(tp meta.TopicPartition) error {
	_, err := uniqueDirName(tp, futureDirSuffix)
	return err
}

// inherit takes over what a future log does not get with the records.
func (l *Log) inherit(from *Log) error {
	hw, start := from.HighWatermark(), from.LogStartOffset()
	from.mu.Lock()
	verifying := from.mu.producers.verifying
	from.mu.Unlock()
	l.SetHighWatermark(hw)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advanceStartLocked(start)
	l.mu.producers.verifying = verifying
	// A leader epoch in which nothing has been written yet.
	if known := from.Epochs(); len(known) > 0 {
		if last := known[len(known)-1]; last.Epoch > l.LatestEpoch() {
			return l.assignEpochLocked(last.Epoch, last.StartOffset)
		}
	}
	return nil
}

// takePlace is steps 1 and 2.
func (l *Log) takePlace(of *Log) error {
	earlier, err := readReplaced(l.env.fs, of.place.path())
	if err != nil {
		return of.failed("become replaced", err)
	}
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	dirs := slices.DeleteFunc(append(earlier, of.Dir()), func(dir string) bool { return dir == l.Dir() })
	slices.Sort(dirs)
	if err := writeFileAtomic(l.env.fs, l.place.file(replacesFile), formatReplaced(slices.Compact(dirs))); err != nil {
		return l.refused("become current", err)
	}
	l.replaces = true
	if err := l.place.move(l.env.fs, partitionDirName(l.tp)); err != nil {
		return l.failed("become current", err)
	}
	if err := l.env.fs.SyncDir(l.place.dir.path); err != nil {
		return l.failed("become current", err)
	}
	l.future.Store(false)
	return nil
}

// isMoving says whether a log is being copied to another directory. Compaction has to wait: its result would not be in what
// has been copied already, but its position would be believed.
func (m *Manager) isMoving(l *Log) bool {
	future, ok := m.FutureLog(l.tp)
	return ok && future != l && future.Err() == nil
}

func formatReplaced(dirs []string) []byte { return []byte(strings.Join(dirs, "\n") + "\n") }

// readReplaced returns the log directories whose replica the one in a partition directory has replaced; none without the file.
func readReplaced(fsys vfs.FS, partitionDir string) ([]string, error) {
	content, err := vfs.ReadFile(fsys, filepath.Join(partitionDir, replacesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(strings.Split(string(content), "\n"), func(line string) bool { return line == "" }), nil
}

// endReplacements finds the partitions that are in several live directories and goes on with step 3 where it is known which
// of the replicas has been replaced. Where it is not, loading refuses them.
func (m *Manager) endReplacements() {
	var live []*directory
	for _, d := range m.dirs {
		if d.err() == nil {
			live = append(live, d)
		}
	}
	if len(live) < 2 {
		return
	}
	at := map[string][]*directory{} // by the name of the partition's directory
	for _, d := range live {
		entries, err := d.fs.ReadDir(d.path)
		if err != nil {
			_ = d.fail(err)
			continue
		}
		for _, e := range entries {
			if _, kind, err := parseDirName(e.Name()); err == nil && kind == currentDir && e.IsDir() {
				at[e.Name()] = append(at[e.Name()], d)
			}
		}
	}
	for name, dirs := range at {
		if len(dirs) > 1 {
			m.endReplacement(name, dirs)
		}
	}
}

func (m *Manager) endReplacement(name string, dirs []*directory) {
	for _, d := range dirs {
		replaced, err := readReplaced(d.fs, d.file(name))
		if err != nil {
			_ = d.fail(err)
			return
		}
		others := slices.DeleteFunc(slices.Clone(dirs), func(other *directory) bool { return other == d })
		if slices.ContainsFunc(others, func(other *directory) bool { return !slices.Contains(replaced, other.path) }) {
			continue
		}
		tp, _, err := parseDirName(name)
		if err != nil {
			return
		}
		for _, other := range others {
			m.dropReplaced(other, name, tp, d)
		}
		return
	}
}

func (m *Manager) dropReplaced(d *directory, name string, tp meta.TopicPartition, by *directory) {
	to, err := uniqueDirName(tp, deleteDirSuffix)
	if err == nil {
		err = d.fs.Rename(d.file(name), d.file(to))
	}
	if err == nil {
		err = d.fs.SyncDir(d.path)
	}
	if err != nil {
		_ = d.fail(err)
		return
	}
	m.env.logger.Warn("replica removed that had been moved to another log directory", zap.String("dir", d.path), zap.String("topic", tp.Topic),
		zap.Int32("partition", tp.Partition), zap.String("moved_to", by.path), zap.String("renamed_to", to))
}

// forgetReplaced is step 4: it keeps in kraal-replaces only the log directories that are not to be looked into.
func (m *Manager) forgetReplaced(l *Log) error {
	if !l.replaces {
		return nil
	}
	replaced, err := readReplaced(l.env.fs, l.place.path())
	if err != nil {
		return l.failed("read what it replaces", err)
	}
	live := m.LiveDirs()
	left := slices.DeleteFunc(replaced, func(dir string) bool { return slices.Contains(live, dir) })
	path := l.place.file(replacesFile)
	if l.replaces = len(left) > 0 && !l.IsFuture(); !l.replaces {
		err = removeIfThere(l.env.fs, path)
		if err == nil {
			err = l.env.fs.SyncDir(l.place.path())
		}
	} else {
		err = writeFileAtomic(l.env.fs, path, formatReplaced(left))
	}
	if err != nil {
		return l.failed("forget what it replaces", err)
	}
	return nil
}
