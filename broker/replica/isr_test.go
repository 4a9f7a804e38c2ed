package replica

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// ISR changes are proposed to the controller and take effect when it says so (KIP-497).

func (f *fleet) wantISR(id meta.BrokerID, tp meta.TopicPartition, want ...meta.BrokerID) {
	f.t.Helper()
	if got := f.isr(id, tp); !slices.Equal(got, want) {
		f.t.Errorf("broker %d has ISR %v, want %v", id, got, want)
	}
}

func (f *fleet) held() []heldProposal {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.proposals)
}

func (f *fleet) setDeaf(leader, follower meta.BrokerID, deaf bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes[leader].deaf[follower] = deaf
}

// A follower leaves the ISR when it has not been caught up for replica.lag.time.max.ms, at most half as long again later.
func TestAFollowerThatLagsLeavesTheISR(t *testing.T) {
	inFleet(t, 3, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2, 3)
		check(t, f.commit(tp, 1))
		f.setDeaf(1, 3, true)
		time.Sleep(501 * time.Millisecond)
		began := time.Now()
		f.write(tp, 1)
		for slices.Contains(f.isr(1, tp), 3) {
			time.Sleep(100 * time.Millisecond)
		}
		if took, lag := time.Since(began), f.cfg.ReplicaLagTimeMax; took < lag-time.Second || took > lag*3/2+time.Second {
			t.Errorf("the follower left after %v", took)
		}
		f.wantISR(1, tp, 1, 2)
		f.wantState(1, tp, "start 0 hw 2 leo 2 epochs 0@0")
	})
}

// The leader's log says why it wants the ISR smaller: which follower, how far behind, and since when.
func TestTheLogSaysWhyTheISRShrinks(t *testing.T) {
	inFleet(t, 3, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2, 3)
		check(t, f.commit(tp, 1))
		time.Sleep(time.Second)
		f.setDeaf(1, 3, true)
		deaf := time.Now()
		f.write(tp, 7)
		for slices.Contains(f.isr(1, tp), 3) {
			time.Sleep(100 * time.Millisecond)
		}
		said := f.nodes[1].said.FilterMessage("proposing an ISR change").FilterField(zap.Int32("follower", 3)).All()
		if len(said) != 1 {
			t.Fatalf("said %d times", len(said))
		}
		got := said[0].ContextMap()
		since, _ := got["last_caught_up"].(time.Time)
		fetched, _ := got["last_fetch"].(time.Time)
		if got["topic"] != "orders" || got["partition"] != int32(0) || got["behind"] != int64(7) || got["follower_leo"] != int64(1) || got["leo"] != int64(8) ||
			got["why"] != "stopped fetching" {
			t.Errorf("said %v", got)
		}
		for _, at := range []time.Time{since, fetched} {
			if ago := deaf.Sub(at); ago < 0 || ago > f.cfg.FetchWaitMax {
				t.Errorf("it fell silent at %v, and is said to have been there last at %v", deaf, at)
			}
		}
	})
}

// A follower that has everything stays, however long nothing is written.
func TestAnIdleFollowerStays(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		time.Sleep(10 * time.Minute)
		f.wantISR(1, tp, 1, 2)
		check(t, f.commit(tp, 1))
		f.wantISR(1, tp, 1, 2)
	})
}

// A follower comes back when its log end has reached the high watermark and the start of the leader's epoch.
func TestAFollowerThatCatchesUpComesBack(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		f.nodes[2].kill()
		f.elect(tp, 1, 1)
		for range 5 {
			check(t, f.commit(tp, 1))
		}
		f.wantISR(1, tp, 1)
		f.nodes[2].start()
		f.tellBrokers()
		f.tell(tp, 2)
		synctest.Wait()
		f.wantISR(1, tp, 1, 2)
		if got := f.parts[tp].state.ISR; !slices.Equal(got, []meta.BrokerID{1, 2}) {
			t.Errorf("the controller has ISR %v", got)
		}
	})
}

// While an expansion is pending the new member counts for the high watermark already; until it is decided nothing else is proposed.
func TestAPendingExpansionCounts(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		f.setDeaf(1, 2, true)
		time.Sleep(600 * time.Millisecond)
		f.elect(tp, 1, 1)
		f.holdISR = true
		f.setDeaf(1, 2, false)
		time.Sleep(2 * time.Second)
		if n := len(f.held()); n != 1 {
			t.Fatalf("%d proposals, want one", n)
		}
		f.wantISR(1, tp, 1)
		f.setDeaf(1, 2, true)
		time.Sleep(600 * time.Millisecond)
		f.write(tp, 1)
		f.wantState(1, tp, "start 0 hw 1 leo 2 epochs 0@0 1@1")
		f.setDeaf(1, 2, false)
		time.Sleep(2 * time.Second)
		f.wantState(1, tp, "start 0 hw 2 leo 2 epochs 0@0 1@1")
		if n := len(f.held()); n != 1 {
			t.Errorf("%d proposals while one is pending", n)
		}
		f.decide()
		f.wantISR(1, tp, 1, 2)
	})
}

