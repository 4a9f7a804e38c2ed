package replica

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/kraal-mq/kraal/quota"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// One test per rule of throttled replication (KIP-73).

// lagging makes a topic led by broker 1 that broker 2, out of the ISR, lacks all of: batches of about 200 bytes.
func (f *fleet) lagging(topic string, batches int) meta.TopicPartition {
	f.t.Helper()
	f.setDeaf(1, 2, true)
	tp := f.create(topic, 1, 2)
	f.elect(tp, 1, 1)
	for range batches {
		f.write(tp, 5)
	}
	return tp
}

func throttled() quota.Partitions { return quota.Partitions{Numbers: map[int32]struct{}{0: {}}} }

// eachThrottle runs a test with the leader's throttle and with the follower's. limit changes the rate, on changes what is
// throttled.
func eachThrottle(t *testing.T, test func(t *testing.T, f *fleet, limit func(int64), on func(topic string, p quota.Partitions))) {
	cfg := testConfig()
	cfg.FetchMaxBytes = 2 * 171 // two batches: what is cut off counts, and is sent again
	for _, end := range []string{"leader", "follower"} {
		t.Run(end, func(t *testing.T) {
			inFleet(t, 2, cfg, func(t *testing.T, f *fleet) {
				q := f.nodes[1].leads
				if end == "follower" {
					q = f.nodes[2].follows
				}
				test(t, f, q.SetLimit, q.Throttle)
			})
		})
	}
}

// What lags behind is copied at the rate, over time. What is not throttled is not.
func TestThrottledReplicaIsCopiedAtTheRate(t *testing.T) {
	eachThrottle(t, func(t *testing.T, f *fleet, limit func(int64), on func(string, quota.Partitions)) {
		slow, fast := f.lagging("slow", 200), f.lagging("fast", 200)
		size := f.log(1, slow).Size()
		on("slow", throttled())
		limit(1000)
		f.setDeaf(1, 2, false)
		began := time.Now()
		for f.log(2, fast).LogEndOffset() < 1000 {
			time.Sleep(10 * time.Millisecond)
			if time.Since(began) > 10*time.Second {
				t.Fatal("a replica that is not throttled waits for one that is")
			}
		}
		for f.log(2, slow).LogEndOffset() < 1000 {
			time.Sleep(10 * time.Millisecond)
		}
		took := time.Since(began)
		if want := time.Duration(size) * time.Second / 1000; took < want*8/10 || took > want*13/10 {
			t.Errorf("%d bytes at 1000 a second took %v", size, took)
		}
		time.Sleep(2 * time.Second)
		f.wantSame(slow)
		f.wantSame(fast)
		if isr := f.isr(1, slow); len(isr) != 2 {
			t.Errorf("ISR %v when it had caught up", isr)
		}
	})
}

// Changes of rate and list hold at once.
func TestThrottleIsLifted(t *testing.T) {
	eachThrottle(t, func(t *testing.T, f *fleet, limit func(int64), on func(string, quota.Partitions)) {
		a, b := f.lagging("a", 100), f.lagging("b", 100)
		on("a", throttled())
		on("b", quota.Partitions{All: true})
		limit(1)
		f.setDeaf(1, 2, false)
		time.Sleep(20 * time.Second)
		for _, tp := range []meta.TopicPartition{a, b} {
			if leo := f.log(2, tp).LogEndOffset(); leo > 30 {
				t.Errorf("%s is copied up to %d at a byte a second", tp, leo)
			}
		}
		on("a", quota.Partitions{})
		time.Sleep(20 * time.Second)
		if la, lb := f.log(2, a).LogEndOffset(), f.log(2, b).LogEndOffset(); la != 500 || lb > 60 {
			t.Errorf("a, not throttled any more, ends at %d; b at %d", la, lb)
		}
		limit(quota.NoLimit)
		time.Sleep(20 * time.Second)
		if leo := f.log(2, b).LogEndOffset(); leo != 500 {
			t.Errorf("b ends at %d without a limit", leo)
		}
	})
}

// A replica that keeps up is not held back, whatever the rate, although its bytes count.
func TestInSyncReplicaIsNotThrottled(t *testing.T) {
	eachThrottle(t, func(t *testing.T, f *fleet, limit func(int64), on func(string, quota.Partitions)) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		time.Sleep(time.Second)
		on("orders", throttled())
		limit(1)
		for range 20 {
			began := time.Now()
			check(t, f.commit(tp, 1))
			if took := time.Since(began); took > time.Second {
				t.Errorf("an acknowledgement took %v", took)
			}
			time.Sleep(600 * time.Millisecond)
		}
		if isr := f.isr(1, tp); len(isr) != 2 {
			t.Errorf("ISR %v", isr)
		}
		now := time.Now()
		if a, b := f.nodes[1].leads.Rate(now), f.nodes[2].follows.Rate(now); a+b < 50 {
			t.Errorf("rates %v and %v: bytes of replicas in sync count", a, b)
		}
		// And holds those back that are not.
		lagging := f.lagging("lagging", 100)
		on("lagging", throttled())
		f.setDeaf(1, 2, false)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if leo := f.log(2, lagging).LogEndOffset(); leo > 30 {
			t.Errorf("the other is copied up to %d", leo)
		}
	})
}

// Held back, both sides rest: no polling without pause.
func TestThrottledReplicasAreNotPolledFor(t *testing.T) {
	eachThrottle(t, func(t *testing.T, f *fleet, limit func(int64), on func(string, quota.Partitions)) {
		f.lagging("slow", 100)
		on("slow", throttled())
		limit(1)
		f.setDeaf(1, 2, false)
		time.Sleep(5 * time.Second)
		f.mu.Lock()
		polls := f.nodes[1].polls
		f.mu.Unlock()
		time.Sleep(10 * time.Second)
		f.mu.Lock()
		defer f.mu.Unlock()
		if n := f.nodes[1].polls - polls; n > 25 {
			t.Errorf("%d polls in ten seconds", n)
		}
	})
}
