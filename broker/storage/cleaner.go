package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
	"go.uber.org/zap"
)

// fullDiskRetry is how long a log is left alone whose compaction met a full disk. Nothing is lost by that, so the
// directory stays online.
const fullDiskRetry = 5 * time.Minute

// cleaner compacts logs: it looks for the one with the largest share of dirty bytes, makes one pass over it, and looks
// again. A log whose pass fails is set aside, logged and counted; the cleaner goes on with the others.
// (LogCleaner.scala, LogCleanerManager.scala)
type cleaner struct {
	m      *Manager
	config atomic.Pointer[CleanerConfig]
	// changed tells run that config is another; room for one: look again.
	changed chan struct{}

	mu struct {
		sync.Mutex
		busy  map[*Log]bool
		aside map[*Log]time.Time // until when; zero: for good
		// points are the first dirty offsets, by directory, as in the checkpoint files.
		points map[*directory]map[meta.TopicPartition]int64
	}
}

func newCleaner(m *Manager) *cleaner {
	c := &cleaner{m: m, changed: make(chan struct{}, 1)}
	config := m.o.Cleaner
	c.config.Store(&config)
	c.mu.busy = map[*Log]bool{}
	c.mu.aside = map[*Log]time.Time{}
	c.mu.points = map[*directory]map[meta.TopicPartition]int64{}
	for _, d := range m.dirs {
		if d.err() != nil {
			continue
		}
		points, err := d.readOffsets(cleanerFile)
		if err != nil {
			m.env.logger.Error("cleaner checkpoint not readable; compacting from the beginning", zap.String("dir", d.path), zap.Error(err))
			points = map[meta.TopicPartition]int64{}
		}
		c.mu.points[d] = points
	}
	m.env.truncated = c.cut
	m.env.metrics.cleaner.Store(c)
	return c
}

func (c *cleaner) reconfigure(config CleanerConfig) {
	c.config.Store(&config)
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// run keeps the configured number of workers until ctx ends. A change of configuration ends the passes under way.
func (c *cleaner) run(ctx context.Context) {
	for ctx.Err() == nil {
		config := c.config.Load()
		workers, stop := context.WithCancel(ctx)
		var wg sync.WaitGroup
		if config.Enable {
			limit := newThrottle(config.IOMaxBytesPerSec)
			for range max(config.Threads, 1) {
				wg.Go(func() { c.work(workers, config, limit) })
			}
		}
		select {
		case <-ctx.Done():
		case <-c.changed:
		}
		stop()
		wg.Wait()
	}
}

func (c *cleaner) work(ctx context.Context, config *CleanerConfig, limit *throttle) {
	for ctx.Err() == nil {
		worked := c.once(ctx, config, limit)
		c.retain()
		if worked {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(max(config.Backoff, time.Millisecond)):
		}
	}
}

// once makes one pass, if any log needs one.
func (c *cleaner) once(ctx context.Context, config *CleanerConfig, limit *throttle) bool {
	l, dirty, ok := c.choose()
	if !ok {
		return false
	}
	defer c.release(l)
	p := &cleanPass{ctx: ctx, l: l, config: l.Config(), cleaner: config, threads: int64(max(config.Threads, 1)), throttle: limit,
		dirty: dirty, nowMs: c.m.env.nowMs()}
	started := time.Now()
	end, err := c.guarded(p)
	mt := c.m.env.metrics
	mt.cleanerBytes.WithLabelValues("read").Add(float64(p.stats.readBytes))
	mt.cleanerBytes.WithLabelValues("written").Add(float64(p.stats.wroteBytes))
	mt.cleanerIO.Add(float64(p.stats.readBytes + p.stats.wroteBytes))
	if err == nil {
		err = c.put(l, end)
	}
	switch {
	case err == nil:
		took := time.Since(started)
		mt.compacted(p, took)
		l.logger().Info("compacted", zap.Int64("from", dirty.first), zap.Int64("to", end), zap.Int64("bytes_before", p.stats.before),
			zap.Int64("bytes_after", p.stats.after), zap.Int("keys", p.offsets.used), zap.Duration("took", took))
	case ctx.Err() != nil, errors.Is(err, errAborted), errors.Is(err, ErrDeleted), errors.Is(err, ErrClosed):
		l.logger().Info("compaction given up", zap.Error(err))
	default:
		c.failed(l, err)
	}
	return true
}

// guarded runs a pass. A panic in it is a fault of ours, or of the data, that must not stop the compaction of all other
// logs.
func (c *cleaner) guarded(p *cleanPass) (end int64, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic in compaction: %v\n%s", r, debug.Stack())
		}
	}()
	return p.run()
}

