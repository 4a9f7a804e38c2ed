package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/kraal-mq/kraal/broker/record"
	"go.uber.org/zap"
)

// errAborted: the log changed under a compaction, which gives up and is tried again later.
var errAborted = errors.New("log changed during compaction")

// cleanPass is one compaction of one log: the dirty part is read to learn the last offset of each key, then all
// segments up to there are written anew, without what has been overtaken, and swapped in group by group.
type cleanPass struct {
	ctx       context.Context
	l         *Log
	config    *LogConfig
	cleaner   *CleanerConfig
	threads   int64
	throttle  *throttle
	dirty     dirtyRange
	nowMs     int64
	offsets   *offsetMap
	dec       *record.Decompressor
	read, out []byte

	generation int64
	segments   []*segment // that existed when the pass began
	stats      struct{ readBytes, wroteBytes, before, after int64 }
}

func (p *cleanPass) run() (endOffset int64, err error) {
	p.l.mu.Lock()
	p.generation = p.l.mu.generation
	p.segments = *p.l.segments.Load()
	p.l.mu.Unlock()
	p.dec = record.AcquireDecompressor()
	defer p.dec.Release()
	buffer := max(int(p.cleaner.IOBufferBytes)/int(p.threads)/2, 1024)
	p.read, p.out = make([]byte, buffer), make([]byte, 0, buffer)

	keys := p.dirty.uncleanable - p.dirty.first
	p.offsets = newOffsetMap(p.cleaner.DedupeBufferBytes/p.threads, p.cleaner.LoadFactor, keys)
	if err := p.learn(); err != nil {
		return 0, err
	}
	end := p.offsets.latest + 1
	if end <= p.dirty.first {
		return 0, fmt.Errorf("log.cleaner.dedupe.buffer.size is too small for the %d keys of one batch", p.offsets.used)
	}
	horizon, err := p.legacyHorizon()
	if err != nil {
		return 0, err
	}
	groups, err := p.groups(end)
	if err != nil {
		return 0, err
	}
	txns := newCleanTxns(nil)
	for _, g := range groups {
		if err := p.cleanGroup(g, txns, horizon); err != nil {
			return 0, err
		}
	}
	return end, nil
}

// alive says why the pass has to stop.
func (p *cleanPass) alive() error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	return p.l.Err()
}

// below lists the segments with offsets in [from, to).
func (p *cleanPass) below(from, to int64) []*segment {
	if from >= to {
		return nil
	}
	first := max(floorSegment(p.segments, from), 0)
	return p.segments[first : floorSegment(p.segments, to-1)+1]
}

// learn fills the offset map from the dirty part.
func (p *cleanPass) learn() error {
	txns := newCleanTxns(nil)
	aborted, err := p.aborted(p.dirty.first, p.dirty.uncleanable)
	if err != nil {
		return err
	}
	txns.add(aborted)
	segs := p.below(p.dirty.first, p.dirty.uncleanable)
	for i, s := range segs {
		full, err := p.learnSegment(s, txns)
		if err != nil || full {
			return err
		}
		next := p.dirty.uncleanable
		if i+1 < len(segs) {
			next = segs[i+1].base
		}
		p.offsets.latest = max(p.offsets.latest, next-1) // also over a gap at the end
	}
	return nil
}

func (p *cleanPass) learnSegment(s *segment, txns *cleanTxns) (full bool, err error) {
	start, err := s.lookup(p.dirty.first)
	if err != nil {
		return false, err
	}
	err = p.eachBatch(s, start.position, func(b record.Batch) (bool, error) {
		if b.IsControl() {
			_, err := txns.control(b)
			if err != nil {
				return false, err
			}
		} else if !txns.data(b) {
			for r, err := range b.Records(p.dec) {
				if err != nil {
					return false, err
				}
				if r.Key != nil && r.Offset >= p.dirty.first && !p.offsets.put(r.Key, r.Offset) {
					full = true
					return false, nil
				}
			}
		}
		if last := b.LastOffset(); last >= p.dirty.first {
			p.offsets.latest = max(p.offsets.latest, last)
		}
		return true, nil
	})
	return full, err
}

