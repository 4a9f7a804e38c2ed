//go:build interop

package interop

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// groupPartitions are more than there are members, so that each has some.
const groupPartitions = 24

// stranger is a program that consumes in a group, and prints the value of every record.
type stranger struct {
	name    string
	command func(e *environment, topic, group string) []string
}

// consoleMember is Apache Kafka's console consumer with some settings.
func consoleMember(version string, settings ...string) func(*environment, string, string) []string {
	return func(e *environment, topic, group string) []string {
		j := &java{version: version}
		property := "--command-property"
		if !strings.HasPrefix(version, "4") {
			property = "--consumer-property"
		}
		args := []string{"--topic", topic, "--group", group, "--from-beginning"}
		for _, p := range append(settings, "heartbeat.interval.ms=1000", "auto.commit.interval.ms=1000", "client.id=java-"+version) {
			args = append(args, property, p)
		}
		return j.command(context.Background(), e, "consumer", args...).Args
	}
}

const shortSession = "session.timeout.ms=10000"

func strangers() []stranger {
	script := func(name string) func(*environment, string, string) []string {
		return func(e *environment, topic, group string) []string {
			return []string{debianPython, "testdata/" + name, e.bootstrap, topic, group}
		}
	}
	return []stranger{
		{"java-3.9.1", consoleMember("3.9.1", shortSession)},
		{"kafka-python", script("group_python.py")},
		{"java-4", consoleMember("4", shortSession)},
		{"confluent-kafka", script("group_confluent.py")},
		{"kafkajs", func(e *environment, topic, group string) []string {
			return []string{"node", "testdata/group_kafkajs.js", filepath.Join(e.tools, "node_modules"), e.bootstrap, topic, group}
		}},
		{"kcat", func(e *environment, topic, group string) []string {
			return []string{"kcat", "-b", e.bootstrap, "-u", "-q", "-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=10000", "-X", "client.id=kcat", "-G", group, topic}
		}},
	}
}

// TestGroupOfStrangers has clients of many makes consume in one group, one coming after the other; then one leaves and one is killed. All
// the time every partition is assigned to one of them, and in the end every record has been consumed. KRAAL_HARM may name a command that
// harms the fleet while all are there.
func TestGroupOfStrangers(t *testing.T) {
	e := newEnvironment(t)
	g := newStrangeGroup(t, e)
	produced := g.produce(g.client)
	all := strangers()
	for _, s := range all {
		g.start(s)
		g.settled(s.name + " came")
	}
	if harm := os.Getenv("KRAAL_HARM"); harm != "" {
		out, err := exec.Command("sh", "-c", harm+" "+g.name).CombinedOutput()
		t.Logf("%s: %v %s", harm, err, out)
		g.settled(harm)
	}
	g.end("kafka-python", syscall.SIGTERM)
	g.settled("kafka-python left")
	g.end("java-3.9.1", syscall.SIGKILL)
	g.settled("java-3.9.1 was killed")
	g.start(all[0])
	g.settled("java-3.9.1 came back")
	g.consumed(produced())
	for name := range g.running {
		g.end(name, syscall.SIGTERM)
	}
	g.until("an empty group", func(d kadm.DescribedGroup) bool { return d.State == "Empty" })
}

// TestStaticJava has static, cooperative members of two releases of Java's client. One that dies and comes back within its session gets what
// it had, and the other never notices.
func TestStaticJava(t *testing.T) {
	g := newStrangeGroup(t, newEnvironment(t))
	static := func(version string) stranger {
		return stranger{"java-" + version, consoleMember(version, "session.timeout.ms=60000", "group.instance.id=static-"+version,
			"partition.assignment.strategy=org.apache.kafka.clients.consumer.CooperativeStickyAssignor")}
	}
	produced := g.produce(g.client)
	g.start(static("3.9.1"))
	g.settled("java-3.9.1 came")
	g.start(static("4"))
	before := g.byInstance(g.settled("java-4 came"))
	for _, version := range []string{"3.9.1", "4"} {
		g.end("java-"+version, syscall.SIGKILL)
		g.start(static(version))
		name := "static-" + version
		after := g.byInstance(g.until(name+" is replaced", func(d kadm.DescribedGroup) bool {
			now := g.byInstance(d)
			return d.State == "Stable" && now[name].id != before[name].id
		}))
		for instance, m := range after {
			if m.partitions != before[instance].partitions || instance != name && m.id != before[instance].id {
				t.Errorf("after %s came back %s is %v, and was %v", name, instance, m, before[instance])
			}
		}
		before = after
	}
	g.consumed(produced())
}

type staticMember struct{ id, partitions string }

// byInstance is the static members of a group.
func (g *strangeGroup) byInstance(d kadm.DescribedGroup) map[string]staticMember {
	g.t.Helper()
	members := map[string]staticMember{}
	for _, m := range d.Members {
		if m.InstanceID == nil {
			g.t.Fatalf("%s is not static", m.MemberID)
		}
		c, _ := m.Assigned.AsConsumer()
		members[*m.InstanceID] = staticMember{m.MemberID, fmt.Sprint(c)}
	}
	return members
}

type strangeGroup struct {
	t       *testing.T
	client  *kgo.Client
	e       *environment
	name    string
	topic   string
	admin   *kadm.Client
	running map[string]*exec.Cmd

	mu   sync.Mutex
	seen map[int]int // how often each record was consumed
}

