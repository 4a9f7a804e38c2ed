// Package coordtest has a journal in memory, for tests of coordinators.
package coordtest

import (
	"context"
	"fmt"
	"sync"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Journal is a [coord.Journal] in memory. A partition is led from Lead to Resign, and everything appended is replicated at once
// unless Hold said otherwise. Logs outlive leaderships, so that several coordinators can take turns over one Journal.
type Journal struct {
	mu struct {
		sync.Mutex
		parts   map[meta.TopicPartition]*partition
		changed chan struct{} // closed and replaced whenever something changes that Await waits for
	}
}

type partition struct {
	leads   bool
	epoch   meta.LeaderEpoch
	reign   meta.LeaderEpoch // the epoch in which the present leadership began
	batches []record.Batch
	end     int64
	hw      int64
	held    bool
	fail    error
	loadErr error
}

// New returns a journal of empty logs that nobody leads.
func New() *Journal {
	j := new(Journal)
	j.mu.parts = make(map[meta.TopicPartition]*partition)
	j.mu.changed = make(chan struct{})
	return j
}

func (j *Journal) with(tp meta.TopicPartition, f func(p *partition)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := j.mu.parts[tp]
	if p == nil {
		p = &partition{epoch: meta.NoLeaderEpoch}
		j.mu.parts[tp] = p
	}
	f(p)
	close(j.mu.changed)
	j.mu.changed = make(chan struct{})
}

// Lead begins a leadership, or takes the present one into a later epoch.
func (j *Journal) Lead(tp meta.TopicPartition, epoch meta.LeaderEpoch) {
	j.with(tp, func(p *partition) {
		if !p.leads {
			p.reign = epoch
		}
		p.leads, p.epoch = true, epoch
	})
}

// Resign ends the leadership.
func (j *Journal) Resign(tp meta.TopicPartition) { j.with(tp, func(p *partition) { p.leads = false }) }

// Hold stops replication until Release.
func (j *Journal) Hold(tp meta.TopicPartition) { j.with(tp, func(p *partition) { p.held = true }) }

// Release lets replication go on.
func (j *Journal) Release(tp meta.TopicPartition) {
	j.with(tp, func(p *partition) { p.held, p.hw = false, p.end })
}

// Fail makes appends fail with err, until it is nil.
func (j *Journal) Fail(tp meta.TopicPartition, err error) {
	j.with(tp, func(p *partition) { p.fail = err })
}

// FailReads makes reads fail with err, until it is nil.
func (j *Journal) FailReads(tp meta.TopicPartition, err error) {
	j.with(tp, func(p *partition) { p.loadErr = err })
}

// Truncate loses everything from offset on, as a follower of a leader that never had it does.
func (j *Journal) Truncate(tp meta.TopicPartition, offset int64) {
	j.with(tp, func(p *partition) {
		for len(p.batches) > 0 && p.batches[len(p.batches)-1].LastOffset() >= offset {
			p.batches = p.batches[:len(p.batches)-1]
		}
		p.end = 0
		if n := len(p.batches); n > 0 {
			p.end = p.batches[n-1].NextOffset()
		}
		p.hw = min(p.hw, p.end)
	})
}

// Mark appends a transaction marker and returns its offset.
func (j *Journal) Mark(tp meta.TopicPartition, producerID int64, producerEpoch int16, committed bool) (offset int64) {
	m := record.EndTxnMarker{Type: record.ControlAbort}
	if committed {
		m.Type = record.ControlCommit
	}
	buf, err := record.AppendEndTxn(nil, m, producerID, producerEpoch, 0)
	if err != nil {
		panic(err)
	}
	j.with(tp, func(p *partition) { offset = p.write(buf) })
	return offset
}

func (p *partition) write(b record.Batch) (first int64) {
	first = p.end
	b.SetBaseOffset(first)
	b.SetPartitionLeaderEpoch(int32(p.epoch))
	p.batches = append(p.batches, b)
	p.end = b.NextOffset()
	if !p.held {
		p.hw = p.end
	}
	return first
}

// Entry is one record of a log.
type Entry struct {
	coord.Record
	At            coord.Position
	ProducerID    int64
	ProducerEpoch int16
	Transactional bool
	Control       bool
	Batch         int // number of its batch in the log
}

// Log returns what was appended.
func (j *Journal) Log(tp meta.TopicPartition) []Entry {
	var all []Entry
	j.with(tp, func(p *partition) {
		for i, b := range p.batches {
			for r, err := range b.Records(nil) {
				if err != nil {
					panic(err)
				}
				all = append(all, Entry{Record: coord.Record{Key: r.Key, Value: r.Value, Timestamp: r.Timestamp},
					At:         coord.Position{LeaderEpoch: meta.LeaderEpoch(b.PartitionLeaderEpoch()), Offset: r.Offset},
					ProducerID: b.ProducerID(), ProducerEpoch: b.ProducerEpoch(), Transactional: b.IsTransactional(), Control: b.IsControl(), Batch: i})
			}
		}
	})
	return all
}

func (p *partition) check(tp meta.TopicPartition, epoch meta.LeaderEpoch) error {
	if !p.leads || p.reign > epoch || p.epoch < epoch {
		return fmt.Errorf("%s in epoch %d: %w", tp, epoch, coord.ErrNotCoordinator)
	}
	return nil
}

// Append implements [coord.Journal].
func (j *Journal) Append(tp meta.TopicPartition, epoch meta.LeaderEpoch, b coord.Batch) (first coord.Position, last int64, err error) {
	buf, err := b.Encode(nil, record.None)
	if err != nil {
		return coord.NoPosition, -1, err
	}
	j.with(tp, func(p *partition) {
		if err = p.check(tp, epoch); err == nil {
			err = p.fail
		}
		if err != nil {
			return
		}
		first = coord.Position{LeaderEpoch: p.epoch, Offset: p.write(buf)}
		last = p.end - 1
	})
	return first, last, err
}

// Await implements [coord.Journal].
func (j *Journal) Await(ctx context.Context, tp meta.TopicPartition, epoch meta.LeaderEpoch, last int64) error {
	for {
		var done bool
		var err error
		j.mu.Lock()
		changed := j.mu.changed
		if p := j.mu.parts[tp]; p == nil {
			err = coord.ErrNotCoordinator
		} else {
			err = p.check(tp, epoch)
			done = p.hw > last
		}
		j.mu.Unlock()
		if err != nil || done {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return coord.ErrTimedOut
		}
	}
}

// Read implements [coord.Journal].
func (j *Journal) Read(tp meta.TopicPartition, epoch meta.LeaderEpoch, from int64, max int) (batches []byte, next int64, err error) {
	next = from
	j.with(tp, func(p *partition) {
		if err = p.check(tp, epoch); err == nil {
			err = p.loadErr
		}
		for _, b := range p.batches {
			if err != nil || len(batches) > 0 && len(batches)+len(b) > max {
				return
			}
			if b.LastOffset() >= from {
				batches = append(batches, b...)
				next = b.NextOffset()
			}
		}
	})
	return batches, next, err
}

// Bounds implements [coord.Journal].
func (j *Journal) Bounds(tp meta.TopicPartition, epoch meta.LeaderEpoch) (start int64, end coord.Position, err error) {
	j.with(tp, func(p *partition) {
		err = p.check(tp, epoch)
		end = coord.Position{LeaderEpoch: p.epoch, Offset: p.end}
	})
	return 0, end, err
}
