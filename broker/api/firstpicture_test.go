package api

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/transport"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// topicList is a ZooKeeper that knows the names of topics.
type topicList struct {
	Znodes
	names []string
	err   error
	asked int
}

func (l *topicList) TopicNames(context.Context) ([]string, error) {
	l.asked++
	return l.names, l.err
}

// Topics says that every topic has partitions 0 to 2 if its name is "large", and else partition 0.
func (l *topicList) Topics(_ context.Context, names []string) (map[string]meta.TopicAssignment, map[string]error, error) {
	topics := map[string]meta.TopicAssignment{}
	for _, name := range names {
		topics[name] = meta.TopicAssignment{Partitions: map[int32]meta.Assignment{0: {}}}
		if name == "large" {
			topics[name] = meta.TopicAssignment{Partitions: map[int32]meta.Assignment{0: {}, 1: {}, 2: {}}}
		}
	}
	return topics, nil, l.err
}

// tell sends a handler's broker an UpdateMetadata about partition 0 of the given topics.
func tell(h *Handler, topics ...string) { tellOf(h, 0, topics...) }

func tellOf(h *Handler, partition int32, topics ...string) {
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version, req.ControllerID = 8, 1
	b := kmsg.NewUpdateMetadataRequestLiveBroker()
	b.ID = 1
	e := kmsg.NewUpdateMetadataRequestLiveBrokerEndpoint()
	e.Host, e.Port = "localhost", 9092
	b.Endpoints = append(b.Endpoints, e)
	req.LiveBrokers = append(req.LiveBrokers, b)
	for _, name := range topics {
		t := kmsg.NewUpdateMetadataRequestTopicState()
		t.Topic = name
		p := kmsg.NewUpdateMetadataRequestTopicPartition()
		p.Partition, p.Leader, p.ISR, p.Replicas = partition, 1, []int32{1}, []int32{1}
		t.PartitionStates = append(t.PartitionStates, p)
		req.TopicStates = append(req.TopicStates, t)
	}
	h.Metadata.Apply(req)
}

// lookup asks for topics, or all if none is named: what is known, what may exist though it is not known, and how long that took.
func lookup(t *testing.T, h *Handler, asked ...string) (p *picture, took time.Duration) {
	t.Helper()
	began := time.Now()
	return h.informed(t.Context(), asked), time.Since(began)
}

// TestFirstPicture lets a fresh broker be asked while the controller tells it about the fleet bit by bit: it never denies a
// topic that exists.
func TestFirstPicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, &scripted{})
		zk := &topicList{names: []string{"a", "b"}}
		h.Znodes = func() Znodes { return zk }

		if p, took := lookup(t, h, "a"); p.whole || took != firstWord {
			t.Errorf("before anybody has spoken: %+v after %v", p, took)
		}
		tell(h) // who is alive, and no more, as controllers begin
		if p, took := lookup(t, h, "a"); !p.mayHave("a") || p.mayHave("x") || took != firstWord {
			t.Errorf("without a word about topics: %+v after %v", p, took)
		}
		if p, took := lookup(t, h, "x"); p.mayHave("x") || took != 0 {
			t.Errorf("a topic that does not exist: %+v after %v", p, took)
		}
		time.AfterFunc(time.Second, func() { tell(h, "a") })
		if p, took := lookup(t, h, "a"); p.Topic("a") == nil || took != time.Second {
			t.Errorf("once the controller has told of the topic: %+v after %v", p, took)
		}
		if p, took := lookup(t, h); p.Topic("a") == nil || !p.mayHave("b") || took != firstWord {
			t.Errorf("all, while one is missing: %+v after %v", p, took)
		}
		time.AfterFunc(time.Second, func() { tell(h, "b") })
		if p, took := lookup(t, h); !p.whole || len(p.unseen) > 0 || took != time.Second {
			t.Errorf("all: %+v after %v", p, took)
		}
		zk.names = append(zk.names, "c") // from now on the controller's word is enough
		asked := zk.asked
		if p, took := lookup(t, h); !p.whole || p.mayHave("c") || took != 0 || zk.asked != asked {
			t.Errorf("later: %+v after %v", p, took)
		}
	})
}

// TestFirstPictureWithoutZooKeeper: what cannot be looked up is not denied.
func TestFirstPictureWithoutZooKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, &scripted{})
		zk := &topicList{names: []string{"a"}, err: errors.New("ZooKeeper is away")}
		h.Znodes = func() Znodes { return zk }
		tell(h)
		if p, took := lookup(t, h, "x"); !p.mayHave("x") || took != firstWord {
			t.Errorf("while ZooKeeper is away: %+v after %v", p, took)
		}
		zk.err = nil
		if p, took := lookup(t, h, "x"); p.mayHave("x") || took != 0 {
			t.Errorf("when it is back: %+v after %v", p, took)
		}
	})
}

