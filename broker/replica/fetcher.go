package replica

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/jmx"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// fetcherKey names a fetcher: the broker it copies from, and its number among those that do.
type fetcherKey struct {
	source meta.BrokerID
	number int
}

// fetcher copies partitions from one broker, in one goroutine: first it settles what stands in the way of fetching
// (truncation, offsets out of range), then it fetches all it may in one request and appends what comes. While it writes,
// the leader gathers the next answer, so batches grow with the load; with none, every record goes at once.
//
// The number of partitions does not matter to a round, only how many of them something happened to: the session
// remembers the rest on both sides.
type fetcher struct {
	m      *Manager
	key    fetcherKey
	leader Leader
	log    *zap.Logger

	// inbox is what others want of this fetcher. Its mutex is a leaf, taken after fetchers.mu.
	inbox struct {
		sync.Mutex
		add, remove []*fetchState
		rehash      bool // the number of fetchers changed
	}
	// wake says that there is something in the inbox. Sent to by fetchers, received by run, never closed; capacity 1.
	wake chan struct{}

	requests, copied atomic.Int64 // fetches sent, bytes appended; read by metrics
	rate             *jmx.Rate    // of requests; metrics ask it

	// The rest is run's own.

	states  map[meta.TopicPartition]*fetchState
	session *fetchSession
	query   FetchQuery // reused
	// Every state is in one of three places: in the session; here, if its stage is not fetching; or in delayed, while it
	// rests after an error. due is when the first of those may go on.
	unsettled map[*fetchState]struct{}
	delayed   map[*fetchState]struct{}
	due       time.Time
	// failures counts requests without a usable answer in a row; resynced is set by the first that was only about the session.
	failures int
	resynced bool
	swept    time.Time // when log start offsets were last compared
}

func newFetcher(m *Manager, key fetcherKey, leader Leader) *fetcher {
	return &fetcher{
		m: m, key: key, leader: leader, wake: make(chan struct{}, 1), rate: jmx.NewRate(0, m.clock()),
		log:     m.logger.With(zap.Int32("leader", int32(key.source)), zap.Int("fetcher", key.number)),
		states:  make(map[meta.TopicPartition]*fetchState),
		session: newFetchSession(m.cfg.Protocol.FetchSessions), unsettled: make(map[*fetchState]struct{}), delayed: make(map[*fetchState]struct{}),
	}
}

const (
	// firstRetry is the pause after the first error that will pass soon. It doubles up to replica.fetch.backoff.ms.
	firstRetry = 10 * time.Millisecond
	// sweepInterval is how often it is looked for log start offsets that retention raised, which the leader
	// cannot know otherwise.
	sweepInterval = time.Second
)

// run copies until ctx ends or there was nothing to copy for a while.
func (f *fetcher) run(ctx context.Context) {
	defer f.leader.Close()
	for ctx.Err() == nil {
		f.takeInbox()
		f.endDelays()
		f.settle(ctx)
		if f.session.len() > 0 {
			f.fetch(ctx)
			continue
		}
		if len(f.unsettled) > 0 {
			continue
		}
		if woken := f.sleep(ctx, f.m.cfg.FetchBackoff); !woken && len(f.states) == 0 && f.m.fetchers.retire(f) {
			return
		}
	}
}

