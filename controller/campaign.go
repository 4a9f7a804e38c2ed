package controller

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// term is the time from winning /controller to losing it, and everything that goes with it.
type term struct {
	l      *loop
	epoch  meta.ControllerEpoch
	fence  zkstore.Fence // of every write
	store  Store
	log    *zap.Logger
	state  *state
	ctx    context.Context // ends when the term does
	cancel context.CancelFunc
	// running counts the senders and followers of the term. They end with ctx.
	running sync.WaitGroup
	// rebalance calls off the next check for imbalance.
	rebalance func()
}

func (t *term) id() meta.BrokerID { return t.l.c.opts.BrokerID }
func (t *term) config() *Config   { return &t.l.c.opts.Config }

// play begins to campaign in a new session.
func (e *sessionStarted) play(l *loop) {
	l.resign("a new session")
	s := e.session
	if s.ctx.Err() != nil {
		return // detached before its turn came
	}
	l.session = s
	l.followRole(s)
	l.lookAtController()
}

// play resigns, without writing anything: ZooKeeper has dropped /controller together with the session.
func (e *sessionEnded) play(l *loop) {
	if l.session == e.session {
		l.resign("the ZooKeeper session has ended or is about to be closed")
		l.session = nil
		l.c.controllerID.Store(int32(meta.NoBroker))
	}
	close(e.done)
}

func (e *controllerChanged) play(l *loop) {
	if l.session == e.session && l.session != nil {
		l.lookAtController()
	}
}

// lookAtController reads /controller, which also arms its watch, and draws the consequences: resign if it names somebody
// else, stand for election if it names nobody.
func (l *loop) lookAtController() {
	if l.session == nil {
		return
	}
	ctx := l.session.ctx
	info, err := l.session.store.Controller(ctx)
	switch {
	case errors.Is(err, zkstore.ErrNoNode):
		l.c.controllerID.Store(int32(meta.NoBroker))
		l.resign("/controller was deleted")
		l.stand()
	case err != nil:
		if ctx.Err() == nil {
			l.log.Error("cannot read /controller", zap.Error(err))
			l.lookLater(retryAfter)
		}
	case info.ID != l.c.opts.BrokerID:
		if before := l.c.controllerID.Swap(int32(info.ID)); before != int32(info.ID) {
			l.log.Info("another broker is the controller", zap.Int32("controller", int32(info.ID)))
		}
		l.resign("another broker is controller")
	default:
		l.c.controllerID.Store(int32(info.ID))
		if l.term == nil {
			// Left by an earlier session of this broker that ZooKeeper has not expired yet. Its deletion wakes us.
			l.log.Info("an earlier session of this broker still holds /controller")
		}
	}
}

// lookLater looks at /controller again after a while; several reasons to do so are one.
func (l *loop) lookLater(after time.Duration) {
	l.callOff()
	l.callOff = l.after(after, &controllerChanged{session: l.session})
}

// stand stands for election, and takes over after winning it.
func (l *loop) stand() {
	if rest := time.Until(l.restUntil); rest > 0 {
		l.lookLater(rest)
		return
	}
	s := l.session
	won, err := s.store.Elect(s.ctx, l.c.opts.BrokerID, time.Now())
	switch {
	case errors.Is(err, zkstore.ErrElectionLost):
		l.c.queue.put(&controllerChanged{session: s}) // read who won, and watch them
		return
	case err != nil:
		if s.ctx.Err() == nil {
			l.log.Error("election failed", zap.Error(err))
			l.lookLater(retryAfter)
		}
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	t := &term{
		l:         l,
		epoch:     won.Epoch,
		fence:     won.Fence(),
		store:     s.store,
		log:       l.log.With(zap.Int32("controller_epoch", int32(won.Epoch))),
		state:     newState(),
		ctx:       ctx,
		cancel:    cancel,
		rebalance: func() {},
	}
	l.term = t
	l.c.controllerID.Store(int32(l.c.opts.BrokerID))
	l.c.active.Store(true) // questions may queue up behind the take-over
	t.log.Info("elected controller")
	began := time.Now()
	if err := t.takeOver(); err != nil {
		l.giveUp(t, "take-over", err)
		return
	}
	t.log.Info("took over", zap.Int("brokers", len(t.state.brokers)), zap.Int("topics", len(t.state.topics)), zap.Duration("took", time.Since(began)))
}

// giveUp gives the role back after something failed: a controller that knows half of the cluster is worse than another.
func (l *loop) giveUp(t *term, what string, err error) {
	if t.ctx.Err() != nil {
		l.resign("the session ended during " + what)
		return
	}
	t.log.Error("giving up the controller role", zap.String("failed", what), zap.Error(err))
	l.restUntil = time.Now().Add(retryAfter)
	l.resign(what + " failed")
	if err := t.store.Resign(l.session.ctx, t.fence); err != nil && l.session.ctx.Err() == nil {
		t.log.Error("cannot give up /controller", zap.Error(err))
	}
	l.c.queue.put(&controllerChanged{session: l.session})
}

// resign ends the term, if there is one: no event, timer, watch or request of it survives.
func (l *loop) resign(why string) {
	t := l.term
	if t == nil {
		return
	}
	l.c.active.Store(false)
	l.c.deleting.Store(nil)
	l.term = nil
	t.rebalance()
	t.cancel()
	t.running.Wait()
	l.c.metrics.resigned(t.state)
	t.log.Info("resigned as controller", zap.String("why", why))
}
