package replica

import (
	"slices"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// replicaView is what a replica selector knows of one replica.
type replicaView struct {
	id       meta.BrokerID
	rack     string
	leo      int64
	caughtUp time.Time
}

// preferredReplicaLocked names the replica a consumer in a rack should read offset from, or meta.NoBroker to read here
// (KIP-392); mu is held.
func (p *Partition) preferredReplicaLocked(params *FetchParams, offset int64) meta.BrokerID {
	if !p.m.cfg.RackAwareReads || params.Rack == "" || !params.FromFollower {
		return meta.NoBroker
	}
	snapshot := p.m.metadata.Load()
	rackOf := func(id meta.BrokerID) string {
		b, _ := snapshot.Broker(id)
		return b.Rack
	}
	self := replicaView{id: p.m.id, rack: rackOf(p.m.id), leo: p.mu.log.LogEndOffset()}
	candidates := []replicaView{self}
	p.followers.Lock()
	for _, id := range p.mu.isr {
		f := p.followers.progress[id]
		if f == nil || f.leo < offset || f.logStart > offset {
			continue
		}
		candidates = append(candidates, replicaView{id: id, rack: rackOf(id), leo: f.leo, caughtUp: f.lastCaughtUp()})
	}
	p.followers.Unlock()
	if best := closest(candidates, self.id, params.Rack); best != self.id {
		return best
	}
	return meta.NoBroker
}

// closest picks the replica in the consumer's rack that has the most, the leader if it is one of them or none is.
func closest(candidates []replicaView, leader meta.BrokerID, rack string) meta.BrokerID {
	near := slices.DeleteFunc(slices.Clone(candidates), func(r replicaView) bool { return r.rack != rack })
	if len(near) == 0 || slices.ContainsFunc(near, func(r replicaView) bool { return r.id == leader }) {
		return leader
	}
	return slices.MaxFunc(near, func(a, b replicaView) int {
		if a.leo != b.leo {
			return int(min(1, max(-1, a.leo-b.leo)))
		}
		return a.caughtUp.Compare(b.caughtUp)
	}).id
}
