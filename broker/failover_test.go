//go:build unix

package broker_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/broker/peer"
	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/tools/testkit"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// slack is what tests of how long something takes allow for a machine that is busy with other things.
const slack = 10 * time.Second

// procFleet is three brokers in processes of their own, beside one ZooKeeper server, and a topic of one partition.
type procFleet struct {
	t      *testing.T
	zk     *zktest.Server
	fleet  *brokertest.ProcFleet
	znodes *brokertest.Znodes
	client *kgo.Client
}

func startProcFleet(t *testing.T, props map[string]string) *procFleet {
	t.Helper()
	f := &procFleet{t: t, zk: zktest.Start(t)}
	all := map[string]string{"zookeeper.session.timeout.ms": fmt.Sprint(faultSession.Milliseconds()), "controlled.shutdown.retry.backoff.ms": "200"}
	maps.Copy(all, props)
	f.fleet = brokertest.StartProcFleet(t, f.zk.Addr(), 3, all)
	f.znodes = brokertest.OpenZnodes(t, f.zk.Addr())
	f.client = fleetClient(t, f.fleet.Addrs(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.RequestRetries(1000),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }), kgo.DialTimeout(time.Second), kgo.AlwaysRetryEOF(),
		kgo.RequestTimeoutOverhead(time.Second), kgo.ProduceRequestTimeout(time.Second))
	createReplicated(t, f.client, "t", 1, 3)
	f.produce()
	return f
}

// produce writes one record to t-0 and waits for its acknowledgement.
func (f *procFleet) produce() {
	f.t.Helper()
	if err := f.client.ProduceSync(within(f.t), &kgo.Record{Topic: "t", Value: []byte("x")}).FirstErr(); err != nil {
		f.t.Fatal(err)
	}
}

func (f *procFleet) leader() int {
	f.t.Helper()
	s, exists := f.znodes.State("t", 0)
	if !exists {
		f.t.Fatal("t-0 has no state")
	}
	return s.Leader
}

// awaitLeaderOther waits until somebody else leads.
func (f *procFleet) awaitLeaderOther(than int) {
	f.t.Helper()
	testkit.Eventually(f.t, recovery, "another leader", func() bool { l := f.leader(); return l >= 0 && l != than })
}

func (f *procFleet) awaitISR(n int) {
	f.t.Helper()
	testkit.Eventually(f.t, recovery, fmt.Sprintf("an ISR of %d", n), func() bool { s, _ := f.znodes.State("t", 0); return len(s.ISR) == n })
}

// another returns a broker that is none of those.
func another(than ...int) int {
	for id := 1; id <= 3; id++ {
		if !slices.Contains(than, id) {
			return id
		}
	}
	return 0
}

// makeController makes a broker the controller, by ending the sessions of those that are.
func (f *procFleet) makeController(id int) {
	f.t.Helper()
	for deadline := time.Now().Add(recovery); ; {
		testkit.Eventually(f.t, recovery, "a controller", func() bool { _, elected := f.znodes.Controller(); return elected })
		now, elected := f.znodes.Controller()
		if elected && now == id {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("broker %d does not become controller", id)
		}
		if session, ok := f.znodes.SessionOf(now); ok && elected {
			_ = f.zk.EndSession(session) // it may have ended by itself
		}
		testkit.Eventually(f.t, recovery, "broker registered again", func() bool { _, ok := f.znodes.SessionOf(now); return ok })
	}
}

