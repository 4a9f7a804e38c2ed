package javaconfig

import (
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/kraal-mq/kraal/tools/client"
)

// TestPartitioner has the hashes of Kafka's own test of murmur2 (clients/.../common/utils/UtilsTest.java).
func TestPartitioner(t *testing.T) {
	p := NewPartitioner(100)("t")
	for key, hash := range map[string]int32{"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971} {
		got, err := p.Partition(&sarama.ProducerMessage{Key: sarama.StringEncoder(key)}, 1000)
		if want := hash & 0x7fffffff % 1000; err != nil || got != want {
			t.Errorf("%s: partition %d, %v, want %d", key, got, err, want)
		}
	}
}

func TestPartitionerSticksForABatch(t *testing.T) {
	p := NewPartitioner(1000)("t")
	m := &sarama.ProducerMessage{Value: sarama.ByteEncoder(make([]byte, 200))}
	changes, last := 0, int32(-1)
	for range 1000 {
		got, _ := p.Partition(m, 1<<20)
		if got != last {
			changes++
		}
		last = got
	}
	if changes < 200 || changes > 300 { // a record counts 200 to 250 bytes
		t.Errorf("%d changes", changes)
	}
	for range 100 {
		if got, _ := p.Partition(m, 2); got > 1 {
			t.Fatalf("partition %d of 2", got)
		}
	}
}

func with(pairs ...string) client.Properties {
	p := client.Properties{"bootstrap.servers": "a:1"}
	for i := 0; i < len(pairs); i += 2 {
		p[pairs[i]] = pairs[i+1]
	}
	return p
}

func TestProducer(t *testing.T) {
	o, err := NewProducer(with(), "me", false)
	if err != nil {
		t.Fatal(err)
	}
	if c := o.Sarama; c.ClientID != "me" || c.Producer.RequiredAcks != sarama.WaitForAll || c.Producer.Retry.Max != maxRetries || c.Producer.Flush.Bytes != 0 {
		t.Errorf("%+v", c.Producer)
	}
	if !o.Idempotent || o.MustBeIdempotent || o.BufferMemory != 32<<20 || o.BatchSize != 16384 {
		t.Errorf("%+v", o)
	}
	o, err = NewProducer(with("acks", "1", "linger.ms", "5", "compression.type", "lz4", "retries", "9", "client.id", "x", "max.block.ms", "9223372036854775807",
		"request.timeout.ms", "1500"), "me", true)
	if err != nil {
		t.Fatal(err)
	}
	if c := o.Sarama; c.ClientID != "x" || c.Producer.RequiredAcks != sarama.WaitForLocal || c.Producer.Retry.Max != 9 || c.Producer.Flush.Bytes != 16384 ||
		c.Producer.Compression != sarama.CompressionLZ4 || c.Net.ReadTimeout != 1500*time.Millisecond {
		t.Errorf("%+v", c.Producer)
	}
	if o.Idempotent || o.MaxBlock < time.Hour {
		t.Errorf("%+v", o)
	}
}

func TestComplaints(t *testing.T) {
	for want, p := range map[string]client.Properties{
		"Invalid value 7 for configuration acks: String must be one of: all, -1, 0, 1":   with("acks", "7"),
		"Invalid value x for configuration batch.size: Not a number of type INT":         with("batch.size", "x"),
		"Invalid value -1 for configuration linger.ms: Value must be at least 0":         with("linger.ms", "-1"),
		"Invalid value 3000000000 for configuration retries: Value must be no more than": with("retries", "3000000000"),
		"Must set acks to all in order to use the idempotent producer. Otherwise":        with("enable.idempotence", "true", "acks", "0"),
		"Must set retries to non-zero when using the idempotent producer.":               with("enable.idempotence", "true", "retries", "0"),
		"Invalid value maybe for configuration enable.idempotence: Expected value":       with("enable.idempotence", "maybe"),
		"Invalid url in bootstrap.servers: nowhere":                                      with("bootstrap.servers", "nowhere"),
		"No resolvable bootstrap urls given in bootstrap.servers":                        with("bootstrap.servers", " , "),
	} {
		if _, err := NewProducer(p, "me", true); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v: %v", p, err)
		}
	}
	for want, p := range map[string]client.Properties{
		"Invalid value nonsense for configuration isolation.level: String must be one of: read_committed, read_uncommitted": with("isolation.level", "nonsense"),
		"Invalid value now for configuration auto.offset.reset: String must be one of: latest, earliest, none":              with("auto.offset.reset", "now"),
	} {
		if _, err := NewConsumer(p, "me"); err == nil || err.Error() != want {
			t.Errorf("%v: %v", p, err)
		}
	}
}

func TestConsumer(t *testing.T) {
	o, err := NewConsumer(with("auto.offset.reset", "earliest", "isolation.level", "read_committed", "enable.auto.commit", "false", "fetch.max.bytes", "1000"), "me")
	if err != nil {
		t.Fatal(err)
	}
	if c := o.Sarama.Consumer; c.Offsets.Initial != sarama.OffsetOldest || c.IsolationLevel != sarama.ReadCommitted || c.Offsets.AutoCommit.Enable || c.Fetch.MaxBytes != 1000 {
		t.Errorf("%+v", c)
	}
}

func TestSeeds(t *testing.T) {
	seeds, err := Seeds(client.Properties{"bootstrap.servers": "a:1, PLAINTEXT://b:2,[::1]:3,"})
	if got := strings.Join(seeds, " "); err != nil || got != "a:1 b:2 [::1]:3" {
		t.Errorf("%s, %v", got, err)
	}
}

func TestKeyValues(t *testing.T) {
	p, err := KeyValues([]string{"a=b=c", "d", "e="})
	if err != nil || p["a"] != "b=c" || p["d"] != "" || len(p) != 3 {
		t.Errorf("%v, %v", p, err)
	}
	if _, err := KeyValues([]string{"=x"}); err == nil {
		t.Error("no complaint about an empty key")
	}
}
