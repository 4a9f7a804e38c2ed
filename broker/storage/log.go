package storage

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
	"go.uber.org/zap"
)

// Log is one replica's log. All methods are safe for concurrent use. Offset getters are atomic loads. Appends,
// truncations and rolls exclude each other; reads run beside them.
//
// Invariant: logStart <= hw <= leo, and recoveryPoint <= leo.
type Log struct {
	tp     meta.TopicPartition
	env    *env
	place  *place
	future atomic.Bool
	config atomic.Pointer[LogConfig]
	ended  atomic.Pointer[error] // ErrClosed or ErrDeleted
	// replaces: there is a kraal-replaces. It belongs to loading and to who holds Manager.changing.
	replaces bool
	// resumed: it was a future log already when the broker started. What has been copied before may have been compacted in the
	// current log since. Set while loading.
	resumed bool

	topicID atomic.Pointer[meta.TopicID] // nil: none

	logStart      atomic.Int64
	leo           atomic.Int64
	recoveryPoint atomic.Int64
	// indexedTo: the indexes of all segments that end at or below are durable.
	indexedTo   atomic.Int64
	lastFlushMs atomic.Int64

	// segments are in order of their base, never empty; the last one is active. The slice is replaced, never changed.
	segments atomic.Pointer[[]*segment]
	epochs   atomic.Pointer[epochs] // replaced, never changed; written under mu

	hwMu    sync.Mutex // orders changes of hw against truncation
	hw      atomic.Int64
	hwKnown atomic.Bool // SetHighWatermark was called
	txns    txns

	mu struct {
		sync.Mutex
		producers   producers
		epochsDirty bool    // the epoch file is behind; the background flush writes it
		epochsOwed  bool    // it lacks the newest epoch, in which nothing may be written before; epochsDirty is set too
		snapshots   []int64 // written but not synced yet
		// generation counts the changes that a running compaction must notice: truncation, deletion of segments.
		generation int64
	}
	// flushMu lets one flush at a time run; those that wait for it find their work done (group commit). Taken without
	// or before mu, never after.
	flushMu sync.Mutex
}

// TopicPartition names the partition.
func (l *Log) TopicPartition() meta.TopicPartition { return l.tp }

// TopicID is the id in partition.metadata, zero if there is none.
func (l *Log) TopicID() meta.TopicID {
	if id := l.topicID.Load(); id != nil {
		return *id
	}
	return meta.TopicID{}
}

// SetTopicID writes partition.metadata. It is ErrTopicIDMismatch if the log has another id already.
func (l *Log) SetTopicID(id meta.TopicID) error { return l.setTopicID(id, true) }

// setTopicID without syncDir leaves it to the next sync of the partition directory that the file is found after a crash.
func (l *Log) setTopicID(id meta.TopicID, syncDir bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.TopicID(); !known.IsZero() {
		if known != id {
			return fmt.Errorf("%s has topic id %s, not %s: %w", l.tp, known, id, ErrTopicIDMismatch)
		}
		return nil
	}
	if err := l.Err(); err != nil {
		return err
	}
	if id.IsZero() || !l.env.topicIDs {
		return nil
	}
	write := replaceFile
	if syncDir {
		write = writeFileAtomic
	}
	err := write(l.env.fs, l.place.file(partitionMetadataFile), formatPartitionMetadata(id))
	if err != nil {
		return l.refused("write topic id", err)
	}
	l.topicID.Store(&id)
	return nil
}

// Dir is the log directory (an entry of log.dirs) the log lives in.
func (l *Log) Dir() string { return l.place.dir.path }

// IsFuture says whether this is the replica being filled in another directory (KIP-113).
func (l *Log) IsFuture() bool { return l.future.Load() }

// Config is the topic's current configuration; do not change it.
func (l *Log) Config() *LogConfig { return l.config.Load() }

// Err is why the log cannot be used any more: a *DirError, ErrClosed or ErrDeleted; nil while it works.
func (l *Log) Err() error {
	if err := l.ended.Load(); err != nil {
		return fmt.Errorf("%s: %w", l.tp, *err)
	}
	return l.place.dir.err()
}

