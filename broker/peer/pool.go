package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

var (
	// ErrNotSent means that the request did not leave as a whole: it certainly has no effect.
	ErrNotSent = errors.New("request was not sent")

	// ErrClosed means that the pool was closed, or the connection by Disconnect.
	ErrClosed = errors.New("connection was closed on this side")

	// ErrTimeout means that no answer came within the request timeout.
	ErrTimeout = errors.New("no answer in time")
)

// Options are what a pool is made with.
type Options struct {
	ClientID string // for the request headers
	Listener string // the listener of other brokers that Send connects to

	// Dial opens a connection; nil: TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)

	// Secure, if not nil, is called on a new connection and returns the one to use: TLS, a SASL login, or both.
	Secure func(ctx context.Context, raw net.Conn, addr string) (net.Conn, error)

	RequestTimeout    time.Duration // how long an answer may take; default 30 s
	ConnectTimeout    time.Duration // socket.connection.setup.timeout.ms; default 10 s, doubled per failure
	ConnectTimeoutMax time.Duration // socket.connection.setup.timeout.max.ms; default 30 s
	ReconnectBackoff  time.Duration // pause after a failed connect; default 50 ms, doubled per failure
	ReconnectMax      time.Duration // longest pause; default 1 s
	MaxIdle           time.Duration // close a connection unused for so long; default 9 min, below the broker's 10
	MaxResponseBytes  int           // cap of a response frame; default 128 MiB
	ReceiveBuffer     int           // replica.socket.receive.buffer.bytes; zero or negative: the system's default
	// DropUnsent ends connections by a reset, so that what has not reached the peer never will. Otherwise the system goes on
	// sending for minutes what was written before the end, and a request that had failed may yet be carried out, after
	// the one that was made in its place.
	DropUnsent bool

	Logger *zap.Logger
}

