package fetchsession

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// A session is watched when somebody else keeps its partitions too and knows which of them have news, so that a fetch
// need not go through all of them. Between the two a partition goes by its slot, a small number that it keeps as long as
// it is in the session.
//
// A Fetch of a watched session has no Partitions: [Fetch.Forgotten] and [Fetch.Asked] say what its request changed for the
// watcher, and [Fetch.FinishSlots] takes results for those slots that were read. A request that comes while the one before
// is still being served gets a new watcher, which is asked for everything: whether the old one was is not known.

// watch is what a session keeps for its watcher. Guarded by session.mu.
type watch struct {
	by   any  // nil: the session is not watched
	busy bool // a fetch is between Begin and FinishSlots

	ask, forget []int
	unresolved  []*entry // their topic ids have no names yet
}

// Asked is a partition that the watcher has to take over.
type Asked struct {
	Slot int
	Partition
}

// asked notes that e is new or changed.
func (w *watch) asked(e *entry) {
	if w.by != nil {
		w.ask = append(w.ask, e.slot)
	}
}

// forgotten notes that e has left the session.
func (w *watch) forgotten(e *entry) {
	if w.by != nil {
		w.forget = append(w.forget, e.slot)
	}
}

// watchedLocked makes the fetch one of a watched session and takes over what its request changed.
func (f *Fetch) watchedLocked(s *session, resolve resolver, newWatcher func() any) {
	w := &s.mu.watch
	if w.busy {
		*w = watch{}
	}
	ask := w.ask
	if w.by == nil {
		w.by = newWatcher()
		ask = make([]int, 0, len(s.mu.entries))
		for e := s.mu.order.next; e != &s.mu.order; e = e.next {
			ask = append(ask, e.slot)
		}
	}
	w.busy = true
	f.watcher = w.by
	f.forgotten = append(f.forgotten, w.forget...)
	waiting := w.unresolved
	w.unresolved = nil
	for _, e := range waiting {
		if s.mu.slots[e.slot] == e {
			f.takeLocked(w, e, resolve)
		}
	}
	for _, slot := range ask {
		if e := s.mu.slots[slot]; e != nil { // else the request that asked for it forgot it as well
			f.takeLocked(w, e, resolve)
		}
	}
	w.ask, w.forget = w.ask[:0], w.forget[:0]
}

// takeLocked lists a partition for the watcher, once, if its topic has a name.
func (f *Fetch) takeLocked(w *watch, e *entry, resolve resolver) {
	if e.listed == f.epoch {
		return
	}
	e.listed = f.epoch
	if e.Topic == "" && !e.TopicID.IsZero() {
		e.Topic, _ = resolve(e.TopicID)
	}
	if e.Topic == "" {
		w.unresolved = append(w.unresolved, e)
		f.unresolved = append(f.unresolved, Asked{e.slot, e.Partition})
		return
	}
	f.asked = append(f.asked, Asked{e.slot, e.Partition})
}

// BeginWatched is Begin for a client that may have its sessions watched. newWatcher makes a watcher for a session that has
// none yet.
func (c *Cache) BeginWatched(req *kmsg.FetchRequest, privileged bool, resolve func(meta.TopicID) (string, bool), newWatcher func() any) (*Fetch, wire.Code) {
	return c.begin(req, privileged, resolve, newWatcher)
}

// Watched returns the watcher of the session; nil: there is none, and Partitions is to be read.
func (f *Fetch) Watched() any { return f.watcher }

// Asked returns what the watcher has to take over, in place of what it had in these slots.
func (f *Fetch) Asked() []Asked { return f.asked }

// Unresolved returns partitions whose topic ids have no names. The answer for them is UNKNOWN_TOPIC_ID.
func (f *Fetch) Unresolved() []Asked { return f.unresolved }

// Forgotten returns the slots that the request took out of the session. The watcher drops them before it takes over Asked,
// where they may be given out again.
func (f *Fetch) Forgotten() []int { return f.forgotten }

// FinishSlots is Finish for a watched session: results are those of slots, which were read. If the code is not None the
// watcher's news did not reach the client.
func (f *Fetch) FinishSlots(slots []int, results []Result) (sessionID int32, include []bool, code wire.Code) {
	s := f.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.epoch != f.epoch { // the client sent its request twice
		return s.id, nil, wire.ErrInvalidFetchSessionEpoch
	}
	s.mu.watch.busy = false
	include = make([]bool, len(slots))
	for i, slot := range slots {
		e := s.mu.slots[slot]
		include[i] = e.differs(&results[i])
		e.told(&results[i])
	}
	return s.id, include, wire.None
}
