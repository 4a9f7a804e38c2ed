package txn

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

func TestStateNames(t *testing.T) {
	for s := Empty; s <= PrepareEpochFence; s++ {
		if again, ok := ParseState(s.String()); !ok || again != s {
			t.Errorf("%d is called %s, which is %d", s, s, again)
		}
	}
	for _, name := range []string{"", "empty", "State(8)", "Nonsense"} {
		if s, ok := ParseState(name); ok {
			t.Errorf("%q is a state: %v", name, s)
		}
	}
}

// Which state may follow which, as TransactionMetadata.scala has it.
func TestTransitions(t *testing.T) {
	allowed := map[State]string{
		Empty:             "Empty Ongoing Dead",
		Ongoing:           "Ongoing PrepareCommit PrepareAbort PrepareEpochFence",
		PrepareCommit:     "CompleteCommit",
		PrepareAbort:      "CompleteAbort",
		CompleteCommit:    "Empty Ongoing Dead",
		CompleteAbort:     "Empty Ongoing Dead",
		PrepareEpochFence: "PrepareAbort",
	}
	for old := Empty; old <= PrepareEpochFence; old++ {
		var next []string
		for s := Empty; s <= PrepareEpochFence; s++ {
			x := &transaction{id: "id", status: status{state: old}, pending: none}
			_, err := x.begin(status{state: s})
			if s.mayFollow(old) != (err == nil) {
				t.Errorf("%s after %s: %v", s, old, err)
			}
			if err == nil {
				next = append(next, s.String())
				if x.pending != s {
					t.Errorf("%s after %s: pending is %s", s, old, x.pending)
				}
			} else if x.pending != none {
				t.Errorf("%s after %s was refused and is pending", s, old)
			}
			y := &transaction{id: "id", status: status{state: old}, pending: Ongoing}
			if _, err := y.begin(status{state: s}); !errors.Is(err, errBroken) {
				t.Errorf("%s after %s while another transition is under way: %v", s, old, err)
			}
		}
		if got := strings.Join(next, " "); got != allowed[old] {
			t.Errorf("after %s: %s, want %s", old, got, allowed[old])
		}
	}
}

// What InitProducerId makes of a producer id and its epoch (KIP-360, KIP-588).
func TestInitialise(t *testing.T) {
	const id, lastID, fresh = 7, 3, 99
	type result struct {
		id        int64
		epoch     int16
		lastID    int64
		lastEpoch int16
	}
	fenced := result{}
	for _, c := range []struct {
		what            string
		epoch, last     int16
		sent            producer
		wantContinue    bool
		wantFreshNeeded bool
		want            result
	}{
		{"first ever", -1, -1, noProducer, true, false, result{id, 0, id, -1}},
		{"first here, after UNKNOWN_PRODUCER_ID", -1, -1, producer{42, 5}, true, false, result{id, 0, id, -1}},
		{"a new producer", 4, 3, noProducer, true, false, result{id, 5, id, -1}},
		{"goes on after an error", 4, 3, producer{id, 4}, true, false, result{id, 5, id, 4}},
		{"asks again, having had no answer", 4, 3, producer{id, 3}, true, false, result{id, 4, id, 3}},
		{"an old epoch", 4, 3, producer{id, 2}, true, false, fenced},
		{"the epoch before, but another producer came", 4, -1, producer{id, 3}, true, false, fenced},
		{"an epoch of the future", 4, 3, producer{id, 9}, true, false, fenced},
		{"another id", 4, 3, producer{42, 4}, false, false, fenced},
		{"the id before, epoch not used up", 4, 3, producer{lastID, 4}, false, false, fenced},
		{"a new producer, epochs used up", lastEpoch, 3, noProducer, true, true, result{fresh, 0, id, -1}},
		{"goes on, epochs used up", lastEpoch, 3, producer{id, lastEpoch}, true, true, result{fresh, 0, id, lastEpoch}},
		{"asks again for the last epoch", lastEpoch, lastEpoch - 1, producer{id, lastEpoch - 1}, true, false, result{id, lastEpoch, id, lastEpoch - 1}},
		{"asks again after the id was changed", 0, lastEpoch, producer{lastID, lastEpoch}, true, false, result{id, 0, id, lastEpoch}},
		{"a new producer after a fence used the last epoch up", math.MaxInt16, -1, noProducer, true, true, result{fresh, 0, id, -1}},
		{"the fenced producer then", math.MaxInt16, -1, producer{id, lastEpoch}, true, false, fenced},
	} {
		x := &transaction{id: "id", pending: none, status: status{state: CompleteAbort, producerID: id, producerEpoch: c.epoch, timeoutMs: 1, startMs: 5, updatedMs: 6,
			lastProducerID: lastID, lastProducerEpoch: c.last}}
		if got := c.sent == noProducer || x.mayContinue(c.sent); got != c.wantContinue {
			t.Errorf("%s: may continue: %t", c.what, got)
		}
		if !c.wantContinue {
			continue
		}
		if got := x.needsProducerID(c.sent); got != c.wantFreshNeeded {
			t.Errorf("%s: needs a producer id: %t", c.what, got)
		}
		next, err := x.initialise(c.sent, fresh, 2, 100)
		if c.want == fenced {
			if !errors.Is(err, ErrProducerFenced) || x.pending != none {
				t.Errorf("%s: %v, pending %s", c.what, err, x.pending)
			}
			continue
		}
		got := result{next.producerID, next.producerEpoch, next.lastProducerID, next.lastProducerEpoch}
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v, want %+v", c.what, got, err, c.want)
		}
		if next.state != Empty || next.timeoutMs != 2 || next.startMs != noTime || next.updatedMs != 100 || len(next.partitions) != 0 {
			t.Errorf("%s: %+v", c.what, next)
		}
		x.install(next)
		if x.pending != none || x.producerEpoch != c.want.epoch {
			t.Errorf("%s: installed %+v", c.what, x)
		}
	}
}

