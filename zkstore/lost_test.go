package zkstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// Each write below is carried out by ZooKeeper and its answer lost with the connection, so that it is sent again and
// refused, or done twice. Apache Kafka's behaviour is in lost-replies of the recorded traces; where it ends with a topic
// that exists but was refused, a partition without a state or a block of ids nobody has, this store looks instead.
func TestLostReplies(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	p := newTap(t, server.Addr())
	z := openAt(t, p.addr())
	must(t, z.EnsurePersistentPaths(ctx))
	lose := func(at string) {
		p.taken()
		p.loseNext(func(r request) bool { return r.at() == at })
	}
	// sent returns how often the write went out.
	sent := func(at string) (n int) {
		for _, r := range p.taken() {
			if r.at() == at {
				n++
			}
		}
		return n
	}

	lose(BrokerPath(1))
	registration := BrokerRegistration{ID: 1, JMXPort: -1, Timestamp: time.Now()}
	epoch, err := z.RegisterBroker(ctx, registration, 0)
	if b, readErr := z.Broker(ctx, 1); err != nil || readErr != nil || b.Epoch != epoch || epoch <= 0 || sent(BrokerPath(1)) != 2 {
		t.Error("registration:", epoch, b, err, readErr)
	}

	lose(controllerEpochPath)
	won, err := z.Elect(ctx, 1, time.Now())
	if err != nil || won.Epoch != 1 {
		t.Fatal("election:", won, err)
	}
	_, version, err := z.ControllerEpoch(ctx)
	if err != nil || version != won.EpochVersion {
		t.Error("election:", version, won, err)
	}
	if _, err := z.Elect(ctx, 1, time.Now()); !errors.Is(err, ErrElectionLost) {
		t.Error("a second election:", err)
	}
	f := won.Fence()

	a := meta.TopicAssignment{ID: meta.NewTopicID(), Partitions: map[int32]meta.Assignment{0: {Replicas: []meta.BrokerID{1}}}}
	lose(TopicPath("t"))
	if err := z.CreateTopic(ctx, "t", nil, a); err != nil || sent(TopicPath("t")) != 2 {
		t.Error("topic:", err)
	}
	a.ID = meta.NewTopicID()
	if err := z.CreateTopic(ctx, "t", nil, a); !errors.Is(err, ErrNodeExists) {
		t.Error("another topic of that name:", err)
	}

	tp := meta.TopicPartition{Topic: "t"}
	state := meta.LeaderAndISR{Leader: 1, ISR: []meta.BrokerID{1}, ControllerEpoch: 1}
	lose(PartitionStatePath(tp))
	created, failed, err := z.CreatePartitionStates(ctx, f, map[meta.TopicPartition]meta.LeaderAndISR{tp: state})
	if _, ok := created[tp]; err != nil || len(failed) > 0 || !ok || sent(PartitionStatePath(tp)) != 2 {
		t.Error("first state:", created, failed, err)
	}
	state.LeaderEpoch++
	if _, failed, err := z.CreatePartitionStates(ctx, f, map[meta.TopicPartition]meta.LeaderAndISR{tp: state}); err != nil || !errors.Is(failed[tp], ErrNodeExists) {
		t.Error("another first state:", failed, err)
	}
	lose(PartitionStatePath(tp))
	updated, failed, err := z.UpdatePartitionStates(ctx, f, map[meta.TopicPartition]meta.LeaderAndISR{tp: state})
	if err != nil || len(failed) > 0 || updated[tp] != 1 || sent(PartitionStatePath(tp)) != 2 {
		t.Error("next state:", updated, failed, err)
	}
	if _, failed, err := z.UpdatePartitionStates(ctx, f, map[meta.TopicPartition]meta.LeaderAndISR{tp: state}); err != nil || !errors.Is(failed[tp], ErrBadVersion) {
		t.Error("a stale state:", failed, err)
	}

	lose(producerIDsPath)
	block, err := z.AllocateProducerIDs(ctx, 1)
	if err != nil || block.First != 0 || sent(producerIDsPath) != 2 {
		t.Error("producer ids:", block, err)
	}
	if block, err := z.AllocateProducerIDs(ctx, 2); err != nil || block != (ProducerIDBlock{2, 1000, 1999}) {
		t.Error("producer ids:", block, err)
	}

	e := meta.Entity{Type: meta.TopicEntity, Name: "t"}
	lose(ConfigPath(e))
	if err := z.SetConfig(ctx, e, map[string]string{"k": "v"}); err != nil || sent(ConfigPath(e)) != 2 {
		t.Error("config:", err)
	}
	if c, err := z.Config(ctx, e); err != nil || c["k"] != "v" {
		t.Error("config:", c, err)
	}

	r := ACLResource{Type: "Topic", Name: "t"}
	must(t, z.EnsureACLPaths(ctx))
	for i := range 2 {
		lose(ACLPath(r))
		entries := []ACLEntry{{"User:a", "Allow", "*", fmt.Sprint(i)}}
		if now, changed, err := z.UpdateACLs(ctx, r, func([]ACLEntry) []ACLEntry { return entries }); err != nil || !changed || len(now) != 1 {
			t.Error("ACL:", now, changed, err)
		}
	}

	lose(PartitionStatePath(tp))
	if err := z.DeleteTopic(ctx, f, "t"); err != nil {
		t.Error("deletion:", err)
	}
	if exists, err := z.TopicExists(ctx, "t"); err != nil || exists {
		t.Error("deletion:", exists, err)
	}
	if z.Session().Err() != nil {
		t.Error(z.Session().Err())
	}
}

