package storage

import (
	"context"
	"errors"
	"iter"
	"os"
	"time"

	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

var errAPIOnly = errors.New("not built yet")

// Log is one replica's log. All methods are safe for concurrent use. Offset getters are atomic loads. Appends,
// truncations and rolls exclude each other; reads run beside them.
type Log struct{}

// TopicPartition names the partition.
func (l *Log) TopicPartition() meta.TopicPartition { return meta.TopicPartition{} }

// TopicID is the id in partition.metadata, zero if there is none.
func (l *Log) TopicID() meta.TopicID { return meta.TopicID{} }

// SetTopicID writes partition.metadata. It is ErrTopicIDMismatch if the log has another id already.
func (l *Log) SetTopicID(id meta.TopicID) error { return errAPIOnly }

// Dir is the log directory (an entry of log.dirs) the log lives in.
func (l *Log) Dir() string { return "" }

// IsFuture says whether this is the replica being filled in another directory (KIP-113).
func (l *Log) IsFuture() bool { return false }

// Config is the topic's current configuration; do not change it.
func (l *Log) Config() *LogConfig { return nil }

// Err is why the log cannot be used any more: a *DirError, ErrClosed or ErrDeleted; nil while it works.
func (l *Log) Err() error { return nil }

// Size is the sum of the segment files' bytes.
func (l *Log) Size() int64 { return 0 }

// LogStartOffset is the first offset a reader may ask for.
func (l *Log) LogStartOffset() int64 { return 0 }

// LogEndOffset is the offset the next record gets.
func (l *Log) LogEndOffset() int64 { return 0 }

// HighWatermark is the offset below which everything is committed, as told by SetHighWatermark.
func (l *Log) HighWatermark() int64 { return 0 }

// LastStableOffset is the offset below which every transaction is decided and committed; at most the high watermark.
func (l *Log) LastStableOffset() int64 { return 0 }

// RecoveryPoint is the offset below which everything is known to be on stable storage.
func (l *Log) RecoveryPoint() int64 { return 0 }

// SetHighWatermark moves the high watermark to hw, clipped to [log start offset, log end offset], and returns the
// result. It may go down: whether that is right is the caller's to know.
func (l *Log) SetHighWatermark(hw int64) int64 { return 0 }

// AdvanceLogStartOffset raises the log start offset (DeleteRecords, or a follower learning of it) and says whether it
// moved; a lower offset changes nothing. Above the high watermark it is ErrOffsetOutOfRange. Segments that fall below
// are deleted later by retention.
func (l *Log) AdvanceLogStartOffset(offset int64) (bool, error) { return false, errAPIOnly }

// AppendAsLeader appends batches that passed record.Validate: it assigns offsets from the log end offset on and the
// leader epoch, in place in buf, checks the producers, and writes buf in one write. On an error nothing became
// visible. buf is not kept.
func (l *Log) AppendAsLeader(buf []byte, o AppendOptions) (AppendInfo, error) {
	return AppendInfo{}, errAPIOnly
}

// AppendAsFollower appends batches fetched from the leader as they are, after checking sizes, CRCs and the order of
// offsets. Whole batches at the front of buf are appended; a cut one at its end is left out.
func (l *Log) AppendAsFollower(buf []byte) (AppendInfo, error) { return AppendInfo{}, errAPIOnly }

// ReadInfo is a piece of a log, beginning at a batch.
type ReadInfo struct {
	// Slice holds the bytes; whoever got it must Release it once, also when it is empty.
	Slice FileSlice
	// FirstBatchLength is the size of the batch at the beginning of Slice, which may be cut if Slice.Len is less;
	// 0 when nothing was read.
	FirstBatchLength int
	// StartOffset is the base offset of the first batch, which may be below the offset asked for; -1 if nothing was read.
	StartOffset int64

	segmentBase int64
}

// FileSlice is a range of a log file. It keeps the file open until Release, whatever happens to the log.
type FileSlice struct {
	Pos int64 // position in the file
	Len int   // bytes
}

// Retain adds a reference, to be given back with another Release.
func (s FileSlice) Retain() {}

// Release gives the reference back. The slice must not be used after the last one is gone.
func (s FileSlice) Release() {}

// OS is the operating system's file, for sendfile with an explicit position; nil if there is none (use ReadAt then).
func (s FileSlice) OS() *os.File { return nil }

// ReadAt reads from the slice, off relative to its beginning. Truncation of the log meanwhile shows as io.ErrUnexpectedEOF.
func (s FileSlice) ReadAt(p []byte, off int64) (int, error) { return 0, errAPIOnly }

// Read finds the batches holding offsets from..., at most maxBytes of them and none at or beyond upTo (the high
// watermark, last stable offset or log end offset: exclusive). With minOneBatch the first batch is given whole even if
// it is larger. The last batch may be cut. One call never crosses a segment. No record bytes are read.
// ErrOffsetOutOfRange if from is not in [LogStartOffset, LogEndOffset]; nothing if from >= upTo.
func (l *Log) Read(from int64, maxBytes int, upTo int64, minOneBatch bool) (ReadInfo, error) {
	return ReadInfo{}, errAPIOnly
}

// BytesBetween estimates, without touching the disk when the offsets are recent, how many bytes lie in [from, upTo).
func (l *Log) BytesBetween(from, upTo int64) int64 { return 0 }

// AbortedTxn is an aborted transaction as a fetch response lists it.
type AbortedTxn struct {
	ProducerID  int64
	FirstOffset int64
}

// AbortedTxns lists the aborted transactions with data in [from, upTo).
func (l *Log) AbortedTxns(from, upTo int64) ([]AbortedTxn, error) { return nil, errAPIOnly }

// AbortedTxnsIn lists the aborted transactions that may have data in what Read(from, ...) returned.
func (l *Log) AbortedTxnsIn(from int64, r ReadInfo) ([]AbortedTxn, error) { return nil, errAPIOnly }

// EpochEntry is where a leader epoch begins.
type EpochEntry struct {
	Epoch       meta.LeaderEpoch
	StartOffset int64
}

// LatestEpoch is the newest epoch in the history, meta.NoLeaderEpoch if that is empty.
func (l *Log) LatestEpoch() meta.LeaderEpoch { return meta.NoLeaderEpoch }

// AssignEpochStart enters an epoch in the history, durably: a new leader calls it with its log end offset.
func (l *Log) AssignEpochStart(epoch meta.LeaderEpoch, offset int64) error { return errAPIOnly }

// EndOffsetForEpoch returns the largest known epoch <= epoch and the offset where it ends; (-1, -1) if unknown
// (KIP-101, KIP-279).
func (l *Log) EndOffsetForEpoch(epoch meta.LeaderEpoch) (meta.LeaderEpoch, int64) { return -1, -1 }

// EpochForOffset is the epoch that offset was, or would be, written in; meta.NoLeaderEpoch if unknown.
func (l *Log) EpochForOffset(offset int64) meta.LeaderEpoch { return meta.NoLeaderEpoch }

// Epochs is a copy of the epoch history.
func (l *Log) Epochs() []EpochEntry { return nil }

// TimestampOffset is a record's timestamp, offset and leader epoch (-1 unknown).
type TimestampOffset struct {
	Timestamp   int64
	Offset      int64
	LeaderEpoch meta.LeaderEpoch
}

// OffsetForTimestamp finds the first record with timestamp >= ts at or after the log start offset.
func (l *Log) OffsetForTimestamp(ts int64) (TimestampOffset, bool, error) {
	return TimestampOffset{}, false, errAPIOnly
}

// MaxTimestampOffset finds the first record with the largest timestamp (KIP-734).
func (l *Log) MaxTimestampOffset() (TimestampOffset, bool, error) {
	return TimestampOffset{}, false, errAPIOnly
}

// TruncateTo drops everything from offset on; batches that straddle it go whole, the log end offset becomes offset all
// the same. The high watermark comes down with it. It says whether anything was dropped.
func (l *Log) TruncateTo(offset int64) (bool, error) { return false, errAPIOnly }

// TruncateFullyAndStartAt drops everything and begins anew at offset.
func (l *Log) TruncateFullyAndStartAt(offset int64) error { return errAPIOnly }

// Flush makes everything appended so far durable.
func (l *Log) Flush() error { return errAPIOnly }

// ProducerState is what DescribeProducers tells of one producer.
type ProducerState struct {
	ProducerID       int64
	ProducerEpoch    int16
	LastSequence     int32
	LastTimestamp    int64
	CoordinatorEpoch int32
	TxnStartOffset   int64 // -1: no transaction open
}

// ActiveProducers lists the known producers in the order of their ids.
func (l *Log) ActiveProducers() []ProducerState { return nil }

// HasOpenTxn says whether the producer has a transaction open in this log.
func (l *Log) HasOpenTxn(producerID int64) bool { return false }

// StartVerification begins the verification of a producer's transaction before its first batch (KIP-890). It returns
// the zero guard if a transaction is open already and nothing needs verifying. The guard is valid until a batch of
// the producer or a marker is appended.
func (l *Log) StartVerification(producerID int64, producerEpoch int16, baseSequence int32) VerificationGuard {
	return VerificationGuard{}
}

// ManagerOptions is what OpenManager needs.
type ManagerOptions struct {
	Dirs        []string                      // log.dirs
	TopicConfig func(topic string) *LogConfig // configuration of a topic's logs when loaded or created; asked from several goroutines
	Cleaner     CleanerConfig
	FS          vfs.FS
	Logger      *zap.Logger
	Metrics     prometheus.Registerer // may be nil
	Now         func() time.Time      // nil: time.Now

	// RecoveryThreads is num.recovery.threads.per.data.dir.
	RecoveryThreads int
	// OnDirFailure is told once about every directory that fails after OpenManager returned, from the goroutine that
	// met the failure and which may hold locks: it must not call back nor block.
	OnDirFailure func(dir string, err error)

	InitialDelay                  time.Duration // log.initial.task.delay.ms; before the first round of the tasks below
	FlushCheckInterval            time.Duration // log.flush.scheduler.interval.ms
	FlushCheckpointInterval       time.Duration // log.flush.offset.checkpoint.interval.ms
	StartOffsetCheckpointInterval time.Duration // log.flush.start.offset.checkpoint.interval.ms
	RetentionCheckInterval        time.Duration // log.retention.check.interval.ms
	DirDeleteDelay                time.Duration // log.segment.delete.delay.ms: a deleted partition's files

	ProducerIDExpiration              time.Duration // producer.id.expiration.ms
	ProducerIDExpirationCheckInterval time.Duration // producer.id.expiration.check.interval.ms
	VerifyTransactions                bool          // transaction.partition.verification.enable
	// KeepTopicIDs is false below IBP 2.8: partition.metadata files are deleted then.
	KeepTopicIDs bool
}

// Manager owns the log directories and the logs in them.
type Manager struct{}

// OpenManager locks the directories, loads all logs and recovers those that were not closed cleanly. Directories that
// cannot be used are offline from the start, see Dirs; an error means that nothing can be used, or that the content is
// wrong in a way that needs an operator.
func OpenManager(ctx context.Context, o ManagerOptions) (*Manager, error) { return nil, errAPIOnly }

// Run does the background work until ctx ends: flushing by time, retention, checkpoints, delayed deletion, closing of
// idle files, cleaning.
func (m *Manager) Run(ctx context.Context) error { return errAPIOnly }

// Close flushes and closes all logs, writes the checkpoints and the clean shutdown markers and unlocks. Run must have
// returned.
func (m *Manager) Close() error { return errAPIOnly }

// Log returns the current log of a partition.
func (m *Manager) Log(tp meta.TopicPartition) (*Log, bool) { return nil, false }

// FutureLog returns the log of a partition being filled in another directory.
func (m *Manager) FutureLog(tp meta.TopicPartition) (*Log, bool) { return nil, false }

// Logs goes over the current logs.
func (m *Manager) Logs() iter.Seq[*Log] { return nil }

// FutureLogs goes over the future logs.
func (m *Manager) FutureLogs() iter.Seq[*Log] { return nil }

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
func (m *Manager) GetOrCreate(tp meta.TopicPartition, o CreateOptions) (*Log, error) {
	return nil, errAPIOnly
}

// PreferDir remembers in which directory a log is to be created (AlterReplicaLogDirs before the replica exists).
func (m *Manager) PreferDir(tp meta.TopicPartition, dir string) {}

// Delete takes a partition's log, and its future log, away: the directory is renamed at once and its files are deleted
// after DirDeleteDelay. ErrNotFound if there is none.
func (m *Manager) Delete(tp meta.TopicPartition) error { return errAPIOnly }

// DeleteFuture takes only the future log away.
func (m *Manager) DeleteFuture(tp meta.TopicPartition) error { return errAPIOnly }

// ReplaceWithFuture makes the future log of a partition the current one and deletes the old one.
func (m *Manager) ReplaceWithFuture(tp meta.TopicPartition) error { return errAPIOnly }

// DirInfo describes a log directory.
type DirInfo struct {
	Path          string // absolute
	Err           error  // why it is offline; nil: live
	Total, Usable int64  // bytes of the volume; -1 unknown
}

// Dirs describes the log directories in the order configured.
func (m *Manager) Dirs() []DirInfo { return nil }

// LiveDirs lists the paths of the directories that are not offline.
func (m *Manager) LiveDirs() []string { return nil }

// FailDir takes a directory offline, as an I/O error met elsewhere would.
func (m *Manager) FailDir(dir string, err error) {}

// UpdateTopicConfig gives a topic's logs a new configuration.
func (m *Manager) UpdateTopicConfig(topic string, c *LogConfig) {}

// Reconfigure asks ManagerOptions.TopicConfig again for every log, after a change of broker defaults.
func (m *Manager) Reconfigure() {}

// ReconfigureCleaner changes the cleaner's settings from its next pass on.
func (m *Manager) ReconfigureCleaner(c CleanerConfig) {}

// ReadHighWatermark returns the checkpointed high watermark of a partition, 0 if there is none.
func (m *Manager) ReadHighWatermark(tp meta.TopicPartition) int64 { return 0 }

// CheckpointHighWatermarks writes the high watermarks of all current logs. It must not be called before every log that
// matters has been given its own from ReadHighWatermark.
func (m *Manager) CheckpointHighWatermarks() error { return errAPIOnly }

// CheckpointRecoveryPoints and log start offsets are written now, not when their time has come.
func (m *Manager) CheckpointRecoveryPoints() error { return errAPIOnly }

// MetaProperties is the content of meta.properties.
type MetaProperties struct {
	BrokerID    meta.BrokerID // meta.NoBroker: not given
	ClusterID   string        // empty: not given
	DirectoryID string        // kept if found
}

// MetaProperties returns what the live directories agree on, false if none has the file.
func (m *Manager) MetaProperties() (MetaProperties, bool) { return MetaProperties{}, false }

// WriteMetaProperties writes broker and cluster id to every live directory where they are missing or differ.
func (m *Manager) WriteMetaProperties(id meta.BrokerID, clusterID string) error { return errAPIOnly }
