package replica

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// move is one replica being copied from its log to a future log in another log directory (KIP-113). Unlike in Kafka, where
// the copy is a follower of its own, what cuts the current log cuts the future one in the same breath, so that whoever
// leads the partition, and in which epoch, does not matter to it. What changes belongs to the worker that has it.
type move struct {
	p        *Partition
	from, to *storage.Log

	// copying is held while records go from one log to the other, and while both are cut: what was read before a truncation
	// must not be written after it. Taken with Partition.mu held, at least for reading.
	copying sync.Mutex

	// agrees: the future log is a beginning of the current one. It is made so first, because the current log may have been cut
	// while the future one was out of reach.
	agrees bool
	until  time.Time // when the next attempt is due; zero: now

	lag    atomic.Int64 // offsets that the future log lacks; -1 unknown. Read by metrics
	failed atomic.Bool  // no worker has it any more, because of an error. Read by metrics
}

func newMove(p *Partition, from, to *storage.Log) *move {
	mv := &move{p: p, from: from, to: to}
	mv.lag.Store(-1)
	return mv
}

var (
	// errMoveEnded: the replica is not being moved, or not in this move, any more.
	errMoveEnded = errors.New("move ended")
	// errNotYet: the future log lacks too much to take the place of the current one.
	errNotYet = errors.New("not caught up")
)

// finishPieces is how many pieces may have come in addition when the partition's writers are made to wait for the last of
// it. At replica.fetch.max.bytes' default of 1 MiB that is a tenth of a second's work, and more than comes during it.
const finishPieces = 16

// step copies one piece and returns its size. caughtUp says that not more than another is left.
func (mv *move) step(buf []byte) (n int, caughtUp bool, _ []byte, err error) {
	p, piece := mv.p, mv.p.m.cfg.FetchMaxBytes
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.mu.move != mv {
		return 0, false, buf, errMoveEnded
	}
	n, buf, err = mv.copyLocked(piece, buf)
	if err != nil {
		return n, false, buf, err
	}
	lag := mv.from.LogEndOffset() - mv.to.LogEndOffset()
	mv.lag.Store(lag)
	return n, lag == 0 || mv.from.BytesBetween(mv.to.LogEndOffset(), mv.from.LogEndOffset()) <= int64(piece), buf, nil
}

// copyLocked copies one piece; Partition.mu is held, at least for reading.
func (mv *move) copyLocked(max int, buf []byte) (int, []byte, error) {
	mv.copying.Lock()
	defer mv.copying.Unlock()
	if err := errors.Join(mv.from.Err(), mv.to.Err()); err != nil {
		return 0, buf, err
	}
	if !mv.agrees {
		if err := mv.agree(); err != nil {
			return 0, buf, err
		}
		mv.agrees = true
	}
	start, end := mv.from.LogStartOffset(), mv.from.LogEndOffset()
	if mv.to.LogEndOffset() < start { // retention was faster
		if err := mv.to.TruncateFullyAndStartAt(start); err != nil {
			return 0, buf, err
		}
	}
	n := 0
	if at := mv.to.LogEndOffset(); at < end {
		r, err := mv.from.Read(at, max, end, true)
		if errors.Is(err, storage.ErrOffsetOutOfRange) {
			return 0, buf, nil // retention was faster; it is looked again where the log begins
		}
		if err != nil {
			return 0, buf, err
		}
		if n = r.Slice.Len; n > cap(buf) {
			buf = make([]byte, n) // bounded: it lies in one segment file
		}
		buf = buf[:n]
		if n > 0 {
			_, err = r.Slice.ReadAt(buf, 0)
		}
		r.Slice.Release()
		if err == nil && n > 0 {
			n, err = appendAsFollower(mv.to, buf)
		}
		if err != nil {
			return n, buf, err
		}
		if n == 0 {
			return 0, buf, fmt.Errorf("%s: nothing to copy at %d of %d: %w", mv.p.tp, at, end, storage.ErrUnexpectedOffset)
		}
	}
	hw := mv.to.SetHighWatermark(mv.from.HighWatermark())
	if start > mv.to.LogStartOffset() && start <= hw {
		if _, err := mv.to.AdvanceLogStartOffset(start); err != nil {
			return n, buf, err
		}
	}
	return n, buf, nil
}

