package broker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// TestConsumersReadInTheirRack sends consumers to the replica in their rack, over the wire (KIP-392), and back to the leader when
// that replica is gone.
func TestConsumersReadInTheirRack(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	fleet := brokertest.StartFleet(t, zk.Addr(), 3, map[string]string{
		"replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector", "replica.lag.time.max.ms": "30000"})
	for id := 1; id <= 3; id++ {
		fleet.Node(id).Stop()
		fleet.Node(id).Set("broker.rack", fmt.Sprint("rack-", id))
		fleet.Node(id).Start()
	}
	c := fleetClient(t, fleet.Addrs())
	createReplicated(t, c, "t", 1, 3)
	topics, err := kadm.NewClient(c).ListTopics(within(t), "t")
	if err != nil {
		t.Fatal(err)
	}
	leader := int(topics["t"].Partitions[0].Leader)
	near := leader%3 + 1
	send := func(n int) {
		t.Helper()
		for range n {
			if err := c.ProduceSync(within(t), &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(10)
	consumer := fleetClient(t, fleet.Addrs(), kgo.Rack(fmt.Sprint("rack-", near)), kgo.ConsumeTopics("t"), kgo.FetchMaxWait(100*time.Millisecond))
	receive := func(n int) {
		t.Helper()
		for n > 0 {
			fetches := consumer.PollFetches(within(t))
			if err := fetches.Err0(); err != nil {
				t.Fatal(err)
			}
			n -= fetches.NumRecords()
		}
	}
	out := func(id int) float64 {
		return counterOf(t, fleet.Node(id), "kafka_server_brokertopicmetrics_bytesout_total")
	}
	receive(10)
	send(10)
	receive(10)
	if at, from := out(near), out(leader); at == 0 || from > at {
		t.Errorf("the consumer got %v bytes from the broker in its rack and %v from the leader", at, from)
	}
	fleet.Node(near).Stop()
	before := out(leader)
	send(10)
	receive(10)
	if out(leader) == before {
		t.Error("the leader sent nothing to a consumer whose rack has no replica")
	}
}

// counterOf adds up a counter of a broker.
func counterOf(t *testing.T, n *brokertest.Node, name string) float64 {
	t.Helper()
	families, err := n.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			total := 0.0
			for _, m := range f.GetMetric() {
				total += m.GetCounter().GetValue()
			}
			return total
		}
	}
	return 0
}
