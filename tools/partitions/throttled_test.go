//go:build unix

package partitions

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/tools/testkit"
	"github.com/kraal-mq/kraal/tools/topics"
	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// fill writes megabytes to partition 0 of a topic.
func fill(t *testing.T, addrs []string, topic string, megabytes int) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(addrs...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range megabytes {
		records := make([]*kgo.Record, 10)
		for i := range records {
			records[i] = &kgo.Record{Topic: topic, Value: make([]byte, 100_000)}
		}
		if err := c.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// staysSo looks for a while whether something is true all the time.
func staysSo(t *testing.T, what string, is func() bool) {
	t.Helper()
	const while = 2 * time.Second
	for end := time.Now().Add(while); time.Now().Before(end); {
		if !is() {
			t.Fatalf("no longer: %s", what)
		}
	}
}

func TestThrottleTakesEffectAndIsChanged(t *testing.T) {
	fleet := brokertest.StartFleet(t, zktest.Start(t).Addr(), 3, map[string]string{"min.insync.replicas": "1"})
	b := fleet.Node(1).Addr()
	succeed(t, topics.Command(), b, "--create", "--topic", "orders", "--replica-assignment", "1")
	fill(t, fleet.Addrs(), "orders", 10)
	plan := writeFile(t, "plan.json", formatPlan(map[meta.TopicPartition][]int32{tp("orders", 0): {2}}))
	verify := func() string {
		return succeed(t, ReassignCommand(), b, "--verify", "--reassignment-json-file", plan)
	}
	succeed(t, ReassignCommand(), b, "--execute", "--reassignment-json-file", plan, "--throttle", "100000") // that takes a minute and a half
	staysSo(t, "moving", func() bool {
		return strings.Contains(verify(), "Reassignment of partition orders-0 is still in progress.")
	})
	succeed(t, ReassignCommand(), b, "--execute", "--additional", "--reassignment-json-file", plan, "--throttle", "1000000000")
	verified(t, b, plan)
	if left := throttles(t, b); len(left) > 0 {
		t.Errorf("throttles %q are left", left)
	}
	testkit.Eventually(t, time.Minute, "the new replica", func() bool { return replicas(t, b, "orders") == "2" })
}

func TestMovesBetweenLogDirsUnderLoad(t *testing.T) {
	data := t.TempDir()
	dir := func(broker int32, name string) string { return filepath.Join(data, fmt.Sprint(broker), name) }
	fleet := brokertest.StartFleet(t, zktest.Start(t).Addr(), 3, map[string]string{
		"min.insync.replicas": "1", "log.dirs": filepath.Join(data, "{id}", "x") + "," + filepath.Join(data, "{id}", "y"),
	})
	b := fleet.Node(1).Addr()
	succeed(t, topics.Command(), b, "--create", "--topic", "orders", "--replica-assignment", "1:2,2:3,3:1")
	l := startLoad(t, fleet.Addrs(), "orders", 3)
	for _, name := range []string{"x", "y", "x"} {
		acknowledged := l.history.Acknowledged()
		testkit.Eventually(t, time.Minute, "records", func() bool { return l.history.Acknowledged() > acknowledged+500 })
		plan := dirsPlan(t, func(broker int32) string { return dir(broker, name) })
		out := succeed(t, ReassignCommand(), b, "--execute", "--reassignment-json-file", plan, "--replica-alter-log-dirs-throttle", "50000000")
		if n := strings.Count(out, "Successfully started moving log directory to "); n != 6 {
			t.Errorf("execute said\n%s", out)
		}
		if out := verified(t, b, plan); strings.Count(out, " completed successfully.\n") != 6 {
			t.Errorf("verify said\n%s", out)
		}
		if left := throttles(t, b); len(left) > 0 {
			t.Errorf("throttles %q are left", left)
		}
	}
	l.end()

	// A move that is cancelled ends where it began.
	fill(t, fleet.Addrs(), "orders", 10)
	plan := dirsPlan(t, func(broker int32) string { return dir(broker, "y") })
	succeed(t, ReassignCommand(), b, "--execute", "--reassignment-json-file", plan, "--replica-alter-log-dirs-throttle", "100000")
	staysSo(t, "moving", func() bool {
		return strings.Contains(succeed(t, ReassignCommand(), b, "--verify", "--reassignment-json-file", plan), "Reassignment of replica orders-0-1 is still in progress.")
	})
	out := succeed(t, ReassignCommand(), b, "--cancel", "--reassignment-json-file", plan)
	if !strings.Contains(out, "Successfully started moving log directory to "+dir(1, "x")+" for replica orders-0 with broker 1 \n") {
		t.Errorf("cancel said\n%s", out)
	}
	if left := throttles(t, b); len(left) > 0 {
		t.Errorf("throttles %q are left", left)
	}
	out = succeed(t, ReassignCommand(), b, "--verify", "--reassignment-json-file", plan)
	if want := "Partition orders-0 on broker 1 is not being moved from log dir " + dir(1, "x") + " to " + dir(1, "y") + ".\n"; !strings.Contains(out, want) {
		t.Errorf("verify said\n%s", out)
	}
}

// dirsPlan writes a plan that leaves the replicas of orders on their brokers, and has them in these log directories.
func dirsPlan(t *testing.T, dir func(broker int32) string) string {
	t.Helper()
	var partitions []string
	for id, replicas := range [][]int32{{1, 2}, {2, 3}, {3, 1}} {
		partitions = append(partitions, fmt.Sprintf(`{"topic":"orders","partition":%d,"replicas":[%s],"log_dirs":["%s","%s"]}`,
			id, join(replicas, ","), dir(replicas[0]), dir(replicas[1])))
	}
	return writeFile(t, "plan.json", `{"version":1,"partitions":[`+strings.Join(partitions, ",")+`]}`)
}
