package broker_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// TestReplicationThrottles reassigns a partition under throttles that are set, changed and lifted while the brokers run, as
// kafka-reassign-partitions --throttle does (KIP-73).
func TestReplicationThrottles(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	fleet := brokertest.StartFleet(t, zk.Addr(), 2, map[string]string{"default.replication.factor": "1", "min.insync.replicas": "1",
		"offsets.topic.replication.factor": "1", "replica.fetch.max.bytes": "100000", "replica.fetch.response.max.bytes": "100000"})
	c := fleetClient(t, fleet.Addrs(), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(50_000))
	admin := kadm.NewClient(c)
	for _, end := range []string{"leader", "follower"} {
		topic := "throttled-by-" + end
		createReplicated(t, c, topic, 1, 1)
		for range 100 {
			if err := c.ProduceSync(within(t), &kgo.Record{Topic: topic, Value: make([]byte, 10_000)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		topics, err := admin.ListTopics(within(t), topic)
		if err != nil {
			t.Fatal(err)
		}
		leader := topics[topic].Partitions[0].Leader
		other := 3 - leader
		alterTopic(t, admin, topic, kadm.AlterConfig{Name: end + ".replication.throttled.replicas", Value: kadm.StringPtr("*")})
		alterBrokers(t, admin, kadm.AlterConfig{Name: end + ".replication.throttled.rate", Value: kadm.StringPtr("100")})
		eventually(t, "the brokers to have heard of the rate, and so of the topic before", func() bool {
			return hasRate(t, admin, 1, end, "100") && hasRate(t, admin, 2, end, "100")
		})

		var req kadm.AlterPartitionAssignmentsReq
		req.Assign(topic, 0, []int32{leader, other})
		if r, err := admin.AlterPartitionAssignments(within(t), req); err != nil || r.Error() != nil {
			t.Fatal(err, r.Error())
		}
		copied := func() int64 { // on the other
			all, err := admin.DescribeBrokerLogDirs(within(t), other, nil)
			if err != nil {
				return -1
			}
			p, _ := all.LookupPartition(topic, 0)
			return p.Size
		}
		eventually(t, "the first piece", func() bool { return copied() > 0 })
		time.Sleep(2 * time.Second) // in which nothing is to happen
		if n := copied(); n > 300_000 {
			t.Errorf("%s: %d bytes are copied at 100 a second", end, n)
		}
		throttles := fleet.Node(int(map[string]int32{"leader": leader, "follower": other}[end]))
		if rate := gaugeOf(t, throttles, "kafka_server_"+end+"replication_byte_rate"); rate <= 100 {
			t.Errorf("%s: measured %v bytes a second", end, rate)
		}
		if end == "leader" {
			alterTopic(t, admin, topic, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: end + ".replication.throttled.replicas"})
		} else {
			alterBrokers(t, admin, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: end + ".replication.throttled.rate"})
		}
		znodes := brokertest.OpenZnodes(t, zk.Addr())
		eventually(t, "the replica to catch up", func() bool {
			s, _ := znodes.State(topic, 0)
			return len(s.ISR) == 2
		})
	}
}

func alterTopic(t *testing.T, admin *kadm.Client, topic string, change kadm.AlterConfig) {
	t.Helper()
	r, err := admin.AlterTopicConfigs(within(t), []kadm.AlterConfig{change}, topic)
	if err != nil || r[0].Err != nil {
		t.Fatal(err, r)
	}
}

func alterBrokers(t *testing.T, admin *kadm.Client, change kadm.AlterConfig) {
	t.Helper()
	r, err := admin.AlterBrokerConfigs(within(t), []kadm.AlterConfig{change})
	if err != nil || r[0].Err != nil {
		t.Fatal(err, r)
	}
}

// hasRate says whether a broker goes by a rate.
func hasRate(t *testing.T, admin *kadm.Client, broker int32, end, want string) bool {
	t.Helper()
	r, err := admin.DescribeBrokerConfigs(within(t), broker)
	if err != nil || len(r) != 1 || r[0].Err != nil {
		t.Fatal(err, r)
	}
	for _, c := range r[0].Configs {
		if c.Key == end+".replication.throttled.rate" {
			return c.MaybeValue() == want
		}
	}
	return false
}

// gaugeOf reads one gauge of a broker.
func gaugeOf(t *testing.T, n *brokertest.Node, name string) float64 {
	t.Helper()
	families, err := n.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no series %s", name)
	return 0
}
