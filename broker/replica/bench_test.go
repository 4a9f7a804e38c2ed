package replica

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// benchLeader leads n partitions that broker 2 follows.
func benchLeader(b *testing.B, n int, metrics prometheus.Registerer) (*Manager, []FetchPartition) {
	topic := storage.DefaultLogConfig()
	topic.MaxIndexBytes = 4096
	logs, err := storage.OpenManager(context.Background(), storage.ManagerOptions{Dirs: []string{"/logs"}, FS: vfs.NewMem(), Metrics: metrics,
		TopicConfig: func(string) *storage.LogConfig { return &topic }})
	check(b, err)
	m := New(Options{BrokerID: 1, Config: testConfig(), Logs: logs, Metadata: metadata.NewCache(), Logger: zap.NewNop(), Metrics: metrics})
	assigned := make([]Assigned, n)
	parts := make([]FetchPartition, n)
	for i := range assigned {
		tp := meta.TopicPartition{Topic: fmt.Sprintf("topic-%d", i/10), Partition: int32(i % 10)}
		assigned[i] = Assigned{Partition: tp, LeaderAndISR: meta.LeaderAndISR{Leader: 1, ISR: []meta.BrokerID{1, 2}},
			Assignment: meta.Assignment{Replicas: []meta.BrokerID{1, 2}}, IsNew: true}
		parts[i] = FetchPartition{Partition: tp, MaxBytes: 1 << 20, CurrentLeaderEpoch: 0, LastFetchedEpoch: meta.NoLeaderEpoch}
	}
	_, err = m.LeaderAndISR(Sender{BrokerEpoch: meta.NoBrokerEpoch}, assigned)
	check(b, err)
	return m, parts
}

// One poll of a follower of 6,000 partitions when nothing happens.
func BenchmarkIdlePoll(b *testing.B) {
	m, parts := benchLeader(b, 6000, nil)
	params := &FetchParams{Replica: 2, MaxWait: time.Nanosecond, MinBytes: 1, MaxBytes: 10 << 20, WholeBatch: true}
	b.ReportAllocs()
	for b.Loop() {
		releaseAll(m.Fetch(context.Background(), params, parts))
	}
}

// The same in a session: the watch reads what moved, which is nothing.
func BenchmarkIdleWatchPoll(b *testing.B) {
	m, parts := benchLeader(b, 6000, nil)
	w := m.NewWatch(2)
	asks := make([]WatchAsk, len(parts))
	for i := range parts {
		asks[i] = WatchAsk{i, parts[i]}
	}
	params := &FetchParams{Replica: 2, MinBytes: 1, MaxBytes: 10 << 20, WholeBatch: true}
	w.Poll(context.Background(), params, asks, nil)
	params.MaxWait = time.Nanosecond
	b.ReportAllocs()
	for b.Loop() {
		w.Poll(context.Background(), params, nil, nil)
	}
}

// One record to one of 6,000 partitions, fetched in a session by a follower that waits for it.
func BenchmarkWatchPollWithOneRecord(b *testing.B) {
	m, parts := benchLeader(b, 6000, nil)
	w := m.NewWatch(2)
	asks := make([]WatchAsk, len(parts))
	for i := range parts {
		asks[i] = WatchAsk{i, parts[i]}
	}
	params := &FetchParams{Replica: 2, MaxWait: time.Minute, MinBytes: 1, MaxBytes: 10 << 20, WholeBatch: true}
	b.ReportAllocs()
	for b.Loop() {
		parked := make(chan []Polled)
		go func() { parked <- w.Poll(context.Background(), params, asks, nil) }()
		if a := m.Append(AppendRequest{Partition: parts[77].Partition, Acks: 1, Records: testBatch(1, "x")}); a.Err != nil {
			b.Fatal(a.Err)
		}
		<-parked
		parts[77].Offset++
		parts[77].LastFetchedEpoch = 0
		asks = []WatchAsk{{77, parts[77]}}
	}
}

// One record to one of 6,000 partitions, fetched by a follower that waits for it.
func BenchmarkPollWithOneRecord(b *testing.B) {
	m, parts := benchLeader(b, 6000, nil)
	params := &FetchParams{Replica: 2, MaxWait: time.Minute, MinBytes: 1, MaxBytes: 10 << 20, WholeBatch: true}
	b.ReportAllocs()
	for b.Loop() {
		parked := make(chan []Fetched)
		go func() { parked <- m.Fetch(context.Background(), params, parts) }()
		tp := parts[77].Partition
		if a := m.Append(AppendRequest{Partition: tp, Acks: 1, Records: testBatch(1, "x")}); a.Err != nil {
			b.Fatal(a.Err)
		}
		releaseAll(<-parked)
		parts[77].Offset++
		parts[77].LastFetchedEpoch = 0
	}
}
