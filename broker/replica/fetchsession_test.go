package replica

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// sessionTest is a fetch session and what its partitions are to be asked for.
type sessionTest struct {
	*fetchSession
	offsets map[meta.TopicPartition]int64
}

func newSessionTest(incremental bool) *sessionTest {
	return &sessionTest{newFetchSession(incremental), map[meta.TopicPartition]int64{}}
}

func (s *sessionTest) wish(st *fetchState) FetchPartition {
	return FetchPartition{Partition: st.p.tp, TopicID: st.topicID, Offset: s.offsets[st.p.tp]}
}

func (s *sessionTest) want(topic string, id meta.TopicID) *fetchState {
	st := &fetchState{p: &Partition{tp: meta.TopicPartition{Topic: topic}}, topicID: id}
	s.add(st)
	return st
}

func (s *sessionTest) touchAt(topic string, offset int64, gotData bool) {
	tp := meta.TopicPartition{Topic: topic}
	s.offsets[tp] = offset
	s.touch(s.byName[tp], gotData)
}

// ask makes a request and shows it.
func (s *sessionTest) ask() string {
	var q FetchQuery
	s.next(&q, s.wish)
	text := fmt.Sprintf("%d/%d", q.SessionID, q.SessionEpoch)
	if q.ByID {
		text += " by id"
	}
	for _, p := range q.Partitions {
		text += fmt.Sprintf(" %s@%d", p.Partition.Topic, p.Offset)
	}
	for _, p := range q.Forgotten {
		text += " -" + p.Partition.Topic
	}
	return text
}

func TestFetchSession(t *testing.T) {
	id := meta.NewTopicID()
	s := newSessionTest(true)
	step := func(what, want string) {
		t.Helper()
		if got := s.ask(); got != want {
			t.Errorf("%s: asked %q, want %q", what, got, want)
		}
	}
	s.want("a", id)
	s.want("b", id)
	step("at first, all", "0/0 by id a@0 b@0")
	s.answered(0)
	step("without room for a session, all again", "0/0 by id a@0 b@0")
	s.answered(7)
	step("in a session, nothing", "7/1 by id")
	s.answered(7)
	s.touchAt("a", 0, false)
	step("looked at but not changed", "7/2 by id")
	s.answered(7)
	s.touchAt("b", 5, true)
	s.want("c", id)
	step("changed and new", "7/3 by id b@5 c@0")
	s.answered(7)
	s.remove(meta.TopicPartition{Topic: "a"})
	step("forgotten", "7/4 by id -a")
	s.answered(7)
	s.remove(meta.TopicPartition{Topic: "b"})
	s.want("b", id)
	step("forgotten and wanted again: only wanted", "7/5 by id b@5")
	s.answered(7)
	s.remove(meta.TopicPartition{Topic: "b"})
	s.want("b", meta.NewTopicID())
	step("another topic of the same name: both", "7/6 by id b@5 -b")
	s.answered(7)
	s.want("d", id)
	s.remove(meta.TopicPartition{Topic: "d"})
	step("never told, nothing to forget", "7/7 by id")
	s.answered(7)
	s.touchAt("c", 9, true)
	s.failed(errors.New("connection lost"))
	step("after a failure, all in place of the old session; last what brought data last", "7/0 by id b@5 c@9")
	s.answered(8)
	s.want("e", meta.TopicID{})
	step("a topic without id: all by name", "8/0 b@5 c@9 e@0")
	s.answered(9)
	s.remove(meta.TopicPartition{Topic: "e"})
	step("and by id again without it", "9/0 by id b@5 c@9")
	s.answered(10)
	s.failed(ErrFetchSessionUnknown)
	step("a session that the leader has forgotten is not named", "0/0 by id b@5 c@9")
	s.answered(11)
	step("and goes on", "11/1 by id")
	s.answered(0)
	step("a session that the leader gave up", "0/0 by id b@5 c@9")
	s.answered(12)
	s.epoch = math.MaxInt32
	step("the last epoch", fmt.Sprintf("12/%d by id", math.MaxInt32))
	s.answered(12)
	step("epochs begin again at 1", "12/1 by id")
}

func TestFetchesWithoutSessions(t *testing.T) {
	s := newSessionTest(false)
	s.want("a", meta.TopicID{})
	s.want("b", meta.TopicID{})
	for _, want := range []string{"0/-1 a@0 b@0", "0/-1 b@0 a@3", "0/-1 b@0 a@3"} {
		if got := s.ask(); got != want {
			t.Errorf("asked %q, want %q", got, want)
		}
		s.answered(0)
		if want == "0/-1 a@0 b@0" {
			s.touchAt("a", 3, true)
		}
	}
}

// Whatever comes and goes, the leader remembers what is wanted, as it is wanted.
func TestFetchSessionAgainstAModel(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 3))
		s := newSessionTest(true)
		ids := []meta.TopicID{meta.NewTopicID(), meta.NewTopicID(), {}}
		type key struct {
			topic string
			id    meta.TopicID
		}
		leader := map[key]FetchPartition{} // what it remembers
		for step := range 500 {
			topic := fmt.Sprint(rng.IntN(6))
			tp := meta.TopicPartition{Topic: topic}
			switch rng.IntN(6) {
			case 0, 1:
				id := ids[0]
				if rng.IntN(10) == 0 {
					id = ids[1+rng.IntN(2)]
				}
				s.want(topic, id)
			case 2:
				s.remove(tp)
			case 3:
				if s.byName[tp] != nil {
					s.touchAt(topic, rng.Int64N(100), rng.IntN(2) == 0)
				}
			default:
				if s.len() == 0 {
					continue
				}
				var q FetchQuery
				s.next(&q, s.wish)
				keyOf := func(p meta.TopicPartition, id meta.TopicID) key {
					if q.ByID {
						return key{topic: p.Topic, id: id} // the name as well: topics share ids in this test
					}
					return key{topic: p.Topic}
				}
				if rng.IntN(15) == 0 {
					s.failed(errors.New("lost"))
					continue
				}
				if q.SessionEpoch == 0 {
					clear(leader)
				}
				for _, p := range q.Partitions {
					leader[keyOf(p.Partition, p.TopicID)] = p
				}
				for _, p := range q.Forgotten {
					delete(leader, keyOf(p.Partition, p.TopicID))
				}
				s.answered(5)
				want := map[key]FetchPartition{}
				for tp, e := range s.byName {
					want[keyOf(tp, e.state.topicID)] = s.wish(e.state)
				}
				if !maps.Equal(leader, want) {
					t.Fatalf("seed %d, step %d: the leader remembers %v, wanted are %v", seed, step, leader, want)
				}
				for _, e := range s.byName {
					a := ReplyPartition{Topic: e.state.p.tp.Topic}
					if s.find(&a) != e {
						t.Fatalf("seed %d, step %d: an answer for %s is not found", seed, step, a.Topic)
					}
				}
			}
		}
		if len(s.changed) > 0 && slices.ContainsFunc(s.changed, func(e *sessionPartition) bool { return !e.queued && !e.gone }) {
			t.Errorf("seed %d: an entry is in the list of changes and does not know", seed)
		}
	}
}
