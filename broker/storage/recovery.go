package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
	"go.uber.org/zap"
)

// loadOptions is what the checkpoints of a log directory say of one log.
type loadOptions struct {
	clean         bool  // everything was flushed and closed
	recoveryPoint int64 // else: what lies below was flushed
	logStart      int64
	mayHaveHoles  bool // what was not flushed may be missing in the middle, see directory
	future        bool
	// recovering is told how many segments are still to be scanned, before each. May be nil.
	recovering func(left int)
}

// loader opens one log (LogLoader.scala). After a clean stop it reads no more than: the list of the directory, the
// small files, the newest snapshot, and the end of the last segment.
type loader struct {
	ctx    context.Context
	env    *env
	place  *place
	config *LogConfig
	o      loadOptions
	logger *zap.Logger

	segments  []*segment
	damaged   []int64 // bases of segments whose indexes have to be made anew
	snapshots []int64
	epochs    epochs
	rewritten bool // epochs differ from the file
	replaces  bool // there is a kraal-replaces
	topicID   *meta.TopicID
	rebuilt   int64 // base of the first segment rebuilt, -1 none

	// state is the producer state after the last segment rebuilt, nil before, and txns the transactions that go with it. It is
	// carried from segment to segment and into the log, because it remembers several batches of a producer and a snapshot only one:
	// a client that had more in flight when the broker died sends them all again.
	state *producers
	txns  *txns
}

// openLog loads the log in a partition directory, which exists, or begins an empty one there.
func openLog(ctx context.Context, e *env, pl *place, tp meta.TopicPartition, c *LogConfig, o loadOptions) (*Log, error) {
	l := &Log{tp: tp, env: e, place: pl}
	ld := &loader{ctx: ctx, env: e, place: pl, config: c, o: o, rebuilt: -1, txns: &l.txns,
		logger: e.logger.With(zap.String("topic", tp.Topic), zap.Int32("partition", tp.Partition))}
	l.config.Store(c)
	l.future.Store(o.future)
	l.txns.firstUnstable.Store(noOffset)
	l.lastFlushMs.Store(e.nowMs())
	if err := ld.load(l); err != nil {
		for _, s := range ld.segments {
			s.closeFiles()
		}
		return nil, fmt.Errorf("open %s in %s: %w", tp, pl.dir.path, err)
	}
	return l, nil
}

func (ld *loader) load(l *Log) error {
	entries, err := ld.env.fs.ReadDir(ld.place.path())
	if err != nil {
		return err
	}
	changed, err := ld.tidy(entries)
	if err != nil {
		return err
	}
	if changed {
		if entries, err = ld.env.fs.ReadDir(ld.place.path()); err != nil {
			return err
		}
	}
	if err := ld.collect(entries); err != nil {
		return err
	}
	if err := ld.readSmallFiles(entries); err != nil {
		return err
	}
	for {
		err := ld.recover()
		var over *errOverflow
		if err == nil {
			break
		}
		if !errors.As(err, &over) {
			return err
		}
		if err := ld.split(over); err != nil {
			return err
		}
	}
	return ld.finish(l)
}

// collect makes the list of segments and snapshots. Of most files nothing but the name is looked at.
func (ld *loader) collect(entries []fs.DirEntry) error {
	files := make(map[string]bool, len(entries))
	for _, e := range entries {
		files[e.Name()] = true
	}
	for _, e := range entries {
		base, suffix, ok := parseFileName(e.Name())
		if !ok || e.IsDir() {
			continue
		}
		switch suffix {
		case snapshotSuffix:
			ld.snapshots = append(ld.snapshots, base)
		case indexSuffix, timeIndexSuffix, txnIndexSuffix:
			if !files[fileName(base, logSuffix)] {
				ld.logger.Warn("index without a segment removed", zap.String("file", e.Name()))
				if err := ld.remove(e.Name()); err != nil {
					return err
				}
			}
		case logSuffix:
			info, err := e.Info()
			if err != nil {
				return err
			}
			s := openSegment(ld.env, ld.place, base, ld.config, info.Size(), files[fileName(base, txnIndexSuffix)])
			ld.segments = append(ld.segments, s)
			if !files[fileName(base, indexSuffix)] {
				ld.logger.Error("segment without an offset index", zap.Int64("base_offset", base))
				ld.damaged = append(ld.damaged, base)
				continue
			}
			if !s.txns.exists {
				continue
			}
			if err := s.checkTxns(); errors.Is(err, errTxnIndex) {
				ld.logger.Error("segment with a transaction index that cannot be its own", zap.Int64("base_offset", base), zap.Error(err))
				ld.damaged = append(ld.damaged, base)
			} else if err != nil {
				return err
			}
		}
	}
	byBase := func(a, b *segment) int { return int(min(max(a.base-b.base, -1), 1)) }
	slices.SortFunc(ld.segments, byBase)
	slices.Sort(ld.damaged)
	slices.Sort(ld.snapshots)
	return nil
}

