package replica

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

var fromController = Sender{Controller: 1, ControllerEpoch: 1, BrokerEpoch: meta.NoBrokerEpoch}

// all is what a controller says that leaves nothing out but topics.
func (f *fleet) all(without ...string) []Assigned {
	var all []Assigned
	for tp, p := range f.parts {
		if !strings.Contains(strings.Join(without, " "), tp.Topic) {
			all = append(all, Assigned{Partition: tp, TopicID: p.id, LeaderAndISR: p.state, Assignment: p.Assignment})
		}
	}
	return all
}

func TestStraysAreFound(t *testing.T) {
	inMovingFleet(t, 1, func(t *testing.T, f *fleet) {
		n := f.nodes[1]
		for _, topic := range []string{"kept", "gone", "moving", "other"} {
			tp := f.createIn(topic, 20, 1)
			if topic == "moving" {
				f.halfway(tp)
			}
		}
		n.bounce()
		other := f.parts[meta.TopicPartition{Topic: "other"}]
		other.id = meta.NewTopicID()
		found := func(without ...string) string {
			t.Helper()
			strays, err := n.m.Strays(fromController, f.all(without...))
			check(t, err)
			var topics []string
			for _, s := range strays {
				topics = append(topics, s.Partition.Topic)
				if log, _ := n.logs.Log(s.Partition); log.TopicID() != s.TopicID {
					t.Errorf("%s is said to have topic id %s", s.Partition, s.TopicID)
				}
			}
			return strings.Join(topics, " ")
		}
		if got := found(); got != "other" {
			t.Errorf("found %q", got)
		}
		if got := found("gone", "moving", "other"); got != "gone moving other" {
			t.Errorf("found %q", got)
		}
		if _, err := n.m.Strays(Sender{ControllerEpoch: 0}, nil); err == nil {
			t.Error("a deposed controller was heeded")
		}
		n.logs.FailDir("/c", syscall.EIO)
		if got := found("gone", "moving", "other"); got != "" {
			t.Errorf("found %s with a directory offline", got)
		}
	})
}

// What belongs here is for ZooKeeper to say.
func TestStraysBelongNowhere(t *testing.T) {
	m := New(Options{BrokerID: 1})
	id, other := meta.NewTopicID(), meta.NewTopicID()
	s := Stray{meta.TopicPartition{Topic: "t", Partition: 3}, id}
	topic := func(id meta.TopicID, partition int32, a meta.Assignment) *meta.TopicAssignment {
		return &meta.TopicAssignment{ID: id, Partitions: map[int32]meta.Assignment{partition: a}}
	}
	here, adding := meta.Assignment{Replicas: []meta.BrokerID{2, 1}}, meta.Assignment{Replicas: []meta.BrokerID{2, 1}, Adding: []meta.BrokerID{1}}
	for _, c := range []struct {
		name  string
		topic *meta.TopicAssignment
		want  bool
	}{
		{"assigned here", topic(id, 3, here), true},
		{"being added", topic(id, 3, adding), true},
		{"a topic without id", topic(meta.TopicID{}, 3, here), true},
		{"no topic", nil, false},
		{"another topic", topic(other, 3, here), false},
		{"another partition", topic(id, 4, here), false},
		{"elsewhere", topic(id, 3, meta.Assignment{Replicas: []meta.BrokerID{2, 3}}), false},
	} {
		if got, why := m.Belongs(s, c.topic); got != c.want || got != (why == "") {
			t.Errorf("%s: %v %q", c.name, got, why)
		}
	}
}

// A replica that is in use is set aside with its role; one made anew meanwhile stays.
func TestSettingAside(t *testing.T) {
	inMovingFleet(t, 2, func(t *testing.T, f *fleet) {
		n := f.nodes[1]
		tp := f.createIn("orders", 20, 1, 2)
		f.halfway(tp)
		log := f.log(1, tp)
		check(t, n.m.SetAside(fromController, Stray{tp, meta.NewTopicID()}, "another"))
		if log.Err() != nil || !n.m.Hosts(tp) {
			t.Fatal("the log of another topic was set aside")
		}
		check(t, n.m.SetAside(fromController, Stray{tp, log.TopicID()}, "test"))
		if log.Err() == nil || n.m.Hosts(tp) {
			t.Error("it is in use")
		}
		if roles := fmt.Sprint(n.roles[len(n.roles)-1]); roles != fmt.Sprint(RoleChange{tp, false, meta.NoLeaderEpoch}) {
			t.Errorf("told last: %s", roles)
		}
		for dir, want := range map[string]int{"/a": 1, "/b": 1} {
			entries, err := n.disc.ReadDir(dir)
			check(t, err)
			found := 0
			for _, e := range entries {
				if strings.HasPrefix(e.Name(), tp.String()) && strings.HasSuffix(e.Name(), "-stray") {
					found++
				}
			}
			if found != want {
				t.Errorf("%s: %v", dir, entries)
			}
		}
		check(t, n.m.SetAside(fromController, Stray{tp, log.TopicID()}, "again"))
		// It is made anew when the controller wants it, and copied from the leader.
		f.elect(tp, 2, 2)
		check(t, f.commit(tp, 1))
		time.Sleep(2 * time.Second)
		var made *storage.Log
		if made, _ = n.logs.Log(tp); made == nil || made == log {
			t.Error("not made anew")
		}
		f.wantSame(tp)
	})
}
