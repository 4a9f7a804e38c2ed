package fetchsession

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Partition is one partition to read.
type Partition struct {
	Topic     string       // empty if the id could not be resolved: answer UNKNOWN_TOPIC_ID
	TopicID   meta.TopicID // zero below version 13
	Partition int32

	FetchOffset        int64
	LogStartOffset     int64 // of the follower; -1 from consumers
	MaxBytes           int32
	CurrentLeaderEpoch meta.LeaderEpoch // meta.NoLeaderEpoch: not given
	LastFetchedEpoch   meta.LeaderEpoch // meta.NoLeaderEpoch: not given
}

// Result is what came of reading a partition, as far as a session cares.
type Result struct {
	Code           wire.Code
	HighWatermark  int64
	LogStartOffset int64
	RecordBytes    int
	Diverging      bool // a diverging epoch is told
	PreferredRead  bool // a preferred read replica is told
}

// Fetch is one fetch request in the light of its session. Not for use by several goroutines.
type Fetch struct {
	cache      *Cache
	partitions []Partition
	include    []bool // memory for what Select and Finish return

	// Of an incremental fetch. entries are the session's partitions in the order of partitions; nobody else touches
	// them as long as the session's epoch is the one this fetch set.
	session *session
	entries []*entry
	epoch   int32
	// Of a watched session, in place of partitions and entries; see watch.go.
	watcher           any
	asked, unresolved []Asked
	forgotten         []int

	// Of a full fetch that wants a session.
	create, privileged, usesIDs bool
}

const (
	noSession    = 0  // session id
	initialEpoch = 0  // begin a session
	finalEpoch   = -1 // end one
)

// firstIDVersion is the version from which fetches name topics by id.
const firstIDVersion = 13

// Begin finds or makes the session of a request. resolve gives the name of a topic id; it is used from version 13. privileged
// is true for a follower that may act as one (CLUSTER_ACTION). If the code is not None the response is empty, with
// session id 0 and that code, and there is no Fetch.
func (c *Cache) Begin(req *kmsg.FetchRequest, privileged bool, resolve func(meta.TopicID) (string, bool)) (*Fetch, wire.Code) {
	return c.begin(req, privileged, resolve, nil)
}

// resolver gives the name of a topic id.
type resolver = func(meta.TopicID) (string, bool)

func (c *Cache) begin(req *kmsg.FetchRequest, privileged bool, resolve resolver, newWatcher func() any) (*Fetch, wire.Code) {
	id, epoch := req.SessionID, req.SessionEpoch
	if req.Version < 7 { // fetches had no sessions
		id, epoch = noSession, finalEpoch
	}
	usesIDs := req.Version >= firstIDVersion
	if epoch != initialEpoch && epoch != finalEpoch {
		return c.continueSession(req, id, epoch, usesIDs, resolve, newWatcher)
	}
	c.remove(id, nil)
	return &Fetch{
		cache:      c,
		partitions: requested(req, resolve),
		create:     epoch == initialEpoch,
		privileged: privileged,
		usesIDs:    usesIDs,
	}, wire.None
}

// continueSession applies an incremental request to its session.
func (c *Cache) continueSession(req *kmsg.FetchRequest, id, epoch int32, usesIDs bool, resolve resolver, newWatcher func() any) (*Fetch, wire.Code) {
	s := c.find(id)
	if s == nil {
		return nil, wire.ErrFetchSessionIDNotFound
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.mu.epoch != epoch:
		return nil, wire.ErrInvalidFetchSessionEpoch
	case s.usesIDs != usesIDs:
		return nil, wire.ErrFetchSessionTopicID
	}
	s.updateLocked(req, resolve)
	if len(s.mu.entries) == 0 {
		// With nothing left to read the session is of no use; the answer is one without a session.
		c.remove(id, s)
		return &Fetch{cache: c, partitions: requested(req, resolve)}, wire.None
	}
	s.touch(c.now(), len(s.mu.entries))
	s.mu.epoch = nextEpoch(epoch)
	f := &Fetch{cache: c, session: s, epoch: s.mu.epoch}
	if newWatcher != nil {
		f.watchedLocked(s, resolve, newWatcher)
		return f, wire.None
	}
	s.mu.watch = watch{}
	f.partitions, f.entries, f.include = s.listLocked(resolve)
	return f, wire.None
}

// Partitions returns what to read, in the order to read it.
func (f *Fetch) Partitions() []Partition { return f.partitions }

// Incremental reports whether the response may leave out partitions.
func (f *Fetch) Incremental() bool { return f.session != nil }

