package zkstore

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"
)

// dialer decides which server to try next and how long an attempt may take. It is the library's Dialer and HostProvider:
// the library's own provider resolves names once for the life of the process, which also leaves TLS without a name to
// verify, and its own patience with a server that accepts but does not answer is ten receive timeouts.
type dialer struct {
	s     *Session
	hosts []string      // "host:port", in the order tried
	idle  chan struct{} // closed by Next, once, when the session has ended; the session waits for it

	mu struct {
		sync.Mutex
		next   int // index of the host to try next
		failed int // attempts since a session was last had
		err    error
		warned time.Time // when it was last said that nobody answers
		conn   *wireConn // the latest; perhaps broken
		ended  bool      // idle is closed
	}
}

func newDialer(s *Session, hosts []string) *dialer {
	hosts = append([]string(nil), hosts...)
	rand.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	return &dialer{s: s, hosts: hosts, idle: make(chan struct{})}
}

// Init, Len, Next and Connected make dialer a zk.HostProvider.
func (d *dialer) Init([]string) error { return nil }

func (d *dialer) Len() int { return len(d.hosts) }

// Next names the server to try. retryStart makes the library look whether it is to end, which only matters then; it
// also makes it fail requests that were not sent yet, and those may as well wait.
func (d *dialer) Next() (host string, retryStart bool) {
	ended := d.s.Err() != nil
	d.mu.Lock()
	defer d.mu.Unlock()
	host = d.hosts[d.mu.next%len(d.hosts)]
	d.mu.next++
	if ended && !d.mu.ended {
		d.mu.ended = true
		close(d.idle)
	}
	return host, ended
}

// Connected is called when a server has accepted the session.
func (d *dialer) Connected() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.failed = 0
	d.mu.err = nil
	d.mu.warned = time.Time{}
}

// patience is how long one attempt may take, from dialing to the answer to the connection request. A server that is
// starting, or has lost its quorum, accepts connections and then says nothing. Twice round the servers and one
// more must fit into the session timeout, or a restart of ZooKeeper costs the session.
func (d *dialer) patience() time.Duration {
	return max(d.s.o.SessionTimeout/time.Duration(2*len(d.hosts)+2), 500*time.Millisecond)
}

func (d *dialer) dial(network, addr string, _ time.Duration) (net.Conn, error) {
	if err := d.pause(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(d.s.ctx, d.patience())
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err == nil && d.s.o.TLS != nil {
		conn, err = d.secure(ctx, conn, addr)
	}
	if err != nil {
		d.failed(err)
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	w := newWireConn(d.s, conn, deadline)
	d.mu.Lock()
	d.mu.conn = w
	d.mu.failed++ // until Connected says otherwise
	d.mu.err = fmt.Errorf("%s accepts connections but does not answer", addr)
	d.mu.Unlock()
	if d.s.ctx.Err() != nil { // it ended while we dialed: nobody may open a new session under the library's Conn
		w.Close()
		return nil, d.s.ctx.Err()
	}
	return w, nil
}

func (d *dialer) secure(ctx context.Context, conn net.Conn, addr string) (net.Conn, error) {
	config := d.s.o.TLS.Clone()
	if host, _, err := net.SplitHostPort(addr); err == nil && config.ServerName == "" {
		config.ServerName = host
	}
	c := tls.Client(conn, config)
	if err := c.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// pause waits before another round over the servers, longer each time, up to a second.
func (d *dialer) pause() error {
	d.mu.Lock()
	round := d.mu.failed / len(d.hosts)
	d.mu.Unlock()
	if round == 0 {
		return d.s.ctx.Err()
	}
	d.warn()
	wait := min(50*time.Millisecond<<min(round-1, 5), time.Second)
	t := time.NewTimer(wait/2 + rand.N(wait/2))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-d.s.ctx.Done():
		return d.s.ctx.Err()
	}
}

const (
	// hushed is how long servers may be away before that is said: as a rule the next one has the session at once.
	hushed = time.Second
	// reminder is how often it is said.
	reminder = time.Minute
)

// warn says now and then that the servers are away, of a session that was had before: the first is waited for by somebody who is told.
func (d *dialer) warn() {
	since, had := d.s.awaySince()
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !had || now.Sub(since) < hushed || now.Sub(d.mu.warned) < reminder {
		return
	}
	d.mu.warned = now
	d.s.log.Warn("no ZooKeeper server can be reached", zap.Strings("servers", d.hosts), zap.Duration("for", now.Sub(since)), zap.Error(d.mu.err))
}

func (d *dialer) failed(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.failed++
	d.mu.err = err
}

// refused notes why a connection that was made brought no session; the library only sees it break.
func (d *dialer) refused(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.err = err
}

func (d *dialer) lastError() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.err
}

func (d *dialer) current() *wireConn {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.conn
}

// server is the address of the latest connection.
func (d *dialer) server() string {
	if c := d.current(); c != nil {
		return c.RemoteAddr().String()
	}
	return ""
}

func (d *dialer) closeConn() {
	if c := d.current(); c != nil {
		c.Close()
	}
}
