package replica

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// FetchWatch is the leader's side of a follower's fetch session, between its polls: the partitions it asked for, and which of
// them have moved since they were last read. A poll reads those and no others, so that what a poll costs depends on what
// happened, not on how many partitions there are.
//
// A partition is clean when the follower has all of it, is in its ISR and knows its offsets. Clean partitions are
// registered with [Partition.watchers], which marks them dirty as soon as anything moves; all others are read in every poll.
type FetchWatch struct {
	m        *Manager
	follower meta.BrokerID

	// poll is held from the beginning of a poll to its end. A second poll ends the first: its client has given it up.
	poll struct {
		sync.Mutex
		entries []*watched // by slot; nil: free
		pending []*watched // not clean: to be read by the next poll
		asleep  bool       // unused for long: registered nowhere
		swept   time.Time
		number  int // of the pass over entries that is going on

		results []Polled
		bytes   int // of all results
	}
	turn atomic.Int64 // counts polls begun
	// wake says that something a poll waits for has happened. Sent to by whoever moves an offset or changes a role, and by
	// the next poll; received by the poll that waits; never closed; capacity 1.
	wake chan struct{}

	// dirty are the entries marked since they were last read. Its mutex is a leaf.
	dirty struct {
		sync.Mutex
		entries []*watched
	}

	// clock is when the last poll was: the time as of which the follower holds all of every clean partition.
	clock pollClock
	used  atomic.Int64 // the same, also while a poll waits; Unix nanoseconds
}

// watched is one partition of a watch. What changes belongs to the poll, except marked.
type watched struct {
	w    *FetchWatch
	slot int
	part FetchPartition
	p    *Partition // registered with; nil: nowhere

	marked   atomic.Bool // in dirty
	pending  bool        // in pending
	clean    bool        // the follower's progress goes by the watch's clock
	pass     int         // the last pass that read it
	result   int         // its place in results; -1: none
	told     bool        // it was in a result before
	hw, leo  int64       // as read last
	logStart int64
}

// WatchAsk is what a follower wants of the partition in a slot. Slots are small numbers that the caller gives out.
type WatchAsk struct {
	Slot int
	FetchPartition
}

// Polled is what a poll has to tell of the partition in a slot.
type Polled struct {
	Slot  int
	Asked FetchPartition
	Fetched
}

// sleepAfter is how long a watch stays registered with its partitions when nobody polls: its follower is gone, and so may
// its session be.
const sleepAfter = 2 * time.Minute

// watchSweep is how often it is looked for offsets that moved without anybody marking them: retention raises log starts.
const watchSweep = 5 * time.Second

// NewWatch returns a watch for a session of a follower. It needs no closing: unused for a while it lets go of everything, and
// takes it up again when it is used after all.
func (m *Manager) NewWatch(follower meta.BrokerID) *FetchWatch {
	w := &FetchWatch{m: m, follower: follower, wake: make(chan struct{}, 1)}
	w.poll.asleep = true
	return w
}

// Poll is a [Manager.Fetch] for the partitions of the watch, after dropping those in gone and taking over asks. Its results are
// those partitions that may have something to tell; the follower knows the rest. They are valid until the next poll,
// and whoever receives them releases each Data.Slice once.
func (w *FetchWatch) Poll(ctx context.Context, params *FetchParams, asks []WatchAsk, gone []int) []Polled {
	turn := w.turn.Add(1)
	w.signal()
	w.poll.Lock()
	defer w.poll.Unlock()
	own := *params
	own.Replica, own.clock = w.follower, &w.clock
	w.wakeUpLocked()
	for _, slot := range gone {
		w.forgetLocked(slot)
	}
	for i := range asks {
		w.askLocked(&asks[i])
	}
	for i := range w.poll.results {
		w.poll.results[i].Release() // those the caller did not take
	}
	clear(w.poll.results)
	w.poll.results, w.poll.bytes = w.poll.results[:0], 0

	now := w.m.clock()
	own.now = now
	if !w.m.mayLead() {
		w.allPendingLocked()
	}
	w.sweepLocked(now)
	enough := w.passLocked(&own, true)
	w.clock.polled(now)
	if !enough && params.MaxWait > 0 {
		ended := w.m.metrics.waits(waitingFetch)
		w.waitLocked(ctx, &own, turn)
		params.Waited = ended()
	}
	for i := range w.poll.results {
		r := &w.poll.results[i]
		e := w.poll.entries[r.Slot]
		e.result, e.told = -1, true
	}
	w.used.Store(w.m.clock().UnixNano())
	return w.poll.results
}

