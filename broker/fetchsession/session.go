package fetchsession

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// A session is what one client fetches, and what it knows.
type session struct {
	id         int32
	privileged bool // a follower's
	usesIDs    bool // names topics by id
	created    time.Time
	lastUsed   atomic.Int64 // Unix nanoseconds
	size       atomic.Int64 // partitions, when last used

	mu struct {
		sync.Mutex
		epoch   int32 // of the next request
		entries map[key]*entry
		order   entry // the list's ends: order.next is to be read first
		spare   spare // memory of the last fetch for the next

		slots []*entry // by slot; nil: free
		free  []int
		watch watch
	}
}

type spare struct {
	partitions []Partition
	entries    []*entry
	include    []bool
}

// A key is how a client names a partition: a topic has either an id or a name.
type key struct {
	topic     string
	id        meta.TopicID
	partition int32
}

func (p *Partition) key() key {
	if p.TopicID.IsZero() {
		return key{topic: p.Topic, partition: p.Partition}
	}
	return key{id: p.TopicID, partition: p.Partition}
}

// An entry is one partition of a session: what was asked for, and what was last told. Guarded by session.mu.
type entry struct {
	Partition
	slot           int
	listed         int32 // epoch of the last fetch that asked its watcher for it
	highWatermark  int64 // -1 after an error, so that the next good answer is told
	toldLogStart   int64
	previous, next *entry
}

// differs reports whether a result holds anything the client does not know.
func (e *entry) differs(r *Result) bool {
	return r.RecordBytes > 0 || r.Code != 0 || r.Diverging || r.PreferredRead ||
		r.HighWatermark != e.highWatermark || r.LogStartOffset != e.toldLogStart
}

// told remembers a result that was sent, or that holds no news.
func (e *entry) told(r *Result) {
	e.highWatermark, e.toldLogStart = r.HighWatermark, r.LogStartOffset
	if r.Code != 0 {
		e.highWatermark = -1
	}
}

func newSession(id int32, f *Fetch, results []Result, now time.Time) *session {
	s := &session{id: id, privileged: f.privileged, usesIDs: f.usesIDs, created: now}
	s.mu.epoch = nextEpoch(initialEpoch)
	s.mu.entries = make(map[key]*entry, len(f.partitions))
	s.mu.order.next, s.mu.order.previous = &s.mu.order, &s.mu.order
	for i := range f.partitions {
		e := s.addLocked(f.partitions[i])
		e.highWatermark, e.toldLogStart = results[i].HighWatermark, results[i].LogStartOffset
	}
	s.touch(now, len(f.partitions))
	return s
}

func (s *session) touch(now time.Time, size int) {
	s.lastUsed.Store(now.UnixNano())
	s.size.Store(int64(size))
}

// updateLocked adds, changes and forgets partitions as a request says.
func (s *session) updateLocked(req *kmsg.FetchRequest, resolve func(meta.TopicID) (string, bool)) {
	for i := range req.Topics {
		t := &req.Topics[i]
		name, id := topicOf(req.Version, t.Topic, t.TopicID, resolve)
		for j := range t.Partitions {
			p := partitionOf(name, id, &t.Partitions[j])
			e := s.mu.entries[p.key()]
			if e != nil {
				if e.Topic != "" {
					p.Topic = e.Topic // a name that was resolved stays, and strings stay shared
				}
				e.Partition = p
			} else {
				e = s.addLocked(p)
			}
			s.mu.watch.asked(e)
		}
	}
	for i := range req.ForgottenTopics {
		t := &req.ForgottenTopics[i]
		for _, partition := range t.Partitions {
			p := Partition{Partition: partition}
			if s.usesIDs {
				p.TopicID = t.TopicID
			} else {
				p.Topic = t.Topic
			}
			if e := s.mu.entries[p.key()]; e != nil {
				delete(s.mu.entries, p.key())
				e.unlink()
				s.mu.slots[e.slot] = nil
				s.mu.free = append(s.mu.free, e.slot)
				s.mu.watch.forgotten(e)
			}
		}
	}
}

// listLocked returns the partitions in the order to read them.
func (s *session) listLocked(resolve func(meta.TopicID) (string, bool)) ([]Partition, []*entry, []bool) {
	partitions, entries, include := s.mu.spare.partitions[:0], s.mu.spare.entries[:0], s.mu.spare.include
	s.mu.spare = spare{}
	for e := s.mu.order.next; e != &s.mu.order; e = e.next {
		if s.usesIDs && e.Topic == "" {
			e.Topic, _ = resolve(e.TopicID)
		}
		partitions = append(partitions, e.Partition)
		entries = append(entries, e)
	}
	return partitions, entries, include
}

func (s *session) addLocked(p Partition) *entry {
	e := &entry{Partition: p, highWatermark: -1, toldLogStart: -1}
	s.mu.entries[p.key()] = e
	s.linkLastLocked(e)
	if n := len(s.mu.free); n > 0 {
		e.slot, s.mu.free = s.mu.free[n-1], s.mu.free[:n-1]
		s.mu.slots[e.slot] = e
	} else {
		e.slot = len(s.mu.slots)
		s.mu.slots = append(s.mu.slots, e)
	}
	return e
}

// toEndLocked makes e the last to be read.
func (s *session) toEndLocked(e *entry) {
	e.unlink()
	s.linkLastLocked(e)
}

func (s *session) linkLastLocked(e *entry) {
	last := s.mu.order.previous
	e.previous, e.next = last, &s.mu.order
	last.next, s.mu.order.previous = e, e
}

func (e *entry) unlink() {
	e.previous.next, e.next.previous = e.next, e.previous
	e.previous, e.next = nil, nil
}
