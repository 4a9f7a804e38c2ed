package zkstore

import (
	"context"
	"crypto/tls"
	"time"

	"go.uber.org/zap"
)

// Options say how to reach ZooKeeper. Names in brackets are Kafka's config keys.
type Options struct {
	Connect        string        // "host:port[,host:port...][/chroot]" (zookeeper.connect)
	SessionTimeout time.Duration // default 18 s; the server may clamp it (zookeeper.session.timeout.ms)
	ConnectTimeout time.Duration // for the first connection; default: SessionTimeout (zookeeper.connection.timeout.ms)
	MaxInFlight    int           // unanswered requests allowed; 0: a default made for bulk reads (zookeeper.max.in.flight.requests)
	TLS            *tls.Config   // nil: plain text; see [TLSOptions]
	Auth           []Auth        // credentials given on every connection, e.g. scheme "digest", data "user:password"
	SASL           *SASL         // nil: none
	SetACL         bool          // protect what we create (zookeeper.set.acl)
	Logger         *zap.Logger   // nil: none
	Metrics        *Metrics      // nil: none
}

// Auth is one credential of ZooKeeper's addauth kind.
type Auth struct {
	Scheme string
	Data   []byte
}

// SASL is a DIGEST-MD5 login, as a JAAS section Client with DigestLoginModule gives.
type SASL struct {
	Username string
	Password string
}

// Session is one ZooKeeper session and the connection that carries it from server to server. When ZooKeeper expires
// it, it ends for good: nothing reconnects behind the owner's back, and every operation fails with [ErrExpired].
// A new Session is a new [Connect].
type Session struct{}

// Connect opens a session, first creating the chroot if there is one and it is missing. It fails when no session is
// had within the connect timeout.
func Connect(ctx context.Context, o Options) (*Session, error) { return nil, errPending }

// Done is closed when the session has ended for good.
func (s *Session) Done() <-chan struct{} { return nil }

// Err says why the session ended: [ErrExpired], [ErrClosed] or [ErrAuthFailed]. It is nil while the session lives.
func (s *Session) Err() error { return nil }

// Expired reports whether ZooKeeper ended the session.
func (s *Session) Expired() bool { return false }

// ID is ZooKeeper's number of the session: the ephemeralOwner of what it creates.
func (s *Session) ID() int64 { return 0 }

// Timeout is the session timeout the server granted.
func (s *Session) Timeout() time.Duration { return 0 }

// Connected reports whether a server is reachable at this moment. False does not mean the session is lost.
func (s *Session) Connected() bool { return false }

// Close ends the session, which deletes its ephemeral znodes, and waits for everything the session started.
func (s *Session) Close() error { return nil }

// Store is the typed view of the tree through one session. Methods repeat themselves over lost connections until
// they know what happened, the context ends, or the session does.
type Store struct{ s *Session }

// New returns the store behind a session.
func New(s *Session) *Store { return &Store{s} }

// Session returns the session the store works through.
func (z *Store) Session() *Session { return z.s }
