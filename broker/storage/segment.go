package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage/vfs"
)

// segment is one .log file and its indexes. Files are opened when needed and closed when idle.
//
// Who writes it holds Log.mu (or is alone with it: recovery, the cleaner's output); mu guards what readers share with
// the writer, and is not held over writes to the .log file nor over syncs.
type segment struct {
	base          int64
	env           *env
	place         *place
	maxIndexBytes int32
	jitterMs      int64
	createdMs     int64 // of this object; for rolling by wall clock

	size atomic.Int64 // bytes of whole batches in the .log file

	// syncing lets one sync at a time run: one that finds nothing left to do must not return before the one that does it.
	// Taken before mu.
	syncing sync.Mutex

	mu      sync.Mutex
	stage   string // "", .cleaned, .swap or .deleted: behind all file names
	active  bool   // appended to: the index files are preallocated
	removed bool   // not part of the log any more
	used    bool   // since the last idle sweep
	log     *handle
	offsets index
	times   index
	txns    txnIndex
	scratch [timeEntryWidth]byte // for reading an index entry

	max        timed // largest timestamp so far, and the last offset of its batch
	maxKnown   bool
	firstTs    int64 // largest timestamp of the first batch, -1 none: rolling by time counts from it
	firstKnown bool
	sinceIndex int64 // bytes since the last index entry; not stored, so 0 after opening
	unsynced   bool  // the .log file
	// preallocated: the .log file is larger than size.
	preallocated bool
	recent       recentBatches
}

// newSegment makes the object; the files are another matter.
func newSegment(e *env, pl *place, base int64, c *LogConfig, stage string) *segment {
	s := &segment{base: base, env: e, place: pl, maxIndexBytes: c.MaxIndexBytes, stage: stage, createdMs: e.nowMs()}
	if bound := min(c.SegmentJitterMs, c.SegmentMs); bound > 0 {
		s.jitterMs = rand.Int64N(bound)
	}
	return s
}

// openSegment takes up existing files. size is that of the .log file.
func openSegment(e *env, pl *place, base int64, c *LogConfig, size int64, hasTxnIndex bool) *segment {
	s := newSegment(e, pl, base, c, "")
	s.size.Store(size)
	s.offsets = newIndex(offsetEntryWidth, true)
	s.times = newIndex(timeEntryWidth, true)
	s.txns.exists = hasTxnIndex
	s.txns.last = -1
	if size == 0 {
		s.firstTs, s.firstKnown = -1, true
	}
	return s
}

// createSegment makes new, empty files; leftovers of the same name go.
func createSegment(e *env, pl *place, base int64, c *LogConfig, stage string) (*segment, error) {
	s := newSegment(e, pl, base, c, stage)
	s.offsets = newIndex(offsetEntryWidth, false)
	s.times = newIndex(timeEntryWidth, false)
	s.txns.last = -1
	s.max, s.maxKnown = timed{-1, base}, true
	s.firstTs, s.firstKnown = -1, true
	s.active = stage == ""
	s.unsynced, s.offsets.unsynced, s.times.unsynced = true, true, true
	pl.moving.RLock()
	defer pl.moving.RUnlock()
	if err := removeIfThere(e.fs, s.pathOf(txnIndexSuffix)); err != nil {
		return nil, err
	}
	create := func(suffix string, prepare func(vfs.File) error) (*handle, error) {
		f, err := e.fs.Create(s.pathOf(suffix))
		if err != nil {
			return nil, err
		}
		h := newHandle(f, &e.openFiles)
		if err := prepare(f); err != nil {
			h.release()
			return nil, ioError("create", s.pathOf(suffix), err)
		}
		return h, nil
	}
	index := func(x *index, suffix string) (err error) {
		x.h, err = create(suffix, func(f vfs.File) error {
			if s.active {
				x.size = s.indexCapacity(x)
			}
			return f.Truncate(x.size)
		})
		return err
	}
	var err error
	s.log, err = create(logSuffix, func(f vfs.File) error {
		if s.active && c.Preallocate {
			s.preallocated = true
			return f.Preallocate(int64(c.SegmentBytes))
		}
		return nil
	})
	if err == nil {
		err = index(&s.offsets, indexSuffix)
	}
	if err == nil {
		err = index(&s.times, timeIndexSuffix)
	}
	if err != nil {
		s.closeFiles()
		if isFull(err) {
			// A segment that begins above the end of the log would be taken for one that has lost what came before.
			for _, suffix := range [...]string{logSuffix, indexSuffix, timeIndexSuffix} {
				if undo := removeIfThere(e.fs, s.pathOf(suffix)); undo != nil {
					return nil, &syncError{errors.Join(err, undo)}
				}
			}
		}
		return nil, err
	}
	s.used = true
	return s, nil
}

