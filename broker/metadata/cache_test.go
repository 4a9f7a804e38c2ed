package metadata

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/wire"
)

// TestRecordedUpdates applies what controllers of Apache Kafka 3.9.1 told a broker at three inter-broker protocol
// versions while topics came and went and a broker shut down.
func TestRecordedUpdates(t *testing.T) {
	f, err := os.Open("testdata/update_metadata.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	caches, versions := map[string]*Cache{}, map[int16]bool{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var l struct {
			File    string
			Request []byte
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		_, req, err := wire.DecodeRequest(l.Request)
		if err != nil {
			t.Fatal(err)
		}
		if caches[l.File] == nil {
			caches[l.File] = NewCache()
		}
		um := req.(*kmsg.UpdateMetadataRequest)
		versions[um.Version] = true
		caches[l.File].Apply(um)

		s := caches[l.File].Load()
		for _, b := range s.Brokers() {
			if _, ok := b.Endpoint("INTER"); !ok {
				t.Errorf("%s: broker %d has no INTER endpoint: %+v", l.File, b.ID, b.Endpoints)
			}
		}
		for _, ts := range um.TopicStates {
			for _, p := range ts.PartitionStates {
				switch got := s.Partition(ts.Topic, p.Partition); {
				case p.Leader == -2 && got != nil:
					t.Errorf("%s: %s-%d was deleted and is still there", l.File, ts.Topic, p.Partition)
				case p.Leader != -2 && (got == nil || int32(got.Leader) != p.Leader):
					t.Errorf("%s: %s-%d is %+v, led by %d", l.File, ts.Topic, p.Partition, got, p.Leader)
				}
			}
		}
	}
	for _, v := range []int16{4, 6, 8} {
		if !versions[v] {
			t.Errorf("no request of version %d among those recorded", v)
		}
	}
	if s := caches["22-delete-topic"].Load(); s.TopicCount() != 0 {
		t.Errorf("%d topics left after deletion", s.TopicCount())
	}
}

// TestReadersSeeOneState: while updates follow one another, whoever loads a snapshot sees both topics at the same epoch.
func TestReadersSeeOneState(t *testing.T) {
	c := NewCache()
	round := func(epoch int32) *kmsg.UpdateMetadataRequest {
		a, b := partitionState(0, 1, 1), partitionState(0, 1, 1)
		a.LeaderEpoch, b.LeaderEpoch = epoch, epoch
		return update(topicState("a", 1, a), topicState("b", 2, b))
	}
	c.Apply(round(0))
	const last = 2000
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				s := c.Load()
				a, b := s.Partition("a", 0), s.Partition("b", 0)
				if a.LeaderEpoch != b.LeaderEpoch {
					t.Errorf("epochs %d and %d in one snapshot", a.LeaderEpoch, b.LeaderEpoch)
					return
				}
				if a.LeaderEpoch == last {
					return
				}
				<-s.Superseded()
			}
		})
	}
	for epoch := int32(1); epoch <= last; epoch++ {
		c.Apply(round(epoch))
	}
	wg.Wait()
}

func fleet(topics, partitions int) *kmsg.UpdateMetadataRequest {
	var states []kmsg.UpdateMetadataRequestTopicState
	for i := range topics {
		t := topicState(fmt.Sprint("topic-", i), 0)
		t.TopicID[10], t.TopicID[11], t.TopicID[12], t.TopicID[0] = byte(i), byte(i>>8), byte(i>>16), 1
		for p := range partitions {
			t.PartitionStates = append(t.PartitionStates, partitionState(int32(p), int32(p%3), 0, 1, 2))
		}
		states = append(states, t)
	}
	return update(states...)
}

func BenchmarkOnePartition(b *testing.B) {
	for _, size := range []struct{ topics, partitions int }{{20_000, 1}, {200, 100}, {1, 20_000}} {
		b.Run(fmt.Sprintf("%dx%d", size.topics, size.partitions), func(b *testing.B) {
			c := NewCache()
			full := fleet(size.topics, size.partitions)
			c.Apply(full)
			news := update(full.TopicStates[0])
			news.TopicStates[0].PartitionStates = news.TopicStates[0].PartitionStates[:1:1]
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				news.TopicStates[0].PartitionStates[0].LeaderEpoch = int32(i)
				c.Apply(news)
			}
		})
	}
}

func BenchmarkFleet(b *testing.B) {
	full := fleet(2000, 10)
	b.ReportAllocs()
	for b.Loop() {
		NewCache().Apply(full)
	}
}

func BenchmarkLookup(b *testing.B) {
	c := NewCache()
	c.Apply(fleet(2000, 10))
	b.ReportAllocs()
	for b.Loop() {
		if c.Load().Partition("topic-1234", 7) == nil {
			b.Fatal("not found")
		}
	}
}
