package storage

import (
	"fmt"
	"strings"
	"time"

	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
	"go.uber.org/zap"
)

// A replica that this broker was not to have any more, and was not there to be told, is set aside: its directory is renamed to
// <topic>-<partition>.<uuid>-stray, as Kafka's brokers do when they leave ZooKeeper behind. They keep such directories for ever; here they
// are removed after ManagerOptions.StrayDeleteDelay. The file kraal-stray, written into the directory first, says since when
// and why. Without it, in those that Kafka has set aside for instance, nothing is removed.
//
//	set_aside: 2026-01-02T15:04:05Z
//	reason: one line

const strayTimeKey, strayReasonKey = "set_aside: ", "reason: "

func formatStray(at time.Time, reason string) []byte {
	return []byte(strayTimeKey + at.UTC().Format(time.RFC3339) + "\n" + strayReasonKey + strings.ReplaceAll(reason, "\n", " ") + "\n")
}

// parseStray returns when a replica was set aside.
func parseStray(content []byte) (time.Time, error) {
	for line := range strings.Lines(string(content)) {
		if at, ok := strings.CutPrefix(line, strayTimeKey); ok {
			return time.Parse(time.RFC3339, strings.TrimSpace(at))
		}
	}
	return time.Time{}, fmt.Errorf("no line %q", strings.TrimSpace(strayTimeKey))
}

// SetAside takes a partition's log, and its future log, out of service without deleting them. ErrNotFound if there is none.
func (m *Manager) SetAside(tp meta.TopicPartition, reason string) error {
	m.changing.Lock()
	defer m.changing.Unlock()
	found := false
	for _, logs := range []map[meta.TopicPartition]*Log{m.mu.future, m.mu.logs} {
		m.mu.RLock()
		l := logs[tp]
		m.mu.RUnlock()
		if l == nil {
			continue
		}
		found = true
		if err := m.markStray(l, reason); err != nil {
			return fmt.Errorf("set %s aside: %w", tp, err)
		}
		m.take(logs, tp)
		m.cleaner.forget(l)
		if err := m.setAside(l, reason); err != nil {
			return fmt.Errorf("set %s aside: %w", tp, err)
		}
	}
	if !found {
		return fmt.Errorf("set %s aside: %w", tp, ErrNotFound)
	}
	return nil
}

func (m *Manager) setAside(l *Log, reason string) error {
	if err := l.close(); err != nil { // as after a clean stop, for whoever wants it back
		return err
	}
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.generation++
	name, err := uniqueDirName(l.tp, strayDirSuffix)
	if err != nil {
		return err
	}
	if err = l.place.move(m.env.fs, name); err == nil {
		err = m.env.fs.SyncDir(l.place.dir.path)
	}
	if err != nil {
		return l.place.dir.fail(err)
	}
	m.env.logger.Warn("replica set aside that does not belong here any more", zap.String("dir", l.place.dir.path), zap.String("topic", l.tp.Topic),
		zap.Int32("partition", l.tp.Partition), zap.String("renamed_to", name), zap.String("reason", reason),
		zap.Int64("log_end_offset", l.leo.Load()), zap.Int64("bytes", l.Size()), zap.Duration("removed_in", m.o.StrayDeleteDelay))
	m.removeStrayLater(l.place.dir, name, m.o.Now())
	return nil
}

func (m *Manager) markStray(l *Log, reason string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.Err(); err != nil {
		return err
	}
	if err := writeFileAtomic(m.env.fs, l.place.file(strayFile), formatStray(m.o.Now(), reason)); err != nil {
		return l.refused("mark as stray", err)
	}
	return nil
}

// removeStrayLater removes a directory that was set aside when its time has come.
func (m *Manager) removeStrayLater(d *logDir, name string, setAside time.Time) {
	if m.o.StrayDeleteDelay < 0 {
		return
	}
	now := m.o.Now()
	if setAside.After(now) {
		setAside = now // the clock was put back
	}
	m.later.add(setAside.Add(m.o.StrayDeleteDelay).Sub(now), func() error {
		if err := d.err(); err != nil {
			return err
		}
		tp, _, err := parseDirName(name)
		if err != nil {
			return err
		}
		to, err := uniqueDirName(tp, deleteDirSuffix) // what is half removed is gone on with at the next start
		if err != nil {
			return err
		}
		m.env.logger.Info("removing a replica that was set aside", zap.String("dir", d.path), zap.String("name", name), zap.Time("set_aside", setAside))
		if err := m.env.fs.Rename(newPlace(d, name).path(), newPlace(d, to).path()); err != nil {
			return d.fail(fmt.Errorf("remove %s: %w", name, err))
		}
		if err := m.env.fs.SyncDir(d.path); err != nil {
			return d.fail(fmt.Errorf("remove %s: %w", name, err))
		}
		m.removeDirLater(d, to, 0)
		return nil
	})
}

// foundStray is told of a directory set aside before this start.
func (m *Manager) foundStray(d *directory, name string) {
	content, err := vfs.ReadFile(d.fs, newPlace(&d.logDir, name).file(strayFile))
	var setAside time.Time
	if err == nil {
		setAside, err = parseStray(content)
	}
	if err != nil {
		m.env.logger.Warn("there is a replica set aside that is not removed by itself: nobody knows since when", zap.String("dir", d.path),
			zap.String("name", name), zap.Error(err))
		return
	}
	m.env.logger.Info("there is a replica set aside", zap.String("dir", d.path), zap.String("name", name), zap.Time("since", setAside))
	m.removeStrayLater(&d.logDir, name, setAside)
}
