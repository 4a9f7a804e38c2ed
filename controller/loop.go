package controller

import "context"

// loop is the one goroutine that owns the controller's state.
type loop struct {
	c *Controller
}

func newLoop(c *Controller) *loop { return &loop{c: c} }

func (l *loop) run(ctx context.Context) {
	defer l.c.queue.close()
	for {
		for e := l.c.queue.take(); e != nil; e = l.c.queue.take() {
			e.refuse(ErrNotController)
		}
		select {
		case <-l.c.queue.wake:
		case <-ctx.Done():
			return
		}
	}
}
