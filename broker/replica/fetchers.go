package replica

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// fetchers holds the fetchers of a manager: which there are and which partition belongs to which.
type fetchers struct {
	m *Manager
	// dial makes the connection of a fetcher; nil: this broker follows nobody.
	dial func(source meta.BrokerID, fetcher int) Leader

	// mu is taken after the control lock and before a fetcher's inbox; never together with Partition.mu.
	mu struct {
		sync.Mutex
		perSource int // num.replica.fetchers
		all       map[fetcherKey]*fetcher
		ctx       context.Context // set while run runs
		ended     bool
	}
	running sync.WaitGroup
}

func newFetchers(m *Manager, dial func(meta.BrokerID, int) Leader) *fetchers {
	fs := &fetchers{m: m, dial: dial}
	fs.mu.perSource = max(1, m.cfg.Fetchers)
	fs.mu.all = make(map[fetcherKey]*fetcher)
	return fs
}

// run lets the fetchers work until ctx ends, those of now and those to come, and waits for them.
func (fs *fetchers) run(ctx context.Context) {
	fs.mu.Lock()
	fs.mu.ctx = ctx
	for _, f := range fs.mu.all {
		fs.running.Go(func() { f.run(ctx) })
	}
	fs.mu.Unlock()
	<-ctx.Done()
	fs.mu.Lock()
	fs.mu.ended = true
	fs.mu.Unlock()
	fs.running.Wait()
}

// move takes partitions from their fetchers and gives others to theirs, starting fetchers as needed. It waits for
// nobody: a fetcher that is about to write for a partition that was stopped finds itself superseded.
func (fs *fetchers) move(stop, start []*fetchState) {
	if fs.dial == nil || len(stop)+len(start) == 0 {
		return
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.mu.ended {
		return
	}
	touched := make(map[*fetcher]struct{})
	for _, s := range stop {
		// In whichever of the source's fetchers it is: their number may have changed since.
		for key, f := range fs.mu.all {
			if key.source == s.source {
				f.inbox.Lock()
				f.inbox.remove = append(f.inbox.remove, s)
				f.inbox.Unlock()
				touched[f] = struct{}{}
			}
		}
	}
	for _, s := range start {
		f := fs.fetcherLocked(fs.keyOfLocked(s))
		f.inbox.Lock()
		f.inbox.add = append(f.inbox.add, s)
		f.inbox.Unlock()
		touched[f] = struct{}{}
	}
	for f := range touched {
		f.signal()
	}
}

// fetcherLocked returns a fetcher, made and started if missing; mu is held.
func (fs *fetchers) fetcherLocked(key fetcherKey) *fetcher {
	f := fs.mu.all[key]
	if f == nil {
		f = newFetcher(fs.m, key, fs.dial(key.source, key.number))
		fs.mu.all[key] = f
		if ctx := fs.mu.ctx; ctx != nil {
			fs.running.Go(func() { f.run(ctx) })
		}
	}
	return f
}

func (f *fetcher) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// retire forgets a fetcher that has nothing to do, unless something came in this moment.
func (fs *fetchers) retire(f *fetcher) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.inbox.Lock()
	defer f.inbox.Unlock()
	if len(f.inbox.add) > 0 {
		return false
	}
	delete(fs.mu.all, f.key)
	return true
}

// resize changes how many fetchers copy from one source. Partitions move as they are.
func (fs *fetchers) resize(perSource int) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if perSource < 1 || perSource == fs.mu.perSource {
		return
	}
	fs.mu.perSource = perSource
	for _, f := range fs.mu.all {
		f.inbox.Lock()
		f.inbox.rehash = true
		f.inbox.Unlock()
		f.signal()
	}
}

// keyOf says which fetcher a partition belongs to.
func (fs *fetchers) keyOf(s *fetchState) fetcherKey {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.keyOfLocked(s)
}

func (fs *fetchers) keyOfLocked(s *fetchState) fetcherKey {
	return fetcherKey{source: s.source, number: fetcherNumber(s.p.tp, fs.mu.perSource)}
}

// fetcherNumber spreads partitions as Kafka does (AbstractFetcherManager.getFetcherId), by Java's hash of the topic.
func fetcherNumber(tp meta.TopicPartition, n int) int {
	var hash int32
	for i := range len(tp.Topic) {
		hash = 31*hash + int32(tp.Topic[i])
	}
	hash = 31*hash + tp.Partition
	if hash < 0 {
		hash = -hash
	}
	return max(0, int(hash)) % n
}

// number is num.replica.fetchers.
func (fs *fetchers) number() int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.mu.perSource
}

// list returns the fetchers.
func (fs *fetchers) list() []*fetcher {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return slices.Collect(maps.Values(fs.mu.all))
}

// count is how many fetchers there are.
func (fs *fetchers) count() int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return len(fs.mu.all)
}