// When a multi of many loses its answer, each of its writes is settled by itself.
func TestLostReplyOfMany(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	p := newTap(t, server.Addr())
	z := openAt(t, p.addr())
	must(t, z.EnsurePersistentPaths(ctx))
	won, err := z.Elect(ctx, 1, time.Now())
	must(t, err)
	must(t, z.s.create(ctx, TopicPath("t"), encodeTopic(meta.TopicAssignment{})))
	states := map[meta.TopicPartition]meta.LeaderAndISR{}
	for i := range int32(3 * writesPerMulti) {
		states[meta.TopicPartition{Topic: "t", Partition: i}] = meta.LeaderAndISR{Leader: 1, ISR: []meta.BrokerID{1}}
	}
	stateWrites := func(r request) bool { return len(r.Ops) > 2 && strings.HasSuffix(r.at(), "/state") }
	p.loseNext(stateWrites)
	created, failed, err := z.CreatePartitionStates(ctx, won.Fence(), states)
	if err != nil || len(failed) > 0 || len(created) != len(states) {
		t.Fatal(len(created), failed, err)
	}
	p.loseNext(stateWrites)
	updated, failed, err := z.UpdatePartitionStates(ctx, won.Fence(), states)
	if err != nil || len(failed) > 0 || len(updated) != len(states) {
		t.Fatal(len(updated), failed, err)
	}
	for tp, e := range updated {
		if e != 1 {
			t.Error(tp, e)
		}
	}
}

// A registration of another session is not ours to remove, one of our own earlier session is.
func TestRegistrationTaken(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	first := open(t, server)
	must(t, first.EnsurePersistentPaths(ctx))
	r := BrokerRegistration{ID: 1, JMXPort: -1}
	before, err := first.RegisterBroker(ctx, r, 0)
	must(t, err)
	second := openAt(t, server.Addr()+first.s.chroot)
	if _, err := second.RegisterBroker(ctx, r, 0); !errors.Is(err, ErrBrokerIDTaken) {
		t.Error(err)
	}
	if _, err := second.RegisterBroker(ctx, r, second.Session().ID()); !errors.Is(err, ErrBrokerIDTaken) {
		t.Error(err)
	}
	after, err := second.RegisterBroker(ctx, r, first.Session().ID())
	if err != nil || after <= before {
		t.Error(before, after, err)
	}
	r.Rack = "r"
	must(t, second.UpdateBroker(ctx, r))
	if b, err := first.Broker(ctx, 1); err != nil || b.Epoch != after || b.Rack != "r" {
		t.Error(b, err)
	}
}

