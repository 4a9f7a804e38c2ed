package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// fakeSender answers everything with success, unless told otherwise.
type fakeSender struct {
	mu struct {
		sync.Mutex
		sent []string // "broker api"
		down map[meta.BrokerID]bool
		hang map[meta.BrokerID]bool // Send waits for its context
	}
}

func newFakeSender() *fakeSender {
	f := &fakeSender{}
	f.mu.down, f.mu.hang = map[meta.BrokerID]bool{}, map[meta.BrokerID]bool{}
	return f
}

func (f *fakeSender) set(of map[meta.BrokerID]bool, id meta.BrokerID, to bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	of[id] = to
}

func (f *fakeSender) sent() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	sent := f.mu.sent
	f.mu.sent = nil
	slices.Sort(sent)
	return sent
}

func (f *fakeSender) Send(ctx context.Context, to meta.Broker, r kmsg.Request) (kmsg.Response, error) {
	f.mu.Lock()
	down, hang := f.mu.down[to.ID], f.mu.hang[to.ID]
	if !down && !hang {
		f.mu.sent = append(f.mu.sent, fmt.Sprintf("%d %s", to.ID, kmsg.NameForKey(r.Key())))
	}
	f.mu.Unlock()
	switch {
	case hang:
		<-ctx.Done()
		return nil, ctx.Err()
	case down:
		return nil, errors.New("connection refused")
	}
	return r.ResponseKind(), nil
}

// running is a controller that runs, in a bubble with its own time.
type running struct {
	*Controller
	zk     *fakeStore
	sender *fakeSender
	stop   context.CancelFunc
	ended  chan struct{}
	doubt  atomic.Bool // the session may be gone
}

func start(t *testing.T, registry prometheus.Registerer, brokers ...meta.BrokerID) *running {
	t.Helper()
	protocol, err := ParseProtocol("3.9")
	if err != nil {
		t.Fatal(err)
	}
	r := &running{zk: newFakeStore(), sender: newFakeSender(), ended: make(chan struct{})}
	for _, id := range brokers {
		r.zk.zxid++
		r.zk.brokers[id] = meta.Broker{ID: id, Epoch: r.zk.zxid, Endpoints: []meta.Endpoint{{Listener: "INTER", Protocol: "PLAINTEXT", Host: "h", Port: 9092}}}
	}
	r.Controller = New(Options{BrokerID: brokers[0], Sender: r.sender, MayAct: func() bool { return !r.doubt.Load() }, Metrics: registry, Config: Config{
		Protocol: protocol, InterBrokerListener: "INTER", DeleteTopicEnable: true, AutoLeaderRebalanceEnable: true,
	}})
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	l := newLoop(r.Controller)
	l.followRole = func(*session) {} // the fake has no watches; tests say what changed
	l.follow = func(*term) {}
	go func() {
		defer close(r.ended)
		l.run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-r.ended
	})
	return r
}

// call is an event of tests: a function for the loop to run, which owns what it looks at.
type call struct {
	silent
	f    func()
	done chan struct{}
}

func (*call) name() string { return "call" }
func (e *call) play(*loop) { e.f(); close(e.done) }

// in runs f in the loop.
func (r *running) in(f func()) {
	e := &call{f: f, done: make(chan struct{})}
	r.queue.put(e)
	<-e.done
}

// leader returns the leader in ZooKeeper.
func (r *running) leader(tp meta.TopicPartition) (id meta.BrokerID) {
	r.in(func() { id = r.zk.states[tp].Leader })
	return id
}

func (r *running) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	slices.Sort(want)
	if got := r.sender.sent(); !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
}

func TestResignsBeforeDetachReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil, 1, 2)
		if _, err := r.ElectLeaders(t.Context(), PreferredElection, nil); !errors.Is(err, ErrNotController) {
			t.Errorf("before the election: %v", err)
		}
		r.sender.set(r.sender.mu.hang, 2, true)
		r.Attach(r.zk)
		r.expect(t, "1 UpdateMetadata")
		if !r.IsActive() || r.ControllerID() != 1 {
			t.Errorf("active %v, controller %d", r.IsActive(), r.ControllerID())
		}
		r.Detach() // while a Send to broker 2 is under way
		if r.IsActive() || r.ControllerID() != meta.NoBroker {
			t.Errorf("active %v, controller %d after Detach", r.IsActive(), r.ControllerID())
		}
		r.Detach() // again is nothing
		r.sender.set(r.sender.mu.hang, 2, false)
		r.in(func() { r.zk.controller = meta.NoBroker })
		r.Attach(r.zk)
		r.expect(t, "1 UpdateMetadata", "2 UpdateMetadata")
		r.in(func() {
			if r.zk.epoch != 2 {
				t.Errorf("epoch %d", r.zk.epoch)
			}
		})
	})
}

