//go:build interop

package interop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const partitions = 4

var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// A client sends and reads. Errors say what the client had to say.
type client struct {
	name   string
	limits limits
	codecs []string // that it can send; nil: all
	reads  []string // codecs that it can read; nil: all
	// missing says why it cannot be used here, or nothing.
	missing func(e *environment) string
	// produce sends records in order, and waits until all are acknowledged.
	produce func(ctx context.Context, e *environment, topic, codec string, records []record) error
	// consume reads count records of all partitions, from the beginning.
	consume func(ctx context.Context, e *environment, topic string, count int) ([]placed, error)
}

// environment is where the tests run.
type environment struct {
	bootstrap string
	zookeeper string // empty: not known
	records   int
	dir       string // for exchange files
	tools     string // where run.sh has put programs that are not the system's
}

func newEnvironment(t *testing.T) *environment {
	t.Helper()
	e := &environment{bootstrap: os.Getenv("KRAAL_BOOTSTRAP"), zookeeper: os.Getenv("KRAAL_ZOOKEEPER"), records: 100_000, dir: t.TempDir(),
		tools: os.Getenv("KRAAL_INTEROP_TOOLS")}
	if e.bootstrap == "" {
		t.Fatal("KRAAL_BOOTSTRAP names no broker")
	}
	if n, err := strconv.Atoi(os.Getenv("KRAAL_RECORDS")); err == nil && n >= 1000 {
		e.records = n
	}
	return e
}

func clients() []client {
	return []client{franz(), saramaClient(), kcat(), kafkaPython(), confluentPython(), kafkaNode(), javaConsole("3.9.1"), javaConsole("4")}
}

// TestClients has each client send a data set and read it back.
func TestClients(t *testing.T) {
	e := newEnvironment(t)
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			c.require(t, e)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			topic := newTopic(t, e)
			c.send(ctx, t, e, topic, c.limits)
			got, err := c.consume(ctx, e, topic, e.records)
			if err != nil {
				t.Fatalf("consume: %v", err)
			}
			verify(t, got, e.records, c.limits)
			// A client may fool itself; franz-go has to see the same.
			got, err = franz().consume(ctx, e, topic, e.records)
			if err != nil {
				t.Fatalf("franz-go: %v", err)
			}
			verify(t, got, e.records, c.limits)
		})
	}
}

// TestReadingFranz has each client read what franz-go has sent with all the codecs that the client knows.
func TestReadingFranz(t *testing.T) {
	e := newEnvironment(t)
	written := map[string]string{}
	for _, c := range clients()[1:] {
		t.Run(c.name, func(t *testing.T) {
			c.require(t, e)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			l := limits{text: true, noHeaders: c.limits.noHeaders, small: c.limits.small}
			writer := franz()
			if l.small {
				writer = franzWith(kgo.ProducerBatchMaxBytes(60_000))
			}
			writer.codecs = c.reads
			kind := fmt.Sprint(l, c.reads)
			if written[kind] == "" {
				topic := newTopic(t, e)
				writer.send(ctx, t, e, topic, l)
				written[kind] = topic
			}
			got, err := c.consume(ctx, e, written[kind], e.records)
			if err != nil {
				t.Fatalf("consume: %v", err)
			}
			verify(t, got, e.records, l)
		})
	}
}

// send produces a data set, a stretch with each codec.
func (c client) send(ctx context.Context, t *testing.T, e *environment, topic string, l limits) {
	t.Helper()
	use := c.codecs
	if use == nil {
		use = codecs
	}
	next := 0
	for n, codec := range use {
		var records []record
		for ; next < e.records*(n+1)/len(use); next++ {
			records = append(records, generate(next, l))
		}
		if err := c.produce(ctx, e, topic, codec, records); err != nil {
			t.Fatalf("produce with %s: %v", codec, err)
		}
	}
}

func (c client) require(t *testing.T, e *environment) {
	t.Helper()
	if c.missing == nil {
		return
	}
	if why := c.missing(e); why != "" && os.Getenv("CI") == "true" {
		t.Fatalf("%s cannot be tested: %s", c.name, why)
	} else if why != "" {
		t.Skipf("*** %s IS NOT TESTED: %s", c.name, why)
	}
}

// newTopic makes a topic that lives as long as the whole test.
func newTopic(t *testing.T, e *environment) string {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(e.bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	topic := fmt.Sprintf("interop-%s-%d", filepath.Base(t.Name()), time.Now().UnixNano())
	admin := kadm.NewClient(c)
	if _, err := admin.CreateTopic(t.Context(), partitions, 1, nil, topic); err != nil {
		t.Fatalf("create %s: %v", topic, err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		m, err := admin.Metadata(t.Context(), topic)
		if err == nil && !slices.ContainsFunc(m.Topics[topic].Partitions.Sorted(), func(p kadm.PartitionDetail) bool { return p.Err != nil || p.Leader < 0 }) &&
			len(m.Topics[topic].Partitions) == partitions {
			return topic
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s has no leaders: %v, %v", topic, m, err)
		}
	}
}

// produceFile writes records for a program to send.
func (e *environment) produceFile(records []record) (string, error) {
	var b []byte
	for _, r := range records {
		b = r.write(b)
	}
	f, err := os.CreateTemp(e.dir, "produce")
	if err != nil {
		return "", err
	}
	_, err = f.Write(b)
	return f.Name(), errors.Join(err, f.Close())
}

// program runs a program with the exchange format and tells what it printed if it fails.
func program(ctx context.Context, dir string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, tail(out))
	}
	return nil
}

func tail(out []byte) []byte { return out[max(0, len(out)-4000):] }

// exchange is a client in another language: a program that is called with produce or consume.
func exchange(c client, command func(e *environment) []string) client {
	run := func(ctx context.Context, e *environment, args ...string) error {
		words := append(command(e), args...)
		return program(ctx, "", words[0], words[1:]...)
	}
	c.produce = func(ctx context.Context, e *environment, topic, codec string, records []record) error {
		file, err := e.produceFile(records)
		if err != nil {
			return err
		}
		defer os.Remove(file)
		return run(ctx, e, "produce", topic, fmt.Sprint(partitions), codec, file)
	}
	c.consume = func(ctx context.Context, e *environment, topic string, count int) ([]placed, error) {
		file := filepath.Join(e.dir, "consumed")
		defer os.Remove(file)
		if err := run(ctx, e, "consume", topic, fmt.Sprint(partitions), fmt.Sprint(count), file); err != nil {
			return nil, err
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		return readPlaced(b)
	}
	return c
}

// found says that a program is not there.
func found(name string) string {
	if _, err := exec.LookPath(name); err != nil {
		return err.Error()
	}
	return ""
}
