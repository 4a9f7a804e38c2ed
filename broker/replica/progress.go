package replica

import (
	"sync/atomic"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// progress is what a leader knows of one remote replica. Guarded by Partition.followers; no time is read here.
// The rules are those of Kafka's Replica.updateFetchStateOrThrow.
type progress struct {
	// leo is the offset of the replica's last fetch: all below it is on the replica's disk. -1: it has not fetched yet.
	leo int64
	// logStart is the replica's own log start offset, for the low watermark of DeleteRecords. -1: unknown.
	logStart int64
	// leaderLEO and at are the leader's log end offset and the time of the previous fetch.
	leaderLEO int64
	at        time.Time
	// caughtUp is the last time the replica is known to have held all the leader had.
	caughtUp time.Time
	// epoch is the broker epoch the replica fetched with, or meta.NoBrokerEpoch.
	epoch meta.BrokerEpoch
	// sentAfter is a moment that was over when the replica sent a fetch that has arrived; zero: none is known. A request in a
	// session is sent when the answer to the one before has arrived, so it is when that one came.
	sentAfter time.Time
	// clock, if not nil, is when the replica last polled the session it has this partition in, and found nothing new here:
	// it is caught up as of then, although the partition was not looked at. See [FetchWatch].
	clock *pollClock
}

// pollClock is when a session was polled last, and the time before, in Unix nanoseconds; 0: never.
type pollClock struct{ last, before atomic.Int64 }

// polled notes a poll.
func (c *pollClock) polled(now time.Time) {
	c.before.Store(c.last.Load())
	c.last.Store(now.UnixNano())
}

// at is one of the two as a time, zero for never.
func at(c *atomic.Int64) time.Time {
	n := c.Load()
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}

// polled is the time of the last poll that did not look at this partition; zero if there was none since the last that did.
func (p *progress) polled() time.Time {
	if p.clock == nil {
		return time.Time{}
	}
	if t := at(&p.clock.last); t.After(p.at) {
		return t
	}
	return time.Time{}
}

// lastCaughtUp is the last time the replica is known to have held all the leader had.
func (p *progress) lastCaughtUp() time.Time { return later(p.caughtUp, p.polled()) }

// lastSentAfter is a moment that was over when the replica sent the fetch that arrived last; zero: none is known.
func (p *progress) lastSentAfter() time.Time {
	if p.clock == nil {
		return p.sentAfter
	}
	return later(p.sentAfter, at(&p.clock.before))
}

// detach notes what the clock says, and goes by it no longer.
func (p *progress) detach() {
	p.sentAfter = p.lastSentAfter()
	if t := p.polled(); !t.IsZero() {
		p.at, p.caughtUp = t, later(p.caughtUp, t)
	}
	p.clock = nil
}

// fetched notes a fetch at offset, made at now, when the leader's log ended at leaderLEO.
func (p *progress) fetched(offset, logStart, leaderLEO int64, now time.Time, epoch meta.BrokerEpoch) {
	p.detach()
	switch {
	case offset >= leaderLEO:
		p.caughtUp = later(p.caughtUp, now)
	case offset >= p.leaderLEO:
		// What the leader had at the previous fetch has arrived: it was caught up as of then.
		p.caughtUp = later(p.caughtUp, p.at)
	}
	p.leo, p.logStart = offset, logStart
	p.leaderLEO, p.at = leaderLEO, now
	p.epoch = epoch
}

// becameLeader resets the replica's state when this broker starts to lead, having followed before.
func (p *progress) becameLeader(inISR bool, now time.Time) {
	*p = progress{leo: -1, logStart: -1, epoch: meta.NoBrokerEpoch}
	if inISR {
		p.caughtUp = now
	}
}

// newEpoch keeps what the replica has fetched, when this broker leads on into a new leader epoch.
func (p *progress) newEpoch(inISR bool, epochStart int64, now time.Time) {
	p.detach()
	p.leaderLEO = epochStart
	if inISR {
		p.at, p.caughtUp = now, now
	} else {
		p.at, p.caughtUp = time.Time{}, time.Time{}
	}
}

// isCaughtUp reports whether the replica holds everything, or did within the last maxLag.
func (p *progress) isCaughtUp(leaderLEO int64, now time.Time, maxLag time.Duration) bool {
	return p.leo == leaderLEO || now.Sub(p.lastCaughtUp()) <= maxLag
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