func tps(names ...string) []meta.TopicPartition {
	var out []meta.TopicPartition
	for _, n := range names {
		var tp meta.TopicPartition
		if _, err := fmt.Sscanf(n, "%1s%d", &tp.Topic, &tp.Partition); err != nil {
			panic(err)
		}
		out = append(out, tp)
	}
	return out
}

func TestLifeOfATransaction(t *testing.T) {
	x := newTransaction("id", 7, 1000, 1)
	must := func(next status, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		x.install(next)
	}
	must(x.initialise(noProducer, noProducerID, 1000, 2))
	must(x.add(tps("a0", "a1"), 10))
	must(x.add(tps("b0"), 20))
	if x.startMs != 10 || x.updatedMs != 20 || len(x.partitions) != 3 || !x.partitions.containsAll(tps("a0", "a1", "b0")) || x.partitions.containsAll(tps("b1")) {
		t.Errorf("ongoing: %+v", x)
	}
	if x.timedOut(1010) || !x.timedOut(1011) {
		t.Error("times out at another moment than 1000 ms after its start")
	}
	must(x.end(true, 30))
	if x.timedOut(5000) || x.state != PrepareCommit || len(x.partitions) != 3 || x.startMs != 10 {
		t.Errorf("prepared: %+v", x)
	}
	must(x.complete(40))
	if x.state != CompleteCommit || len(x.partitions) != 0 || x.startMs != 10 || x.updatedMs != 40 {
		t.Errorf("complete: %+v", x)
	}
	if x.expired(139, 100) || !x.expired(140, 100) {
		t.Error("expires at another moment than 100 ms after its last change")
	}
	must(x.add(tps("c0"), 50))
	if x.startMs != 50 || len(x.partitions) != 1 {
		t.Errorf("the next transaction: %+v", x)
	}
	if x.expired(1000, 1) {
		t.Error("an ongoing transaction expires")
	}
	must(x.end(false, 60))
	must(x.complete(70))
	if x.state != CompleteAbort {
		t.Errorf("aborted: %+v", x)
	}
}

// A fence is in force at once, and raises the epoch once, however often it has to be tried.
func TestFence(t *testing.T) {
	x := &transaction{id: "id", pending: none, status: status{state: Ongoing, producerID: 7, producerEpoch: 4, lastProducerEpoch: 3, partitions: partitionSet{}.with(tps("a0")), startMs: 1}}
	next, err := x.fence(10)
	if err != nil || next.state != PrepareAbort || next.producerEpoch != 5 || next.lastProducerEpoch != noProducerEpoch || x.pending != PrepareAbort {
		t.Fatalf("%+v, %v, pending %s", next, err, x.pending)
	}
	if x.producerEpoch != 5 {
		t.Error("the old epoch is good until the fence is written")
	}
	x.pending, x.fenceFailed = none, true // as after a failed append
	if next, err = x.fence(20); err != nil || next.producerEpoch != 5 {
		t.Errorf("the second attempt: %+v, %v", next, err)
	}
	x.install(next)
	if done, err := x.complete(30); err != nil || x.fenceFailed || done.state != CompleteAbort || done.producerEpoch != 5 {
		t.Errorf("completed: %+v, %v", done, err)
	}
	y := &transaction{id: "id", pending: none, status: status{state: Ongoing, producerEpoch: math.MaxInt16}}
	if next, err := y.fence(1); err != nil || next.producerEpoch != math.MaxInt16 {
		t.Errorf("no epoch is left: %+v, %v", next, err)
	}
}

func tp(topic string, partition int32) meta.TopicPartition {
	return meta.TopicPartition{Topic: topic, Partition: partition}
}
