package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
	"go.uber.org/zap"
)

// progressInterval is how often loading says how far it is.
const progressInterval = 5 * time.Second

// loadJob is one partition directory to be loaded.
type loadJob struct {
	dir  *directory
	name string
	tp   meta.TopicPartition
	kind dirKind
}

// loadAll loads what the live directories hold, RecoveryThreads logs of each at once.
func (m *Manager) loadAll(ctx context.Context) error {
	m.endReplacements()
	configs := topicConfigs{ask: m.o.TopicConfig}
	progress := loadProgress{logger: m.env.logger}
	stop := progress.report()
	defer stop()
	var wg sync.WaitGroup
	errs := make([]error, len(m.dirs))
	known := map[*directory]bool{} // to be offline
	for i, d := range m.dirs {
		if known[d] = d.err() != nil; known[d] {
			continue
		}
		wg.Go(func() { errs[i] = m.loadDir(ctx, d, &configs, &progress) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	// A directory that failed takes what was loaded from it along.
	live := 0
	for _, d := range m.dirs {
		switch {
		case d.err() == nil:
			live++
		case !known[d]:
			m.logOffline(d.path, d.err())
		}
	}
	if live == 0 {
		return fmt.Errorf("no log directory can be used: %w", m.dirs[0].err())
	}
	return nil
}

// logOffline tells of a directory that is of no use from the start.
func (m *Manager) logOffline(dir string, err error) {
	m.env.logger.Error("log directory is offline until the next start, and with it all partitions in it", zap.String("dir", dir), zap.Error(err))
}

// loadDir loads one directory. An error is one that must stop the broker; I/O errors take the directory offline.
func (m *Manager) loadDir(ctx context.Context, d *directory, configs *topicConfigs, progress *loadProgress) error {
	entries, err := d.fs.ReadDir(d.path)
	if err != nil {
		_ = d.fail(err)
		return nil
	}
	var jobs []loadJob
	for _, e := range entries {
		if !e.IsDir() || e.Name() == remoteIndexCacheDir {
			continue
		}
		tp, kind, err := parseDirName(e.Name())
		if err != nil {
			return fmt.Errorf("log directory %s: %w", d.path, err)
		}
		if tp.Topic == clusterMetadataTopic {
			continue
		}
		if kind == strayDir {
			m.foundStray(d, e.Name())
			continue
		}
		if kind == deletedDir {
			m.removeDirLater(&d.logDir, e.Name(), 0)
			continue
		}
		jobs = append(jobs, loadJob{d, e.Name(), tp, kind})
	}
	started := m.o.Now()
	m.env.logger.Info("loading logs", d.loading(len(jobs))...)
	progress.logs.Add(int64(len(jobs)))
	var fatal atomic.Pointer[error]
	m.parallel(m.o.RecoveryThreads, len(jobs), func(i int) {
		if fatal.Load() != nil || d.err() != nil {
			return
		}
		if err := m.loadOne(ctx, jobs[i], configs, progress); err != nil {
			fatal.CompareAndSwap(nil, &err)
		}
		progress.done.Add(1)
	})
	if err := fatal.Load(); err != nil {
		return *err
	}
	if d.err() == nil {
		m.env.logger.Info("logs loaded", zap.String("dir", d.path), zap.Int("logs", len(jobs)), zap.Duration("took", m.o.Now().Sub(started)))
	}
	return nil
}

// loading says what is loaded, and what it means if the last stop was not clean.
func (d *directory) loading(logs int) []zap.Field {
	fields := []zap.Field{zap.String("dir", d.path), zap.Int("logs", logs)}
	if logs > 0 && !d.clean {
		fields = append(fields, zap.String("recovery", "the last stop was not clean: segments that may not have been flushed are checked"))
	}
	return fields
}

func (m *Manager) loadOne(ctx context.Context, j loadJob, configs *topicConfigs, progress *loadProgress) error {
	left := int64(0) // of the segments this log still has to recover
	o := loadOptions{
		clean:         j.dir.clean,
		mayHaveHoles:  j.dir.mayHaveHoles,
		recoveryPoint: j.dir.mu.recoveryPoints[j.tp],
		logStart:      j.dir.mu.logStarts[j.tp],
		future:        j.kind == futureDir,
		recovering: func(n int) {
			progress.segments.Add(int64(n) - left)
			left = int64(n)
		},
	}
	if o.recoveryPoint < 0 || o.logStart < 0 {
		o.recoveryPoint, o.logStart = max(o.recoveryPoint, 0), max(o.logStart, 0)
	}
	pl := newPlace(&j.dir.logDir, j.name)
	l, err := openLog(ctx, m.env, pl, j.tp, configs.of(j.tp.Topic), o)
	progress.segments.Add(-left)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		m.env.logger.Error("log not loaded", zap.String("dir", j.dir.path), zap.String("topic", j.tp.Topic),
			zap.Int32("partition", j.tp.Partition), zap.Error(err))
		_ = j.dir.fail(err)
		return nil
	}
	l.resumed = o.future
	if err := m.forgetReplaced(l); err != nil {
		return nil // the directory is offline now
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	logs := m.mu.logs
	if o.future {
		logs = m.mu.future
	}
	if other := logs[j.tp]; other != nil {
		return fmt.Errorf("%s is in %s and in %s: remove one of them", j.tp, other.place.path(), pl.path())
	}
	logs[j.tp] = l
	m.mu.count[pl.dir]++
	return nil
}

// loadProgress counts what is being loaded.
type loadProgress struct {
	logger     *zap.Logger
	logs, done atomic.Int64
	segments   atomic.Int64 // still to be recovered in the logs being loaded now
}

// report logs the progress now and then until the returned function is called.
func (p *loadProgress) report() (stop func()) {
	end := make(chan struct{}) // closed by stop
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(progressInterval)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				p.logger.Info("still loading logs", zap.Int64("loaded", p.done.Load()), zap.Int64("logs", p.logs.Load()),
					zap.Int64("segments_to_recover_now", p.segments.Load()))
			}
		}
	})
	return func() {
		close(end)
		wg.Wait()
	}
}
