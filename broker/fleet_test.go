package broker_test

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// fleetClient returns a franz-go client that knows all brokers of a fleet.
func fleetClient(t *testing.T, addrs []string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	return client(t, addrs[0], append([]kgo.Opt{kgo.SeedBrokers(addrs...), kgo.MetadataMinAge(50 * time.Millisecond)}, opts...)...)
}

func createReplicated(t *testing.T, c *kgo.Client, topic string, partitions int32, replicas int16) {
	t.Helper()
	if _, err := kadm.NewClient(c).CreateTopic(within(t), partitions, replicas, nil, topic); err != nil {
		t.Fatalf("create %s: %v", topic, err)
	}
}

func TestFleetReplicates(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	fleet := brokertest.StartFleet(t, zk.Addr(), 3, nil)
	c := fleetClient(t, fleet.Addrs())
	createReplicated(t, c, "t", 3, 3)
	sent := mixed("t", 2000, 3)
	if err := c.ProduceSync(within(t), sent...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	checkSame(t, sent, consume(t, fleet.Node(1).Addr(), "t", len(sent)))
	znodes := brokertest.OpenZnodes(t, zk.Addr())
	for p := range 3 {
		if s, _ := znodes.State("t", p); len(s.ISR) != 3 {
			t.Errorf("partition %d: ISR %v", p, s.ISR)
		}
	}
	// Each broker in turn leaves in good order and comes back.
	for id := 1; id <= 3; id++ {
		fleet.Node(id).Stop()
		for p := range 3 {
			if s, _ := znodes.State("t", p); s.Leader == id || slices.Contains(s.ISR, id) {
				t.Errorf("broker %d has stopped, and partition %d is led by %d with ISR %v", id, p, s.Leader, s.ISR)
			}
		}
		more := mixed("t", 200, uint64(id))
		if err := c.ProduceSync(within(t), more...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, more...)
		fleet.Node(id).Start()
		eventually(t, "return to the ISR", func() bool {
			for p := range 3 {
				if s, _ := znodes.State("t", p); len(s.ISR) != 3 {
					return false
				}
			}
			return true
		})
	}
	checkSame(t, sent, consume(t, fleet.Node(2).Addr(), "t", len(sent)))
}
