package txn

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/broker/wire"
)

// The rules are those that Kafka's TransactionCoordinatorTest and TransactionStateManagerTest hold its coordinator to.

func TestCommitAndAbort(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.mustInit("x")
		if p != (producer{1000, 0}) {
			t.Fatalf("initialised as %v", p)
		}
		b.wantState("x", "Empty 1000/0 []")
		b.must(b.add("x", p, "a0", "a1"))
		b.must(b.add("x", p, "b0"))
		b.wantState("x", "Ongoing 1000/0 [a0 a1 b0]")
		b.must(b.end("x", p, true))
		b.wantMarkers("a0@1 1000/0 true coordinator 5", "a1@2 1000/0 true coordinator 5", "b0@1 1000/0 true coordinator 5")
		b.wantState("x", "CompleteCommit 1000/0 []")
		b.must(b.add("x", p, "a0"))
		b.must(b.end("x", p, false))
		b.wantMarkers("a0@1 1000/0 false coordinator 5")
		b.wantState("x", "CompleteAbort 1000/0 []")
		if got, want := b.log(), "x Empty 1000/0; x Ongoing 1000/0; x Ongoing 1000/0; x PrepareCommit 1000/0; x CompleteCommit 1000/0; "+
			"x Ongoing 1000/0; x PrepareAbort 1000/0; x CompleteAbort 1000/0"; got != want {
			t.Errorf("log: %s", got)
		}
	})
}

func TestRequestsThatMakeNoSense(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.mustInit("x")
		b.must(b.add("x", p, "a0"))
		old, other := producer{p.id, p.epoch - 1}, producer{p.id + 1, p.epoch}
		for _, c := range []struct {
			what string
			err  error
			want error
		}{
			{"add without id", b.add("", p, "a0"), ErrInvalidRequest},
			{"add, unknown id", b.add("nobody", p, "a0"), ErrInvalidProducerIDMapping},
			{"add, other producer id", b.add("x", other, "a0"), ErrInvalidProducerIDMapping},
			{"add, old epoch", b.add("x", old, "a0"), ErrProducerFenced},
			{"end without id", b.end("", p, true), ErrInvalidRequest},
			{"end, unknown id", b.end("nobody", p, true), ErrInvalidProducerIDMapping},
			{"end, other producer id", b.end("x", other, true), ErrInvalidProducerIDMapping},
			{"end, old epoch", b.end("x", old, true), ErrProducerFenced},
			{"end, future epoch", b.end("x", producer{p.id, p.epoch + 1}, true), ErrProducerFenced},
		} {
			b.wantErr(c.what, c.err, c.want)
		}
		for _, timeout := range []int32{0, -1, 60001} {
			_, _, err := b.c.InitProducerID(t.Context(), InitRequest{TransactionalID: "x", TimeoutMs: timeout, ProducerID: -1, ProducerEpoch: -1})
			b.wantErr("timeout", err, ErrInvalidTimeout)
		}
		_, err := b.init("")
		b.wantErr("initialise without id", err, ErrInvalidRequest)
		_, err = b.init("x", other)
		b.wantErr("initialise, other producer id", err, ErrProducerFenced)
		if got := b.state("nobody"); got != ErrNotFound.Error() {
			t.Errorf("describe an unknown id: %s", got)
		}
		if got := b.state(""); got != ErrInvalidRequest.Error() {
			t.Errorf("describe without id: %s", got)
		}
		b.wantState("x", "Ongoing 1000/0 [a0]")
	})
}

// EndTxn in every state, asked for what was decided and for the opposite.
func TestEndTxnByState(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.mustInit("x")
		both := func(state string, commit, abort error) {
			t.Helper()
			b.wantErr(state+", commit", b.end("x", p, true), commit)
			b.wantErr(state+", abort", b.end("x", p, false), abort)
		}
		both("Empty", ErrInvalidTxnState, ErrInvalidTxnState)
		b.frozen[1] = make(chan struct{})
		b.must(b.add("x", p, "a0"))
		b.must(b.end("x", p, true))
		b.wantState("x", "PrepareCommit 1000/0 [a0]")
		both("PrepareCommit", ErrConcurrentTransactions, ErrConcurrentTransactions)
		b.wantErr("add while markers are written", b.add("x", p, "a1"), ErrConcurrentTransactions)
		_, err := b.init("x")
		b.wantErr("initialise while markers are written", err, ErrConcurrentTransactions)
		close(b.frozen[1])
		b.wantState("x", "CompleteCommit 1000/0 []")
		both("CompleteCommit", nil, ErrInvalidTxnState)
		delete(b.frozen, 1)
		b.must(b.add("x", p, "a0"))
		b.must(b.end("x", p, false))
		both("CompleteAbort", ErrInvalidTxnState, nil)
		b.wantMarkers("a0@1 1000/0 false coordinator 5", "a0@1 1000/0 true coordinator 5")
	})
}

