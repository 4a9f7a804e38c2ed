package fetchsession

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// A watcher that does as Forgotten and Asked say has the same partitions as a session that lists them.
func TestAWatcherHasWhatTheSessionHas(t *testing.T) {
	for seed := range uint64(20) {
		for _, usesIDs := range []bool{false, true} {
			t.Run(fmt.Sprint(seed, usesIDs), func(t *testing.T) { lockstep(t, seed, usesIDs) })
		}
	}
}

func lockstep(t *testing.T, seed uint64, usesIDs bool) {
	rng := rand.New(rand.NewPCG(seed, 7))
	names := map[meta.TopicID]string{}
	resolve := func(id meta.TopicID) (string, bool) { n, ok := names[id]; return n, ok }
	topics := make([]meta.TopicID, 8)
	for i := range topics {
		topics[i] = meta.NewTopicID()
		if i < 4 {
			names[topics[i]] = fmt.Sprint("topic-", i)
		}
	}
	listed, watched := NewCache(Options{Slots: 8}), NewCache(Options{Slots: 8})
	var listedID, watchedID, epoch int32
	var watcher map[int]Partition // by slot
	newWatcher := func() any {
		watcher = map[int]Partition{}
		return &watcher
	}
	for step := range 300 {
		req := kmsg.NewPtrFetchRequest()
		req.Version, req.SessionEpoch = 12, epoch
		if usesIDs {
			req.Version = 17
		}
		for range rng.IntN(4) {
			i := rng.IntN(len(topics))
			topic := kmsg.NewFetchRequestTopic()
			if topic.Topic = fmt.Sprint("topic-", i); usesIDs {
				topic.Topic, topic.TopicID = "", topics[i]
			}
			p := kmsg.NewFetchRequestTopicPartition()
			p.Partition, p.FetchOffset = rng.Int32N(3), rng.Int64N(1000)
			topic.Partitions = append(topic.Partitions, p)
			req.Topics = append(req.Topics, topic)
		}
		if epoch == 0 && len(req.Topics) == 0 {
			continue
		}
		for range rng.IntN(3) {
			i := rng.IntN(len(topics))
			topic := kmsg.NewFetchRequestForgottenTopic()
			if topic.Topic = fmt.Sprint("topic-", i); usesIDs {
				topic.Topic, topic.TopicID = "", topics[i]
			}
			topic.Partitions = []int32{rng.Int32N(3)}
			req.ForgottenTopics = append(req.ForgottenTopics, topic)
		}
		if rng.IntN(20) == 0 {
			i := rng.IntN(len(topics))
			names[topics[i]] = fmt.Sprint("topic-", i)
		}
		req.SessionID = listedID
		a, codeA := listed.Begin(req, true, resolve)
		req.SessionID = watchedID
		b, codeB := watched.BeginWatched(req, true, resolve, newWatcher)
		if codeA != codeB {
			t.Fatalf("step %d: %v listed, %v watched", step, codeA, codeB)
		}
		if codeA != wire.None {
			epoch = 0
			continue
		}
		results := make([]Result, len(a.Partitions()))
		want := map[key]Partition{}
		for _, p := range a.Partitions() {
			want[p.key()] = p
		}
		if b.Watched() == nil {
			listedID, _, _ = a.Finish(results)
			watchedID, _, _ = b.Finish(make([]Result, len(b.Partitions())))
		} else {
			got := map[key]Partition{}
			for _, slot := range b.Forgotten() {
				delete(watcher, slot)
			}
			for _, asked := range b.Asked() {
				watcher[asked.Slot] = asked.Partition
			}
			for _, p := range watcher {
				got[p.key()] = p
			}
			for _, p := range b.Unresolved() {
				got[p.Partition.key()] = p.Partition
			}
			if !maps.Equal(got, want) {
				t.Fatalf("step %d: the watcher has %v, the session %v", step, got, want)
			}
			listedID, _, _ = a.Finish(results)
			if rng.IntN(10) == 0 {
				// The answer is not given: the next request finds the session busy, and everything is asked anew.
			} else if watchedID, _, codeB = b.FinishSlots(nil, nil); codeB != wire.None {
				t.Fatalf("step %d: %v", step, codeB)
			}
		}
		epoch = nextEpoch(epoch)
		if listedID == 0 {
			epoch = 0
		}
	}
}

// What FinishSlots includes is what is new.
func TestFinishSlotsIncludesNews(t *testing.T) {
	c := NewCache(Options{Slots: 8})
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.SessionEpoch = 12, initialEpoch
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = "orders"
	for i := range int32(3) {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition = i
		topic.Partitions = append(topic.Partitions, p)
	}
	req.Topics = append(req.Topics, topic)
	none := func(meta.TopicID) (string, bool) { return "", false }
	f, _ := c.BeginWatched(req, true, none, func() any { return 1 })
	id, _, _ := f.Finish([]Result{{HighWatermark: 1}, {HighWatermark: 2}, {HighWatermark: 3}})

	req = kmsg.NewPtrFetchRequest()
	req.Version, req.SessionID, req.SessionEpoch = 12, id, 1
	f, code := c.BeginWatched(req, true, none, func() any { return 1 })
	if code != wire.None || f.Watched() != 1 || len(f.Asked()) != 3 || len(f.Partitions()) != 0 {
		t.Fatalf("%v: watched by %v, asked %v", code, f.Watched(), f.Asked())
	}
	bySlot := map[int32]int{}
	for _, a := range f.Asked() {
		bySlot[a.Partition.Partition] = a.Slot
	}
	_, include, code := f.FinishSlots([]int{bySlot[2], bySlot[0], bySlot[1]}, []Result{{HighWatermark: 3}, {HighWatermark: 5}, {HighWatermark: 2, RecordBytes: 7}})
	if code != wire.None || fmt.Sprint(include) != "[false true true]" {
		t.Errorf("%v: included %v", code, include)
	}

	req.SessionEpoch = 2
	slow, _ := c.BeginWatched(req, true, none, func() any { return 2 })
	if slow.Watched() != 1 || len(slow.Asked()) != 0 {
		t.Errorf("the next fetch is watched by %v and asks for %v", slow.Watched(), slow.Asked())
	}
	req.SessionEpoch = 3
	next, _ := c.BeginWatched(req, true, none, func() any { return 2 })
	if next.Watched() != 2 || len(next.Asked()) != 3 {
		t.Errorf("a fetch that overtakes is watched by %v and asks for %v", next.Watched(), next.Asked())
	}
	if _, _, code := slow.FinishSlots(nil, nil); code != wire.ErrInvalidFetchSessionEpoch {
		t.Errorf("the one overtaken: %v", code)
	}
}
