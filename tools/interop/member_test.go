//go:build interop

package interop

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/tools/testkit"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// member is one place in a cluster: an id, a port and log directories, taken by one program at a time.
type member struct {
	t        *testing.T
	id       meta.BrokerID
	dir      string
	addr     string
	programs map[string][]string // by name: the command, up to the properties file
	z        *zkstore.Store

	name   string // of the program that runs
	starts int
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
}

// log4j has Apache Kafka say what worries it, and all that its log layer does.
const log4j = `log4j.rootLogger=WARN,out
log4j.logger.kafka.log=INFO
log4j.logger.org.apache.kafka.storage=INFO
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %m (%c)%n
`

// newMember is a place for one broker that is alone unless the properties say otherwise.
func newMember(t *testing.T, zookeeper, jars string, id meta.BrokerID, properties string) *member {
	t.Helper()
	dir := t.TempDir()
	port := brokertest.FreePort(t)
	m := &member{t: t, id: id, dir: dir, addr: fmt.Sprintf("127.0.0.1:%d", port), programs: map[string][]string{
		"kraal": {brokertest.Binary(t), "server"},
		"apache": {"java", "-Xmx512m", "-XX:+UseSerialGC", "-Dlog4j.configuration=file:" + filepath.Join(dir, "log4j.properties"),
			"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", reload4jFirst(t, jars), "kafka.Kafka"},
	}}
	properties = fmt.Sprintf(`broker.id=%d
zookeeper.connect=%s
zookeeper.session.timeout.ms=4000
listeners=PLAINTEXT://%s
log.dirs=%s
log.segment.bytes=300000
log.index.interval.bytes=512
log.cleaner.backoff.ms=500
%s`, id, zookeeper, m.addr, m.data(), properties)
	for name, content := range map[string]string{"server.properties": properties, "log4j.properties": log4j} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := zkstore.Connect(t.Context(), zkstore.Options{Connect: zookeeper, SessionTimeout: 30 * time.Second, ConnectTimeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	m.z = zkstore.New(s)
	t.Cleanup(func() {
		if t.Failed() && m.cmd != nil {
			t.Logf("the last words of %s:\n%s", m.name, m.said())
		}
		m.end(syscall.SIGKILL)
	})
	return m
}

// reload4jFirst is the class path of jars, with the one of two logging libraries in front that the settings are for.
func reload4jFirst(t *testing.T, jars string) string {
	t.Helper()
	first, _ := filepath.Glob(filepath.Join(jars, "slf4j-reload4j-*.jar"))
	if core, _ := filepath.Glob(filepath.Join(jars, "kafka_2.13-*.jar")); len(core) == 0 || len(first) == 0 {
		t.Fatalf("no jars of Apache Kafka's server in %s", jars)
	}
	return first[0] + ":" + jars + "/*"
}

func (m *member) data() string { return filepath.Join(m.dir, "data") }

func (m *member) output() string {
	return filepath.Join(m.dir, fmt.Sprintf("%s-%d.out", m.name, m.starts))
}

// start runs a program on the directories and returns when every partition of the topics has a leader as it sees it.
func (m *member) start(program string, topics ...string) {
	m.t.Helper()
	m.launch(program)
	m.await(topics...)
}

// launch runs a program and does not wait for it.
func (m *member) launch(program string) {
	m.t.Helper()
	m.name, m.starts = program, m.starts+1
	out, err := os.Create(m.output())
	if err != nil {
		m.t.Fatal(err)
	}
	defer out.Close()
	command := m.programs[program]
	cmd := exec.Command(command[0], append(command[1:len(command):len(command)], filepath.Join(m.dir, "server.properties"))...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	exited := make(chan struct{})
	m.cmd, m.exited = cmd, exited
	go func() { // ends with the process
		_ = cmd.Wait()
		close(exited)
	}()
}

// await returns when the program serves.
func (m *member) await(topics ...string) {
	m.t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(m.addr), kgo.MetadataMinAge(10*time.Millisecond), kgo.RequestRetries(0))
	if err != nil {
		m.t.Fatal(err)
	}
	defer c.Close()
	testkit.Eventually(m.t, 2*time.Minute, m.name+" serves", func() bool {
		select {
		case <-m.exited:
			m.t.Fatalf("%s has ended:\n%s", m.name, m.said())
		default:
		}
		return leads(m.t, c, topics)
	})
}

// leads reports whether the broker, and not another one of its cluster, answers that every partition of the topics has a leader.
func leads(t *testing.T, c *kgo.Client, topics []string) bool {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	for _, topic := range topics {
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: kmsg.StringPtr(topic)})
	}
	answer, err := c.SeedBrokers()[0].Request(ctx, req)
	if err != nil {
		return false
	}
	told := answer.(*kmsg.MetadataResponse)
	for _, topic := range told.Topics {
		if topic.ErrorCode != 0 || len(topic.Partitions) == 0 {
			return false
		}
		for _, p := range topic.Partitions {
			if p.ErrorCode != 0 || p.Leader < 0 {
				return false
			}
		}
	}
	return len(told.Brokers) > 0 && len(told.Topics) == len(topics)
}

func (m *member) pause()  { _ = m.cmd.Process.Signal(syscall.SIGSTOP) }
func (m *member) resume() { _ = m.cmd.Process.Signal(syscall.SIGCONT) }

// stop ends the program in order, kill at once; both return when ZooKeeper has taken the broker off the register, since
// Apache's does not start before.
func (m *member) stop() { m.t.Helper(); m.end(syscall.SIGTERM); m.awaitGone() }
func (m *member) kill() { m.t.Helper(); m.end(syscall.SIGKILL); m.awaitGone() }

func (m *member) end(s syscall.Signal) {
	if m.cmd == nil {
		return
	}
	_ = m.cmd.Process.Signal(s) // it may have ended by itself
	select {
	case <-m.exited:
	case <-time.After(2 * time.Minute):
		m.t.Errorf("%s does not end", m.name)
		_ = m.cmd.Process.Kill()
		<-m.exited
	}
	m.cmd = nil
}

func (m *member) awaitGone() {
	m.t.Helper()
	testkit.Eventually(m.t, time.Minute, "the broker is off the register", func() bool {
		live, _, err := m.z.Brokers(m.t.Context())
		_, there := live[m.id]
		return err == nil && !there
	})
}

// said is the end of what the program has written.
func (m *member) said() []byte {
	b, _ := os.ReadFile(m.output())
	return tail(b)
}

// complaints are the lines in which the program, when it runs on what the other has left, says that something is wrong with
// the log directory, or has to be recovered after a clean stop.
func (m *member) complaints(clean bool) []string {
	b, err := os.ReadFile(m.output())
	if err != nil {
		m.t.Fatal(err)
	}
	words := []string{"corrupt", "could not find offset index", "invalid", "mismatch"}
	if clean {
		words = append(words, "recovering unflushed segment", "recovering segment")
	}
	var found []string
	for line := range bytes.SplitSeq(b, []byte("\n")) {
		low := strings.ToLower(string(line))
		if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(low, w) }) {
			found = append(found, string(line))
		}
	}
	return found
}
