package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// One test per rule of how followers copy. The rules are those of Kafka's AbstractFetcherThread and ReplicaFetcherThread; the
// protocols with and without truncation on fetch (KIP-595) keep the same promises by different means.

// eachProtocol runs a test with the present protocol and with one that asks for epochs before it fetches.
func eachProtocol(t *testing.T, n int, test func(t *testing.T, f *fleet)) {
	t.Helper()
	cfg := testConfig()
	t.Run("3.9", func(t *testing.T) { inFleet(t, n, cfg, test) })
	cfg.Protocol = Protocol{EpochLookup: true, FetchSessions: true}
	t.Run("2.6", func(t *testing.T) { inFleet(t, n, cfg, test) })
	cfg.Protocol = Protocol{EpochLookup: true}
	t.Run("1.0", func(t *testing.T) { inFleet(t, n, cfg, test) })
}

// Data counts as replicated when the next fetch passes it; a follower's high watermark comes with the fetch after that.
func TestFollowersCopyWhatTheLeaderAppends(t *testing.T) {
	eachProtocol(t, 3, func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2, 3)
		check(t, f.commit(tp, 5))
		f.write(tp, 3)
		synctest.Wait()
		f.wantSame(tp)
		f.wantState(1, tp, "start 0 hw 8 leo 8 epochs 0@0")
		f.wantState(2, tp, "start 0 hw 5 leo 8 epochs 0@0")
		time.Sleep(1100 * time.Millisecond)
		f.wantState(2, tp, "start 0 hw 8 leo 8 epochs 0@0")
	})
}

// Small appends at low load wait for nothing: no timer is between a produce with acks=all and its answer.
func TestNoTimePassesUntilAnAcknowledgement(t *testing.T) {
	eachProtocol(t, 3, func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2, 3)
		check(t, f.commit(tp, 1))
		for range 20 {
			time.Sleep(73 * time.Millisecond)
			began := time.Now()
			check(t, f.commit(tp, 1))
			if took := time.Since(began); took != 0 {
				t.Fatalf("an acknowledgement took %v", took)
			}
		}
	})
}

// The first produce to a new partition does not wait for the follower's poll to end, which is parked for others.
func TestNewPartitionsAreFetchedSoon(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		old := f.create("old", 1, 2)
		check(t, f.commit(old, 1))
		time.Sleep(10*time.Second + 50*time.Millisecond)
		began := time.Now()
		tp := f.create("new", 1, 2)
		check(t, f.commit(tp, 1))
		if took := time.Since(began); took > 2*shortPoll {
			t.Errorf("the first acknowledgement took %v", took)
		}
		time.Sleep(settleTime)
		f.mu.Lock()
		polls := f.nodes[1].polls
		f.mu.Unlock()
		time.Sleep(10 * time.Second)
		f.mu.Lock()
		defer f.mu.Unlock()
		if n := f.nodes[1].polls - polls; n > 21 {
			t.Errorf("%d polls in ten seconds", n)
		}
	})
}

// A session carries what changed and nothing else (KIP-227).
func TestIdlePartitionsCostNothing(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		var tps []meta.TopicPartition
		for i := range 50 {
			tps = append(tps, f.create(fmt.Sprintf("topic-%d", i), 1, 2))
		}
		time.Sleep(2100 * time.Millisecond)
		if asked := f.asked(1); len(asked) != 50 {
			t.Errorf("%d partitions were named to the leader, want each once:\n%s", len(asked), strings.Join(asked, "\n"))
		}
		check(t, f.commit(tps[7], 1))
		time.Sleep(10 * time.Second)
		if asked, want := f.asked(1), []string{"2: fetch topic-7-0 at 1 epoch 0 last 0"}; !slices.Equal(asked, want) {
			t.Errorf("after one append the leader was told %q, want %q", asked, want)
		}
	})
}