func newStrangeGroup(t *testing.T, e *environment) *strangeGroup {
	t.Helper()
	g := &strangeGroup{t: t, e: e, name: fmt.Sprintf("strangers-%d", time.Now().UnixNano()), running: map[string]*exec.Cmd{}, seen: map[int]int{}}
	c, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(e.bootstrap, ",")...), kgo.RetryTimeout(time.Minute), kgo.RequestRetries(1000))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	g.client, g.admin, g.topic = c, kadm.NewClient(c), g.name
	if _, err := g.admin.CreateTopic(t.Context(), groupPartitions, -1, nil, g.topic); err != nil {
		t.Fatal(err)
	}
	return g
}

// produce writes numbered records until the function it returns is called, which tells how many there are.
func (g *strangeGroup) produce(c *kgo.Client) (stop func() int) {
	ctx, cancel := context.WithCancel(g.t.Context())
	count := make(chan int, 1)
	go func() {
		n := 0
		for tick := time.NewTicker(2 * time.Millisecond); ctx.Err() == nil; n++ {
			<-tick.C
			if err := c.ProduceSync(context.WithoutCancel(ctx), &kgo.Record{Topic: g.topic, Key: fmt.Append(nil, n), Value: fmt.Append(nil, n)}).FirstErr(); err != nil {
				g.t.Errorf("record %d: %v", n, err)
				break
			}
		}
		count <- n
	}()
	return func() int {
		cancel()
		return <-count
	}
}

func (g *strangeGroup) start(s stranger) {
	g.t.Helper()
	args := s.command(g.e, g.topic, g.name)
	cmd := exec.Command(args[0], args[1:]...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	errs, err := os.Create(filepath.Join(g.e.dir, s.name+".err"))
	if err != nil {
		g.t.Fatal(err)
	}
	cmd.Stderr = errs
	if err := cmd.Start(); err != nil {
		g.t.Fatalf("%s: %v", s.name, err)
	}
	g.running[s.name] = cmd
	g.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		errs.Close()
		if said, err := os.ReadFile(errs.Name()); err == nil && len(said) > 0 && g.t.Failed() {
			g.t.Logf("%s said: %s", s.name, tail(said))
		}
	})
	go func() { // ends with the process
		defer out.Close()
		for lines := bufio.NewScanner(out); lines.Scan(); {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				continue // programs have more to say
			}
			g.mu.Lock()
			g.seen[n]++
			g.mu.Unlock()
		}
	}()
}

func (g *strangeGroup) end(name string, how syscall.Signal) {
	g.t.Helper()
	cmd := g.running[name]
	delete(g.running, name)
	if err := cmd.Process.Signal(how); err != nil {
		g.t.Errorf("%s: %v", name, err)
	}
	_ = cmd.Wait()
}

// settled waits until the group is stable, with the members that run, each with partitions of its own.
func (g *strangeGroup) settled(when string) kadm.DescribedGroup {
	g.t.Helper()
	began := time.Now()
	d := g.until(when, func(d kadm.DescribedGroup) bool {
		if d.State != "Stable" || len(d.Members) != len(g.running) {
			return false
		}
		assigned := 0
		for _, m := range d.Members {
			c, ok := m.Assigned.AsConsumer()
			if !ok || len(c.Topics) != 1 {
				return false
			}
			assigned += len(c.Topics[0].Partitions)
		}
		return assigned == groupPartitions
	})
	owner := map[int32]string{}
	var names string
	for _, m := range d.Members {
		c, _ := m.Assigned.AsConsumer()
		for _, p := range c.Topics[0].Partitions {
			if owner[p] != "" {
				g.t.Errorf("%s: partition %d is assigned to %s and %s", when, p, owner[p], m.ClientID)
			}
			owner[p] = m.ClientID
		}
		names += " " + m.ClientID
	}
	g.t.Logf("%s: settled after %v:%s, protocol %s", when, time.Since(began).Round(time.Millisecond), names, d.Protocol)
	return d
}

// until describes the group until it is as it should be.
func (g *strangeGroup) until(what string, is func(kadm.DescribedGroup) bool) kadm.DescribedGroup {
	g.t.Helper()
	var last kadm.DescribedGroup
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		described, err := g.admin.DescribeGroups(g.t.Context(), g.name)
		if err != nil {
			continue
		}
		if last = described[g.name]; last.Err == nil && is(last) {
			return last
		}
	}
	for name, cmd := range g.running {
		if err := cmd.Process.Signal(syscall.Signal(0)); errors.Is(err, os.ErrProcessDone) {
			g.t.Errorf("%s has ended", name)
		}
	}
	g.t.Fatalf("%s: the group is %s with %d members", what, last.State, len(last.Members))
	return last
}

// consumed waits until every record has been seen.
func (g *strangeGroup) consumed(n int) {
	g.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		g.mu.Lock()
		missing, again := n-len(g.seen), -len(g.seen)
		for _, times := range g.seen {
			again += times
		}
		g.mu.Unlock()
		if missing == 0 {
			g.t.Logf("all %d records were consumed, %d times one again", n, again)
			return
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("%d of %d records were never consumed", missing, n)
		}
	}
}
