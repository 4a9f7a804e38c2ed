package metadata

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

func partitionState(id, leader int32, isr ...int32) kmsg.UpdateMetadataRequestTopicPartition {
	p := kmsg.NewUpdateMetadataRequestTopicPartition()
	p.Partition, p.Leader, p.LeaderEpoch, p.ZKVersion, p.ControllerEpoch = id, leader, 5, 6, 7
	p.ISR, p.Replicas = isr, isr
	return p
}

func topicState(name string, id byte, partitions ...kmsg.UpdateMetadataRequestTopicPartition) kmsg.UpdateMetadataRequestTopicState {
	t := kmsg.NewUpdateMetadataRequestTopicState()
	t.Topic, t.PartitionStates = name, partitions
	t.TopicID[0], t.TopicID[15] = id, id
	return t
}

func update(topics ...kmsg.UpdateMetadataRequestTopicState) *kmsg.UpdateMetadataRequest {
	r := kmsg.NewPtrUpdateMetadataRequest()
	r.SetVersion(8)
	r.ControllerID = 1
	r.TopicStates = topics
	for id := range int32(3) {
		b := kmsg.NewUpdateMetadataRequestLiveBroker()
		b.ID = 2 - id
		rack := fmt.Sprint("rack", b.ID)
		b.Rack = &rack
		b.Endpoints = []kmsg.UpdateMetadataRequestLiveBrokerEndpoint{
			{ListenerName: "CLIENT", Host: "host", Port: 9000 + b.ID},
			{ListenerName: "INTER", Host: "host", Port: 9100 + b.ID, SecurityProtocol: 3},
		}
		r.LiveBrokers = append(r.LiveBrokers, b)
	}
	return r
}

func TestEmpty(t *testing.T) {
	s := NewCache().Load()
	if s.ControllerID() != meta.NoBroker || len(s.Brokers()) != 0 || s.TopicCount() != 0 || s.PartitionCount() != 0 {
		t.Errorf("not empty: %+v", s)
	}
	if s.Topic("t") != nil || s.TopicByID(meta.TopicID{}) != nil || s.Partition("t", 0) != nil || s.Alive(0) {
		t.Error("found something in nothing")
	}
	for range s.Topics() {
		t.Error("a topic in nothing")
	}
}

func TestApply(t *testing.T) {
	c := NewCache()
	empty := c.Load()
	changes := c.Apply(update(topicState("a", 1, partitionState(2, 0, 0, 1), partitionState(0, 1, 1, 2)), topicState("b", 2, partitionState(0, -1))))
	if !changes.Controller || len(changes.Deleted) != 0 {
		t.Errorf("changes %+v", changes)
	}
	select {
	case <-empty.Superseded():
	default:
		t.Error("the empty snapshot does not know of its successor")
	}

	s := c.Load()
	if s.ControllerID() != 1 || s.TopicCount() != 2 || s.PartitionCount() != 3 {
		t.Errorf("controller %d, %d topics, %d partitions", s.ControllerID(), s.TopicCount(), s.PartitionCount())
	}
	a := s.Topic("a")
	if a == nil || s.TopicByID(a.ID) != a || a.ID[0] != 1 {
		t.Fatal("topic a is not found by name and id")
	}
	if p := s.Partition("a", 2); p == nil || p.Leader != 0 || p.LeaderEpoch != 5 || p.PartitionEpoch != 6 || p.ControllerEpoch != 7 ||
		!slices.Equal(p.ISR, []meta.BrokerID{0, 1}) || !slices.Equal(p.Replicas, []meta.BrokerID{0, 1}) || len(p.Offline) != 0 {
		t.Errorf("partition a-2: %+v", p)
	}
	for _, id := range []int32{-1, 1, 3} {
		if a.Partition(id) != nil {
			t.Errorf("found a-%d", id)
		}
	}
	if ids := partitionIDs(a); !slices.Equal(ids, []int32{0, 2}) {
		t.Errorf("partitions of a: %v", ids)
	}
	if e, ok := s.Endpoint(2, "INTER"); !ok || e.Port != 9102 || e.Protocol != "SASL_SSL" {
		t.Errorf("endpoint %+v", e)
	}
	if b, ok := s.Broker(1); !ok || b.Rack != "rack1" || !s.Alive(1) {
		t.Errorf("broker 1: %+v", b)
	}
	if _, ok := s.Endpoint(9, "INTER"); ok || s.Alive(9) {
		t.Error("found broker 9")
	}
	if !slices.IsSortedFunc(s.Brokers(), func(a, b meta.Broker) int { return int(a.ID - b.ID) }) {
		t.Error("brokers are not sorted")
	}
}

