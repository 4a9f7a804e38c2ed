package txn

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// What becomes of a marker by the answer to it: Kafka's TransactionMarkerRequestCompletionHandlerTest as a table.
func TestMarkerAnswers(t *testing.T) {
	for code, want := range map[wire.Code]verdict{
		wire.None: markerWritten, wire.ErrUnsupportedForMessageFormat: markerWritten, wire.ErrUnsupportedVersion: markerWritten,
		wire.ErrUnknownTopicOrPartition: markerRefused, wire.ErrNotLeaderOrFollower: markerRefused, wire.ErrNotEnoughReplicas: markerRefused,
		wire.ErrNotEnoughReplicasAfterAppend: markerRefused, wire.ErrRequestTimedOut: markerRefused, wire.ErrKafkaStorage: markerRefused,
		wire.ErrInvalidProducerEpoch: markerFenced, wire.ErrTransactionCoordinatorFenced: markerFenced,
		wire.ErrCorruptMessage: markerUnforeseen, wire.ErrClusterAuthorizationFailed: markerUnforeseen, wire.ErrMessageTooLarge: markerUnforeseen,
	} {
		if got := verdictOf(code); got != want {
			t.Errorf("%s: %d, want %d", code.Name(), got, want)
		}
	}
}

// prepare leaves a transaction over partitions to be committed.
func (b *bench) prepare(id string, partitions ...string) producer {
	b.t.Helper()
	p := b.mustInit(id)
	b.must(b.add(id, p, partitions...))
	return p
}

// Refused markers are sent again until they are taken, whatever the reason, and the others are not.
func TestRefusedMarkersAreSentAgain(t *testing.T) {
	for _, code := range []wire.Code{wire.ErrNotLeaderOrFollower, wire.ErrUnknownTopicOrPartition, wire.ErrNotEnoughReplicas, wire.ErrCorruptMessage, wire.ErrClusterAuthorizationFailed} {
		inBubble(t, func(t *testing.T, b *bench) {
			p := b.prepare("x", "a0", "b0", "a1")
			b.answers[tp("a", 0)] = func() wire.Code { return code }
			b.must(b.end("x", p, true))
			b.wantMarkers("a1@2 1000/0 true coordinator 5", "b0@1 1000/0 true coordinator 5")
			b.wantState("x", "PrepareCommit 1000/0 [a0]")
			time.Sleep(time.Minute)
			b.wantMarkers()
			b.mu.Lock()
			b.answers[tp("a", 0)] = nil
			b.mu.Unlock()
			time.Sleep(time.Second)
			b.wantMarkers("a0@1 1000/0 true coordinator 5")
			b.wantState("x", "CompleteCommit 1000/0 []")
		})
	}
}

// An answer that leaves partitions out, or does not come, says nothing.
func TestUnansweredMarkersAreSentAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.prepare("x", "a0")
		b.broken[1] = errors.New("connection reset")
		b.must(b.end("x", p, true))
		time.Sleep(time.Minute)
		b.wantState("x", "PrepareCommit 1000/0 [a0]")
		b.mu.Lock()
		delete(b.broken, 1)
		b.mu.Unlock()
		time.Sleep(time.Second)
		b.wantMarkers("a0@1 1000/0 true coordinator 5")
	})
	m := newMarkers(&Options{Logger: nil})
	var done []meta.TopicPartition
	e := &ending{written: func(tps []meta.TopicPartition) { done = append(done, tps...) }}
	left := m.settle(1, share{e, tps("a0", "a1", "b0")}, []wire.Code{wire.ErrNotLeaderOrFollower, wire.None})
	if !slices.Equal(done, tps("a1")) || !slices.Equal(left.tps, tps("a0", "b0")) {
		t.Errorf("done %v, left %v", done, left.tps)
	}
}

// A marker follows its partition to the next leader, at once when that is known.
func TestMarkersFollowTheLeader(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.prepare("x", "a0", "a1")
		b.answers[tp("a", 0)] = func() wire.Code { return wire.ErrNotLeaderOrFollower }
		b.leaders(map[string]meta.BrokerID{"a1": -1})
		b.must(b.end("x", p, true))
		time.Sleep(time.Minute)
		b.wantMarkers()
		b.mu.Lock()
		b.answers[tp("a", 0)] = nil
		b.mu.Unlock()
		b.leaders(map[string]meta.BrokerID{"a0": 2, "a1": 1})
		b.wantMarkers("a0@2 1000/0 true coordinator 5", "a1@1 1000/0 true coordinator 5")
	})
}

// A leader that is not alive is waited for, or its successor.
func TestMarkersWaitForADeadLeader(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.prepare("x", "a0", "a1")
		b.picture(nil, 2)
		b.must(b.end("x", p, true))
		b.wantMarkers("a1@2 1000/0 true coordinator 5")
		time.Sleep(time.Hour)
		b.wantState("x", "PrepareCommit 1000/0 [a0]")
		if n := b.c.markers.homeless.Load(); n != 1 {
			t.Errorf("%d transactions are counted that wait for a leader", n)
		}
		b.leaders(nil)
		b.wantMarkers("a0@1 1000/0 true coordinator 5")
		b.wantState("x", "CompleteCommit 1000/0 []")
		if n := b.c.markers.homeless.Load(); n != 0 {
			t.Errorf("%d transactions are counted that wait for no leader", n)
		}
	})
}

