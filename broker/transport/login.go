package transport

import (
	"context"
	"errors"
	"time"

	"github.com/kraal-mq/kraal/broker/wire"
)

// Authenticator logs one connection in, and in again (KIP-368). It is called by that connection's serve goroutine only.
type Authenticator interface {
	// Step takes one frame from the peer: a Kafka request, or bare SASL bytes after a SaslHandshake of version 0.
	// The frame must not be kept. An error closes the connection without an answer.
	Step(ctx context.Context, frame []byte) (AuthStep, error)

	// Claims reports whether a request on a logged-in connection is the beginning of a new login.
	Claims(h wire.Header) bool

	// Expired reports whether the login has run out, so that any request not claimed closes the connection.
	Expired(now time.Time) bool
}

// AuthStep is what follows from a frame.
type AuthStep struct {
	// Answer is the frame to send, without size prefix. Nil: none.
	Answer []byte

	// Delay is how long answer and, with Failed, the close are put off (connection.failed.authentication.delay.ms).
	Delay time.Duration

	Failed bool // close after the answer

	// Done means that the connection now belongs to Principal and its requests go to the handler.
	Done      bool
	Principal Principal
}

var (
	errLoginFailed  = errors.New("authentication failed")
	errLoginExpired = errors.New("the login has expired")
)

// login hands frames to the authenticator until the connection belongs to somebody.
func (c *Conn) login() error {
	for {
		buf, err := c.frames.Next(c.srv.o.UnauthenticatedMax)
		if err != nil {
			return err
		}
		done, err := c.loginStep(buf.Bytes())
		buf.Free()
		if done || err != nil {
			return err
		}
	}
}

// loginStep hands one frame to the authenticator and sends what it answers.
func (c *Conn) loginStep(frame []byte) (done bool, err error) {
	c.busy.Add(1)
	step, err := c.auth.Step(c.ctx, frame)
	c.busy.Add(-1)
	if err != nil {
		return false, err
	}
	if step.Delay > 0 && !c.pause(step.Delay) {
		return false, errStopping
	}
	if step.Done {
		c.principal.Store(&step.Principal)
	}
	if step.Answer != nil {
		if err := c.answer(pending{raw: step.Answer}); err != nil {
			return false, err
		}
	}
	if step.Failed {
		return false, errLoginFailed
	}
	return step.Done, nil
}

// relogin takes a frame of a new login on a connection that is logged in (KIP-368). The next ones belong to it, too,
// until it is done.
func (c *Conn) relogin(buf *wire.Buffer) error {
	done, err := c.loginStep(buf.Bytes())
	c.free(buf)
	c.inRelogin = !done
	return err
}
