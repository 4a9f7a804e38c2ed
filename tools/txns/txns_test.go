package txns

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/tools/testkit"
	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

func TestTable(t *testing.T) {
	want := "TransactionalId\tCoordinator\tProducerId\tTransactionState\t\ntx1            \t1          \t0         \tOngoing         \t\n"
	if got := table([]string{"TransactionalId", "Coordinator", "ProducerId", "TransactionState"}, [][]string{{"tx1", "1", "0", "Ongoing"}}); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestLate(t *testing.T) {
	now := time.UnixMilli(1_000_000_000)
	ago := func(d time.Duration) int64 { return now.Add(-d).UnixMilli() }
	a, b := meta.TopicPartition{Topic: "a"}, meta.TopicPartition{Topic: "b"}
	found := map[meta.TopicPartition][]producer{
		b: {{ProducerID: 1, LastTimestamp: ago(16 * time.Minute), CurrentTxnStartOffset: 5}},
		a: {{ProducerID: 2, LastTimestamp: ago(16 * time.Minute), CurrentTxnStartOffset: -1}, {ProducerID: 3, LastTimestamp: ago(14 * time.Minute), CurrentTxnStartOffset: 1},
			{ProducerID: 4, LastTimestamp: ago(time.Hour), CurrentTxnStartOffset: 0}},
	}
	got := late(found, now, 15*time.Minute)
	if len(got) != 2 || got[0].ProducerID != 4 || got[1].ProducerID != 1 {
		t.Errorf("%v", got)
	}
}

// TestOpenTransaction goes through the commands while a producer has a transaction open.
func TestOpenTransaction(t *testing.T) {
	t.Parallel()
	node := brokertest.Start(t, zktest.Start(t).Addr(), map[string]string{"transaction.state.log.num.partitions": "3"})
	run := func(wantCode int, args ...string) (stdout, stderr string) {
		t.Helper()
		stdout, stderr, code := testkit.Run(t.Context(), Command(), append([]string{"--bootstrap-server", node.Addr()}, args...)...)
		if code != wantCode {
			t.Fatalf("%v: exit code %d\n%s%s", args, code, stdout, stderr)
		}
		return stdout, stderr
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(node.Addr()), kgo.TransactionalID("tx1"), kgo.TransactionTimeout(55*time.Second), kgo.AllowAutoTopicCreation(),
		kgo.DefaultProduceTopic("orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := c.ProduceSync(t.Context(), kgo.StringRecord("v")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	pid, epoch, err := c.ProducerID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	has := func(out string, want ...string) {
		t.Helper()
		lines := strings.Split(out, "\n")
		if len(lines) != 3 || !strings.Contains(strings.Join(strings.Fields(lines[1]), " "), strings.Join(want, " ")) {
			t.Errorf("got %q, want %v", out, want)
		}
	}
	id := strconv.FormatInt(pid, 10)
	out, _ := run(0, "list")
	has(out, "tx1", "1", id, "Ongoing")
	out, _ = run(0, "list", "--duration-filter", "1000000")
	if strings.Contains(out, "tx1") {
		t.Errorf("%s", out)
	}
	out, _ = run(0, "describe", "--transactional-id", "tx1")
	has(out, "1", "tx1", id, strconv.Itoa(int(epoch)), "Ongoing", "55000")
	out, _ = run(0, "describe-producers", "--topic", "orders", "--partition", "0", "--broker-id", "1")
	has(out, id, strconv.Itoa(int(epoch)), "-1", "0")
	out, _ = run(0, "find-hanging", "--topic", "orders", "--max-transaction-timeout", "0") // late, but coordinated
	if strings.Count(out, "\n") != 1 {
		t.Errorf("%s", out)
	}
	_, errs := run(1, "abort", "--topic", "orders", "--partition", "0", "--start-offset", "5")
	if errs != "Could not find any open transactions starting at offset 5 on partition orders-0\n" {
		t.Errorf("%q", errs)
	}
	if out, errs := run(0, "abort", "--topic", "orders", "--partition", "0", "--start-offset", "0"); out+errs != "" {
		t.Errorf("%q %q", out, errs)
	}
	out, _ = run(0, "describe-producers", "--topic", "orders", "--partition", "0")
	has(out, id, strconv.Itoa(int(epoch)), "0")
	if !strings.Contains(out, "None") {
		t.Errorf("the transaction is open still: %s", out)
	}
	_, errs = run(1, "describe", "--transactional-id", "nope")
	if want := "Failed to describe transaction state of transactional-id `nope`: DescribeTransactions request for transactionalId `nope` failed because the ID " +
		"could not be found. Enable debug logging for additional detail.\n"; errs != want {
		t.Errorf("%q", errs)
	}
}

func TestWrongUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"list"}, "argument --bootstrap-server is required"},
		{[]string{"--bootstrap-server", "127.0.0.1:1", "describe"}, "argument --transactional-id is required"},
		{[]string{"--bootstrap-server", "127.0.0.1:1", "describe-producers", "--topic", "orders"}, "argument --partition is required"},
		{[]string{"--bootstrap-server", "127.0.0.1:1", "nonsense"}, "invalid choice: 'nonsense'"},
		{[]string{"--bootstrap-server", "127.0.0.1:1", "find-hanging", "--partition", "0"}, "The `find-hanging` command requires either --topic or --broker-id"},
		{[]string{"--bootstrap-server", "127.0.0.1:1", "abort", "--topic", "t", "--partition", "0"}, "The transaction to abort must be identified either with"},
		{[]string{"--bootstrap-server", "127.0.0.1:1", "abort", "--topic", "t", "--partition", "0", "--producer-id", "9"}, "Missing required argument --producer-epoch"},
	} {
		_, stderr, code := testkit.Run(t.Context(), Command(), c.args...)
		if code != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: exit code %d, %q", c.args, code, stderr)
		}
	}
}
