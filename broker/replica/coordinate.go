package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// A coordinator keeps in memory what a partition's log says, and adds to it. That holds as long as this broker leads without
// interruption since the epoch in which the coordinator read the log: a follower may have to cut its log. So what it asks of
// the partition names that epoch, and is refused once the reign is another.

// inReignLocked refuses unless this broker has led since epoch or before; mu is held.
func (p *Partition) inReignLocked(epoch meta.LeaderEpoch) (*storage.Log, error) {
	log, err := p.leaderLogLocked()
	switch {
	case err != nil:
		return nil, err
	case p.mu.reign > epoch:
		return nil, p.leaderErrorLocked(ErrFencedLeaderEpoch)
	case p.mu.leaderEpoch < epoch:
		return nil, fmt.Errorf("%s: epoch %d: %w", p.tp, epoch, ErrUnknownLeaderEpoch)
	}
	return log, nil
}

// Reigns returns the ends of the log and the present epoch of a partition that this broker has led since epoch.
func (m *Manager) Reigns(tp meta.TopicPartition, epoch meta.LeaderEpoch) (logStart, leo int64, now meta.LeaderEpoch, err error) {
	p, err := m.partition(tp)
	if err != nil {
		return -1, -1, meta.NoLeaderEpoch, err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	log, err := p.inReignLocked(epoch)
	if err != nil {
		return -1, -1, meta.NoLeaderEpoch, err
	}
	return log.LogStartOffset(), log.LogEndOffset(), p.mu.leaderEpoch, nil
}

// AwaitReplicated returns nil once offset last of a partition that this broker has led since epoch is on all in-sync replicas.
func (m *Manager) AwaitReplicated(ctx context.Context, tp meta.TopicPartition, epoch meta.LeaderEpoch, last int64) error {
	p, err := m.partition(tp)
	if err != nil {
		return err
	}
	p.mu.RLock()
	_, err = p.inReignLocked(epoch)
	reign := p.mu.reign
	p.mu.RUnlock()
	if err != nil {
		return err
	}
	w := &Pending{p: p, reign: reign, end: last + 1}
	m.Await(ctx, longerThanAnyWait, []*Pending{w})
	return w.Err
}

// StartVerification begins the verification of a producer's transaction before its first batch in a partition this broker leads
// (KIP-890). needed is false if the transaction is open there already. The guard goes with the append.
func (m *Manager) StartVerification(tp meta.TopicPartition, producerID int64, producerEpoch int16, baseSequence int32) (guard storage.VerificationGuard, needed bool, err error) {
	p, err := m.partition(tp)
	if err != nil {
		return guard, false, err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	log, err := p.leaderLogLocked()
	if err != nil {
		return guard, false, err
	}
	guard = log.StartVerification(producerID, producerEpoch, baseSequence)
	return guard, guard != storage.VerificationGuard{}, nil
}

// longerThanAnyWait is the timeout of waits that end with their ctx.
const longerThanAnyWait = 24 * time.Hour

// ReadLed reads whole batches of a partition that this broker has led since epoch: from the one that holds offset from, up to
// the log end, about maxBytes but at least one batch. next is where to go on; from itself if there is nothing.
func (m *Manager) ReadLed(tp meta.TopicPartition, epoch meta.LeaderEpoch, from int64, maxBytes int) (batches []byte, next int64, err error) {
	p, err := m.partition(tp)
	if err != nil {
		return nil, from, err
	}
	p.mu.RLock()
	log, err := p.inReignLocked(epoch)
	p.mu.RUnlock()
	if err != nil {
		return nil, from, err
	}
	leo := log.LogEndOffset()
	info, err := log.Read(from, maxBytes, leo, true)
	if err != nil {
		return nil, from, fmt.Errorf("read %s at %d: %w", tp, from, err)
	}
	defer info.Slice.Release()
	if info.Slice.Len == 0 {
		return nil, leo, nil // compaction removed the rest
	}
	buf := make([]byte, info.Slice.Len)
	if _, err := info.Slice.ReadAt(buf, 0); err != nil && err != io.EOF {
		return nil, from, fmt.Errorf("read %s at %d: %w", tp, from, err)
	}
	return wholeBatches(buf, from)
}

// wholeBatches cuts buf behind its last whole batch and says where the next begins.
func wholeBatches(buf []byte, from int64) (batches []byte, next int64, err error) {
	next = from
	rest := buf
	for {
		b, after, err := record.Next(rest)
		switch {
		case err == io.EOF, errors.Is(err, record.ErrTruncated):
			return buf[:len(buf)-len(rest)], next, nil
		case err != nil:
			return nil, from, err
		}
		next, rest = max(next, b.NextOffset()), after
	}
}