// While a shrink is pending those to be removed still count, so acks=all does not run ahead of the controller.
func TestAPendingShrinkStillCounts(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		f.setDeaf(1, 2, true)
		time.Sleep(600 * time.Millisecond)
		f.holdISR = true
		a := f.append(1, tp, 1, AcksAll)
		check(t, a.Err)
		time.Sleep(time.Minute)
		if n := len(f.held()); n != 1 {
			t.Fatalf("%d proposals, want one", n)
		}
		f.wantISR(1, tp, 1, 2)
		f.wantState(1, tp, "start 0 hw 1 leo 2 epochs 0@0")
		done := make(chan struct{})
		go func() {
			f.nodes[1].m.Await(context.Background(), time.Hour, []*Pending{a.Pending()})
			close(done)
		}()
		synctest.Wait()
		f.decide()
		<-done
		check(t, a.Pending().Err)
		f.wantISR(1, tp, 1)
		f.wantState(1, tp, "start 0 hw 2 leo 2 epochs 0@0")
	})
}

// What the leader does about each kind of answer.
func TestAnswersToAProposal(t *testing.T) {
	for _, test := range []struct {
		name         string
		answer       error
		wantPending  bool // nothing more is proposed until a LeaderAndIsr
		wantProposed int  // how often, in the ten seconds after
	}{
		{"refused: the committed ISR stands, and it may be tried again", ErrProposalRefused, true, 1},
		{"outdated: nothing more until the news arrives", ErrProposalOutdated, true, 0},
		{"anything else: the same again", errors.New("unknown server error"), true, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
				tp := f.create("orders", 1, 2)
				check(t, f.commit(tp, 1))
				f.setDeaf(1, 2, true)
				f.elect(tp, 1, 1)
				f.holdISR = true
				time.Sleep(600 * time.Millisecond)
				f.setDeaf(1, 2, false)
				time.Sleep(2 * time.Second)
				if n := len(f.held()); n != 1 {
					t.Fatalf("%d proposals, want one", n)
				}
				f.refuse = test.answer
				f.decide()
				time.Sleep(10 * time.Second)
				f.wantISR(1, tp, 1)
				if n := len(f.held()); n != test.wantProposed {
					t.Errorf("proposed %d times after the answer, want %d", n, test.wantProposed)
				}
				f.refuse = nil
				f.decide()
				// A LeaderAndIsr replaces whatever was pending.
				f.parts[tp].state.ISR = []meta.BrokerID{1}
				f.elect(tp, 1, 1)
				time.Sleep(2 * time.Second)
				f.decide()
				f.wantISR(1, tp, 1, 2)
			})
		})
	}
}

// An answer that arrives after the next LeaderAndIsr, or that tells of an older state, changes nothing.
func TestLateAnswersToAProposalAreIgnored(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		f.setDeaf(1, 2, true)
		f.elect(tp, 1, 1)
		f.holdISR = true
		time.Sleep(600 * time.Millisecond)
		f.setDeaf(1, 2, false)
		time.Sleep(2 * time.Second)
		held := f.held()
		if len(held) != 1 {
			t.Fatalf("%d proposals, want one", len(held))
		}
		f.setDeaf(1, 2, true)
		time.Sleep(600 * time.Millisecond)
		f.elect(tp, 1, 1)
		good := meta.LeaderAndISR{Leader: 1, LeaderEpoch: 1, ISR: []meta.BrokerID{1, 2}, PartitionEpoch: 99}
		held[0].decide(ISRDecision{State: good})
		f.wantISR(1, tp, 1)
		f.mu.Lock()
		f.proposals = nil
		f.mu.Unlock()

		f.setDeaf(1, 2, false)
		time.Sleep(2 * time.Second)
		held = f.held()
		if len(held) != 1 {
			t.Fatalf("%d proposals, want one", len(held))
		}
		old := good
		old.LeaderEpoch, old.PartitionEpoch = 2, held[0].PartitionEpoch-1
		held[0].decide(ISRDecision{State: old})
		f.wantISR(1, tp, 1)
		old.LeaderEpoch, old.PartitionEpoch = 7, 99
		held[0].decide(ISRDecision{State: old})
		f.wantISR(1, tp, 1)
		f.decide()
		f.wantISR(1, tp, 1, 2)
	})
}