// sleep waits for the inbox, the end of a delay, ctx, or limit, and says whether it was the inbox.
func (f *fetcher) sleep(ctx context.Context, limit time.Duration) (woken bool) {
	timer := time.NewTimer(f.untilDue(limit))
	defer timer.Stop()
	select {
	case <-f.wake:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// untilDue is how long until the first delay ends, at most limit.
func (f *fetcher) untilDue(limit time.Duration) time.Duration {
	if len(f.delayed) == 0 {
		return limit
	}
	return max(0, min(limit, f.due.Sub(f.m.clock())))
}

// takeInbox does what others asked for since the last round.
func (f *fetcher) takeInbox() {
	f.inbox.Lock()
	add, remove, rehash := f.inbox.add, f.inbox.remove, f.inbox.rehash
	f.inbox.add, f.inbox.remove, f.inbox.rehash = nil, nil, false
	f.inbox.Unlock()
	for _, s := range add {
		if old := f.states[s.p.tp]; old != nil {
			f.drop(old)
		}
		f.states[s.p.tp] = s
		f.resume(s)
	}
	for _, s := range remove {
		f.drop(s)
	}
	if rehash {
		f.rehash()
	}
}

// rehash hands partitions that belong to another fetcher now over to it, as they are.
func (f *fetcher) rehash() {
	var leaving []*fetchState
	for _, s := range f.states {
		if f.m.fetchers.keyOf(s) != f.key {
			leaving = append(leaving, s)
		}
	}
	for _, s := range leaving {
		f.drop(s)
	}
	f.m.fetchers.move(nil, leaving)
}

// drop ends the copying of a partition here.
func (f *fetcher) drop(s *fetchState) {
	if f.states[s.p.tp] != s {
		return
	}
	delete(f.states, s.p.tp)
	f.session.remove(s.p.tp)
	delete(f.unsettled, s)
	delete(f.delayed, s)
}

// resume puts a partition where its stage belongs.
func (f *fetcher) resume(s *fetchState) {
	switch {
	case !s.until.IsZero():
		if len(f.delayed) == 0 || s.until.Before(f.due) {
			f.due = s.until
		}
		f.delayed[s] = struct{}{}
	case s.stage == fetching:
		f.session.add(s)
	default:
		f.unsettled[s] = struct{}{}
	}
}

// leaveFetch takes a partition out of the session because its stage has changed.
func (f *fetcher) leaveFetch(s *fetchState, stage fetchStage) {
	f.session.remove(s.p.tp)
	s.stage = stage
	f.resume(s)
}

// delay lets a partition rest after an error.
func (f *fetcher) delay(s *fetchState, err error) {
	f.session.remove(s.p.tp)
	delete(f.unsettled, s)
	pause := f.m.cfg.FetchBackoff
	if passing(err) {
		pause = backoff(s.tries, pause)
	}
	s.tries++
	s.until = f.m.clock().Add(pause)
	f.resume(s)
}

// passing reports whether an error only says that leader and follower have not heard the same news yet. The wait for
// that is part of every failover, so it begins short.
func passing(err error) bool {
	for _, e := range []error{ErrNotLeader, ErrUnknownLeaderEpoch, ErrUnknownPartition, ErrUnknownTopicID, ErrInconsistentTopicID} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// backoff is the pause after an error that was preceded by tries others.
func backoff(tries int, longest time.Duration) time.Duration {
	return min(longest, firstRetry<<min(tries, 16))
}

// endDelays lets those go on whose time has come.
func (f *fetcher) endDelays() {
	if len(f.delayed) == 0 {
		return
	}
	now := f.m.clock()
	if now.Before(f.due) {
		return
	}
	ended := make([]*fetchState, 0, len(f.delayed))
	f.due = time.Time{}
	for s := range f.delayed {
		switch {
		case !s.until.After(now):
			ended = append(ended, s)
		case f.due.IsZero() || s.until.Before(f.due):
			f.due = s.until
		}
	}
	for _, s := range ended {
		delete(f.delayed, s)
		s.until = time.Time{}
		f.resume(s)
	}
}

// fail gives a partition up until the controller names its leader again.
func (f *fetcher) fail(s *fetchState, err error) {
	f.drop(s)
	if errors.Is(err, errSuperseded) {
		return
	}
	s.failed.Store(true)
	f.log.Error("the partition is not copied any more, until its leader is named again", zap.String("topic", s.p.tp.Topic),
		zap.Int32("partition", s.p.tp.Partition), zap.Int32("leader_epoch", int32(s.epoch)), zap.Int64("leo", s.log.LogEndOffset()), zap.Error(err))
}

// unanswered notes a request without a usable answer and pauses, unless there is news.
func (f *fetcher) unanswered(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	pause := backoff(f.failures, f.m.cfg.FetchBackoff)
	if f.failures == 0 {
		f.log.Info("the leader cannot be fetched from; trying again", zap.Int("partitions", len(f.states)), zap.Error(err))
	} else {
		f.log.Debug("the leader cannot be fetched from", zap.Duration("pause", pause), zap.Error(err))
	}
	f.failures++
	f.sleep(ctx, pause)
}