// end makes every later use fail with err.
func (l *Log) end(err error) { l.ended.CompareAndSwap(nil, &err) }

// failed takes the log's directory offline because of an I/O error. What is met by those who have not heard yet that the log
// was deleted says nothing of the disk: its files may be gone.
func (l *Log) failed(what string, err error) error {
	if ended := l.ended.Load(); ended != nil && errors.Is(*ended, ErrDeleted) {
		return l.Err()
	}
	return l.place.dir.fail(fmt.Errorf("%s, %s: %w", l.tp, what, err))
}

// refused is failed for what leaves the log as it was: see [logDir.refuse].
func (l *Log) refused(what string, err error) error {
	if ended := l.ended.Load(); ended != nil && errors.Is(*ended, ErrDeleted) {
		return l.Err()
	}
	return l.place.dir.refuse(fmt.Errorf("%s, %s: %w", l.tp, what, err))
}

func (l *Log) logger() *zap.Logger {
	return l.env.logger.With(zap.String("topic", l.tp.Topic), zap.Int32("partition", l.tp.Partition))
}

// Size is the sum of the segment files' bytes.
func (l *Log) Size() int64 {
	var n int64
	for _, s := range *l.segments.Load() {
		n += s.size.Load()
	}
	return n
}

// Segments is how many segments there are.
func (l *Log) Segments() int { return len(*l.segments.Load()) }

// LogStartOffset is the first offset a reader may ask for.
func (l *Log) LogStartOffset() int64 { return l.logStart.Load() }

// LogEndOffset is the offset the next record gets.
func (l *Log) LogEndOffset() int64 { return l.leo.Load() }

// HighWatermark is the offset below which everything is committed, as told by SetHighWatermark.
func (l *Log) HighWatermark() int64 { return l.hw.Load() }

// LastStableOffset is the offset below which every transaction is decided and committed; at most the high watermark.
func (l *Log) LastStableOffset() int64 {
	// The high watermark first: a transaction that begins in between lies above it.
	hw := l.hw.Load()
	first := l.txns.firstUnstable.Load()
	if first == noOffset {
		return hw
	}
	return min(hw, max(first, l.logStart.Load()))
}

// RecoveryPoint is the offset below which everything is known to be on stable storage.
func (l *Log) RecoveryPoint() int64 { return l.recoveryPoint.Load() }

// SetHighWatermark moves the high watermark to hw, clipped to [log start offset, log end offset], and returns the
// result. It may go down: whether that is right is the caller's to know.
func (l *Log) SetHighWatermark(hw int64) int64 {
	l.hwMu.Lock()
	hw = max(min(hw, l.leo.Load()), l.logStart.Load())
	l.hw.Store(hw)
	l.hwKnown.Store(true)
	l.hwMu.Unlock()
	l.txns.replicated(hw)
	return hw
}

// AdvanceLogStartOffset raises the log start offset (DeleteRecords, or a follower learning of it) and says whether it
// moved; a lower offset changes nothing. Above the high watermark it is ErrOffsetOutOfRange. Segments that fall below
// are deleted later by retention.
func (l *Log) AdvanceLogStartOffset(offset int64) (bool, error) {
	if err := l.Err(); err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if hw := l.hw.Load(); offset > hw {
		return false, &OffsetError{offset, l.logStart.Load(), hw}
	}
	return l.advanceStartLocked(offset), nil
}

// advanceStartLocked needs mu.
func (l *Log) advanceStartLocked(offset int64) bool {
	if offset <= l.logStart.Load() {
		return false
	}
	l.logStart.Store(offset)
	l.changeEpochsLocked(func(e *epochs) bool { return e.truncateFromStart(offset) })
	l.txns.replicated(offset)
	return true
}

// changeEpochsLocked applies a change to a copy of the history; the file follows in the background, because a history
// that reaches too far is cut again when the log is opened. It needs mu.
func (l *Log) changeEpochsLocked(change func(*epochs) bool) {
	e := *l.epochs.Load()
	if !change(&e) {
		return
	}
	l.epochs.Store(&e)
	l.mu.epochsDirty = true
	l.env.flushSoon(l)
}

