package storage

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"go.uber.org/zap"
)

// producerSource is where producer state is rebuilt from: the files of one partition directory.
type producerSource struct {
	env      *env
	place    *place
	segments []*segment
	logStart int64
	ps       *producers
	txns     *txns
	logger   *zap.Logger
}

// snapshot writes the state as of ps.end unless there is one as new.
func (r *producerSource) snapshot(sync bool) (written bool, err error) {
	ps := r.ps
	if ps.end <= ps.lastSnapshot {
		return false, nil
	}
	path := r.place.file(fileName(ps.end, snapshotSuffix))
	content := encodeSnapshot(ps.sorted())
	if sync {
		err = writeFileSync(r.env.fs, path, content)
	} else {
		err = writeFile(r.env.fs, path, content)
	}
	if err != nil {
		if isFull(err) {
			if undo := removeIfThere(r.env.fs, path); undo != nil {
				err = &syncError{errors.Join(err, undo)}
			}
		}
		return false, err
	}
	if i, found := slices.BinarySearch(ps.snapshots, ps.end); !found {
		ps.snapshots = slices.Insert(ps.snapshots, i, ps.end)
	}
	ps.lastSnapshot = ps.end
	return true, nil
}

// trySnapshot does without a snapshot if there is no room for it: it only spares a scan of batches.
func (r *producerSource) trySnapshot() error {
	_, err := r.snapshot(true)
	if isFull(err) {
		return nil
	}
	return err
}

func writeFile(fsys vfs.FS, path string, content []byte) error {
	f, err := fsys.Create(path)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// removeSnapshots deletes the snapshots for which gone is true.
func (r *producerSource) removeSnapshots(gone func(offset int64) bool) error {
	kept := r.ps.snapshots[:0]
	for _, offset := range r.ps.snapshots {
		if !gone(offset) {
			kept = append(kept, offset)
			continue
		}
		if err := removeIfThere(r.env.fs, r.place.file(fileName(offset, snapshotSuffix))); err != nil {
			return err
		}
	}
	r.ps.snapshots = kept
	return nil
}

// removeStray deletes the snapshots that match no segment's base, but for one beyond the last base. (ProducerStateManager.removeStraySnapshots)
func (r *producerSource) removeStray() error {
	if len(r.segments) == 0 {
		return nil
	}
	last := r.segments[len(r.segments)-1].base
	newest := int64(-1)
	for _, offset := range r.ps.snapshots {
		if offset > last {
			newest = offset
		}
	}
	return r.removeSnapshots(func(offset int64) bool {
		i := floorSegment(r.segments, offset)
		matches := i >= 0 && r.segments[i].base == offset
		return !matches && offset != newest
	})
}

// load takes up the newest snapshot that can be read; ps.snapshots must have been cut to the acceptable ones.
func (r *producerSource) load() error {
	ps := r.ps
	for len(ps.snapshots) > 0 {
		offset := ps.snapshots[len(ps.snapshots)-1]
		path := r.place.file(fileName(offset, snapshotSuffix))
		content, err := vfs.ReadFile(r.env.fs, path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		var loaded []producer
		if err == nil {
			loaded, err = decodeSnapshot(content)
		}
		if err != nil {
			r.logger.Warn("producer snapshot not usable, trying an older one", zap.Int64("offset", offset), zap.Error(err))
			if err := r.removeSnapshots(func(o int64) bool { return o == offset }); err != nil {
				return err
			}
			continue
		}
		now := r.env.nowMs()
		for i := range loaded {
			p := &loaded[i]
			if p.expired(now, r.env.tuning.producerExpirationMs.Load()) {
				continue
			}
			if ps.byID == nil {
				ps.byID = make(map[int64]*producer, len(loaded))
			}
			own := *p
			ps.byID[p.id] = &own
			if p.txnStart >= 0 {
				r.txns.begin(p.id, p.txnStart)
			}
		}
		ps.end, ps.lastSnapshot = offset, offset
		return nil
	}
	ps.end, ps.lastSnapshot = r.logStart, r.logStart
	return nil
}

// rebuild brings the state to offset end: from the newest snapshot at or below it and the batches after that.
// clean: the log was closed cleanly; without any snapshot it then comes from a release that had none, and is taken to
// have no producers rather than scanned from its beginning. (UnifiedLog.rebuildProducerState)
func (r *producerSource) rebuild(end int64, clean bool) error {
	ps := r.ps
	// Snapshots at these offsets spare a truncation a long scan.
	wanted := []int64{end}
	for _, s := range r.segments[max(0, len(r.segments)-2):] {
		wanted = append(wanted, s.base)
	}
	if clean && len(ps.snapshots) == 0 {
		slices.Sort(wanted)
		for _, offset := range wanted {
			ps.end = offset
			if err := r.trySnapshot(); err != nil {
				return err
			}
		}
		return nil
	}
	empty := len(ps.byID) == 0 && ps.end >= end && r.txns.firstUnstable.Load() == noOffset
	if err := r.removeSnapshots(func(o int64) bool { return o > end || o <= r.logStart }); err != nil {
		return err
	}
	if ps.end != end {
		ps.byID = nil
		r.txns.clear()
		if err := r.load(); err != nil {
			return err
		}
	} else {
		r.txns.replicated(r.logStart)
		ps.lastSnapshot = r.logStart
		if n := len(ps.snapshots); n > 0 {
			ps.lastSnapshot = ps.snapshots[n-1]
		}
	}
	if end > ps.end && !empty {
		from := max(floorSegment(r.segments, ps.end), 0)
		for _, s := range r.segments[min(from, len(r.segments)):] {
			if s.base >= end {
				break
			}
			ps.end = max(s.base, ps.end, r.logStart)
			if slices.Contains(wanted, s.base) {
				if err := r.trySnapshot(); err != nil {
					return err
				}
			}
			if err := r.replay(s, ps.end, end); err != nil {
				return err
			}
		}
	}
	ps.end = end
	return r.trySnapshot()
}

// replay takes the batches of a segment into account that end at or after from and before end. Of data only headers are
// read.
func (r *producerSource) replay(s *segment, from, end int64) error {
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer h.release()
	start, err := s.lookup(from)
	if err != nil {
		return err
	}
	sc := newScanner(h, start.position, s.size.Load(), scanBuffer)
	defer sc.close()
	var body []byte
	for sc.next() {
		last := sc.h.LastOffset()
		if last < from || !sc.h.HasProducerID() {
			continue
		}
		if last >= end {
			break
		}
		b := sc.header()
		if sc.h.IsControl() {
			if body, err = readBatch(h, sc.at, sc.h.Size(), body); err != nil {
				return err
			}
			b = record.Batch(body)
		}
		if err := r.ps.check(b, fromLeader); err != nil {
			r.ps.reset()
			return err
		}
		if err := r.ps.commit(r.txns, r.ps.end, nil); err != nil {
			return err
		}
	}
	return sc.err
}

// snapshotLocked writes the producer state as of offset, which is at or above the log end offset. It needs mu.
func (l *Log) snapshotLocked(offset int64, sync bool) error {
	l.mu.producers.end = offset
	r := l.producerSourceLocked()
	written, err := r.snapshot(sync)
	if err != nil && !isFull(err) {
		return l.failed("write producer snapshot", err)
	}
	if written && !sync {
		l.mu.snapshots = append(l.mu.snapshots, offset)
	}
	return nil
}

func (l *Log) producerSourceLocked() *producerSource {
	return &producerSource{env: l.env, place: l.place, segments: *l.segments.Load(), logStart: l.logStart.Load(),
		ps: &l.mu.producers, txns: &l.txns, logger: l.logger()}
}