// Nothing is answered, and no marker sent, before the decision is replicated.
func TestDecisionIsReplicatedFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.mustInit("x")
		b.must(b.add("x", p, "a0"))
		b.journal.Hold(state0)
		answer := b.endLater("x", p, true)
		b.wantMarkers()
		b.wantState("x", "Ongoing 1000/0 [a0]")
		b.wantErr("end again meanwhile", b.end("x", p, true), ErrConcurrentTransactions)
		b.wantErr("add meanwhile", b.add("x", p, "a1"), ErrConcurrentTransactions)
		select {
		case err := <-answer:
			t.Fatalf("answered before the decision was replicated: %v", err)
		default:
		}
		b.journal.Release(state0)
		b.wantErr("end", <-answer, nil)
		b.wantMarkers("a0@1 1000/0 true coordinator 5")
	})
}

// A transition that cannot be written changes nothing, and may be tried again.
func TestAppendFails(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.mustInit("x")
		for _, c := range []struct{ fail, want error }{{coord.ErrNotAvailable, coord.ErrNotAvailable}, {coord.ErrNotCoordinator, coord.ErrNotCoordinator}, {coord.ErrTooLarge, coord.ErrTooLarge}} {
			b.journal.Fail(state0, c.fail)
			b.wantErr("add", b.add("x", p, "a0"), c.want)
			_, err := b.init("x")
			b.wantErr("initialise", err, c.want)
			b.wantState("x", "Empty 1000/0 []")
		}
		b.journal.Fail(state0, nil)
		b.must(b.add("x", p, "a0"))
		b.journal.Fail(state0, coord.ErrNotAvailable)
		b.wantErr("commit", b.end("x", p, true), coord.ErrNotAvailable)
		b.wantState("x", "Ongoing 1000/0 [a0]")
		b.wantMarkers()
		b.journal.Fail(state0, nil)
		b.journal.Hold(state0)
		b.wantErr("commit, not replicated in time", b.end("x", p, true), coord.ErrNotAvailable)
		b.wantMarkers()
		b.journal.Release(state0)
		b.must(b.end("x", p, true))
		b.wantMarkers("a0@1 1000/0 true coordinator 5")
	})
}

// Whoever waits when leadership ends is sent to the next coordinator.
func TestResignationAnswers(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.mustInit("x")
		b.must(b.add("x", p, "a0"))
		b.journal.Hold(state0)
		answer := b.endLater("x", p, true)
		synctest.Wait()
		b.journal.Resign(state0)
		b.c.Roles([]coord.Role{{Partition: 0, LeaderEpoch: 6}})
		b.wantErr("end", <-answer, coord.ErrNotCoordinator)
		b.wantErr("add", b.add("x", p, "a0"), coord.ErrNotCoordinator)
		b.wantMarkers()
		if _, err := b.c.List(t.Context()); err != nil {
			t.Errorf("list: %v", err)
		}
	})
}

func TestCallerLosesPatience(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.mustInit("x")
		b.journal.Hold(state0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		b.wantErr("add", b.c.AddPartitions(ctx, Producer{"x", p.id, p.epoch}, tps("a0")), coord.ErrNotAvailable)
	})
}

// A new producer fences the old one, whose transaction is aborted first. The epoch of the fence is nobody's.
func TestNewProducerAbortsTheOldOnesTransaction(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.mustInit("x")
		b.must(b.add("x", p, "a0", "a1"))
		if next := b.mustInit("x"); next != (producer{1000, 2}) {
			t.Errorf("the next producer is %v", next)
		}
		b.wantMarkers("a0@1 1000/1 false coordinator 5", "a1@2 1000/1 false coordinator 5")
		b.wantErr("the old producer commits", b.end("x", p, true), ErrProducerFenced)
		b.wantErr("the old producer adds", b.add("x", p, "b0"), ErrProducerFenced)
	})
}

