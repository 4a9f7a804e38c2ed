package broker_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// TestStrayReplicasAreSetAside brings a broker back that has replicas it was relieved of while it was away, and one of an earlier
// topic of the name.
func TestStrayReplicasAreSetAside(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	fleet := brokertest.StartFleet(t, zk.Addr(), 2, map[string]string{"default.replication.factor": "2", "min.insync.replicas": "1",
		"offsets.topic.replication.factor": "1", "kraal.stray.delete.delay.ms": "3600000"})
	c := fleetClient(t, fleet.Addrs())
	admin := kadm.NewClient(c)
	for _, topic := range []string{"kept", "relieved", "earlier"} {
		createReplicated(t, c, topic, 1, 2)
		if err := c.ProduceSync(within(t), &kgo.Record{Topic: topic, Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	dir := fleet.Node(2).Dir()
	fleet.Node(2).Stop()
	var req kadm.AlterPartitionAssignmentsReq
	req.Assign("relieved", 0, []int32{1})
	if r, err := admin.AlterPartitionAssignments(within(t), req); err != nil || r.Error() != nil {
		t.Fatal(err, r.Error())
	}
	eventually(t, "the reassignment", func() bool {
		topics, err := admin.ListTopics(within(t), "relieved")
		return err == nil && slices.Equal(topics["relieved"].Partitions[0].Replicas, []int32{1})
	})
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.WriteFile(filepath.Join(dir, "earlier-0", "partition.metadata"), []byte("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ"), 0o644))

	fleet.Node(2).Start()
	names := func() string {
		entries, err := os.ReadDir(dir)
		check(err)
		var names []string
		for _, e := range entries {
			name, _, stray := strings.Cut(e.Name(), ".")
			if e.IsDir() && !strings.HasPrefix(name, "__") {
				if stray {
					name += e.Name()[strings.LastIndex(e.Name(), "-"):]
				}
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	eventually(t, "the strays to be set aside", func() bool {
		return names() == "earlier-0 earlier-0-stray kept-0 relieved-0-stray"
	})
	znodes := brokertest.OpenZnodes(t, zk.Addr())
	for _, topic := range []string{"kept", "earlier"} {
		eventually(t, "the return to the ISR of "+topic, func() bool {
			s, _ := znodes.State(topic, 0)
			return len(s.ISR) == 2
		})
	}
	// After a restart they are what they were.
	fleet.Node(2).Stop()
	fleet.Node(2).Start()
	eventually(t, "the second return", func() bool {
		s, _ := znodes.State("kept", 0)
		return len(s.ISR) == 2
	})
	if got := names(); got != "earlier-0 earlier-0-stray kept-0 relieved-0-stray" {
		t.Errorf("in the end there are %s", got)
	}
}