func removeIfThere(fsys vfs.FS, path string) error {
	if err := fsys.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// pathOf is the path of one of the segment's files. stage is read without mu: callers hold it or are alone.
func (s *segment) pathOf(suffix string) string {
	return s.place.file(fileName(s.base, suffix) + s.stage)
}

// openLocked opens one of the files. The .log file must exist; an index may be missing and is then empty.
func (s *segment) openLocked(suffix string) (*handle, error) {
	if s.removed {
		return nil, errGone
	}
	open := s.env.fs.OpenOrCreate
	if suffix == logSuffix {
		open = s.env.fs.Open
	}
	s.place.moving.RLock()
	defer s.place.moving.RUnlock()
	f, err := open(s.pathOf(suffix))
	if err != nil {
		return nil, err
	}
	return newHandle(f, &s.env.openFiles), nil
}

// acquire returns the .log file with a reference for the caller.
func (s *segment) acquire() (*handle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acquireLocked()
}

func (s *segment) acquireLocked() (*handle, error) {
	s.used = true
	if s.removed {
		return nil, errGone
	}
	if s.log == nil {
		h, err := s.openLocked(logSuffix)
		if err != nil {
			return nil, err
		}
		s.log = h
	}
	return s.log.retain(), nil
}

// gone turns the errors a reader meets when its segment is being removed into errGone.
func (s *segment) gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.removed {
			return errGone
		}
	}
	return err
}

// write appends buf, whole batches, to the file: one write, whatever it holds. interval is index.interval.bytes.
func (s *segment) write(buf []byte, interval int32) error {
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer h.release()
	pos := s.size.Load()
	if _, err := h.WriteAt(buf, pos); err != nil {
		err = ioError("append to", fileName(s.base, logSuffix), err)
		if isFull(err) {
			if undo := s.unwrite(h, pos); undo != nil {
				return &syncError{errors.Join(err, undo)}
			}
		}
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsynced = true
	if err := s.noteAllLocked(buf, pos, interval); err != nil {
		return &syncError{err} // what is written cannot be taken back any more
	}
	return nil
}

// noteAllLocked enters what was written at pos.
func (s *segment) noteAllLocked(buf []byte, pos int64, interval int32) (err error) {
	if err := s.knowMaxLocked(); err != nil {
		return err
	}
	first := pos == 0
	for rest := buf; len(rest) > 0; {
		var b record.Batch
		if b, rest, err = record.Next(rest); err != nil {
			return err // cannot be: the caller went over them
		}
		ts, last := b.MaxTimestamp(), b.LastOffset()
		if first {
			s.firstTs, s.firstKnown, first = ts, true, false
		}
		if err := s.noteLocked(last, ts, pos, b.Size(), interval); err != nil {
			return err
		}
		s.recent.add(b.BaseOffset(), last, pos)
		pos += int64(b.Size())
	}
	s.size.Store(pos)
	return nil
}

// unwrite cuts off what an append that found no room has written, durably: behind the next one it might be taken for batches.
func (s *segment) unwrite(h *handle, pos int64) error {
	s.mu.Lock()
	s.preallocated = false
	s.mu.Unlock()
	if err := h.Truncate(pos); err != nil {
		return err
	}
	return h.Sync()
}

// noteLocked updates the indexes for a batch at pos.
func (s *segment) noteLocked(last, ts, pos int64, size int, interval int32) error {
	if ts > s.max.timestamp {
		s.max = timed{ts, last}
	}
	if s.sinceIndex > int64(interval) {
		if err := s.addOffsetLocked(last, pos); err != nil {
			return err
		}
		if err := s.addTimeLocked(); err != nil {
			return err
		}
		s.sinceIndex = 0
	}
	s.sinceIndex += int64(size)
	return nil
}

// knowMaxLocked makes s.max known. A segment that was closed has its largest timestamp as the last time index entry.
func (s *segment) knowMaxLocked() error {
	if s.maxKnown {
		return nil
	}
	last, err := s.lastTimeLocked()
	if err != nil {
		return err
	}
	s.max, s.maxKnown = last, true
	return nil
}

// largest returns the largest timestamp of the segment, {-1, base} if no record has one.
func (s *segment) largest() (timed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = true
	if err := s.knowMaxLocked(); err != nil {
		return timed{}, err
	}
	return s.max, nil
}

// largestOrModified is largest, or the modification time of the file if no record has a timestamp.
func (s *segment) largestOrModified() (int64, error) {
	t, err := s.largest()
	if err != nil || t.timestamp >= 0 {
		return t.timestamp, err
	}
	return s.modifiedMs()
}

func (s *segment) modifiedMs() (int64, error) {
	s.mu.Lock()
	s.place.moving.RLock()
	info, err := s.env.fs.Stat(s.pathOf(logSuffix))
	s.place.moving.RUnlock()
	s.mu.Unlock()
	if err != nil {
		return 0, s.gone(err)
	}
	return info.ModTime().UnixMilli(), nil
}

// setModified sets the modification time of the files of a segment that nobody else knows yet.
func (s *segment) setModified(t time.Time) error {
	s.place.moving.RLock()
	defer s.place.moving.RUnlock()
	for _, suffix := range []string{logSuffix, indexSuffix, timeIndexSuffix} {
		if err := s.env.fs.SetModTime(s.pathOf(suffix), t); err != nil {
			return err
		}
	}
	return nil
}

// firstTimestamp returns the largest timestamp of the first batch, -1 if there is none.
func (s *segment) firstTimestamp() (int64, error) {
	s.mu.Lock()
	known, ts := s.firstKnown, s.firstTs
	s.mu.Unlock()
	if known {
		return ts, nil
	}
	h, err := s.acquire()
	if err != nil {
		return 0, s.gone(err)
	}
	defer h.release()
	sc := newScanner(h, 0, s.size.Load(), lookupChunk)
	defer sc.close()
	ts = -1
	if sc.next() {
		ts = sc.h.MaxTimestamp
	} else if sc.err != nil {
		return 0, sc.err
	}
	s.mu.Lock()
	s.firstTs, s.firstKnown = ts, true
	s.mu.Unlock()
	return ts, nil
}

// seal ends the segment's time as the active one: last time index entry, files of their true size.
func (s *segment) seal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.trimLocked(); err != nil {
		return err
	}
	s.active = false
	s.recent = nil
	return nil
}

