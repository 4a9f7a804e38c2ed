package transport

import (
	"crypto/tls"
	"net/netip"
)

// Conn is a connection as handlers see it.
type Conn struct{}

// ID is unique among the connections of a server; for logs.
func (c *Conn) ID() uint64 { return 0 }

// Listener returns the name of the listener the connection came in on.
func (c *Conn) Listener() string { return "" }

// Protocol returns the listener's security protocol.
func (c *Conn) Protocol() string { return "" }

// Privileged reports whether the connection came in on the listener for brokers and controller.
func (c *Conn) Privileged() bool { return false }

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() netip.AddrPort { return netip.AddrPort{} }

// Principal returns who the connection belongs to. It changes only by a login, between requests.
func (c *Conn) Principal() Principal { return Principal{} }

// TLS returns the state of the TLS connection, nil without TLS.
func (c *Conn) TLS() *tls.ConnectionState { return nil }

// SetClientSoftware remembers what the client said of itself in ApiVersions (KIP-511).
func (c *Conn) SetClientSoftware(name, version string) {}

// ClientSoftware returns what SetClientSoftware was given.
func (c *Conn) ClientSoftware() (name, version string) { return "", "" }