// writeEpochsLocked makes the epoch file agree with e and then e the history. It needs mu.
func (l *Log) writeEpochsLocked(e *epochs) error {
	if err := l.writeEpochFile(e); err != nil {
		return l.refused("write leader epochs", err)
	}
	l.epochs.Store(e)
	l.mu.epochsDirty, l.mu.epochsOwed = false, false
	return nil
}

// stageEpochs writes what commitEpochsLocked puts in place, as long as nothing has happened yet: there may be no room for it.
func (l *Log) stageEpochs(e *epochs) error {
	if err := stageFile(l.env.fs, l.place.file(epochFile), formatEpochs(e.entries)); err != nil {
		return l.refused("write leader epochs", err)
	}
	return nil
}

// commitEpochsLocked needs mu.
func (l *Log) commitEpochsLocked(e *epochs) error {
	if err := commitFile(l.env.fs, l.place.file(epochFile)); err != nil {
		return l.failed("write leader epochs", err)
	}
	l.epochs.Store(e)
	l.mu.epochsDirty, l.mu.epochsOwed = false, false
	return nil
}

func (l *Log) writeEpochFile(e *epochs) error {
	return writeFileAtomic(l.env.fs, l.place.file(epochFile), formatEpochs(e.entries))
}

// assignEpochLocked enters an epoch; it is durable before any record of it is written. It needs mu.
func (l *Log) assignEpochLocked(epoch meta.LeaderEpoch, start int64) error {
	e := *l.epochs.Load()
	if !e.assign(epoch, start) {
		return nil
	}
	return l.writeEpochsLocked(&e)
}

// LatestEpoch is the newest epoch in the history, meta.NoLeaderEpoch if that is empty.
func (l *Log) LatestEpoch() meta.LeaderEpoch { return l.epochs.Load().latest() }

// AssignEpochStart enters an epoch in the history, durably: a new leader calls it with its log end offset. If there is no room
// for that, it is made up for before anything is written in the epoch: until then it begins, and ends, where the log does.
func (l *Log) AssignEpochStart(epoch meta.LeaderEpoch, offset int64) error {
	if err := l.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.assignEpochLocked(epoch, offset)
	if errors.Is(err, ErrDiskFull) {
		e := *l.epochs.Load()
		e.assign(epoch, offset)
		l.epochs.Store(&e)
		l.mu.epochsDirty, l.mu.epochsOwed = true, true
		return nil
	}
	return err
}

// EndOffsetForEpoch returns the largest known epoch <= epoch and the offset where it ends; (-1, -1) if unknown
// (KIP-101, KIP-279).
func (l *Log) EndOffsetForEpoch(epoch meta.LeaderEpoch) (meta.LeaderEpoch, int64) {
	return l.epochs.Load().endOffset(epoch, l.leo.Load())
}

// EpochForOffset is the epoch that offset was, or would be, written in; meta.NoLeaderEpoch if unknown.
func (l *Log) EpochForOffset(offset int64) meta.LeaderEpoch { return l.epochs.Load().forOffset(offset) }

// EpochEntry is where a leader epoch begins.
type EpochEntry struct {
	Epoch       meta.LeaderEpoch
	StartOffset int64
}

// Epochs is the epoch history; do not change it.
func (l *Log) Epochs() []EpochEntry { return l.epochs.Load().entries }

// active is the segment appended to.
func (l *Log) active() *segment {
	segs := *l.segments.Load()
	return segs[len(segs)-1]
}

// removeSegments takes segments out of service, in the order given, and has their files and the snapshots at their
// bases deleted later. The caller has published a list without them, and holds mu.
func (l *Log) removeSegmentsLocked(segs []*segment, why string) error {
	for _, s := range segs {
		if err := s.remove(); err != nil {
			return l.failed("remove segment", err)
		}
		l.env.metrics.segmentsDeleted.Inc()
		l.logger().Info("segment removed", zap.Int64("base_offset", s.base), zap.Int64("bytes", s.size.Load()), zap.String("reason", why))
	}
	l.env.removeLater(time.Duration(l.Config().FileDeleteDelayMs)*time.Millisecond, func() error {
		for _, s := range segs {
			if err := s.erase(); err != nil {
				return l.failed("delete segment", err)
			}
		}
		return nil
	})
	return nil
}
