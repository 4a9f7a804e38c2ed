package replica

import (
	"context"
	"time"
)

// longPoll is a fetch that found too little and waits for more. It reads again only what moved.
type longPoll struct {
	m       *Manager
	params  *FetchParams
	parts   []FetchPartition
	results []Fetched
	hosted  []*Partition

	bytes int // of all results

	wake  *waiter
	waits []wait
	fired []int // scratch
}

// newLongPoll takes over the results of a first reading.
func (m *Manager) newLongPoll(params *FetchParams, parts []FetchPartition, results []Fetched) *longPoll {
	l := &longPoll{m: m, params: params, parts: parts, results: results, wake: newWaiter(),
		hosted: make([]*Partition, len(parts)), waits: make([]wait, len(parts))}
	for i := range results {
		l.bytes += results[i].Bytes()
	}
	return l
}

// wait returns when there is enough, when something else is to be told, or when the time is over.
func (l *longPoll) wait(ctx context.Context) {
	defer func() {
		for i := range l.waits {
			l.waits[i].remove()
		}
	}()
	end := l.m.clock().Add(l.params.MaxWait)
	led := l.m.leads.next(l.params)
	timer := time.NewTimer(l.m.leads.shorten(l.params, l.params.MaxWait, l.m.clock()))
	defer timer.Stop()
	for i := range l.parts {
		p, err := l.m.partition(l.parts[i].Partition)
		if err != nil {
			l.again(i) // it has just been deleted
			return
		}
		l.hosted[i] = p
		// Once: from here on whoever moves an offset may read them, at any time.
		l.waits[i].waiter, l.waits[i].tag = l.wake, i
		l.register(i)
	}
	for {
		select {
		case <-l.wake.c:
			if l.readFired() {
				return
			}
			continue
		case <-led:
			led = l.m.leads.next(l.params)
			now := l.m.clock()
			timer.Reset(l.m.leads.shorten(l.params, end.Sub(now), now))
			continue
		case <-timer.C:
			l.m.metrics.fetchExpired(l.params.Replica)
		case <-l.m.stopping:
		case <-ctx.Done():
		}
		l.refresh()
		return
	}
}

// register waits for the next record of a partition that this reader may see. If there is one already the wait is over at
// once: nobody would tell.
func (l *longPoll) register(i int) {
	p, e := l.hosted[i], &l.waits[i]
	next := l.results[i].end + 1
	p.listFor(l.params).add(e, next)
	if p.visibleEnd(l.params) >= next {
		l.wake.fire(i)
	}
}

// readFired reads again what moved and says whether the wait is over.
func (l *longPoll) readFired() bool {
	l.fired = l.wake.take(l.fired[:0])
	news := false
	for _, i := range l.fired {
		news = l.again(i) || news
		l.register(i)
	}
	return news || l.bytes >= l.params.enough()
}

// refresh reads again, at the end of a wait that brought too little, whatever else changed: a high watermark that came
// up meanwhile is told with this answer, not with the next.
func (l *longPoll) refresh() {
	mayLead := l.m.mayLead()
	for i := range l.parts {
		if !mayLead || l.hosted[i].differs(&l.results[i]) {
			l.again(i)
		}
	}
}

// again reads a partition once more, and says whether there is more to tell of it than records.
func (l *longPoll) again(i int) bool {
	r := &l.results[i]
	start := r.LogStartOffset
	l.bytes -= r.Bytes()
	r.Release()
	l.m.read(l.params, &l.parts[i], max(0, l.params.MaxBytes-l.bytes), l.params.WholeBatch && l.bytes == 0, false, r)
	l.bytes += r.Bytes()
	return r.isNews() || l.params.fromReplica() && r.LogStartOffset != start
}

// listFor is where a kind of reader waits.
func (p *Partition) listFor(params *FetchParams) *waitlist {
	switch {
	case params.fromReplica(), params.Replica == Debugger:
		return &p.leoWaiters
	case params.Isolation == ReadCommitted:
		return &p.lsoWaiters
	}
	return &p.hwWaiters
}

// visibleEnd is how far a kind of reader may see now; -1 if not at all, which another reading will tell.
func (p *Partition) visibleEnd(params *FetchParams) int64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	log := p.mu.log
	switch {
	case log == nil:
		return -1
	case params.fromReplica(), params.Replica == Debugger:
		return log.LogEndOffset()
	case params.Isolation == ReadCommitted:
		return log.LastStableOffset()
	}
	return log.HighWatermark()
}

// differs reports whether the offsets that go with a result have changed since it was read.
func (p *Partition) differs(r *Fetched) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	log := p.mu.log
	return log == nil || log.HighWatermark() != r.HighWatermark || log.LastStableOffset() != r.LastStableOffset || log.LogStartOffset() != r.LogStartOffset
}
