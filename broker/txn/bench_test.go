package txn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/broker/coord/coordtest"
	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

var state0 = meta.TopicPartition{Topic: Topic, Partition: 0}

// bench is a coordinator of one partition over a journal in memory, and the brokers it sends markers to. It lives in a synctest
// bubble.
type bench struct {
	t       *testing.T
	journal *coordtest.Journal
	fleet   *metadata.Cache
	epoch   meta.LeaderEpoch
	c       *Coordinator
	stop    func()

	mu       sync.Mutex
	written  []string                                 // markers that partitions have taken, in order
	requests int                                      // WriteTxnMarkers
	answers  map[meta.TopicPartition]func() wire.Code // nil: takes it
	broken   map[meta.BrokerID]error                  // requests fail
	frozen   map[meta.BrokerID]chan struct{}          // requests wait
	gone     map[meta.TopicPartition]bool             // not in ZooKeeper
	asked    []string                                 // of ZooKeeper
	nextID   int64
	idErr    error
	zkErr    error
}

func inBubble(t *testing.T, f func(t *testing.T, b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, journal: coordtest.New(), fleet: metadata.NewCache(), epoch: 5, nextID: 1000,
			answers: map[meta.TopicPartition]func() wire.Code{}, broken: map[meta.BrokerID]error{}, frozen: map[meta.BrokerID]chan struct{}{}, gone: map[meta.TopicPartition]bool{}}
		b.leaders(map[string]meta.BrokerID{"a0": 1, "a1": 2, "b0": 1, "b1": 2})
		b.start()
		defer func() { b.stop() }()
		f(t, b)
	})
}

func (b *bench) NextProducerID(context.Context) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.idErr != nil {
		return -1, b.idErr
	}
	b.nextID++
	return b.nextID - 1, nil
}

// leaders makes the picture of the fleet.
func (b *bench) leaders(leaders map[string]meta.BrokerID) { b.picture(leaders, 1, 2) }

// picture says who leads and who is alive.
func (b *bench) picture(leaders map[string]meta.BrokerID, alive ...int32) {
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version = 8
	for _, id := range alive {
		lb := kmsg.NewUpdateMetadataRequestLiveBroker()
		lb.ID = id
		e := kmsg.NewUpdateMetadataRequestLiveBrokerEndpoint()
		e.Host, e.ListenerName, e.Port = "h", "L", id
		lb.Endpoints = append(lb.Endpoints, e)
		req.LiveBrokers = append(req.LiveBrokers, lb)
	}
	for name, leader := range leaders {
		tp := meta.TopicPartition{Topic: name}
		if name != Topic {
			tp = tps(name)[0]
		}
		rt := kmsg.NewUpdateMetadataRequestTopicState()
		rt.Topic = tp.Topic
		ps := kmsg.NewUpdateMetadataRequestTopicPartition()
		ps.Topic, ps.Partition, ps.Leader, ps.Replicas, ps.ISR = tp.Topic, tp.Partition, int32(leader), []int32{1, 2}, []int32{1, 2}
		rt.PartitionStates = append(rt.PartitionStates, ps)
		req.TopicStates = append(req.TopicStates, rt)
	}
	b.fleet.Apply(req)
}

// leadersOf names the leader of a topic's partition 0.
func (b *bench) leadersOf(topic string, leader meta.BrokerID) {
	b.leaders(map[string]meta.BrokerID{topic: leader})
}

// start makes a coordinator that takes over from the one before.
func (b *bench) start() {
	b.c = New(Options{
		Config: Config{MaxTimeout: time.Minute, IDExpiration: time.Hour, AbortInterval: 10 * time.Second, RemoveInterval: 10 * time.Minute,
			LoadBufferBytes: 1 << 20, AppendTimeout: 30 * time.Second, MaxBatchBytes: func() int { return 1 << 20 }},
		Journal: b.journal, Partitions: func() (int32, bool) { return 1, true }, IDs: b, Sender: b, Fleet: b.fleet,
		Exists: func(_ context.Context, tp meta.TopicPartition) (bool, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.asked = append(b.asked, tp.String())
			if b.zkErr != nil {
				return false, b.zkErr
			}
			return !b.gone[tp], nil
		},
		Logger: zap.NewNop(),
	})
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- b.c.Run(ctx) }()
	b.stop = func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	}
	synctest.Wait()
	b.journal.Lead(state0, b.epoch)
	b.c.Roles([]coord.Role{{Partition: 0, LeaderEpoch: b.epoch, Leads: true}})
	synctest.Wait()
}

// failover ends the coordinator as kill -9 does, as far as its log and the others can tell, and starts another.
func (b *bench) failover() {
	b.journal.Resign(state0)
	b.epoch += 2
	b.stop()
	b.start()
}

