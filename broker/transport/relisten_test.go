package transport

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

func plaintext(name, address string) Listener {
	return Listener{Name: name, Protocol: "PLAINTEXT", Address: address}
}

// TestListenersComeAndGo changes the listeners of a running server.
func TestListenersComeAndGo(t *testing.T) {
	s := serve(t, handler(plain), nil)
	first := s.answering("PLAINTEXT")
	change := func(specs ...Listener) {
		t.Helper()
		if err := s.SetListeners(t.Context(), specs); err != nil {
			t.Fatal(err)
		}
	}
	change(plaintext("PLAINTEXT", "127.0.0.1:0"), plaintext("NEW", "127.0.0.1:0"))
	added := s.answering("NEW")
	ask(first, 2)

	// A move binds the new address, and those who came by the old one are sent away.
	old := s.Addr("NEW").String()
	change(plaintext("PLAINTEXT", "127.0.0.1:0"), plaintext("NEW", "localhost:0"))
	added.expectClosed()
	refused(t, old)
	s.answering("NEW")
	ask(first, 3)

	old = s.Addr("NEW").String()
	change(plaintext("PLAINTEXT", "127.0.0.1:0"))
	refused(t, old)
	if s.Addr("NEW") != nil {
		t.Error("a listener that is gone has an address")
	}
	ask(first, 4)
	eventually(t, "all other connections are gone", func() bool { return s.Connections() == 1 })

	// All at once, while the server goes on.
	change(plaintext("OTHER", "127.0.0.1:0"))
	first.expectClosed()
	s.answering("OTHER")
}

// TestListenersStayWhenOneCannotBe: a change is made as a whole or not at all.
func TestListenersStayWhenOneCannotBe(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := serve(t, handler(plain), nil)
	first := s.answering("PLAINTEXT")
	own := s.Addr("PLAINTEXT").String()
	for _, specs := range [][]Listener{
		{plaintext("NEW", "127.0.0.1:0"), plaintext("TAKEN", taken.Addr().String())},
		{plaintext("PLAINTEXT", taken.Addr().String())},
		{plaintext("NEW", own), plaintext("TAKEN", taken.Addr().String())},
	} {
		if err := s.SetListeners(t.Context(), specs); err == nil {
			t.Errorf("%v was bound", specs)
		}
		if s.Addr("NEW") != nil || s.Addr("TAKEN") != nil {
			t.Error("part of a change was made")
		}
	}
	if s.Addr("PLAINTEXT").String() != own {
		t.Error("the listener has moved")
	}
	ask(first, 2)
	s.answering("PLAINTEXT")
}

// TestListenersExchangePorts: a port can go from one listener to another.
func TestListenersExchangePorts(t *testing.T) {
	s := serve(t, handler(plain), nil)
	if err := s.SetListeners(t.Context(), []Listener{plaintext("PLAINTEXT", "127.0.0.1:0"), plaintext("OTHER", "127.0.0.1:0")}); err != nil {
		t.Fatal(err)
	}
	one, other := s.Addr("PLAINTEXT").String(), s.Addr("OTHER").String()
	if err := s.SetListeners(t.Context(), []Listener{plaintext("NEW", one), plaintext("PLAINTEXT", other)}); err != nil {
		t.Fatal(err)
	}
	if s.Addr("NEW").String() != one || s.Addr("PLAINTEXT").String() != other || s.Addr("OTHER") != nil {
		t.Errorf("NEW is at %v, PLAINTEXT at %v", s.Addr("NEW"), s.Addr("PLAINTEXT"))
	}
	s.answering("NEW")
	s.answering("PLAINTEXT")
}

// TestListenerGoesWithRequestsInProgress: what was begun is answered.
func TestListenerGoesWithRequestsInProgress(t *testing.T) {
	begun, finish := make(chan struct{}, 1), make(chan struct{})
	s := serve(t, handler(func(ctx context.Context, r *Request) Reply {
		if r.Conn.Listener() == "NEW" {
			begun <- struct{}{}
			<-finish
		}
		return plain(ctx, r)
	}), nil)
	both := []Listener{plaintext("PLAINTEXT", "127.0.0.1:0"), plaintext("NEW", "127.0.0.1:0")}
	if err := s.SetListeners(t.Context(), both); err != nil {
		t.Fatal(err)
	}
	c := s.dial("NEW")
	c.send(heartbeat(0), 1)
	<-begun
	if err := s.SetListeners(t.Context(), both[:1]); err != nil {
		t.Fatal(err)
	}
	close(finish)
	c.expect(heartbeat(0), 1)
	c.expectClosed()
}

// TestListenerGoesWithConnectionsThatWillNotEnd: in the end they are cut.
func TestListenerGoesWithConnectionsThatWillNotEnd(t *testing.T) {
	begun, ended := make(chan struct{}, 1), make(chan struct{})
	s := serve(t, handler(func(ctx context.Context, r *Request) Reply {
		if r.Conn.Listener() == "NEW" {
			begun <- struct{}{}
			<-ctx.Done()
			close(ended)
		}
		return plain(ctx, r)
	}), nil)
	both := []Listener{plaintext("PLAINTEXT", "127.0.0.1:0"), plaintext("NEW", "127.0.0.1:0")}
	if err := s.SetListeners(t.Context(), both); err != nil {
		t.Fatal(err)
	}
	s.dial("NEW").send(heartbeat(0), 1)
	<-begun
	if err := s.SetListeners(t.Context(), both[:1]); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("the connection is still there")
	}
}

// TestListenersChangeWhileStopping races changes with the end of the server.
func TestListenersChangeWhileStopping(t *testing.T) {
	for range 20 {
		s := serve(t, handler(plain), nil)
		var changing sync.WaitGroup
		changing.Go(func() {
			for i := 0; ; i++ {
				specs := []Listener{plaintext("PLAINTEXT", "127.0.0.1:0"), plaintext("A", "127.0.0.1:0"), plaintext("B", "127.0.0.1:0")}
				if err := s.SetListeners(context.Background(), specs[:1+i%3]); err != nil {
					if !errors.Is(err, errStopped) {
						t.Error(err)
					}
					return
				}
			}
		})
		s.answering("PLAINTEXT")
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		changing.Wait()
		<-s.stopped
		if len(s.mu.listeners) == 0 {
			t.Error("no listeners were there")
		}
		for _, l := range s.mu.listeners {
			if err := l.socket.Close(); err == nil {
				t.Errorf("%s was left open", l.spec.Name)
			}
		}
	}
}

func ask(c *client, correlationID int32) {
	c.t.Helper()
	c.send(heartbeat(0), correlationID)
	c.expect(heartbeat(0), correlationID)
}

// refused checks that nobody listens on an address.
func refused(t *testing.T, address string) {
	t.Helper()
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Errorf("%s still takes connections", address)
	}
}