// When the leader has lost the session, everything is asked for again, at once.
func TestALostSessionIsOpenedAnew(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		a, b := f.create("a", 1, 2), f.create("b", 1, 2)
		check(t, f.commit(a, 1))
		time.Sleep(1100 * time.Millisecond)
		f.asked(1)
		f.mu.Lock()
		clear(f.nodes[1].sessions)
		f.mu.Unlock()
		check(t, f.commit(b, 1))
		synctest.Wait()
		f.wantSame(b)
		want := []string{"2: fetch a-0 at 1 epoch 0 last 0", "2: fetch b-0 at 1 epoch 0 last 0"}
		if got := slices.Sorted(slices.Values(f.asked(1))); !slices.Equal(got, want) {
			t.Errorf("the leader was told %q, want %q", got, want)
		}
	})
}

// Partitions that leave are forgotten by the session, those that come are added.
func TestASessionFollowsTheAssignment(t *testing.T) {
	inFleet(t, 3, testConfig(), func(t *testing.T, f *fleet) {
		a, b := f.create("a", 1, 2, 3), f.create("b", 1, 2, 3)
		check(t, f.commit(a, 1))
		check(t, f.commit(b, 1))
		f.asked(1)
		f.elect(b, 3, 1, 2, 3)
		time.Sleep(2100 * time.Millisecond)
		got := f.asked(1)
		if !slices.Contains(got, "2: forget b-0") || !slices.Contains(got, "3: forget b-0") {
			t.Errorf("broker 1 was told %q", got)
		}
		check(t, f.commit(b, 1))
		synctest.Wait()
		f.wantSame(b)
	})
}

// Epochs travel with the data: a follower learns of one with its first record.
func TestEpochsTravelWithRecords(t *testing.T) {
	eachProtocol(t, 2, func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		synctest.Wait()
		f.wantState(1, tp, "start 0 hw 1 leo 1 epochs 0@0")
		f.wantState(2, tp, "start 0 hw 0 leo 1 epochs 0@0")

		f.nodes[2].bounce()
		f.elect(tp, 1, 1, 2)
		time.Sleep(1100 * time.Millisecond)
		f.wantState(1, tp, "start 0 hw 1 leo 1 epochs 0@0 1@1")
		f.wantState(2, tp, "start 0 hw 1 leo 1 epochs 0@0")
		check(t, f.commit(tp, 1))
		synctest.Wait()
		f.wantState(2, tp, "start 0 hw 1 leo 2 epochs 0@0 1@1")

		f.nodes[1].bounce()
		f.elect(tp, 1, 1, 2)
		time.Sleep(1100 * time.Millisecond)
		f.wantState(1, tp, "start 0 hw 2 leo 2 epochs 0@0 1@1 2@2")
		f.wantState(2, tp, "start 0 hw 2 leo 2 epochs 0@0 1@1")
		check(t, f.commit(tp, 1))
		synctest.Wait()
		f.wantState(2, tp, "start 0 hw 2 leo 3 epochs 0@0 1@1 2@2")
		f.wantSame(tp)
	})
}

// A leader that lost its tail in a crash goes on without it, and its follower gives up the same (KIP-101, scenario 2).
func TestLogsDoNotDivergeAfterALossOfTheTail(t *testing.T) {
	eachProtocol(t, 2, func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		for range 10 {
			check(t, f.commit(tp, 1))
		}
		f.nodes[2].kill()
		f.nodes[1].kill()
		size := int64(len(f.content(1, tp)))
		f.nodes[1].loseTail(tp, size/2)
		f.nodes[1].start()
		f.elect(tp, 1, 1)
		for range 10 {
			check(t, f.commit(tp, 1))
		}
		f.nodes[2].start()
		f.tellBrokers()
		f.tell(tp, 2)
		time.Sleep(1100 * time.Millisecond)
		f.wantSame(tp)
		f.wantState(2, tp, "start 0 hw 15 leo 15 epochs 0@0 1@5")
	})
}