// readSmallFiles reads topic id and epochs.
func (ld *loader) readSmallFiles(entries []fs.DirEntry) error {
	has := func(name string) bool {
		return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name })
	}
	if has(partitionMetadataFile) {
		if !ld.env.topicIDs {
			if err := ld.remove(partitionMetadataFile); err != nil {
				return err
			}
		} else if content, err := vfs.ReadFile(ld.env.fs, ld.place.file(partitionMetadataFile)); err != nil {
			return err
		} else {
			id, err := parsePartitionMetadata(content)
			if err != nil {
				return err
			}
			ld.topicID = &id
		}
	}
	if has(strayFile) { // it was about to be set aside, and was not
		if err := ld.remove(strayFile); err != nil {
			return err
		}
	}
	ld.replaces = has(replacesFile)
	if !has(epochFile) {
		return nil
	}
	content, err := vfs.ReadFile(ld.env.fs, ld.place.file(epochFile))
	if err != nil {
		return err
	}
	list, err := parseEpochs(content)
	if err == nil {
		for _, e := range list {
			ld.epochs.assign(e.Epoch, e.StartOffset)
		}
		return nil
	}
	ld.logger.Error("leader epoch history not readable, making it anew from the batches", zap.Error(err))
	return ld.scanEpochs()
}

