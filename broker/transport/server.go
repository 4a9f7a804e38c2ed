package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/wire"
)

// Options are what a server is made with.
type Options struct {
	Listeners []Listener
	Handler   Handler
	Limits    Limits

	RequestMaxBytes    int           // socket.request.max.bytes; default 100 MiB
	QueuedMaxBytes     int64         // queued.max.request.bytes: cap of all requests in memory; zero or negative: none
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

func (o *Options) setDefaults() {
	if o.RequestMaxBytes <= 0 {
		o.RequestMaxBytes = 100 << 20
	}
	if o.UnauthenticatedMax <= 0 {
		o.UnauthenticatedMax = 512 << 10
	}
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = 5
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
}

// Server takes in the connections of all listeners.
type Server struct {
	o       Options
	metrics *metrics
	watch   *watcher // nil where closed peers cannot be watched

	ends   ends
	budget budget    // of request bytes
	pieces sync.Pool // *wire.Pieces, for answers while they are written

	nextID   atomic.Uint64
	stopping chan struct{} // closed by stop: accepting ends, and so do pauses
	cut      chan struct{} // closed by cutAll: Run ends the ctx of all connections

	changing sync.Mutex // held while SetListeners binds: one change at a time

	mu struct {
		sync.Mutex
		listeners []*listener // bound and not closed; all of them before the server stops
		run       *run        // nil while Run does not

		changed sync.Cond // broadcast when a connection went, limits changed, a listener was closed, or the server stops
		conns   map[uint64]*Conn
		counts  counts
		limits  Limits
		stopped bool // stopping is closed
		severed bool // cut is closed
	}
}

// run is what Run has started. All is added to its groups under Server.mu and before the server stops, so that nothing is
// added to a group that may have been waited for.
type run struct {
	ctx                          context.Context // of connections
	accepting, conns, background sync.WaitGroup
}

// New returns a server that does nothing yet.
func New(o Options) *Server {
	o.setDefaults()
	s := &Server{
		o:        o,
		stopping: make(chan struct{}),
		cut:      make(chan struct{}),
	}
	s.metrics = newMetrics(s, o.Metrics)
	s.budget.limit = o.QueuedMaxBytes
	s.pieces.New = func() any { return new(wire.Pieces) }
	s.mu.changed.L = &s.mu
	s.mu.conns = map[uint64]*Conn{}
	s.mu.counts = counts{listener: map[string]int{}, ip: map[netip.Addr]int{}}
	s.mu.limits = o.Limits
	return s
}

// Listen binds all listeners, so that their ports are known. Connections are taken up by Run.
func (s *Server) Listen(ctx context.Context) error { return s.SetListeners(ctx, s.o.Listeners) }

// Addr returns the bound address of a listener, nil before Listen and for one that is not there.
func (s *Server) Addr(listenerName string) net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := find(s.mu.listeners, listenerName); l != nil {
		return l.socket.Addr()
	}
	return nil
}

// Run accepts and serves until ctx ends or Shutdown is called, and returns when everything it started has ended. When ctx
// ends, connections are cut at once: call Shutdown before for a graceful stop.
func (s *Server) Run(ctx context.Context) error {
	watch, err := newWatcher(s.peerGone)
	if err != nil {
		return fmt.Errorf("serve: watch for closed peers: %w", err)
	}
	s.watch = watch
	connCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &run{ctx: connCtx}
	if err := s.start(r); err != nil {
		s.watch.close()
		s.finish()
		return ignoreStopped(err)
	}
	defer s.finish()
	r.background.Go(func() {
		select {
		case <-ctx.Done():
			s.stop()
			s.cutAll()
		case <-s.cut:
		case <-s.stopping:
			select {
			case <-ctx.Done():
				s.cutAll()
			case <-s.cut:
			}
		}
		cancel()
	})
	r.accepting.Wait()
	r.conns.Wait()
	s.cutAll() // nothing is left to be cut: it ends the goroutines in the background
	s.watch.close()
	r.background.Wait()
	return nil
}

var (
	errStopped     = errors.New("the server has stopped")
	errNoListeners = errors.New("serve: no listener is bound")
)

func ignoreStopped(err error) error {
	if errors.Is(err, errStopped) {
		return nil
	}
	return err
}

// start lets the listeners accept.
func (s *Server) start(r *run) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.mu.stopped:
		return errStopped
	case len(s.mu.listeners) == 0:
		return errNoListeners
	}
	s.mu.run = r
	r.background.Go(s.watch.run)
	r.background.Go(s.sweep)
	r.accepting.Go(func() { <-s.stopping }) // listeners may come and go until then
	for _, l := range s.mu.listeners {
		r.accepting.Go(func() { l.accept(r.ctx, &r.conns) })
	}
	return nil
}

func (s *Server) finish() {
	s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.run = nil
	s.mu.changed.Broadcast()
}

// Shutdown stops accepting, lets the requests in progress be answered, and closes every connection as it becomes
// quiet; when ctx ends those left are cut. It returns when Run has, with the ctx's error if something was cut.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	defer context.AfterFunc(ctx, func() { s.cutAll() })()

	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.mu.conns {
		c.drain()
	}
	for s.mu.run != nil {
		s.mu.changed.Wait()
	}
	if s.mu.severed && ctx.Err() != nil {
		return fmt.Errorf("stop serving: %w", ctx.Err())
	}
	return nil
}

// stop ends accepting.
func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.stopped {
		return
	}
	s.mu.stopped = true
	close(s.stopping)
	for _, l := range s.mu.listeners {
		l.closeLocked()
	}
}

// cutAll closes all connections at once.
func (s *Server) cutAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.mu.severed {
		s.mu.severed = true
		close(s.cut)
	}
	for _, c := range s.mu.conns {
		c.abort()
	}
}

// SetLimits replaces the limits. Connections that exceed the new ones stay, but nobody new gets in.
func (s *Server) SetLimits(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.limits = l
	s.mu.changed.Broadcast()
}

// Connections returns how many connections there are.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.conns)
}

// unsent is how many responses connections still have to send.
func (s *Server) unsent() (n int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.mu.conns {
		n += c.unsent.Load()
	}
	return n
}

// add makes a connection known; false if its listener was closed.
func (s *Server) add(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.listener.closedLocked {
		return false
	}
	s.mu.conns[c.id] = c
	return true
}

func (s *Server) remove(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.conns, c.id)
}

// peerGone is told by the watcher.
func (s *Server) peerGone(id uint64) {
	s.mu.Lock()
	c := s.mu.conns[id]
	s.mu.Unlock()
	if c != nil {
		c.cancel()
	}
}

// sweep closes connections on which nothing has moved for MaxIdle, unless a handler is at work for them. It ends with
// the server.
func (s *Server) sweep() {
	if s.o.MaxIdle <= 0 {
		return
	}
	ticker := time.NewTicker(min(max(s.o.MaxIdle/20, 10*time.Millisecond), 30*time.Second))
	defer ticker.Stop()
	for {
		select {
		case <-s.cut:
			return
		case now := <-ticker.C:
			for _, c := range s.idle(now.Add(-s.o.MaxIdle)) {
				c.srv.o.Logger.Debug("closing an idle connection", c.fields()...)
				c.listener.metrics.closedIdle.Inc()
				c.abort()
			}
		}
	}
}

// idle returns the connections without traffic since a time.
func (s *Server) idle(since time.Time) []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var idle []*Conn
	for _, c := range s.mu.conns {
		if c.busy.Load() == 0 && c.lastActive.Load() < since.UnixNano() {
			idle = append(idle, c)
		}
	}
	return idle
}
