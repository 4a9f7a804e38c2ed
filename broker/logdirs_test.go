package broker_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// TestLogDirFails takes one of a broker's log directories away: the controller hears of it and lets others lead what was there, the
// other directory goes on, and after a repair and a restart everything is in sync again.
func TestLogDirFails(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	fleet := brokertest.StartFleet(t, zk.Addr(), 2, map[string]string{"default.replication.factor": "2", "min.insync.replicas": "1",
		"offsets.topic.replication.factor": "1", "replica.high.watermark.checkpoint.interval.ms": "200"})
	root := t.TempDir()
	dirs := []string{filepath.Join(root, "a"), filepath.Join(root, "b")}
	node := fleet.Node(2)
	node.Stop()
	node.Set("log.dirs", dirs[0]+","+dirs[1])
	node.Start()

	c := fleetClient(t, fleet.Addrs(), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	admin := kadm.NewClient(c)
	const partitions = 8
	createReplicated(t, c, "t", partitions, 2)
	var sent []*kgo.Record
	send := func() {
		t.Helper()
		for p := range int32(partitions) {
			r := &kgo.Record{Topic: "t", Partition: p, Value: []byte("v")}
			if err := c.ProduceSync(within(t), r).FirstErr(); err != nil {
				t.Fatalf("partition %d: %v", p, err)
			}
			sent = append(sent, r)
		}
	}
	send()
	znodes := brokertest.OpenZnodes(t, zk.Addr())
	inSync := func(p int) bool {
		s, _ := znodes.State("t", p)
		return slices.Contains(s.ISR, 2)
	}
	allInSync := func() bool {
		for p := range partitions {
			if !inSync(p) {
				return false
			}
		}
		return true
	}
	eventually(t, "all replicas to be in sync", allInSync)
	logDirs, err := admin.DescribeBrokerLogDirs(within(t), 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	lost := map[int]bool{}
	logDirs[dirs[0]].Topics.Each(func(p kadm.DescribedLogDirPartition) {
		if p.Topic == "t" {
			lost[int(p.Partition)] = true
		}
	})
	if len(lost) == 0 || len(lost) == partitions {
		t.Fatalf("%d of %d partitions are in %s", len(lost), partitions, dirs[0])
	}

	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.Rename(dirs[0], dirs[0]+".away"))
	check(os.WriteFile(dirs[0], nil, 0o644)) // whatever is tried there fails
	eventually(t, "its partitions to be led elsewhere", func() bool {
		for p := range partitions {
			if s, _ := znodes.State("t", p); lost[p] && (s.Leader != 1 || slices.Contains(s.ISR, 2)) {
				return false
			}
		}
		return true
	})
	for p := range partitions {
		if !lost[p] && !inSync(p) {
			t.Errorf("partition %d is in the other directory, and out of sync", p)
		}
	}
	send()
	logDirs, err = admin.DescribeBrokerLogDirs(within(t), 2, nil)
	check(err)
	if a, b := logDirs[dirs[0]].Err, logDirs[dirs[1]].Err; a == nil || b != nil {
		t.Errorf("described as %v and %v", a, b)
	}
	topics, err := admin.ListTopics(within(t), "t")
	check(err)
	for p, d := range topics["t"].Partitions {
		if slices.Contains(d.OfflineReplicas, 2) != lost[int(p)] {
			t.Errorf("partition %d: offline replicas %v", p, d.OfflineReplicas)
		}
	}
	// New replicas go where there is a directory.
	createReplicated(t, c, "new", 2, 2)
	eventually(t, "new replicas to be in sync", func() bool {
		a, _ := znodes.State("new", 0)
		b, _ := znodes.State("new", 1)
		return len(a.ISR) == 2 && len(b.ISR) == 2
	})

	node.Stop()
	check(os.Remove(dirs[0]))
	check(os.Rename(dirs[0]+".away", dirs[0]))
	node.Start()
	eventually(t, "the return to the ISR", allInSync)
	send()
	got := consume(t, fleet.Node(2).Addr(), "t", len(sent))
	if len(got) != len(sent) {
		t.Errorf("%d records of %d", len(got), len(sent))
	}
}
