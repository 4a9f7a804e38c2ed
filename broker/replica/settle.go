package replica

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// settle brings the logs that cannot be fetched into yet to agree with the leader's.
func (f *fetcher) settle(ctx context.Context) {
	if len(f.unsettled) == 0 {
		return
	}
	var byEpoch, byWatermark, lost []*fetchState
	for s := range f.unsettled {
		switch {
		case s.stage == outOfRange:
			lost = append(lost, s)
		case f.m.cfg.Protocol.EpochLookup && s.log.LatestEpoch() != meta.NoLeaderEpoch:
			byEpoch = append(byEpoch, s)
		default:
			byWatermark = append(byWatermark, s)
		}
	}
	for _, s := range byWatermark {
		// There are no epochs to compare: what was known to be committed is all that can be trusted.
		f.settled(s, s.p.truncateFollower(s, s.cutTo), true)
	}
	if len(byEpoch) > 0 {
		f.truncateByEpoch(ctx, byEpoch)
	}
	if len(lost) > 0 {
		f.findRange(ctx, lost)
	}
}

// settled goes on after one step for a partition: with fetching if that was the last one.
func (f *fetcher) settled(s *fetchState, err error, done bool) {
	if errors.Is(err, storage.ErrDiskFull) {
		f.noRoom(s, err)
		return
	}
	if err != nil {
		f.fail(s, err)
		return
	}
	s.tries = 0
	if done {
		delete(f.unsettled, s)
		s.stage = fetching
		f.resume(s)
	}
}

// truncateByEpoch asks the leader where the latest epoch of each partition ends and cuts to that (KIP-101, KIP-279).
func (f *fetcher) truncateByEpoch(ctx context.Context, states []*fetchState) {
	asks := make([]EpochAsk, len(states))
	for i, s := range states {
		asks[i] = EpochAsk{Partition: s.p.tp, CurrentLeaderEpoch: s.epoch, Epoch: s.log.LatestEpoch()}
	}
	replies, err := f.leader.EpochEnds(ctx, asks)
	if err != nil {
		f.unanswered(ctx, err)
		return
	}
	for i, s := range states {
		if err := replies[i].Err; err != nil {
			f.refused(s, err)
			continue
		}
		t := truncateTo(epochEnd{replies[i].Epoch, replies[i].EndOffset}, s.ownEpochEnd(replies[i].Divergence), s.cutTo, s.log.LogEndOffset())
		f.settled(s, s.p.truncateFollower(s, t.offset), t.done)
	}
}

// truncateDiverged cuts what the leader says is not its history (KIP-595). If the leader named an epoch that is unknown
// here, the next fetch carries the one before it and may be told to go back further.
func (f *fetcher) truncateDiverged(s *fetchState, at int64, d Divergence) error {
	t := truncateTo(epochEnd{d.Epoch, d.EndOffset}, s.ownEpochEnd(d), at, s.log.LogEndOffset())
	f.log.Info("this replica's log differs from the leader's", zap.String("topic", s.p.tp.Topic), zap.Int32("partition", s.p.tp.Partition),
		zap.Int32("leader_epoch", int32(s.epoch)), zap.Int32("diverging_epoch", int32(d.Epoch)), zap.Int64("its_end", d.EndOffset),
		zap.Int64("leo", s.log.LogEndOffset()), zap.Int64("offset", t.offset))
	return s.p.truncateFollower(s, t.offset)
}

// findRange asks where the leader's logs begin and end, for replicas that are outside of that.
func (f *fetcher) findRange(ctx context.Context, states []*fetchState) {
	ends, err := f.offsets(ctx, Latest, states)
	if err != nil {
		f.unanswered(ctx, err)
		return
	}
	var behind []*fetchState
	for i, s := range states {
		leo := s.log.LogEndOffset()
		switch {
		case ends[i].Err != nil:
			f.refused(s, ends[i].Err)
		case ends[i].Offset < leo:
			// An unclean election made a leader that has less, and its log start is beyond what epochs could tell.
			f.log.Warn("the leader's log ends before this replica's: cutting what it lacks", zap.String("topic", s.p.tp.Topic),
				zap.Int32("partition", s.p.tp.Partition), zap.Int64("offset", ends[i].Offset), zap.Int64("leo", leo))
			f.settled(s, s.p.truncateFollower(s, ends[i].Offset), true)
		default:
			behind = append(behind, s)
		}
	}
	if len(behind) == 0 {
		return
	}
	starts, err := f.offsets(ctx, Earliest, behind)
	if err != nil {
		f.unanswered(ctx, err)
		return
	}
	for i, s := range behind {
		leo := s.log.LogEndOffset()
		switch {
		case starts[i].Err != nil:
			f.refused(s, starts[i].Err)
		case starts[i].Offset > leo:
			f.log.Warn("the leader's log begins after this replica's end: starting over", zap.String("topic", s.p.tp.Topic),
				zap.Int32("partition", s.p.tp.Partition), zap.Int64("offset", starts[i].Offset), zap.Int64("leo", leo))
			f.settled(s, s.p.restartFollower(s, starts[i].Offset), true)
		default:
			f.settled(s, nil, true) // it has caught up with the range meanwhile
		}
	}
}

func (f *fetcher) offsets(ctx context.Context, which int64, states []*fetchState) ([]OffsetReply, error) {
	asks := make([]EpochAsk, len(states))
	for i, s := range states {
		asks[i] = EpochAsk{Partition: s.p.tp, CurrentLeaderEpoch: s.epoch, Epoch: meta.NoLeaderEpoch}
	}
	return f.leader.Offsets(ctx, which, asks)
}
