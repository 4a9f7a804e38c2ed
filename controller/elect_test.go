package controller

import (
	"slices"
	"testing"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

func ids(list ...meta.BrokerID) []meta.BrokerID { return list }

// TestElect is section by section Kafka's PartitionLeaderElectionAlgorithms and Election.
func TestElect(t *testing.T) {
	for _, test := range []struct {
		name       string
		how        strategy
		replicas   []meta.BrokerID
		removing   []meta.BrokerID
		isr        []meta.BrokerID
		leader     meta.BrokerID
		online     []meta.BrokerID
		leaving    []meta.BrokerID
		unclean    bool
		want       meta.BrokerID // meta.NoBroker: nobody
		wantISR    []meta.BrokerID
		recipients []meta.BrokerID
		dirty      bool
	}{
		{"offline: first live in sync", electOffline, ids(1, 2, 3), nil, ids(1, 3, 2), 1, ids(2, 3), nil, false, 2, ids(3, 2), ids(2, 3), false},
		{"offline: out of sync is passed over", electOffline, ids(1, 2, 3), nil, ids(3), 1, ids(1, 2, 3), nil, false, 3, ids(3), ids(1, 2, 3), false},
		{"offline: nobody in sync", electOffline, ids(1, 2), nil, ids(1), 1, ids(2), nil, false, meta.NoBroker, nil, nil, false},
		{"offline: unclean not needed", electOffline, ids(1, 2), nil, ids(2), 1, ids(1, 2), nil, true, 2, ids(2), ids(1, 2), false},
		{"offline: unclean", electOffline, ids(1, 2, 3), nil, ids(1), 1, ids(2, 3), nil, true, 2, ids(2), ids(2, 3), true},
		{"offline: unclean, nobody alive", electOffline, ids(1, 2), nil, ids(1), 1, nil, nil, true, meta.NoBroker, nil, nil, false},
		{"offline: an ISR member outside the assignment is alive", electOffline, ids(1, 2), nil, ids(9), 9, ids(1, 2, 9), nil, true, meta.NoBroker, nil, nil, false},
		{"reassign: first of the target", electForReassign, ids(4, 5, 1, 2), ids(1, 2), ids(1, 2, 4, 5), 1, ids(1, 2, 4, 5), nil, false, 4, ids(1, 2, 4, 5), ids(4, 5), false},
		{"reassign: dead and lagging ones are passed over", electForReassign, ids(4, 5, 6), nil, ids(4, 6), 4, ids(5, 6), nil, false, 6, ids(4, 6), ids(4, 5, 6), false},
		{"reassign: nobody", electForReassign, ids(4, 1), ids(1), ids(1), 1, ids(1, 4), nil, false, meta.NoBroker, nil, nil, false},
		{"preferred", electPreferred, ids(1, 2, 3), nil, ids(3, 1), 3, ids(1, 3), nil, false, 1, ids(3, 1), ids(1, 2, 3), false},
		{"preferred: dead", electPreferred, ids(1, 2), nil, ids(1, 2), 2, ids(2), nil, false, meta.NoBroker, nil, nil, false},
		{"preferred: out of sync", electPreferred, ids(1, 2), nil, ids(2), 2, ids(1, 2), nil, false, meta.NoBroker, nil, nil, false},
		{"preferred: no replicas", electPreferred, nil, nil, ids(1), 1, ids(1), nil, false, meta.NoBroker, nil, nil, false},
		{"shutdown", electForShutdown, ids(1, 2, 3), nil, ids(1, 2, 3), 1, ids(2, 3), ids(1), false, 2, ids(2, 3), ids(1, 2, 3), false},
		{"shutdown: two at once", electForShutdown, ids(1, 2, 3), nil, ids(1, 2, 3), 1, ids(3), ids(1, 2), false, 3, ids(3), ids(1, 2, 3), false},
		{"shutdown: the last in sync", electForShutdown, ids(1, 2), nil, ids(1), 1, ids(2), ids(1), false, meta.NoBroker, nil, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := func(set []meta.BrokerID) func(meta.BrokerID) bool {
				return func(id meta.BrokerID) bool { return slices.Contains(set, id) }
			}
			current := meta.LeaderAndISR{Leader: test.leader, LeaderEpoch: 7, ISR: slices.Clone(test.isr), PartitionEpoch: 9}
			next, recipients, dirty, ok := elect(test.how, electorate{
				assignment: meta.Assignment{Replicas: test.replicas, Removing: test.removing},
				current:    current, online: in(test.online), leaving: in(test.leaving), unclean: test.unclean, recovering: true,
			})
			if !slices.Equal(current.ISR, test.isr) {
				t.Errorf("the old ISR was changed to %v", current.ISR)
			}
			if ok != (test.want != meta.NoBroker) {
				t.Fatalf("elected %v: %+v", ok, next)
			}
			if !ok {
				return
			}
			recovery := meta.Recovered
			if test.dirty {
				recovery = meta.Recovering
			}
			if next.Leader != test.want || !slices.Equal(next.ISR, test.wantISR) || next.LeaderEpoch != 8 || next.RecoveryState != recovery || next.PartitionEpoch != 9 {
				t.Errorf("next state %+v", next)
			}
			if !slices.Equal(recipients, test.recipients) || dirty != test.dirty {
				t.Errorf("recipients %v, unclean %v", recipients, dirty)
			}
		})
	}
}