// TestFirstPictureWithBrokenTopic: what the controller never tells of is waited for only so long.
func TestFirstPictureWithBrokenTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, &scripted{})
		zk := &topicList{names: []string{"a", "broken"}}
		h.Znodes = func() Znodes { return zk }
		tell(h, "a")
		if p, took := lookup(t, h, "a"); p.Topic("a") == nil || took != 0 {
			t.Errorf("a topic that was told of: %+v after %v", p, took)
		}
		began := time.Now()
		for {
			if p, took := lookup(t, h); !p.mayHave("broken") {
				break
			} else if took != firstWord {
				t.Fatalf("all: %+v after %v", p, took)
			}
		}
		if took := time.Since(began); took > firstPictureGrace+firstWord {
			t.Errorf("waited for %v", took)
		}
	})
}

// TestFirstPictureOfATopic: a topic of which some partitions were told of is not shown in part. Clients take partitions for gone then,
// or the answer for nonsense.
func TestFirstPictureOfATopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, &scripted{})
		h.Znodes = func() Znodes { return &topicList{names: []string{"a", "large"}} }
		tell(h, "a")
		tellOf(h, 2, "large")
		if p, took := lookup(t, h, "large"); p.Topic("large") != nil || !p.mayHave("large") || p.Topic("a") == nil || took != firstWord {
			t.Errorf("one of three partitions: %+v after %v", p, took)
		}
		if got := h.unknownPartition(t.Context(), "large", 1); got != wire.ErrNotLeaderOrFollower {
			t.Errorf("a partition that was not told of: %v", got)
		}
		if got := h.unknownPartition(t.Context(), "a", 1); got != wire.ErrUnknownTopicOrPartition {
			t.Errorf("a partition that does not exist: %v", got)
		}
		resp := kmsg.NewPtrMetadataResponse()
		m := metadataAnswer{h: h, c: &call{Request: &transport.Request{}}, req: kmsg.NewPtrMetadataRequest(), resp: resp, snapshot: h.informed(t.Context(), []string{"large"})}
		m.byName("large")
		if len(resp.Topics) != 1 || wire.Code(resp.Topics[0].ErrorCode) != wire.ErrLeaderNotAvailable || len(resp.Topics[0].Partitions) != 0 {
			t.Errorf("the answer to a Metadata request: %+v", resp.Topics)
		}
		time.AfterFunc(time.Second, func() { tellOf(h, 0, "large") })
		time.AfterFunc(2*time.Second, func() { tellOf(h, 1, "large") })
		if p, took := lookup(t, h, "large"); p.Topic("large") == nil || took != 2*time.Second || !h.first.settled.Load() {
			t.Errorf("all: %+v after %v", p, took)
		}
	})
}

// TestFirstPictureOfReadersAndWriters: who reads or writes is sent on, and not told that there is no such topic, until that is
// certain.
func TestFirstPictureOfReadersAndWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handler(t, &scripted{})
		zk := &topicList{names: []string{"a"}}
		h.Znodes = func() Znodes { return zk }
		expect := func(when, topic string, want, wantByID wire.Code) {
			t.Helper()
			began := time.Now()
			if got := h.unknownTopic(t.Context(), topic); got != want {
				t.Errorf("%s, %s: %v", when, topic, got)
			}
			if got := h.unknownTopicID(t.Context()); got != wantByID {
				t.Errorf("%s, an id: %v", when, got)
			}
			if took := time.Since(began); took != 0 {
				t.Errorf("%s, %s: answered after %v", when, topic, took)
			}
		}
		expect("before anybody has spoken", "a", wire.ErrNotLeaderOrFollower, wire.ErrNotLeaderOrFollower)
		expect("before anybody has spoken", "x", wire.ErrNotLeaderOrFollower, wire.ErrNotLeaderOrFollower)
		tell(h)
		expect("without a word about topics", "a", wire.ErrNotLeaderOrFollower, wire.ErrNotLeaderOrFollower)
		expect("without a word about topics", "x", wire.ErrUnknownTopicOrPartition, wire.ErrNotLeaderOrFollower)
		tell(h, "a")
		expect("when all topics are known", "x", wire.ErrUnknownTopicOrPartition, wire.ErrUnknownTopicID)
		if !h.first.settled.Load() {
			t.Error("the picture is not settled")
		}
	})
}
