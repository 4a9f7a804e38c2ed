package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
	"go.uber.org/zap"
)

// CreateOptions says how GetOrCreate makes a log.
type CreateOptions struct {
	TopicID meta.TopicID
	// IsNew: the controller says that this replica never existed. Otherwise, while a directory is offline, nothing is
	// created (ErrDirOffline), because the replica may be there.
	IsNew bool
	// Dir is the log directory wanted; empty: the one remembered by PreferDir, else the live one with the fewest logs.
	Dir string
	// Future makes the log that will replace the current one.
	Future bool
}

// GetOrCreate returns a partition's log, made if missing. A topic id that differs from the log's is ErrTopicIDMismatch.
// Called from several goroutines it makes logs side by side: that is mostly waiting for the disk.
//
// The directory of a log that was made, and its topic id, need not be durable before the first leader epoch is
// (AssignEpochStart, or a follower's first append), and there are no records before that.
func (m *Manager) GetOrCreate(tp meta.TopicPartition, o CreateOptions) (*Log, error) {
	m.changing.RLock()
	defer m.changing.RUnlock()
	one := &m.creating[maphash.Comparable(m.seed, tp)%uint64(len(m.creating))]
	one.Lock()
	defer one.Unlock()
	l, made, err := m.getOrCreate(tp, o)
	if err != nil {
		return nil, err
	}
	if err := l.Err(); err != nil {
		return nil, err
	}
	if !o.TopicID.IsZero() {
		if err := l.setTopicID(o.TopicID, !made); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// getOrCreate needs changing and the partition's lock of creating. made says whether the log is new.
func (m *Manager) getOrCreate(tp meta.TopicPartition, o CreateOptions) (l *Log, made bool, err error) {
	m.mu.RLock()
	logs := m.mu.logs
	if o.Future {
		logs = m.mu.future
	}
	l, preferred, closed := logs[tp], m.mu.preferred[tp], m.mu.closed
	m.mu.RUnlock()
	if l != nil {
		return l, false, nil
	}
	if closed {
		return nil, false, fmt.Errorf("create %s: %w", tp, ErrClosed)
	}
	name := partitionDirName(tp)
	if o.Future {
		if name, err = uniqueDirName(tp, futureDirSuffix); err != nil {
			return nil, false, err
		}
	} else if len(name) > maxNameLength {
		return nil, false, fmt.Errorf("create %s: %w", tp, ErrNameTooLong)
	}
	dirs, err := m.candidates(o, preferred)
	if err != nil {
		return nil, false, fmt.Errorf("create %s: %w", tp, err)
	}
	for len(dirs) > 0 {
		d := m.reserve(dirs)
		config := m.o.TopicConfig(tp.Topic)
		if l, err = m.createIn(d, tp, name, config, o); err != nil {
			m.env.logger.Error("log not created", zap.String("dir", d.path), zap.String("topic", tp.Topic),
				zap.Int32("partition", tp.Partition), zap.Error(err))
			err = d.refuse(err)
			m.mu.Lock()
			m.mu.count[&d.logDir]--
			m.mu.Unlock()
			dirs = slices.DeleteFunc(dirs, func(other *directory) bool { return other == d })
			continue
		}
		m.mu.Lock()
		logs[tp] = l
		if !o.Future {
			delete(m.mu.preferred, tp)
		}
		m.mu.Unlock()
		// A change of the configuration since it was asked for has not found this log among the others.
		l.config.CompareAndSwap(config, m.o.TopicConfig(tp.Topic))
		return l, true, nil
	}
	return nil, false, fmt.Errorf("create %s: %w", tp, err)
}

// reserve returns the directory with the fewest logs, and counts one more there.
func (m *Manager) reserve(dirs []*directory) *directory {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := slices.MinFunc(dirs, func(a, b *directory) int { return cmp.Compare(m.mu.count[&a.logDir], m.mu.count[&b.logDir]) })
	m.mu.count[&d.logDir]++
	return d
}

// candidates lists the directories that may be tried.
func (m *Manager) candidates(o CreateOptions, preferred string) ([]*directory, error) {
	var live []*directory
	for _, d := range m.dirs {
		if err := d.err(); err == nil {
			live = append(live, d)
		} else if !o.IsNew {
			return nil, err
		}
	}
	if len(live) == 0 {
		return nil, m.dirs[0].err()
	}
	want := cmp.Or(o.Dir, preferred)
	for _, d := range m.dirs {
		if d.path != want {
			continue
		}
		if err := d.err(); err == nil {
			return []*directory{d}, nil
		} else if o.Dir != "" {
			return nil, err
		}
	}
	if o.Dir != "" {
		return nil, fmt.Errorf("%w: %s is not a log directory", ErrNotFound, o.Dir)
	}
	return live, nil
}

// createIn makes the directory and an empty log in it.
func (m *Manager) createIn(d *directory, tp meta.TopicPartition, name string, c *LogConfig, o CreateOptions) (*Log, error) {
	// Offsets checkpointed for a log of that name that is gone would be taken for this one's after a crash.
	if err := m.forget(d, tp); err != nil {
		return nil, err
	}
	pl := newPlace(&d.logDir, name)
	l, err := m.makeLog(d, pl, tp, c, o)
	if err != nil {
		if isFull(err) { // it stays nowhere, and may be made elsewhere
			if undo := m.env.fs.RemoveAll(pl.path()); undo != nil {
				err = &syncError{errors.Join(err, undo)}
			}
		}
		return nil, err
	}
	what := "log created"
	if o.Future {
		what = "future log created"
	}
	m.env.logger.Info(what, zap.String("dir", d.path), zap.String("topic", tp.Topic), zap.Int32("partition", tp.Partition))
	return l, nil
}

func (m *Manager) makeLog(d *directory, pl *place, tp meta.TopicPartition, c *LogConfig, o CreateOptions) (*Log, error) {
	if err := m.env.fs.MkdirAll(pl.path()); err != nil {
		return nil, err
	}
	if err := d.syncEntries(); err != nil {
		return nil, err
	}
	return openLog(context.Background(), m.env, pl, tp, c, loadOptions{future: o.Future})
}

// PreferDir remembers in which directory a log is to be created (AlterReplicaLogDirs before the replica exists).
func (m *Manager) PreferDir(tp meta.TopicPartition, dir string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.preferred[tp] = dir
}

// Delete takes a partition's log, and its future log, away: the directory is renamed at once and its files are deleted
// after DirDeleteDelay. ErrNotFound if there is none.
func (m *Manager) Delete(tp meta.TopicPartition) error {
	m.changing.Lock()
	defer m.changing.Unlock()
	future := m.take(m.mu.future, tp)
	current := m.take(m.mu.logs, tp)
	if future != nil {
		if err := m.deleteLog(future); err != nil {
			m.env.logger.Error("future log not deleted", zap.String("topic", tp.Topic), zap.Int32("partition", tp.Partition), zap.Error(err))
		}
	}
	if current == nil {
		return fmt.Errorf("delete %s: %w", tp, ErrNotFound)
	}
	return m.deleteLog(current)
}

// DeleteFuture takes only the future log away.
func (m *Manager) DeleteFuture(tp meta.TopicPartition) error {
	m.changing.Lock()
	defer m.changing.Unlock()
	l := m.take(m.mu.future, tp)
	if l == nil {
		return fmt.Errorf("delete future %s: %w", tp, ErrNotFound)
	}
	return m.deleteLog(l)
}

// take removes a log from a map.
func (m *Manager) take(from map[meta.TopicPartition]*Log, tp meta.TopicPartition) *Log {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := from[tp]
	if l != nil {
		delete(from, tp)
		m.mu.count[l.place.dir]--
	}
	return l
}

// deleteLog ends a log and renames its directory away.
func (m *Manager) deleteLog(l *Log) error {
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.Err(); err != nil {
		l.end(ErrDeleted)
		m.cleaner.forget(l)
		l.abandonLocked()
		return err
	}
	l.end(ErrDeleted)
	m.cleaner.forget(l) // now that a compaction under way cannot put its position there any more
	l.mu.generation++
	l.abandonLocked()
	return m.renameAway(l, deleteDirSuffix)
}

// renameAway needs the log's mu.
func (m *Manager) renameAway(l *Log, suffix string) error {
	name, err := uniqueDirName(l.tp, suffix)
	if err != nil {
		return err
	}
	if err := l.place.move(m.env.fs, name); err != nil {
		return l.place.dir.fail(fmt.Errorf("delete %s: %w", l.tp, err))
	}
	if err := m.env.fs.SyncDir(l.place.dir.path); err != nil {
		return l.place.dir.fail(fmt.Errorf("delete %s: %w", l.tp, err))
	}
	m.env.logger.Info("log deleted", zap.String("dir", l.place.dir.path), zap.String("topic", l.tp.Topic),
		zap.Int32("partition", l.tp.Partition), zap.String("renamed_to", name))
	m.removeDirLater(l.place.dir, name, time.Duration(m.env.tuning.dirDeleteDelay.Load()))
	return nil
}

func (m *Manager) removeDirLater(d *logDir, name string, after time.Duration) {
	path := newPlace(d, name).path()
	m.later.add(after, func() error {
		if err := d.err(); err != nil {
			return err
		}
		if err := m.env.fs.RemoveAll(path); err != nil {
			return d.fail(fmt.Errorf("remove %s: %w", path, err))
		}
		return nil
	})
}
