package zkstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
	"go.uber.org/zap"
)

// Session is one ZooKeeper session and the connection that carries it from server to server. When ZooKeeper expires
// it, it ends for good: nothing reconnects behind the owner's back, and every operation fails with [ErrExpired].
// A new Session is a new [Connect].
type Session struct {
	o       Options
	chroot  string // "" or "/a/b"
	log     *zap.Logger
	dialer  *dialer
	conn    *zk.Conn // set once by Connect, before anybody else can see the Session
	slots   chan struct{}
	watches registry

	singleReads atomic.Bool // the server knows no multiRead

	done    chan struct{} // closed by end; anybody may wait for it
	ctx     context.Context
	cancel  context.CancelFunc // ends dialing, with done
	running sync.WaitGroup

	mu struct {
		sync.Mutex
		err     error // why it ended; nil: it has not
		id      int64
		timeout time.Duration
		up      chan struct{} // closed while connected; replaced when the connection is lost
		isUp    bool
		lostAt  time.Time // when the connection was lost; zero while there is one, and before the first
	}
	// heldUntil is the session timeout after the latest moment at which the session is known to have been alive, in
	// nanoseconds after began; negative after its end.
	heldUntil atomic.Int64
	began     time.Time
}

// Connect opens a session, first creating the chroot if there is one and it is missing. It fails when no session is
// had within the connect timeout.
func Connect(ctx context.Context, o Options) (*Session, error) {
	o = o.withDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	hosts, chroot, err := splitConnect(o.Connect)
	if err != nil {
		return nil, err
	}
	s := &Session{
		o:      o,
		chroot: chroot,
		log:    o.Logger,
		slots:  make(chan struct{}, o.MaxInFlight),
		done:   make(chan struct{}),
		began:  time.Now(),
	}
	s.watches.init()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.mu.up = make(chan struct{})
	s.dialer = newDialer(s, hosts)

	conn, events, err := zk.Connect(hosts, o.SessionTimeout,
		zk.WithDialer(s.dialer.dial), zk.WithHostProvider(s.dialer), zk.WithEventCallback(s.event),
		zk.WithLogger(libraryLog{s.log}), zk.WithLogInfo(false),
		zk.WithMaxBufferSize(o.MaxPacket), zk.WithMaxConnBufferSize(o.MaxPacket))
	if err != nil {
		s.cancel()
		return nil, fmt.Errorf("connect to ZooKeeper at %s: %w", o.Connect, err)
	}
	s.conn = conn
	s.running.Go(func() {
		<-s.done
		if s.Expired() {
			// The library answers a Close at once when it finds it before dialing again, and else after a second.
			select {
			case <-s.dialer.idle:
			case <-time.After(time.Second):
			}
		}
		s.conn.Close() // asks the server to end the session, for a second at most
		s.dialer.closeConn()
		for range events { // until the library's own loop has ended
		}
	})
	if err := s.open(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("connect to ZooKeeper at %s: %w", o.Connect, err)
	}
	return s, nil
}

// open waits for the first connection, introduces us and makes the chroot.
func (s *Session) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.ConnectTimeout)
	defer cancel()
	if err := s.connected(ctx); err != nil {
		cause := s.dialer.lastError()
		switch {
		case cause != nil && errors.Is(err, context.DeadlineExceeded):
			return &noSessionError{s.o.ConnectTimeout, cause}
		case cause != nil:
			return fmt.Errorf("%w: %w", err, cause)
		}
		return err
	}
	for _, a := range s.o.Auth {
		if err := s.addAuth(ctx, a); err != nil {
			return fmt.Errorf("scheme %s: %w", a.Scheme, err)
		}
	}
	return s.createChroot(ctx)
}

// noSessionError is the end of the connect timeout, in words that say more than that.
type noSessionError struct {
	within time.Duration
	cause  error
}

func (e *noSessionError) Error() string {
	return fmt.Sprintf("no session within %s: %v", e.within, e.cause)
}
func (e *noSessionError) Unwrap() []error { return []error{context.DeadlineExceeded, e.cause} }

// addAuth presents one credential. A server that refuses says so, or just closes the connection; but a connection may also
// break for another reason, so that is believed only when it happens again.
func (s *Session) addAuth(ctx context.Context, a Auth) (err error) {
	for range 3 {
		_, err = call(ctx, s, func() (struct{}, error) { return struct{}{}, s.conn.AddAuth(a.Scheme, a.Data) })
		if err != errLost {
			return err
		}
	}
	s.o.Metrics.event(eventAuthFailed)
	return ErrAuthFailed
}

// Done is closed when the session has ended for good.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err says why the session ended: [ErrExpired], [ErrClosed] or [ErrAuthFailed]. It is nil while the session lives.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.err
}

// Expired reports whether ZooKeeper ended the session.
func (s *Session) Expired() bool { return errors.Is(s.Err(), ErrExpired) }

// ID is ZooKeeper's number of the session: the ephemeralOwner of what it creates.
func (s *Session) ID() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.id
}

