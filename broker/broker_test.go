package broker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// client returns a franz-go client of the broker.
func client(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr), kgo.RequestRetries(20), kgo.RetryTimeout(30 * time.Second)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// within returns a context for calls that must not take for ever.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func createTopic(t *testing.T, c *kgo.Client, topic string, partitions int32, config map[string]*string) {
	t.Helper()
	if _, err := kadm.NewClient(c).CreateTopic(within(t), partitions, 1, config, topic); err != nil {
		t.Fatalf("create %s: %v", topic, err)
	}
}

// consume reads n records of a topic from its beginning, all partitions, without a group.
func consume(t *testing.T, addr, topic string, n int, opts ...kgo.Opt) []*kgo.Record {
	t.Helper()
	c := client(t, addr, append([]kgo.Opt{kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}, opts...)...)
	ctx := within(t)
	var got []*kgo.Record
	for len(got) < n {
		fetches := c.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			t.Fatalf("%d of %d records of %s: %v", len(got), n, topic, err)
		}
		fetches.EachError(func(topic string, p int32, err error) { t.Fatalf("fetch %s-%d: %v", topic, p, err) })
		got = append(got, fetches.Records()...)
	}
	return got
}

// mixed returns n records of many shapes: sizes from nothing to large, null keys and values, headers.
func mixed(topic string, n int, seed uint64) []*kgo.Record {
	r := rand.New(rand.NewPCG(seed, 1))
	records := make([]*kgo.Record, n)
	for i := range records {
		rec := &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "%d ", i)}
		size := r.IntN(200)
		if r.IntN(200) == 0 {
			size = r.IntN(50_000)
		}
		for len(rec.Value) < size {
			rec.Value = append(rec.Value, byte('a'+r.IntN(26)))
		}
		if r.IntN(3) > 0 {
			rec.Key = fmt.Appendf(nil, "key-%d", r.IntN(50))
		}
		for h := range r.IntN(3) {
			rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: fmt.Sprintf("h%d", h), Value: []byte{byte(h), 0, 255}})
		}
		records[i] = rec
	}
	return records
}

