package quota

import (
	"math/rand/v2"
	"testing"
	"time"
)

// As Kafka's ReplicationQuotaManagerTest: the rate is that since the oldest sample began, of one sample at least.
func TestReplicationRate(t *testing.T) {
	r := NewReplication(10, time.Second)
	r.SetLimit(100)
	if r.Exceeded(at(0)) {
		t.Error("nothing recorded, and exceeded")
	}
	r.Record(1, at(0))
	if rate := r.Rate(at(0)); rate != 1 {
		t.Errorf("rate %v", rate)
	}
	r.Record(99, at(0.5))
	if r.Exceeded(at(0.5)) {
		t.Error("exceeded at the limit")
	}
	r.Record(1, at(0.9))
	if rate := r.Rate(at(0.9)); rate != 101 || !r.Exceeded(at(0.9)) {
		t.Errorf("rate %v, exceeded %v", rate, r.Exceeded(at(0.9)))
	}
	if r.Exceeded(at(1.1)) {
		t.Error("101 bytes in 1.1 s are not above 100 a second")
	}
	r.SetLimit(10)
	if !r.Exceeded(at(1.1)) {
		t.Error("a lower limit holds at once")
	}
	r.SetLimit(NoLimit)
	if r.Exceeded(at(1.1)) {
		t.Error("exceeded without a limit")
	}
	if rate := r.Rate(at(11)); rate != 0 {
		t.Errorf("rate %v after all samples have passed", rate)
	}
}

// Delay is right, or one sample: looked at again after it, the rate is not exceeded in the end.
func TestReplicationDelay(t *testing.T) {
	r := NewReplication(11, time.Second)
	r.SetLimit(1000)
	r.Record(5000, at(0))
	now, looks := at(0), 0
	for d := r.Delay(now); d > 0; d = r.Delay(now) {
		if d > time.Second {
			t.Fatalf("delay %v", d)
		}
		now = now.Add(d)
		if looks++; looks > 100 {
			t.Fatal("no end")
		}
	}
	if took := now.Sub(at(0)); took < 4900*time.Millisecond || took > 5100*time.Millisecond {
		t.Errorf("5000 bytes at 1000 a second took %v", took)
	}
	r.SetLimit(0)
	if d := r.Delay(now); d != time.Second {
		t.Errorf("delay %v with no rate at all", d)
	}
}

// Somebody who copies in pieces whenever the rate is not exceeded keeps the rate over time, whatever the pieces.
func TestReplicationHoldsTheRate(t *testing.T) {
	for _, piece := range []int{100, 3000, 40_000} {
		rng := rand.New(rand.NewPCG(1, uint64(piece)))
		r := NewReplication(11, time.Second)
		r.SetLimit(5000)
		total, now := 0, at(0)
		for end := at(300); now.Before(end); {
			if d := r.Delay(now); d > 0 {
				now = now.Add(d)
				continue
			}
			n := 1 + rng.IntN(piece)
			r.Record(n, now)
			total += n
			now = now.Add(time.Millisecond)
		}
		if got := float64(total) / 300; got < 4200 || got > 6500 {
			t.Errorf("pieces of up to %d: %v bytes a second, want 5000", piece, got)
		}
	}
}

func TestThrottledPartitions(t *testing.T) {
	r := NewReplication(11, time.Second)
	if r.Any() || r.Throttled("a", 0) {
		t.Error("something is throttled")
	}
	r.Throttle("a", Partitions{Numbers: map[int32]struct{}{1: {}}})
	r.Throttle("b", Partitions{All: true})
	for _, c := range []struct {
		topic     string
		partition int32
		want      bool
	}{{"a", 0, false}, {"a", 1, true}, {"b", 7, true}, {"c", 0, false}} {
		if got := r.Throttled(c.topic, c.partition); got != c.want {
			t.Errorf("%s-%d: %v", c.topic, c.partition, got)
		}
	}
	r.Throttle("b", Partitions{})
	r.Throttle("c", Partitions{})
	if r.Throttled("b", 7) || !r.Any() {
		t.Error("b is throttled still, or a is not")
	}
	r.Throttle("a", Partitions{})
	if r.Any() {
		t.Error("something is throttled still")
	}
}
