package transport

import (
	"context"
	"crypto/tls"
	"net"
)

// Listener describes one entry of listeners.
type Listener struct {
	Name     string // listener name, upper case
	Protocol string // security protocol: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL
	Address  string // "host:port" to bind; an empty host binds all interfaces, port 0 picks one

	// InterBroker marks the listener brokers use among themselves. If there are others, it is exempt from the
	// broker-wide connection limit, which then costs another listener its least recently used connection.
	InterBroker bool

	// Privileged marks the listener on which brokers and controller speak: the control plane's if there is one, else
	// the inter-broker one.
	Privileged bool

	// SecureConn, if not nil, makes a TLS connection of an accepted one and completes the handshake.
	SecureConn func(ctx context.Context, raw net.Conn) (*tls.Conn, error)

	// Principal, if not nil, names who a connection without an Authenticator belongs to, from its client
	// certificate. Without it that is User:ANONYMOUS.
	Principal func(*tls.ConnectionState) (Principal, error)

	// Authenticator, if not nil, makes what logs a new connection in before any request reaches the handler.
	Authenticator func(*Conn) Authenticator
}

// Principal is who a connection belongs to.
type Principal struct {
	Type               string // "User"
	Name               string
	TokenAuthenticated bool // logged in with a delegation token
}

// Anonymous is the principal of a connection that nobody logged in on.
var Anonymous = Principal{Type: "User", Name: "ANONYMOUS"}

// String returns "User:name".
func (p Principal) String() string { return p.Type + ":" + p.Name }