// Forfeit says that the results of the last poll did not reach the follower: everything has to be told again.
func (w *FetchWatch) Forfeit() {
	w.poll.Lock()
	defer w.poll.Unlock()
	w.allPendingLocked()
}

// waitLocked waits until there is enough, something else to tell, or the time is over.
func (w *FetchWatch) waitLocked(ctx context.Context, params *FetchParams, turn int64) {
	end := params.now.Add(params.MaxWait)
	led := w.m.leads.next(params)
	timer := time.NewTimer(w.m.leads.shorten(params, params.MaxWait, params.now))
	defer timer.Stop()
	for {
		select {
		case <-w.wake:
			if w.passLocked(params, false) || w.turn.Load() != turn {
				return
			}
			continue
		case <-led:
			led = w.m.leads.next(params)
			now := w.m.clock()
			timer.Reset(w.m.leads.shorten(params, end.Sub(now), now))
			continue
		case <-timer.C:
			w.m.metrics.fetchExpired(w.follower)
		case <-w.m.stopping:
		case <-ctx.Done():
		}
		if !w.m.mayLead() {
			for _, e := range w.poll.entries {
				if e != nil {
					e.mark(false)
				}
			}
		}
		w.passLocked(params, false) // high watermarks that moved meanwhile
		return
	}
}

// passLocked reads what is dirty, the first time also what is pending, and says whether the poll is over. Only the first
// pass counts as the follower's fetch.
func (w *FetchWatch) passLocked(params *FetchParams, first bool) bool {
	w.poll.number++
	var pending []*watched
	if first {
		pending, w.poll.pending = w.poll.pending, nil
		for _, e := range pending {
			e.pending = false
		}
	}
	w.dirty.Lock()
	dirty := w.dirty.entries
	w.dirty.entries = nil
	w.dirty.Unlock()

	news := false
	for _, list := range [][]*watched{pending, dirty} {
		for _, e := range list {
			if w.poll.entries[e.slot] == e && e.pass != w.poll.number {
				e.pass = w.poll.number
				news = w.readLocked(e, params, first) || news
			}
		}
	}
	w.keepLocked(pending, dirty)
	return news || w.poll.bytes >= params.enough()
}

// keepLocked reuses the memory of lists that were worked off.
func (w *FetchWatch) keepLocked(pending, dirty []*watched) {
	clear(pending)
	clear(dirty)
	if w.poll.pending == nil && pending != nil {
		w.poll.pending = pending[:0]
	}
	w.dirty.Lock()
	if w.dirty.entries == nil {
		w.dirty.entries = dirty[:0]
	}
	w.dirty.Unlock()
}

// readLocked reads one partition and says whether it ends the wait.
func (w *FetchWatch) readLocked(e *watched, params *FetchParams, first bool) bool {
	w.soilLocked(e)
	if e.result < 0 {
		e.result = len(w.poll.results)
		w.poll.results = append(w.poll.results, Polled{Slot: e.slot, Asked: e.part})
	}
	r := &w.poll.results[e.result].Fetched
	w.poll.bytes -= r.Bytes()
	r.Release()
	*r = Fetched{}
	p, err := w.m.partition(e.part.Partition)
	if p != e.p {
		w.unregisterLocked(e)
		if p != nil {
			e.p = p
			p.watchers.add(e)
		}
	}
	e.marked.Store(false) // after registering and before reading: what moves from here on marks it again
	if err != nil {
		r.fail(err)
	} else {
		w.m.readHosted(p, params, &e.part, max(0, params.MaxBytes-w.poll.bytes), params.WholeBatch && w.poll.bytes == 0, first, r)
	}
	w.poll.bytes += r.Bytes()
	e.clean = r.clean
	if !e.clean {
		w.pendLocked(e)
	}
	startMoved := r.Err == nil && e.logStart != r.LogStartOffset
	e.hw, e.leo, e.logStart = r.HighWatermark, r.end, r.LogStartOffset
	return r.isNews() || startMoved && e.told
}

// soilLocked ends the time in which the follower's progress went by the clock.
func (w *FetchWatch) soilLocked(e *watched) {
	if e.clean {
		e.clean = false
		e.p.detachClock(w.follower, &w.clock)
	}
}

func (w *FetchWatch) pendLocked(e *watched) {
	if !e.pending {
		e.pending = true
		w.poll.pending = append(w.poll.pending, e)
	}
}

func (w *FetchWatch) allPendingLocked() {
	for _, e := range w.poll.entries {
		if e != nil {
			w.pendLocked(e)
		}
	}
}

