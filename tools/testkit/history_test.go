package testkit

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// story is a history in which everything went well, and what is in the partitions after it: two producers that took turns
// over two leader epochs, a consumer, and an observer.
type story struct {
	*History
	final []Placed
	ends  map[HistoryPartition]int64
}

var (
	partition0 = HistoryPartition{"t", 0}
	partition1 = HistoryPartition{"t", 1}
	began      = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

func placed(p HistoryPartition, offset int64, producer string, number int64, epoch int32) Placed {
	return Placed{HistoryPartition: p, Offset: offset, Written: Written{producer, number}, LeaderEpoch: epoch}
}

func newStory() *story {
	s := &story{History: NewHistory(), ends: map[HistoryPartition]int64{}}
	for _, p := range []HistoryPartition{partition0, partition1} {
		for i := range int64(10) {
			producer := []string{"a", "b"}[i%2]
			n := s.Send(producer, p)
			r := placed(p, i, producer, n, int32(i/5))
			s.final = append(s.final, r)
			s.ends[p] = i + 1
			if i != 4 { // its producer never heard of this one
				s.Acknowledge(r)
			}
			s.Read("c", r)
			s.SeeEpoch(EpochSeen{p, "o", int32(i / 5)})
			s.SeeEnd(EndSeen{p, i + 1, at(i * 10), at(i*10 + 5)})
		}
		s.Send("a", p) // sent, never acknowledged, not there either
	}
	// Two answers that overlap may come in any order.
	s.SeeEnd(EndSeen{partition0, 10, at(200), at(300)})
	s.SeeEnd(EndSeen{partition0, 9, at(85), at(90)})
	return s
}

func at(ms int64) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }

func TestHistoryWithoutViolations(t *testing.T) {
	s := newStory()
	for _, v := range s.Check(s.final, s.ends) {
		t.Error(v)
	}
}

// TestPlantedViolations breaks each promise in turn, in every way there is.
func TestPlantedViolations(t *testing.T) {
	drop := func(s *story, i int) { s.final = slices.Delete(s.final, i, i+1) }
	for _, c := range []struct {
		name  string
		plant func(s *story)
		want  []ViolationKind // all that is to be found, however often
	}{
		{"an acknowledged record is missing", func(s *story) { drop(s, 3) }, []ViolationKind{Lost, Changed}},
		{"the tail is missing", func(s *story) {
			s.final, s.ends[partition1] = s.final[:19], 9
		}, []ViolationKind{Lost, Changed, EndWentBack}},
		{"a whole partition is missing", func(s *story) {
			s.final, s.ends[partition1] = s.final[:10], 0
		}, []ViolationKind{Lost, Changed, EndWentBack}},
		{"an acknowledged record is where another one was promised", func(s *story) {
			s.final[0].Written, s.final[1].Written = s.final[1].Written, s.final[0].Written
		}, []ViolationKind{Misplaced, Changed}},
		{"two records of a producer are in the wrong order", func(s *story) {
			s.final[0].Written, s.final[2].Written = s.final[2].Written, s.final[0].Written
		}, []ViolationKind{Misplaced, Changed, Reordered}},
		{"a record is there twice", func(s *story) {
			s.final = slices.Insert(s.final, 10, placed(partition0, 10, "b", 4, 1))
			s.ends[partition0]++
		}, []ViolationKind{Duplicated}},
		{"a record nobody sent", func(s *story) {
			s.final = slices.Insert(s.final, 10, placed(partition0, 10, "b", 5, 1))
		}, []ViolationKind{Invented}},
		{"a record of an unknown producer", func(s *story) {
			s.final = slices.Insert(s.final, 10, placed(partition0, 10, "z", 0, 1))
		}, []ViolationKind{Invented}},
		{"a record in another partition", func(s *story) {
			s.Send("d", partition1)
			s.final = slices.Insert(s.final, 10, placed(partition0, 10, "d", 0, 1))
		}, []ViolationKind{Invented}},
		{"what a consumer read is gone, though it was never acknowledged", func(s *story) { drop(s, 4) }, []ViolationKind{Changed}},
		{"what a consumer read is another record now", func(s *story) {
			s.final[4].Written = Written{"b", s.Send("b", partition0)}
		}, []ViolationKind{Changed, Reordered}},
		{"a consumer reads again", func(s *story) { s.Read("c", s.final[9]) }, []ViolationKind{Jumped}},
		{"a consumer is led back", func(s *story) { s.Read("c", s.final[0]) }, []ViolationKind{Jumped}},
		{"a consumer skips a record", func(s *story) {
			s.Read("d", s.final[0])
			s.Read("d", s.final[2])
		}, []ViolationKind{Jumped}},
		{"less is readable than was", func(s *story) { s.SeeEnd(EndSeen{partition0, 9, at(400), at(401)}) }, []ViolationKind{EndWentBack}},
		{"less is readable for a while", func(s *story) { s.SeeEnd(EndSeen{partition0, 3, at(46), at(49)}) }, []ViolationKind{EndWentBack}},
		{"less is readable at the end", func(s *story) { s.ends[partition0]-- }, []ViolationKind{EndWentBack}},
		{"what was promised last is not there", func(s *story) { s.SeeEnd(EndSeen{partition0, 11, at(400), at(401)}) }, []ViolationKind{EndWentBack}},
		{"an observer hears of an older leader epoch", func(s *story) { s.SeeEpoch(EpochSeen{partition0, "o", 0}) }, []ViolationKind{EpochWentBack}},
		{"a log with an older leader epoch behind a newer one", func(s *story) { s.final[9].LeaderEpoch = 0 }, []ViolationKind{EpochWentBack}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStory()
			c.plant(s)
			found := map[ViolationKind]string{}
			for _, v := range s.Check(s.final, s.ends) {
				found[v.Kind] = v.What
				if !slices.Contains(c.want, v.Kind) {
					t.Errorf("found %v", v)
				}
			}
			for _, k := range c.want {
				if found[k] == "" {
					t.Errorf("%q was not found", k)
				}
			}
		})
	}
}

func TestNotIdempotent(t *testing.T) {
	s := newStory()
	s.NotIdempotent("a")
	s.final = append(s.final[:10:10], append([]Placed{placed(partition0, 10, "a", 1, 1)}, s.final[10:]...)...)
	s.ends[partition0]++
	for _, v := range s.Check(s.final, s.ends) {
		t.Errorf("a producer that may repeat itself: %v", v)
	}
	s.final = slices.Delete(s.final, 0, 1)
	if v := s.Check(s.final, s.ends); !slices.ContainsFunc(v, func(v Violation) bool { return v.Kind == Lost && strings.Contains(v.What, "a/0") }) {
		t.Errorf("a lost record of a producer that may repeat itself: %v", v)
	}
}
