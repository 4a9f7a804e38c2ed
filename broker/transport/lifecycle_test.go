package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// longPoll is a handler that answers odd requests when their ctx ends and tells of it, and others at once.
func longPoll(began, ended chan<- int32) handler {
	return func(ctx context.Context, r *Request) Reply {
		if id := r.Header.CorrelationID; id%2 == 1 {
			began <- id
			<-ctx.Done()
			ended <- id
		}
		return Reply{Body: responseTo(r)}
	}
}

// TestDisconnectEndsLongPoll: the handler learns that the peer is gone, even if requests it sent on lie unread before
// the end of the stream, and however it went.
func TestDisconnectEndsLongPoll(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("closed peers are watched on Linux only")
	}
	for name, hangUp := range map[string]func(*client){
		"close":                 func(c *client) { c.Close() },
		"close behind requests": func(c *client) { c.send(heartbeat(0), 2); c.send(produce(make([]byte, 20_000), 1), 3); c.Close() },
		"half close":            func(c *client) { c.Conn.(*net.TCPConn).CloseWrite() },
		"reset":                 func(c *client) { c.Conn.(*net.TCPConn).SetLinger(0); c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			began, ended := make(chan int32, 9), make(chan int32, 9)
			s := serve(t, longPoll(began, ended), nil)
			c := s.dial("PLAINTEXT")
			c.send(heartbeat(0), 0)
			c.expect(heartbeat(0), 0)
			c.send(heartbeat(0), 1)
			within(t, "request", began)
			go hangUp(c)
			within(t, "end of the ctx", ended)
		})
	}
}

// TestDisconnectEndsWaits: so do answers that are waited for.
func TestDisconnectEndsWaits(t *testing.T) {
	ended := make(chan int32, 9)
	began := make(chan struct{})
	s := serve(t, handler(func(_ context.Context, r *Request) Reply {
		return Reply{Wait: func(ctx context.Context) Reply {
			if r.Header.CorrelationID == 0 {
				close(began)
			}
			<-ctx.Done()
			ended <- r.Header.CorrelationID
			return Reply{Body: responseTo(r)}
		}}
	}), nil)
	c := s.dial("PLAINTEXT")
	for id := range int32(3) {
		c.send(heartbeat(0), id)
	}
	within(t, "wait", began)
	c.Close()
	for id := int32(0); id < 1; id++ {
		if got := within(t, "end of the wait", ended); got != id {
			t.Errorf("wait %d ended, want %d", got, id)
		}
	}
}

// TestIdleConnectionsAreClosed, but not one a handler is at work for, nor one that moves.
func TestIdleConnectionsAreClosed(t *testing.T) {
	began, ended := make(chan int32, 9), make(chan int32, 9)
	s := serve(t, longPoll(began, ended), func(o *Options) { o.MaxIdle = 150 * time.Millisecond })
	busy, moving, idle, halfway := s.dial("PLAINTEXT"), s.dial("PLAINTEXT"), s.dial("PLAINTEXT"), s.dial("PLAINTEXT")
	busy.send(heartbeat(0), 1)
	within(t, "request", began)
	halfway.Write([]byte{0, 0, 1})

	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := int32(0); ; i += 2 {
			select {
			case <-stop:
				return
			default:
				moving.send(heartbeat(0), i)
				moving.expect(heartbeat(0), i)
				runtime.Gosched()
			}
		}
	})
	start := time.Now()
	idle.expectClosed()
	halfway.expectClosed()
	if took := time.Since(start); took < 100*time.Millisecond {
		t.Errorf("idle connections closed after %v", took)
	}
	close(stop)
	wg.Wait()
	select {
	case <-ended:
		t.Error("a connection whose request is being served was closed")
	default:
	}
}

