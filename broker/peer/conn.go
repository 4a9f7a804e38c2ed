package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/wire"
)

var (
	// errGone means that a connection ended before the request was sent, for no fault: try another.
	errGone = errors.New("connection has ended")

	errIdle = errors.New("unused for long")
)

// A conn is one connection, from the attempt to make it to its end.
type conn struct {
	pool   *Pool
	addr   string
	ctx    context.Context // of the attempt to connect
	cancel context.CancelFunc

	ready chan struct{} // closed by run once connected or failed: stream and mu.err tell which
	ended chan struct{} // closed by end

	stream net.Conn // set before ready is closed

	// writing holds one token while somebody writes. Its holder appends to mu.calls and writes, so that both have the same
	// order, and may use out.
	writing chan struct{}
	out     []byte // memory for frames
	lastID  int32  // correlation id of the last request

	mu struct {
		sync.Mutex
		calls []*call // sent or being sent, in order
		err   error   // why the connection ended
	}
}

// A call is a request that waits for its answer.
type call struct {
	correlationID int32
	deadline      time.Time
	answer        chan answer // capacity 1: the reader never blocks on a caller that gave up
}

type answer struct {
	buf *wire.Buffer
	err error
}

func newConn(p *Pool, addr string) *conn {
	c := &conn{
		pool:    p,
		addr:    addr,
		ready:   make(chan struct{}),
		ended:   make(chan struct{}),
		writing: make(chan struct{}, 1),
	}
	c.ctx, c.cancel = context.WithCancel(p.ctx)
	return c
}

// run connects and then reads answers until the connection ends.
func (c *conn) run(timeout time.Duration) {
	defer c.pool.forget(c)
	defer c.cancel()
	stream, err := c.connect(timeout)
	if err != nil {
		c.failed(err)
		c.end(err)
		close(c.ready)
		return
	}
	c.stream = stream
	c.expect(time.Now().Add(c.pool.o.MaxIdle))
	close(c.ready)
	defer stream.Close()
	// end only ends the ctx, for it may come before there is a stream.
	defer context.AfterFunc(c.ctx, func() { stream.Close() })()

	frames := wire.NewFrameReader(stream)
	for answers := 0; ; {
		buf, err := frames.Next(c.pool.o.MaxResponseBytes)
		if err == nil {
			if err = c.deliver(buf); err == nil {
				if answers++; answers == 1 {
					c.pool.works(c.addr)
				}
				continue
			}
		}
		if err = c.diagnose(err); err == nil {
			continue
		}
		if answers == 0 && err != errIdle {
			c.failed(err)
		}
		c.end(err)
		return
	}
}

// failed makes the next attempt wait, unless it was this side that gave up.
func (c *conn) failed(err error) {
	if c.ctx.Err() == nil {
		c.pool.failed(c.addr)
		c.pool.o.Logger.Info("cannot reach peer", zap.String("peer", c.addr), zap.Error(err))
	}
}

func (c *conn) connect(timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(c.ctx, timeout)
	defer cancel()
	raw, err := c.pool.o.Dial(ctx, c.addr)
	if err != nil {
		return nil, err // which names what it was doing and where
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		if c.pool.o.ReceiveBuffer > 0 {
			tcp.SetReadBuffer(c.pool.o.ReceiveBuffer)
		}
		if c.pool.o.DropUnsent {
			tcp.SetLinger(0)
		}
	}
	if c.pool.o.Secure == nil {
		return raw, nil
	}
	secure, err := c.pool.o.Secure(ctx, raw, c.addr)
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("log in: %w", err)
	}
	return secure, nil
}

// expect sets how long reading may take.
func (c *conn) expect(deadline time.Time) { c.stream.SetReadDeadline(deadline) }

