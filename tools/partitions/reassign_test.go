package partitions

import (
	"context"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

const throttledOrders = `orders leader.replication.throttled.replicas=0:1,1:1
orders follower.replication.throttled.replicas=0:2,1:3
1 leader.replication.throttled.rate=5000
1 follower.replication.throttled.rate=5000
2 leader.replication.throttled.rate=5000
2 follower.replication.throttled.rate=5000
3 leader.replication.throttled.rate=5000
3 follower.replication.throttled.rate=5000
`

func TestExecuteThrottles(t *testing.T) {
	f := newFakeFleet(t)
	stdout, stderr, code := f.run(t, "--execute", "--reassignment-json-file", planOf(t, "orders", 2, 3), "--throttle", "5000")
	want := `Current partition replica assignment

{"version":1,"partitions":[{"topic":"orders","partition":0,"replicas":[1],"log_dirs":["any"]},{"topic":"orders","partition":1,"replicas":[1],"log_dirs":["any"]}]}

Save this to use as the --reassignment-json-file option during rollback
Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed.
The inter-broker throttle limit was set to 5000 B/s
Successfully started partition reassignments for orders-0,orders-1
`
	if stdout != want || stderr != "" || code != 0 {
		t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
	if got := f.configs(); got != throttledOrders {
		t.Errorf("configured\n%s", got)
	}
	// Something is under way now: not another one, unless that is wanted.
	stdout, _, code = f.run(t, "--execute", "--reassignment-json-file", planOf(t, "pay", 2))
	if code != 1 || !strings.HasPrefix(stdout, "Cannot execute because there is an existing partition assignment.  Use --additional") {
		t.Errorf("exit code %d, %s", code, stdout)
	}
	stdout, _, code = f.run(t, "--execute", "--reassignment-json-file", planOf(t, "orders", 2, 3), "--additional", "--throttle", "7000")
	if code != 0 || !strings.Contains(stdout, "was set to 7000 B/s\nSuccessfully started") {
		t.Errorf("exit code %d, %s", code, stdout)
	}
	if got, want := f.configs(), strings.ReplaceAll(throttledOrders, "5000", "7000"); got != want {
		t.Errorf("configured\n%s", got)
	}
}

// Whatever keeps a reassignment from beginning, its throttles do not stay, and what was configured before does.
func TestThrottlesGoIfNothingMoves(t *testing.T) {
	const invalidAssignment, invalidConfig = 39, 40
	for _, c := range []struct {
		what    string
		spoil   func(*fakeFleet)
		args    []string
		stdout  string
		replace bool // the throttles stay
	}{
		{"refused", func(f *fakeFleet) {
			f.alter = func(meta.TopicPartition) int16 { return invalidAssignment }
		}, nil, "Error reassigning partition(s):\norders-0: No.\norders-1: No.\n", false},
		{"refused, log directories too", func(f *fakeFleet) {
			f.alter = func(meta.TopicPartition) int16 { return invalidAssignment }
		}, []string{"--replica-alter-log-dirs-throttle", "6000"}, "Error reassigning partition(s):\n", false},
		{"refused in part", func(f *fakeFleet) {
			f.alter = func(p meta.TopicPartition) int16 { return invalidAssignment * int16(p.Partition) }
		}, nil, "Error reassigning partition(s):\norders-1: No.\n", true},
		{"no answer", func(f *fakeFleet) {
			f.alter = func(meta.TopicPartition) int16 { return -1 }
		}, nil, "Error reassigning partition(s):\norders-0: Call(callName=alterPartitionReassignments, deadlineMs=", true},
		{"a broker that cannot be throttled", func(f *fakeFleet) {
			refused := false
			f.configure = func(r resource) int16 {
				if r == brokerResource(3) && !refused {
					refused = true
					return invalidConfig
				}
				return 0
			}
		}, nil, "Error: org.apache.kafka.common.errors.InvalidConfigurationException: ", false},
	} {
		t.Run(c.what, func(t *testing.T) {
			f := newFakeFleet(t)
			f.set(topicResource("orders"), leaderReplicas, "*")
			f.set(brokerResource(2), followerRate, "1")
			want := f.configs()
			if c.replace {
				want = throttledOrders
			}
			c.spoil(f)
			args := append([]string{"--execute", "--reassignment-json-file", planOf(t, "orders", 2, 3), "--throttle", "5000"}, c.args...)
			stdout, stderr, code := f.run(t, args...)
			if code != 1 || !strings.Contains(stdout, c.stdout) {
				t.Errorf("exit code %d\n%s", code, stdout)
			}
			if got := f.configs(); got != want {
				t.Errorf("configured\n%s\nwant\n%s", got, want)
			}
			if said := strings.Contains(stderr, "its throttles are removed again"); said == c.replace {
				t.Errorf("stderr %q", stderr)
			}
		})
	}
}

// A SIGINT while the throttles are being set.
func TestThrottlesGoIfInterrupted(t *testing.T) {
	f := newFakeFleet(t)
	f.set(brokerResource(2), followerRate, "1")
	before := f.configs()
	ctx, interrupt := context.WithCancel(t.Context())
	f.configure = func(r resource) int16 {
		if r == brokerResource(2) {
			interrupt()
		}
		return 0
	}
	stdout, stderr, code := f.runUntil(t, ctx, "--execute", "--reassignment-json-file", planOf(t, "orders", 2, 3), "--throttle", "5000")
	if code != 130 || strings.Contains(stdout, "was set") || !strings.Contains(stderr, "its throttles are removed again") {
		t.Errorf("exit code %d, %s, %s", code, stdout, stderr)
	}
	if got := f.configs(); got != before {
		t.Errorf("configured\n%s\nwant\n%s", got, before)
	}
	if len(f.mu.moving) > 0 {
		t.Errorf("%v is moving", f.mu.moving)
	}
}

func TestReplicationFactorMayNotChange(t *testing.T) {
	f := newFakeFleet(t)
	grow := writeFile(t, "plan.json", `{"partitions":[{"topic":"orders","partition":0,"replicas":[1,2]},{"topic":"orders","partition":1,"replicas":[2]}]}`)
	stdout, _, code := f.run(t, "--execute", "--reassignment-json-file", grow, "--throttle", "5000", "--disallow-replication-factor-change")
	if want := "Error reassigning partition(s):\norders-0: The replication factor is changed from 1 to 2\n"; code != 1 || !strings.HasSuffix(stdout, want) {
		t.Errorf("exit code %d, %s", code, stdout)
	}
	if len(f.mu.moving) > 0 || f.configs() != "" {
		t.Errorf("%v is moving, configured %s", f.mu.moving, f.configs())
	}
	if stdout, _, code := f.run(t, "--execute", "--reassignment-json-file", planOf(t, "orders", 2), "--disallow-replication-factor-change"); code != 0 {
		t.Errorf("exit code %d, %s", code, stdout)
	}
}

func dirPlan(t *testing.T) string {
	return writeFile(t, "plan.json", `{"partitions":[{"topic":"orders","partition":0,"replicas":[2],"log_dirs":["/x"]},`+
		`{"topic":"orders","partition":1,"replicas":[2],"log_dirs":["/y"]}]}`)
}

func TestMovesBetweenLogDirs(t *testing.T) {
	const replicaNotAvailable, logDirNotFound = 9, 57
	const dirThrottle = "2 replica.alter.log.dirs.io.max.bytes.per.second=6000\n"
	start := func(f *fakeFleet) (string, int) {
		stdout, _, code := f.run(t, "--execute", "--reassignment-json-file", dirPlan(t), "--timeout", "300", "--replica-alter-log-dirs-throttle", "6000")
		return stdout, code
	}
	// The second replica is not on its broker yet when the tool asks first.
	f := newFakeFleet(t)
	asked := 0
	f.logDirs = func(p meta.TopicPartition) int16 {
		if asked++; p.Partition == 1 && asked < 4 {
			return replicaNotAvailable
		}
		return 0
	}
	stdout, code := start(f)
	want := "The replica-alter-dir throttle limit was set to 6000 B/s\nSuccessfully started partition reassignments for orders-0,orders-1\n" +
		"Successfully started moving log directory to /x for replica orders-0 with broker 2 \n" +
		"Successfully started moving log directory to /y for replica orders-1 with broker 2 \n"
	if code != 0 || !strings.HasSuffix(stdout, want) || f.configs() != dirThrottle {
		t.Errorf("exit code %d, configured %s\n%s", code, f.configs(), stdout)
	}

	f = newFakeFleet(t)
	f.logDirs = func(p meta.TopicPartition) int16 { return replicaNotAvailable * int16(p.Partition) }
	stdout, code = start(f)
	if want := "Timed out before log directory move could be started for: orders-1-2\n"; code != 1 || !strings.HasSuffix(stdout, want) || f.configs() != dirThrottle {
		t.Errorf("one late: exit code %d, configured %s\n%s", code, f.configs(), stdout)
	}

	f = newFakeFleet(t)
	f.logDirs = func(meta.TopicPartition) int16 { return replicaNotAvailable }
	stdout, code = start(f)
	if want := "Timed out before log directory moves could be started for: orders-0-2,orders-1-2\n"; code != 1 || !strings.HasSuffix(stdout, want) || f.configs() != "" {
		t.Errorf("both late: exit code %d, configured %s\n%s", code, f.configs(), stdout)
	}

	f = newFakeFleet(t)
	f.logDirs = func(meta.TopicPartition) int16 { return logDirNotFound }
	stdout, code = start(f)
	if want := "Error: Failed to alter dir for orders-0-2\norg.apache.kafka.server.common.AdminCommandFailedException: "; code != 1 || !strings.Contains(stdout, want) || f.configs() != "" {
		t.Errorf("refused: exit code %d, configured %s\n%s", code, f.configs(), stdout)
	}
}

// --verify leaves the throttles while anything moves, and then removes them wherever it can.
func TestVerifyClearsThrottles(t *testing.T) {
	f := newFakeFleet(t)
	plan := planOf(t, "orders", 1, 2)
	f.run(t, "--execute", "--reassignment-json-file", planOf(t, "orders", 1, 3), "--throttle", "5000")
	stdout, _, code := f.run(t, "--verify", "--reassignment-json-file", plan)
	if want := "Status of partition reassignment:\nReassignment of partition orders-0 is still in progress.\n" +
		"Reassignment of partition orders-1 is still in progress.\n\n"; code != 0 || stdout != want {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	clear(f.mu.moving)
	throttled := f.configs()
	stdout, _, code = f.run(t, "--verify", "--reassignment-json-file", plan, "--preserve-throttles")
	status := "Status of partition reassignment:\nReassignment of partition orders-0 is completed.\n" +
		"There is no active reassignment of partition orders-1, but replica set is 1 rather than 2.\n\n"
	if code != 0 || stdout != status || f.configs() != throttled {
		t.Errorf("exit code %d, configured %s\n%s", code, f.configs(), stdout)
	}
	// Broker 2 is gone, broker 1 refuses: both are told, and the others have no throttles any more.
	f.mu.live = []int32{1, 3}
	f.configure = func(r resource) int16 {
		if r == brokerResource(1) {
			return 29 // TOPIC_AUTHORIZATION_FAILED
		}
		return 0
	}
	stdout, _, code = f.run(t, "--verify", "--reassignment-json-file", plan)
	want := status + "Clearing broker-level throttles on brokers 1,2,3\nClearing topic-level throttles on topic orders\n" +
		"Error: org.apache.kafka.common.errors.TopicAuthorizationException: "
	if code != 1 || !strings.HasPrefix(stdout, want) {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	left := "1 leader.replication.throttled.rate=5000\n1 follower.replication.throttled.rate=5000\n"
	if got := f.configs(); got != left {
		t.Errorf("configured\n%s\nwant\n%s", got, left)
	}
	f.configure = func(resource) int16 { return 0 }
	stdout, _, code = f.run(t, "--verify", "--reassignment-json-file", plan)
	if code != 1 || !strings.Contains(stdout, "TimeoutException: Timed out waiting for a node assignment. Call: incrementalAlterConfigs") || f.configs() != "" {
		t.Errorf("exit code %d, configured %s\n%s", code, f.configs(), stdout)
	}
}

func TestVerifyWaitsForLogDirs(t *testing.T) {
	f := newFakeFleet(t)
	plan := writeFile(t, "plan.json", `{"partitions":[{"topic":"orders","partition":0,"replicas":[1],"log_dirs":["/x"]}]}`)
	f.set(brokerResource(1), logDirRate, "6000")
	before := f.configs()
	f.mu.places[tp("orders", 0)] = place{current: "/y", future: "/x"}
	stdout, _, code := f.run(t, "--verify", "--reassignment-json-file", plan)
	if code != 0 || !strings.HasSuffix(stdout, "completed.\nReassignment of replica orders-0-1 is still in progress.\n") || f.configs() != before {
		t.Errorf("exit code %d, configured %s\n%s", code, f.configs(), stdout)
	}
	f.mu.places[tp("orders", 0)] = place{current: "/x"}
	stdout, _, code = f.run(t, "--verify", "--reassignment-json-file", plan)
	if code != 0 || !strings.Contains(stdout, "Reassignment of replica orders-0-1 completed successfully.\nClearing broker-level") || f.configs() != "" {
		t.Errorf("exit code %d, configured %s\n%s", code, f.configs(), stdout)
	}
}

func TestCancel(t *testing.T) {
	f := newFakeFleet(t)
	plan := dirPlan(t)
	stdout, _, code := f.run(t, "--cancel", "--reassignment-json-file", plan, "--preserve-throttles")
	none := "None of the specified partition reassignments are active.\nNone of the specified partition moves are active.\n"
	if code != 0 || stdout != none {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	f.run(t, "--execute", "--reassignment-json-file", planOf(t, "orders", 2, 2), "--throttle", "5000")
	f.mu.places[tp("orders", 1)] = place{current: "/x", future: "/y"}
	stdout, _, code = f.run(t, "--cancel", "--reassignment-json-file", plan)
	if want := `Successfully cancelled partition reassignments for: orders-0,orders-1
Successfully started moving log directory to /x for replica orders-1 with broker 2 
Clearing broker-level throttles on brokers 1,2,3
Clearing topic-level throttles on topic orders
`; code != 0 || stdout != want {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	if len(f.mu.moving) > 0 || f.configs() != "" {
		t.Errorf("%v is moving, configured %s", f.mu.moving, f.configs())
	}
	f.run(t, "--execute", "--reassignment-json-file", planOf(t, "orders", 2))
	f.alter = func(meta.TopicPartition) int16 { return 85 }
	stdout, _, code = f.run(t, "--cancel", "--reassignment-json-file", plan)
	if want := "Error cancelling partition reassignment for:\norders-0: No.\n"; code != 1 || stdout != want {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
}

func TestGenerate(t *testing.T) {
	f := newFakeFleet(t)
	topics := writeFile(t, "topics.json", `{"topics":[{"topic":"orders"}]}`)
	stdout, _, code := f.run(t, "--generate", "--topics-to-move-json-file", topics, "--broker-list", "3")
	if want := `Current partition replica assignment
{"version":1,"partitions":[{"topic":"orders","partition":0,"replicas":[1],"log_dirs":["any"]},{"topic":"orders","partition":1,"replicas":[1],"log_dirs":["any"]}]}

Proposed partition reassignment configuration
{"version":1,"partitions":[{"topic":"orders","partition":0,"replicas":[3],"log_dirs":["any"]},{"topic":"orders","partition":1,"replicas":[3],"log_dirs":["any"]}]}
`; code != 0 || stdout != want {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	stdout, _, code = f.run(t, "--generate", "--topics-to-move-json-file", topics, "--broker-list", "9")
	if want := "Error: Replication factor: 1 larger than available brokers: 0.\norg.apache.kafka.common.errors.InvalidReplicationFactorException: "; code != 1 || !strings.HasPrefix(stdout, want) {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	f.Answer(int16(kmsg.Metadata), func(req kmsg.Request) kmsg.Response {
		resp := f.metadata(req).(*kmsg.MetadataResponse)
		resp.Brokers[0].Rack = kmsg.StringPtr("a")
		return resp
	})
	stdout, _, code = f.run(t, "--generate", "--topics-to-move-json-file", topics, "--broker-list", "1,2")
	if want := "Error: Not all brokers have rack information. Add --disable-rack-aware in command line"; code != 1 || !strings.HasPrefix(stdout, want) {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	if stdout, _, code := f.run(t, "--generate", "--topics-to-move-json-file", topics, "--broker-list", "1,2", "--disable-rack-aware"); code != 0 {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	missing := writeFile(t, "topics.json", `{"topics":[{"topic":"nope"}]}`)
	stdout, _, code = f.run(t, "--generate", "--topics-to-move-json-file", missing, "--broker-list", "1")
	if want := "Error: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: Topic nope not found.\n"; code != 1 || !strings.HasPrefix(stdout, want) {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
}