// TestStalledReaderIsClosed: a peer that does not take its answers is idle, too.
func TestStalledReaderIsClosed(t *testing.T) {
	var asked sync.WaitGroup
	asked.Add(1)
	s := serve(t, handler(func(_ context.Context, r *Request) Reply {
		asked.Done()
		return Reply{Body: fetchOf(make(memory, 64<<20))}
	}), func(o *Options) { o.MaxIdle = 100 * time.Millisecond })
	c := s.dial("PLAINTEXT")
	c.send(fetchRequest(11), 1)
	asked.Wait()
	eventually(t, "end of the stalled connection", func() bool { return s.Connections() == 0 })
}

func TestShutdownAnswersWhatWasBegun(t *testing.T) {
	began, release := make(chan struct{}, 2), make(chan struct{})
	s := serve(t, handler(func(_ context.Context, r *Request) Reply {
		reply := Reply{Body: responseTo(r)}
		began <- struct{}{}
		if r.Header.CorrelationID == 2 {
			return Reply{Wait: func(context.Context) Reply { <-release; return reply }}
		}
		<-release
		return reply
	}), nil)
	serving, waiting, idle, halfway := s.dial("PLAINTEXT"), s.dial("PLAINTEXT"), s.dial("PLAINTEXT"), s.dial("PLAINTEXT")
	serving.send(heartbeat(0), 1)
	waiting.send(heartbeat(0), 2)
	halfway.Write([]byte{0, 0, 1, 0, 9})
	within(t, "request", began)
	within(t, "request", began)

	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	idle.expectClosed()
	halfway.expectClosed()
	if _, err := net.Dial("tcp", s.Addr("PLAINTEXT").String()); err == nil {
		t.Error("a new connection was accepted")
	}
	serving.send(heartbeat(0), 3) // not taken up any more
	close(release)
	serving.expect(heartbeat(0), 1)
	serving.expectClosed()
	waiting.expect(heartbeat(0), 2)
	waiting.expectClosed()
	if err := within(t, "shutdown", done); err != nil {
		t.Error(err)
	}
	within(t, "end of Run", s.stopped)
}

func TestShutdownCutsWhenTimeIsUp(t *testing.T) {
	began, ended := make(chan int32, 9), make(chan int32, 9)
	s := serve(t, longPoll(began, ended), nil)
	c := s.dial("PLAINTEXT")
	c.send(heartbeat(0), 1)
	within(t, "request", began)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
	within(t, "end of the request", ended)
	if err := s.Shutdown(context.Background()); err != nil {
		t.Errorf("second shutdown: %v", err)
	}
}