// deliver hands an answer to the first in the queue.
func (c *conn) deliver(buf *wire.Buffer) error {
	id, err := wire.CorrelationID(buf.Bytes())
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.mu.calls) == 0 {
		return fmt.Errorf("answer %d to no request", id)
	}
	first := c.mu.calls[0]
	if first.correlationID != id {
		return fmt.Errorf("answer %d came when %d was due", id, first.correlationID)
	}
	c.mu.calls[0] = nil
	c.mu.calls = c.mu.calls[1:]
	if len(c.mu.calls) > 0 {
		c.expect(c.mu.calls[0].deadline)
	} else {
		c.mu.calls = nil
		c.expect(time.Now().Add(c.pool.o.MaxIdle))
	}
	first.answer <- answer{buf: buf}
	return nil
}

// diagnose returns why the connection has to end after a read error; nil if it has not, because a request was
// sent in the moment in which waiting for one became too long.
func (c *conn) diagnose(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return ErrClosed
	}
	if err == io.EOF {
		return errors.New("connection was closed by the peer")
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	switch {
	case len(c.mu.calls) == 0:
		return errIdle
	case time.Now().Before(c.mu.calls[0].deadline):
		return nil
	}
	return ErrTimeout
}

// end ends the connection: every call fails. Only the first reason counts.
func (c *conn) end(reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.err != nil {
		return
	}
	c.mu.err = reason
	close(c.ended)
	for i, call := range c.mu.calls {
		if reason == ErrTimeout && i > 0 {
			// It is not this one's answer that did not come.
			call.answer <- answer{err: errors.New("the connection was closed, as an earlier request timed out")}
			continue
		}
		call.answer <- answer{err: reason}
	}
	c.mu.calls = nil
	c.cancel()
}

// exchange sends a request and returns the frame of the answer.
func (c *conn) exchange(ctx context.Context, req kmsg.Request) (*wire.Buffer, error) {
	select {
	case <-c.ready:
	case <-ctx.Done():
		return nil, notSent(ctx.Err())
	}
	select {
	case c.writing <- struct{}{}:
	case <-ctx.Done():
		return nil, notSent(ctx.Err())
	case <-c.ended:
		return nil, c.whyNotSent()
	}
	call, err := c.send(ctx, req)
	<-c.writing
	if err != nil {
		return nil, err
	}
	select {
	case a := <-call.answer:
		return a.buf, a.err
	case <-ctx.Done():
		// The answer, when it comes, finds nobody. It holds up the queue as long as it takes, up to its deadline.
		return nil, ctx.Err()
	}
}

// notSent says that a request was not sent, and why, where that is known.
func notSent(reason error) error {
	if reason == nil {
		return ErrNotSent
	}
	return fmt.Errorf("%w: %w", ErrNotSent, reason)
}

// reason returns why the connection ended.
func (c *conn) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.err
}

// whyNotSent says why nothing was sent on a connection that has ended.
func (c *conn) whyNotSent() error {
	reason := c.reason()
	if c.stream != nil && reason != ErrClosed {
		return errGone // it was fine, so another may be
	}
	return notSent(reason)
}

// send writes a request. Its caller holds the token of writing.
func (c *conn) send(ctx context.Context, req kmsg.Request) (*call, error) {
	const keep = 64 << 10
	c.lastID++
	deadline := time.Now().Add(c.pool.o.RequestTimeout)
	call := &call{correlationID: c.lastID, deadline: deadline, answer: make(chan answer, 1)}
	frame := wire.AppendRequest(c.out[:0], req, call.correlationID, c.pool.o.ClientID)
	if cap(frame) <= keep {
		c.out = frame
	}

	c.mu.Lock()
	if c.mu.err != nil {
		c.mu.Unlock()
		return nil, c.whyNotSent()
	}
	c.mu.calls = append(c.mu.calls, call)
	if len(c.mu.calls) == 1 {
		c.expect(deadline)
	}
	c.mu.Unlock()

	c.stream.SetWriteDeadline(deadline)
	if _, err := c.stream.Write(frame); err != nil {
		// A frame that is incomplete has no effect. Those sent before may have.
		c.end(err)
		return nil, notSent(err)
	}
	return call, nil
}