// eachBatch reads a segment from pos on and calls f for every batch until it returns false. The bytes are good until f
// returns.
func (p *cleanPass) eachBatch(s *segment, pos int64, f func(record.Batch) (bool, error)) error {
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer h.release()
	size := s.size.Load()
	normal := p.read
	defer func() { p.read = normal }() // what had to grow for a large batch is let go
	for pos < size {
		if err := p.alive(); err != nil {
			return err
		}
		n, err := h.ReadAt(p.read[:min(int64(len(p.read)), size-pos)], pos)
		if err != nil && err != io.EOF {
			return err
		}
		if err := p.throttle.wait(p.ctx, n); err != nil {
			return err
		}
		p.stats.readBytes += int64(n)
		used := 0
		for rest := p.read[:n]; ; {
			b, next, err := record.Next(rest)
			if err == io.EOF || errors.Is(err, record.ErrTruncated) {
				break
			}
			if err == nil {
				err = b.CheckCRC() // what is written anew would look sound
			}
			if err != nil {
				return fmt.Errorf("segment %d at %d: %w", s.base, pos+int64(used), err)
			}
			more, err := f(b)
			if err != nil {
				return fmt.Errorf("segment %d at %d: %w", s.base, pos+int64(used), err)
			}
			if !more {
				return nil
			}
			used += b.Size()
			rest = next
		}
		if used == 0 {
			if err := p.growFor(s, p.read[:n], pos, size); err != nil {
				return err
			}
		}
		pos += int64(used)
	}
	return nil
}

// growFor makes room for a batch that is larger than the buffer.
func (p *cleanPass) growFor(s *segment, head []byte, pos, size int64) error {
	if len(head) < record.PrefixSize {
		return fmt.Errorf("segment %d at %d: %w", s.base, pos, record.ErrTruncated)
	}
	hd, err := record.ParseHeader(head)
	if err != nil {
		return err
	}
	if n := int64(hd.Size()); n > size-pos || n <= int64(len(p.read)) {
		return fmt.Errorf("segment %d at %d: %w: batch of %d bytes, %d are left", s.base, pos, record.ErrTruncated, n, size-pos)
	}
	p.read = make([]byte, hd.Size())
	return nil
}

// aborted lists the aborted transactions with data in [from, to).
func (p *cleanPass) aborted(from, to int64) (list []abortedTxn, err error) {
	err = p.l.eachAborted(from, to, func(t abortedTxn) { list = append(list, t) })
	return list, err
}

// legacyHorizon: tombstones of formats 0 and 1 go if their segment is not younger than this, in terms of files.
func (p *cleanPass) legacyHorizon() (int64, error) {
	clean := p.below(0, p.dirty.first)
	if len(clean) == 0 {
		return 0, nil
	}
	modified, err := clean[len(clean)-1].modifiedMs()
	return modified - p.config.DeleteRetentionMs, err
}

// groups cuts the segments below end into runs that become one segment each.
func (p *cleanPass) groups(end int64) ([][]*segment, error) {
	segs := p.below(0, end)
	var groups [][]*segment
	for len(segs) > 0 {
		n := 1
		size, offsets, times, err := segs[0].sizes()
		if err != nil {
			return nil, err
		}
		for ; n < len(segs); n++ {
			s := segs[n]
			sz, o, t, err := s.sizes()
			if err != nil {
				return nil, err
			}
			last := p.dirty.uncleanable - 1
			if n+1 < len(segs) {
				last = segs[n+1].base - 1
			}
			if size+sz > int64(p.config.SegmentBytes) || offsets+o > int64(p.config.MaxIndexBytes) || times+t > int64(p.config.MaxIndexBytes) ||
				sz > 0 && last-segs[0].base > math.MaxInt32 {
				break
			}
			size, offsets, times = size+sz, offsets+o, times+t
		}
		groups = append(groups, segs[:n])
		segs = segs[n:]
	}
	return groups, nil
}

// sizes are the bytes of a sealed segment's log, offset index and time index.
func (s *segment) sizes() (log, offsets, times int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.knowLocked(&s.offsets, indexSuffix); err != nil {
		return 0, 0, 0, err
	}
	if err := s.knowLocked(&s.times, timeIndexSuffix); err != nil {
		return 0, 0, 0, err
	}
	return s.size.Load(), int64(s.offsets.n) * offsetEntryWidth, int64(s.times.n) * timeEntryWidth, nil
}

