package broker_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// TestSettingsTakeEffectWhileRunning changes a setting of each part of a broker that follows some, and looks for what it does.
// That all settings reach their parts is tested apart.
func TestSettingsTakeEffectWhileRunning(t *testing.T) {
	t.Parallel()
	node := brokertest.Start(t, zktest.Start(t).Addr(), map[string]string{
		"log.cleaner.backoff.ms": "3600000", "producer.id.expiration.check.interval.ms": "100", "log.initial.task.delay.ms": "0",
	})
	c := client(t, node.Addr(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	admin := kadm.NewClient(c)
	change := func(settings ...kadm.AlterConfig) {
		t.Helper()
		if err := alterBroker1(t, admin, settings...); err != nil {
			t.Fatal(err)
		}
	}
	files := func(pattern string) int {
		found, err := filepath.Glob(filepath.Join(node.Dir(), pattern))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	t.Run("segments", func(t *testing.T) {
		createTopic(t, c, "segments", 1, nil)
		change(set("log.segment.bytes", "20000"))
		eventually(t, "small segments", func() bool {
			send(t, c, "segments", "", 1000)
			return files("segments-0/*.log") > 3
		})
	})
	t.Run("largest batch", func(t *testing.T) {
		createTopic(t, c, "large", 1, nil)
		send(t, c, "large", "", 5000)
		change(set("message.max.bytes", "4000"))
		eventually(t, "a refusal", func() bool {
			err := c.ProduceSync(within(t), filled("large", "", 5000)).FirstErr()
			return errors.Is(err, kerr.MessageTooLarge)
		})
		change(set("message.max.bytes", "1000000"))
	})
	t.Run("cleaner", func(t *testing.T) {
		createTopic(t, c, "cleaned", 1, map[string]*string{"cleanup.policy": kadm.StringPtr("compact"), "segment.bytes": kadm.StringPtr("10000")})
		for range 100 {
			send(t, c, "cleaned", "key", 1000)
		}
		size := func() (sum int64) {
			logs, _ := filepath.Glob(filepath.Join(node.Dir(), "cleaned-0/*.log"))
			for _, f := range logs {
				if info, err := os.Stat(f); err == nil { // it may go meanwhile
					sum += info.Size()
				}
			}
			return sum
		}
		before := size()
		change(set("log.cleaner.backoff.ms", "50"), set("log.cleaner.min.cleanable.ratio", "0.01"))
		eventually(t, "a clean log", func() bool { return size() < before/2 })
	})
	t.Run("idle producers", func(t *testing.T) {
		createTopic(t, c, "produced", 1, nil)
		send(t, c, "produced", "", 1)
		active := func() int {
			d, err := admin.DescribeProducers(within(t), kadm.TopicsSet{"produced": {0: {}}})
			if err != nil {
				t.Fatal(err)
			}
			return len(d.SortedProducers())
		}
		if n := active(); n != 1 {
			t.Fatalf("%d producers", n)
		}
		change(set("producer.id.expiration.ms", "1"))
		eventually(t, "no producer", func() bool { return active() == 0 })
	})
	t.Run("deleted files", func(t *testing.T) {
		createTopic(t, c, "deleted", 1, nil)
		send(t, c, "deleted", "", 1)
		change(set("log.segment.delete.delay.ms", "0"))
		eventually(t, "the change", func() bool {
			described, err := admin.DescribeBrokerConfigs(within(t), 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range described[0].Configs {
				if c.Key == "log.segment.delete.delay.ms" {
					return *c.Value == "0"
				}
			}
			return false
		})
		if _, err := admin.DeleteTopics(within(t), "deleted"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the directory is gone", func() bool { return files("deleted*") == 0 })
	})
	t.Run("connections", func(t *testing.T) {
		change(set("max.connections.per.ip.overrides", "127.0.0.1:0"))
		eventually(t, "a closed door", func() bool {
			other, err := kgo.NewClient(kgo.SeedBrokers(node.Addr()), kgo.RequestRetries(0), kgo.RetryTimeout(time.Second))
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			return other.Ping(within(t)) != nil
		})
		if err := c.Ping(within(t)); err != nil {
			t.Errorf("a connection was cut: %v", err)
		}
	})
}

// TestUncleanElectionWhileRunning: a partition without leader gets one when that becomes allowed.
func TestUncleanElectionWhileRunning(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	fleet := brokertest.StartFleet(t, zk.Addr(), 2, map[string]string{"min.insync.replicas": "1", "default.replication.factor": "2",
		"offsets.topic.replication.factor": "2", "transaction.state.log.replication.factor": "2"})
	c := client(t, fleet.Node(2).Addr())
	if _, err := kadm.NewClient(c).CreateTopic(within(t), 1, 2, nil, "t"); err != nil {
		t.Fatal(err)
	}
	znodes := brokertest.OpenZnodes(t, zk.Addr())
	eventually(t, "both in sync", func() bool { s, ok := znodes.State("t", 0); return ok && len(s.ISR) == 2 })
	s, _ := znodes.State("t", 0)
	leader, follower := fleet.Node(s.Leader), fleet.Node(3-s.Leader)
	follower.Stop()
	eventually(t, "the leader alone in sync", func() bool { s, _ := znodes.State("t", 0); return len(s.ISR) == 1 })
	leader.Stop()
	follower.Start()
	admin := kadm.NewClient(client(t, follower.Addr()))
	eventually(t, "no leader", func() bool { s, _ := znodes.State("t", 0); return s.Leader == -1 })
	if _, err := admin.AlterBrokerConfigs(within(t), []kadm.AlterConfig{set("unclean.leader.election.enable", "true")}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a leader", func() bool { state, _ := znodes.State("t", 0); return state.Leader == 3-s.Leader })
}

func filled(topic, key string, size int) *kgo.Record {
	r := &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "%0*d", size, 7)}
	if key != "" {
		r.Key = []byte(key)
	}
	return r
}

func send(t *testing.T, c *kgo.Client, topic, key string, size int) {
	t.Helper()
	if err := c.ProduceSync(within(t), filled(topic, key, size)).FirstErr(); err != nil {
		t.Fatal(err)
	}
}
