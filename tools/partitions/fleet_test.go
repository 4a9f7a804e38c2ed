//go:build unix

package partitions

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/tools/configs"
	"github.com/kraal-mq/kraal/tools/testkit"
	"github.com/kraal-mq/kraal/tools/topics"
	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// succeed runs a tool against a broker and returns what it printed.
func succeed(t *testing.T, cmd *cli.Command, bootstrap string, args ...string) string {
	t.Helper()
	stdout, stderr, code := testkit.Run(t.Context(), cmd, append([]string{"--bootstrap-server", bootstrap}, args...)...)
	if code != 0 {
		t.Fatalf("%s %v: exit code %d\n%s%s", cmd.Name, args, code, stdout, stderr)
	}
	return stdout
}

// throttles are all throttles that are configured, as kafka-configs tells them.
func throttles(t *testing.T, bootstrap string) []string {
	t.Helper()
	all := succeed(t, configs.Command(), bootstrap, "--describe", "--entity-type", "topics") +
		succeed(t, configs.Command(), bootstrap, "--describe", "--entity-type", "brokers")
	return regexp.MustCompile(`(?m)^  \S*(throttled|io\.max)\S*`).FindAllString(all, -1)
}

// verified runs --verify until nothing moves any more.
func verified(t *testing.T, bootstrap, plan string) string {
	t.Helper()
	var last string
	testkit.Eventually(t, time.Minute, "end of the reassignment", func() bool {
		last = succeed(t, ReassignCommand(), bootstrap, "--verify", "--reassignment-json-file", plan)
		return strings.Contains(last, "Clearing topic-level throttles")
	})
	return last
}

// replicas are where the partitions of a topic are, from kafka-topics --describe.
func replicas(t *testing.T, bootstrap, topic string) string {
	t.Helper()
	var lists []string
	for _, m := range regexp.MustCompile(`Replicas: (\S+)`).FindAllStringSubmatch(succeed(t, topics.Command(), bootstrap, "--describe", "--topic", topic), -1) {
		lists = append(lists, m[1])
	}
	return strings.Join(lists, " ")
}

func TestReassignUnderLoad(t *testing.T) {
	fleet := brokertest.StartFleet(t, zktest.Start(t).Addr(), 3, map[string]string{"min.insync.replicas": "1"})
	b := fleet.Node(1).Addr()
	succeed(t, topics.Command(), b, "--create", "--topic", "orders", "--replica-assignment", "1:2,2:1,1:2,2:1")
	l := startLoad(t, fleet.Addrs(), "orders", 4)
	for _, targets := range [][][]int32{
		{{3, 2}, {2, 3}, {3, 1}, {3, 2, 1}}, // every partition elsewhere, one with a replica more
		{{1, 3}, {1}, {2, 3}, {3, 1}},       // leaders change, one loses a replica
	} {
		assignment := map[meta.TopicPartition][]int32{}
		var want []string
		for i, replicas := range targets {
			assignment[tp("orders", int32(i))] = replicas
			want = append(want, join(replicas, ","))
		}
		plan := writeFile(t, "plan.json", formatPlan(assignment))
		acknowledged := l.history.Acknowledged()
		testkit.Eventually(t, time.Minute, "records", func() bool { return l.history.Acknowledged() > acknowledged+1000 })
		out := succeed(t, ReassignCommand(), b, "--execute", "--reassignment-json-file", plan, "--throttle", "50000000")
		if !strings.Contains(out, "The inter-broker throttle limit was set to 50000000 B/s\nSuccessfully started partition reassignments for orders-0,orders-1,orders-2,orders-3\n") {
			t.Errorf("execute said\n%s", out)
		}
		verified(t, b, plan)
		if left := throttles(t, b); len(left) > 0 {
			t.Errorf("throttles %q are left", left)
		}
		// Broker 1 may hear of the end a little later than the controller says that nothing moves.
		testkit.Eventually(t, time.Minute, "the new replicas in broker 1's metadata", func() bool { return replicas(t, b, "orders") == strings.Join(want, " ") })
		out = succeed(t, ReassignCommand(), b, "--verify", "--reassignment-json-file", plan)
		if n := strings.Count(out, " is completed.\n"); n != 4 {
			t.Errorf("verify said\n%s", out)
		}
		testkit.Eventually(t, time.Minute, "preferred leaders", func() bool {
			stdout, _, code := testkit.Run(t.Context(), ElectCommand(), "--bootstrap-server", b, "--election-type", "preferred", "--all-topic-partitions")
			return code == 0 && stdout == "" // none was needed any more
		})
	}
	l.end()
}