// Offsets in a follower's log never go back, even where its end lies inside a batch of the leader (KIP-101).
func TestOffsetsDoNotGoBackwards(t *testing.T) {
	eachProtocol(t, 2, func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		for range 100 {
			check(t, f.commit(tp, 1))
		}
		f.nodes[1].kill()
		f.nodes[2].kill()
		f.nodes[1].loseTail(tp, int64(len(f.content(1, tp)))/2)
		f.nodes[1].start()
		f.elect(tp, 1, 1)
		f.write(tp, 77)
		f.write(tp, 77)
		f.nodes[2].start()
		f.tellBrokers()
		f.tell(tp, 2)
		time.Sleep(1100 * time.Millisecond)
		f.wantSame(tp)
		log := f.log(2, tp)
		if log.LogEndOffset() != f.log(1, tp).LogEndOffset() {
			t.Errorf("the follower ends at %d, the leader at %d", log.LogEndOffset(), f.log(1, tp).LogEndOffset())
		}
	})
}

// Nothing is lost when leader and follower restart in quick succession after every record.
func TestFastLeaderChanges(t *testing.T) {
	eachProtocol(t, 2, func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		leader, follower := meta.BrokerID(1), meta.BrokerID(2)
		for i := range 5 {
			check(t, f.commit(tp, 1))
			f.nodes[follower].kill()
			f.elect(tp, leader, leader)
			f.nodes[follower].start()
			f.tellBrokers()
			f.tell(tp, follower)
			time.Sleep(5100 * time.Millisecond) // back in the ISR
			if got := f.isr(leader, tp); len(got) != 2 {
				t.Fatalf("round %d: ISR %v", i, got)
			}
			f.nodes[leader].kill()
			f.elect(tp, follower, follower)
			f.nodes[leader].start()
			f.tellBrokers()
			f.tell(tp, leader)
			leader, follower = follower, leader
			time.Sleep(5100 * time.Millisecond)
			for _, id := range []meta.BrokerID{1, 2} {
				if leo := f.log(id, tp).LogEndOffset(); leo != int64(i+2) {
					t.Fatalf("round %d: broker %d ends at %d", i, id, leo)
				}
			}
		}
		f.wantSame(tp)
	})
}

// After unclean elections back and forth the logs agree in the end (KIP-279).
func TestLogsAgreeAfterUncleanElections(t *testing.T) {
	eachProtocol(t, 2, func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		f.write(tp, 1)
		synctest.Wait()
		one, two := f.nodes[1], f.nodes[2]
		one.kill()
		f.elect(tp, 2, 2)
		f.write(tp, 1)
		two.kill()
		one.start()
		f.elect(tp, 1, 1)
		for range 3 {
			f.write(tp, 10)
		}
		one.kill()
		two.start()
		f.elect(tp, 2, 2)
		f.write(tp, 1)
		two.kill()
		one.start()
		f.elect(tp, 1, 1)
		f.write(tp, 10)
		f.write(tp, 10)
		two.start()
		f.tellBrokers()
		f.tell(tp, 2)
		time.Sleep(5100 * time.Millisecond)
		f.wantSame(tp)
		if got, want := f.state(2, tp), f.state(1, tp); got != want {
			t.Errorf("the follower is at %s, the leader at %s", got, want)
		}
	})
}

// A follower whose latest epochs are unknown to the leader goes back step by step until they agree (KIP-279).
func TestTruncationGoesBackEpochByEpoch(t *testing.T) {
	eachProtocol(t, 3, func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2, 3)
		check(t, f.commit(tp, 2)) // epoch 0 on all
		synctest.Wait()
		f.nodes[2].kill()
		f.nodes[3].kill()
		f.elect(tp, 1, 1)
		f.write(tp, 2) // epoch 1, offsets 2 and 3, only on 1
		f.elect(tp, 1, 1)
		f.write(tp, 2) // epoch 2, only on 1
		f.nodes[1].kill()
		f.nodes[2].start()
		f.elect(tp, 2, 2) // unclean
		f.write(tp, 3)    // epoch 3 on 2
		f.nodes[1].start()
		f.tellBrokers()
		f.tell(tp, 1)
		time.Sleep(2100 * time.Millisecond)
		f.wantSame(tp)
		f.wantState(1, tp, "start 0 hw 5 leo 5 epochs 0@0 3@2")
	})
}