// unseal takes that back: no other segment could be made.
func (s *segment) unseal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = true
}

func (s *segment) trimLocked() error {
	if s.maxKnown {
		if err := s.addTimeLocked(); err != nil {
			return err
		}
	}
	if err := s.trimIndexLocked(&s.offsets, indexSuffix); err != nil {
		return err
	}
	if err := s.trimIndexLocked(&s.times, timeIndexSuffix); err != nil {
		return err
	}
	if !s.preallocated {
		return nil
	}
	h, err := s.acquireLocked()
	if err != nil {
		return err
	}
	defer h.release()
	s.unsynced, s.preallocated = true, false
	return h.Truncate(s.size.Load())
}

// idle closes the files if nobody used the segment since the last call, and says whether any are open still.
func (s *segment) idle() (open bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used {
		s.used = false
		return s.log != nil || s.offsets.h != nil || s.times.h != nil, nil
	}
	if s.log == nil && s.offsets.h == nil && s.times.h == nil && s.recent == nil {
		return false, nil
	}
	if err := s.writeIndexLocked(&s.offsets, indexSuffix); err != nil {
		return true, err
	}
	if err := s.writeIndexLocked(&s.times, timeIndexSuffix); err != nil {
		return true, err
	}
	s.closeFilesLocked()
	s.recent = nil
	return false, nil
}

func (s *segment) closeFiles() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeFilesLocked()
}

func (s *segment) closeFilesLocked() {
	if s.log != nil {
		s.log.release()
		s.log = nil
	}
	s.offsets.idle()
	s.times.idle()
}

// remove takes the segment out of service and puts stage behind its files' names, for somebody to delete them.
func (s *segment) remove() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed = true
	s.closeFilesLocked()
	return s.renameLocked(deletedSuffix)
}

// renameLocked changes the stage of all files. Open handles stay good.
func (s *segment) renameLocked(stage string) error {
	s.place.moving.RLock()
	defer s.place.moving.RUnlock()
	for _, suffix := range segmentSuffixes {
		from := s.pathOf(suffix)
		to := s.place.file(fileName(s.base, suffix) + stage)
		if err := s.env.fs.Rename(from, to); err != nil && !(errors.Is(err, fs.ErrNotExist) && suffix != logSuffix) {
			return err
		}
	}
	s.stage = stage
	return nil
}

// erase deletes the files of a removed segment.
func (s *segment) erase() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.place.moving.RLock()
	defer s.place.moving.RUnlock()
	for _, suffix := range segmentSuffixes {
		if err := removeIfThere(s.env.fs, s.pathOf(suffix)); err != nil {
			return err
		}
	}
	return nil
}

// fits says whether offset can be expressed relative to the base.
func (s *segment) fits(offset int64) bool { return offset >= s.base && offset-s.base <= math.MaxInt32 }

// shouldRoll says whether an append of n bytes, reaching offset last with largest timestamp ts, needs a new segment.
func (s *segment) shouldRoll(n int, last, ts int64, c *LogConfig, now time.Time) (bool, error) {
	size := s.size.Load()
	if size > int64(c.SegmentBytes)-int64(n) || !s.fits(last) {
		return true, nil
	}
	s.mu.Lock()
	full, err := s.offsetsFullLocked()
	if err == nil && !full {
		full, err = s.timesFullLocked()
	}
	s.mu.Unlock()
	if err != nil || full {
		return full, err
	}
	if size == 0 {
		return false, nil
	}
	first, err := s.firstTimestamp()
	if err != nil {
		return false, err
	}
	waited := now.UnixMilli() - s.createdMs
	if first >= 0 {
		waited = ts - first // records' own time: replaying old data rolls as it did then
	}
	return waited > c.rollMs()-s.jitterMs, nil
}

func (s *segment) String() string { return fmt.Sprintf("segment %d (%d bytes)", s.base, s.size.Load()) }