// Who comes while markers are being written is served when they are, or told to come again.
func TestNextTransactionWaitsForTheLast(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.prepare("x", "a0")
		later := func(f func() error) <-chan error {
			answer := make(chan error, 1)
			go func() { answer <- f() }()
			synctest.Wait()
			return answer
		}
		add := func() error {
			return b.c.AddPartitions(t.Context(), Producer{"x", p.id, p.epoch}, tps("a1"))
		}
		b.frozen[1] = make(chan struct{})
		b.must(b.end("x", p, true))
		first := later(add)
		time.Sleep(parkTime / 2)
		second := later(add)
		time.Sleep(3 * parkTime / 4)
		b.wantErr("added while the markers take too long", <-first, ErrConcurrentTransactions)
		close(b.frozen[1])
		delete(b.frozen, 1)
		b.wantErr("added while the markers are written", <-second, nil)
		b.wantState("x", "Ongoing 1000/0 [a1]")
		b.wantMarkers("a0@1 1000/0 true coordinator 5")

		b.frozen[2] = make(chan struct{})
		b.must(b.end("x", p, true))
		add3, init := later(add), later(func() error {
			_, _, err := b.c.InitProducerID(t.Context(), InitRequest{TransactionalID: "x", TimeoutMs: 1, ProducerID: -1, ProducerEpoch: -1})
			return err
		})
		b.journal.Resign(state0)
		b.c.Roles([]coord.Role{{Partition: 0, LeaderEpoch: 6}})
		b.wantErr("added at a coordinator that resigns", <-add3, coord.ErrNotCoordinator)
		b.wantErr("initialised at a coordinator that resigns", <-init, coord.ErrNotCoordinator)
	})
}

// The fence is in force although it could not be written, and is not raised again when it is.
func TestFenceThatFails(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.mustInit("x")
		b.must(b.add("x", p, "a0"))
		b.journal.Fail(state0, coord.ErrNotAvailable)
		for range 3 {
			_, err := b.init("x")
			b.wantErr("initialise", err, coord.ErrNotAvailable)
			b.wantErr("the old producer commits", b.end("x", p, true), ErrProducerFenced)
		}
		b.wantMarkers()
		b.journal.Fail(state0, nil)
		b.frozen[1] = make(chan struct{})
		_, err := b.init("x")
		b.wantErr("initialise", err, ErrConcurrentTransactions)
		close(b.frozen[1])
		b.wantMarkers("a0@1 1000/1 false coordinator 5")
	})
}

// A producer whose epochs are used up gets another id.
func TestEpochsRunOut(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.mustInit("x")
		for p.epoch < lastEpoch {
			p = b.mustInit("x", p)
		}
		b.must(b.add("x", p, "a0"))
		next := b.mustInit("x")
		b.wantMarkers("a0@1 1000/32767 false coordinator 5")
		if next != (producer{1001, 0}) {
			t.Errorf("the next producer is %v", next)
		}
		b.wantErr("the old producer", b.add("x", p, "a0"), ErrInvalidProducerIDMapping)
	})
}

func TestNoProducerIDToBeHad(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.idErr = wire.ErrCoordinatorLoadInProgress
		_, err := b.init("x")
		b.wantErr("initialise", err, wire.ErrCoordinatorLoadInProgress)
		if got := b.state("x"); got != ErrNotFound.Error() {
			t.Errorf("x is %s", got)
		}
		b.idErr = nil
		b.mustInit("x")
	})
}

