package replica

import (
	"slices"
	"time"

	"github.com/kraal-mq/kraal/quota"
)

// Replicas that lack something are throttled at either end (KIP-73): the leader sends them empty answers, the follower does not
// ask for them. Those that keep up never are, though their bytes count: holding them back would cost them their place in the ISR.

// orNone is a quota that holds nothing back if there is none.
func orNone(q *quota.Replication) *quota.Replication {
	if q == nil {
		return quota.NewReplication(1, time.Second)
	}
	return q
}

// heldBackLocked reports whether a fetch by a replica is to get no records now; mu is held.
// (ReplicaManager.shouldLeaderThrottle)
func (p *Partition) heldBackLocked(params *FetchParams) bool {
	q := p.m.leaderQuota
	return params.fromReplica() && q.Throttled(p.tp.Topic, p.tp.Partition) && !slices.Contains(p.mu.isr, params.Replica) &&
		q.Exceeded(p.m.clock())
}

// CountSent notes record bytes of a partition that went to a follower.
func (m *Manager) CountSent(topic string, partition int32, bytes int) {
	if m.leaderQuota.Throttled(topic, partition) {
		m.leaderQuota.Record(bytes, m.clock())
	}
}

// holdBack takes the throttled partitions that lack something out of the session for as long as the rate is exceeded.
// (RemoteLeaderEndPoint.shouldFollowerThrottle)
func (f *fetcher) holdBack() {
	q := f.m.followerQuota
	if !q.Any() {
		return
	}
	now := f.m.clock()
	wait := q.Delay(now)
	if wait == 0 {
		return
	}
	var held []*fetchState
	for tp, e := range f.session.byName {
		if e.state.lag.Load() != 0 && q.Throttled(tp.Topic, tp.Partition) {
			held = append(held, e.state)
		}
	}
	for _, s := range held {
		f.session.remove(s.p.tp)
		s.until = now.Add(wait)
		f.resume(s)
	}
}
