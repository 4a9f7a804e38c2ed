package replica

import (
	"cmp"
	"errors"
	"math"
	"slices"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// fetchSession is the follower's side of an incremental fetch session (KIP-227): which partitions are wanted, and what the
// leader was told of each, so that a request carries only what changed and an idle one carries nothing. It does no I/O and
// belongs to one fetcher's goroutine.
//
// Partitions enter with add and leave with remove; touch says that the wish for one may have changed. next makes the request,
// then exactly one of answered and failed is called.
type fetchSession struct {
	incremental bool  // the protocol knows sessions; otherwise every request is complete
	id, epoch   int32 // of the next request; epoch 0 asks for a new session in place of id
	byID        bool  // topics of the running session are named by id

	byName    map[meta.TopicPartition]*sessionPartition
	byTopicID map[idPartition]*sessionPartition // those with an id
	withoutID int

	changed   []*sessionPartition                  // to be looked at by next
	forgotten map[meta.TopicPartition]meta.TopicID // told and not wanted any more
	turn      uint64                               // of the partition that comes last in a complete request
}

type idPartition struct {
	id        meta.TopicID
	partition int32
}

// sessionPartition is one partition wanted.
type sessionPartition struct {
	state *fetchState
	// asked is what the leader was told; asked.Offset is where the records of its next answer begin.
	asked  FetchPartition
	told   bool   // the leader remembers this partition, as asked or as it was asked for before it was added again
	queued bool   // in changed
	gone   bool   // removed
	turn   uint64 // order in a complete request: what brought data goes to the end
}

func newFetchSession(incremental bool) *fetchSession {
	return &fetchSession{
		incremental: incremental,
		byName:      make(map[meta.TopicPartition]*sessionPartition),
		byTopicID:   make(map[idPartition]*sessionPartition),
		forgotten:   make(map[meta.TopicPartition]meta.TopicID),
	}
}

func (s *fetchSession) len() int { return len(s.byName) }

// add wants a partition. One of the same name is replaced.
func (s *fetchSession) add(st *fetchState) {
	tp := st.p.tp
	s.remove(tp)
	e := &sessionPartition{state: st}
	s.byName[tp] = e
	if st.topicID.IsZero() {
		s.withoutID++
	} else {
		s.byTopicID[idPartition{st.topicID, tp.Partition}] = e
	}
	if id, was := s.forgotten[tp]; was && (id == st.topicID || !s.byID) {
		// The leader forgets after it adds, so that it would drop the new entry. What it remembers is not known here any more.
		delete(s.forgotten, tp)
		e.told = true
	}
	s.toEnd(e)
	s.queue(e)
}

// remove does not want a partition any more.
func (s *fetchSession) remove(tp meta.TopicPartition) {
	e := s.byName[tp]
	if e == nil {
		return
	}
	e.gone = true
	delete(s.byName, tp)
	if e.state.topicID.IsZero() {
		s.withoutID--
	} else {
		delete(s.byTopicID, idPartition{e.state.topicID, tp.Partition})
	}
	if e.told && s.epoch != 0 {
		s.forgotten[tp] = e.state.topicID
	}
}

// find returns the partition an answer is about, nil if it is not wanted.
func (s *fetchSession) find(a *ReplyPartition) *sessionPartition {
	if a.TopicID != (meta.TopicID{}) {
		return s.byTopicID[idPartition{a.TopicID, a.Partition}]
	}
	return s.byName[meta.TopicPartition{Topic: a.Topic, Partition: a.Partition}]
}

// touch makes next look whether the wish for a partition is still what the leader was told.
func (s *fetchSession) touch(e *sessionPartition, gotData bool) {
	if gotData {
		s.toEnd(e)
	}
	s.queue(e)
}

func (s *fetchSession) queue(e *sessionPartition) {
	if !e.queued && !e.gone {
		e.queued = true
		s.changed = append(s.changed, e)
	}
}

func (s *fetchSession) toEnd(e *sessionPartition) {
	s.turn++
	e.turn = s.turn
}

// next fills in session and partitions of q. wish tells what is wanted of a partition now.
func (s *fetchSession) next(q *FetchQuery, wish func(*fetchState) FetchPartition) {
	if byID := s.withoutID == 0; byID != s.byID {
		s.byID, s.epoch = byID, 0 // a session does not change between names and ids
	}
	q.ByID, q.SessionID, q.SessionEpoch = s.byID, s.id, s.epoch
	q.Partitions, q.Forgotten = q.Partitions[:0], q.Forgotten[:0]
	ask := func(e *sessionPartition) {
		e.asked, e.told = wish(e.state), true
		q.Partitions = append(q.Partitions, e.asked)
	}
	if s.epoch == 0 {
		if !s.incremental {
			q.SessionEpoch = -1
		}
		for _, e := range s.changed {
			e.queued = false
		}
		all := make([]*sessionPartition, 0, len(s.byName))
		for _, e := range s.byName {
			all = append(all, e)
		}
		slices.SortFunc(all, func(a, b *sessionPartition) int { return cmp.Compare(a.turn, b.turn) })
		for _, e := range all {
			ask(e)
		}
	} else {
		for _, e := range s.changed {
			e.queued = false
			if !e.gone && (!e.told || e.asked != wish(e.state)) {
				ask(e)
			}
		}
		for tp, id := range s.forgotten {
			q.Forgotten = append(q.Forgotten, ForgottenPartition{Partition: tp, TopicID: id})
		}
		slices.SortFunc(q.Forgotten, func(a, b ForgottenPartition) int { return a.Partition.Compare(b.Partition) })
	}
	clear(s.changed)
	s.changed = s.changed[:0]
	clear(s.forgotten)
}

// answered notes that the leader answered without an error for the request as a whole, with this session id.
func (s *fetchSession) answered(id int32) {
	switch {
	case !s.incremental || id == 0:
		s.id, s.epoch = 0, 0 // it had no room for a session, or gave this one up
	case s.epoch == 0:
		s.id, s.epoch = id, 1
	case s.epoch == math.MaxInt32:
		s.epoch = 1
	default:
		s.epoch++
	}
}

// failed notes that there is no usable answer: nobody knows what the leader remembers, so a new session replaces this one.
func (s *fetchSession) failed(err error) {
	s.epoch = 0
	if errors.Is(err, ErrFetchSessionUnknown) {
		s.id = 0
	}
}
