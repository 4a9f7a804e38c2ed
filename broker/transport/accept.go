package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"
)

// A listener is a bound Listener.
type listener struct {
	spec    Listener
	srv     *Server
	socket  *net.TCPListener
	metrics *listenerMetrics

	closed       chan struct{} // closed with the socket, once, by closeLocked
	closedLocked bool          // closed is; guarded by Server.mu
}

func bind(ctx context.Context, s *Server, spec Listener) (*listener, error) {
	config := net.ListenConfig{Control: receiveBufferControl(s.o.ReceiveBuffer)}
	socket, err := config.Listen(ctx, "tcp", spec.Address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s %s: %w", spec.Name, spec.Address, err)
	}
	tcp := socket.(*net.TCPListener)
	if s.o.Backlog > 0 {
		if err := setBacklog(tcp, s.o.Backlog); err != nil {
			socket.Close()
			return nil, fmt.Errorf("set the backlog of %s %s: %w", spec.Name, spec.Address, err)
		}
	}
	return &listener{spec: spec, srv: s, socket: tcp, metrics: s.metrics.of(spec.Name), closed: make(chan struct{})}, nil
}

// closeLocked ends accepting. Server.mu is held.
func (l *listener) closeLocked() {
	if !l.closedLocked {
		l.closedLocked = true
		close(l.closed)
		l.socket.Close()
		l.srv.mu.changed.Broadcast()
	}
}

// accept takes in connections until the socket is closed. Connections run in conns.
func (l *listener) accept(ctx context.Context, conns *sync.WaitGroup) {
	backoff := time.Duration(0)
	for {
		tcp, err := l.socket.AcceptTCP()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors, most likely. Others will close theirs.
			backoff = min(max(2*backoff, 5*time.Millisecond), time.Second)
			l.srv.o.Logger.Error("cannot accept", zap.String("listener", l.spec.Name), zap.Error(err))
			if !l.pause(backoff) {
				return
			}
			continue
		}
		backoff = 0
		l.admit(ctx, tcp, conns)
	}
}

// admit lets one connection in, or closes it.
func (l *listener) admit(ctx context.Context, tcp *net.TCPConn, conns *sync.WaitGroup) {
	addr := remoteAddr(tcp)
	if rate := l.srv.o.Rate; rate != nil {
		now := time.Now()
		if wait := rate.IP(l.spec.Name, addr.Addr(), now); wait > 0 {
			// Closing at once would only make the peer come again at once.
			l.metrics.refusedRate.Inc()
			conns.Go(func() {
				l.pause(wait)
				tcp.Close()
			})
			return
		}
		if wait := rate.Listener(l.spec.Name, now); wait > 0 {
			stopping := !l.pause(wait)
			l.metrics.blockedSince(now)
			if stopping {
				tcp.Close()
				return
			}
		}
	}
	ok, evict := l.srv.acquire(l, addr.Addr())
	if !ok {
		tcp.Close()
		return
	}
	if evict != nil {
		evict.listener.metrics.evicted.Inc()
		evict.abort()
	}
	l.metrics.accepted.Inc()
	c := newConn(ctx, l, tcp, addr)
	conns.Go(func() {
		defer l.srv.release(l, addr.Addr())
		c.run()
	})
}

// pause waits; false if the listener is closed.
func (l *listener) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.closed:
		return false
	}
}

func remoteAddr(tcp *net.TCPConn) netip.AddrPort {
	if a, ok := tcp.RemoteAddr().(*net.TCPAddr); ok {
		ap := a.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
	}
	return netip.AddrPort{}
}
