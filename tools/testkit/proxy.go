package testkit

import (
	"bufio"
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy relays TCP connections to one address and can be made to stop, for every peer or for some: it plays a network that
// breaks. What it does to a connection depends on the connection's source, which a [ProxySource] reads off its first bytes.
type Proxy struct {
	listener net.Listener
	target   string
	source   ProxySource
	running  sync.WaitGroup

	mu struct {
		sync.Mutex
		changed sync.Cond // modes or closed
		modes   map[string]proxyMode
		conns   map[*relay]struct{}
		closed  bool
	}
}

// ProxySource tells connections apart by the first bytes their client sends. It peeks; it must not read.
type ProxySource func(*bufio.Reader) string

type proxyMode int

const (
	open    proxyMode = iota
	stalled           // connections stay, but nothing gets through: a lost route
	refused           // connections are reset, also new ones: a host that is up while nobody listens
)

// everybody is the source that modes apply to when none is named.
const everybody = ""

// StartProxy runs a proxy in front of target until the test ends. source may be nil: all connections are treated alike.
func StartProxy(t testing.TB, target string, source ProxySource) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, target: target, source: source}
	p.mu.changed.L = &p.mu
	p.mu.modes, p.mu.conns = map[string]proxyMode{}, map[*relay]struct{}{}
	p.running.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr is where to connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Stall lets nothing through any more, in either direction, from the named sources, or from all. Connections stay open; after
// [Proxy.Heal] what was sent meanwhile arrives, as it does over a route that comes back.
func (p *Proxy) Stall(sources ...string) { p.set(stalled, sources) }

// Refuse resets the connections of the named sources, or of all, and those they open.
func (p *Proxy) Refuse(sources ...string) { p.set(refused, sources) }

// Heal ends what Stall and Refuse did to the named sources, or to all.
func (p *Proxy) Heal(sources ...string) {
	if len(sources) == 0 {
		p.mu.Lock()
		clear(p.mu.modes)
		p.mu.changed.Broadcast()
		p.mu.Unlock()
		return
	}
	p.set(open, sources)
}

func (p *Proxy) set(m proxyMode, sources []string) {
	if len(sources) == 0 {
		sources = []string{everybody}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range sources {
		p.mu.modes[s] = m
	}
	for c := range p.mu.conns {
		if p.modeLocked(c.source) == refused {
			c.reset()
		}
	}
	p.mu.changed.Broadcast()
}

// modeLocked is the worst of what applies to a source; mu is held.
func (p *Proxy) modeLocked(source string) proxyMode {
	return max(p.mu.modes[everybody], p.mu.modes[source])
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.mu.closed = true
	for c := range p.mu.conns {
		c.reset()
	}
	p.mu.changed.Broadcast()
	p.mu.Unlock()
	p.listener.Close()
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.running.Go(func() { p.serve(c.(*net.TCPConn)) })
	}
}

// relay is one connection through the proxy.
type relay struct {
	client *net.TCPConn
	server *net.TCPConn // nil until connected
	source string       // everybody until known
}

// reset breaks both sides without a goodbye.
func (c *relay) reset() {
	for _, side := range []*net.TCPConn{c.client, c.server} {
		if side != nil {
			_ = side.SetLinger(0)
			side.Close()
		}
	}
}

func (p *Proxy) serve(client *net.TCPConn) {
	c := &relay{client: client}
	p.mu.Lock()
	p.mu.conns[c] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.mu.conns, c)
		c.reset()
		p.mu.Unlock()
	}()
	in := bufio.NewReaderSize(client, 64<<10)
	if p.source != nil {
		name := p.source(in)
		p.mu.Lock()
		c.source = name
		p.mu.Unlock()
	}
	if !p.pass(c) {
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	p.mu.Lock()
	c.server = server.(*net.TCPConn)
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.copy(c, c.server, in) })
	both.Go(func() { p.copy(c, client, server) })
	both.Wait()
}

// copy relays one direction until it ends, and then the other end is told.
func (p *Proxy) copy(c *relay, to *net.TCPConn, from io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if !p.pass(c) {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	if p.pass(c) { // a goodbye does not get over a lost route either
		_ = to.CloseWrite()
	}
}

// pass waits while the connection is stalled, and returns whether it may go on.
func (p *Proxy) pass(c *relay) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		mode := p.modeLocked(c.source)
		switch {
		case p.mu.closed || mode == refused:
			c.reset()
			return false
		case mode == open:
			return true
		}
		p.mu.changed.Wait()
	}
}
