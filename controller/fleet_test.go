package controller_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/kraal-mq/kraal/controller"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// patience bounds every wait of a test.
const patience = 30 * time.Second

const (
	codeStaleControllerEpoch = 11
	codeStaleBrokerEpoch     = 77
)

// fleet is brokers without logs and sockets around one real ZooKeeper: each has a session, a registration and a
// controller, takes the controller's requests as a broker would, and lets followers catch up at once.
type fleet struct {
	t       testing.TB
	server  *zktest.Server
	connect string
	log     *zap.Logger
	mu      struct {
		sync.Mutex
		brokers map[meta.BrokerID]*node // running ones
	}
}

// node is one life of one process.
type node struct {
	fleet *fleet
	id    meta.BrokerID
	c     *controller.Controller
	stop  context.CancelFunc
	ended sync.WaitGroup
	sess  atomic.Pointer[zkstore.Session]
	// kick says that a leader may have followers to take into the ISR. Senders: serve; receiver: expand; never closed.
	// Capacity 1: it says "look", not what.
	kick chan struct{}

	mu struct {
		sync.Mutex
		epoch      meta.BrokerEpoch
		controller meta.ControllerEpoch // highest seen
		hosted     map[meta.TopicPartition]hosted
		leaders    map[meta.TopicPartition]meta.BrokerID // what UpdateMetadata told
		live       map[meta.BrokerID]bool
		lazy       bool // followers here do not catch up
	}
}

// hosted is a replica.
type hosted struct {
	id       meta.TopicID
	state    meta.LeaderAndISR
	replicas []meta.BrokerID
	behind   bool // not asked to join the ISR yet
}

var chroots atomic.Int64

func newFleet(t testing.TB, server *zktest.Server) *fleet {
	f := &fleet{t: t, server: server, connect: fmt.Sprintf("%s/fleet%d", server.Addr(), chroots.Add(1)), log: zap.NewNop()}
	if os.Getenv("KRAAL_TEST_LOG") != "" {
		f.log = zaptest.NewLogger(t)
	}
	f.mu.brokers = map[meta.BrokerID]*node{}
	t.Cleanup(func() {
		for _, id := range f.running() {
			f.kill(id)
		}
	})
	return f
}

func (f *fleet) running() []meta.BrokerID {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.mu.brokers))
}

func (f *fleet) node(id meta.BrokerID) *node {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.brokers[id]
}