// An epoch in which nothing was written leaves an entry at the end of a deposed leader's history, which must go.
func TestEpochsWithoutRecordsAreGivenUp(t *testing.T) {
	eachProtocol(t, 2, func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 2))
		synctest.Wait()
		f.elect(tp, 1, 1, 2)
		f.elect(tp, 2, 1, 2)
		time.Sleep(1100 * time.Millisecond)
		f.write(tp, 1)
		time.Sleep(1100 * time.Millisecond)
		f.wantSame(tp)
		f.wantState(1, tp, "start 0 hw 3 leo 3 epochs 0@0 2@2")
	})
}

// A follower's high watermark goes down with the leader's: it is the leader who knows what is committed.
func TestAFollowersHighWatermarkMayGoDown(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 5))
		time.Sleep(1100 * time.Millisecond)
		f.log(2, tp).SetHighWatermark(5)
		f.log(1, tp).SetHighWatermark(3)
		time.Sleep(watchSweep + 1100*time.Millisecond)
		f.wantState(2, tp, "start 0 hw 3 leo 5 epochs 0@0")
	})
}

// fetcherInHand makes a fetcher that does only what the test calls, in place of the one that copies a partition.
func (f *fleet) fetcherInHand(id meta.BrokerID, tp meta.TopicPartition) (*fetcher, *fetchState) {
	p := f.part(id, tp)
	p.mu.Lock()
	s := newFetchState(p, p.mu.log, p.mu.leader, p.mu.leaderEpoch, p.mu.topicID, f.cfg.Protocol)
	p.mu.fetch = s
	p.mu.Unlock()
	s.stage = fetching
	fetcher := newFetcher(f.nodes[id].m, fetcherKey{s.source, 0}, nil)
	fetcher.states[tp] = s
	fetcher.resume(s)
	fetcher.session.next(&FetchQuery{}, func(s *fetchState) FetchPartition { return s.wish(&f.cfg) })
	return fetcher, s
}

// The high watermark in a diverging answer is of another log and must not be believed.
func TestADivergingAnswerMovesNoWatermark(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 4))
		synctest.Wait()
		hw := f.log(2, tp).HighWatermark()
		fetcher, _ := f.fetcherInHand(2, tp)
		fetcher.take(&ReplyPartition{Topic: "orders", HighWatermark: 3, LogStartOffset: 2, Diverging: &Divergence{Epoch: 0, EndOffset: 2}})
		if log := f.log(2, tp); log.LogEndOffset() != 2 || log.HighWatermark() != min(hw, 2) || log.LogStartOffset() != 0 {
			t.Errorf("after a diverging answer: %s", f.state(2, tp))
		}
	})
}

// DeleteRecords on the leader reaches followers with the next answer, and their new log start is told back.
func TestLogStartFollowsTheLeader(t *testing.T) {
	eachProtocol(t, 2, func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		for range 5 {
			check(t, f.commit(tp, 2))
		}
		time.Sleep(1100 * time.Millisecond)
		d := []Deletion{{Partition: tp, Before: 6}}
		began := time.Now()
		f.nodes[1].m.DeleteRecords(context.Background(), 10*time.Second, d)
		if took := time.Since(began); d[0].Err != nil || d[0].LowWatermark != 6 || took != 0 {
			t.Errorf("DeleteRecords: low watermark %d, %v, after %v", d[0].LowWatermark, d[0].Err, took)
		}
		f.wantState(2, tp, "start 6 hw 10 leo 10 epochs 0@6")
	})
}

// Retention here raises the log start without any answer of the leader, which is told all the same.
func TestOwnLogStartIsTold(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 5))
		time.Sleep(1100 * time.Millisecond)
		_, err := f.log(2, tp).AdvanceLogStartOffset(3)
		check(t, err)
		time.Sleep(3100 * time.Millisecond)
		p := f.part(1, tp)
		p.followers.Lock()
		defer p.followers.Unlock()
		if got := p.followers.progress[2].logStart; got != 3 {
			t.Errorf("the leader believes the follower's log to start at %d", got)
		}
	})
}