func TestFence(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	z := open(t, server)
	must(t, z.EnsurePersistentPaths(ctx))
	old, err := z.Elect(ctx, 1, time.Now())
	must(t, err)
	must(t, z.Resign(ctx, old.Fence()))
	now, err := z.Elect(ctx, 2, time.Now())
	must(t, err)

	must(t, z.s.create(ctx, TopicPath("t"), encodeTopic(meta.TopicAssignment{})))
	states := map[meta.TopicPartition]meta.LeaderAndISR{}
	for i := range int32(200) {
		states[meta.TopicPartition{Topic: "t", Partition: i}] = meta.LeaderAndISR{Leader: 1, ISR: []meta.BrokerID{1}}
	}
	if _, _, err := z.CreatePartitionStates(ctx, old.Fence(), states); !errors.Is(err, ErrFenced) {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"set":     z.SetTopic(ctx, old.Fence(), "t", meta.TopicAssignment{}),
		"delete":  z.DeleteTopic(ctx, old.Fence(), "t"),
		"resign":  z.Resign(ctx, old.Fence()),
		"unmark":  z.UnmarkTopicDeletions(ctx, old.Fence(), []string{"a"}),
		"no role": z.SetTopic(ctx, PartitionFence(meta.TopicPartition{Topic: "x"}, 1), "t", meta.TopicAssignment{}),
		"none":    z.SetTopic(ctx, Fence{}, "t", meta.TopicAssignment{}),
	} {
		switch {
		case name == "no role" && errors.Is(err, ErrNoNode) && !errors.Is(err, ErrFenced):
		case name == "none" && errors.Is(err, errNoFence):
		case errors.Is(err, ErrFenced):
		default:
			t.Error(name, err)
		}
	}
	if created, failed, err := z.CreatePartitionStates(ctx, now.Fence(), states); err != nil || len(failed) > 0 || len(created) != len(states) {
		t.Error(len(created), failed, err)
	}

	// One stale state in a large batch fails alone.
	stale := meta.TopicPartition{Topic: "t", Partition: 77}
	s := states[stale]
	s.PartitionEpoch = 9
	states[stale] = s
	missing := meta.TopicPartition{Topic: "t", Partition: 1000}
	states[missing] = s
	updated, failed, err := z.UpdatePartitionStates(ctx, now.Fence(), states)
	if err != nil || len(failed) != 2 || len(updated) != 199 || !errors.Is(failed[stale], ErrBadVersion) || !errors.Is(failed[missing], ErrNoNode) {
		t.Error(len(updated), failed, err)
	}
	if _, _, err := z.UpdatePartitionStates(ctx, old.Fence(), states); !errors.Is(err, ErrFenced) {
		t.Error(err)
	}
}

func TestConfigNeedsController(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	z := open(t, server)
	must(t, z.EnsurePersistentPaths(ctx))
	e := meta.Entity{Type: meta.BrokerEntity, Name: meta.DefaultEntity}
	if err := z.SetConfig(ctx, e, map[string]string{"a": "b"}); !errors.Is(err, ErrNoController) {
		t.Error(err)
	}
	must(t, z.s.create(ctx, controllerPath, []byte(`{"version":2,"brokerid":3000,"timestamp":"1","kraftControllerEpoch":7}`)))
	if err := z.SetConfig(ctx, e, map[string]string{"a": "b"}); !errors.Is(err, ErrMigrating) {
		t.Error(err)
	}
}

// A context that ends before the answer leaves nothing behind that a later call could trip over.
func TestCancelledCallsLeaveNothing(t *testing.T) {
	server := zktest.Start(t)
	z := open(t, server, func(o *Options) { o.MaxInFlight = 4 })
	ctx := testContext(t)
	must(t, z.EnsurePersistentPaths(ctx))
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for range 100 {
		if _, err := z.TopicNames(cancelled); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	_, err := z.TopicNames(ctx)
	must(t, err)
}