// A fleet in which broker `far` is not the controller and hears nothing from the others, so that a move to it cannot end.
func held(t *testing.T) (fleet *brokertest.ProcFleet, far, near int) {
	t.Helper()
	zk := zktest.Start(t)
	fleet = brokertest.StartProcFleet(t, zk.Addr(), 3, map[string]string{"min.insync.replicas": "1"})
	znodes := brokertest.OpenZnodes(t, zk.Addr())
	testkit.Eventually(t, time.Minute, "controller", func() bool {
		controller, elected := znodes.Controller()
		near, far = controller, controller%3+1
		return elected
	})
	return fleet, far, near
}

func TestThrottlesOfACancelledReassignment(t *testing.T) {
	fleet, far, near := held(t)
	b := fleet.Proc(near).Addr()
	third := 6 - far - near
	succeed(t, topics.Command(), b, "--create", "--topic", "orders", "--replica-assignment", join([]int32{int32(near), int32(third)}, ":"))
	succeed(t, configs.Command(), b, "--alter", "--topic", "orders", "--add-config", "retention.ms=86400000")
	fleet.CutFromBrokers(far)
	plan := writeFile(t, "plan.json", formatPlan(map[meta.TopicPartition][]int32{tp("orders", 0): {int32(far), int32(third)}}))
	succeed(t, ReassignCommand(), b, "--execute", "--reassignment-json-file", plan, "--throttle", "1000000")
	const both, rates = 2, 2 * 3 // lists of replicas on the topic; rates on each broker
	if set := throttles(t, b); len(set) != both+rates {
		t.Errorf("throttles %q", set)
	}
	list := succeed(t, ReassignCommand(), b, "--list")
	if want := "Current partition reassignments:\norders-0: replicas: " + join([]int32{int32(far), int32(third), int32(near)}, ",") +
		". adding: " + join([]int32{int32(far)}, ",") + ". removing: " + join([]int32{int32(near)}, ",") + ".\n"; list != want {
		t.Errorf("list said\n%s\nwant\n%s", list, want)
	}
	out := succeed(t, ReassignCommand(), b, "--verify", "--reassignment-json-file", plan)
	if !strings.HasSuffix(out, "Reassignment of partition orders-0 is still in progress.\n\n") || len(throttles(t, b)) != both+rates {
		t.Errorf("verify said\n%s", out)
	}
	out = succeed(t, ReassignCommand(), b, "--execute", "--additional", "--reassignment-json-file", plan, "--throttle", "2000000")
	if set := strings.Join(throttles(t, b), " "); strings.Contains(set, "1000000") || strings.Count(set, "2000000") != rates {
		t.Errorf("throttles %q after\n%s", set, out)
	}
	out = succeed(t, ReassignCommand(), b, "--cancel", "--reassignment-json-file", plan)
	if !strings.HasPrefix(out, "Successfully cancelled partition reassignment for: orders-0\nNone of the specified partition moves are active.\nClearing") {
		t.Errorf("cancel said\n%s", out)
	}
	if left := throttles(t, b); len(left) > 0 {
		t.Errorf("throttles %q are left", left)
	}
	fleet.Heal()
	// The replicas that stay keep the order that they had in the reassignment.
	back := join([]int32{int32(third), int32(near)}, ",")
	testkit.Eventually(t, time.Minute, "replicas "+back, func() bool { return replicas(t, b, "orders") == back })
}

// The tool is killed, or interrupted, right after it has set the throttles, when the reassignment may or may not have been
// submitted. Either way --verify removes them in the end.
func TestInterruptedTool(t *testing.T) {
	fleet := brokertest.StartFleet(t, zktest.Start(t).Addr(), 3, map[string]string{"min.insync.replicas": "1"})
	b := fleet.Node(1).Addr()
	succeed(t, topics.Command(), b, "--create", "--topic", "orders", "--replica-assignment", "1:2,2:1")
	l := startLoad(t, fleet.Addrs(), "orders", 2)
	for i, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT, syscall.SIGKILL, syscall.SIGINT, syscall.SIGTERM} {
		plan := writeFile(t, "plan.json", formatPlan(map[meta.TopicPartition][]int32{
			tp("orders", 0): {int32(i%3 + 1), int32((i+1)%3 + 1)}, tp("orders", 1): {int32((i+1)%3 + 1), int32((i+2)%3 + 1)},
		}))
		code, said := interrupt(t, signal, "was set to", "--bootstrap-server", b, "--execute", "--reassignment-json-file", plan, "--throttle", "50000000")
		if signal != syscall.SIGKILL && code != 0 && code != interrupted {
			t.Errorf("%v: exit code %d\n%s", signal, code, said)
		}
		moving := succeed(t, ReassignCommand(), b, "--list") != "No partition reassignments found.\n"
		if left := throttles(t, b); code == interrupted && !moving && len(left) > 0 && !strings.Contains(said, "Successfully started") {
			t.Errorf("%v: throttles %q are left, although nothing moves\n%s", signal, left, said)
		}
		verified(t, b, plan)
		if left := throttles(t, b); len(left) > 0 {
			t.Errorf("%v: throttles %q are left", signal, left)
		}
	}
	l.end()
}

