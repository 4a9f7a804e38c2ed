package replica

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// One request may name a partition again. Whatever is done side by side, what it says of one partition is done in order.
func TestLeaderAndISRNamesAPartitionAgain(t *testing.T) {
	inFleet(t, 1, testConfig(), func(t *testing.T, f *fleet) {
		var parts []Assigned
		for epoch := range 3 {
			for p := range 40 {
				parts = append(parts, Assigned{Partition: meta.TopicPartition{Topic: "t", Partition: int32(p)}, IsNew: true,
					LeaderAndISR: meta.LeaderAndISR{Leader: 1, LeaderEpoch: meta.LeaderEpoch(epoch), ISR: []meta.BrokerID{1}},
					Assignment:   meta.Assignment{Replicas: []meta.BrokerID{1}}})
			}
		}
		results, err := f.nodes[1].m.LeaderAndISR(Sender{Controller: 1, ControllerEpoch: 1, BrokerEpoch: meta.NoBrokerEpoch}, parts)
		check(t, err)
		for i, err := range results {
			if err != nil {
				t.Errorf("%s in epoch %d: %v", parts[i].Partition, parts[i].LeaderEpoch, err)
			}
		}
		for i, change := range f.nodes[1].roles {
			if change.Partition != parts[i].Partition || change.LeaderEpoch != parts[i].LeaderEpoch {
				t.Fatalf("role change %d is %+v, the request's was %s in epoch %d", i, change, parts[i].Partition, parts[i].LeaderEpoch)
			}
		}
		if n := len(f.nodes[1].roles); n != len(parts) {
			t.Errorf("%d role changes for %d assignments", n, len(parts))
		}
	})
}

// BenchmarkLeadNewPartitions takes the lead of a new topic's partitions, on the disk of the temporary directory.
func BenchmarkLeadNewPartitions(b *testing.B) {
	const partitions = 1000
	c := storage.DefaultLogConfig()
	logs, err := storage.OpenManager(context.Background(), storage.ManagerOptions{Dirs: []string{filepath.Join(b.TempDir(), "logs")},
		TopicConfig: func(string) *storage.LogConfig { return &c }})
	if err != nil {
		b.Fatal(err)
	}
	defer logs.Close()
	m := New(Options{BrokerID: 1, Config: testConfig(), Logs: logs, Metadata: metadata.NewCache(), Logger: zap.NewNop()})
	n := 0
	for b.Loop() {
		n++
		id := meta.NewTopicID()
		parts := make([]Assigned, partitions)
		for i := range parts {
			parts[i] = Assigned{Partition: meta.TopicPartition{Topic: fmt.Sprintf("t%d", n), Partition: int32(i)}, TopicID: id, IsNew: true,
				LeaderAndISR: meta.LeaderAndISR{Leader: 1, ISR: []meta.BrokerID{1}}, Assignment: meta.Assignment{Replicas: []meta.BrokerID{1}}}
		}
		results, err := m.LeaderAndISR(Sender{Controller: 1, ControllerEpoch: 1, BrokerEpoch: meta.NoBrokerEpoch}, parts)
		if err != nil {
			b.Fatal(err)
		}
		for _, err := range results {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed())/float64(n)/partitions/float64(time.Microsecond), "µs/partition")
}
