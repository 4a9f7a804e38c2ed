package controller

import (
	"slices"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// batch gathers what brokers are to be told, so that a change of many partitions is one request of each kind per broker.
// It holds names only: requests are built from the state as it is when the batch is sent, which is within the same event.
//
// Order of sending: LeaderAndISR to everyone, UpdateMetadata to everyone, StopReplica to everyone. A follower that is
// told of a leader it has never heard of stays on its old epoch without a word, so news of live brokers goes out in an
// earlier batch than the partitions they lead.
type batch struct {
	leaders  map[meta.BrokerID]map[*partition]bool // LeaderAndISR: to whom, about what, and whether the replica is new there
	metadata map[*partition]struct{}               // UpdateMetadata: about what
	readers  map[meta.BrokerID]struct{}            // UpdateMetadata: to whom
	stops    map[meta.BrokerID]map[*partition]stop // StopReplica
	// whole: what brokers are told of leadership is all that concerns them. They may look for what they have beyond that.
	whole bool
}

// stop is one partition of a StopReplica request.
type stop struct {
	leaderEpoch meta.LeaderEpoch
	del         bool
}

// epochDuringDelete is the leader epoch that makes a broker stop a replica whatever its own epoch.
const epochDuringDelete meta.LeaderEpoch = -2

func newBatch() *batch {
	return &batch{
		leaders:  make(map[meta.BrokerID]map[*partition]bool),
		metadata: make(map[*partition]struct{}),
		readers:  make(map[meta.BrokerID]struct{}),
		stops:    make(map[meta.BrokerID]map[*partition]stop),
	}
}

// tellLeadership adds LeaderAndISR for p to some brokers, and UpdateMetadata for it to all. Once new, a replica stays new.
func (b *batch) tellLeadership(s *state, to []meta.BrokerID, p *partition, isNew bool) {
	for _, id := range to {
		if id < 0 {
			continue
		}
		of := b.leaders[id]
		if of == nil {
			of = make(map[*partition]bool)
			b.leaders[id] = of
		}
		of[p] = of[p] || isNew
	}
	b.tellEveryone(s, p)
}

// tellEveryone adds UpdateMetadata for p, if its leadership is known, to all registered brokers.
func (b *batch) tellEveryone(s *state, p *partition) {
	b.readAll(s)
	if p.known {
		b.metadata[p] = struct{}{}
	}
}

// readAll addresses UpdateMetadata to all registered brokers; without partitions it carries the list of live brokers.
func (b *batch) readAll(s *state) {
	if len(b.readers) < len(s.brokers) {
		for id := range s.brokers {
			b.readers[id] = struct{}{}
		}
	}
}

// tellMetadata addresses UpdateMetadata to some brokers, about some partitions.
func (b *batch) tellMetadata(to []meta.BrokerID, ps []*partition) {
	for _, id := range to {
		b.readers[id] = struct{}{}
	}
	for _, p := range ps {
		if p.known {
			b.metadata[p] = struct{}{}
		}
	}
}

// stopReplica adds StopReplica for p on one broker, with the leader epoch known now. Once deleting, it stays deleting.
func (b *batch) stopReplica(id meta.BrokerID, p *partition, del bool) {
	if id < 0 {
		return
	}
	epoch := meta.NoLeaderEpoch
	switch {
	case p.topic.queued:
		epoch = epochDuringDelete
	case p.known:
		epoch = p.info.LeaderEpoch
	}
	of := b.stops[id]
	if of == nil {
		of = make(map[*partition]stop)
		b.stops[id] = of
	}
	of[p] = stop{leaderEpoch: epoch, del: del || of[p].del}
}

// send builds the requests and puts them into the outboxes. Brokers that are not registered are passed over.
func (t *term) send(b *batch) {
	e := newEncoder(t)
	for _, id := range sortedKeys(b.leaders) {
		if to := t.state.brokers[id]; to != nil {
			to.outbox.put(e.leaderAndISR(to, b.leaders[id], b.whole), nil)
		}
	}
	if len(b.readers) > 0 {
		r := e.updateMetadata(b.metadata)
		for _, id := range sortedKeys(b.readers) {
			if to := t.state.brokers[id]; to != nil {
				own := *r
				own.BrokerEpoch = int64(to.Epoch)
				to.outbox.put(&own, nil)
			}
		}
	}
	for _, id := range sortedKeys(b.stops) {
		if to := t.state.brokers[id]; to != nil {
			for _, r := range e.stopReplica(to, b.stops[id]) {
				to.outbox.put(r.request, r.deleting)
			}
		}
	}
}

// byTopic returns the partitions of a set grouped by topic, topics by name, partitions by number.
func byTopic[V any](set map[*partition]V) [][]*partition {
	at := make(map[*topic]int)
	var groups [][]*partition
	for p := range set {
		i, ok := at[p.topic]
		if !ok {
			i = len(groups)
			at[p.topic] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], p)
	}
	for _, g := range groups {
		slices.SortFunc(g, comparePartitions)
	}
	slices.SortFunc(groups, func(a, b []*partition) int { return comparePartitions(a[0], b[0]) })
	return groups
}

func sortedKeys[V any](set map[meta.BrokerID]V) []meta.BrokerID {
	ids := make([]meta.BrokerID, 0, len(set))
	for id := range set {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
