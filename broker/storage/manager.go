package storage

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// ManagerOptions is what OpenManager needs. Zero durations get Kafka's defaults.
type ManagerOptions struct {
	Dirs []string // log.dirs
	// TopicConfig resolves the configuration of a topic's logs when they are loaded or created. Called from several
	// goroutines, possibly under locks: it must not call back.
	TopicConfig func(topic string) *LogConfig
	Cleaner     CleanerConfig
	FS          vfs.FS // nil: vfs.OS
	Logger      *zap.Logger
	Metrics     prometheus.Registerer // may be nil
	Now         func() time.Time      // nil: time.Now

	// RecoveryThreads is num.recovery.threads.per.data.dir.
	RecoveryThreads int
	// OnDirFailure is told once about every directory that fails after OpenManager returned, from the goroutine that
	// met the failure, which may hold locks: it must not call back nor block.
	OnDirFailure func(dir string, err error)

	InitialDelay                  time.Duration // log.initial.task.delay.ms; before the first round of the tasks below
	FlushCheckInterval            time.Duration // log.flush.scheduler.interval.ms; 0: never
	FlushCheckpointInterval       time.Duration // log.flush.offset.checkpoint.interval.ms
	StartOffsetCheckpointInterval time.Duration // log.flush.start.offset.checkpoint.interval.ms
	RetentionCheckInterval        time.Duration // log.retention.check.interval.ms
	DirDeleteDelay                time.Duration // log.segment.delete.delay.ms: a deleted partition's files
	StrayDeleteDelay              time.Duration // kraal.stray.delete.delay.ms: replicas set aside; negative: never

	ProducerIDExpiration              time.Duration // producer.id.expiration.ms
	ProducerIDExpirationCheckInterval time.Duration // producer.id.expiration.check.interval.ms
	VerifyTransactions                bool          // transaction.partition.verification.enable
	// NoTopicIDs is set below IBP 2.8: partition.metadata files are not written, and deleted if found.
	NoTopicIDs bool
}