func TestProduceAndConsume(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	node := brokertest.Start(t, zk.Addr(), nil)
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	for name, codec := range codecs {
		t.Run(name, func(t *testing.T) {
			c := client(t, node.Addr(), kgo.ProducerBatchCompression(codec))
			topic := "mixed-" + name
			createTopic(t, c, topic, 3, nil)
			sent := mixed(topic, 3000, 7)
			if err := c.ProduceSync(within(t), sent...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			checkSame(t, sent, consume(t, node.Addr(), topic, len(sent)))
		})
	}
}

// checkSame compares what was consumed with what was produced: every byte, in the order of each partition.
func checkSame(t *testing.T, sent, got []*kgo.Record) {
	t.Helper()
	want := map[string]*kgo.Record{}
	for _, r := range sent {
		want[fmt.Sprintf("%d/%d", r.Partition, r.Offset)] = r
	}
	next := map[int32]int64{}
	for _, r := range got {
		if r.Offset != next[r.Partition] {
			t.Fatalf("partition %d: offset %d where %d was due", r.Partition, r.Offset, next[r.Partition])
		}
		next[r.Partition]++
		w := want[fmt.Sprintf("%d/%d", r.Partition, r.Offset)]
		if w == nil {
			t.Fatalf("partition %d offset %d was never acknowledged", r.Partition, r.Offset)
		}
		if string(w.Key) != string(r.Key) || (w.Key == nil) != (r.Key == nil) || string(w.Value) != string(r.Value) || len(w.Headers) != len(r.Headers) {
			t.Fatalf("partition %d offset %d differs", r.Partition, r.Offset)
		}
		for i := range w.Headers {
			if w.Headers[i].Key != r.Headers[i].Key || string(w.Headers[i].Value) != string(r.Headers[i].Value) {
				t.Fatalf("partition %d offset %d: header %d differs", r.Partition, r.Offset, i)
			}
		}
	}
}

func TestRestartKeepsEverything(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	node := brokertest.Start(t, zk.Addr(), map[string]string{"log.segment.bytes": "200000"})
	const topic = "kept"
	c := client(t, node.Addr())
	createTopic(t, c, topic, 2, nil)
	var sent []*kgo.Record
	for round := range 3 {
		records := mixed(topic, 500, uint64(round))
		c := client(t, node.Addr(), kgo.ProducerBatchMaxBytes(100_000))
		if err := c.ProduceSync(within(t), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, records...)
		node.Stop()
		node.Start()
	}
	checkSame(t, sent, consume(t, node.Addr(), topic, len(sent)))
}

func TestTopicsComeAndGo(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	node := brokertest.Start(t, zk.Addr()+"/some/chroot", nil)
	c := client(t, node.Addr())
	adm := kadm.NewClient(c)
	retention := "3600000"
	createTopic(t, c, "one", 2, map[string]*string{"retention.ms": &retention})
	if _, err := adm.CreateTopic(within(t), 1, 1, nil, "one"); !errors.Is(err, kerr.TopicAlreadyExists) {
		t.Errorf("creating a topic twice: %v", err)
	}
	if _, err := adm.CreateTopic(within(t), 1, 2, nil, "two"); !errors.Is(err, kerr.InvalidReplicationFactor) {
		t.Errorf("replication factor above the number of brokers: %v", err)
	}
	if _, err := adm.CreateTopic(within(t), 1, 1, nil, "not/legal"); !errors.Is(err, kerr.InvalidTopicException) {
		t.Errorf("illegal name: %v", err)
	}
	if r, err := adm.CreatePartitions(within(t), 2, "one"); err != nil || r.Error() != nil {
		t.Fatalf("create partitions: %v, %v", err, r.Error())
	}
	d, err := adm.ListTopics(within(t), "one")
	if err != nil || len(d["one"].Partitions) != 4 {
		t.Fatalf("after growth: %v %v", d, err)
	}
	configs, err := adm.DescribeTopicConfigs(within(t), "one")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, kv := range configs[0].Configs {
		found = found || kv.Key == "retention.ms" && kv.MaybeValue() == retention
	}
	if !found {
		t.Errorf("retention.ms is not what was set: %v", configs)
	}
	if r, err := adm.DeleteTopics(within(t), "one"); err != nil || r.Error() != nil {
		t.Fatalf("delete: %v %v", err, r.Error())
	}
	names, err := adm.ListTopics(within(t))
	if err != nil || len(names) != 0 {
		t.Errorf("topics left after deletion: %v %v", names.Names(), err)
	}
	// The name is free again, and nothing of the old topic comes back.
	createTopic(t, c, "one", 1, nil)
	if err := c.ProduceSync(within(t), &kgo.Record{Topic: "one", Value: []byte("new")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if got := consume(t, node.Addr(), "one", 1); string(got[0].Value) != "new" || got[0].Offset != 0 {
		t.Errorf("a topic of the same name began with %q at %d", got[0].Value, got[0].Offset)
	}
}

func TestSessionExpiry(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	node := brokertest.Start(t, zk.Addr(), nil)
	c := client(t, node.Addr())
	createTopic(t, c, "before", 1, nil)
	for range 2 {
		epoch := node.BrokerEpoch()
		zk.ExpireSession(node.SessionID())
		// Data service goes on while the broker is off the register.
		if err := c.ProduceSync(within(t), &kgo.Record{Topic: "before", Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a registration with a newer broker epoch", func() bool { return node.BrokerEpoch() > epoch })
	}
	// The controller is back too: it has to create this.
	createTopic(t, c, "after", 1, nil)
	consume(t, node.Addr(), "before", 2)
}

func TestZooKeeperAway(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	node := brokertest.Start(t, zk.Addr(), nil)
	c := client(t, node.Addr())
	createTopic(t, c, "t", 1, nil)
	if err := c.ProduceSync(within(t), &kgo.Record{Topic: "t", Value: []byte("a producer id needs ZooKeeper once")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	zk.Stop()
	if err := c.ProduceSync(within(t), &kgo.Record{Topic: "t", Value: []byte("without ZooKeeper")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	zk.Start()
	adm := kadm.NewClient(c)
	eventually(t, "topic creation after ZooKeeper's return", func() bool {
		_, err := adm.CreateTopic(within(t), 1, 1, nil, "u")
		return err == nil || errors.Is(err, kerr.TopicAlreadyExists)
	})
	consume(t, node.Addr(), "t", 2)
}

// eventually waits, with a deadline, for something to become true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("no %s in time", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	other := zktest.Start(t)
	node := brokertest.Start(t, zk.Addr(), nil)
	for name, c := range map[string]struct {
		zookeeper string
		props     map[string]string
		wants     string
	}{
		"taken id":         {zk.Addr(), nil, "broker id 1 is registered in ZooKeeper already"},
		"locked directory": {zk.Addr(), map[string]string{"log.dirs": node.Dir()}, "in use"},
		"unknown security": {zk.Addr(), map[string]string{"broker.id": "3", "listeners": "SSL://127.0.0.1:0", "security.inter.broker.protocol": "SSL"}, "SSL"},
	} {
		err := brokertest.Refused(t, c.zookeeper, c.props)
		if err == nil || !strings.Contains(err.Error(), c.wants) {
			t.Errorf("%s: %v", name, err)
		}
	}
	node.Stop()
	for name, c := range map[string]struct {
		zookeeper string
		props     map[string]string
		wants     string
	}{
		"wrong cluster":   {other.Addr(), map[string]string{"log.dirs": node.Dir()}, "belong to cluster"},
		"wrong broker id": {zk.Addr(), map[string]string{"broker.id": "4", "log.dirs": node.Dir()}, "belong to broker 1"},
	} {
		err := brokertest.Refused(t, c.zookeeper, c.props)
		if err == nil || !strings.Contains(err.Error(), c.wants) {
			t.Errorf("%s: %v", name, err)
		}
	}
	node.Start() // nobody who was refused has harmed it
}
