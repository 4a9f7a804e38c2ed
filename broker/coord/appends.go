package coord

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// core is what a shard does whatever its machine: events, appends, timers.
type core struct {
	tp      meta.TopicPartition
	journal Journal
	mail    mailbox
	waits   awaiter
	// raised is the leader epoch, also for other goroutines; Env.LeaderEpoch is the machine's view of it.
	raised   atomic.Int32
	maxBatch func() int
	timeout  func() time.Duration

	// Below: the shard's goroutine alone.

	ended    bool
	gathered gathering
	pending  []*entry // written or failed, not completed; in the order of the appends
	loadedTo int64    // everything below was replayed
}

func (c *core) epoch() meta.LeaderEpoch { return meta.LeaderEpoch(c.raised.Load()) }

// gathering is plain batches of one turn on their way into one.
type gathering struct {
	batch Batch
	bytes int
	parts []part
}

// part is one append within an entry.
type part struct {
	index int // of its first record
	done  func(at Position, err error)
}

// entry is one batch that was handed to the journal, or a marker that somebody else appended.
type entry struct {
	parts    []part
	marker   *marker // instead of parts
	first    Position
	last     int64 // -1: nothing was written
	err      error
	deadline time.Time
}

// marker is a transaction's, in the log of the partition.
type marker struct {
	at        int64
	id        int64
	epoch     int16
	committed bool
	applied   chan struct{} // closed when the machine has it, or will never have
}

// recordOverhead is more than a record's lengths, deltas and attributes take.
const recordOverhead = 40

func size(records []Record) int {
	n := 0
	for i := range records {
		n += len(records[i].Key) + len(records[i].Value) + recordOverhead
	}
	return n
}

// batchOverhead is the header of a batch.
const batchOverhead = 61

func (c *core) append(b Batch, done func(Position, error)) {
	if c.ended {
		return
	}
	if !b.plain() || len(b.Records) == 0 {
		c.flush()
		c.write(b, []part{{done: done}})
		return
	}
	g := &c.gathered
	n := size(b.Records)
	if len(g.parts) > 0 && batchOverhead+g.bytes+n > c.maxBatch() {
		c.flush()
	}
	g.parts = append(g.parts, part{len(g.batch.Records), done})
	g.batch.Records = append(g.batch.Records, b.Records...)
	g.bytes += n
}

// flush writes what was gathered.
func (c *core) flush() {
	g := &c.gathered
	if len(g.parts) == 0 {
		return
	}
	b, parts := g.batch, g.parts
	b.ProducerID = NoProducer
	*g = gathering{}
	c.write(b, parts)
}

func (c *core) write(b Batch, parts []part) {
	e := &entry{parts: parts, last: -1, deadline: time.Now().Add(c.timeout())}
	if len(b.Records) > 0 {
		e.first, e.last, e.err = c.journal.Append(c.tp, c.epoch(), b)
	} else if _, end, err := c.journal.Bounds(c.tp, c.epoch()); err != nil {
		e.err = err
	} else {
		e.first, e.last = end, end.Offset-1
	}
	if e.err != nil {
		e.last = -1
	}
	c.pending = append(c.pending, e)
	c.waits.put(e)
}

// completed runs the callbacks of the oldest pending entry, whose outcome is known.
func (c *core) completed(e *entry) {
	c.pending = c.pending[1:]
	for _, p := range e.parts {
		at := NoPosition
		if e.err == nil {
			at = Position{e.first.LeaderEpoch, e.first.Offset + int64(p.index)}
		}
		p.done(at, e.err)
	}
}

// markerRetry is the pause before the replication of a marker is waited for again, after that came to nothing.
const markerRetry = 100 * time.Millisecond

// awaitMarker has a marker waited for, behind all appends below it.
func (c *core) awaitMarker(m *marker) {
	e := &entry{marker: m, last: m.at, deadline: time.Now().Add(c.timeout())}
	c.pending = append(c.pending, e)
	c.waits.put(e)
}

// awaiter waits for the replication of entries, in order.
type awaiter struct {
	mu struct {
		sync.Mutex
		entries []*entry
	}
	// wake says that there are entries. Sent to by put, received by run, never closed; capacity 1, it says "look".
	wake chan struct{}
}

func (a *awaiter) init() { a.wake = make(chan struct{}, 1) }

func (a *awaiter) put(e *entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.entries = append(a.mu.entries, e)
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *awaiter) take() []*entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	entries := a.mu.entries
	a.mu.entries = nil
	return entries
}

// run waits for entries and posts their completion until ctx ends.
func (a *awaiter) run(ctx context.Context, c *core, completed func(*entry)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		}
		for _, e := range a.take() {
			if e.err == nil && e.last >= 0 {
				e.err = c.await(ctx, e)
			}
			if ctx.Err() != nil {
				return // the shard completes what is left
			}
			c.mail.put(func() { completed(e) })
		}
	}
}

func (c *core) await(ctx context.Context, e *entry) error {
	ctx, cancel := context.WithDeadline(ctx, e.deadline)
	defer cancel()
	if err := c.journal.Await(ctx, c.tp, c.epoch(), e.last); err != nil {
		return fmt.Errorf("append to %s at %d: %w", c.tp, e.last, err)
	}
	return nil
}