// A replica behind the leader's log start begins anew there.
func TestFollowerBehindTheLeadersLogStart(t *testing.T) {
	eachProtocol(t, 2, func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 3))
		synctest.Wait()
		f.nodes[2].kill()
		f.elect(tp, 1, 1)
		check(t, f.commit(tp, 3))
		check(t, f.commit(tp, 2))
		d := []Deletion{{Partition: tp, Before: 6}}
		f.nodes[1].m.DeleteRecords(context.Background(), 0, d)
		check(t, d[0].Err)
		f.nodes[2].start()
		f.tellBrokers()
		f.tell(tp, 2)
		time.Sleep(2100 * time.Millisecond)
		f.wantSame(tp)
		f.wantState(2, tp, "start 6 hw 8 leo 8 epochs 1@6")
	})
}

// A replica with nothing, whose leader's log starts inside a batch, has to begin with the whole batch.
func TestLogStartInsideABatch(t *testing.T) {
	eachProtocol(t, 2, func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 3))
		synctest.Wait()
		f.nodes[2].kill()
		f.elect(tp, 1, 1)
		check(t, f.commit(tp, 5)) // offsets 3 to 7
		d := []Deletion{{Partition: tp, Before: 6}}
		f.nodes[1].m.DeleteRecords(context.Background(), 0, d)
		check(t, d[0].Err)
		f.nodes[2].start()
		f.tellBrokers()
		f.tell(tp, 2)
		time.Sleep(2100 * time.Millisecond)
		f.wantSame(tp)
		f.wantState(2, tp, "start 6 hw 8 leo 8 epochs 1@6")
	})
}

// A leader that has less than the follower and no epochs in common to say so: the follower cuts to its end.
func TestFollowerBeyondTheLeadersEnd(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 4))
		synctest.Wait()
		f.nodes[1].kill()
		f.elect(tp, 2, 2)
		check(t, f.commit(tp, 2)) // epoch 1, which broker 1 will not know
		check(t, f.commit(tp, 2))
		f.nodes[1].start()
		f.parts[tp].state.LeaderEpoch-- // as if the history of broker 2 had never been: an older epoch, named anew
		f.nodes[2].bounce()
		f.parts[tp].state.Leader, f.parts[tp].state.ISR = 1, []meta.BrokerID{1}
		f.tellBrokers()
		f.tell(tp, 1, 2)
		time.Sleep(2100 * time.Millisecond)
		f.wantSame(tp)
		f.wantState(2, tp, "start 0 hw 4 leo 4 epochs 0@0")
	})
}

// A leader in a newer epoch has nothing more for a follower that was not told of it: it waits for the controller.
func TestAFencedFollowerWaitsToBeTold(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		f.parts[tp].state.LeaderEpoch++
		f.parts[tp].state.PartitionEpoch++
		f.tell(tp, 1)
		f.write(tp, 1)
		time.Sleep(3100 * time.Millisecond)
		f.wantState(2, tp, "start 0 hw 0 leo 1 epochs 0@0")
		if !f.part(2, tp).mu.fetch.failed.Load() {
			t.Error("a fenced follower keeps fetching")
		}
		f.tell(tp, 2)
		time.Sleep(1100 * time.Millisecond)
		f.wantSame(tp)
	})
}

// A leader that has not heard of its election is asked again soon, not after the backoff for real errors.
func TestAFollowerThatIsAheadAsksAgainSoon(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		f.parts[tp].state.LeaderEpoch++
		f.parts[tp].state.PartitionEpoch++
		f.tell(tp, 2)
		synctest.Wait()
		time.Sleep(15 * time.Millisecond)
		f.tell(tp, 1)
		began := time.Now()
		check(t, f.commit(tp, 1))
		if took := time.Since(began); took > 30*time.Millisecond {
			t.Errorf("the first acknowledgement of the epoch took %v", took)
		}
	})
}