func (w *FetchWatch) askLocked(a *WatchAsk) {
	for a.Slot >= len(w.poll.entries) {
		w.poll.entries = append(w.poll.entries, nil)
	}
	e := w.poll.entries[a.Slot]
	if e == nil || e.part.Partition != a.Partition {
		w.forgetLocked(a.Slot)
		e = &watched{w: w, slot: a.Slot, result: -1}
		w.poll.entries[a.Slot] = e
	}
	e.part = a.FetchPartition
	w.pendLocked(e)
}

func (w *FetchWatch) forgetLocked(slot int) {
	if slot >= len(w.poll.entries) || w.poll.entries[slot] == nil {
		return
	}
	e := w.poll.entries[slot]
	w.soilLocked(e)
	w.unregisterLocked(e)
	w.poll.entries[slot] = nil // the lists skip it
}

func (w *FetchWatch) unregisterLocked(e *watched) {
	if e.p != nil {
		e.p.watchers.remove(e)
		e.p = nil
	}
}

// sweepLocked finds what moved without a mark.
func (w *FetchWatch) sweepLocked(now time.Time) {
	if now.Sub(w.poll.swept) < watchSweep {
		return
	}
	w.poll.swept = now
	for _, e := range w.poll.entries {
		if e != nil && e.clean && e.p.movedFrom(e.hw, e.leo, e.logStart) {
			w.pendLocked(e)
		}
	}
}

func (p *Partition) movedFrom(hw, leo, logStart int64) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	log := p.mu.log
	return log == nil || log.HighWatermark() != hw || log.LogEndOffset() != leo || log.LogStartOffset() != logStart
}

// wakeUpLocked takes everything up again after a sleep.
func (w *FetchWatch) wakeUpLocked() {
	w.used.Store(w.m.clock().UnixNano())
	if w.poll.asleep {
		w.poll.asleep = false
		w.m.watches.add(w)
		w.allPendingLocked()
	}
}

// sleepIfUnused lets go of everything if there was no poll for long.
func (w *FetchWatch) sleepIfUnused(now time.Time) {
	if now.UnixNano()-w.used.Load() < int64(sleepAfter) || !w.poll.TryLock() {
		return
	}
	defer w.poll.Unlock()
	w.m.watches.remove(w)
	w.poll.asleep = true
	for _, e := range w.poll.entries {
		if e != nil {
			w.soilLocked(e)
			w.unregisterLocked(e)
		}
	}
}

func (w *FetchWatch) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// mark notes that a partition has to be read again; wakes, that a poll need not wait any longer for it.
func (e *watched) mark(wakes bool) {
	if !e.marked.Load() && !e.marked.Swap(true) {
		e.w.dirty.Lock()
		e.w.dirty.entries = append(e.w.dirty.entries, e)
		e.w.dirty.Unlock()
	}
	if wakes {
		e.w.signal()
	}
}

// watchers are the watches that a partition is in. Marking them takes no lock of the partition.
type watchers struct {
	mu      sync.Mutex // orders changes
	entries atomic.Pointer[[]*watched]
}

func (ws *watchers) add(e *watched) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	next := []*watched{e}
	if old := ws.entries.Load(); old != nil {
		next = append(slices.Clip(*old), e)
	}
	ws.entries.Store(&next)
}

func (ws *watchers) remove(e *watched) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	old := ws.entries.Load()
	if old == nil {
		return
	}
	next := slices.DeleteFunc(slices.Clone(*old), func(o *watched) bool { return o == e })
	if len(next) == 0 {
		ws.entries.Store(nil)
		return
	}
	ws.entries.Store(&next)
}

func (ws *watchers) mark(wakes bool) {
	if entries := ws.entries.Load(); entries != nil {
		for _, e := range *entries {
			e.mark(wakes)
		}
	}
}

// watchSet holds the watches that are awake. Its mutex is a leaf.
type watchSet struct {
	mu struct {
		sync.Mutex
		all map[*FetchWatch]struct{}
	}
}

func (s *watchSet) add(w *FetchWatch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.all == nil {
		s.mu.all = make(map[*FetchWatch]struct{})
	}
	s.mu.all[w] = struct{}{}
}

func (s *watchSet) remove(w *FetchWatch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.all, w)
}

// expire puts unused watches to sleep.
func (s *watchSet) expire(now time.Time) {
	s.mu.Lock()
	all := slices.Collect(maps.Keys(s.mu.all))
	s.mu.Unlock()
	for _, w := range all {
		w.sleepIfUnused(now)
	}
}
