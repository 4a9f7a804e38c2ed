package replica

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// ISRProposal is what a leader asks of the controller (KIP-497).
type ISRProposal struct {
	Partition      meta.TopicPartition
	TopicID        meta.TopicID
	LeaderEpoch    meta.LeaderEpoch
	PartitionEpoch meta.PartitionEpoch
	ISR            []meta.BrokerID
}

// ISRDecision is the controller's answer: the state now in force, or why not.
type ISRDecision struct {
	State meta.LeaderAndISR
	Err   error
}

// What a controller may answer that decides how the leader goes on. Anything else is tried again.
var (
	// ErrProposalRefused: the proposal is off, the committed ISR stands, another one may be made.
	ErrProposalRefused = errors.New("ISR change refused")
	// ErrProposalOutdated: the controller knows a newer state, which is on its way. Until it arrives nothing more is proposed.
	ErrProposalOutdated = errors.New("ISR change is out of date")
)

// ISRProposer carries proposals to the active controller, gathering what is asked meanwhile. Propose must not block;
// decide is called once, from any goroutine, or never if the broker stops.
type ISRProposer interface {
	Propose(p ISRProposal, decide func(ISRDecision))
}

func (p *Partition) isReplicaLocked(id meta.BrokerID) bool {
	return slices.Contains(p.mu.replicas, id)
}

// followerFetchedLocked notes a follower's fetch, lets the high watermark follow and, if the follower has caught up, asks
// for it to be in the ISR; mu is held for reading. leo is the log end offset from before the read.
func (p *Partition) followerFetchedLocked(params *FetchParams, f *FetchPartition, leo int64) {
	now := params.now
	if now.IsZero() {
		now = p.m.clock()
	}
	p.followers.Lock()
	follower, known := p.followers.progress[params.Replica]
	if !known {
		p.followers.Unlock()
		return // this leader's assignment is about to change
	}
	moved, startMoved := follower.leo != f.Offset, follower.logStart != f.LogStart
	follower.fetched(f.Offset, f.LogStart, leo, now, params.ReplicaEpoch)
	if params.clock != nil {
		follower.sentAfter = later(follower.sentAfter, at(&params.clock.last))
	}
	p.followers.Unlock()
	if moved {
		p.advanceLocked(now)
	}
	if p.mayExpandLocked(params.Replica, f.Offset) {
		p.m.wakeISRCheck(isrCheck{p, params.Replica}) // proposing takes the write lock
	}
	if (moved || startMoved) && p.m.lowWatermarkWaiters.Load() > 0 {
		p.hwWaiters.wakeAll()
	}
}

// attachClock lets a follower's progress go by the clock of a watch, for as long as nothing moves. It refuses if a fetch as
// asked would still tell something of the follower.
func (p *Partition) attachClock(id meta.BrokerID, asked *FetchPartition, clock *pollClock) bool {
	p.followers.Lock()
	defer p.followers.Unlock()
	f := p.followers.progress[id]
	if f == nil || f.leo != asked.Offset || f.logStart != asked.LogStart {
		return false
	}
	f.detach()
	f.clock = clock
	return true
}

// detachClock ends that, if the clock is still the one.
func (p *Partition) detachClock(id meta.BrokerID, clock *pollClock) {
	p.followers.Lock()
	defer p.followers.Unlock()
	if f, known := p.followers.progress[id]; known && f.clock == clock {
		f.detach()
	}
}

// mayExpandLocked reports whether the follower at offset belongs into the ISR; mu is held.
func (p *Partition) mayExpandLocked(id meta.BrokerID, offset int64) bool {
	return p.mu.proposed == nil && !slices.Contains(p.mu.isr, id) &&
		offset >= p.mu.log.HighWatermark() && offset >= p.mu.epochStart && p.m.metadata.Load().Alive(id)
}

// isrCheck asks whether a follower that has just fetched belongs into the ISR.
type isrCheck struct {
	p        *Partition
	follower meta.BrokerID
}

// checkISR proposes the ISR that the followers' progress calls for, one change at a time: with fetched, if that follower
// may enter; without (meta.NoBroker), if any has to leave. Only a follower that has just fetched enters: one that stopped
// at the high watermark would look as good as one that keeps up while the high watermark stands still.
func (p *Partition) checkISR(fetched meta.BrokerID) {
	p.mu.Lock()
	if p.mu.role != leading || p.mu.proposed != nil || len(p.mu.replicas) < 2 || p.offlineLocked() != nil || !p.m.mayLead() {
		p.mu.Unlock()
		return
	}
	now := p.m.clock()
	isr, why := p.wantedISRLocked(now, fetched)
	if isr == nil {
		p.mu.Unlock()
		return
	}
	p.mu.proposed = isr
	proposal := ISRProposal{Partition: p.tp, TopicID: p.mu.topicID, LeaderEpoch: p.mu.leaderEpoch,
		PartitionEpoch: p.mu.partitionEpoch, ISR: isr}
	old := p.mu.isr
	p.mu.Unlock()

	for _, w := range why {
		p.m.logger.Info("proposing an ISR change", append([]zap.Field{zap.String("topic", p.tp.Topic), zap.Int32("partition", p.tp.Partition),
			zap.Int32("leader_epoch", int32(proposal.LeaderEpoch)), zap.Any("isr", old), zap.Any("wanted", isr)}, w.fields(now)...)...)
	}
	p.propose(proposal)
}