// A replica whose broker is not alive is not let in, and does not hold the high watermark back.
func TestADeadBrokerIsNotLetIn(t *testing.T) {
	inFleet(t, 3, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		p := f.part(1, tp)
		f.elect(tp, 1, 1)
		f.nodes[2].kill()
		f.tellBrokers()
		p.mu.RLock()
		may := p.mayExpandLocked(2, 100)
		p.mu.RUnlock()
		if may {
			t.Error("a dead broker may enter the ISR")
		}
		check(t, f.commit(tp, 1))
		f.wantState(1, tp, "start 0 hw 2 leo 2 epochs 0@0 1@1")
	})
}

// A caught-up replica outside the ISR holds the high watermark back too, if alive: it is about to be let in.
func TestACaughtUpReplicaHoldsTheWatermark(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		f.holdISR, f.refuse = true, ErrProposalRefused
		f.elect(tp, 1, 1)
		time.Sleep(2 * time.Second)
		f.setDeaf(1, 2, true)
		time.Sleep(600 * time.Millisecond)
		f.decide()
		f.write(tp, 1)
		f.wantState(1, tp, "start 0 hw 1 leo 2 epochs 0@0 1@1")
		time.Sleep(f.cfg.ReplicaLagTimeMax)
		f.write(tp, 1)
		f.wantState(1, tp, "start 0 hw 3 leo 3 epochs 0@0 1@1")
	})
}

// Below min.insync.replicas nothing becomes visible, whatever acks it was written with.
func TestBelowMinISRTheWatermarkStandsStill(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		for _, n := range f.nodes {
			n.topic.MinInSyncReplicas = 2
		}
		f.nodes[1].bounce()
		f.nodes[2].bounce()
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		f.nodes[2].kill()
		f.elect(tp, 1, 1)
		f.write(tp, 3)
		f.wantState(1, tp, "start 0 hw 1 leo 4 epochs 0@0 1@1")
		if err := f.commit(tp, 1); !errors.Is(err, ErrNotEnoughReplicas) {
			t.Errorf("acks=all: %v", err)
		}
		f.nodes[2].start()
		f.tellBrokers()
		f.tell(tp, 2)
		synctest.Wait()
		f.wantISR(1, tp, 1, 2)
		f.wantState(1, tp, "start 0 hw 4 leo 4 epochs 0@0 1@1")
	})
}

// A follower that stopped at the high watermark is not let in again and again while the high watermark cannot move.
func TestAStoppedFollowerStaysOut(t *testing.T) {
	inFleet(t, 3, testConfig(), func(t *testing.T, f *fleet) {
		for _, n := range f.nodes {
			n.topic.MinInSyncReplicas = 3
			n.bounce()
		}
		tp := f.create("orders", 1, 2, 3)
		check(t, f.commit(tp, 1))
		f.setDeaf(1, 2, true)
		time.Sleep(600 * time.Millisecond)
		f.write(tp, 1)
		time.Sleep(time.Minute)
		f.wantISR(1, tp, 1, 3)
		epoch := f.parts[tp].state.PartitionEpoch
		time.Sleep(5 * time.Minute)
		f.wantISR(1, tp, 1, 3)
		if now := f.parts[tp].state.PartitionEpoch; now != epoch {
			t.Errorf("the ISR changed %d times", now-epoch)
		}
		f.setDeaf(1, 2, false)
		time.Sleep(3 * time.Second)
		f.wantISR(1, tp, 1, 3, 2)
		f.wantState(1, tp, "start 0 hw 2 leo 2 epochs 0@0")
	})
}

// Proposals need a role that is beyond doubt.
func TestWithoutASessionNothingIsProposed(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		f.holdISR = true
		f.setDeaf(1, 2, true)
		time.Sleep(600 * time.Millisecond)
		f.write(tp, 1)
		f.nodes[1].mayLead.Store(false)
		time.Sleep(5 * time.Minute)
		if n := len(f.held()); n != 0 {
			t.Errorf("%d proposals", n)
		}
		f.nodes[1].mayLead.Store(true)
		time.Sleep(time.Minute)
		if n := len(f.held()); n != 1 {
			t.Errorf("%d proposals with a session again, want one", n)
		}
	})
}
