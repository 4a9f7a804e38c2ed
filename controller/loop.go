package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore"
)

// loop is the one goroutine that owns the controller's state.
type loop struct {
	c       *Controller
	log     *zap.Logger
	session *session       // the one in use; nil before the first and between two
	term    *term          // not nil while this broker is the active controller
	watched sync.WaitGroup // followers of the session's watch on /controller

	// restUntil keeps a controller that gave up from winning again at once: others get their chance.
	restUntil time.Time
	callOff   func() // calls off the next look at /controller
	// after queues an event later and returns how to call it off. A field so that scripts run without a clock.
	after func(d time.Duration, e event) (stop func())
	// These start goroutines: followers of the watch on /controller, followers of a term's watches, a sender. Fields for
	// the same reason.
	followRole func(s *session)
	follow     func(t *term)
	start      func(t *term, ctx context.Context, o *outbox)

	// atOnce bounds how many znodes are rewritten at the same time where the store takes one at a time.
	atOnce int

	counted  time.Time // when the gauges were counted last
	counting bool      // whether counting them again is queued for later
}

func newLoop(c *Controller) *loop {
	l := &loop{
		c:       c,
		atOnce:  64,
		callOff: func() {},
		log:     c.log,
		after: func(d time.Duration, e event) func() {
			timer := time.AfterFunc(d, func() { c.queue.put(e) })
			return func() { timer.Stop() }
		},
		follow: (*term).follow,
		start: func(t *term, ctx context.Context, o *outbox) {
			t.running.Go(func() { o.run(ctx) })
		},
	}
	l.followRole = l.followController
	return l
}

// run handles events until ctx ends, and then resigns.
func (l *loop) run(ctx context.Context) {
	// Whatever a handler is waiting for in ZooKeeper ends with ctx, too.
	stop := context.AfterFunc(ctx, func() {
		if s := l.c.session.Load(); s != nil {
			s.cancel()
		}
	})
	defer stop()
	for ctx.Err() == nil {
		for ctx.Err() == nil { // an event once taken must be handled: somebody may wait for it
			e := l.c.queue.take()
			if e == nil {
				break
			}
			l.step(e)
		}
		l.publish()
		select {
		case <-l.c.queue.wake:
		case <-ctx.Done():
		}
	}
	l.resign("stopping")
	l.c.queue.close()
	if s := l.c.session.Swap(nil); s != nil {
		s.cancel()
	}
	l.watched.Wait()
}

// step handles one event.
func (l *loop) step(e event) {
	defer l.c.metrics.began(e)()
	switch e := e.(type) {
	case roleEvent:
		e.play(l)
	case termEvent:
		if l.term == nil {
			e.refuse(ErrNotController)
			break
		}
		if err := e.handle(l.term); err != nil {
			l.failed(e, err)
		}
	}
}

// retryAfter is the pause before something that failed for an odd reason is tried again.
const retryAfter = time.Second

// harmless is an error of an event that had changed nothing yet.
type harmless struct{ error }

func (e harmless) Unwrap() error { return e.error }

// failed deals with an event that ended early.
func (l *loop) failed(e event, err error) {
	var nothingDone harmless
	switch {
	case errors.Is(err, zkstore.ErrFenced):
		// Somebody else was elected. Nothing of this term counts any more, least of all what it believed a moment ago.
		e.refuse(ErrNotController)
		l.resign("the fence failed")
		l.lookAtController()
	case l.session == nil || l.session.ctx.Err() != nil || errors.Is(err, zkstore.ErrExpired) || errors.Is(err, zkstore.ErrClosed):
		e.refuse(ErrNotController) // the end of the session is on its way here
	case errors.As(err, &nothingDone):
		l.log.Error("controller event failed", zap.String("event", e.name()), zap.Error(err))
		e.refuse(fmt.Errorf("%w: %w", ErrServer, err))
		if _, again := e.(lookAgain); again {
			l.after(retryAfter, e) // its watch may not have been armed again
		}
	default:
		// Done by half: memory, ZooKeeper and brokers may each have another picture. Whoever takes over starts from
		// ZooKeeper's and brings everybody back to it.
		e.refuse(fmt.Errorf("%w: %w", ErrServer, err))
		l.giveUp(l.term, e.name(), err)
	}
}