// A partition that this broker has not heard of counts as done only if ZooKeeper does not know it either: Kafka's coordinator
// may pass over partitions because it is young.
func TestPartitionsThatAreGone(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.prepare("x", "a0", "c0", "c1")
		b.gone[tp("c", 1)] = true
		b.must(b.end("x", p, true))
		b.wantMarkers("a0@1 1000/0 true coordinator 5")
		b.wantState("x", "PrepareCommit 1000/0 [c0]")
		time.Sleep(time.Hour)
		b.wantState("x", "PrepareCommit 1000/0 [c0]")
		b.leaders(map[string]meta.BrokerID{"c0": 2})
		b.wantMarkers("c0@2 1000/0 true coordinator 5")
		b.wantState("x", "CompleteCommit 1000/0 []")
	})
}

// An error of ZooKeeper's is no word about a partition.
func TestPartitionsThatZooKeeperCannotTellOf(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.prepare("x", "c0")
		b.zkErr = errors.New("session expired")
		b.must(b.end("x", p, true))
		time.Sleep(time.Hour)
		b.wantState("x", "PrepareCommit 1000/0 [c0]")
		b.leaders(map[string]meta.BrokerID{"c0": 2})
		b.wantMarkers("c0@2 1000/0 true coordinator 5")
	})
}

// Before a broker has heard of any others it knows nothing about partitions, and asks nobody.
func TestMarkersOfABrokerWithoutNews(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.prepare("x", "c0")
		b.picture(nil)
		b.gone[tp("c", 0)] = true
		b.must(b.end("x", p, true))
		time.Sleep(time.Hour)
		b.wantState("x", "PrepareCommit 1000/0 [c0]")
		if len(b.asked) > 0 {
			t.Errorf("asked ZooKeeper about %v", b.asked)
		}
		b.leaders(nil)
		b.wantState("x", "CompleteCommit 1000/0 []")
	})
}

// A coordinator that was deposed stops. It does not finish what the next one takes care of.
func TestFencedMarkers(t *testing.T) {
	for _, code := range []wire.Code{wire.ErrInvalidProducerEpoch, wire.ErrTransactionCoordinatorFenced} {
		inBubble(t, func(t *testing.T, b *bench) {
			p := b.prepare("x", "a0", "a1")
			b.answers[tp("a", 0)] = func() wire.Code { return code }
			b.answers[tp("a", 1)] = func() wire.Code { return wire.ErrNotLeaderOrFollower }
			b.must(b.end("x", p, true))
			time.Sleep(time.Minute)
			before := b.requests
			time.Sleep(time.Hour)
			if b.requests != before {
				t.Error("markers are still being sent")
			}
			b.wantState("x", "PrepareCommit 1000/0 [a0 a1]")
			clear(b.answers)
			b.failover()
			b.wantMarkers("a0@1 1000/0 true coordinator 7", "a1@2 1000/0 true coordinator 7")
		})
	}
}

func TestResignedCoordinatorSendsNoMore(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.prepare("x", "a0")
		b.answers[tp("a", 0)] = func() wire.Code { return wire.ErrNotEnoughReplicas }
		b.must(b.end("x", p, true))
		b.journal.Resign(state0)
		b.c.Roles([]coord.Role{{Partition: 0, LeaderEpoch: 6}})
		synctest.Wait()
		clear(b.answers)
		time.Sleep(time.Hour)
		b.wantMarkers()
	})
}

// A slow partition holds up nobody else's transactions, and what waits for a broker goes in one request.
func TestMarkersInFlight(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		ids := []string{"p", "q", "r", "s", "t", "u", "v", "w"}
		producers := map[string]producer{}
		for _, id := range ids {
			producers[id] = b.prepare(id, "a0", "a1")
		}
		gate := make(chan struct{})
		b.frozen[1] = gate
		for _, id := range ids {
			b.must(b.end(id, producers[id], true))
		}
		if got := len(b.markers()); got != len(ids) {
			t.Errorf("%d markers at broker 2", got)
		}
		requests := b.requests
		b.mu.Lock()
		delete(b.frozen, 1)
		b.mu.Unlock()
		close(gate)
		if got := len(b.markers()); got != len(ids) {
			t.Errorf("%d markers at broker 1", got)
		}
		if more := b.requests - requests; more != 1 {
			t.Errorf("%d requests for what had to wait, want 1", more)
		}
		for _, id := range ids {
			if d, err := b.c.Describe(t.Context(), id); err != nil || d.State != CompleteCommit {
				t.Errorf("%s: %v %v", id, d.State, err)
			}
		}
	})
}

// While a request takes its time, others go to the same broker.
func TestSlowMarkersHoldUpNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		slow, quick := b.prepare("slow", "a0"), b.prepare("quick", "b0")
		gate := make(chan struct{})
		b.frozen[1] = gate
		b.must(b.end("slow", slow, true))
		b.mu.Lock()
		delete(b.frozen, 1)
		b.mu.Unlock()
		b.must(b.end("quick", quick, true))
		b.wantState("quick", "CompleteCommit 1001/0 []")
		b.wantState("slow", "PrepareCommit 1000/0 [a0]")
		close(gate)
		b.wantState("slow", "CompleteCommit 1000/0 []")
	})
}

// The end of a transaction that cannot be written is written later; until then the id is busy.
func TestCompletionIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.prepare("x", "a0")
		b.frozen[1] = make(chan struct{})
		b.must(b.end("x", p, true))
		b.journal.Fail(state0, coord.ErrNotAvailable)
		close(b.frozen[1])
		b.wantMarkers("a0@1 1000/0 true coordinator 5")
		time.Sleep(time.Minute)
		b.wantErr("the next transaction", b.add("x", p, "a1"), ErrConcurrentTransactions)
		b.journal.Fail(state0, nil)
		time.Sleep(time.Second)
		b.wantState("x", "CompleteCommit 1000/0 []")
		b.wantMarkers()
	})
}