func (o *Options) setDefaults() {
	duration := func(d *time.Duration, standard time.Duration) {
		if *d <= 0 {
			*d = standard
		}
	}
	duration(&o.RequestTimeout, 30*time.Second)
	duration(&o.ConnectTimeout, 10*time.Second)
	duration(&o.ConnectTimeoutMax, 30*time.Second)
	duration(&o.ReconnectBackoff, 50*time.Millisecond)
	duration(&o.ReconnectMax, time.Second)
	duration(&o.MaxIdle, 9*time.Minute)
	if o.MaxResponseBytes <= 0 {
		o.MaxResponseBytes = 128 << 20
	}
	if o.Dial == nil {
		o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
}

// Pool holds connections to other brokers.
type Pool struct {
	o      Options
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // the goroutines of the connections

	mu struct {
		sync.Mutex
		closed bool
		conns  map[string]*conn    // by address: being made, or open
		fails  map[string]failures // by address, since the last success
	}
}

// failures is how often in a row a connection could not be made, or ended before it was of use, and when the next may be
// tried.
type failures struct {
	count int
	until time.Time
}

// New returns a pool without connections.
func New(o Options) *Pool {
	o.setDefaults()
	p := &Pool{o: o}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.mu.conns = map[string]*conn{}
	p.mu.fails = map[string]failures{}
	return p
}

// Send sends req, in the version it is set to, to a broker's endpoint on the pool's listener and returns the answer.
func (p *Pool) Send(ctx context.Context, to meta.Broker, req kmsg.Request) (kmsg.Response, error) {
	endpoint, ok := to.Endpoint(p.o.Listener)
	if !ok {
		return nil, fmt.Errorf("broker %d has no endpoint on listener %s: %w", to.ID, p.o.Listener, ErrNotSent)
	}
	return p.Request(ctx, endpoint.Addr(), req)
}

// Request is like Send for an address.
func (p *Pool) Request(ctx context.Context, addr string, req kmsg.Request) (kmsg.Response, error) {
	// The buffer is left to the garbage collector, since the response may be kept.
	resp, _, err := p.request(ctx, addr, req)
	return resp, err
}

// RequestPooled is like Request, but the []byte fields of the response alias a buffer on loan: the caller calls free
// once it has done with them. For fetchers.
func (p *Pool) RequestPooled(ctx context.Context, addr string, req kmsg.Request) (resp kmsg.Response, free func(), err error) {
	resp, buf, err := p.request(ctx, addr, req)
	if err != nil {
		return nil, nil, err
	}
	return resp, buf.Free, nil
}

func (p *Pool) request(ctx context.Context, addr string, req kmsg.Request) (kmsg.Response, *wire.Buffer, error) {
	buf, err := p.exchange(ctx, addr, req)
	if err != nil {
		return nil, nil, fmt.Errorf("%s v%d to %s: %w", kmsg.NameForKey(req.Key()), req.GetVersion(), addr, err)
	}
	resp, err := wire.DecodeResponse(buf.Bytes(), req)
	if err != nil {
		buf.Free()
		return nil, nil, fmt.Errorf("answer from %s: %w", addr, err)
	}
	return resp, buf, nil
}

// exchange returns the frame that answers req.
func (p *Pool) exchange(ctx context.Context, addr string, req kmsg.Request) (*wire.Buffer, error) {
	for attempt := 0; ; {
		if err := ctx.Err(); err != nil {
			return nil, notSent(err)
		}
		c, pause, err := p.conn(addr)
		if err != nil {
			return nil, err
		}
		if c == nil {
			if err := p.wait(ctx, pause); err != nil {
				return nil, err
			}
			continue
		}
		buf, err := c.exchange(ctx, req)
		if err != errGone {
			return buf, err
		}
		p.forget(c)
		if attempt++; attempt > 1 {
			return nil, notSent(c.reason())
		}
	}
}

// conn returns the connection to an address, being made if need be. If a failed attempt was not long ago there is none, and
// pause says for how long.
func (p *Pool) conn(addr string) (c *conn, pause time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed {
		return nil, 0, notSent(ErrClosed)
	}
	if c := p.mu.conns[addr]; c != nil {
		return c, 0, nil
	}
	fails := p.mu.fails[addr]
	if pause := time.Until(fails.until); pause > 0 {
		return nil, pause, nil
	}
	c = newConn(p, addr)
	p.mu.conns[addr] = c
	p.wg.Go(func() { c.run(doubled(p.o.ConnectTimeout, p.o.ConnectTimeoutMax, fails.count)) })
	return c, 0, nil
}

func (p *Pool) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return notSent(ctx.Err())
	case <-p.ctx.Done():
		return notSent(ErrClosed)
	}
}

// works forgets the failures of an address.
func (p *Pool) works(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.mu.fails, addr)
}

// failed counts a failure of an address.
func (p *Pool) failed(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.mu.fails[addr]
	f.until = time.Now().Add(jittered(doubled(p.o.ReconnectBackoff, p.o.ReconnectMax, f.count)))
	f.count++
	p.mu.fails[addr] = f
}

// forget takes a connection out of the pool.
func (p *Pool) forget(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.conns[c.addr] == c {
		delete(p.mu.conns, c.addr)
	}
}

// Disconnect closes the connection to an address, if there is one; requests on it fail. An attempt to connect is given
// up, and the pause after failed ones is over.
func (p *Pool) Disconnect(addr string) {
	p.mu.Lock()
	c := p.mu.conns[addr]
	delete(p.mu.conns, addr)
	delete(p.mu.fails, addr)
	p.mu.Unlock()
	if c != nil {
		c.end(ErrClosed)
	}
}

// Close closes all connections and waits for their goroutines. Requests in flight fail.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.mu.closed = true
	var conns []*conn
	for _, c := range p.mu.conns {
		conns = append(conns, c)
	}
	p.mu.Unlock()
	p.cancel()
	for _, c := range conns {
		c.end(ErrClosed)
	}
	p.wg.Wait()
	return nil
}
