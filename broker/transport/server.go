package transport

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Options are what a server is made with.
type Options struct {
	Listeners []Listener
	Handler   Handler
	Limits    Limits

	RequestMaxBytes    int           // socket.request.max.bytes; default 100 MiB
	UnauthenticatedMax int           // cap of frames before login (sasl.server.max.receive.size); default 512 KiB
	MaxIdle            time.Duration // connections.max.idle.ms; zero or negative: never
	SendBuffer         int           // socket.send.buffer.bytes; zero or negative leaves the system's default
	ReceiveBuffer      int           // socket.receive.buffer.bytes; likewise
	Backlog            int           // socket.listen.backlog.size; zero leaves the system's default

	// MaxInFlight is how many answers of a connection may be waited for or unwritten before serve stops taking
	// requests. Default 5, what producers keep in flight by default.
	MaxInFlight int

	// Rate, if not nil, says how fast connections may come.
	Rate RateLimiter

	Logger  *zap.Logger
	Metrics prometheus.Registerer
}

// Limits are the caps on connections. All may change while the server runs. Zero means no limit, but for an override,
// where it means none allowed.
type Limits struct {
	MaxConnections         int            // max.connections
	MaxListenerConnections map[string]int // listener.name.<l>.max.connections, by listener name

	// MaxPerIP is max.connections.per.ip. Zero is no limit here: Kafka's 0 (only those with an override) is NoneByDefault.
	MaxPerIP      int
	NoneByDefault bool
	MaxPerIPOver  map[netip.Addr]int // max.connections.per.ip.overrides, hosts resolved
}

// RateLimiter is the connection creation rate (max.connection.creation.rate and the ip quota connection_creation_rate).
type RateLimiter interface {
	// Listener records a connection on a listener and returns for how long accepting has to pause before it.
	Listener(listener string, now time.Time) time.Duration

	// IP records a connection of an address. If it returns more than zero the connection is kept unread for that long
	// and closed; it must then not count against the listener either.
	IP(listener string, ip netip.Addr, now time.Time) time.Duration
}

// Server takes in the connections of all listeners.
type Server struct {
	o Options
}

// New returns a server that does nothing yet.
func New(o Options) *Server { return &Server{o: o} }

// Listen binds all listeners, so that their ports are known. Connections are taken up by Run.
func (s *Server) Listen(ctx context.Context) error { return nil }

// Addr returns the bound address of a listener, nil before Listen.
func (s *Server) Addr(listener string) net.Addr { return nil }

// Run accepts and serves until ctx ends or Shutdown is called, and returns when everything it started has ended. When ctx
// ends, connections are cut at once: call Shutdown before for a graceful stop.
func (s *Server) Run(ctx context.Context) error { return nil }

// Shutdown stops accepting, lets the requests in progress be answered, and closes every connection as it becomes
// quiet; when ctx ends those left are cut. Run returns afterwards.
func (s *Server) Shutdown(ctx context.Context) error { return nil }

// SetLimits replaces the limits. Connections that exceed the new ones stay, but nobody new gets in.
func (s *Server) SetLimits(l Limits) {}