// scanEpochs makes the epoch history from the headers of all batches.
func (ld *loader) scanEpochs() error {
	ld.epochs, ld.rewritten = epochs{}, true
	for _, s := range ld.segments {
		if err := s.eachHeader(func(h *record.Header) {
			if e := meta.LeaderEpoch(h.PartitionLeaderEpoch); e > ld.epochs.latest() {
				ld.epochs.assign(e, h.BaseOffset)
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// eachHeader calls f for all batches up to the first that is not one.
func (s *segment) eachHeader(f func(*record.Header)) error {
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer h.release()
	sc := newScanner(h, 0, s.size.Load(), scanBuffer)
	defer sc.close()
	for sc.next() {
		f(&sc.h)
	}
	if errors.Is(sc.err, record.ErrCorrupt) {
		return nil
	}
	return sc.err
}

// recover rebuilds the damaged segments and, after an unclean stop, those from the recovery point on.
func (ld *loader) recover() error {
	from := len(ld.segments)
	if !ld.o.clean {
		from = max(floorSegment(ld.segments, ld.o.recoveryPoint), 0)
	} else if _, err := ld.end(); errors.Is(err, record.ErrTruncated) || errors.Is(err, record.ErrCorrupt) {
		// Nothing may be appended behind that, whatever the marker says.
		from = len(ld.segments) - 1
		ld.logger.Error("the last segment does not end well although the stop was clean; recovering it", zap.Error(err))
	}
	left := len(ld.segments) - from
	for i := 0; i < len(ld.segments); i++ {
		s := ld.segments[i]
		_, damaged := slices.BinarySearch(ld.damaged, s.base)
		if i < from && !damaged {
			continue
		}
		if err := ld.ctx.Err(); err != nil {
			return err
		}
		if i >= from {
			if ld.o.recovering != nil {
				ld.o.recovering(left)
			}
			left--
		}
		cut, reason, err := ld.rebuild(i)
		if err != nil {
			return err
		}
		next, err := s.nextOffset()
		if err != nil {
			return err
		}
		if cut == 0 && ld.reaches(i, next) {
			continue
		}
		ld.logger.Warn("invalid end of a segment cut off", zap.Int64("base_offset", s.base), zap.Int64("bytes", cut),
			zap.Int64("end_offset", next), zap.NamedError("reason", reason))
		if i < from {
			continue // the segments behind it were safe on the disk: keep them
		}
		// What follows was written after what is lost, and must not stay without it.
		if err := ld.drop(i + 1); err != nil {
			return err
		}
	}
	return nil
}

// reaches says whether segment i, ending at next, can be all that was written before segment i+1. Above the recovery
// point a log that is not compacted has no gap where two segments meet (Log.beforeNextSegmentLocked); if the machine
// died, one is the lost end of the first.
func (ld *loader) reaches(i int, next int64) bool {
	return !ld.o.mayHaveHoles || ld.config.Compact || i+1 == len(ld.segments) || next >= ld.segments[i+1].base
}

// rebuild recovers segment i, with the producer state as of its base.
func (ld *loader) rebuild(i int) (cut int64, reason error, err error) {
	s := ld.segments[i]
	if size := s.size.Load(); size > 0 {
		ld.logger.Info("recovering segment", zap.Int64("base_offset", s.base), zap.Int64("bytes", size))
	}
	if ld.rebuilt < 0 {
		ld.rebuilt = s.base
	}
	src, err := ld.stateBefore(i)
	if err != nil {
		return 0, nil, err
	}
	r := &rebuilding{interval: ld.config.IndexIntervalBytes, ps: src.ps, txns: src.txns, epochs: &ld.epochs}
	cut, reason, err = s.rebuild(r)
	if err != nil {
		return 0, nil, err
	}
	ld.rewritten = ld.rewritten || r.changed
	ld.env.metrics.recovered.Inc()
	// So that the next segment need not go over this one again.
	if err := src.trySnapshot(); err != nil {
		return 0, nil, err
	}
	ld.snapshots, ld.state = src.ps.snapshots, src.ps
	return cut, reason, nil
}

// stateBefore returns the producer state as of the base of segment i.
func (ld *loader) stateBefore(i int) (*producerSource, error) {
	base := ld.segments[i].base
	if ld.state != nil && ld.state.end == base {
		src := ld.producerSource(ld.segments[:i], ld.o.logStart, ld.state, ld.txns)
		src.ps.expire(ld.env.nowMs(), ld.env.tuning.producerExpirationMs.Load())
		err := src.trySnapshot()
		return src, err
	}
	ld.txns.clear()
	// From one segment further back than the snapshot at base allows: the batches before it may still be sent again.
	usable := len(ld.snapshots)
	if i > 0 {
		at, found := slices.BinarySearch(ld.snapshots, ld.segments[i-1].base)
		switch {
		case found:
			usable = at + 1
		case i == 1:
			usable = at // nothing lies before that segment
		}
	}
	src := ld.producerSource(ld.segments[:i], ld.o.logStart, &producers{snapshots: slices.Clone(ld.snapshots[:usable])}, ld.txns)
	if err := src.rebuild(base, false); err != nil {
		return nil, err
	}
	src.ps.expire(ld.env.nowMs(), ld.env.tuning.producerExpirationMs.Load()) // as loading the snapshot at base would have done
	src.ps.snapshots = append(src.ps.snapshots, ld.snapshots[usable:]...)
	slices.Sort(src.ps.snapshots)
	src.ps.snapshots = slices.Compact(src.ps.snapshots)
	return src, src.removeSnapshots(func(o int64) bool { return o > base })
}

func (ld *loader) producerSource(segs []*segment, logStart int64, ps *producers, t *txns) *producerSource {
	return &producerSource{env: ld.env, place: ld.place, segments: segs, logStart: logStart, ps: ps, txns: t, logger: ld.logger}
}

// drop deletes the segments from position i on, the last first.
func (ld *loader) drop(i int) error {
	for j := len(ld.segments) - 1; j >= i; j-- {
		s := ld.segments[j]
		ld.logger.Warn("segment dropped in recovery", zap.Int64("base_offset", s.base), zap.Int64("bytes", s.size.Load()))
		if err := s.remove(); err != nil {
			return err
		}
		if err := s.erase(); err != nil {
			return err
		}
	}
	ld.segments = ld.segments[:i]
	return ld.env.fs.SyncDir(ld.place.path()) // they must not come back behind what is written next
}

// finish puts the log together.
func (ld *loader) finish(l *Log) error {
	leo, err := ld.end()
	if err != nil {
		return err
	}
	clean := ld.o.clean
	if len(ld.segments) > 0 && leo < ld.o.logStart {
		ld.logger.Warn("log ends below its start offset: files were lost; beginning anew there",
			zap.Int64("log_end_offset", leo), zap.Int64("log_start_offset", ld.o.logStart))
		if err := ld.drop(0); err != nil {
			return err
		}
		ld.rewritten = ld.epochs.clear() || ld.rewritten
		src := ld.producerSource(nil, ld.o.logStart, &producers{snapshots: ld.snapshots}, &l.txns)
		if err := src.removeSnapshots(func(int64) bool { return true }); err != nil {
			return err
		}
		ld.snapshots, clean = nil, false
	}
	if len(ld.segments) == 0 {
		s, err := createSegment(ld.env, ld.place, ld.o.logStart, ld.config, "")
		if err != nil {
			return err
		}
		ld.segments, leo = []*segment{s}, ld.o.logStart
	}
	active := ld.segments[len(ld.segments)-1]
	active.active = true

	start := max(ld.o.logStart, ld.segments[0].base)
	ld.rewritten = ld.epochs.truncateFromEnd(leo) || ld.rewritten
	ld.rewritten = ld.epochs.truncateFromStart(ld.o.logStart) || ld.rewritten
	l.epochs.Store(&ld.epochs)
	if ld.rewritten {
		if err := writeFileAtomic(ld.env.fs, ld.place.file(epochFile), formatEpochs(ld.epochs.entries)); isFull(err) {
			l.mu.epochsDirty = true // every start finds the same, until there is room
			ld.env.flushSoon(l)
		} else if err != nil {
			return err
		}
	}
	l.topicID.Store(ld.topicID)
	l.replaces = ld.replaces
	l.publish(ld.segments)
	l.leo.Store(leo)
	l.logStart.Store(start)
	l.hw.Store(start) // until told what was checkpointed
	l.recoveryPoint.Store(min(ld.o.recoveryPoint, leo))
	l.indexedTo.Store(active.base)
	if clean {
		l.recoveryPoint.Store(leo)
	}
	if ld.rebuilt >= 0 {
		l.indexedTo.Store(min(ld.rebuilt, active.base))
		ld.env.flushSoon(l) // so that another crash does not scan the same again
	}

	if ld.state != nil && ld.state.end == leo {
		ld.state.expire(ld.env.nowMs(), ld.env.tuning.producerExpirationMs.Load())
		l.mu.producers = *ld.state
	} else {
		l.txns.clear()
	}
	l.mu.producers.snapshots = ld.snapshots
	src := ld.producerSource(ld.segments, start, &l.mu.producers, &l.txns)
	if err := src.removeStray(); err != nil {
		return err
	}
	if err := src.rebuild(leo, ld.o.clean); err != nil {
		return err
	}
	// What was opened to look at is closed again: most logs are idle.
	for _, s := range ld.segments {
		s.mu.Lock()
		s.used = false
		s.mu.Unlock()
		if _, err := s.idle(); err != nil && !isFull(err) {
			return err
		}
	}
	return nil
}

// end is the log end offset.
func (ld *loader) end() (int64, error) {
	if len(ld.segments) == 0 {
		return ld.o.logStart, nil
	}
	return ld.segments[len(ld.segments)-1].nextOffset()
}

// nextOffset is the offset after the last batch, the base if there is none. record.ErrCorrupt or ErrTruncated if the file
// does not end with a batch, or the last index entry points at none.
func (s *segment) nextOffset() (int64, error) {
	if s.size.Load() == 0 {
		return s.base, nil
	}
	near, err := s.lookup(noOffset)
	if err != nil {
		return 0, err
	}
	h, err := s.acquire()
	if err != nil {
		return 0, err
	}
	defer h.release()
	next := s.base
	sc := newScanner(h, near.position, s.size.Load(), lookupChunk)
	defer sc.close()
	for sc.next() {
		if sc.at == near.position && near != (indexed{s.base, 0}) && sc.h.LastOffset() != near.offset {
			return next, fmt.Errorf("%w: batch at %d ends at offset %d, the index says %d", record.ErrCorrupt, sc.at, sc.h.LastOffset(), near.offset)
		}
		next = sc.h.NextOffset()
	}
	if sc.torn || sc.err == nil && sc.pos != s.size.Load() || next == s.base {
		return next, record.ErrTruncated
	}
	return next, sc.err
}