// A leader that is killed is succeeded as soon as ZooKeeper has noticed: within its session timeout, and a second for everything
// else. In the gate there is slack for busy machines; what it took is logged.
func TestLeaderKilled(t *testing.T) {
	t.Parallel()
	f := startProcFleet(t, nil)
	var took []time.Duration
	for range kills(t) {
		f.awaitISR(3)
		victim := f.leader()
		f.produce() // over a connection to it
		began := time.Now()
		f.fleet.Proc(victim).Kill()
		f.produce()
		took = append(took, time.Since(began))
		if f.leader() == victim {
			t.Errorf("a record was acknowledged while the killed broker %d leads", victim)
		}
		f.fleet.Proc(victim).Start()
	}
	longest := slices.Max(took)
	t.Logf("session timeout %v; first record accepted after a kill: longest %v, all %v", faultSession, longest, took)
	if longest > faultSession+time.Second+slack {
		t.Errorf("a record was accepted only %v after its leader was killed", longest)
	}
}

// SIGTERM hands leadership over before anything else, and closes the session, so that nobody waits for a timeout: also when
// the broker is the controller, and when ZooKeeper is out of reach at that moment.
func TestStopHandsOver(t *testing.T) {
	t.Parallel()
	f := startProcFleet(t, map[string]string{"zookeeper.session.timeout.ms": "30000"}) // nothing here may depend on it
	for _, c := range []struct {
		name    string
		prepare func(leader int)
		during  func()
	}{
		{"the controller is another", func(leader int) { f.makeController(another(leader)) }, nil},
		{"it is the controller", func(leader int) { f.makeController(leader) }, nil},
		{"ZooKeeper is away for a moment", func(leader int) {
			f.makeController(another(leader))
			f.zk.Stop()
		}, func() { f.zk.Start() }},
	} {
		f.awaitISR(3)
		leader := f.leader()
		c.prepare(leader)
		if c.during == nil {
			f.produce()
		}
		p := f.fleet.Proc(leader)
		began := time.Now()
		p.Terminate()
		if c.during != nil {
			c.during()
		}
		p.Wait()
		ended := time.Since(began)
		if _, registered := f.znodes.SessionOf(leader); registered {
			t.Errorf("%s: broker %d has stopped, and its session lives on", c.name, leader)
		}
		if s, _ := f.znodes.State("t", 0); s.Leader == leader || s.Leader < 0 || slices.Contains(s.ISR, leader) {
			t.Errorf("%s: broker %d has stopped, and the leader is %d with ISR %v", c.name, leader, s.Leader, s.ISR)
		}
		f.produce()
		t.Logf("%s: stopped after %v, next record accepted after %v", c.name, ended.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
		p.Start()
	}
}

// A leader that was stopped for longer than its session finds requests in its sockets. By then another one leads, and none of
// them may be answered as if it had not been away.
func TestPausedLeaderAnswersNobody(t *testing.T) {
	t.Parallel()
	f := startProcFleet(t, nil)
	for round := range 2 {
		f.awaitISR(3)
		leader := f.leader()
		pool := peer.New(peer.Options{ClientID: "test", RequestTimeout: time.Minute})
		defer pool.Close()
		p := f.fleet.Proc(leader)
		o := observer{addr: p.Addr(), pool: pool}
		end, err := o.end(t.Context(), "t", 0)
		if err != nil {
			t.Fatal(err)
		}
		p.Pause()
		type outcome struct {
			what string
			err  error
		}
		outcomes := make(chan outcome, 2)
		go func() {
			late, err := o.end(context.Background(), "t", 0)
			outcomes <- outcome{fmt.Sprintf("ListOffsets: %d, when there was %d before the pause", late, end), err}
		}()
		go func() { outcomes <- outcome{"Produce", produceWithoutWaiting(pool, p.Addr())} }()
		f.awaitLeaderOther(leader)
		f.produce() // its successor moves on
		p.Resume()
		for range 2 {
			if o := <-outcomes; o.err == nil {
				t.Errorf("round %d: after its pause broker %d answered as a leader: %s", round, leader, o.what)
			}
		}
		f.produce()
	}
}

// produceWithoutWaiting writes a record to t-0 with acks=1, at a given broker.
func produceWithoutWaiting(pool *peer.Pool, addr string) error {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 9, 1, 1000
	part := kmsg.NewProduceRequestTopicPartition()
	b := record.NewBuilder(record.BuilderOptions{})
	b.Append(time.Now().UnixMilli(), nil, []byte("late"))
	batch, err := b.Build()
	if err != nil {
		return err
	}
	part.Records = batch
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic, topic.Partitions = "t", []kmsg.ProduceRequestTopicPartition{part}
	req.Topics = []kmsg.ProduceRequestTopic{topic}
	answer, err := pool.Request(context.Background(), addr, req)
	if err != nil {
		return err
	}
	return wire.Code(answer.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode).Err()
}

// ZooKeeper may be away for longer than any session lasts. Produce goes on meanwhile; within one session timeout of its return all
// brokers are registered, and there is a controller that does what it is asked.
func TestZooKeeperRestarts(t *testing.T) {
	t.Parallel()
	const session = 6 * time.Second
	f := startProcFleet(t, map[string]string{"zookeeper.session.timeout.ms": fmt.Sprint(session.Milliseconds())})
	f.awaitISR(3)
	f.zk.Stop()
	began := time.Now()
	for time.Since(began) < session*3/2 {
		f.produce()
	}
	f.zk.Start()
	began = time.Now()
	adm := kadm.NewClient(f.client)
	testkit.Eventually(t, recovery, "a topic is created", func() bool {
		_, err := adm.CreateTopic(within(t), 1, 3, nil, "after")
		return err == nil || errors.Is(err, kerr.TopicAlreadyExists)
	})
	created := time.Since(began)
	testkit.Eventually(t, recovery, "all brokers are registered", func() bool {
		for id := 1; id <= 3; id++ {
			if _, registered := f.znodes.SessionOf(id); !registered {
				return false
			}
		}
		return true
	})
	took := time.Since(began)
	t.Logf("after ZooKeeper's return a topic was created in %v, and all were registered after %v", created, took)
	if took > session+slack {
		t.Errorf("the fleet was complete only %v after ZooKeeper's return", took)
	}
	f.awaitISR(3)
	f.produce()
}

// A topic that is deleted while it moves is deleted in the end, whoever is controller, and whoever is away meanwhile.
func TestDeletedWhileReassigned(t *testing.T) {
	t.Parallel()
	f := startProcFleet(t, map[string]string{"log.segment.delete.delay.ms": "100"})
	adm := kadm.NewClient(f.client)
	const topic = "moving"
	createReplicated(t, f.client, topic, 6, 1)
	var records []*kgo.Record
	for i := range 600 {
		records = append(records, &kgo.Record{Topic: topic, Partition: int32(i % 6), Value: make([]byte, 1000)})
	}
	if err := f.client.ProduceSync(within(t), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	f.makeController(1)
	f.fleet.CutFromBrokers(3) // so that moves to it and from it do not end
	var moves kadm.AlterPartitionAssignmentsReq
	for p := range int32(6) {
		moves.Assign(topic, p, []int32{3, 1})
		if p%2 == 1 {
			moves.Assign(topic, p, []int32{2})
		}
	}
	if _, err := adm.AlterPartitionAssignments(within(t), moves); err != nil {
		t.Fatal(err)
	}
	if r, err := adm.DeleteTopics(within(t), topic); err != nil || r.Error() != nil {
		// The answer may be that it is not gone yet.
		t.Logf("delete: %v %v", err, r.Error())
	}
	f.makeController(2)
	f.fleet.Heal()
	testkit.Eventually(t, recovery, "the topic is gone from ZooKeeper", func() bool {
		return !f.znodes.Exists("/brokers/topics/"+topic) && !f.znodes.Exists("/admin/delete_topics/"+topic)
	})
	testkit.Eventually(t, recovery, "its logs are gone", func() bool {
		for id := 1; id <= 3; id++ {
			if left, err := filepath.Glob(filepath.Join(f.fleet.Proc(id).Dir(), topic+"-*")); err != nil || len(left) > 0 {
				return false
			}
		}
		return true
	})
}