// TestWhatDidNotChangeIsShared: news about one partition leave the others, and the older snapshot, as they were.
func TestWhatDidNotChangeIsShared(t *testing.T) {
	c := NewCache()
	c.Apply(update(topicState("a", 1, partitionState(0, 0, 0), partitionState(1, 0, 0), partitionState(2, 0, 0)), topicState("b", 2, partitionState(0, 1, 1))))
	before := c.Load()
	c.Apply(update(topicState("a", 1, partitionState(1, 2, 2), partitionState(2, 0, 0))))
	after := c.Load()

	if before.Partition("a", 1).Leader != 0 || after.Partition("a", 1).Leader != 2 {
		t.Error("the older snapshot changed, or the newer did not")
	}
	if before.Topic("b") != after.Topic("b") || before.Partition("a", 0) != after.Partition("a", 0) {
		t.Error("untouched topics and partitions are not shared")
	}
	if before.Partition("a", 2) != after.Partition("a", 2) {
		t.Error("a partition that was told again as it is was made anew")
	}
	if &before.Brokers()[0] != &after.Brokers()[0] {
		t.Error("the same brokers were made anew")
	}
}

func TestDeletion(t *testing.T) {
	c := NewCache()
	c.Apply(update(topicState("a", 1, partitionState(0, 0, 0), partitionState(1, 0, 0)), topicState("b", 2, partitionState(0, 1, 1))))
	id := c.Load().Topic("a").ID
	gone := partitionState(0, int32(meta.LeaderDuringDelete))

	changes := c.Apply(update(topicState("a", 1, gone)))
	if s := c.Load(); s.Partition("a", 0) != nil || s.Partition("a", 1) == nil || s.TopicByID(id) == nil || s.PartitionCount() != 2 {
		t.Error("not exactly partition a-0 was deleted")
	}
	if want := []meta.TopicPartition{{Topic: "a", Partition: 0}}; !slices.Equal(changes.Deleted, want) {
		t.Errorf("deleted %v", changes.Deleted)
	}

	gone.Partition = 1
	c.Apply(update(topicState("a", 1, gone)))
	if s := c.Load(); s.Topic("a") != nil || s.TopicByID(id) != nil || s.TopicCount() != 1 || s.PartitionCount() != 1 {
		t.Error("topic a outlived its last partition")
	}
	if changes := c.Apply(update(topicState("unknown", 0, gone))); len(changes.Deleted) != 1 || c.Load().TopicCount() != 1 {
		t.Error("deletion of what is not known")
	}
}

func TestTopicIDs(t *testing.T) {
	c := NewCache()
	c.Apply(update(topicState("a", 1, partitionState(0, 0, 0))))
	old := c.Load().Topic("a").ID
	c.Apply(update(topicState("a", 9, partitionState(0, 0, 0))))
	if s := c.Load(); s.TopicByID(old) != nil || s.TopicByID(s.Topic("a").ID) == nil || s.Topic("a").ID[0] != 9 {
		t.Error("a new id does not take the old one's place")
	}
	c.Apply(update(topicState("a", 0, partitionState(0, 0, 0))))
	if s := c.Load(); !s.Topic("a").ID.IsZero() || s.ids.len != 0 {
		t.Error("an id that was dropped is still there")
	}
}