// failed sets a log aside.
func (c *cleaner) failed(l *Log, err error) {
	if again := (&retry{}); again.again(l, err) {
		return // cut while being read
	}
	if l.Err() != nil {
		return // deleted meanwhile, with its files
	}
	until := time.Time{}
	if errors.Is(err, syscall.ENOSPC) && !errors.Is(err, ErrDirOffline) {
		until = c.m.env.now().Add(fullDiskRetry)
	}
	c.m.env.metrics.cleanerFailures.Inc()
	l.logger().Error("compaction failed; the partition is set aside", zap.Bool("for_good", until.IsZero()), zap.Error(err))
	if isIOError(err) && until.IsZero() {
		_ = l.failed("compact", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.aside[l] = until
}

// release ends the work on a log.
func (c *cleaner) release(l *Log) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.mu.busy, l)
}

// retain runs retention on the compacted logs that no worker has at hand.
func (c *cleaner) retain() {
	for _, l := range c.m.list(false) {
		if !l.Config().Compact {
			continue
		}
		c.mu.Lock()
		free := !c.mu.busy[l]
		if free {
			c.mu.busy[l] = true
		}
		c.mu.Unlock()
		if free {
			c.m.retain(l)
			c.release(l)
		}
	}
}

// point returns a log's first dirty offset as checkpointed.
func (c *cleaner) point(l *Log) (int64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.mu.points[c.m.dirOf(l)][l.tp]
	return p, ok
}

// put checkpoints a log's first dirty offset.
func (c *cleaner) put(l *Log, offset int64) error {
	return c.update(l, func(points map[meta.TopicPartition]int64) bool {
		if l.Err() != nil {
			return false // deleted: the next log of that name is another
		}
		old, ok := points[l.tp]
		points[l.tp] = offset
		return !ok || old != offset
	})
}

// update changes the checkpoint of the log's directory.
func (c *cleaner) update(l *Log, change func(map[meta.TopicPartition]int64) bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.m.dirOf(l)
	points := maps.Clone(c.mu.points[d])
	if points == nil {
		points = map[meta.TopicPartition]int64{}
	}
	if !change(points) {
		return nil
	}
	if err := d.writeOffsets(cleanerFile, points); err != nil {
		return err
	}
	c.mu.points[d] = points
	return nil
}

// cut brings the checkpoint down with a truncation. Called under Log.mu.
func (c *cleaner) cut(l *Log, offset int64) error {
	return c.update(l, func(points map[meta.TopicPartition]int64) bool {
		if old, ok := points[l.tp]; !ok || old <= offset {
			return false
		}
		points[l.tp] = offset
		return true
	})
}

// take removes and returns a log's checkpoint, -1 if it has none. The log may be nil.
func (c *cleaner) take(l *Log) int64 {
	if l == nil {
		return -1
	}
	offset, ok := c.point(l)
	c.forget(l)
	if !ok {
		return -1
	}
	return offset
}

// forget drops what is known of a log that is going.
func (c *cleaner) forget(l *Log) {
	err := c.update(l, func(points map[meta.TopicPartition]int64) bool {
		_, ok := points[l.tp]
		delete(points, l.tp)
		return ok
	})
	c.m.report("cleaner checkpoint not written", err)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.mu.aside, l)
}
