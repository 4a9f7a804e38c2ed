package controller

import (
	"slices"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// strategy is a way to choose a leader. All of them prefer replicas in assignment order and raise the leader epoch by one.
type strategy uint8

const (
	// electOffline: the leader is gone; the first live ISR member leads, else, if allowed, any live replica.
	electOffline strategy = iota
	// electForReassign: the first member of the reassignment's target that is live and in the ISR leads.
	electForReassign
	// electPreferred: the first assigned replica leads, if it is live and in the ISR.
	electPreferred
	// electForShutdown: the first ISR member that is not about to stop leads; those about to stop leave the ISR.
	electForShutdown
)

func (s strategy) String() string {
	return [...]string{"offline", "reassign", "preferred", "controlled shutdown"}[s]
}

// electorate is what a leader is chosen from.
type electorate struct {
	assignment meta.Assignment
	current    meta.LeaderAndISR
	online     func(meta.BrokerID) bool // live and with its log directory
	leaving    func(meta.BrokerID) bool // shutting down; used by electForShutdown
	unclean    bool                     // electOffline may choose a replica outside the ISR
	recovering bool                     // mark such a leader RECOVERING (KIP-704)
}

// elect chooses a leader. It returns the partition's next state, who is to be told by LeaderAndISR, and whether the
// election was unclean; ok is false when nobody can lead. Leader epoch, leader, ISR and recovery state of next are decided,
// the rest is taken over from the current state.
func elect(s strategy, e electorate) (next meta.LeaderAndISR, recipients []meta.BrokerID, unclean, ok bool) {
	replicas := e.assignment.Replicas
	isr := e.current.ISR
	inISR := func(id meta.BrokerID) bool { return slices.Contains(isr, id) }
	next = e.current
	leader := meta.NoBroker
	switch s {
	case electOffline:
		recipients = filter(replicas, e.online)
		leader = first(recipients, inISR)
		switch {
		case leader != meta.NoBroker:
			next.ISR = filter(isr, func(id meta.BrokerID) bool { return slices.Contains(recipients, id) })
		case e.unclean && len(recipients) > 0 && !slices.ContainsFunc(isr, e.online):
			leader, unclean = recipients[0], true
			next.ISR = []meta.BrokerID{leader}
			if e.recovering {
				next.RecoveryState = meta.Recovering
			}
		}
	case electForReassign:
		recipients = e.assignment.Target()
		leader = first(recipients, func(id meta.BrokerID) bool { return e.online(id) && inISR(id) })
	case electPreferred:
		recipients = replicas
		if len(replicas) > 0 && e.online(replicas[0]) && inISR(replicas[0]) {
			leader = replicas[0]
		}
	case electForShutdown:
		recipients = filter(replicas, func(id meta.BrokerID) bool { return e.online(id) || e.leaving(id) })
		leader = first(recipients, func(id meta.BrokerID) bool { return inISR(id) && !e.leaving(id) })
		next.ISR = filter(isr, func(id meta.BrokerID) bool { return !e.leaving(id) })
	}
	if leader == meta.NoBroker {
		return e.current, nil, false, false
	}
	next.Leader = leader
	next.LeaderEpoch++
	return next, recipients, unclean, true
}

// firstLeader chooses the first leader of a partition: the first live replica leads, all live ones are in sync.
func firstLeader(a meta.Assignment, online func(meta.BrokerID) bool) (meta.LeaderAndISR, bool) {
	live := filter(a.Replicas, online)
	if len(live) == 0 {
		return meta.LeaderAndISR{}, false
	}
	return meta.LeaderAndISR{Leader: live[0], ISR: live}, true
}

// shrink takes a replica out of the ISR, and out of leadership. The last ISR member stays: it alone has all the data.
// ok is false when the replica is not in the ISR, so that nothing changes.
func shrink(current meta.LeaderAndISR, gone meta.BrokerID) (next meta.LeaderAndISR, ok bool) {
	if !slices.Contains(current.ISR, gone) {
		return current, false
	}
	next = current
	if next.Leader == gone {
		next.Leader = meta.NoBroker
	}
	if len(current.ISR) > 1 {
		next.ISR = filter(current.ISR, func(id meta.BrokerID) bool { return id != gone })
	}
	next.LeaderEpoch++
	return next, true
}

func first(ids []meta.BrokerID, ok func(meta.BrokerID) bool) meta.BrokerID {
	for _, id := range ids {
		if ok(id) {
			return id
		}
	}
	return meta.NoBroker
}

func filter(ids []meta.BrokerID, ok func(meta.BrokerID) bool) []meta.BrokerID {
	kept := make([]meta.BrokerID, 0, len(ids))
	for _, id := range ids {
		if ok(id) {
			kept = append(kept, id)
		}
	}
	return kept
}
