package replica

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Deletion is one partition of a DeleteRecords, and its outcome.
type Deletion struct {
	Partition meta.TopicPartition
	Before    int64 // delete what lies below; -1: below the high watermark

	LowWatermark int64 // smallest log start offset among the live replicas; -1 on error
	Err          error

	p *Partition
}

// DeleteRecords raises log start offsets at once and waits, up to timeout, until all live replicas have followed.
func (m *Manager) DeleteRecords(ctx context.Context, timeout time.Duration, deletions []Deletion) {
	for i := range deletions {
		d := &deletions[i]
		d.LowWatermark = -1
		if d.p, d.Err = m.partition(d.Partition); d.Err == nil {
			d.Err = d.p.deleteRecords(d)
		}
	}
	defer m.metrics.waits(waitingDeleteRecords)()
	m.lowWatermarkWaiters.Add(1)
	defer m.lowWatermarkWaiters.Add(-1)
	wake := newWaiter()
	waits := make([]wait, len(deletions))
	defer func() {
		for i := range waits {
			waits[i].remove()
		}
	}()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	expired := timeout <= 0
	for {
		open := false
		for i := range deletions {
			d := &deletions[i]
			if d.Err != nil || d.LowWatermark >= d.Before {
				continue
			}
			waits[i].waiter = wake
			d.p.hwWaiters.add(&waits[i], math.MaxInt64) // woken by every follower's progress, not by an offset
			if d.LowWatermark, d.Err = d.p.lowWatermark(); d.Err != nil || d.LowWatermark >= d.Before {
				continue
			}
			if expired {
				d.LowWatermark, d.Err = -1, fmt.Errorf("%s: %w", d.Partition, ErrTimedOut)
				continue
			}
			open = true
		}
		if !open {
			return
		}
		select {
		case <-wake.c:
		case <-timer.C:
			expired = true
		case <-ctx.Done():
			expired = true
		}
	}
}

func (p *Partition) deleteRecords(d *Deletion) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	log, err := p.leaderLogLocked()
	if err != nil {
		return err
	}
	if !log.Config().Delete {
		return fmt.Errorf("%s: records of a topic that is only compacted cannot be deleted: %w", p.tp, ErrPolicyViolation)
	}
	hw := log.HighWatermark()
	if d.Before == -1 {
		d.Before = hw
	}
	if d.Before < 0 || d.Before > hw {
		return fmt.Errorf("%s: %w", p.tp, &storage.OffsetError{Offset: d.Before, Start: log.LogStartOffset(), End: hw})
	}
	if _, err := log.AdvanceLogStartOffset(d.Before); err != nil {
		return fmt.Errorf("delete records of %s before %d: %w", p.tp, d.Before, err)
	}
	p.watchers.mark(true)
	p.leoWaiters.wakeAll() // followers are to take the new start over now, not with their next records
	return nil
}

// lowWatermark is the smallest log start offset among the live replicas of a leader.
func (p *Partition) lowWatermark() (int64, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	log, err := p.leaderLogLocked()
	if err != nil {
		return -1, err
	}
	low := log.LogStartOffset()
	snapshot := p.m.metadata.Load()
	p.followers.Lock()
	defer p.followers.Unlock()
	for id, f := range p.followers.progress {
		if snapshot.Alive(id) {
			low = min(low, f.logStart)
		}
	}
	return low, nil
}
