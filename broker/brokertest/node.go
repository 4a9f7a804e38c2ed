package brokertest

import (
	"context"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kraal-mq/kraal/broker"
	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// startTimeout is how long a broker may take to serve. Machines that run tests are busy.
const startTimeout = 60 * time.Second

// Node is a broker in this process.
type Node struct {
	t       testing.TB
	props   map[string]string
	broker  *broker.Broker
	Metrics *prometheus.Registry

	cancel context.CancelFunc
	done   chan error // the result of Run; sent once, capacity 1
}

// defaults are the properties of a broker for a test.
func defaults(t testing.TB, zookeeper string, props map[string]string) map[string]string {
	all := map[string]string{
		"broker.id": "1", "zookeeper.connect": zookeeper, "zookeeper.session.timeout.ms": "6000",
		"listeners": "PLAINTEXT://127.0.0.1:0", "log.dirs": t.TempDir(),
		"offsets.topic.replication.factor": "1", "transaction.state.log.replication.factor": "1", "transaction.state.log.min.isr": "1",
		"controlled.shutdown.retry.backoff.ms": "200",
	}
	maps.Copy(all, props)
	return all
}

// Refused runs a broker that is expected not to start, and returns why it did not. Nil means that it started; it is stopped then.
func Refused(t testing.TB, zookeeper string, props map[string]string) error {
	t.Helper()
	static, _, err := config.FromMap(defaults(t, zookeeper, props))
	if err != nil {
		return err
	}
	logging, err := broker.NewLogging(logWriter(t), "console", level())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	return broker.New(broker.Options{Config: static, Version: "test", Logging: logging, Metrics: prometheus.NewRegistry(),
		Ready: func(*broker.Broker) { cancel() }}).Run(ctx)
}

// Start runs a broker with the given properties over sensible ones for a test, and stops it when the test ends.
func Start(t testing.TB, zookeeper string, props map[string]string) *Node {
	t.Helper()
	n := &Node{t: t, props: defaults(t, zookeeper, props)}
	t.Cleanup(n.Stop)
	n.Start()
	return n
}

// Start runs the broker again after Stop, on the same directories.
func (n *Node) Start() {
	n.t.Helper()
	n.await(n.launch())
}

// launch runs the broker without waiting for it. What it returns is sent the broker when it serves.
func (n *Node) launch() <-chan *broker.Broker {
	n.t.Helper()
	static, _, err := config.FromMap(n.props)
	if err != nil {
		n.t.Fatalf("broker properties: %v", err)
	}
	logging, err := broker.NewLogging(logWriter(n.t), "console", level())
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan *broker.Broker, 1)
	n.Metrics = prometheus.NewRegistry()
	b := broker.New(broker.Options{Config: static, Version: "test", Logging: logging, Metrics: n.Metrics, Ready: func(b *broker.Broker) { ready <- b }})
	n.cancel, n.done = cancel, make(chan error, 1)
	done := n.done
	go func() { done <- b.Run(ctx) }()
	return ready
}

// await waits until a launched broker serves.
func (n *Node) await(ready <-chan *broker.Broker) {
	n.t.Helper()
	select {
	case n.broker = <-ready:
	case err := <-n.done:
		n.cancel()
		n.cancel = nil
		n.t.Fatalf("broker did not start: %v", err)
	case <-time.After(startTimeout):
		n.t.Fatal("broker did not start in time")
	}
}

// Stop ends the broker as SIGTERM does and waits for it. A stopped broker stays stopped.
func (n *Node) Stop() {
	n.t.Helper()
	if n.cancel == nil {
		return
	}
	n.cancel()
	n.cancel = nil
	select {
	case err := <-n.done:
		if err != nil {
			n.t.Errorf("broker stopped with: %v", err)
		}
	case <-time.After(startTimeout):
		n.t.Fatal("broker did not stop in time")
	}
}

// Addr is where clients connect.
func (n *Node) Addr() string { return n.ListenerAddr("PLAINTEXT") }

// ListenerAddr is where a listener accepts connections.
func (n *Node) ListenerAddr(listener string) string { return n.broker.Addr(listener).String() }

// HTTPAddr is where /metrics and /healthz are, given kraal.http.listen.
func (n *Node) HTTPAddr() string { return n.broker.HTTPAddr().String() }

// SessionID is the broker's present ZooKeeper session.
func (n *Node) SessionID() int64 { return n.broker.SessionID() }

// BrokerEpoch is the epoch of the broker's last registration.
func (n *Node) BrokerEpoch() meta.BrokerEpoch { return n.broker.BrokerEpoch() }

// Dir is the (first) log directory.
func (n *Node) Dir() string {
	first, _, _ := strings.Cut(n.props["log.dirs"], ",")
	return first
}

// Set changes a property for the next Start.
func (n *Node) Set(key, value string) { n.props[key] = value }

// level is how much brokers say in tests: warnings, or what KRAAL_TEST_LOG asks for.
func level() string {
	if l := os.Getenv("KRAAL_TEST_LOG"); l != "" {
		return l
	}
	return "WARN"
}

// testLog writes a broker's log lines to the test's.
type testLog struct{ t testing.TB }

func logWriter(t testing.TB) testLog { return testLog{t} }

func (l testLog) Write(p []byte) (int, error) {
	fmt.Fprintf(l.t.Output(), "%s", p)
	return len(p), nil
}
