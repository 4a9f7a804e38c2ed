package replica

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Which time a follower counts as caught up at: Kafka's Replica.updateFetchStateOrThrow.
func TestProgressOfAFollower(t *testing.T) {
	begin := time.Unix(1000, 0)
	at := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
	type fetch struct {
		second       int
		offset, leo  int64
		wantCaughtUp int
	}
	for _, test := range []struct {
		name    string
		fetches []fetch
	}{
		{"at the end", []fetch{{1, 10, 10, 1}, {5, 10, 10, 5}}},
		{"beyond the end", []fetch{{1, 11, 10, 1}}},
		{"holds what the leader had a fetch ago", []fetch{{1, 10, 10, 1}, {2, 10, 20, 1}, {3, 20, 30, 2}, {4, 30, 40, 3}}},
		{"falls behind", []fetch{{1, 10, 10, 1}, {2, 10, 20, 1}, {3, 15, 30, 1}, {4, 20, 40, 1}}},
		{"catches up again", []fetch{{1, 10, 10, 1}, {2, 10, 20, 1}, {3, 15, 20, 1}, {4, 20, 20, 4}}},
		{"goes back", []fetch{{1, 10, 10, 1}, {2, 5, 10, 1}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var p progress
			p.becameLeader(true, begin)
			if p.leo != -1 || p.logStart != -1 || !p.caughtUp.Equal(begin) {
				t.Fatalf("a new leader believes %+v", p)
			}
			for _, f := range test.fetches {
				p.fetched(f.offset, f.offset/2, f.leo, at(f.second), 7)
				if want := at(f.wantCaughtUp); !p.caughtUp.Equal(want) {
					t.Errorf("after the fetch at second %d: caught up at %v, want %v", f.second, p.caughtUp, want)
				}
				if p.leo != f.offset || p.logStart != f.offset/2 || p.leaderLEO != f.leo || !p.at.Equal(at(f.second)) || p.epoch != 7 {
					t.Errorf("after the fetch at second %d: %+v", f.second, p)
				}
			}
		})
	}
}

func TestProgressAcrossLeaderEpochs(t *testing.T) {
	begin, now := time.Unix(1000, 0), time.Unix(2000, 0)
	var p progress
	p.fetched(10, 2, 10, begin, 7)
	p.newEpoch(true, 12, now)
	if p.leo != 10 || p.leaderLEO != 12 || !p.at.Equal(now) || !p.caughtUp.Equal(now) {
		t.Errorf("in the ISR of a new epoch: %+v", p)
	}
	p.newEpoch(false, 15, now)
	if p.leo != 10 || p.leaderLEO != 15 || !p.at.IsZero() || !p.caughtUp.IsZero() {
		t.Errorf("outside the ISR of a new epoch: %+v", p)
	}
	p.becameLeader(false, now)
	if p.leo != -1 || !p.caughtUp.IsZero() || p.epoch != meta.NoBrokerEpoch {
		t.Errorf("outside the ISR of a new leader: %+v", p)
	}
}

func TestCaughtUp(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, test := range []struct {
		leo  int64
		ago  time.Duration
		want bool
	}{
		{10, time.Hour, true}, // it has everything, however long ago it asked
		{9, 30 * time.Second, true},
		{9, 30*time.Second + 1, false},
		{11, time.Hour, false},
	} {
		p := progress{leo: test.leo, caughtUp: now.Add(-test.ago)}
		if got := p.isCaughtUp(10, now, 30*time.Second); got != test.want {
			t.Errorf("at %d, caught up %v ago: %v", test.leo, test.ago, got)
		}
	}
}