func (o *ManagerOptions) setDefaults() {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&o.InitialDelay, 30*time.Second)
	set(&o.FlushCheckpointInterval, time.Minute)
	set(&o.StartOffsetCheckpointInterval, time.Minute)
	set(&o.RetentionCheckInterval, 5*time.Minute)
	set(&o.DirDeleteDelay, time.Minute)
	set(&o.StrayDeleteDelay, 7*24*time.Hour)
	set(&o.ProducerIDExpiration, 24*time.Hour)
	set(&o.ProducerIDExpirationCheckInterval, 10*time.Minute)
	o.RecoveryThreads = max(o.RecoveryThreads, 1)
	if o.FS == nil {
		o.FS = vfs.OS{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.TopicConfig == nil {
		c := DefaultLogConfig()
		o.TopicConfig = func(string) *LogConfig { return &c }
	}
}

// Manager owns the log directories and the logs in them. OpenManager loads them, Run does the background work, Close
// leaves them clean.
type Manager struct {
	env     *env
	o       ManagerOptions
	dirs    []*directory
	later   *laterQueue
	cleaner *cleaner

	// changing orders creation, deletion and replacement of logs, which do I/O. Creations hold it for reading and go on
	// side by side, but for those of one partition, which share a lock of creating. Taken in this order, before mu.
	changing sync.RWMutex
	creating [64]sync.Mutex
	seed     maphash.Seed
	mu       struct {
		sync.RWMutex
		logs      map[meta.TopicPartition]*Log
		future    map[meta.TopicPartition]*Log
		preferred map[meta.TopicPartition]string
		count     map[*logDir]int // of logs, those being made included
		closed    bool
	}
}

// OpenManager locks the directories, loads all logs and recovers those that were not closed cleanly. Directories that
// cannot be used are offline from the start, see Dirs; an error means that nothing can be used, or that the content is
// wrong in a way that needs an operator.
func OpenManager(ctx context.Context, o ManagerOptions) (*Manager, error) {
	o.setDefaults()
	mt, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, err
	}
	m := &Manager{o: o, later: newLaterQueue(o.Now), seed: maphash.MakeSeed()}
	m.env = &env{
		fs: o.FS, logger: o.Logger, now: o.Now, metrics: mt,
		topicIDs:    !o.NoTopicIDs,
		flushSoon:   func(l *Log) { m.dirOf(l).flushSoon(l) },
		removeLater: m.later.add,
	}
	m.Tune(Tuning{o.DirDeleteDelay, o.ProducerIDExpiration, o.VerifyTransactions})
	m.env.moving = m.isMoving
	m.env.checkpointRecoveryPoint = func(l *Log) error { return m.checkpointRecoveryPoints(m.dirOf(l)) }
	m.env.checkpointLogStart = func(l *Log) error { return m.checkpointStartOffsets(m.dirOf(l)) }
	m.mu.logs = map[meta.TopicPartition]*Log{}
	m.mu.future = map[meta.TopicPartition]*Log{}
	m.mu.preferred = map[meta.TopicPartition]string{}
	m.mu.count = map[*logDir]int{}
	if err := m.openDirs(); err != nil {
		m.unlock()
		return nil, err
	}
	if err := m.loadAll(ctx); err != nil {
		m.unlock()
		return nil, err
	}
	m.cleaner = newCleaner(m)
	for _, d := range m.dirs {
		if d.err() != nil {
			continue
		}
		d.clean = true // all of it was loaded and recovered
		// Recovery may have cut logs below the recovery point of before. It must not vouch for what comes next.
		err := m.checkpointRecoveryPoints(d)
		if errors.Is(err, ErrDiskFull) {
			if err = nil; m.vouchesTooMuch(d) {
				err = d.fail(fmt.Errorf("write recovery points: %w", syscall.ENOSPC))
			}
		}
		if err != nil {
			m.logOffline(d.path, err)
		}
	}
	for _, d := range m.dirs {
		d.onFail, d.onFull = m.dirFailed, m.dirFull
	}
	return m, nil
}

func (m *Manager) openDirs() error {
	seen := map[string]bool{}
	var errs []error
	for _, path := range m.o.Dirs {
		path, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		if seen[path] {
			return fmt.Errorf("log directory %s is configured twice", path)
		}
		seen[path] = true
		d := newDirectory(m.env.fs, path)
		m.dirs = append(m.dirs, d)
		err = d.open()
		switch {
		case errors.Is(err, ErrLocked), errors.Is(err, ErrMetaProperties):
			return fmt.Errorf("log directory %s: %w", path, err)
		case err != nil:
			m.logOffline(path, err)
			errs = append(errs, d.fail(err))
		}
	}
	if len(m.dirs) == 0 {
		return errors.New("no log directories configured")
	}
	if len(errs) == len(m.dirs) {
		return fmt.Errorf("no log directory can be used: %w", errors.Join(errs...))
	}
	return m.checkProperties()
}

// checkProperties: all directories must have been this broker's.
func (m *Manager) checkProperties() error {
	var first *directory
	for _, d := range m.dirs {
		if d.err() != nil || !d.hasProperties {
			continue
		}
		if first == nil {
			first = d
			continue
		}
		a, b := first.properties, d.properties
		if a.BrokerID != b.BrokerID || a.ClusterID != b.ClusterID {
			return fmt.Errorf("%w: %s is of broker %d in cluster %q, %s of broker %d in cluster %q",
				ErrMetaProperties, first.path, a.BrokerID, a.ClusterID, d.path, b.BrokerID, b.ClusterID)
		}
	}
	return nil
}

// MetaProperties returns what the live directories agree on, false if none has the file.
func (m *Manager) MetaProperties() (MetaProperties, bool) {
	for _, d := range m.dirs {
		if d.err() == nil && d.hasProperties {
			return d.properties, true
		}
	}
	return MetaProperties{BrokerID: meta.NoBroker}, false
}