// Told to follow a broker that is not alive, a replica keeps the role it has: there is nobody better to trust.
func TestALeaderThatIsNotAliveIsNotFollowed(t *testing.T) {
	inFleet(t, 3, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		f.nodes[3].kill()
		f.tellBrokers()
		f.parts[tp].Replicas = []meta.BrokerID{1, 2, 3}
		f.parts[tp].state.Leader = 3
		f.parts[tp].state.LeaderEpoch++
		f.parts[tp].state.PartitionEpoch++
		f.tell(tp, 1, 2)
		check(t, f.append(1, tp, 1, 1).Err) // still led and followed in the old epoch
		synctest.Wait()
		f.wantSame(tp)
		f.wantState(2, tp, "start 0 hw 1 leo 2 epochs 0@0")

		// Also one that had no role before: it has its log, so that the log's high watermark is not lost, and no more.
		f.parts[tp].Replicas = []meta.BrokerID{2, 3}
		other := meta.TopicPartition{Topic: "other"}
		f.parts[other] = &decided{id: meta.NewTopicID(), Assignment: meta.Assignment{Replicas: []meta.BrokerID{3, 2}},
			state: meta.LeaderAndISR{Leader: 3, ISR: []meta.BrokerID{3}}}
		f.tell(other, 2)
		p := f.part(2, other)
		if p.mu.role != idle || p.mu.leaderEpoch != meta.NoLeaderEpoch || p.mu.log == nil || p.mu.fetch != nil {
			t.Errorf("a replica without a living leader is %v in epoch %d", p.mu.role, p.mu.leaderEpoch)
		}
	})
}

// An unreachable leader is tried again; when it is back, copying goes on in a new session.
func TestAnUnreachableLeaderIsTriedAgain(t *testing.T) {
	eachProtocol(t, 2, func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		f.mu.Lock()
		f.nodes[1].deaf[2] = true
		f.mu.Unlock()
		time.Sleep(5100 * time.Millisecond)
		f.write(tp, 2)
		time.Sleep(5100 * time.Millisecond)
		f.wantState(2, tp, "start 0 hw 0 leo 1 epochs 0@0")
		f.mu.Lock()
		f.nodes[1].deaf[2] = false
		f.mu.Unlock()
		time.Sleep(3100 * time.Millisecond)
		f.wantState(2, tp, "start 0 hw 3 leo 3 epochs 0@0")
	})
}

// What was asked of a leader is not appended once another one is followed, or this broker leads itself.
func TestLateAnswersAreDropped(t *testing.T) {
	inFleet(t, 3, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2, 3)
		check(t, f.commit(tp, 1))
		synctest.Wait()
		old := f.part(2, tp).mu.fetch
		late := &ReplyPartition{Topic: "orders", HighWatermark: 9, Records: testBatch(1, "late")}

		f.elect(tp, 3, 1, 2, 3)
		if _, err := f.part(2, tp).appendFetched(old, 1, late); !errors.Is(err, errSuperseded) {
			t.Errorf("an append for the old leader: %v", err)
		}
		f.elect(tp, 2, 1, 2, 3)
		for name, err := range map[string]error{
			"append":   second(f.part(2, tp).appendFetched(old, 1, late)),
			"truncate": f.part(2, tp).truncateFollower(old, 0),
			"restart":  f.part(2, tp).restartFollower(old, 7),
		} {
			if !errors.Is(err, errSuperseded) {
				t.Errorf("%s as a follower on a leader: %v", name, err)
			}
		}
		if leo := f.log(2, tp).LogEndOffset(); leo != 1 {
			t.Errorf("the log ends at %d", leo)
		}
	})
}

func second[A, B any](_ A, b B) B { return b }