func TestVerify(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.mustInit("x")
		ok, not := "<nil>", ErrAbortable.Error()
		for _, c := range []struct{ what, got, want string }{
			{"nothing added", b.verify("x", p, "a0"), not},
			{"unknown id", b.verify("nobody", p, "a0"), ErrInvalidProducerIDMapping.Error()},
			{"no id", b.verify("", p, "a0", "a1"), "invalid request, invalid request"},
			{"other producer id", b.verify("x", producer{5, 0}, "a0"), ErrInvalidProducerIDMapping.Error()},
		} {
			if c.got != c.want {
				t.Errorf("%s: %s", c.what, c.got)
			}
		}
		b.must(b.add("x", p, "a0"))
		if got := b.verify("x", p, "a0", "a1", "b0"); got != ok+", "+not+", "+not {
			t.Errorf("one added: %s", got)
		}
		if got := b.verify("x", producer{p.id, p.epoch - 1}, "a0"); got != ErrProducerFenced.Error() {
			t.Errorf("old epoch: %s", got)
		}
		b.frozen[1] = make(chan struct{})
		b.must(b.end("x", p, true))
		if got := b.verify("x", p, "a0"); got != ErrConcurrentTransactions.Error() {
			t.Errorf("prepared: %s", got)
		}
		close(b.frozen[1])
		synctest.Wait()
		if got := b.verify("x", p, "a0"); got != not {
			t.Errorf("complete: %s", got)
		}
	})
}

// A transaction that its producer leaves open is aborted, with an epoch that the producer does not have.
func TestTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.mustInit("x")
		b.must(b.add("x", p, "a0"))
		time.Sleep(35 * time.Second)
		b.must(b.add("x", p, "b0")) // activity does not extend it
		b.wantMarkers()
		time.Sleep(20 * time.Second)
		b.wantMarkers("a0@1 1000/1 false coordinator 5", "b0@1 1000/1 false coordinator 5")
		b.wantState("x", "CompleteAbort 1000/1 []")
		b.wantErr("commit", b.end("x", p, true), ErrProducerFenced)
		_, err := b.init("x", p)
		b.wantErr("goes on with the old epoch", err, ErrProducerFenced)
		b.mustInit("x")
	})
}

// A timeout whose abort cannot be written is tried again.
func TestTimeoutIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.mustInit("x")
		b.must(b.add("x", p, "a0"))
		b.journal.Fail(state0, coord.ErrNotAvailable)
		time.Sleep(time.Minute + time.Second)
		b.wantMarkers()
		b.journal.Fail(state0, nil)
		time.Sleep(time.Minute)
		b.wantMarkers("a0@1 1000/1 false coordinator 5")
	})
}

func TestUnusedIDsExpire(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		idle, used, open := b.mustInit("idle"), b.mustInit("used"), b.mustInit("open")
		b.must(b.add("used", used, "a0"))
		time.Sleep(15 * time.Second)
		b.must(b.end("used", used, true))
		time.Sleep(50 * time.Minute)
		b.must(b.add("used", used, "a0"))
		b.must(b.end("used", used, true))
		b.frozen[1] = make(chan struct{})
		b.must(b.add("open", open, "a0"))
		b.must(b.end("open", open, true))
		time.Sleep(25 * time.Minute)
		b.wantErr("the expired one", b.add("idle", idle, "a0"), ErrInvalidProducerIDMapping)
		b.wantState("used", "CompleteCommit 1001/0 []")
		b.wantState("open", "PrepareCommit 1002/0 [a0]")
		close(b.frozen[1])
		delete(b.frozen, 1)
		b.failover()
		b.wantErr("the expired one, elsewhere", b.add("idle", idle, "a0"), ErrInvalidProducerIDMapping)
		b.journal.Fail(state0, coord.ErrNotAvailable)
		time.Sleep(2*time.Hour + time.Minute)
		b.journal.Fail(state0, nil)
		b.wantState("used", "CompleteCommit 1001/0 []") // its removal could not be written
		time.Sleep(20 * time.Minute)
		if got := b.state("used"); got != ErrNotFound.Error() {
			t.Errorf("used is %s", got)
		}
	})
}

func TestListTransactions(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.mustInit("idle")
		p := b.mustInit("busy")
		b.must(b.add("busy", p, "a0"))
		all, err := b.c.List(t.Context())
		states := map[string]State{}
		for _, d := range all {
			states[d.TransactionalID] = d.State
		}
		if err != nil || len(states) != 2 || states["idle"] != Empty || states["busy"] != Ongoing {
			t.Errorf("%v, %v", states, err)
		}
	})
}