// agree cuts the future log to the longest beginning that it has in common with the current one, by leader epochs as a follower
// does (KIP-101, KIP-279). Without epochs what was known to be committed is all that can be trusted, as in Kafka.
func (mv *move) agree() error {
	for {
		epoch, leo := mv.to.LatestEpoch(), mv.to.LogEndOffset()
		if epoch == meta.NoLeaderEpoch {
			_, err := mv.to.TruncateTo(min(mv.to.HighWatermark(), mv.from.LogEndOffset()))
			return err
		}
		theirs, end := mv.from.EndOffsetForEpoch(epoch)
		if end < 0 { // the current log knows nothing that is not newer
			_, err := mv.to.TruncateTo(min(mv.to.HighWatermark(), mv.from.LogEndOffset()))
			return err
		}
		own, ownEnd := mv.to.EndOffsetForEpoch(theirs)
		t := truncateTo(epochEnd{theirs, end}, epochEnd{own, ownEnd}, leo, leo)
		if _, err := mv.to.TruncateTo(t.offset); err != nil {
			return err
		}
		if t.done {
			return nil
		}
	}
}

// cut is told that the current log was cut to offset, or starts over there, and does the same to the future one. copying is
// held. An error is that of the future log's directory, which has told who has to know.
func (mv *move) cut(offset int64, startOver bool) {
	if startOver {
		_ = mv.to.TruncateFullyAndStartAt(offset)
		return
	}
	if offset < mv.to.LogEndOffset() {
		_, _ = mv.to.TruncateTo(offset)
	}
}

// cuttingLocked keeps copying out while the current log is cut. done is called with the outcome. mu is held, at least for
// reading.
func (p *Partition) cuttingLocked(startOver bool) (done func(offset int64, err error)) {
	mv := p.mu.move
	if mv == nil {
		return func(int64, error) {}
	}
	mv.copying.Lock()
	return func(offset int64, err error) {
		if err == nil {
			mv.cut(offset, startOver)
		} else {
			mv.agrees = false // nobody knows how far the cut went
		}
		mv.copying.Unlock()
	}
}

// finish puts the future log in the place of the current one, if no more than a piece is left to copy. Writers and readers of
// the partition wait meanwhile.
func (mv *move) finish(buf []byte) (n int, _ []byte, err error) {
	p, m := mv.p, mv.p.m
	if err := mv.to.Flush(); err != nil { // most of it, while nobody waits
		return 0, buf, err
	}
	m.control.Lock()
	defer m.control.Unlock()
	n, buf, err = mv.finishControlled(buf)
	m.moveFetchesLocked()
	if err == nil {
		p.roleChanged()
	}
	return n, buf, err
}

// finishControlled needs control.
func (mv *move) finishControlled(buf []byte) (n int, _ []byte, err error) {
	p := mv.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.move != mv {
		return 0, buf, errMoveEnded
	}
	for mv.to.LogEndOffset() < mv.from.LogEndOffset() || !mv.agrees {
		if n >= finishPieces*p.m.cfg.FetchMaxBytes {
			return n, buf, errNotYet
		}
		var copied int
		copied, buf, err = mv.copyLocked(p.m.cfg.FetchMaxBytes, buf)
		n += copied
		if err != nil {
			return n, buf, err
		}
	}
	if err := p.m.logs.ReplaceWithFuture(p.tp); err != nil {
		return n, buf, err
	}
	p.mu.log, p.mu.move = mv.to, nil
	if p.mu.fetch != nil {
		p.fetchLocked() // into the new log from now on
	}
	p.m.logger.Info("replica moved to another log directory", zap.String("topic", p.tp.Topic), zap.Int32("partition", p.tp.Partition),
		zap.String("from", mv.from.Dir()), zap.String("dir", mv.to.Dir()), zap.Int64("leo", mv.to.LogEndOffset()))
	return n, buf, nil
}

// resumeMoveLocked goes on with a move that an earlier life of the broker, or of the replica, has left behind; mu and control
// are held.
func (p *Partition) resumeMoveLocked() {
	if mv := p.mu.move; mv != nil && !mv.failed.Load() {
		return
	}
	future, ok := p.m.logs.FutureLog(p.tp)
	if !ok {
		return
	}
	id := future.TopicID()
	if future.Dir() != p.mu.log.Dir() && (id.IsZero() || p.mu.topicID.IsZero() || id == p.mu.topicID) {
		p.startMoveLocked(future)
		return
	}
	// Of another topic of that name, or on its way to where the replica was made anew meanwhile.
	p.mu.move = nil
	if err := p.m.logs.DeleteFuture(p.tp); err != nil {
		p.m.logger.Error("a future log that is of no use could not be deleted", zap.String("topic", p.tp.Topic),
			zap.Int32("partition", p.tp.Partition), zap.Error(err))
	}
}

// startMoveLocked hands a future log to the movers; mu and control are held.
func (p *Partition) startMoveLocked(future *storage.Log) {
	p.mu.move = newMove(p, p.mu.log, future)
	p.m.movers.add(p.mu.move)
}