// A controller that cannot be sure of its session stands still: the broker that will succeed it may be acting already. What it
// had to say goes out when the session turns out to have lived on, and never if it has not.
func TestStandsStillInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil, 1, 2)
		r.Attach(r.zk)
		r.expect(t, "1 UpdateMetadata", "2 UpdateMetadata")
		create := func(topic string, id byte) {
			r.in(func() {
				r.zk.topics[topic] = meta.TopicAssignment{ID: meta.TopicID{id}, Partitions: map[int32]meta.Assignment{0: {Replicas: ids(2, 1)}}}
			})
			r.queue.put(&topicsChanged{})
		}
		r.doubt.Store(true)
		create("t", 1)
		time.Sleep(time.Minute)
		r.expect(t)
		if _, err := r.Reassignments(t.Context(), nil); !errors.Is(err, ErrNotController) || r.IsActive() {
			t.Errorf("a question: %v; active: %v", err, r.IsActive())
		}
		r.doubt.Store(false)
		time.Sleep(time.Second)
		r.expect(t, "1 LeaderAndISR", "1 UpdateMetadata", "2 LeaderAndISR", "2 UpdateMetadata")
		if _, err := r.Reassignments(t.Context(), nil); err != nil {
			t.Errorf("a question after the doubt: %v", err)
		}
		r.doubt.Store(true)
		create("u", 2)
		time.Sleep(time.Second)
		r.Detach()
		r.doubt.Store(false)
		time.Sleep(time.Second)
		r.expect(t)
	})
}

func TestQueuedQuestionsAreRefusedOnExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil, 1)
		entered, leave := make(chan struct{}), make(chan struct{})
		r.zk.hook = func(op string) {
			if op == "AllocateProducerIDs" {
				close(entered)
				<-leave
			}
		}
		r.Attach(r.zk)
		synctest.Wait()
		epoch := r.zk.brokers[1].Epoch
		answers := make(chan error, 2)
		go func() {
			_, err := r.AllocateProducerIDs(t.Context(), 1, epoch)
			answers <- err
		}()
		<-entered
		go func() {
			_, err := r.Reassignments(t.Context(), nil)
			answers <- err
		}()
		synctest.Wait() // the second question is queued behind the first
		detached := make(chan struct{})
		go func() {
			r.Detach()
			close(detached)
		}()
		synctest.Wait()
		if err := <-answers; !errors.Is(err, ErrNotController) {
			t.Errorf("the queued question: %v", err)
		}
		close(leave)
		<-detached
		if err := <-answers; !errors.Is(err, ErrNotController) {
			t.Errorf("the question under way: %v", err)
		}
	})
}

func TestKeepsTryingInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		r := start(t, registry, 1, 2)
		r.sender.set(r.sender.mu.down, 2, true)
		r.Attach(r.zk)
		r.expect(t, "1 UpdateMetadata")
		r.in(func() {
			r.zk.topics["t"] = meta.TopicAssignment{ID: meta.TopicID{1}, Partitions: map[int32]meta.Assignment{0: {Replicas: ids(2, 1)}}}
		})
		r.queue.put(&topicsChanged{})
		r.expect(t, "1 LeaderAndISR", "1 UpdateMetadata")
		time.Sleep(450 * time.Millisecond)
		if got := sample(t, registry, "kraal_controller_request_retries_total"); got != 5 {
			t.Errorf("%v retries in 450 ms", got)
		}
		r.sender.set(r.sender.mu.down, 2, false)
		time.Sleep(100 * time.Millisecond)
		r.expect(t, "2 LeaderAndISR", "2 UpdateMetadata", "2 UpdateMetadata")
		time.Sleep(time.Second)
		for _, want := range []struct {
			metric string
			value  float64
		}{
			{"kafka_controller_kafkacontroller_activecontrollercount", 1}, {"kafka_controller_kafkacontroller_activebrokercount", 2},
			{"kafka_controller_kafkacontroller_globaltopiccount", 1}, {"kafka_controller_kafkacontroller_globalpartitioncount", 1},
			{"kafka_controller_kafkacontroller_offlinepartitionscount", 0}, {"kafka_controller_kafkacontroller_controllerstate", 0},
			{"kafka_controller_controllerchannelmanager_totalqueuesize", 0}, {"kafka_controller_controllereventmanager_eventqueuesize", 0},
			{"kafka_controller_controllerchannelmanager_queuesize", 0}, {"kafka_controller_controllerchannelmanager_requestrateandqueuetimems", 0},
			{"kafka_controller_controllerstats_leaderandisrresponsereceivedrateandtimems_count", 2},
		} {
			if got := sample(t, registry, want.metric); got != want.value {
				t.Errorf("%s is %v, want %v", want.metric, got, want.value)
			}
		}
		r.Detach()
		time.Sleep(time.Second)
		if got := sample(t, registry, "kafka_controller_kafkacontroller_activebrokercount"); got != 0 {
			t.Errorf("a resigned controller counts %v brokers", got)
		}
		for _, name := range []string{"queuesize", "requestrateandqueuetimems", "requestrateandqueuetimems_count"} {
			if families, err := registry.Gather(); err != nil || slices.ContainsFunc(families, func(f *dto.MetricFamily) bool {
				return f.GetName() == "kafka_controller_controllerchannelmanager_"+name
			}) {
				t.Errorf("a resigned controller still has %s of brokers (%v)", name, err)
			}
		}
	})
}