// start runs brokers.
func (f *fleet) start(ids ...meta.BrokerID) {
	f.t.Helper()
	for _, id := range ids {
		protocol, err := controller.ParseProtocol("3.9")
		if err != nil {
			f.t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		n := &node{fleet: f, id: id, stop: cancel, kick: make(chan struct{}, 1)}
		n.mu.hosted, n.mu.leaders, n.mu.live = map[meta.TopicPartition]hosted{}, map[meta.TopicPartition]meta.BrokerID{}, map[meta.BrokerID]bool{}
		n.c = controller.New(controller.Options{BrokerID: id, Sender: f, Logger: f.log.Named(fmt.Sprint(id)), Config: controller.Config{
			Protocol: protocol, InterBrokerListener: "INTER", DeleteTopicEnable: true, RetryBackoff: 10 * time.Millisecond,
		}})
		f.mu.Lock()
		f.mu.brokers[id] = n
		f.mu.Unlock()
		ready := make(chan struct{})
		n.ended.Go(func() { n.c.Run(ctx) })
		n.ended.Go(func() { n.live(ctx, ready) })
		n.ended.Go(func() { n.expand(ctx) })
		select {
		case <-ready:
		case <-time.After(patience):
			f.t.Fatalf("broker %d did not register", id)
		}
	}
}

// kill ends a broker; ZooKeeper learns of it at once.
func (f *fleet) kill(id meta.BrokerID) {
	n := f.node(id)
	f.mu.Lock()
	delete(f.mu.brokers, id)
	f.mu.Unlock()
	n.stop()
	n.ended.Wait()
}

// live is the life of the broker's session: connect, register, campaign, until it ends; then resign and start over.
func (n *node) live(ctx context.Context, ready chan struct{}) {
	var previous int64
	for ctx.Err() == nil {
		s, err := zkstore.Connect(ctx, zkstore.Options{Connect: n.fleet.connect, SessionTimeout: 6 * time.Second, ConnectTimeout: patience, Logger: n.fleet.log})
		if err != nil {
			continue // the timeout paces this
		}
		z := zkstore.New(s)
		err = z.EnsurePersistentPaths(ctx)
		if err == nil {
			err = n.register(ctx, z, previous)
		}
		if err == nil {
			previous = s.ID()
			n.sess.Store(s)
			n.c.Attach(z)
			if ready != nil {
				close(ready)
				ready = nil
			}
			select {
			case <-s.Done():
			case <-ctx.Done():
			}
			n.c.Detach()
		} else if ctx.Err() == nil {
			n.fleet.t.Errorf("broker %d cannot register: %v", n.id, err)
		}
		s.Close()
	}
}

func (n *node) register(ctx context.Context, z *zkstore.Store, previous int64) error {
	epoch, err := z.RegisterBroker(ctx, zkstore.BrokerRegistration{ID: n.id, JMXPort: -1, Timestamp: time.Now(),
		Endpoints: []meta.Endpoint{{Listener: "INTER", Protocol: "PLAINTEXT", Host: "127.0.0.1", Port: 9000 + int32(n.id)}}}, previous)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.epoch = epoch
	return err
}

// Send takes a request to a broker.
func (f *fleet) Send(ctx context.Context, to meta.Broker, r kmsg.Request) (kmsg.Response, error) {
	n := f.node(to.ID)
	if n == nil {
		return nil, errors.New("connection refused")
	}
	return n.serve(r), nil
}

func (n *node) serve(r kmsg.Request) kmsg.Response {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch r := r.(type) {
	case *kmsg.LeaderAndISRRequest:
		answer := r.ResponseKind().(*kmsg.LeaderAndISRResponse)
		if answer.ErrorCode = n.refuseLocked(r.ControllerEpoch, r.BrokerEpoch); answer.ErrorCode == 0 {
			answer.Topics = n.leadLocked(r)
		}
		return answer
	case *kmsg.UpdateMetadataRequest:
		answer := r.ResponseKind().(*kmsg.UpdateMetadataResponse)
		if answer.ErrorCode = n.refuseLocked(r.ControllerEpoch, r.BrokerEpoch); answer.ErrorCode == 0 {
			clear(n.mu.live)
			for _, b := range r.LiveBrokers {
				n.mu.live[meta.BrokerID(b.ID)] = true
			}
			for _, topic := range r.TopicStates {
				for _, p := range topic.PartitionStates {
					tp := meta.TopicPartition{Topic: topic.Topic, Partition: p.Partition}
					if n.mu.leaders[tp] = meta.BrokerID(p.Leader); p.Leader == int32(meta.LeaderDuringDelete) {
						delete(n.mu.leaders, tp)
					}
				}
			}
		}
		return answer
	case *kmsg.StopReplicaRequest:
		answer := r.ResponseKind().(*kmsg.StopReplicaResponse)
		if answer.ErrorCode = n.refuseLocked(r.ControllerEpoch, r.BrokerEpoch); answer.ErrorCode == 0 {
			for _, topic := range r.Topics {
				for _, p := range topic.PartitionStates {
					if p.Delete {
						delete(n.mu.hosted, meta.TopicPartition{Topic: topic.Topic, Partition: p.Partition})
					}
					answer.Partitions = append(answer.Partitions, kmsg.StopReplicaResponsePartition{Topic: topic.Topic, Partition: p.Partition})
				}
			}
		}
		return answer
	}
	n.fleet.t.Errorf("broker %d got a %T", n.id, r)
	return r.ResponseKind()
}

func (n *node) refuseLocked(controllerEpoch int32, brokerEpoch int64) int16 {
	switch {
	case meta.BrokerEpoch(brokerEpoch) < n.mu.epoch:
		return codeStaleBrokerEpoch
	case meta.ControllerEpoch(controllerEpoch) < n.mu.controller:
		return codeStaleControllerEpoch
	}
	n.mu.controller = meta.ControllerEpoch(controllerEpoch)
	return 0
}

func (n *node) leadLocked(r *kmsg.LeaderAndISRRequest) []kmsg.LeaderAndISRResponseTopic {
	var answer []kmsg.LeaderAndISRResponseTopic
	for _, topic := range r.TopicStates {
		of := kmsg.LeaderAndISRResponseTopic{TopicID: topic.TopicID}
		for _, p := range topic.PartitionStates {
			tp := meta.TopicPartition{Topic: topic.Topic, Partition: p.Partition}
			code := int16(0)
			if known, here := n.mu.hosted[tp]; here && meta.LeaderEpoch(p.LeaderEpoch) <= known.state.LeaderEpoch {
				code = codeStaleControllerEpoch
			} else {
				if here && known.id != topic.TopicID {
					n.fleet.t.Errorf("broker %d: %s has another id", n.id, tp)
				}
				n.mu.hosted[tp] = hosted{id: topic.TopicID, replicas: brokers(p.Replicas), behind: true, state: meta.LeaderAndISR{
					Leader: meta.BrokerID(p.Leader), LeaderEpoch: meta.LeaderEpoch(p.LeaderEpoch), ISR: brokers(p.ISR), PartitionEpoch: meta.PartitionEpoch(p.ZKVersion)}}
			}
			of.Partitions = append(of.Partitions, kmsg.LeaderAndISRResponseTopicPartition{Partition: p.Partition, ErrorCode: code})
		}
		answer = append(answer, of)
	}
	for _, other := range n.fleet.running() {
		if o := n.fleet.node(other); o != nil {
			o.look()
		}
	}
	return answer
}

func (n *node) look() {
	select {
	case n.kick <- struct{}{}:
	default:
	}
}

func brokers(ids []int32) []meta.BrokerID {
	out := make([]meta.BrokerID, len(ids))
	for i, id := range ids {
		out[i] = meta.BrokerID(id)
	}
	return out
}

// expand takes followers that have the partition, at the leader's epoch, into the ISR.
func (n *node) expand(ctx context.Context) {
	for {
		again := false
		changes, tps := n.proposals()
		if len(changes) > 0 {
			again = !n.propose(ctx, changes, tps)
		}
		retry := time.NewTimer(time.Hour)
		if again {
			retry.Reset(20 * time.Millisecond)
		}
		select {
		case <-n.kick:
		case <-retry.C:
		case <-ctx.Done():
			retry.Stop()
			return
		}
		retry.Stop()
	}
}

// proposals returns the ISR changes this broker wants as a leader.
func (n *node) proposals() (changes []controller.PartitionChange, tps []meta.TopicPartition) {
	n.mu.Lock()
	led := maps.Clone(n.mu.hosted)
	n.mu.Unlock()
	for tp, h := range led {
		if h.state.Leader != n.id {
			continue
		}
		isr := slices.Clone(h.state.ISR)
		for _, id := range h.replicas {
			if !slices.Contains(isr, id) && n.fleet.follows(id, tp, h.state.LeaderEpoch) {
				isr = append(isr, id)
			}
		}
		if len(isr) == len(h.state.ISR) {
			continue
		}
		changes = append(changes, controller.PartitionChange{TopicID: h.id, Partition: tp.Partition, LeaderEpoch: h.state.LeaderEpoch, PartitionEpoch: h.state.PartitionEpoch, ISR: isr})
		tps = append(tps, tp)
	}
	return changes, tps
}

// follows reports whether a broker has caught up with a leader.
func (f *fleet) follows(id meta.BrokerID, tp meta.TopicPartition, epoch meta.LeaderEpoch) bool {
	n := f.node(id)
	if n == nil {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	h, here := n.mu.hosted[tp]
	return here && h.state.LeaderEpoch == epoch && !n.mu.lazy
}

// propose asks the controller; false: ask again later.
func (n *node) propose(ctx context.Context, changes []controller.PartitionChange, tps []meta.TopicPartition) bool {
	active := n.fleet.active()
	if active == nil {
		return false
	}
	n.mu.Lock()
	epoch := n.mu.epoch
	n.mu.Unlock()
	results, err := active.c.AlterPartition(ctx, n.id, epoch, changes)
	if err != nil {
		return false
	}
	all := true
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, r := range results {
		h, here := n.mu.hosted[tps[i]]
		switch {
		case r.Err != nil:
			all = false
		case here && h.state.LeaderEpoch == r.State.LeaderEpoch && h.state.PartitionEpoch < r.State.PartitionEpoch:
			h.state = r.State
			n.mu.hosted[tps[i]] = h
		}
	}
	return all
}

// active returns the broker that believes to be controller, nil if none does.
func (f *fleet) active() *node {
	for _, id := range f.running() {
		if n := f.node(id); n != nil && n.c.IsActive() {
			return n
		}
	}
	return nil
}

// store returns a connection of the test's own.
func (f *fleet) store() *zkstore.Store {
	f.t.Helper()
	s, err := zkstore.Connect(f.t.Context(), zkstore.Options{Connect: f.connect, ConnectTimeout: patience})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { s.Close() })
	return zkstore.New(s)
}

// eventually waits until ok.
func (f *fleet) eventually(what string, ok func() bool) {
	f.t.Helper()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-deadline:
			f.t.Fatalf("%s: not after %s", what, patience)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// create creates a topic as CreateTopics does: config and topic znode, the rest is the controller's.
func (f *fleet) create(z *zkstore.Store, name string, replicas ...[]meta.BrokerID) {
	f.t.Helper()
	a := meta.TopicAssignment{ID: meta.NewTopicID(), Partitions: map[int32]meta.Assignment{}}
	for i, r := range replicas {
		a.Partitions[int32(i)] = meta.Assignment{Replicas: r}
	}
	if err := z.CreateTopic(f.t.Context(), name, nil, a); err != nil {
		f.t.Fatal(err)
	}
}

// settled waits until ZooKeeper, and every running broker's metadata, have this leader and ISR (in any order).
func (f *fleet) settled(z *zkstore.Store, name string, partition int32, leader meta.BrokerID, isr ...meta.BrokerID) meta.LeaderAndISR {
	f.t.Helper()
	tp := meta.TopicPartition{Topic: name, Partition: partition}
	var state meta.LeaderAndISR
	slices.Sort(isr)
	f.eventually(fmt.Sprintf("%s led by %d, in sync %v", tp, leader, isr), func() bool {
		states, _, err := z.PartitionStates(f.t.Context(), []meta.TopicPartition{tp})
		if err != nil {
			f.t.Fatal(err)
		}
		var exists bool
		if state, exists = states[tp]; !exists || state.Leader != leader || !slices.Equal(slices.Sorted(slices.Values(state.ISR)), isr) {
			return false
		}
		for _, id := range f.running() {
			n := f.node(id)
			n.mu.Lock()
			told, known := n.mu.leaders[tp]
			n.mu.Unlock()
			if !known || told != leader {
				return false
			}
		}
		return true
	})
	return state
}

// gone waits until nobody knows a topic any more.
func (f *fleet) gone(z *zkstore.Store, name string) {
	f.t.Helper()
	f.eventually(name+" deleted", func() bool {
		exists, err := z.TopicExists(f.t.Context(), name)
		if err != nil {
			f.t.Fatal(err)
		}
		marked, err := z.MarkedForDeletion(f.t.Context(), name)
		if err != nil {
			f.t.Fatal(err)
		}
		if exists || marked {
			return false
		}
		for _, id := range f.running() {
			n := f.node(id)
			n.mu.Lock()
			left := 0
			for tp := range n.mu.hosted {
				if tp.Topic == name {
					left++
				}
			}
			for tp := range n.mu.leaders {
				if tp.Topic == name {
					left++
				}
			}
			n.mu.Unlock()
			if left > 0 {
				return false
			}
		}
		return true
	})
}
