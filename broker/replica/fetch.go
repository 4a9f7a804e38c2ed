package replica

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage"
)

// fetch makes one request for all that may be fetched and takes in the answer.
func (f *fetcher) fetch(ctx context.Context) {
	f.sweep()
	if f.holdBack(); f.session.len() == 0 {
		return
	}
	c := &f.m.cfg
	q := &f.query
	q.BrokerEpoch = f.m.BrokerEpoch()
	q.MaxWait, q.MinBytes, q.MaxBytes = f.untilDue(c.FetchWaitMax), c.FetchMinBytes, c.FetchResponseMaxBytes
	if len(f.unsettled) > 0 {
		q.MaxWait = 0
	}
	f.session.next(q, func(s *fetchState) FetchPartition { return s.wish(c) })
	f.requests.Add(1)
	reply, err := f.leader.Fetch(ctx, q)
	if err != nil {
		f.session.failed(err)
		if lost := errors.Is(err, ErrFetchSession) || errors.Is(err, ErrFetchSessionUnknown); lost && !f.resynced {
			f.resynced = true // a new one at once; only if that fails too, not before a pause
			return
		}
		f.unanswered(ctx, err)
		return
	}
	if f.failures > 0 {
		f.log.Info("fetching from the leader again", zap.Int("partitions", f.session.len()))
		f.failures = 0
	}
	f.resynced = false
	f.session.answered(reply.SessionID)
	for i := range reply.Partitions {
		f.take(&reply.Partitions[i])
	}
	if reply.Free != nil {
		reply.Free()
	}
}

// take handles the answer for one partition.
func (f *fetcher) take(a *ReplyPartition) {
	e := f.session.find(a)
	if e == nil {
		return
	}
	s := e.state
	var err error
	switch {
	case a.Err != nil:
		f.refused(s, a.Err)
		return
	case a.Diverging != nil:
		err = f.truncateDiverged(s, e.asked.Offset, *a.Diverging)
	default:
		err = f.append(s, e.asked.Offset, a)
	}
	switch {
	case err == nil:
		s.tries = 0
		f.session.touch(e, len(a.Records) > 0)
	case errors.Is(err, record.ErrCorrupt), errors.Is(err, record.ErrInvalidRecord):
		f.log.Error("fetched records are unusable; fetching them again", zap.String("topic", s.p.tp.Topic), zap.Int32("partition", s.p.tp.Partition),
			zap.Int64("offset", e.asked.Offset), zap.Error(err))
		f.delay(s, err)
	case errors.Is(err, storage.ErrDiskFull):
		f.noRoom(s, err)
	default:
		f.fail(s, err)
	}
}

// noRoom lets a partition rest whose log directory is full; the directory says so itself.
func (f *fetcher) noRoom(s *fetchState, err error) {
	if s.tries == 0 {
		f.log.Warn("no room for what the leader has; trying again", zap.String("topic", s.p.tp.Topic), zap.Int32("partition", s.p.tp.Partition),
			zap.Int64("leo", s.log.LogEndOffset()), zap.Error(err))
	}
	f.delay(s, err)
}

// append writes what came and notes how far behind the leader this replica is.
func (f *fetcher) append(s *fetchState, at int64, a *ReplyPartition) error {
	n, err := s.p.appendFetched(s, at, a)
	f.copied.Add(int64(n))
	if f.m.followerQuota.Throttled(s.p.tp.Topic, s.p.tp.Partition) {
		f.m.followerQuota.Record(n, f.m.clock())
	}
	if err == nil {
		s.lag.Store(max(0, a.HighWatermark-s.log.LogEndOffset()))
	}
	return err
}

// refused handles an error of one partition, in whatever request.
func (f *fetcher) refused(s *fetchState, err error) {
	fields := []zap.Field{zap.String("topic", s.p.tp.Topic), zap.Int32("partition", s.p.tp.Partition), zap.Int32("leader_epoch", int32(s.epoch)), zap.Error(err)}
	switch {
	case errors.Is(err, storage.ErrOffsetOutOfRange):
		f.log.Info("the leader does not have the offset that this replica is at", append(fields, zap.Int64("leo", s.log.LogEndOffset()))...)
		f.leaveFetch(s, outOfRange)
	case errors.Is(err, ErrFencedLeaderEpoch):
		// The leader is in a newer epoch, of which the controller is about to tell us. In this one nothing more can come.
		f.log.Debug("a newer leader epoch has begun; waiting to be told", fields...)
		f.drop(s)
		s.failed.Store(true)
	default:
		level := zap.DebugLevel
		if !passing(err) && s.tries == 0 || passing(err) && s.tries == tooManyTries {
			level = zap.InfoLevel
		}
		f.log.Log(level, "the leader refuses to be copied from; trying again", append(fields, zap.Int("tries", s.tries))...)
		f.delay(s, err)
	}
}

// tooManyTries is when an error that should pass has not, and is worth a line in the log.
const tooManyTries = 8

// sweep looks for partitions whose log start offset was raised here, by retention: nothing else of a partition's
// wish changes without an answer of the leader.
func (f *fetcher) sweep() {
	now := f.m.clock()
	if now.Sub(f.swept) < sweepInterval {
		return
	}
	f.swept = now
	for _, e := range f.session.byName {
		if e.asked.LogStart != e.state.log.LogStartOffset() {
			f.session.touch(e, false)
		}
	}
}