// Select returns for which of the results, one per partition and in that order, the response has to carry the partition,
// and leaves the session alone: to know the response's size before it is decided whether the client is throttled. The slice
// is valid until the next call.
func (f *Fetch) Select(results []Result) (include []bool) {
	include = f.all(len(results))
	if f.session == nil {
		return include
	}
	f.session.mu.Lock()
	defer f.session.mu.Unlock()
	current := f.session.mu.epoch == f.epoch
	for i := range results {
		include[i] = current && f.entries[i].differs(&results[i])
	}
	return include
}

// Finish takes the results, one per partition and in that order, and brings the session up to date. The response
// carries the session id, the code, and those partitions for which include is true; if the code is not None, none.
// The slice include is valid until the next call.
func (f *Fetch) Finish(results []Result) (sessionID int32, include []bool, code wire.Code) {
	include = f.all(len(results))
	if f.session == nil {
		if f.create {
			sessionID = f.cache.create(f, results)
		}
		return sessionID, include, wire.None
	}
	s := f.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.epoch != f.epoch { // the client sent its request twice
		clear(include)
		return s.id, include, wire.ErrInvalidFetchSessionEpoch
	}
	for i := range results {
		e, r := f.entries[i], &results[i]
		include[i] = e.differs(r)
		e.told(r)
		if r.RecordBytes > 0 {
			s.toEndLocked(e) // so that the others get their turn
		}
	}
	return s.id, include, wire.None
}

// Throttled ends the fetch without touching the session's partitions: an empty response with the session id and code
// returned is sent.
func (f *Fetch) Throttled() (sessionID int32, code wire.Code) {
	if f.session == nil {
		return noSession, wire.None
	}
	f.session.mu.Lock()
	defer f.session.mu.Unlock()
	if f.session.mu.epoch != f.epoch {
		return f.session.id, wire.ErrInvalidFetchSessionEpoch
	}
	return f.session.id, wire.None
}

// Release lends the memory of the fetch to the session's next one. It may be left out; after it, neither the fetch nor
// a slice it returned may be used.
func (f *Fetch) Release() {
	if f.session == nil {
		return
	}
	f.session.mu.Lock()
	defer f.session.mu.Unlock()
	f.session.mu.spare = spare{f.partitions, f.entries, f.include}
	*f = Fetch{}
}

// all returns n times true.
func (f *Fetch) all(n int) []bool {
	if n != len(f.partitions) {
		panic("fetchsession: not one result per partition")
	}
	if cap(f.include) < n {
		f.include = make([]bool, n)
	}
	f.include = f.include[:n]
	for i := range f.include {
		f.include[i] = true
	}
	return f.include
}

// requested returns the partitions of a full request. One that is named twice keeps its first place and takes on what is
// said last.
func requested(req *kmsg.FetchRequest, resolve func(meta.TopicID) (string, bool)) []Partition {
	n := 0
	for i := range req.Topics {
		n += len(req.Topics[i].Partitions)
	}
	partitions := make([]Partition, 0, n)
	at := make(map[key]int, n)
	for i := range req.Topics {
		t := &req.Topics[i]
		name, id := topicOf(req.Version, t.Topic, t.TopicID, resolve)
		for j := range t.Partitions {
			p := partitionOf(name, id, &t.Partitions[j])
			if first, twice := at[p.key()]; twice {
				partitions[first] = p
				continue
			}
			at[p.key()] = len(partitions)
			partitions = append(partitions, p)
		}
	}
	return partitions
}

func topicOf(version int16, name string, id [16]byte, resolve func(meta.TopicID) (string, bool)) (string, meta.TopicID) {
	if version < firstIDVersion {
		return name, meta.TopicID{}
	}
	name, _ = resolve(id)
	return name, id
}

func partitionOf(name string, id meta.TopicID, p *kmsg.FetchRequestTopicPartition) Partition {
	return Partition{
		Topic:              name,
		TopicID:            id,
		Partition:          p.Partition,
		FetchOffset:        p.FetchOffset,
		LogStartOffset:     p.LogStartOffset,
		MaxBytes:           p.PartitionMaxBytes,
		CurrentLeaderEpoch: meta.LeaderEpoch(p.CurrentLeaderEpoch),
		LastFetchedEpoch:   meta.LeaderEpoch(p.LastFetchedEpoch),
	}
}

// nextEpoch skips the epochs that mean something else.
func nextEpoch(epoch int32) int32 {
	if epoch == 1<<31-1 {
		return 1
	}
	return epoch + 1
}
