package replica

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// A leadership is in doubt while this broker's ZooKeeper session may be gone ([Options.MayLead]), and from the end of a
// session until the controller has named the leader to this broker's next life: another one may have been elected. A leader
// in doubt answers nobody, unless it can tell that nobody else was elected:
//
//   - It is alone in the ISR, so that nobody else can be, except uncleanly.
//   - All others in the ISR go on fetching from it. One of them that was elected does not, and the others stop as soon as
//     they hear of it. So data service outlives ZooKeeper, while a broker that is cut off from it alone falls silent
//     soon after its successor was elected.
//
// That is enough for records, which are what they are, but not for the question how far a partition can be read:
//
//  1. Broker 1 leads, and is cut off from ZooKeeper; 2 and 3 follow it.
//  2. Its session expires. 2 is elected, and commits records.
//  3. Whoever asks 2 for the end is told of them.
//  4. Whoever asks 1 within the next second or two, because its last fetches from 2 and 3 are not older, is told of fewer.
//
// So a leader in doubt tells the end only when all others in the ISR have sent it a fetch after it was asked: see confirm.
//
// A fetch proves little just after this process was stopped for a while: it may have lain in a socket since before. So that
// long only those count that come when all such must have been read.

// inDoubtLocked reports whether others may have been elected, as far as ZooKeeper and the controller have told; mu is held.
func (p *Partition) inDoubtLocked() bool {
	return !p.m.mayLead() || p.mu.life != p.m.BrokerEpoch()
}

// backedLocked reports whether nobody else can have been elected; mu is held.
func (p *Partition) backedLocked() bool {
	within := p.m.cfg.Backing
	if within <= 0 || p.mu.role != leading {
		return false
	}
	isr := p.mu.maximalISR()
	if len(isr) == 1 && isr[0] == p.m.id {
		return len(p.mu.replicas) == 1 || !p.mu.log.Config().UncleanLeaderElection
	}
	now := p.m.clock()
	proof := later(now.Add(-within), p.m.awake.since(now).Add(within))
	p.followers.Lock()
	defer p.followers.Unlock()
	for _, id := range isr {
		if id == p.m.id {
			continue
		}
		f := p.followers.progress[id]
		if f == nil || f.leo < 0 || later(f.at, f.polled()).Before(proof) {
			return false
		}
	}
	return true
}

// confirmLook is how often a leader in doubt looks whether its followers have fetched.
const confirmLook = 10 * time.Millisecond

// confirm returns once it is certain that nobody else had been elected when a question was asked, in the epoch in which it was
// answered: all others in the ISR have sent a fetch since, or the doubt was over. If that takes too long the answer is not to be
// given.
func (p *Partition) confirm(epoch meta.LeaderEpoch, asked time.Time) error {
	limit := time.NewTimer(p.m.cfg.Backing)
	defer limit.Stop()
	look := time.NewTicker(confirmLook)
	defer look.Stop()
	for {
		p.mu.RLock()
		_, err := p.leaderLogLocked()
		confirmed := err == nil && (!p.inDoubtLocked() || p.confirmedLocked(asked))
		if err == nil && p.mu.leaderEpoch != epoch {
			err = p.leaderErrorLocked(ErrNotLeader)
		}
		p.mu.RUnlock()
		if confirmed || err != nil {
			return err
		}
		select {
		case <-look.C:
		case <-limit.C:
			return fmt.Errorf("%s: leadership of epoch %d is in doubt: %w", p.tp, epoch, ErrNotLeader)
		}
	}
}

// confirmedLocked reports whether all others in the ISR have sent a fetch after a moment; mu is held.
func (p *Partition) confirmedLocked(moment time.Time) bool {
	p.followers.Lock()
	defer p.followers.Unlock()
	for _, id := range p.mu.maximalISR() {
		if id == p.m.id {
			continue
		}
		if f := p.followers.progress[id]; f == nil || f.lastSentAfter().Before(moment) {
			return false
		}
	}
	return true
}

// wakefulness knows since when this process has run without being stopped.
type wakefulness struct {
	gap    time.Duration // between two signs of life that means a stop
	last   atomic.Int64  // the latest sign of life, Unix nanoseconds
	wokeUp atomic.Int64  // the end of the latest stop, or the beginning
}

// since returns the moment, and is itself a sign of life.
func (w *wakefulness) since(now time.Time) time.Time {
	n := now.UnixNano()
	if last := w.last.Swap(n); time.Duration(n-last) > w.gap {
		w.wokeUp.Store(n)
	}
	return time.Unix(0, w.wokeUp.Load())
}

// run gives signs of life until ctx ends.
func (w *wakefulness) run(ctx context.Context, clock func() time.Time) {
	tick := time.NewTicker(w.gap / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.since(clock())
		}
	}
}
