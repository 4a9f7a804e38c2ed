package storage

import (
	"errors"
	"fmt"
	"io"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/zkstore/meta"
	"go.uber.org/zap"
)

// surveyed is what one pass over the headers of an append tells.
type surveyed struct {
	buf          []byte // the whole batches
	first        int64  // base offset of the first batch, last offset for formats 0 and 1
	exact        bool   // first is the first record's offset
	last         int64
	maxTimestamp int64
	batches      int
	records      int
	idempotent   bool
	legacy       bool
	lastBatch    record.Batch
}

// survey goes over the batches of buf. A batch cut off at the end of buf is left out.
func survey(buf []byte) (surveyed, error) {
	v := surveyed{buf: buf, first: -1, last: -1, maxTimestamp: record.NoTimestamp}
	rest := buf
	for {
		b, next, err := record.Next(rest)
		if err == io.EOF || errors.Is(err, record.ErrTruncated) {
			v.buf = buf[:len(buf)-len(rest)]
			return v, nil
		}
		if err != nil {
			return v, err
		}
		last := b.LastOffset()
		if b.LastOffsetDelta() < 0 {
			return v, fmt.Errorf("%w: last offset delta %d", record.ErrCorrupt, b.LastOffsetDelta())
		}
		if v.batches == 0 {
			v.first, v.exact = b.BaseOffset(), b.Magic() >= record.Magic2
		}
		v.last = last
		v.maxTimestamp = max(v.maxTimestamp, b.MaxTimestamp())
		v.records += max(int(b.Count()), 0)
		v.idempotent = v.idempotent || b.HasProducerID()
		v.legacy = v.legacy || b.Magic() < record.Magic2
		v.lastBatch = b
		v.batches++
		rest = next
	}
}

// AppendAsLeader appends batches that passed record.Validate: it assigns offsets from the log end offset on and the
// leader epoch, in place in buf, checks the producers, and writes buf in one write. On an error nothing became
// visible. buf is not kept.
func (l *Log) AppendAsLeader(buf []byte, o AppendOptions) (AppendInfo, error) {
	info, err := l.appendAsLeader(buf, o)
	if err != nil {
		return info, fmt.Errorf("append to %s: %w", l.tp, err)
	}
	return info, l.flushIfDue(info.LEO)
}

