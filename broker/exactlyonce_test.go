//go:build unix

package broker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// TestExactlyOnce runs a job that consumes, transforms and produces under transactions, while its workers and the brokers are
// killed. A reader of committed records finds every input in the output, once.
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	for _, storage := range []string{"zookeeper", "kafka"} {
		t.Run("offsets in "+storage, func(t *testing.T) { exactlyOnce(t, storage, kills(t)) })
	}
}

const jobPartitions, jobWorkers = 4, 2

// job is the workers of a group that copies a topic.
type job struct {
	t     *testing.T
	fleet *brokertest.ProcFleet

	mu      sync.Mutex
	workers map[int]*lifeline
	copied  int // records that are committed in the output
}

func exactlyOnce(t *testing.T, storage string, kills int) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 5))
	zk := zktest.Start(t)
	props := txnProps("3")
	for k, v := range map[string]string{"offsets.storage": storage, "min.insync.replicas": "2", "transaction.state.log.min.isr": "2",
		"zookeeper.session.timeout.ms": "2000", "group.min.session.timeout.ms": "1000", "group.initial.rebalance.delay.ms": "0"} {
		props[k] = v
	}
	j := &job{t: t, fleet: brokertest.StartProcFleet(t, zk.Addr(), 3, props), workers: map[int]*lifeline{}}
	admin := fleetClient(t, j.fleet.Addrs(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordRetries(1000))
	createReplicated(t, admin, "in", jobPartitions, 3)
	createReplicated(t, admin, "out", jobPartitions, 3)

	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for w := range jobWorkers {
		running.Go(func() {
			for life := 0; ctx.Err() == nil; life++ {
				if err := j.work(ctx, w); err != nil && ctx.Err() == nil {
					t.Logf("worker %d, life %d: %v", w, life, err)
				}
			}
		})
	}
	running.Go(func() { j.watch(ctx) })
	sent := 0
	send := func(n int) {
		var records []*kgo.Record
		for range n {
			records = append(records, &kgo.Record{Topic: "in", Partition: int32(sent % jobPartitions), Value: fmt.Appendf(nil, "%d", sent)})
			sent++
		}
		if err := admin.ProduceSync(within(t), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	send(400)
	for range kills {
		before := j.progress()
		eventually(t, "progress between two kills", func() bool { return j.progress() > before+100 })
		if random.IntN(3) == 0 {
			j.kill(random.IntN(jobWorkers))
		} else {
			victim := 1 + random.IntN(3)
			j.fleet.Proc(victim).Kill()
			j.fleet.Proc(victim).Start()
		}
		send(400)
	}
	eventually(t, "end of the input", func() bool { return j.progress() >= sent })
	stop()
	running.Wait()
	checkSettled(t, admin, "out")

	seen := map[string]int{}
	reader := fleetClient(t, j.fleet.Addrs(), kgo.ConsumeTopics("out"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	for _, r := range readSettled(t, reader, "out") {
		seen[string(r.Value)]++
	}
	for i := range sent {
		if n := seen[fmt.Sprint(i)]; n != 1 {
			t.Errorf("input %d is in the output %d times", i, n)
		}
	}
	if len(seen) != sent {
		t.Errorf("%d inputs, %d different outputs", sent, len(seen))
	}
}

func (j *job) progress() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.copied
}

// watch counts what is committed in the output.
func (j *job) watch(ctx context.Context) {
	c := fleetClient(j.t, j.fleet.Addrs(), kgo.ConsumeTopics("out"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	for ctx.Err() == nil {
		n := c.PollFetches(ctx).NumRecords()
		j.mu.Lock()
		j.copied += n
		j.mu.Unlock()
	}
}

// kill ends a worker's connections, all of a sudden.
func (j *job) kill(worker int) {
	j.mu.Lock()
	l := j.workers[worker]
	j.mu.Unlock()
	if l != nil {
		l.cut()
	}
}

// work is one life of a worker: until ctx ends, an error it does not get over, or its death.
func (j *job) work(ctx context.Context, worker int) error {
	l := &lifeline{dead: make(chan struct{})}
	j.mu.Lock()
	j.workers[worker] = l
	j.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with ctx
		select {
		case <-l.dead:
			cancel()
		case <-ctx.Done():
		}
	}()
	s, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(j.fleet.Addrs()...), kgo.Dialer(l.dial), kgo.TransactionalID(fmt.Sprintf("job-%d", worker)),
		kgo.ConsumerGroup("job"), kgo.ConsumeTopics("in"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RequireStableFetchOffsets(), kgo.SessionTimeout(3*time.Second), kgo.HeartbeatInterval(500*time.Millisecond), kgo.RebalanceTimeout(5*time.Second),
		kgo.TransactionTimeout(10*time.Second), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.FetchMaxWait(200*time.Millisecond), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		return err
	}
	defer s.Close()
	for {
		fetches := s.PollRecords(ctx, 40)
		if ctx.Err() != nil {
			return nil
		}
		records := fetches.Records()
		if len(records) == 0 {
			continue
		}
		if err := s.Begin(); err != nil {
			return err
		}
		promise := kgo.AbortingFirstErrPromise(s.Client())
		for _, r := range records {
			s.Produce(ctx, &kgo.Record{Topic: "out", Partition: r.Partition, Value: r.Value}, promise.Promise())
		}
		limit, done := context.WithTimeout(ctx, 30*time.Second)
		_, err = s.End(limit, promise.Err() == nil)
		done()
		if err != nil {
			return err
		}
	}
}

// lifeline is all connections of a client, so that it can die without saying so.
type lifeline struct {
	once sync.Once
	dead chan struct{} // closed by cut

	mu    sync.Mutex
	conns []net.Conn
}

func (l *lifeline) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	select {
	case <-l.dead:
		return nil, errors.New("dead")
	default:
	}
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, addr)
	if err == nil {
		l.mu.Lock()
		l.conns = append(l.conns, c)
		l.mu.Unlock()
	}
	return c, err
}

func (l *lifeline) cut() {
	l.once.Do(func() {
		close(l.dead)
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, c := range l.conns {
			_ = c.Close()
		}
	})
}
