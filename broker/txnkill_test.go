//go:build unix

package broker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// TestTransactionsOutliveKills runs transactions over all partitions of a topic while brokers are killed: the coordinator of a
// transaction between two of its steps, or the leader of a partition. What was said to be committed is there, once and in all
// partitions; nothing of what was aborted ever is; and where the producer does not know, it is all or nothing.
func TestTransactionsOutliveKills(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	zk := zktest.Start(t)
	props := txnProps("3")
	props["min.insync.replicas"], props["transaction.state.log.min.isr"] = "2", "2"
	props["zookeeper.session.timeout.ms"] = "2000"
	h := &txnHistory{t: t, topic: "t", partitions: 4, fleet: brokertest.StartProcFleet(t, zk.Addr(), 3, props), kills: make(chan int)}
	h.outcomes = map[string]txnOutcome{}
	admin := fleetClient(t, h.fleet.Addrs())
	createReplicated(t, admin, h.topic, h.partitions, 3)

	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for p := range 3 {
		running.Go(func() { h.produce(ctx, p, rand.New(rand.NewPCG(seed, uint64(p)))) })
	}
	for n := range kills(t) {
		var victim int
		select {
		case victim = <-h.kills:
		case <-time.After(time.Minute):
			t.Fatalf("no transaction made progress before kill %d", n)
		}
		h.fleet.Proc(victim).Kill()
		h.fleet.Proc(victim).Start()
	}
	stop()
	running.Wait()
	checkSettled(t, admin, h.topic)
	h.check()
}

type txnOutcome int8

const (
	unknownOutcome txnOutcome = iota
	wasCommitted
	wasAborted
)

// txnHistory is what producers did, and what they were told.
type txnHistory struct {
	t          *testing.T
	fleet      *brokertest.ProcFleet
	topic      string
	partitions int32
	kills      chan int // producers send which broker to kill next, and go on when it is being killed; the test receives

	mu       sync.Mutex
	outcomes map[string]txnOutcome
}

// The steps between which a coordinator is killed.
const (
	txnBegun = iota
	txnHalfProduced
	txnProduced
	txnEnded
	txnSteps
)

// produce runs transactions until ctx ends. An error that a producer does not get over makes another of the same id, which
// fences the first.
func (h *txnHistory) produce(ctx context.Context, p int, random *rand.Rand) {
	id := fmt.Sprintf("producer-%d", p)
	var c *kgo.Client
	fresh := func() {
		if c != nil {
			c.Close()
		}
		c = txnClient(h.t, h.fleet.Addrs(), id, kgo.TransactionTimeout(20*time.Second), kgo.RecordDeliveryTimeout(30*time.Second), kgo.ProducerLinger(0))
	}
	fresh()
	for n := 0; ctx.Err() == nil; n++ {
		killAt := -1
		if random.IntN(8) == 0 {
			killAt = random.IntN(txnSteps)
		}
		commit := random.IntN(3) > 0
		name := fmt.Sprintf("%d-%d", p, n)
		what, err := h.transact(ctx, c, id, name, commit, killAt, random)
		h.mu.Lock()
		h.outcomes[name] = what
		h.mu.Unlock()
		if err != nil {
			fresh()
		}
	}
	c.Close()
}

// transact runs one transaction: a record in each partition.
func (h *txnHistory) transact(ctx context.Context, c *kgo.Client, id, name string, commit bool, killAt int, random *rand.Rand) (txnOutcome, error) {
	step := func(n int) {
		if n == killAt {
			victim := h.coordinator(c, id)
			if random.IntN(4) == 0 || victim == 0 {
				victim = 1 + random.IntN(3)
			}
			select {
			case h.kills <- victim:
			case <-ctx.Done():
			}
		}
	}
	limit, cancel := context.WithTimeout(h.t.Context(), time.Minute)
	defer cancel()
	if err := c.BeginTransaction(); err != nil {
		return wasAborted, err
	}
	step(txnBegun)
	half := h.partitions / 2
	err := h.send(limit, c, name, 0, half)
	step(txnHalfProduced)
	if err == nil {
		err = h.send(limit, c, name, half, h.partitions)
	}
	step(txnProduced)
	if err != nil || !commit {
		// Whether the abort succeeds or not: nothing was said to commit.
		if e := c.AbortBufferedRecords(limit); e != nil {
			return wasAborted, e
		}
		return wasAborted, errors.Join(err, c.EndTransaction(limit, kgo.TryAbort))
	}
	err = c.EndTransaction(limit, kgo.TryCommit)
	step(txnEnded)
	if err != nil {
		return unknownOutcome, err
	}
	return wasCommitted, nil
}

func (h *txnHistory) send(ctx context.Context, c *kgo.Client, name string, from, to int32) error {
	var records []*kgo.Record
	for p := from; p < to; p++ {
		records = append(records, &kgo.Record{Topic: h.topic, Partition: p, Value: []byte(name)})
	}
	return c.ProduceSync(ctx, records...).FirstErr()
}

// coordinator returns the broker that coordinates a transactional id, 0 if that is not to be learned just now.
func (h *txnHistory) coordinator(c *kgo.Client, id string) int {
	ctx, cancel := context.WithTimeout(h.t.Context(), 5*time.Second)
	defer cancel()
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorType, req.CoordinatorKey, req.CoordinatorKeys = 1, id, []string{id}
	resp, err := req.RequestWith(ctx, c)
	if err != nil || len(resp.Coordinators) != 1 || resp.Coordinators[0].ErrorCode != 0 {
		return 0
	}
	return int(resp.Coordinators[0].NodeID)
}

// check compares what a read_committed consumer sees with what producers were told.
func (h *txnHistory) check() {
	seen := map[string]map[int32]int{}
	c := fleetClient(h.t, h.fleet.Addrs(), kgo.ConsumeTopics(h.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	for _, r := range readSettled(h.t, c, h.topic) {
		name := string(r.Value)
		if seen[name] == nil {
			seen[name] = map[int32]int{}
		}
		seen[name][r.Partition]++
	}
	count := map[txnOutcome]int{}
	for name, o := range h.outcomes {
		count[o]++
		var got []string
		for p := range h.partitions {
			got = append(got, strconv.Itoa(seen[name][p]))
		}
		all, nothing := strings.Repeat("1 ", int(h.partitions)), strings.Repeat("0 ", int(h.partitions))
		is := strings.Join(got, " ") + " "
		if is == all && o != wasAborted || is == nothing && o != wasCommitted {
			continue
		}
		h.t.Errorf("transaction %s (%d) was seen %stimes in its partitions", name, o, is)
	}
	for name := range seen {
		if _, known := h.outcomes[name]; !known {
			h.t.Errorf("nobody wrote %s", name)
		}
	}
	h.t.Logf("%d committed, %d aborted, %d unknown", count[wasCommitted], count[wasAborted], count[unknownOutcome])
	if count[wasCommitted] == 0 {
		h.t.Error("nothing was committed")
	}
}