// WriteMarkers is the brokers'.
func (b *bench) WriteMarkers(ctx context.Context, to meta.BrokerID, batches []MarkerBatch) ([][]wire.Code, error) {
	b.mu.Lock()
	b.requests++
	err, freeze := b.broken[to], b.frozen[to]
	b.mu.Unlock()
	if freeze != nil {
		select {
		case <-freeze:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	codes := make([][]wire.Code, len(batches))
	for i, m := range batches {
		for _, tp := range m.Partitions {
			code := wire.None
			if answer := b.answers[tp]; answer != nil {
				code = answer()
			}
			if code == wire.None {
				b.written = append(b.written, fmt.Sprintf("%s%d@%d %d/%d %t coordinator %d", tp.Topic, tp.Partition, to, m.ProducerID, m.ProducerEpoch, m.Committed, m.CoordinatorEpoch))
			}
			codes[i] = append(codes[i], code)
		}
	}
	return codes, nil
}

// markers returns what was written since it was asked last, sorted.
func (b *bench) markers() []string {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.written
	b.written = nil
	slices.Sort(w)
	return w
}

func (b *bench) wantMarkers(want ...string) {
	b.t.Helper()
	if got := b.markers(); !slices.Equal(got, want) {
		b.t.Errorf("markers %q, want %q", got, want)
	}
}

func (b *bench) init(id string, p ...producer) (producer, error) {
	r := InitRequest{TransactionalID: id, TimeoutMs: 40000, ProducerID: -1, ProducerEpoch: -1}
	if len(p) > 0 {
		r.ProducerID, r.ProducerEpoch = p[0].id, p[0].epoch
	}
	pid, epoch, err := b.c.InitProducerID(b.t.Context(), r)
	synctest.Wait()
	return producer{pid, epoch}, err
}

func (b *bench) mustInit(id string, p ...producer) producer {
	b.t.Helper()
	got, err := b.init(id, p...)
	if err != nil {
		b.t.Fatalf("initialise %s: %v", id, err)
	}
	return got
}

func (b *bench) add(id string, p producer, partitions ...string) error {
	defer synctest.Wait()
	return b.c.AddPartitions(b.t.Context(), Producer{id, p.id, p.epoch}, tps(partitions...))
}

func (b *bench) end(id string, p producer, commit bool) error {
	defer synctest.Wait()
	return b.c.EndTxn(b.t.Context(), Producer{id, p.id, p.epoch}, commit)
}

// endLater ends a transaction in the background.
func (b *bench) endLater(id string, p producer, commit bool) <-chan error {
	answer := make(chan error, 1)
	go func() { answer <- b.c.EndTxn(b.t.Context(), Producer{id, p.id, p.epoch}, commit) }()
	return answer
}

// verify says of each partition OK or why not.
func (b *bench) verify(id string, p producer, partitions ...string) string {
	var got []string
	for _, err := range b.c.VerifyPartitions(b.t.Context(), Producer{id, p.id, p.epoch}, tps(partitions...)) {
		got = append(got, fmt.Sprint(err))
	}
	return strings.Join(got, ", ")
}

// state describes a transactional id.
func (b *bench) state(id string) string {
	d, err := b.c.Describe(b.t.Context(), id)
	if err != nil {
		return err.Error()
	}
	var parts []string
	for _, tp := range d.Partitions {
		parts = append(parts, fmt.Sprint(tp.Topic, tp.Partition))
	}
	return fmt.Sprintf("%s %d/%d [%s]", d.State, d.ProducerID, d.ProducerEpoch, strings.Join(parts, " "))
}

func (b *bench) wantState(id, want string) {
	b.t.Helper()
	synctest.Wait()
	if got := b.state(id); got != want {
		b.t.Errorf("%s is %s, want %s", id, got, want)
	}
}

// wantErr compares errors with errors.Is; nil wants none.
func (b *bench) wantErr(what string, got, want error) {
	b.t.Helper()
	if !errors.Is(got, want) || want == nil && got != nil {
		b.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// must ends the test on an error.
func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// log is what the log says, in order: the states written of each id.
func (b *bench) log() string {
	var all []string
	for _, e := range b.journal.Log(state0) {
		id, err := decodeKey(e.Key)
		b.must(err)
		if e.Value == nil {
			all = append(all, id+" removed")
			continue
		}
		s, err := decodeValue(e.Value)
		b.must(err)
		all = append(all, fmt.Sprintf("%s %s %d/%d", id, s.state, s.producerID, s.producerEpoch))
	}
	return strings.Join(all, "; ")
}