// interrupt runs kafka-reassign-partitions as a process and sends it a signal when it says something.
func interrupt(t *testing.T, signal syscall.Signal, when string, args ...string) (code int, said string) {
	t.Helper()
	cmd := exec.Command(brokertest.Binary(t), append([]string{"reassign-partitions"}, args...)...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		all.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), when) {
			_ = cmd.Process.Signal(signal) // it may have ended
		}
	}
	_ = cmd.Wait() // its exit code is looked at
	return cmd.ProcessState.ExitCode(), all.String()
}

func TestReplicaVerification(t *testing.T) {
	fleet := brokertest.StartFleet(t, zktest.Start(t).Addr(), 3, map[string]string{"min.insync.replicas": "1"})
	succeed(t, topics.Command(), fleet.Node(1).Addr(), "--create", "--topic", "orders", "--replica-assignment", "1:2:3,2:3:1")
	succeed(t, topics.Command(), fleet.Node(1).Addr(), "--create", "--topic", "other", "--replica-assignment", "3")
	l := startLoad(t, fleet.Addrs(), "orders", 2)
	testkit.Eventually(t, time.Minute, "records", func() bool { return l.history.Acknowledged() > 2000 })
	// While records come in, and after.
	verify := func(until string, args ...string) string {
		t.Helper()
		return verifyUntil(t, strings.Join(fleet.Addrs(), ","), until, args...)
	}
	if out := verify(`max lag is \d+ for partition \S+ at offset [1-9]\d* among 3 partitions`, "--time", "-2"); strings.Contains(out, "match") {
		t.Errorf("said\n%s", out)
	}
	l.end()
	if out := verify(`max lag is 0 for partition orders-0 at offset [1-9]\d* among 2 partitions`, "--time", "-2", "--topics-include", "orders"); strings.Contains(out, "match") {
		t.Errorf("said\n%s", out)
	}
	// A bit changes on the disk of a broker that is down.
	fleet.Node(3).Stop()
	file := filepath.Join(fleet.Node(3).Dir(), "orders-1", "00000000000000000000.log")
	log, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	log[len(log)/2] ^= 1
	if err := os.WriteFile(file, log, 0o600); err != nil {
		t.Fatal(err)
	}
	fleet.Node(3).Start()
	verify(`partition orders-1 has unmatched checksum at offset \d+; replica 1's checksum \d+; replica 3's checksum \d+`, "--time", "-2", "--topics-include", "orders")
}

// verifyUntil runs kafka-replica-verification until it says something, and returns all it has said.
func verifyUntil(t *testing.T, brokers, until string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w := &watched{until: regexp.MustCompile(until), found: cancel}
	app := &cli.App{Writer: w, ErrWriter: &w.other, ExitErrHandler: func(*cli.Context, error) {}, Commands: []*cli.Command{VerifyReplicasCommand()}}
	_ = app.RunContext(ctx, slices.Concat([]string{"kraal", "replica-verification", "--broker-list", brokers, "--report-interval-ms", "100", "--max-wait-ms", "100"}, args))
	if !w.until.Match(w.all.Bytes()) {
		t.Errorf("not said: %s\n%s%s", until, &w.all, &w.other)
	}
	return w.all.String()
}

// watched keeps what is written and says when it holds something.
type watched struct {
	all, other bytes.Buffer
	until      *regexp.Regexp
	found      func()
}

func (w *watched) Write(p []byte) (int, error) {
	w.all.Write(p)
	if w.until.Match(w.all.Bytes()) {
		w.found()
	}
	return len(p), nil
}