func TestShutdownBeforeRun(t *testing.T) {
	s := New(Options{Listeners: []Listener{{Name: "A", Address: "127.0.0.1:0"}}, Handler: handler(plain)})
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestMaxConnections(t *testing.T) {
	s := serve(t, handler(plain), func(o *Options) { o.Limits.MaxConnections = 2 })
	one, two := s.answering("PLAINTEXT"), s.answering("PLAINTEXT")
	three := s.dial("PLAINTEXT") // waits in the acceptor
	three.send(heartbeat(0), 1)
	three.expectSilence()
	one.Close()
	three.expect(heartbeat(0), 1)
	if blocked := s.blocked("PLAINTEXT"); blocked < 40*time.Millisecond || blocked > time.Minute {
		t.Errorf("blocked for %v", blocked)
	}

	four := s.dial("PLAINTEXT")
	four.send(heartbeat(0), 1)
	four.expectSilence()
	s.SetLimits(Limits{MaxConnections: 3})
	four.expect(heartbeat(0), 1)
	two.send(heartbeat(0), 2)
	two.expect(heartbeat(0), 2)
}

func TestMaxConnectionsPerIP(t *testing.T) {
	s := serve(t, handler(plain), func(o *Options) { o.Limits.MaxPerIP = 2 })
	one := s.answering("PLAINTEXT")
	s.answering("PLAINTEXT")
	s.dial("PLAINTEXT").expectClosed()

	loopback := netip.MustParseAddr("127.0.0.1")
	s.SetLimits(Limits{NoneByDefault: true, MaxPerIPOver: map[netip.Addr]int{loopback: 3}})
	s.answering("PLAINTEXT")
	s.dial("PLAINTEXT").expectClosed()
	s.SetLimits(Limits{NoneByDefault: true})
	one.Close()
	s.dial("PLAINTEXT").expectClosed()
	s.SetLimits(Limits{})
	s.answering("PLAINTEXT")
}

// TestProtectedListener: brokers get in although the limit is reached, at the cost of the client that was quiet longest.
func TestProtectedListener(t *testing.T) {
	s := serve(t, handler(plain), func(o *Options) {
		o.Listeners = []Listener{
			{Name: "CLIENT", Protocol: "PLAINTEXT", Address: "127.0.0.1:0"},
			{Name: "INTER", Protocol: "PLAINTEXT", Address: "127.0.0.1:0", InterBroker: true, Privileged: true},
		}
		o.Limits = Limits{MaxConnections: 2, MaxListenerConnections: map[string]int{"INTER": 2}}
	})
	one := s.answering("CLIENT")
	two := s.answering("CLIENT")
	one.send(heartbeat(0), 5)
	one.expect(heartbeat(0), 5)
	s.answering("INTER")
	two.expectClosed()
	s.answering("INTER")
	one.expectClosed()
	three := s.dial("INTER") // its own limit holds
	three.send(heartbeat(0), 1)
	three.expectSilence()
}

// TestRates: a listener's rate delays, an address's rate parks and closes.
func TestRates(t *testing.T) {
	rate := &fixedRate{listener: 30 * time.Millisecond}
	s := serve(t, handler(plain), func(o *Options) { o.Rate = rate })
	start := time.Now()
	s.answering("PLAINTEXT")
	if took := time.Since(start); took < rate.listener {
		t.Errorf("let in after %v", took)
	}
	if blocked := s.blocked("PLAINTEXT"); blocked < rate.listener || blocked > time.Since(start) {
		t.Errorf("blocked for %v", blocked)
	}
	rate.set(0, 50*time.Millisecond)
	start = time.Now()
	c := s.dial("PLAINTEXT")
	c.send(heartbeat(0), 1)
	c.expectClosed()
	if took := time.Since(start); took < 50*time.Millisecond {
		t.Errorf("closed after %v", took)
	}
}

type fixedRate struct {
	mu           sync.Mutex
	listener, ip time.Duration
}

func (r *fixedRate) set(listener, ip time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listener, r.ip = listener, ip
}

func (r *fixedRate) Listener(string, time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.listener
}

func (r *fixedRate) IP(string, netip.Addr, time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ip
}

// blocked is for how long a listener has let nobody in.
func (s *testServer) blocked(listener string) time.Duration {
	s.t.Helper()
	var m dto.Metric
	if err := s.metrics.of(listener).blocked.Write(&m); err != nil {
		s.t.Fatal(err)
	}
	return time.Duration(m.GetCounter().GetValue())
}

// answering returns a connection that was let in.
func (s *testServer) answering(listener string) *client {
	s.t.Helper()
	c := s.dial(listener)
	c.send(heartbeat(0), 1)
	c.expect(heartbeat(0), 1)
	return c
}

// expectSilence gives the server a while to do what it must not.
func (c *client) expectSilence() {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := c.frames.Next(1 << 20); !isTimeout(err) {
		c.t.Fatalf("not silence: %v", err)
	}
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
}

// TestIdleConnectionsAreCheap: what a connection holds, both ends and their goroutines included.
func TestIdleConnectionsAreCheap(t *testing.T) {
	s := serve(t, handler(plain), nil)
	s.answering("PLAINTEXT")
	const n = 200
	before := footprint()
	for range n {
		s.answering("PLAINTEXT")
	}
	if each := (footprint() - before) / n; each > 20<<10 && !raceEnabled {
		t.Errorf("%d bytes per idle connection", each)
	}
}

func footprint() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}