func (p *Partition) propose(proposal ISRProposal) {
	p.m.proposer.Propose(proposal, func(d ISRDecision) { p.decided(proposal, d) })
}

// reason says why a follower is to leave or enter the ISR.
type reason struct {
	follower meta.BrokerID
	enters   bool
	f        progress
	leo      int64
}

func (r *reason) fields(now time.Time) []zap.Field {
	fields := []zap.Field{zap.Int32("follower", int32(r.follower)), zap.Int64("follower_leo", r.f.leo), zap.Int64("leo", r.leo)}
	if r.enters {
		return append(fields, zap.String("why", "caught up"))
	}
	why := "fell behind"
	if r.f.at.IsZero() {
		why = "has not fetched since this broker leads"
	} else if now.Sub(r.f.at) > time.Second && !r.f.at.After(r.f.caughtUp) {
		why = "stopped fetching"
	}
	return append(fields, zap.String("why", why), zap.Int64("behind", max(0, r.leo-r.f.leo)), zap.Time("last_fetch", r.f.at), zap.Time("last_caught_up", r.f.caughtUp))
}

// wantedISRLocked returns the ISR to propose and why, nil if the present one is right; mu is held.
func (p *Partition) wantedISRLocked(now time.Time, fetched meta.BrokerID) (isr []meta.BrokerID, why []reason) {
	leo := p.mu.log.LogEndOffset()
	p.followers.Lock()
	defer p.followers.Unlock()
	if fetched != meta.NoBroker {
		f := p.followers.progress[fetched]
		if f == nil || f.leo < 0 || !p.mayExpandLocked(fetched, f.leo) {
			return nil, nil
		}
		return append(slices.Clone(p.mu.isr), fetched), []reason{{follower: fetched, enters: true, f: *f, leo: leo}}
	}
	for _, id := range p.mu.isr {
		f := p.followers.progress[id]
		if id == p.m.id || f != nil && f.isCaughtUp(leo, now, p.m.cfg.ReplicaLagTimeMax) {
			isr = append(isr, id)
			continue
		}
		r := reason{follower: id, leo: leo}
		if f != nil {
			r.f = *f
			r.f.detach()
		}
		why = append(why, r)
	}
	if len(isr) == len(p.mu.isr) {
		return nil, nil
	}
	return isr, why
}

// decided takes the controller's answer in.
func (p *Partition) decided(proposal ISRProposal, d ISRDecision) {
	p.mu.Lock()
	if p.mu.role != leading || p.mu.leaderEpoch != proposal.LeaderEpoch || p.mu.proposed == nil {
		p.mu.Unlock()
		return // a LeaderAndIsr came in between and replaced everything
	}
	if d.Err != nil {
		p.m.metrics.failedISR.Inc()
	}
	retry, committed := false, false
	switch {
	case d.Err == nil && d.State.LeaderEpoch == p.mu.leaderEpoch && d.State.PartitionEpoch >= p.mu.partitionEpoch:
		p.m.countISRChange(len(p.mu.isr), len(d.State.ISR))
		p.mu.isr, p.mu.partitionEpoch, p.mu.proposed = d.State.ISR, d.State.PartitionEpoch, nil
		committed = true
	case d.Err == nil:
		// Success, but of another epoch: the LeaderAndIsr that says so is on its way.
	case errors.Is(d.Err, ErrProposalRefused):
		p.mu.proposed = nil
	case errors.Is(d.Err, ErrProposalOutdated):
		// Stays pending, so that nothing is proposed from a state known to be old.
	default:
		retry = true
	}
	isr := p.mu.isr
	p.mu.Unlock()

	log := p.m.logger.With(zap.String("topic", p.tp.Topic), zap.Int32("partition", p.tp.Partition))
	switch {
	case committed:
		log.Debug("ISR changed", zap.Any("isr", isr), zap.Int32("partition_epoch", int32(d.State.PartitionEpoch)))
		p.mu.RLock()
		p.advanceLocked(p.m.clock())
		p.mu.RUnlock()
		p.hwWaiters.wakeAll() // acks=all waits look at the size of the ISR too
		p.watchers.mark(false)
	case retry:
		p.propose(proposal)
	case d.Err != nil:
		log.Info("the controller refused the ISR change", zap.Any("wanted", proposal.ISR), zap.Error(d.Err))
	}
}

// runISRChecks looks for followers that fell behind, and for those that wait to be let in, until ctx ends.
func (m *Manager) runISRChecks(ctx context.Context) {
	ticker := time.NewTicker(m.cfg.ReplicaLagTimeMax / 2)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			for _, p := range m.hosted() {
				p.checkISR(meta.NoBroker)
			}
		case c := <-m.isrChecks:
			c.p.checkISR(c.follower)
		}
	}
}

// wakeISRCheck asks for an expansion check. When the queue is full the next fetch of the follower asks again.
func (m *Manager) wakeISRCheck(c isrCheck) {
	select {
	case m.isrChecks <- c:
	default:
	}
}