func sample(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0] // the other kind is nil and counts as 0
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	t.Errorf("no metric %s", name)
	return -1
}

func TestRebalancesByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil, 1, 2)
		r.zk.topics["t"] = meta.TopicAssignment{ID: meta.TopicID{1}, Partitions: map[int32]meta.Assignment{0: {Replicas: ids(2, 1)}}}
		tp := meta.TopicPartition{Topic: "t"}
		r.zk.states[tp] = meta.LeaderAndISR{Leader: 1, ISR: ids(1, 2)}
		r.Attach(r.zk)
		time.Sleep(4900 * time.Millisecond)
		synctest.Wait()
		if r.leader(tp) != 1 {
			t.Error("rebalanced at once")
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if r.leader(tp) != 2 {
			t.Error("not rebalanced after five seconds")
		}
		r.in(func() {
			r.zk.states[tp] = meta.LeaderAndISR{Leader: 1, ISR: ids(1, 2), LeaderEpoch: 1, PartitionEpoch: 2}
			r.zk.isrChanges = []zkstore.ISRChange{{Node: "n", Partitions: []meta.TopicPartition{tp}}}
		})
		r.queue.put(&isrChangesPublished{})
		time.Sleep(5*time.Minute + time.Second)
		synctest.Wait()
		if r.leader(tp) != 2 {
			t.Error("not rebalanced after another five minutes")
		}
	})
}

func TestEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil, 1, 2)
		r.sender.set(r.sender.mu.hang, 2, true)
		r.Attach(r.zk)
		synctest.Wait()
		r.stop()
		<-r.ended
		if r.IsActive() {
			t.Error("still active")
		}
		if _, err := r.ControlledShutdown(t.Context(), 1, -1); !errors.Is(err, ErrNotController) {
			t.Errorf("a question after the end: %v", err)
		}
		r.UncleanElectionEnabled("t")
		r.Attach(r.zk)
		r.Detach()
	})
}

// TestDetachDuringTheEnd has both ends of a broker's life at once, many times over: Detach must always come back.
func TestDetachDuringTheEnd(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, nil, 1)
			r.Attach(r.zk)
			go r.stop()
			r.Detach()
			<-r.ended
		})
	}
}

func TestAskersMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil, 1)
		leave := make(chan struct{})
		r.zk.hook = func(op string) {
			if op == "AllocateProducerIDs" {
				<-leave
			}
		}
		r.Attach(r.zk)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.AllocateProducerIDs(ctx, 1, r.zk.brokers[1].Epoch); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		close(leave)
		synctest.Wait()
	})
}

func TestTopicDeleting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil, 1, 2)
		r.zk.topics["t"] = meta.TopicAssignment{ID: meta.TopicID{1}, Partitions: map[int32]meta.Assignment{0: {Replicas: ids(1, 2)}}}
		r.sender.set(r.sender.mu.down, 2, true)
		r.Attach(r.zk)
		synctest.Wait()
		if r.TopicDeleting("t") {
			t.Error("deleting before it was asked to")
		}
		r.in(func() { r.zk.deletions["t"] = true })
		r.queue.put(&deletionsChanged{})
		synctest.Wait()
		if !r.TopicDeleting("t") || r.TopicDeleting("u") {
			t.Error("not deleting")
		}
		r.sender.set(r.sender.mu.down, 2, false)
		time.Sleep(time.Second)
		synctest.Wait()
		left := -1
		r.in(func() { left = len(r.zk.topics) })
		if r.TopicDeleting("t") || left != 0 {
			t.Error("not deleted")
		}
	})
}