// WriteMetaProperties writes broker and cluster id to every live directory where they are missing or differ. Directories
// that cannot be written go offline; it is an error if none is left.
func (m *Manager) WriteMetaProperties(id meta.BrokerID, clusterID string) error {
	var errs []error
	for _, d := range m.dirs {
		if err := d.err(); err != nil {
			errs = append(errs, err)
			continue
		}
		want := MetaProperties{BrokerID: id, ClusterID: clusterID, DirectoryID: d.properties.DirectoryID}
		if d.hasProperties && d.properties == want {
			continue
		}
		if err := writeFileAtomic(d.fs, d.file(metaPropertiesFile), formatMetaProperties(want, m.o.Now())); err != nil {
			errs = append(errs, d.fail(err))
			continue
		}
		d.properties, d.hasProperties = want, true
	}
	if len(errs) == len(m.dirs) {
		return errors.Join(errs...)
	}
	return nil
}

// dirFailed is told by a directory that it went offline. Called once per directory, possibly under locks.
func (m *Manager) dirFailed(d *logDir) {
	err := d.failed.Load()
	m.env.logger.Error("log directory failed and is offline until the next start, and with it all partitions in it", zap.String("dir", d.path), zap.Error(err.Err))
	if m.o.OnDirFailure != nil {
		m.o.OnDirFailure(d.path, err)
	}
}

// fullInterval is how often it is said at most that a directory is full.
const fullInterval = time.Minute

// dirFull is told by a directory that it had no room for something. Possibly under locks.
func (m *Manager) dirFull(d *logDir, err error) {
	m.env.metrics.refused.Inc()
	now := m.o.Now().UnixNano()
	if last := d.fullSaid.Load(); now-last >= int64(fullInterval) && d.fullSaid.CompareAndSwap(last, now) {
		m.env.logger.Error("a log directory is full: what is to be written there is refused until there is room", zap.String("dir", d.path), zap.Error(err))
	}
}

// FailDir takes a directory offline, as an I/O error met elsewhere would.
func (m *Manager) FailDir(dir string, err error) {
	for _, d := range m.dirs {
		if d.path == dir {
			_ = d.fail(err)
		}
	}
}

// Dirs describes the log directories in the order configured.
func (m *Manager) Dirs() []DirInfo {
	infos := make([]DirInfo, len(m.dirs))
	for i, d := range m.dirs {
		infos[i] = d.info()
	}
	return infos
}

// DirState says whether a path is a log directory, and why it is offline if it is.
func (m *Manager) DirState(path string) (known bool, err error) {
	for _, d := range m.dirs {
		if d.path == path {
			return true, d.err()
		}
	}
	return false, nil
}

// LiveDirs lists the paths of the directories that are not offline.
func (m *Manager) LiveDirs() []string {
	var live []string
	for _, d := range m.dirs {
		if d.err() == nil {
			live = append(live, d.path)
		}
	}
	return live
}

func (m *Manager) dirOf(l *Log) *directory {
	for _, d := range m.dirs {
		if &d.logDir == l.place.dir {
			return d
		}
	}
	panic("log in no directory") // places are made from m.dirs only
}

// Log returns the current log of a partition. It may be in a directory that is offline: see Log.Err.
func (m *Manager) Log(tp meta.TopicPartition) (*Log, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	l, ok := m.mu.logs[tp]
	return l, ok
}

// FutureLog returns the log of a partition being filled in another directory.
func (m *Manager) FutureLog(tp meta.TopicPartition) (*Log, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	l, ok := m.mu.future[tp]
	return l, ok
}

// Logs goes over the current logs as they are now.
func (m *Manager) Logs() iter.Seq[*Log] { return slices.Values(m.list(false)) }

// FutureLogs goes over the future logs as they are now.
func (m *Manager) FutureLogs() iter.Seq[*Log] { return slices.Values(m.list(true)) }

