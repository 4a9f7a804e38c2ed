package controller_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/controller"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

func ids(list ...meta.BrokerID) []meta.BrokerID { return list }

// TestZooKeeper runs controllers against a real ZooKeeper.
func TestZooKeeper(t *testing.T) {
	server := zktest.Start(t)
	for name, test := range map[string]func(*testing.T, *fleet){
		"OneBroker":        oneBroker,
		"ThreeBrokers":     threeBrokers,
		"Deletion":         deletion,
		"Reassignment":     reassignment,
		"Failover":         failover,
		"Expiry":           expiry,
		"ExpiryOfAnother":  expiryOfAnother,
		"Deposed":          deposed,
		"ZooKeeperRestart": func(t *testing.T, f *fleet) { zooKeeperRestart(t, f, server) },
	} {
		t.Run(name, func(t *testing.T) { test(t, newFleet(t, server)) })
	}
}

func oneBroker(t *testing.T, f *fleet) {
	f.start(1)
	z := f.store()
	f.eventually("controller", func() bool { return f.active() != nil })
	f.create(z, "t", ids(1), ids(1))
	f.settled(z, "t", 0, 1, 1)
	if s := f.settled(z, "t", 1, 1, 1); s.LeaderEpoch != 0 || s.PartitionEpoch != 0 || s.ControllerEpoch != 1 {
		t.Errorf("first state %+v", s)
	}
	a, err := z.Topic(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	a.Partitions[2] = meta.Assignment{Replicas: ids(1)}
	if err := z.SetTopic(t.Context(), zkstore.Unfenced(), "t", a); err != nil {
		t.Fatal(err)
	}
	f.settled(z, "t", 2, 1, 1)
	if err := z.MarkTopicForDeletion(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	f.gone(z, "t")
	f.create(z, "t", ids(1)) // again, with another id
	f.settled(z, "t", 0, 1, 1)

	// Restarted, it finds everything again.
	f.kill(1)
	f.start(1)
	f.settled(z, "t", 0, 1, 1)
	if left, err := f.node(1).c.ControlledShutdown(t.Context(), 1, meta.NoBrokerEpoch); err != nil || len(left) != 0 {
		t.Errorf("controlled shutdown: %v, %v", left, err)
	}
}

func threeBrokers(t *testing.T, f *fleet) {
	f.start(1, 2, 3)
	z := f.store()
	f.eventually("controller", func() bool { return f.active() == f.node(1) })
	f.create(z, "t", ids(2, 3, 1), ids(3, 1, 2))
	f.settled(z, "t", 0, 2, 1, 2, 3)
	f.settled(z, "t", 1, 3, 1, 2, 3)
	f.kill(2)
	f.settled(z, "t", 0, 3, 1, 3)
	f.settled(z, "t", 1, 3, 1, 3)
	f.start(2)
	f.settled(z, "t", 0, 3, 1, 2, 3)
	results, err := f.node(1).c.ElectLeaders(t.Context(), controller.PreferredElection, []meta.TopicPartition{{Topic: "t"}, {Topic: "t", Partition: 1}})
	if err != nil || results[0].Err != nil || results[0].Leader != 2 || !errors.Is(results[1].Err, controller.ErrElectionNotNeeded) {
		t.Errorf("preferred election: %+v, %v", results, err)
	}
	f.settled(z, "t", 0, 2, 1, 2, 3)
	if left, err := f.node(1).c.ControlledShutdown(t.Context(), 2, meta.NoBrokerEpoch); err != nil || len(left) != 0 {
		t.Errorf("controlled shutdown: %v, %v", left, err)
	}
	f.settled(z, "t", 0, 3, 1, 3)
	f.kill(2)
	f.start(2)
	f.settled(z, "t", 0, 3, 1, 2, 3)

	// Ids of producers are handed out once.
	seen := map[int64]bool{}
	for range 5 {
		block, err := f.node(1).c.AllocateProducerIDs(t.Context(), 2, f.node(2).mu.epoch)
		if err != nil || seen[block.Start] || block.Length != 1000 {
			t.Fatalf("producer ids %+v, %v", block, err)
		}
		seen[block.Start] = true
	}
	if err := z.RequestPreferredElection(t.Context(), []meta.TopicPartition{{Topic: "t"}}); err != nil {
		t.Fatal(err)
	}
	f.settled(z, "t", 0, 2, 1, 2, 3)
	f.eventually("znode of the election deleted", func() bool {
		_, exists, err := z.PreferredElection(t.Context())
		return err == nil && !exists
	})
}

func deletion(t *testing.T, f *fleet) {
	f.start(1, 2, 3)
	z := f.store()
	f.eventually("controller", func() bool { return f.active() == f.node(1) })
	f.create(z, "t", ids(2, 3, 1), ids(3, 1, 2))
	f.create(z, "u", ids(1, 2))
	f.settled(z, "t", 1, 3, 1, 2, 3)
	f.settled(z, "u", 0, 1, 1, 2)
	f.kill(3)
	f.settled(z, "t", 1, 1, 1, 2)
	for _, topic := range []string{"t", "u"} {
		if err := z.MarkTopicForDeletion(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
	}
	f.gone(z, "u")
	if !f.node(1).c.TopicDeleting("t") {
		t.Error("t is not being deleted")
	}
	if exists, err := z.TopicExists(t.Context(), "t"); err != nil || !exists {
		t.Errorf("t exists %v, %v", exists, err)
	}
	f.start(3)
	f.gone(z, "t")

	// In the middle of a reassignment that cannot finish.
	f.create(z, "v", ids(1, 2))
	f.settled(z, "v", 0, 1, 1, 2)
	f.lazy(3, true)
	errs, err := f.node(1).c.AlterReassignments(t.Context(), []controller.Reassignment{{TopicPartition: meta.TopicPartition{Topic: "v"}, Replicas: ids(3)}})
	if err != nil || errs[0] != nil {
		t.Fatalf("reassignment: %v, %v", errs, err)
	}
	if err := z.MarkTopicForDeletion(t.Context(), "v"); err != nil {
		t.Fatal(err)
	}
	f.gone(z, "v")
}

// lazy lets the followers on a broker fall behind, or catch up.
func (f *fleet) lazy(id meta.BrokerID, lazy bool) {
	n := f.node(id)
	n.mu.Lock()
	n.mu.lazy = lazy
	n.mu.Unlock()
	for _, other := range f.running() {
		f.node(other).look()
	}
}

func reassignment(t *testing.T, f *fleet) {
	f.start(1, 2, 3, 4)
	z := f.store()
	f.eventually("controller", func() bool { return f.active() == f.node(1) })
	f.create(z, "t", ids(1, 2), ids(2, 1))
	first, second := meta.TopicPartition{Topic: "t"}, meta.TopicPartition{Topic: "t", Partition: 1}
	f.settled(z, "t", 0, 1, 1, 2)
	f.settled(z, "t", 1, 2, 1, 2)
	f.lazy(4, true)
	errs, err := f.node(1).c.AlterReassignments(t.Context(), []controller.Reassignment{
		{TopicPartition: first, Replicas: ids(3, 4)}, {TopicPartition: second, Replicas: ids(3, 4)},
	})
	if err != nil || errs[0] != nil || errs[1] != nil {
		t.Fatalf("reassignment: %v, %v", errs, err)
	}
	f.settled(z, "t", 0, 1, 1, 2, 3)
	running, err := f.node(1).c.Reassignments(t.Context(), nil)
	if err != nil || len(running) != 2 || !slices.Equal(running[first].Adding, ids(3, 4)) || !slices.Equal(running[first].Removing, ids(1, 2)) {
		t.Errorf("running: %+v, %v", running, err)
	}
	errs, err = f.node(1).c.AlterReassignments(t.Context(), []controller.Reassignment{{TopicPartition: second}})
	if err != nil || errs[0] != nil {
		t.Fatalf("cancel: %v, %v", errs, err)
	}
	f.settled(z, "t", 1, 2, 1, 2)

	// The controller goes in the middle of it; the next one finishes.
	f.kill(1)
	f.eventually("another controller", func() bool { return f.active() != nil })
	f.lazy(4, false)
	f.start(1)
	f.settled(z, "t", 0, 3, 3, 4)
	f.eventually("the topic znode is final", func() bool {
		a, err := z.Topic(t.Context(), "t")
		return err == nil && !a.Partitions[0].Reassigning() && slices.Equal(a.Partitions[0].Replicas, ids(3, 4)) && slices.Equal(a.Partitions[1].Replicas, ids(2, 1))
	})
	f.eventually("the old replicas are deleted", func() bool {
		for _, id := range ids(1, 2) {
			n := f.node(id)
			n.mu.Lock()
			_, here := n.mu.hosted[first]
			n.mu.Unlock()
			if here {
				return false
			}
		}
		return true
	})
}

func failover(t *testing.T, f *fleet) {
	f.start(1, 2, 3)
	z := f.store()
	f.eventually("controller", func() bool { return f.active() == f.node(1) })
	f.create(z, "t", ids(1, 2, 3), ids(2, 3, 1), ids(3, 1, 2))
	for p, leader := range ids(1, 2, 3) {
		f.settled(z, "t", int32(p), leader, 1, 2, 3)
	}
	f.kill(1)
	s := f.settled(z, "t", 0, 2, 2, 3)
	if s.ControllerEpoch != 2 {
		t.Errorf("elected by controller epoch %d", s.ControllerEpoch)
	}
	f.create(z, "u", ids(1, 3), ids(2, 3))
	f.settled(z, "u", 0, 3, 3)
	f.start(1)
	f.settled(z, "u", 0, 3, 1, 3)
	f.settled(z, "t", 1, 2, 1, 2, 3)
	for range 3 { // whoever it is
		active := f.active()
		f.kill(active.id)
		f.eventually("another controller", func() bool { return f.active() != nil })
		f.start(active.id)
	}
	for p := range int32(3) {
		f.inSync(z, "t", p, 3)
	}
	if epoch, version, err := z.ControllerEpoch(t.Context()); err != nil || epoch != 5 || version != 5 {
		t.Errorf("controller epoch %d, version %d, %v", epoch, version, err)
	}
}

// inSync waits until a partition has a leader and an ISR of n.
func (f *fleet) inSync(z *zkstore.Store, name string, partition int32, n int) {
	f.t.Helper()
	tp := meta.TopicPartition{Topic: name, Partition: partition}
	f.eventually(tp.String()+" in sync", func() bool {
		states, _, err := z.PartitionStates(f.t.Context(), []meta.TopicPartition{tp})
		return err == nil && states[tp].Leader >= 0 && len(states[tp].ISR) == n
	})
}

func expiry(t *testing.T, f *fleet) {
	f.start(1, 2)
	z := f.store()
	f.eventually("controller", func() bool { return f.active() == f.node(1) })
	f.create(z, "t", ids(1, 2))
	f.settled(z, "t", 0, 1, 1, 2)
	f.server.ExpireSession(f.node(1).sess.Load().ID())
	f.eventually("another controller", func() bool { return f.node(2).c.IsActive() })
	f.eventually("resigned", func() bool { return !f.node(1).c.IsActive() })
	// Broker 1 registers again under a new epoch, and is in sync again in the end.
	f.inSync(z, "t", 0, 2)
	f.eventually("back", func() bool {
		live, _, err := z.Brokers(t.Context())
		return err == nil && slices.Equal(slices.Sorted(maps.Keys(live)), ids(1, 2))
	})
	info, err := z.Controller(t.Context())
	if err != nil || info.ID != 2 {
		t.Errorf("controller %+v, %v", info, err)
	}
}

func expiryOfAnother(t *testing.T, f *fleet) {
	f.start(1, 2)
	z := f.store()
	f.eventually("controller", func() bool { return f.active() == f.node(1) })
	f.create(z, "t", ids(2, 1))
	before := f.settled(z, "t", 0, 2, 1, 2)
	f.server.ExpireSession(f.node(2).sess.Load().ID())
	f.eventually("led elsewhere", func() bool {
		states, _, err := z.PartitionStates(t.Context(), []meta.TopicPartition{{Topic: "t"}})
		return err == nil && states[meta.TopicPartition{Topic: "t"}].LeaderEpoch > before.LeaderEpoch
	})
	f.inSync(z, "t", 0, 2)
	if !f.node(1).c.IsActive() {
		t.Error("the controller changed")
	}
}

// deposed takes /controller away from a controller that still has its session.
func deposed(t *testing.T, f *fleet) {
	f.start(1)
	z := f.store()
	f.eventually("controller", func() bool { return f.active() == f.node(1) })
	f.create(z, "t", ids(1))
	f.settled(z, "t", 0, 1, 1)
	for want := int32(2); want < 5; want++ {
		_, version, err := z.ControllerEpoch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := z.Resign(t.Context(), zkstore.ControllerFence(version)); err != nil {
			t.Fatal(err)
		}
		f.eventually("elected again", func() bool {
			epoch, _, err := z.ControllerEpoch(t.Context())
			return err == nil && epoch == meta.ControllerEpoch(want)
		})
	}
	f.create(z, "u", ids(1))
	if s := f.settled(z, "u", 0, 1, 1); s.ControllerEpoch != 4 {
		t.Errorf("written under controller epoch %d", s.ControllerEpoch)
	}
}

// zooKeeperRestart is a server that goes and comes back before sessions expire: nothing may change.
func zooKeeperRestart(t *testing.T, f *fleet, server *zktest.Server) {
	f.start(1, 2)
	z := f.store()
	f.eventually("controller", func() bool { return f.active() == f.node(1) })
	f.create(z, "t", ids(1, 2))
	f.settled(z, "t", 0, 1, 1, 2)
	server.Stop()
	server.Start()
	f.create(z, "u", ids(2, 1))
	f.settled(z, "u", 0, 2, 1, 2)
	epoch, _, err := z.ControllerEpoch(t.Context())
	if err != nil || epoch < 1 {
		t.Errorf("controller epoch %d, %v", epoch, err)
	}
	f.settled(z, "t", 0, 1, 1, 2)
}

// TestLargeFleet measures what the design is for: a topic of 5,000 partitions leads in under 5 s, and 20,000 partitions
// are taken over in under 2 s, on a machine that has nothing else to do.
func TestLargeFleet(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	f := newFleet(t, zktest.Start(t))
	f.start(1, 2, 3)
	z := f.store()
	f.eventually("controller", func() bool { return f.active() == f.node(1) })
	for _, name := range []string{"a", "b", "c", "d"} {
		replicas := make([][]meta.BrokerID, 5000)
		for i := range replicas {
			replicas[i] = []meta.BrokerID{meta.BrokerID(i%3 + 1), meta.BrokerID((i+1)%3 + 1), meta.BrokerID((i+2)%3 + 1)}
		}
		began := time.Now()
		f.create(z, name, replicas...)
		f.eventually(name+" led", func() bool { return f.node(2).knows(name) == len(replicas) })
		t.Logf("5,000 partitions lead after %s", time.Since(began).Round(time.Millisecond))
	}
	began := time.Now()
	f.kill(1)
	f.eventually("another controller", func() bool { return f.active() != nil })
	elected := time.Now()
	if _, err := f.active().c.Reassignments(t.Context(), nil); err != nil { // answered when it has taken over
		t.Fatal(err)
	}
	t.Logf("20,000 partitions taken over, a third of them from a dead leader, in %s, %s after the last controller went", time.Since(elected).Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	if err := z.MarkTopicForDeletion(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	f.start(1)
	began = time.Now()
	f.gone(z, "a")
	t.Logf("5,000 partitions deleted after %s", time.Since(began).Round(time.Millisecond))
}

// knows counts the partitions of a topic that this broker knows a leader of.
func (n *node) knows(topic string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for tp, leader := range n.mu.leaders {
		if tp.Topic == topic && leader >= 0 {
			count++
		}
	}
	return count
}