// cleanGroup writes a group anew and swaps it in.
func (p *cleanPass) cleanGroup(group []*segment, txns *cleanTxns, legacyHorizon int64) (err error) {
	cleaned, err := createSegment(p.l.env, p.l.place, group[0].base, p.config, cleanedSuffix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			cleaned.closeFiles()
			_ = cleaned.erase() // or at the next start
		}
	}()
	txns.retain = cleaned.addTxn
	f := &cleanFilter{offsets: p.offsets, txns: txns, nowMs: p.nowMs, deleteRetention: p.config.DeleteRetentionMs, dec: p.dec,
		producers: p.l.lastOfProducers()}
	var modified int64
	for i, s := range group {
		if modified, err = s.modifiedMs(); err != nil {
			return err
		}
		f.keepOldDeletes = modified > legacyHorizon
		to := int64(0)
		if i+1 < len(group) {
			to = group[i+1].base
		} else if to, err = s.nextOffset(); err != nil {
			return err
		}
		aborted, err := p.aborted(s.base, to)
		if err != nil {
			return err
		}
		txns.add(aborted)
		p.stats.before += s.size.Load()
		if err := p.cleanInto(cleaned, s, f); err != nil {
			return err
		}
	}
	if err := cleaned.seal(); err != nil {
		return err
	}
	if err := cleaned.sync(true); err != nil {
		return err
	}
	cleaned.closeFiles()
	// Age is what retention and tombstones without timestamps go by.
	if err := cleaned.setModified(time.UnixMilli(modified)); err != nil {
		return err
	}
	p.stats.after += cleaned.size.Load()
	p.generation, err = p.l.replace(group, cleaned, p.generation)
	return err
}

func (p *cleanPass) cleanInto(cleaned, s *segment, f *cleanFilter) error {
	limit := cap(p.out)
	write := func() error {
		if len(p.out) == 0 {
			return nil
		}
		p.stats.wroteBytes += int64(len(p.out))
		if err := cleaned.write(p.out, p.config.IndexIntervalBytes); err != nil {
			return err
		}
		n := len(p.out)
		p.out = p.out[:0]
		if cap(p.out) > limit {
			p.out = make([]byte, 0, limit)
		}
		return p.throttle.wait(p.ctx, n)
	}
	err := p.eachBatch(s, 0, func(b record.Batch) (bool, error) {
		var err error
		if p.out, err = f.filter(p.out, b); err != nil {
			return false, err
		}
		if len(p.out) >= limit/2 {
			err = write()
		}
		return true, err
	})
	if err != nil {
		p.out = p.out[:0]
		return err
	}
	return write()
}

// lastOfProducers tells what compaction must keep of the active producers.
func (l *Log) lastOfProducers() map[int64]lastOfProducer {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := make(map[int64]lastOfProducer, len(l.mu.producers.byID))
	for id, p := range l.mu.producers.byID {
		last := lastOfProducer{-1, p.epoch}
		if b, ok := p.last(); ok {
			last.offset = b.lastOffset
		}
		m[id] = last
	}
	return m
}

// replace puts a cleaned segment, complete and synced, in the place of a run of old ones, unless the log was truncated or
// shortened since generation. It returns the new generation. (LocalLog.replaceSegments)
func (l *Log) replace(old []*segment, cleaned *segment, generation int64) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.Err(); err != nil {
		return 0, err
	}
	segs := *l.segments.Load()
	at := floorSegment(segs, old[0].base)
	if l.mu.generation != generation || l.env.isMoving(l) || at < 0 || at+len(old) >= len(segs) || !slices.Equal(segs[at:at+len(old)], old) {
		return 0, errAborted
	}
	rename := func(stage string) error {
		cleaned.mu.Lock()
		defer cleaned.mu.Unlock()
		return cleaned.renameLocked(stage)
	}
	// From here on the output counts: if we die the next start completes the swap.
	if err := rename(swapSuffix); err != nil {
		return 0, l.failed("swap in compacted segment", err)
	}
	if err := l.removeSegmentsLocked(old, "compaction"); err != nil {
		return 0, err
	}
	if err := rename(""); err != nil {
		return 0, l.failed("swap in compacted segment", err)
	}
	l.publish(slices.Concat(segs[:at], []*segment{cleaned}, segs[at+len(old):]))
	l.mu.generation++
	src := l.producerSourceLocked()
	err := src.removeSnapshots(func(o int64) bool {
		i := floorSegment(old, o)
		return i > 0 && old[i].base == o
	})
	if err == nil {
		err = l.env.fs.SyncDir(l.place.path())
	}
	if err != nil {
		return 0, l.failed("swap in compacted segment", err)
	}
	l.logger().Debug("segments compacted", zap.Int64("base_offset", cleaned.base), zap.Int("segments", len(old)),
		zap.Int64("bytes", cleaned.size.Load()))
	return l.mu.generation, nil
}
