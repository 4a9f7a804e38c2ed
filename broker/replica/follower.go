package replica

import (
	"errors"
	"fmt"
	"slices"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage"
)

// appendFetched takes in a leader's answer to a fetch at offset at: the records as they are, then the leader's high
// watermark as far as this log reaches, which may be less than before, then its log start offset. It returns the
// number of bytes appended.
func (p *Partition) appendFetched(s *fetchState, at int64, a *ReplyPartition) (int, error) {
	p.mu.RLock()
	log, err := p.followedLocked(s)
	if err != nil {
		p.mu.RUnlock()
		return 0, err
	}
	if leo := log.LogEndOffset(); leo != at {
		p.mu.RUnlock()
		return 0, fmt.Errorf("%s: records for offset %d, the log ends at %d: %w", p.tp, at, leo, storage.ErrUnexpectedOffset)
	}
	bytes := 0
	if len(a.Records) > 0 {
		bytes, err = appendAsFollower(log, a.Records)
	}
	if err != nil {
		p.mu.RUnlock()
		return bytes, err
	}
	adding := slices.Contains(p.mu.adding, p.m.id)
	start := log.LogStartOffset()
	old := log.HighWatermark()
	hw := old
	if want := max(min(a.HighWatermark, log.LogEndOffset()), start); want != old {
		hw = log.SetHighWatermark(want)
	}
	// A start above this log's end is not adopted here: the next fetch is out of range and moves the whole log.
	if a.LogStartOffset > start && a.LogStartOffset <= hw {
		_, err = log.AdvanceLogStartOffset(a.LogStartOffset)
	}
	p.mu.RUnlock()

	p.m.metrics.topics.countCopied(bytes, adding)
	p.leoWaiters.reached(log.LogEndOffset())
	if hw != old {
		p.visibleMoved(log)
	}
	return bytes, err
}

// appendAsFollower appends fetched batches, in one piece wherever possible.
func appendAsFollower(log *storage.Log, records []byte) (int, error) {
	info, err := log.AppendAsFollower(records)
	var below *storage.UnexpectedOffsetError
	switch {
	case err == nil:
	case errors.As(err, &below) && log.LogStartOffset() == below.LEO && below.First < below.LEO && below.Last >= below.LEO:
		// After a DeleteRecords the leader's log may start inside a batch. A follower with nothing in its log has to
		// begin with that whole batch; the log start offset comes with the same answer.
		if err = log.TruncateFullyAndStartAt(below.First); err == nil {
			info, err = log.AppendAsFollower(records)
		}
	case errors.Is(err, storage.ErrRecordListTooLarge):
		return appendInPieces(log, records)
	}
	return info.Bytes, err
}

// appendInPieces appends batches one by one, because together they are larger than a segment may be: segment.bytes was
// lowered since the leader wrote them.
func appendInPieces(log *storage.Log, records []byte) (int, error) {
	total := 0
	for len(records) > 0 {
		batch, rest, err := record.Next(records)
		if errors.Is(err, record.ErrTruncated) {
			break // the cut batch at the end
		}
		if err != nil {
			return total, err
		}
		info, err := log.AppendAsFollower(batch)
		total += info.Bytes
		if err != nil {
			return total, err
		}
		records = rest
	}
	return total, nil
}

// truncateFollower cuts the log of a follower to offset.
func (p *Partition) truncateFollower(s *fetchState, offset int64) error {
	p.mu.RLock()
	log, err := p.followedLocked(s)
	cut := false
	if err == nil {
		done := p.cuttingLocked(false)
		cut, err = log.TruncateTo(offset)
		done(offset, err)
	}
	p.mu.RUnlock()
	if cut {
		p.roleChanged() // who reads here may stand above the end now
	}
	return err
}

// restartFollower drops the whole log of a follower, which the leader's has left behind, and begins at offset.
func (p *Partition) restartFollower(s *fetchState, offset int64) error {
	p.mu.RLock()
	log, err := p.followedLocked(s)
	if err == nil {
		done := p.cuttingLocked(true)
		err = log.TruncateFullyAndStartAt(offset)
		done(offset, err)
	}
	p.mu.RUnlock()
	if err == nil {
		p.roleChanged()
	}
	return err
}

// ownEpochEnd is the follower's own lookup of an epoch.
func (s *fetchState) ownEpochEnd(d Divergence) epochEnd {
	epoch, end := s.log.EndOffsetForEpoch(d.Epoch)
	return epochEnd{epoch: epoch, end: end}
}