func TestShrink(t *testing.T) {
	for _, test := range []struct {
		leader meta.BrokerID
		isr    []meta.BrokerID
		gone   meta.BrokerID
		want   meta.BrokerID
		isrNow []meta.BrokerID
		ok     bool
	}{
		{1, ids(1, 2, 3), 3, 1, ids(1, 2), true},
		{1, ids(1, 2, 3), 1, meta.NoBroker, ids(2, 3), true},
		{1, ids(1), 1, meta.NoBroker, ids(1), true}, // the last one has all the data
		{1, ids(1, 2), 3, 1, ids(1, 2), false},
	} {
		next, ok := shrink(meta.LeaderAndISR{Leader: test.leader, ISR: test.isr, LeaderEpoch: 4}, test.gone)
		epoch := meta.LeaderEpoch(4)
		if test.ok {
			epoch++
		}
		if ok != test.ok || next.Leader != test.want || !slices.Equal(next.ISR, test.isrNow) || next.LeaderEpoch != epoch {
			t.Errorf("shrink %v by %d: %+v, %v", test.isr, test.gone, next, ok)
		}
	}
}

func TestReassignTo(t *testing.T) {
	a := meta.Assignment{Replicas: ids(1, 2, 3)}
	for _, test := range []struct {
		target []meta.BrokerID
		want   string
		origin []meta.BrokerID
	}{
		{ids(4, 5, 6), "4,5,6,1,2,3+4,5,6-1,2,3", ids(1, 2, 3)},
		{ids(3, 4, 2), "3,4,2,1+4-1", ids(3, 2, 1)}, // the order of the origin is lost
		{ids(3, 1, 2), "3,1,2", ids(3, 1, 2)},
		{ids(1), "1,2,3-2,3", ids(1, 2, 3)},
		{ids(1, 2, 3, 4), "1,2,3,4+4", ids(1, 2, 3)},
	} {
		next := reassignTo(a, test.target)
		if got := assignmentText(next); got != test.want || !slices.Equal(next.Origin(), test.origin) || !slices.Equal(next.Target(), test.target) {
			t.Errorf("to %v: %s, origin %v, target %v", test.target, got, next.Origin(), next.Target())
		}
	}
}

// TestTransitions spells the two tables out: rows from, columns to.
func TestTransitions(t *testing.T) {
	partitions := []string{ // NonExistent New Online Offline
		"-N--", // NonExistent
		"--nf", // New
		"--nf", // Online
		"X-nf", // Offline
	}
	for from, row := range partitions {
		for to := range row {
			if got, want := partitionState(from).may(partitionState(to)), row[to] != '-'; got != want {
				t.Errorf("partition %s to %s: %v", partitionState(from), partitionState(to), got)
			}
		}
	}
	replicas := []string{ // NonExistent New Online Offline Started Successful Ineligible
		"-N-----", // NonExistent
		"--nf---", // New
		"--nf---", // Online
		"--nfS-I", // Offline
		"-----YI", // DeletionStarted
		"X------", // DeletionSuccessful
		"--nf---", // DeletionIneligible
	}
	for from, row := range replicas {
		for to := range row {
			if got, want := replicaState(from).may(replicaState(to)), row[to] != '-'; got != want {
				t.Errorf("replica %s to %s: %v", replicaState(from), replicaState(to), got)
			}
		}
	}
}