// Records that are damaged on the way are fetched again; they do not stop the other partitions.
func TestDamagedRecordsAreFetchedAgain(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		synctest.Wait()
		fetcher, s := f.fetcherInHand(2, tp)
		records := testBatch(3, "x")
		records[len(records)-1] ^= 1
		fetcher.take(&ReplyPartition{Topic: "orders", HighWatermark: 9, Records: records})
		if leo := f.log(2, tp).LogEndOffset(); leo != 0 {
			t.Fatalf("damaged records were appended up to %d", leo)
		}
		if fetcher.session.len() != 0 || len(fetcher.delayed) != 1 || fetcher.states[tp] != s {
			t.Error("the partition does not wait to be fetched again")
		}
		time.Sleep(f.cfg.FetchBackoff)
		fetcher.endDelays()
		if fetcher.session.len() != 1 {
			t.Error("the partition is not fetched again")
		}
	})
}

// A partition whose own log fails is given up until its leader is named again, and only that one.
func TestALogThatFailsIsGivenUp(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		n := f.nodes[2]
		n.logs.FailDir("/logs", errors.New("disc on fire"))
		n.m.DirFailed("/logs")
		f.write(tp, 1)
		time.Sleep(2100 * time.Millisecond)
		if s := f.part(2, tp).mu.fetch; s != nil {
			t.Error("a partition of a failed directory is still being copied")
		}
		if err := n.told(tp); !errors.Is(err, storage.ErrDirOffline) {
			t.Errorf("a LeaderAndIsr for it: %v", err)
		}
		if leo := f.log(1, tp).LogEndOffset(); leo != 2 {
			t.Errorf("the leader ends at %d", leo)
		}
	})
}

// A failing write is noticed by the fetcher itself, before anybody reports the directory.
func TestAFailedAppendStopsCopying(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		f.nodes[2].logs.FailDir("/logs", errors.New("disc on fire"))
		f.write(tp, 1)
		time.Sleep(2100 * time.Millisecond)
		if s := f.part(2, tp).mu.fetch; !s.failed.Load() {
			t.Error("the partition is still being copied")
		}
		if n := f.nodes[2].m.fetchers.count(); n != 0 {
			t.Errorf("%d fetchers are left with nothing to do", n)
		}
	})
}

// A replica that is stopped, or whose broker leads it, is not copied into; a fetcher with nothing left ends.
func TestFetchersEndWithTheirWork(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		a, b := f.create("a", 1, 2), f.create("b", 1, 2)
		check(t, f.commit(a, 1))
		m := f.nodes[2].m
		if n := m.fetchers.count(); n != 1 {
			t.Fatalf("%d fetchers for one leader", n)
		}
		f.elect(a, 2, 1, 2)
		results, err := m.StopReplicas(Sender{ControllerEpoch: 1, BrokerEpoch: meta.NoBrokerEpoch}, []Stopped{{Partition: b, LeaderEpoch: 0}})
		check(t, errors.Join(append(results, err)...))
		time.Sleep(3100 * time.Millisecond)
		if n := m.fetchers.count(); n != 0 {
			t.Errorf("%d fetchers are left with nothing to do", n)
		}
		f.elect(a, 1, 1, 2)
		time.Sleep(1100 * time.Millisecond)
		check(t, f.commit(a, 1))
		f.wantSame(a)
	})
}

// A deleted partition is forgotten with its log.
func TestADeletedReplicaIsNotCopied(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		for _, id := range []meta.BrokerID{2, 1} {
			results, err := f.nodes[id].m.StopReplicas(Sender{ControllerEpoch: 1, BrokerEpoch: meta.NoBrokerEpoch},
				[]Stopped{{Partition: tp, LeaderEpoch: deletedEpoch, Delete: true}})
			check(t, errors.Join(append(results, err)...))
		}
		time.Sleep(3100 * time.Millisecond)
		for id, n := range f.nodes {
			if _, ok := n.logs.Log(tp); ok {
				t.Errorf("broker %d still has the log", id)
			}
			if _, err := n.m.partition(tp); err == nil {
				t.Errorf("broker %d still hosts it", id)
			}
		}
		again := f.create("orders", 2, 1)
		check(t, f.commit(again, 3))
		synctest.Wait()
		f.wantSame(again)
	})
}

