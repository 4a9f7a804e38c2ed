//go:build unix

package broker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/tools/testkit"
)

// A group goes on in its generation, with its assignment, whichever way its coordinator moves: stopped, killed, deprived of its ZooKeeper
// session. Its members are seen in ZooKeeper through the session of the coordinator there is.
func TestGroupOutlivesItsCoordinator(t *testing.T) {
	t.Parallel()
	f := startProcFleet(t, map[string]string{"group.initial.rebalance.delay.ms": "100"})
	impatient := []kgo.Opt{kgo.RequestRetries(1000), kgo.RetryTimeout(recovery), kgo.DialTimeout(time.Second), kgo.RequestTimeoutOverhead(5 * time.Second),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond })}
	members := formGroup(t, "g", fleetClient(t, f.fleet.Addrs(), impatient...), fleetClient(t, f.fleet.Addrs(), impatient...), fleetClient(t, f.fleet.Addrs(), impatient...))
	generation := members[0].generation
	partition := f.partitionOf("g")
	f.checkShown(members, partition)

	f.unmoved(members, generation, "stopped", func(coordinator int) {
		before, _ := f.znodes.State(internalTopic, partition)
		f.fleet.Proc(coordinator).Stop()
		f.awaitNextEpoch(partition, before.LeaderEpoch)
	})
	f.checkShown(members, partition)
	f.fleet.Start()
	f.awaitInternalISR(partition, 3)
	f.unmoved(members, generation, "killed", func(coordinator int) {
		before, _ := f.znodes.State(internalTopic, partition)
		f.fleet.Proc(coordinator).Kill()
		f.awaitNextEpoch(partition, before.LeaderEpoch)
	})
	f.checkShown(members, partition)
	f.fleet.Start()
	f.awaitInternalISR(partition, 3)
	f.unmoved(members, generation, "expired", func(coordinator int) {
		before, _ := f.znodes.SessionOf(coordinator)
		_ = f.zk.EndSession(before) // it may have ended by itself
		testkit.Eventually(t, recovery, "another session", func() bool {
			session, registered := f.znodes.SessionOf(coordinator)
			return registered && session != before
		})
	})
	f.checkShown(members, partition)
}

const internalTopic = "__consumer_offsets"

// partitionOf is the partition a group is coordinated over.
func (f *procFleet) partitionOf(group string) int { return int(coord.PartitionOf(group, 3)) }

func (f *procFleet) awaitInternalISR(partition, n int) {
	f.t.Helper()
	testkit.Eventually(f.t, recovery, fmt.Sprintf("an ISR of %d", n), func() bool {
		s, _ := f.znodes.State(internalTopic, partition)
		return len(s.ISR) == n
	})
}

func (f *procFleet) awaitNextEpoch(partition int, epoch int32) {
	f.t.Helper()
	testkit.Eventually(f.t, recovery, "another leader epoch", func() bool {
		s, _ := f.znodes.State(internalTopic, partition)
		return s.LeaderEpoch > epoch && s.Leader >= 0
	})
}

// eventually lets members do something until they can. Brokers name a coordinator that is gone for a moment, and franz-go gives up when it
// cannot connect to the same twice.
func (f *procFleet) eventually(members []*protocolMember, do func(*protocolMember, context.Context) error) {
	f.t.Helper()
	ctx := within(f.t)
	together(f.t, members, func(m *protocolMember) error {
		for {
			err := do(m, ctx)
			var refused *kerr.Error
			if err == nil || errors.As(err, &refused) || ctx.Err() != nil {
				return err
			}
			time.Sleep(50 * time.Millisecond) // before it asks again
		}
	})
}

// unmoved does something to the coordinator, and checks that nothing has happened to the group.
func (f *procFleet) unmoved(members []*protocolMember, generation int32, what string, harm func(coordinator int)) {
	f.t.Helper()
	before, _ := f.znodes.State(internalTopic, f.partitionOf(members[0].group))
	began := time.Now()
	harm(before.Leader)
	f.eventually(members, (*protocolMember).heartbeat)
	f.t.Logf("coordinator %d %s: all members were heard again after %v", before.Leader, what, time.Since(began).Round(time.Millisecond))
	f.eventually(members, (*protocolMember).sync) // in a Stable group a leader's is no more than a follower's
	var described kadm.DescribedGroups
	f.eventually(members[:1], func(m *protocolMember, ctx context.Context) (err error) {
		described, err = kadm.NewClient(m.c).DescribeGroups(ctx, m.group)
		return err
	})
	g := described[members[0].group]
	if g.State != "Stable" || len(g.Members) != len(members) || members[0].generation != generation {
		f.t.Errorf("after the coordinator was %s the group is %s with %d members", what, g.State, len(g.Members))
	}
	seen := map[int32]bool{}
	for _, m := range members {
		for _, p := range m.partitions() {
			if seen[p] {
				f.t.Errorf("partition %d is assigned twice", p)
			}
			seen[p] = true
		}
	}
	if len(seen) != len(members) {
		f.t.Errorf("%d partitions are assigned", len(seen))
	}
}

// checkShown waits until members and owners are seen in ZooKeeper, by the coordinator there is.
func (f *procFleet) checkShown(members []*protocolMember, partition int) {
	f.t.Helper()
	var wanted = map[string]string{}
	for _, m := range members {
		wanted[fmt.Sprintf("/consumers/%s/ids/%s", m.group, m.id)] = ""
		for _, p := range m.partitions() {
			wanted[fmt.Sprintf("/consumers/%s/owners/t/%d", m.group, p)] = m.id + "-0"
		}
	}
	testkit.Eventually(f.t, recovery, "members of the group in ZooKeeper", func() bool {
		s, _ := f.znodes.State(internalTopic, partition)
		session, _ := f.znodes.SessionOf(s.Leader)
		for path, want := range wanted {
			data, owner, found := f.znodes.Ephemeral(path)
			if !found || owner != session || want != "" && data != want {
				return false
			}
		}
		return true
	})
}
