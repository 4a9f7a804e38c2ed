package broker_test

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// exchange is a request that was sent to Apache Kafka 3.9.1 and what came back; see testdata/golden/README.md.
type exchange struct {
	Seq        int
	Step       string
	Case       string
	Conn       int
	Listener   string
	From, To   string
	API        string
	Key        int16
	Version    int16
	Request    []byte
	Response   []byte // nil: no answer
	Closed     bool   // instead of an answer
	Unanswered bool
}

func (e *exchange) String() string { return fmt.Sprintf("%d %s: %s", e.Seq, e.API, e.Case) }

// recorded reads testdata/golden/<name>.jsonl.gz.
func recorded(t *testing.T, name string) []exchange {
	t.Helper()
	f, err := os.Open("testdata/golden/" + name + ".jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all []exchange
	for d := json.NewDecoder(unzipped); ; {
		var e exchange
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if e.Step == "" {
			all = append(all, e)
		}
	}
}

// TestGoldenBare replays what one broker without authorizer, auto creation and room for fetch sessions was asked.
func TestGoldenBare(t *testing.T) {
	t.Parallel()
	node := brokertest.Start(t, zktest.Start(t).Addr(), map[string]string{
		"auto.create.topics.enable": "false", "delete.topic.enable": "false", "max.incremental.fetch.session.cache.slots": "0"})
	newReplay(t, map[string]string{"broker 1": node.Addr()}, bareRules()).run(recorded(t, "client-bare"))
}

// TestGoldenClient replays what three brokers were asked: every request in every version, and the usual mistakes.
func TestGoldenClient(t *testing.T) { testGoldenClient(t, "zookeeper", offsetsInOnePlace()) }

// TestGoldenClientOffsetsInKafka does so of brokers that keep offsets where Kafka does.
func TestGoldenClientOffsetsInKafka(t *testing.T) { testGoldenClient(t, "kafka", nil) }

func testGoldenClient(t *testing.T, offsetsStorage string, allowed []*allowance) {
	t.Parallel()
	zk := zktest.Start(t)
	addrs, dirs := map[string]string{}, map[string]string{}
	for _, id := range []string{"1", "2", "3"} {
		x, y := t.TempDir(), t.TempDir()
		dirs["/srv/kf/clients/"+id+"/x"], dirs["/srv/kf/clients/"+id+"/y"] = x, y
		node := brokertest.Start(t, zk.Addr(), map[string]string{
			"broker.id": id, "offsets.storage": offsetsStorage, "listeners": "CLIENT://127.0.0.1:0,INTER://127.0.0.1:0", "inter.broker.listener.name": "INTER",
			"listener.security.protocol.map":   "CLIENT:PLAINTEXT,INTER:PLAINTEXT,SASL:SASL_PLAINTEXT",
			"log.dirs":                         x + "," + y,
			"delegation.token.secret.key":      "golden",
			"offsets.topic.replication.factor": "3", "transaction.state.log.replication.factor": "3", "transaction.state.log.min.isr": "2",
			"offsets.topic.num.partitions": "3", "transaction.state.log.num.partitions": "3",
			"group.initial.rebalance.delay.ms": "0", "auto.leader.rebalance.enable": "false", "replica.lag.time.max.ms": "60000", // a busy machine must not cost in-sync replicas

			"group.min.session.timeout.ms": "1000", "log.cleaner.dedupe.buffer.size": "8388608",
			"num.network.threads": "2", "num.io.threads": "4", "transaction.max.timeout.ms": "60000", "group.max.size": "2",
			"sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256", "zookeeper.session.timeout.ms": "9000",
			"controlled.shutdown.enable": "false", "num.partitions": "1", "default.replication.factor": "3", "auto.create.topics.enable": "true",
		})
		addrs["broker "+id] = node.ListenerAddr("CLIENT")
	}
	r := clientRules()
	r.allowed = append(r.allowed, allowed...)
	p := newReplay(t, addrs, r)
	p.dirs = dirs
	p.run(recorded(t, "client"))
}