// Timeout is the session timeout the server granted.
func (s *Session) Timeout() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.timeout
}

// Connected reports whether a server is reachable at this moment. False does not mean the session is lost.
func (s *Session) Connected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.isUp && s.mu.err == nil
}

// Held reports whether the session is certain to be alive. ZooKeeper expires a session when it has not heard from its
// client for the session timeout, and what it has heard is known from what it answered: a request that was answered had
// arrived after it was sent. So this says no as soon as the session may be gone, perhaps long before that is told, and in
// a process that was stopped for a while from its first moment on, whatever answers from before it still finds unread.
func (s *Session) Held() bool { return int64(time.Since(s.began)) < s.heldUntil.Load() }

// held is told when a request was sent that has been answered now.
func (s *Session) held(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if until := int64(at.Sub(s.began) + s.mu.timeout); s.mu.err == nil && until > s.heldUntil.Load() {
		s.heldUntil.Store(until)
	}
}

// Close ends the session, which deletes its ephemeral znodes, and waits for everything the session started.
func (s *Session) Close() error {
	s.end(ErrClosed)
	s.running.Wait()
	return nil
}

// end is the one way a session ends. It is safe on the library's goroutines: it neither blocks nor calls back.
func (s *Session) end(why error) {
	s.mu.Lock()
	if s.mu.err != nil {
		s.mu.Unlock()
		return
	}
	s.mu.err = why
	s.heldUntil.Store(-1)
	id := s.mu.id
	close(s.done)
	s.mu.Unlock()
	switch why {
	case ErrAuthFailed:
		s.o.Metrics.event(eventAuthFailed)
	case ErrExpired:
		s.o.Metrics.event(eventExpired)
	}
	s.log.Debug("ZooKeeper session ended", zap.String("session", fmt.Sprintf("%#x", id)), zap.Error(why))
	s.cancel()
	s.watches.fireAll()
}

// event is called on the library's goroutines for every event. The library's channel would drop some.
func (s *Session) event(e zk.Event) {
	if e.Type != zk.EventSession {
		s.watches.fire(e.Type, s.relative(e.Path))
		return
	}
	switch e.State {
	case zk.StateHasSession:
		s.mu.Lock()
		if !s.mu.isUp {
			s.mu.isUp = true
			close(s.mu.up)
		}
		fields := []zap.Field{zap.String("server", s.dialer.server()), zap.String("session", fmt.Sprintf("%#x", s.mu.id)),
			zap.Duration("timeout", s.mu.timeout)}
		if !s.mu.lostAt.IsZero() {
			fields = append(fields, zap.Duration("away_for", time.Since(s.mu.lostAt)))
			s.mu.lostAt = time.Time{}
		}
		s.mu.Unlock()
		s.o.Metrics.event(eventConnected)
		s.log.Info("ZooKeeper session connected", fields...)
	case zk.StateDisconnected:
		s.mu.Lock()
		lost := s.mu.isUp && s.mu.err == nil
		if s.mu.isUp {
			s.mu.isUp = false
			s.mu.up = make(chan struct{})
			s.mu.lostAt = time.Now()
		}
		id, timeout := s.mu.id, s.mu.timeout
		s.mu.Unlock()
		if lost {
			s.o.Metrics.event(eventDisconnected)
			s.log.Warn("ZooKeeper connection lost; reconnecting before the session expires", zap.String("server", s.dialer.server()),
				zap.String("session", fmt.Sprintf("%#x", id)), zap.Duration("timeout", timeout))
		}
	case zk.StateExpired:
		// Left alone the library would now open another session under the same Conn, and what we own in the old
		// one would be gone without anybody noticing.
		s.end(ErrExpired)
	}
}

// awaySince says when the connection was lost; false if there was none yet, or there is one.
func (s *Session) awaySince() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.lostAt, !s.mu.lostAt.IsZero()
}

// established is told by the connection what the server granted, before the library is.
func (s *Session) established(id int64, timeout time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.id, s.mu.timeout = id, timeout
}

// connected waits until a server has our session.
func (s *Session) connected(ctx context.Context) error {
	for {
		s.mu.Lock()
		err, up := s.mu.err, s.mu.up
		s.mu.Unlock()
		if err != nil {
			return err
		}
		select {
		case <-up:
			return nil
		default:
		}
		select {
		case <-up:
		case <-s.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// libraryLog takes what the library says. Its complaints are about single connections, which is nothing to act on.
type libraryLog struct{ *zap.Logger }

func (l libraryLog) Printf(format string, args ...any) {
	l.Debug("zk: " + fmt.Sprintf(format, args...))
}

// Store is the typed view of the tree through one session. Methods repeat themselves over lost connections until
// they know what happened, the context ends, or the session does.
type Store struct{ s *Session }

// New returns the store behind a session.
func New(s *Session) *Store { return &Store{s} }

// Session returns the session the store works through.
func (z *Store) Session() *Session { return z.s }
