package storage

import (
	"errors"
	"maps"
	"slices"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// checkpointRecoveryPoints writes the recovery points of a directory's logs. It takes no lock of theirs.
func (m *Manager) checkpointRecoveryPoints(d *directory) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	points := map[meta.TopicPartition]int64{}
	for _, l := range m.logsIn(d) {
		points[l.tp] = l.checkpointableRecoveryPoint()
	}
	return d.replace(&d.mu.recoveryPoints, recoveryPointFile, points)
}

// vouchesTooMuch says whether the recovery points written down exceed those of the logs.
func (m *Manager) vouchesTooMuch(d *directory) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(m.logsIn(d), func(l *Log) bool { return d.mu.recoveryPoints[l.tp] > l.checkpointableRecoveryPoint() })
}

// checkpointStartOffsets writes the log start offsets that lie behind the first segment's base; the others need not be
// remembered.
func (m *Manager) checkpointStartOffsets(d *directory) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	starts := map[meta.TopicPartition]int64{}
	for _, l := range m.logsIn(d) {
		if start := l.LogStartOffset(); start > (*l.segments.Load())[0].base {
			starts[l.tp] = start
		}
	}
	return d.replace(&d.mu.logStarts, logStartFile, starts)
}

// checkpointHighWatermarks writes the high watermarks of a directory's current logs. Of those that have not been told
// theirs yet the old one is kept.
func (m *Manager) checkpointHighWatermarks(d *directory) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	hws := map[meta.TopicPartition]int64{}
	for _, l := range m.logsIn(d) {
		if l.IsFuture() {
			continue
		}
		if l.hwKnown.Load() {
			hws[l.tp] = l.HighWatermark()
		} else if hw, ok := d.mu.highWatermarks[l.tp]; ok {
			hws[l.tp] = hw
		}
	}
	return d.replace(&d.mu.highWatermarks, highWatermarkFile, hws)
}

// replace writes a checkpoint unless it says the same already. It needs d.mu.
func (d *directory) replace(known *map[meta.TopicPartition]int64, name string, offsets map[meta.TopicPartition]int64) error {
	if *known != nil && maps.Equal(*known, offsets) {
		return d.err()
	}
	if err := d.writeOffsets(name, offsets); err != nil {
		return err
	}
	*known = offsets
	return nil
}

// forget takes a partition out of the checkpoints of a directory if it is in any.
func (m *Manager) forget(d *directory, tp meta.TopicPartition) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range []struct {
		known *map[meta.TopicPartition]int64
		name  string
	}{{&d.mu.recoveryPoints, recoveryPointFile}, {&d.mu.logStarts, logStartFile}, {&d.mu.highWatermarks, highWatermarkFile}} {
		if _, ok := (*f.known)[tp]; !ok {
			continue
		}
		rest := maps.Clone(*f.known)
		delete(rest, tp)
		if err := d.replace(f.known, f.name, rest); err != nil {
			return err
		}
	}
	return nil
}

// eachLiveDir calls f for the directories that are not offline.
func (m *Manager) eachLiveDir(f func(*directory) error) error {
	var errs []error
	for _, d := range m.dirs {
		if d.err() == nil {
			errs = append(errs, f(d))
		}
	}
	return errors.Join(errs...)
}

// ReadHighWatermark returns the checkpointed high watermark of a partition, 0 if there is none.
func (m *Manager) ReadHighWatermark(tp meta.TopicPartition) int64 {
	l, ok := m.Log(tp)
	if !ok {
		return 0
	}
	d := m.dirOf(l)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.highWatermarks[tp]
}

// CheckpointHighWatermarks writes the high watermarks of all current logs. A log whose SetHighWatermark was never called
// keeps the one checkpointed before.
func (m *Manager) CheckpointHighWatermarks() error { return m.eachLiveDir(m.checkpointHighWatermarks) }

// CheckpointRecoveryPoints writes recovery points and log start offsets now, not when their time has come.
func (m *Manager) CheckpointRecoveryPoints() error {
	return errors.Join(m.eachLiveDir(m.checkpointRecoveryPoints), m.eachLiveDir(m.checkpointStartOffsets))
}
