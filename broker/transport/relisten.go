package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"
)

// SetListeners makes the server listen on these, and no others, while it runs. One that is there with the same name and address
// goes on as it is. A new address is bound before an old one is closed, unless it needs the old one's port, and if any cannot be
// bound, everything stays as it was. Connections of listeners that go are closed as they become quiet, after a while in any case.
func (s *Server) SetListeners(ctx context.Context, specs []Listener) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	current, stopped := slices.Clone(s.mu.listeners), s.mu.stopped
	s.mu.Unlock()
	if stopped {
		return fmt.Errorf("change listeners: %w", errStopped)
	}
	kept := func(l *listener) bool {
		return slices.ContainsFunc(specs, func(spec Listener) bool { return l.spec.Name == spec.Name && l.spec.Address == spec.Address })
	}
	gone := slices.DeleteFunc(slices.Clone(current), kept)

	var next, opened []*listener
	for _, spec := range specs {
		l := find(current, spec.Name)
		if l == nil || !kept(l) {
			s.vacate(spec, gone)
			var err error
			if l, err = bind(ctx, s, spec); err != nil {
				closeSockets(opened)
				return errors.Join(err, s.restore(ctx, current))
			}
			opened = append(opened, l)
		}
		next = append(next, l)
	}
	if !s.adopt(next, opened, gone) {
		closeSockets(opened)
		return fmt.Errorf("change listeners: %w", errStopped)
	}
	return nil
}

// adopt puts listeners in place of those that go; false if the server has stopped meanwhile.
func (s *Server) adopt(next, opened, gone []*listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.stopped {
		return false
	}
	s.mu.listeners = next
	for _, l := range gone {
		l.closeLocked()
	}
	r := s.mu.run
	if r == nil {
		return true
	}
	for _, l := range gone {
		s.o.Logger.Info("not listening any more", zap.String("listener", l.spec.Name), zap.Stringer("address", l.socket.Addr()))
	}
	for _, l := range opened {
		s.o.Logger.Info("listening", zap.String("listener", l.spec.Name), zap.Stringer("address", l.socket.Addr()))
		r.accepting.Go(func() { l.accept(r.ctx, &r.conns) })
	}
	if len(gone) > 0 {
		s.drainLocked(gone)
		r.background.Go(func() { s.endLater(gone) })
	}
	return true
}

// vacate closes those of the listeners that go whose port is needed.
func (s *Server) vacate(spec Listener, gone []*listener) {
	_, port, err := net.SplitHostPort(spec.Address)
	if err != nil || port == "0" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range gone {
		if addr, ok := l.socket.Addr().(*net.TCPAddr); ok && strconv.Itoa(addr.Port) == port {
			l.closeLocked()
		}
	}
}

// restore opens again what vacate has closed.
func (s *Server) restore(ctx context.Context, current []*listener) error {
	var failed error
	var back, opened []*listener
	for _, l := range current {
		select {
		case <-l.closed:
		default:
			back = append(back, l)
			continue
		}
		spec := l.spec
		spec.Address = l.socket.Addr().String()
		again, err := bind(ctx, s, spec)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		again.spec.Address = l.spec.Address
		back, opened = append(back, again), append(opened, again)
	}
	if !s.adopt(back, opened, nil) {
		closeSockets(opened)
	}
	return failed
}

// partingTimeout is how long the connections of a listener that goes may finish what they have begun.
const partingTimeout = 3 * time.Second

// drainLocked has the connections of listeners end when they owe no answer. Server.mu is held.
func (s *Server) drainLocked(of []*listener) {
	for _, c := range s.mu.conns {
		if slices.Contains(of, c.listener) {
			c.drain()
		}
	}
}

// endLater ends those that have not, unless all are cut anyway.
func (s *Server) endLater(of []*listener) {
	timer := time.NewTimer(partingTimeout)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.cut:
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.mu.conns {
		if slices.Contains(of, c.listener) {
			c.abort()
		}
	}
}

func find(all []*listener, name string) *listener {
	i := slices.IndexFunc(all, func(l *listener) bool { return l.spec.Name == name })
	if i < 0 {
		return nil
	}
	return all[i]
}

// closeSockets closes listeners that nobody knows of yet.
func closeSockets(unknown []*listener) {
	for _, l := range unknown {
		l.socket.Close()
	}
}