func (l *Log) appendAsLeader(buf []byte, o AppendOptions) (AppendInfo, error) {
	v, err := survey(buf)
	switch {
	case err != nil:
		return AppendInfo{}, err
	case len(v.buf) != len(buf):
		return AppendInfo{}, record.ErrTruncated
	case v.legacy:
		return AppendInfo{}, fmt.Errorf("%w: a leader stores format 2 only", record.ErrInvalidRecord)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.Err(); err != nil {
		return AppendInfo{}, err
	}
	if v.batches == 0 {
		return l.nothingLocked(), nil
	}
	leo := l.leo.Load()
	next := leo
	for rest := buf; len(rest) > 0; {
		var b record.Batch
		b, rest, _ = record.Next(rest)
		b.SetBaseOffset(next)
		b.SetPartitionLeaderEpoch(int32(o.LeaderEpoch))
		next = b.NextOffset()
	}
	v.first, v.last = leo, next-1
	from := fromClient
	if o.FromCoordinator {
		from = fromCoordinator
	}
	return l.appendLocked(&v, from, o.Verified)
}

// AppendAsFollower appends batches fetched from the leader as they are, after checking sizes, CRCs and the order of
// offsets. Whole batches at the front of buf are appended; a cut one at its end is left out.
func (l *Log) AppendAsFollower(buf []byte) (AppendInfo, error) {
	info, err := l.appendAsFollower(buf)
	if err != nil {
		return info, fmt.Errorf("append to %s as follower: %w", l.tp, err)
	}
	return info, l.flushIfDue(info.LEO)
}

func (l *Log) appendAsFollower(buf []byte) (AppendInfo, error) {
	v, err := survey(buf)
	if err != nil {
		return AppendInfo{}, err
	}
	last := int64(-1)
	for rest := v.buf; len(rest) > 0; {
		var b record.Batch
		b, rest, _ = record.Next(rest)
		if err := b.CheckCRC(); err != nil {
			return AppendInfo{}, fmt.Errorf("batch at %d: %w", b.BaseOffset(), err)
		}
		if b.LastOffset() <= last {
			return AppendInfo{}, fmt.Errorf("%w: %d after %d", ErrUnexpectedOffset, b.LastOffset(), last)
		}
		last = b.LastOffset()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.Err(); err != nil {
		return AppendInfo{}, err
	}
	if v.batches == 0 {
		return l.nothingLocked(), nil
	}
	if leo := l.leo.Load(); v.first < leo {
		return AppendInfo{}, &UnexpectedOffsetError{v.first, v.last, leo}
	}
	return l.appendLocked(&v, fromLeader, VerificationGuard{})
}

func (l *Log) nothingLocked() AppendInfo {
	return AppendInfo{FirstOffset: -1, LastOffset: -1, MaxTimestamp: -1, LogAppendTime: -1, LeaderEpoch: meta.NoLeaderEpoch,
		LogStartOffset: l.logStart.Load(), LEO: l.leo.Load()}
}

// appendLocked writes batches whose offsets are final. It needs mu.
func (l *Log) appendLocked(v *surveyed, from origin, guard VerificationGuard) (AppendInfo, error) {
	c := l.Config()
	if len(v.buf) > int(c.SegmentBytes) {
		return AppendInfo{}, fmt.Errorf("%w: %d bytes, %d fit", ErrRecordListTooLarge, len(v.buf), c.SegmentBytes)
	}
	info := AppendInfo{
		FirstOffset:    v.first,
		LastOffset:     v.last,
		MaxTimestamp:   v.maxTimestamp,
		LogAppendTime:  -1,
		LogStartOffset: l.logStart.Load(),
		LeaderEpoch:    meta.LeaderEpoch(v.lastBatch.PartitionLeaderEpoch()),
		Bytes:          len(v.buf),
		Batches:        v.batches,
		Records:        v.records,
	}
	if v.lastBatch.TimestampType() == record.LogAppendTime {
		info.LogAppendTime = v.lastBatch.MaxTimestamp()
	}
	if v.idempotent {
		dup, again, err := l.checkProducersLocked(v, from, guard)
		if err != nil {
			l.mu.producers.reset()
			return AppendInfo{}, err
		}
		if again {
			l.mu.producers.reset()
			info.FirstOffset, info.LastOffset, info.LogAppendTime = dup.firstOffset(), dup.lastOffset, dup.timestamp
			info.Bytes, info.Batches, info.Records, info.Duplicate = 0, 0, 0, true
			info.LEO = l.leo.Load()
			return info, nil
		}
	}
	defer l.mu.producers.reset()
	history := l.epochs.Load()
	seg, err := l.writeLocked(v, c)
	if err != nil {
		if errors.Is(err, ErrDiskFull) && l.epochs.Load() != history {
			// What is appended in its place may be of another epoch.
			l.epochs.Store(history)
			l.mu.epochsDirty = true
			l.env.flushSoon(l)
		}
		return AppendInfo{}, err
	}
	// What holds the last stable offset back must be known before the new end is.
	err = l.mu.producers.commit(&l.txns, v.last+1, seg.addTxn)
	l.leo.Store(v.last + 1)
	info.LEO = v.last + 1
	if err != nil {
		return info, l.failed("append to transaction index", err)
	}
	if dir := l.place.dir; dir.full.Load() && dir.full.Swap(false) {
		l.env.logger.Info("there is room again in a log directory", zap.String("dir", dir.path))
	}
	return info, nil
}

// writeLocked enters the epochs of the batches and writes them to the active segment, a new one if they call for it. It needs mu.
func (l *Log) writeLocked(v *surveyed, c *LogConfig) (*segment, error) {
	if err := l.noteEpochsLocked(v); err != nil {
		return nil, err
	}
	seg := l.active()
	roll, err := seg.shouldRoll(len(v.buf), v.last, v.maxTimestamp, c, l.env.now())
	if err != nil {
		return nil, l.failed("look at the active segment", err)
	}
	if roll {
		first := v.first
		if !v.exact {
			// Only decompression would tell the first offset; this is never above it.
			first = v.last - 1<<31 + 1
		}
		if seg, err = l.rollLocked(first); err != nil {
			return nil, err
		}
	}
	if err := seg.write(v.buf, c.IndexIntervalBytes); err != nil {
		return nil, l.refused("append", err)
	}
	return seg, nil
}

// checkProducersLocked stages what the batches change for their producers. A batch sent again is returned. It needs mu.
func (l *Log) checkProducersLocked(v *surveyed, from origin, guard VerificationGuard) (dup producerBatch, again bool, err error) {
	ps := &l.mu.producers
	for rest := v.buf; len(rest) > 0; {
		var b record.Batch
		b, rest, _ = record.Next(rest)
		if !b.HasProducerID() {
			continue
		}
		id := b.ProducerID()
		if from == fromClient {
			if p := ps.byID[id]; p != nil {
				if dup, again, err = l.sentBefore(p, b); again || err != nil {
					return dup, again, err
				}
			}
		}
		if from != fromLeader && b.IsTransactional() && !b.IsControl() && l.env.tuning.verifyTxns.Load() && ps.stage(id).txnStart < 0 {
			if known := ps.verifying[id]; known == nil || guard.id == 0 || known.guard != guard {
				return dup, false, fmt.Errorf("%w: transaction of producer %d was not verified", ErrInvalidTxnState, id)
			}
		}
		if err := ps.check(b, from); err != nil {
			return dup, false, err
		}
	}
	return dup, false, nil
}

// noteEpochsLocked enters the epochs of the batches in the history. It needs mu.
func (l *Log) noteEpochsLocked(v *surveyed) error {
	if l.mu.epochsOwed {
		if err := l.writeEpochsLocked(l.epochs.Load()); err != nil {
			return err
		}
	}
	latest := l.LatestEpoch()
	if !v.legacy && meta.LeaderEpoch(v.lastBatch.PartitionLeaderEpoch()) == latest && v.batches == 1 {
		return nil
	}
	for rest := v.buf; len(rest) > 0; {
		var b record.Batch
		b, rest, _ = record.Next(rest)
		if b.Magic() < record.Magic2 {
			// Without epochs in the data the history would be wrong from here on: truncation goes back to the high
			// watermark then.
			if e := *l.epochs.Load(); e.clear() {
				if err := l.writeEpochsLocked(&e); err != nil {
					return err
				}
			}
			continue
		}
		if err := l.assignEpochLocked(meta.LeaderEpoch(b.PartitionLeaderEpoch()), b.BaseOffset()); err != nil {
			return err
		}
	}
	return nil
}

// rollLocked closes the active segment and makes a new one, for a first offset not below first. It needs mu.
func (l *Log) rollLocked(first int64) (*segment, error) {
	segs := *l.segments.Load()
	old := segs[len(segs)-1]
	base := max(first, l.leo.Load())
	if base == old.base && old.size.Load() == 0 {
		// Full for its index sizes although empty: make it anew under the sizes of today.
		old.mu.Lock()
		old.removed = true
		old.closeFilesLocked()
		old.mu.Unlock()
		segs = segs[:len(segs)-1]
	} else if base <= old.base {
		return nil, fmt.Errorf("roll %s at %d: the active segment begins at %d", l.tp, base, old.base)
	} else {
		if err := old.seal(); err != nil {
			old.unseal()
			return nil, l.refused("close segment", err)
		}
		if err := l.beforeNextSegmentLocked(old, base); err != nil {
			old.unseal()
			return nil, err
		}
		if err := l.snapshotLocked(base, false); err != nil {
			return nil, err
		}
	}
	fresh, err := createSegment(l.env, l.place, base, l.Config(), "")
	if err != nil {
		if base == old.base {
			return nil, l.failed("create segment", err) // the old one is gone
		}
		old.unseal()
		if err := l.lowerToEndLocked(old); err != nil {
			return nil, err
		}
		return nil, l.refused("create segment", err)
	}
	l.env.metrics.segmentsRolled.Inc()
	l.publish(append(segs[:len(segs):len(segs)], fresh))
	l.env.flushSoon(l)
	return fresh, nil
}

// beforeNextSegmentLocked does what must be durable before a segment beginning at base exists behind the sealed one. In
// general that is nothing, the background flush follows. It needs mu.
func (l *Log) beforeNextSegmentLocked(sealed *segment, base int64) error {
	end, err := sealed.nextOffset()
	if err != nil {
		return l.failed("look at the sealed segment", err)
	}
	if end < base && !l.Config().Compact {
		// A gap between segments, which is rare: a leader makes none but after a truncation. After a power failure it
		// would be taken for a lost end, see loader.reaches, so it has to lie below the recovery point written down.
		if err := l.syncSegments(*l.segments.Load(), true); err != nil {
			return err
		}
		raise(&l.indexedTo, base)
		raise(&l.recoveryPoint, base)
		err := l.checkpointRecoveryPointLocked()
		if errors.Is(err, ErrDiskFull) { // there will be no such segment
			l.recoveryPoint.Store(min(l.recoveryPoint.Load(), l.leo.Load()))
			l.indexedTo.Store(min(l.indexedTo.Load(), sealed.base))
		}
		return err
	}
	if l.recoveryPoint.Load() < base {
		return nil
	}
	// The recovery point passes the old segment by the mere existence of the new one; so its indexes come first.
	if err := sealed.sync(true); err != nil {
		return l.refused("flush", err)
	}
	if l.indexedTo.Load() >= sealed.base {
		raise(&l.indexedTo, base)
	}
	return nil
}

// lowerToEndLocked takes back what was vouched for on behalf of a segment that could not be made. It needs mu.
func (l *Log) lowerToEndLocked(active *segment) error {
	leo := l.leo.Load()
	if l.recoveryPoint.Load() <= leo {
		return nil
	}
	l.recoveryPoint.Store(leo)
	l.indexedTo.Store(min(l.indexedTo.Load(), active.base))
	if err := l.checkpointRecoveryPointLocked(); err != nil {
		return l.failed("take the recovery point back", err)
	}
	return nil
}

func (l *Log) publish(segs []*segment) { l.segments.Store(&segs) }
