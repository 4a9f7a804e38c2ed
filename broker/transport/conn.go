package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/wire"
)

// Conn is a connection as handlers see it.
type Conn struct {
	id       uint64
	srv      *Server
	listener *listener
	tcp      *net.TCPConn
	remote   netip.AddrPort

	ctx    context.Context // ends when the peer is gone, or the connection is to be cut
	cancel context.CancelFunc

	// lastActive is when bytes last moved, in Unix nanoseconds; busy counts the handlers and waits at work. A
	// connection that is not busy and has long been inactive is idle, be it that the peer sends nothing or that it
	// reads nothing.
	lastActive atomic.Int64
	busy       atomic.Int32

	draining  atomic.Bool // finish what was begun, take up nothing new
	principal atomic.Pointer[Principal]
	software  atomic.Pointer[[2]string]
	muteUntil atomic.Int64 // Unix nanoseconds: nothing is served before

	raw *rawSender // made when first used; belongs to whoever may write

	// Only serve changes these.
	stream    net.Conn // tcp, or TLS on top of it
	tls       *tls.ConnectionState
	frames    *wire.FrameReader
	auth      Authenticator
	inRelogin bool
	clientID  string

	// replies carries answers from serve to reply; serve closes it. It is nil until an answer has to be waited for. Its
	// capacity is MaxInFlight, so that serve never blocks on it: having filled it, serve waits for room before the next request.
	replies chan pending
	room    chan struct{} // from reply to serve: unsent is smaller, look again; capacity 1, never closed
	unsent  atomic.Int32  // answers given to reply and not yet dealt with; while it is 0, serve may write

	replyDone sync.WaitGroup
}

func newConn(ctx context.Context, l *listener, tcp *net.TCPConn, remote netip.AddrPort) *Conn {
	c := &Conn{id: l.srv.nextID.Add(1), srv: l.srv, listener: l, tcp: tcp, remote: remote, stream: tcp}
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.principal.Store(&Anonymous)
	c.frames = wire.NewFrameReader((*activeReader)(c))
	c.lastActive.Store(time.Now().UnixNano())
	return c
}

// ID is unique among the connections of a server; for logs.
func (c *Conn) ID() uint64 { return c.id }

// Listener returns the name of the listener the connection came in on.
func (c *Conn) Listener() string { return c.listener.spec.Name }

// Protocol returns the listener's security protocol.
func (c *Conn) Protocol() string { return c.listener.spec.Protocol }

// Privileged reports whether the connection came in on the listener for brokers and controller.
func (c *Conn) Privileged() bool { return c.listener.spec.Privileged }

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() netip.AddrPort { return c.remote }

// Principal returns who the connection belongs to. It changes only by a login, between requests.
func (c *Conn) Principal() Principal { return *c.principal.Load() }

// TLS returns the state of the TLS connection, nil without TLS.
func (c *Conn) TLS() *tls.ConnectionState { return c.tls }

// SetClientSoftware remembers what the client said of itself in ApiVersions (KIP-511).
func (c *Conn) SetClientSoftware(name, version string) { c.software.Store(&[2]string{name, version}) }

// ClientSoftware returns what SetClientSoftware was given.
func (c *Conn) ClientSoftware() (name, version string) {
	if s := c.software.Load(); s != nil {
		return s[0], s[1]
	}
	return "", ""
}

func (c *Conn) fields(more ...zap.Field) []zap.Field {
	return append(more, zap.String("listener", c.Listener()), zap.Stringer("remote", c.remote), zap.Uint64("connection", c.id))
}

// activeReader is the connection's stream as the frame reader sees it.
type activeReader Conn

func (r *activeReader) Read(p []byte) (int, error) {
	n, err := r.stream.Read(p)
	if n > 0 {
		r.lastActive.Store(time.Now().UnixNano())
	}
	return n, err
}

// drain makes the connection end once it owes no answer. Reading is interrupted, even within a frame: what has not
// arrived as a whole was not accepted.
func (c *Conn) drain() {
	c.draining.Store(true)
	c.tcp.SetReadDeadline(time.Unix(1, 0))
}

// abort ends the connection at once.
func (c *Conn) abort() {
	c.cancel()
	c.tcp.Close()
}

