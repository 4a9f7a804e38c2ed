package peer

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

var (
	// ErrNotSent means that no byte of the request left: it certainly has no effect.
	ErrNotSent = errors.New("request was not sent")

	// ErrClosed means that the pool was closed.
	ErrClosed = errors.New("pool is closed")

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
	ReceiveBuffer     int           // replica.socket.receive.buffer.bytes; zero: the system's default

	Logger *zap.Logger
}

// Pool holds connections to other brokers.
type Pool struct {
	o Options
}

// New returns a pool without connections.
func New(o Options) *Pool { return &Pool{o: o} }

// Send sends req, in the version it is set to, to a broker's endpoint on the pool's listener and returns the answer.
func (p *Pool) Send(ctx context.Context, to meta.Broker, req kmsg.Request) (kmsg.Response, error) {
	return nil, ErrClosed
}

// Request is like Send for an address.
func (p *Pool) Request(ctx context.Context, addr string, req kmsg.Request) (kmsg.Response, error) {
	return nil, ErrClosed
}

// RequestPooled is like Request, but the []byte fields of the response alias a buffer on loan: the caller calls free
// once it has done with them. For fetchers.
func (p *Pool) RequestPooled(ctx context.Context, addr string, req kmsg.Request) (resp kmsg.Response, free func(), err error) {
	return nil, nil, ErrClosed
}

// Disconnect closes the connection to an address, if there is one; requests on it fail.
func (p *Pool) Disconnect(addr string) {}

// Close closes all connections and waits for their goroutines. Requests in flight fail.
func (p *Pool) Close() error { return nil }