func (m *Manager) list(future bool) []*Log {
	m.mu.RLock()
	defer m.mu.RUnlock()
	logs := m.mu.logs
	if future {
		logs = m.mu.future
	}
	return slices.Collect(maps.Values(logs))
}

// all lists current and future logs.
func (m *Manager) all() []*Log { return append(m.list(false), m.list(true)...) }

// UpdateTopicConfig gives a topic's logs a new configuration.
func (m *Manager) UpdateTopicConfig(topic string, c *LogConfig) {
	for _, l := range m.all() {
		if l.tp.Topic == topic {
			l.config.Store(c)
		}
	}
}

// Reconfigure asks ManagerOptions.TopicConfig again for every topic, after a change of broker defaults.
func (m *Manager) Reconfigure() {
	configs := topicConfigs{ask: m.o.TopicConfig}
	for _, l := range m.all() {
		l.config.Store(configs.of(l.tp.Topic))
	}
}

// ReconfigureCleaner changes the cleaner's settings from its next pass on.
func (m *Manager) ReconfigureCleaner(c CleanerConfig) { m.cleaner.reconfigure(c) }

// topicConfigs asks once per topic, so that a topic's logs share one configuration.
type topicConfigs struct {
	ask   func(string) *LogConfig
	mu    sync.Mutex
	known map[string]*LogConfig
}

func (t *topicConfigs) of(topic string) *LogConfig {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.known[topic]
	if c == nil {
		c = t.ask(topic)
		if t.known == nil {
			t.known = map[string]*LogConfig{}
		}
		t.known[topic] = c
	}
	return c
}

// Close flushes and closes all logs, writes the checkpoints and the clean shutdown markers and unlocks. Run must have
// returned.
func (m *Manager) Close() error {
	m.changing.Lock()
	defer m.changing.Unlock()
	m.mu.Lock()
	closed := m.mu.closed
	m.mu.closed = true
	m.mu.Unlock()
	if closed {
		return nil
	}
	started := m.o.Now()
	var wg sync.WaitGroup
	errs := make([]error, len(m.dirs))
	for i, d := range m.dirs {
		wg.Go(func() { errs[i] = m.closeDir(d) })
	}
	wg.Wait()
	m.unlock()
	m.env.logger.Info("logs closed", zap.Int("logs", len(m.all())), zap.Duration("took", m.o.Now().Sub(started)))
	return errors.Join(errs...)
}

func (m *Manager) closeDir(d *directory) error {
	logs := m.logsIn(d)
	m.parallel(max(m.o.RecoveryThreads, closers), len(logs), func(i int) {
		// What fails has taken the directory offline; the log of it is there.
		_ = logs[i].close()
	})
	if err := d.err(); err != nil {
		return err
	}
	if err := errors.Join(m.checkpointRecoveryPoints(d), m.checkpointStartOffsets(d), m.checkpointHighWatermarks(d)); err != nil {
		return err
	}
	if !d.clean {
		return nil
	}
	return d.markClean()
}

func (m *Manager) logsIn(d *directory) []*Log {
	return slices.DeleteFunc(m.all(), func(l *Log) bool { return l.place.dir != &d.logDir })
}

// closers is how many logs of a directory are closed at once at least. Closing is waiting for syncs, and file systems carry out
// many at the price of a few.
const closers = 16

// parallel calls f for 0..n-1 with so many goroutines.
func (m *Manager) parallel(workers, n int, f func(i int)) {
	var wg sync.WaitGroup
	next := make(chan int) // filled here, read by the workers, closed when all is handed out
	for range min(workers, n) {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

func (m *Manager) unlock() {
	for _, d := range m.dirs {
		if d.lock != nil {
			_ = d.lock.Close()
			d.lock = nil
		}
	}
}

func partitionDirName(tp meta.TopicPartition) string {
	return tp.Topic + "-" + strconv.Itoa(int(tp.Partition))
}