func TestNextWatermark(t *testing.T) {
	in := func(leo int64) remoteEnd { return remoteEnd{leo: leo, holds: true} }
	out := func(leo int64) remoteEnd { return remoteEnd{leo: leo} }
	for _, test := range []struct {
		name        string
		hw, leo     int64
		isr, minISR int
		remotes     []remoteEnd
		want        int64
	}{
		{name: "alone", hw: 3, leo: 9, isr: 1, minISR: 1, want: 9},
		{name: "the slowest in sync decides", hw: 3, leo: 9, isr: 3, minISR: 1, remotes: []remoteEnd{in(7), in(5)}, want: 5},
		{name: "who is out of sync does not", hw: 3, leo: 9, isr: 2, minISR: 1, remotes: []remoteEnd{in(7), out(5)}, want: 7},
		{name: "unknown ends hold it", hw: 3, leo: 9, isr: 2, minISR: 1, remotes: []remoteEnd{in(-1)}, want: -1},
		{name: "a follower ahead of the leader", hw: 3, leo: 9, isr: 2, minISR: 1, remotes: []remoteEnd{in(12)}, want: 9},
		{name: "below min ISR it stands still", hw: 3, leo: 9, isr: 1, minISR: 2, remotes: []remoteEnd{out(9)}, want: 3},
		{name: "at min ISR it moves", hw: 3, leo: 9, isr: 2, minISR: 2, remotes: []remoteEnd{in(9)}, want: 9},
	} {
		if got := nextWatermark(test.hw, test.leo, test.isr, test.minISR, test.remotes); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

func TestEffectiveMinISR(t *testing.T) {
	for _, test := range [][3]int{{1, 3, 1}, {2, 3, 2}, {3, 2, 2}, {5, 1, 1}, {0, 3, 1}} {
		if got := effectiveMinISR(test[0], test[1]); got != test[2] {
			t.Errorf("min.insync.replicas=%d with %d replicas: %d, want %d", test[0], test[1], got, test[2])
		}
	}
}

// Where a follower cuts its log: Kafka's AbstractFetcherThread.getOffsetTruncationState.
func TestTruncationPoint(t *testing.T) {
	for _, test := range []struct {
		name        string
		leader, own epochEnd
		fetch, leo  int64
		want        truncation
	}{
		{"the leader knows nothing", noEpochEnd, epochEnd{3, 20}, 8, 20, truncation{8, true}},
		{"the leader knows nothing and the log is shorter", noEpochEnd, epochEnd{3, 5}, 8, 5, truncation{5, true}},
		{"a leader without epochs, behind", epochEnd{meta.NoLeaderEpoch, 15}, epochEnd{3, 20}, 8, 20, truncation{15, true}},
		{"a leader without epochs, ahead", epochEnd{meta.NoLeaderEpoch, 25}, epochEnd{3, 20}, 8, 20, truncation{20, true}},
		{"same epoch, the leader's ends earlier", epochEnd{3, 15}, epochEnd{3, 20}, 20, 20, truncation{15, true}},
		{"same epoch, the follower's ends earlier", epochEnd{3, 25}, epochEnd{3, 18}, 20, 20, truncation{18, true}},
		{"same epoch, nothing to cut", epochEnd{3, 25}, epochEnd{3, 20}, 20, 20, truncation{20, true}},
		{"the follower does not know the epoch", epochEnd{4, 15}, epochEnd{2, 12}, 20, 20, truncation{12, false}},
		{"the follower knows no epoch as old", epochEnd{1, 15}, noEpochEnd, 20, 20, truncation{15, true}},
		{"and is shorter", epochEnd{1, 15}, noEpochEnd, 11, 11, truncation{11, true}},
	} {
		if got := truncateTo(test.leader, test.own, test.fetch, test.leo); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

func TestClosestReplica(t *testing.T) {
	now := time.Unix(1000, 0)
	leader := replicaView{id: 1, rack: "a", leo: 10}
	for _, test := range []struct {
		name   string
		rack   string
		others []replicaView
		want   meta.BrokerID
	}{
		{"nobody near", "z", []replicaView{{id: 2, rack: "b", leo: 9}}, 1},
		{"the leader is near", "a", []replicaView{{id: 2, rack: "a", leo: 10, caughtUp: now}}, 1},
		{"one near", "b", []replicaView{{id: 2, rack: "b", leo: 3}, {id: 3, rack: "c", leo: 9}}, 2},
		{"the most data", "b", []replicaView{{id: 2, rack: "b", leo: 3, caughtUp: now}, {id: 3, rack: "b", leo: 4}}, 3},
		{"the least lag", "b", []replicaView{{id: 2, rack: "b", leo: 4}, {id: 3, rack: "b", leo: 4, caughtUp: now}}, 3},
	} {
		if got := closest(append([]replicaView{leader}, test.others...), 1, test.rack); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

func TestMaximalISR(t *testing.T) {
	for _, test := range []struct{ isr, proposed, want []meta.BrokerID }{
		{[]meta.BrokerID{1, 2}, nil, []meta.BrokerID{1, 2}},
		{[]meta.BrokerID{1, 2}, []meta.BrokerID{1, 2, 3}, []meta.BrokerID{1, 2, 3}},
		{[]meta.BrokerID{1, 2, 3}, []meta.BrokerID{1, 2}, []meta.BrokerID{1, 2, 3}},
	} {
		s := state{isr: test.isr, proposed: test.proposed}
		if got := s.maximalISR(); !slices.Equal(got, test.want) {
			t.Errorf("%v with %v proposed: %v", test.isr, test.proposed, got)
		}
	}
}

// The numbers are those of AbstractFetcherManager.getFetcherId with Java's String.hashCode.
func TestFetcherNumberIsKafkas(t *testing.T) {
	for _, test := range []struct {
		topic     string
		partition int32
		n, want   int
	}{
		{"orders", 0, 1, 0},
		{"a", 0, 100, 7},  // 31*97 = 3007
		{"a", 5, 100, 12}, // 3012
		{"orders", 0, 1000, 189},
		{"__consumer_offsets", 7, 1000, 360},
	} {
		if got := fetcherNumber(meta.TopicPartition{Topic: test.topic, Partition: test.partition}, test.n); got != test.want {
			t.Errorf("%s-%d of %d: %d, want %d", test.topic, test.partition, test.n, got, test.want)
		}
	}
}

func TestBackoffGrowsToItsLimit(t *testing.T) {
	var got []string
	for tries := range 9 {
		got = append(got, fmt.Sprint(backoff(tries, time.Second)))
	}
	if want := "[10ms 20ms 40ms 80ms 160ms 320ms 640ms 1s 1s]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	if got := backoff(1000, time.Hour); got <= 0 || got > time.Hour {
		t.Errorf("after a thousand tries: %v", got)
	}
}
