package broker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// txnProps are the properties of a fleet for transactions: few partitions, quick scans.
func txnProps(replicas string) map[string]string {
	return map[string]string{
		"transaction.state.log.num.partitions": "3", "transaction.state.log.replication.factor": replicas, "transaction.state.log.min.isr": "1",
		"offsets.topic.num.partitions": "3", "offsets.topic.replication.factor": replicas,
		"transaction.abort.timed.out.transaction.cleanup.interval.ms": "200",
	}
}

// txnClient returns a transactional producer.
func txnClient(t *testing.T, addrs []string, id string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	return fleetClient(t, addrs, append([]kgo.Opt{kgo.TransactionalID(id), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionTimeout(40 * time.Second),
		kgo.RecordRetries(1000)}, opts...)...)
}

// transact writes records in one transaction and ends it.
func transact(ctx context.Context, c *kgo.Client, commit bool, records ...*kgo.Record) error {
	if err := c.BeginTransaction(); err != nil {
		return err
	}
	err := c.ProduceSync(ctx, records...).FirstErr()
	end := kgo.TransactionEndTry(commit)
	if err != nil {
		end = kgo.TryAbort
	}
	return errors.Join(err, c.EndTransaction(ctx, end))
}

// committed reads what a read_committed consumer sees of a topic up to its end, by value.
func committed(t *testing.T, addr, topic string, n int) []string {
	t.Helper()
	var values []string
	for _, r := range consume(t, addr, topic, n, kgo.FetchIsolationLevel(kgo.ReadCommitted())) {
		values = append(values, string(r.Value))
	}
	return values
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	fleet := brokertest.StartFleet(t, zk.Addr(), 3, txnProps("3"))
	admin := fleetClient(t, fleet.Addrs())
	const topic, partitions, producers, rounds = "t", 6, 6, 20
	createReplicated(t, admin, topic, partitions, 3)
	var mu sync.Mutex
	var want []string
	var wg sync.WaitGroup
	for p := range producers {
		c := txnClient(t, fleet.Addrs(), fmt.Sprintf("producer-%d", p))
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(p), 3))
			for round := range rounds {
				commit := random.IntN(3) > 0
				var records []*kgo.Record
				for n := range 1 + random.IntN(8) {
					records = append(records, &kgo.Record{Topic: topic, Partition: random.Int32N(partitions), Value: fmt.Appendf(nil, "%d/%d/%d %t", p, round, n, commit)})
				}
				if err := transact(within(t), c, commit, records...); err != nil {
					t.Errorf("producer %d round %d: %v", p, round, err)
					return
				}
				if commit {
					mu.Lock()
					for _, r := range records {
						want = append(want, string(r.Value))
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	got := committed(t, fleet.Node(1).Addr(), topic, len(want))
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("committed %d records, a consumer saw %d, which are not the same", len(want), len(got))
	}
	for _, v := range got {
		if strings.HasSuffix(v, "false") {
			t.Errorf("of an aborted transaction: %s", v)
		}
	}
	checkSettled(t, admin, topic)
}

// checkSettled waits until no transaction holds back the last stable offset of a topic's partitions.
func checkSettled(t *testing.T, c *kgo.Client, topic string) {
	t.Helper()
	adm := kadm.NewClient(c)
	eventually(t, "last stable offsets at the end", func() bool {
		ends, err := adm.ListEndOffsets(within(t), topic)
		if err != nil {
			return false
		}
		stable, err := adm.ListCommittedOffsets(within(t), topic)
		if err != nil {
			return false
		}
		same := true
		ends.Each(func(o kadm.ListedOffset) {
			s, _ := stable.Lookup(o.Topic, o.Partition)
			same = same && o.Err == nil && s.Err == nil && s.Offset == o.Offset
		})
		return same
	})
}

// A second producer of the same transactional id fences the first, whose transaction is aborted.
func TestZombieIsFenced(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	fleet := brokertest.StartFleet(t, zk.Addr(), 2, txnProps("2"))
	admin := fleetClient(t, fleet.Addrs())
	createReplicated(t, admin, "t", 2, 2)
	zombie := txnClient(t, fleet.Addrs(), "id")
	if err := zombie.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := zombie.ProduceSync(within(t), &kgo.Record{Topic: "t", Partition: 0, Value: []byte("zombie")}, &kgo.Record{Topic: "t", Partition: 1, Value: []byte("zombie")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	next := txnClient(t, fleet.Addrs(), "id")
	if err := transact(within(t), next, true, &kgo.Record{Topic: "t", Value: []byte("next")}); err != nil {
		t.Fatal(err)
	}
	err := zombie.ProduceSync(within(t), &kgo.Record{Topic: "t", Partition: 1, Value: []byte("zombie")}).FirstErr()
	if !errors.Is(err, kerr.InvalidProducerEpoch) && !errors.Is(err, kerr.ProducerFenced) {
		t.Errorf("the zombie's produce: %v", err)
	}
	if err := zombie.EndTransaction(within(t), kgo.TryCommit); err == nil {
		t.Error("the zombie committed")
	}
	if err := transact(within(t), next, true, &kgo.Record{Topic: "t", Partition: 1, Value: []byte("next")}); err != nil {
		t.Fatal(err)
	}
	if got := committed(t, fleet.Node(1).Addr(), "t", 2); !slices.Equal(got, []string{"next", "next"}) {
		t.Errorf("committed: %v", got)
	}
	checkSettled(t, admin, "t")
}

// A transaction that is left open is aborted, and its producer fenced.
func TestTransactionTimesOut(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	fleet := brokertest.StartFleet(t, zk.Addr(), 1, txnProps("1"))
	admin := fleetClient(t, fleet.Addrs())
	createReplicated(t, admin, "t", 1, 1)
	c := txnClient(t, fleet.Addrs(), "id", kgo.TransactionTimeout(time.Second))
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := c.ProduceSync(within(t), &kgo.Record{Topic: "t", Value: []byte("late")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	txns := func() kmsg.DescribeTransactionsResponseTransactionState { return describeTxn(t, admin, "id") }
	if d := txns(); d.State != "Ongoing" || len(d.Topics) != 1 || d.TimeoutMillis != 1000 {
		t.Errorf("while it is open: %+v", d)
	}
	eventually(t, "abort", func() bool { return txns().State == "CompleteAbort" })
	if err := c.EndTransaction(within(t), kgo.TryCommit); err == nil {
		t.Error("committed after the timeout")
	}
	other := txnClient(t, fleet.Addrs(), "other")
	if err := transact(within(t), other, true, &kgo.Record{Topic: "t", Value: []byte("in time")}); err != nil {
		t.Fatal(err)
	}
	if got := committed(t, fleet.Node(1).Addr(), "t", 1); !slices.Equal(got, []string{"in time"}) {
		t.Errorf("committed: %v", got)
	}
	checkSettled(t, admin, "t")
}

// describeTxn asks the coordinator of a transactional id.
func describeTxn(t *testing.T, c *kgo.Client, id string) kmsg.DescribeTransactionsResponseTransactionState {
	t.Helper()
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = []string{id}
	resp, err := req.RequestWith(within(t), c)
	if err != nil || len(resp.TransactionStates) != 1 {
		t.Fatalf("describe %s: %v", id, err)
	}
	return resp.TransactionStates[0]
}

// readSettled reads a topic in which every transaction has ended, so that control records are the last of every partition.
func readSettled(t *testing.T, c *kgo.Client, topic string) []*kgo.Record {
	t.Helper()
	ends, err := kadm.NewClient(c).ListEndOffsets(within(t), topic)
	if err != nil {
		t.Fatal(err)
	}
	at := map[int32]int64{}
	var records []*kgo.Record
	for ctx := within(t); ; {
		short := false
		ends.Each(func(o kadm.ListedOffset) { short = short || o.Err != nil || at[o.Partition] < o.Offset })
		if !short {
			return records
		}
		fetches := c.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("read up to %v of %v", at, ends)
		}
		for _, r := range fetches.Records() {
			at[r.Partition] = r.Offset + 1
			if !r.Attrs.IsControl() {
				records = append(records, r)
			}
		}
	}
}
