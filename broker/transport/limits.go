package transport

import (
	"net/netip"
	"time"
)

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

// perIP returns the limit of an address; ok is false if there is none.
func (l *Limits) perIP(ip netip.Addr) (limit int, ok bool) {
	if n, ok := l.MaxPerIPOver[ip]; ok {
		return n, true
	}
	return l.MaxPerIP, l.MaxPerIP > 0 || l.NoneByDefault
}

// RateLimiter is the connection creation rate (max.connection.creation.rate and the ip quota connection_creation_rate).
type RateLimiter interface {
	// Listener records a connection on a listener and returns for how long accepting has to pause before it.
	Listener(listener string, now time.Time) time.Duration

	// IP records a connection of an address. If it returns more than zero the connection is kept unread for that long
	// and closed; it must then not count against the listener either.
	IP(listener string, ip netip.Addr, now time.Time) time.Duration
}

// counts are the connections that hold a place. Guarded by Server.mu.
type counts struct {
	total    int
	listener map[string]int
	ip       map[netip.Addr]int // no zero entries
}

// acquire takes a place for a connection, waiting until there is one as Kafka's acceptor does (ConnectionQuotas in
// SocketServer.scala). It fails if the address has too many connections, or if the listener is closed. evict, if not nil, has to be
// closed to make up for a connection of the protected listener.
func (s *Server) acquire(l *listener, ip netip.Addr) (ok bool, evict *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	protected := false
	full := func() bool {
		protected = l.spec.InterBroker && len(s.mu.listeners) > 1
		most := s.mu.limits.MaxListenerConnections[l.spec.Name]
		if most > 0 && s.mu.counts.listener[l.spec.Name] >= most {
			return true
		}
		return !protected && s.mu.limits.MaxConnections > 0 && s.mu.counts.total >= s.mu.limits.MaxConnections
	}
	if full() {
		defer l.metrics.blockedSince(time.Now())
	}
	for full() && !l.closedLocked {
		s.mu.changed.Wait()
	}
	if l.closedLocked {
		return false, nil
	}
	if limit, limited := s.mu.limits.perIP(ip); limited && s.mu.counts.ip[ip] >= limit {
		l.metrics.refusedPerIP.Inc()
		return false, nil
	}
	s.mu.counts.total++
	s.mu.counts.listener[l.spec.Name]++
	s.mu.counts.ip[ip]++
	if protected && s.mu.limits.MaxConnections > 0 && s.mu.counts.total > s.mu.limits.MaxConnections {
		evict = s.leastRecentlyUsedLocked(l)
	}
	return true, evict
}

// release gives a place back.
func (s *Server) release(l *listener, ip netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.counts.total--
	s.mu.counts.listener[l.spec.Name]--
	if s.mu.counts.ip[ip]--; s.mu.counts.ip[ip] == 0 {
		delete(s.mu.counts.ip, ip)
	}
	s.mu.changed.Broadcast()
}

// leastRecentlyUsedLocked returns the connection, of another listener than l, on which nothing has moved for longest.
func (s *Server) leastRecentlyUsedLocked(l *listener) *Conn {
	var oldest *Conn
	for _, c := range s.mu.conns {
		if c.listener != l && (oldest == nil || c.lastActive.Load() < oldest.lastActive.Load()) {
			oldest = c
		}
	}
	return oldest
}