// num.replica.fetchers changes while data flow; partitions move as they are and lose nothing.
func TestFetchersAreResized(t *testing.T) {
	eachProtocol(t, 2, func(t *testing.T, f *fleet) {
		var tps []meta.TopicPartition
		for i := range 40 {
			tps = append(tps, f.create(fmt.Sprintf("topic-%d", i), 1, 2))
		}
		m := f.nodes[2].m
		for round, n := range []int{4, 1, 3, 2, 4, 4} {
			m.SetFetchers(n)
			for _, tp := range tps {
				check(t, f.commit(tp, 2))
			}
			time.Sleep(3100 * time.Millisecond)
			if got := m.fetchers.count(); got != n {
				t.Errorf("round %d: %d fetchers, want %d", round, got, n)
			}
		}
		for _, tp := range tps {
			f.wantSame(tp)
			f.wantState(2, tp, "start 0 hw 12 leo 12 epochs 0@0")
		}
	})
}

// A topic without an id is fetched by name, and all of the session with it; when the id is told, by id.
func TestTopicsWithoutIDs(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		plain := f.create("plain", 1, 2)
		check(t, f.commit(plain, 1))
		tp := meta.TopicPartition{Topic: "nameless"}
		f.parts[tp] = &decided{Assignment: meta.Assignment{Replicas: []meta.BrokerID{1, 2}}, state: meta.LeaderAndISR{Leader: 1, ISR: []meta.BrokerID{1, 2}}}
		f.tell(tp, 1, 2)
		for _, p := range []meta.TopicPartition{tp, plain} {
			check(t, f.commit(p, 1))
			synctest.Wait()
			f.wantSame(p)
		}
		f.parts[tp].id = meta.NewTopicID()
		f.tell(tp, 2, 1) // same epoch: only to name the id
		time.Sleep(1100 * time.Millisecond)
		for _, p := range []meta.TopicPartition{tp, plain} {
			check(t, f.commit(p, 1))
			synctest.Wait()
			f.wantSame(p)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		byID := false
		for _, s := range f.nodes[1].sessions {
			byID = byID || s.byID
		}
		if !byID {
			t.Error("the session still goes by names")
		}
	})
}

// Without epochs in a log there is only the high watermark to go by.
func TestWithoutEpochsTheHighWatermarkDecides(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 4))
		time.Sleep(1100 * time.Millisecond)
		log := f.log(2, tp)
		log.SetHighWatermark(4)
		s := newFetchState(f.part(2, tp), log, 1, 0, meta.TopicID{}, Protocol{TruncateOnFetch: true})
		if s.stage != fetching {
			t.Errorf("with epochs a follower begins %v", s.stage)
		}
		if s = newFetchState(f.part(2, tp), log, 1, 0, meta.TopicID{}, Protocol{}); s.stage != truncating || s.cutTo != 4 {
			t.Errorf("without truncation on fetch a follower begins %v, to cut to %d", s.stage, s.cutTo)
		}
		check(t, log.TruncateFullyAndStartAt(4))
		if s = newFetchState(f.part(2, tp), log, 1, 0, meta.TopicID{}, Protocol{TruncateOnFetch: true}); s.stage != truncating || s.cutTo != 4 {
			t.Errorf("without epochs a follower begins %v, to cut to %d", s.stage, s.cutTo)
		}
	})
}

// Batches that are together larger than a segment may be here, because segment.bytes was lowered, still arrive.
func TestFetchedBatchesLargerThanASegment(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		synctest.Wait()
		f.mu.Lock()
		f.nodes[1].deaf[2] = true
		f.mu.Unlock()
		time.Sleep(2100 * time.Millisecond)
		for range 50 {
			f.write(tp, 10)
		}
		small := f.nodes[2].topic
		small.SegmentBytes = 1000
		f.nodes[2].logs.UpdateTopicConfig("orders", &small)
		f.mu.Lock()
		f.nodes[1].deaf[2] = false
		f.mu.Unlock()
		time.Sleep(3100 * time.Millisecond)
		f.wantSame(tp)
		if n := f.log(2, tp).Segments(); n < 2 {
			t.Errorf("%d segments", n)
		}
	})
}