// A coordinator that takes over finds everything as it was, but for what is not in the log.
func TestTakeOver(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.mustInit("x")
		p = b.mustInit("x", p)
		b.must(b.add("x", p, "a0", "a1"))
		b.failover()
		b.wantState("x", "Ongoing 1000/1 [a0 a1]")
		b.must(b.end("x", p, true))
		b.wantMarkers("a0@1 1000/1 true coordinator 7", "a1@2 1000/1 true coordinator 7")
		b.failover()
		b.wantMarkers()
		b.wantState("x", "CompleteCommit 1000/1 []")
		b.wantErr("the commit again", b.end("x", p, true), nil)
		_, err := b.init("x", producer{1000, 0})
		b.wantErr("an InitProducerId again whose answer was lost", err, ErrProducerFenced)
	})
}

// What is decided is carried out by whoever comes next, as often as it takes.
func TestTakeOverOfPrepared(t *testing.T) {
	for _, commit := range []bool{true, false} {
		inBubble(t, func(t *testing.T, b *bench) {
			p := b.mustInit("x")
			b.must(b.add("x", p, "a0", "a1"))
			b.frozen[2] = make(chan struct{})
			b.must(b.end("x", p, commit))
			outcome := map[bool]string{true: "true", false: "false"}[commit]
			b.wantMarkers("a0@1 1000/0 " + outcome + " coordinator 5")
			b.failover()
			b.wantMarkers("a0@1 1000/0 " + outcome + " coordinator 7")
			b.wantErr("the opposite", b.end("x", p, !commit), ErrConcurrentTransactions)
			delete(b.frozen, 2)
			b.failover()
			b.wantMarkers("a0@1 1000/0 "+outcome+" coordinator 9", "a1@2 1000/0 "+outcome+" coordinator 9")
			b.failover()
			b.wantMarkers()
			b.must(b.add("x", p, "b0"))
		})
	}
}

// A decision that is not on all in-sync replicas may be lost with the coordinator. Until it is certain, the next one does nothing.
func TestUncertainDecisionIsNotCarriedOut(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.mustInit("x")
		b.must(b.add("x", p, "a0"))
		end := b.journal.Log(state0)[len(b.journal.Log(state0))-1].At.Offset + 1
		b.journal.Hold(state0)
		b.endLater("x", p, true)
		synctest.Wait()
		b.failover() // to a replica that has it, while others in sync do not
		b.wantMarkers()
		b.wantErr("add", b.add("x", p, "a1"), coord.ErrLoading)
		if _, err := b.c.List(t.Context()); !errors.Is(err, coord.ErrLoading) {
			t.Errorf("list: %v", err)
		}
		b.journal.Resign(state0)
		b.journal.Truncate(state0, end)
		b.journal.Release(state0)
		b.failover() // to a replica that has not
		b.wantState("x", "Ongoing 1000/0 [a0]")
		b.must(b.end("x", p, false))
		b.wantMarkers("a0@1 1000/0 false coordinator 9")
	})
}

// A leadership that goes on in the next epoch goes on with its transactions and markers.
func TestEpochIsRaised(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.mustInit("x")
		b.must(b.add("x", p, "a0"))
		b.frozen[1] = make(chan struct{})
		b.must(b.end("x", p, true))
		b.journal.Lead(state0, 6)
		b.c.Roles([]coord.Role{{Partition: 0, LeaderEpoch: 6, Leads: true}})
		close(b.frozen[1])
		delete(b.frozen, 1)
		b.wantMarkers("a0@1 1000/0 true coordinator 5")
		b.wantState("x", "CompleteCommit 1000/0 []")
		b.must(b.add("x", p, "a0"))
		b.must(b.end("x", p, true))
		b.wantMarkers("a0@1 1000/0 true coordinator 6")
	})
}

// Records of other versions, which a newer coordinator may have written, do not keep the rest from being read.
func TestUnknownRecordsArePassedOver(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.mustInit("x")
		for _, r := range []coord.Record{{Key: []byte{0, 9, 1}, Value: []byte{1}}, {Key: encodeKey("y"), Value: []byte{0, 9}}, {Key: encodeKey("z"), Value: []byte{}}, {Key: nil, Value: []byte{1}}} {
			_, _, err := b.journal.Append(state0, b.epoch, coord.Plain(r))
			b.must(err)
		}
		b.failover()
		b.must(b.add("x", p, "a0"))
	})
}