// run is the serve goroutine.
func (c *Conn) run() {
	defer c.abort()
	if !c.srv.add(c) {
		return
	}
	defer c.srv.remove(c)
	c.listener.metrics.connections.Inc()
	defer c.listener.metrics.connections.Dec()
	if n := c.srv.o.SendBuffer; n > 0 {
		c.tcp.SetWriteBuffer(n)
	}
	c.srv.watch.add(c.tcp, c.id)

	err := c.establish()
	for err == nil {
		err = c.serveOne()
	}
	expected := c.ctx.Err() != nil || c.draining.Load() || left(err)
	switch {
	case c.draining.Load(), errors.Is(err, errEnd), errors.Is(err, errStopping):
		// The answers owed are still sent.
	default:
		c.cancel()
	}
	if c.replies != nil {
		close(c.replies)
		c.replyDone.Wait()
	}
	c.logEnd(err, expected)
}

var (
	errEnd      = errors.New("the handler closed the connection")
	errStopping = errors.New("the server is stopping")
)

// establish does what comes before the first request.
func (c *Conn) establish() error {
	spec := &c.listener.spec
	if spec.SecureConn != nil {
		secure, err := spec.SecureConn(c.ctx, c.tcp)
		if err != nil {
			return fmt.Errorf("TLS handshake: %w", err)
		}
		state := secure.ConnectionState()
		c.stream, c.tls = secure, &state
	}
	if spec.Principal != nil && spec.Authenticator == nil {
		principal, err := spec.Principal(c.tls)
		if err != nil {
			return fmt.Errorf("principal: %w", err)
		}
		c.principal.Store(&principal)
	}
	if spec.Authenticator != nil {
		c.auth = spec.Authenticator(c)
		return c.login()
	}
	return nil
}

// serveOne takes one request from the connection through the handler to its answer.
func (c *Conn) serveOne() error {
	if err := c.waitUnmuted(); err != nil {
		return err
	}
	if c.draining.Load() {
		return errStopping
	}
	buf, err := c.readFrame()
	if err != nil {
		return err
	}
	if c.inRelogin {
		return c.relogin(buf)
	}
	r := &Request{Conn: c, Received: time.Now(), Size: len(buf.Bytes())}
	again, err := c.open(r, buf.Bytes())
	if again {
		return c.relogin(buf)
	}
	if err == nil {
		err = c.waitUnmuted() // an answer that was waited for may have muted the connection meanwhile
	}
	if err != nil {
		c.free(buf)
		return err
	}
	c.busy.Add(1)
	reply := c.srv.o.Handler.Serve(c.ctx, r)
	c.busy.Add(-1)
	return c.answer(pending{reply: reply, request: r, buf: buf})
}

// readFrame reads a frame that counts against the server's budget until it is freed with free.
func (c *Conn) readFrame() (*wire.Buffer, error) {
	size, err := c.frames.Size(c.srv.o.RequestMaxBytes)
	if err != nil {
		return nil, err
	}
	if !c.srv.budget.take(c.ctx, c.srv.stopping, size) {
		return nil, errStopping
	}
	buf, err := c.frames.Payload(size)
	if err != nil {
		c.srv.budget.giveBack(size)
		return nil, err
	}
	c.listener.metrics.received.Add(float64(size + 4))
	return buf, nil
}

// free ends the use of a frame that was read with readFrame.
func (c *Conn) free(buf *wire.Buffer) {
	c.srv.budget.giveBack(len(buf.Bytes()))
	buf.Free()
}

// open reads a frame's header and body into r. It is true for the beginning of a new login.
func (c *Conn) open(r *Request, frame []byte) (relogin bool, err error) {
	h, body, err := wire.DecodeHeader(frame, c.clientID)
	if err != nil {
		return false, err
	}
	c.clientID = h.ClientID
	r.Header = h
	if c.auth != nil {
		switch {
		case c.auth.Claims(h):
			return true, nil
		case c.auth.Expired(r.Received):
			c.srv.metrics.expired.Add(1)
			return false, errLoginExpired
		}
	}
	return false, c.decode(r, body)
}

// decode makes the request's body of bytes.
func (c *Conn) decode(r *Request, body []byte) error {
	h := r.Header
	lowest, highest, ok := c.srv.o.Handler.Versions(h.Key)
	if !ok || h.Version < lowest || h.Version > highest {
		if h.Key == kmsg.ApiVersions.Int16() && ok {
			req := kmsg.NewPtrApiVersionsRequest()
			req.SetVersion(h.Version)
			r.Body, r.UnsupportedVersion = req, true
			return nil
		}
		return fmt.Errorf("%w: key %d version %d is not served", wire.ErrUnknownKey, h.Key, h.Version)
	}
	req, err := wire.DecodeRequestBody(h, body)
	r.Body = req
	return err
}