func TestOldBrokerFormats(t *testing.T) {
	c := NewCache()
	r := kmsg.NewPtrUpdateMetadataRequest()
	r.LiveBrokers = []kmsg.UpdateMetadataRequestLiveBroker{{ID: 4, Host: "h", Port: 1}}
	c.Apply(r)
	if e, ok := c.Load().Endpoint(4, "PLAINTEXT"); !ok || e.Host != "h" || e.Port != 1 {
		t.Errorf("version 0: %+v", e)
	}
	r.SetVersion(2)
	r.LiveBrokers = []kmsg.UpdateMetadataRequestLiveBroker{{ID: 4, Endpoints: []kmsg.UpdateMetadataRequestLiveBrokerEndpoint{
		{Host: "h", Port: 2, SecurityProtocol: 1}, {Host: "h", Port: 3, SecurityProtocol: 2}, {Host: "h", Port: 4, SecurityProtocol: 77}}}}
	c.Apply(r)
	if e, ok := c.Load().Endpoint(4, "SASL_PLAINTEXT"); !ok || e.Port != 3 {
		t.Errorf("version 2: %+v", e)
	}
}

// TestAgainstModel applies random requests of old and new versions to the cache and to plain maps.
func TestAgainstModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	c := NewCache()
	type key struct {
		topic     string
		partition int32
	}
	model, ids := map[key]int32{}, map[string]byte{}
	for round := range 400 {
		var topics []kmsg.UpdateMetadataRequestTopicState
		for range r.IntN(4) {
			n, id := r.IntN(30), byte(0)
			name := fmt.Sprint("t", n)
			if r.IntN(5) > 0 {
				id = byte(n) + 1
			}
			var states []kmsg.UpdateMetadataRequestTopicPartition
			for range r.IntN(6) {
				leader := int32(r.IntN(6) - 2)
				p := partitionState(int32(r.IntN(8)), leader, leader)
				p.Topic, p.LeaderEpoch = name, int32(round)
				states = append(states, p)
			}
			topics = append(topics, topicState(name, id, states...))
		}
		req := update(topics...)
		if r.IntN(3) == 0 {
			req.SetVersion(4)
			for _, topic := range topics {
				req.PartitionStates = append(req.PartitionStates, topic.PartitionStates...)
			}
			req.TopicStates = nil
		}
		for _, topic := range topics {
			if len(topic.PartitionStates) == 0 && req.Version == 4 {
				continue
			}
			last := map[int32]int32{} // what the request says last about a partition, per topic entry
			for _, p := range topic.PartitionStates {
				last[p.Partition] = p.Leader
			}
			for p, leader := range last {
				if leader == -2 {
					delete(model, key{topic.Topic, p})
				} else {
					model[key{topic.Topic, p}] = leader
				}
			}
			ids[topic.Topic] = topic.TopicID[0]
			if req.Version == 4 {
				ids[topic.Topic] = 0
			}
			if !slices.ContainsFunc(slices.Collect(maps.Keys(model)), func(k key) bool { return k.topic == topic.Topic }) {
				delete(ids, topic.Topic)
			}
		}
		c.Apply(req)

		s := c.Load()
		count := 0
		for topic := range s.Topics() {
			if topic.ID[0] != ids[topic.Name] || s.Topic(topic.Name) != topic {
				t.Fatalf("round %d: topic %s with id %v", round, topic.Name, topic.ID[0])
			}
			if !topic.ID.IsZero() && s.TopicByID(topic.ID) != topic {
				t.Fatalf("round %d: topic %s is not found by id", round, topic.Name)
			}
			for _, p := range topic.Partitions {
				count++
				if leader, ok := model[key{topic.Name, p.ID}]; !ok || leader != int32(p.Leader) || topic.Partition(p.ID) != p {
					t.Fatalf("round %d: %s-%d led by %d, want %d %v", round, topic.Name, p.ID, p.Leader, leader, ok)
				}
			}
			if !slices.IsSorted(partitionIDs(topic)) {
				t.Fatalf("round %d: %v is not sorted", round, partitionIDs(topic))
			}
		}
		if count != len(model) || s.PartitionCount() != count || s.TopicCount() != len(ids) {
			t.Fatalf("round %d: %d partitions, said %d, want %d; %d topics, want %d", round, count, s.PartitionCount(), len(model), s.TopicCount(), len(ids))
		}
	}
}

func partitionIDs(t *Topic) []int32 {
	var ids []int32
	for _, p := range t.Partitions {
		ids = append(ids, p.ID)
	}
	return ids
}
