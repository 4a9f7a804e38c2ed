package peer

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// broker is a peer whose connections a test serves by hand.
type broker struct {
	net.Listener
	t     *testing.T
	conns chan *served
}

// served is the peer's end of a connection.
type served struct {
	net.Conn
	t      *testing.T
	frames *wire.FrameReader
}

func newBroker(t *testing.T) *broker {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{Listener: l, t: t, conns: make(chan *served, 100)}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(b.conns)
				return
			}
			c.SetDeadline(time.Now().Add(20 * time.Second))
			b.conns <- &served{Conn: c, t: t, frames: wire.NewFrameReader(c)}
		}
	}()
	t.Cleanup(func() {
		l.Close()
		for c := range b.conns {
			c.Close()
		}
	})
	return b
}

func (b *broker) addr() string { return b.Addr().String() }

func (b *broker) accepted() *served {
	b.t.Helper()
	select {
	case c := <-b.conns:
		b.t.Cleanup(func() { c.Close() })
		return c
	case <-time.After(20 * time.Second):
		b.t.Fatal("nobody connects")
		return nil
	}
}

// request returns the next request on the connection.
func (s *served) request() (wire.Header, kmsg.Request) {
	s.t.Helper()
	buf, err := s.frames.Next(1 << 20)
	if err != nil {
		s.t.Fatalf("no request: %v", err)
	}
	h, req, err := wire.DecodeRequest(buf.Bytes())
	if err != nil {
		s.t.Fatal(err)
	}
	return h, req
}

// answer answers a heartbeat with an error code by which the caller can tell it from others.
func (s *served) answer(correlationID int32, code int16) {
	resp := kmsg.NewPtrHeartbeatResponse()
	resp.ErrorCode = code
	s.Write(wire.AppendResponse(nil, resp, correlationID))
}

func newPool(t *testing.T, o Options) *Pool {
	o.ClientID = "7"
	p := New(o)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func heartbeat() *kmsg.HeartbeatRequest { return kmsg.NewPtrHeartbeatRequest() }

type outcome struct {
	code int16
	err  error
}

// ask sends a heartbeat in the background.
func ask(ctx context.Context, p *Pool, addr string) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		resp, err := p.Request(ctx, addr, heartbeat())
		o := outcome{err: err}
		if err == nil {
			o.code = resp.(*kmsg.HeartbeatResponse).ErrorCode
		}
		done <- o
	}()
	return done
}

func wait(t *testing.T, done <-chan outcome) outcome {
	t.Helper()
	select {
	case o := <-done:
		return o
	case <-time.After(20 * time.Second):
		t.Fatal("the request does not end")
		return outcome{}
	}
}

func TestRequestAndAnswer(t *testing.T) {
	b := newBroker(t)
	p := newPool(t, Options{})
	var c *served
	for i := range int16(3) {
		done := ask(t.Context(), p, b.addr())
		if c == nil { // the same connection serves all
			c = b.accepted()
		}
		h, _ := c.request()
		if h.ClientID != "7" || h.Key != 12 {
			t.Errorf("header %+v", h)
		}
		c.answer(h.CorrelationID, i)
		if o := wait(t, done); o.err != nil || o.code != i {
			t.Errorf("answer %+v", o)
		}
	}
}

// TestPipelining: requests go out without waiting for answers, and each answer finds its caller.
func TestPipelining(t *testing.T) {
	b := newBroker(t)
	p := newPool(t, Options{})
	const n = 50
	var all []<-chan outcome
	for range n {
		all = append(all, ask(t.Context(), p, b.addr()))
	}
	c := b.accepted()
	var ids []int32
	for range n {
		h, _ := c.request()
		ids = append(ids, h.CorrelationID)
	}
	for i, id := range ids {
		if i > 0 && id != ids[i-1]+1 {
			t.Fatalf("correlation id %d behind %d", id, ids[i-1])
		}
		c.answer(id, int16(id))
	}
	seen := map[int16]bool{}
	for _, done := range all {
		o := wait(t, done)
		if o.err != nil || seen[o.code] {
			t.Fatalf("%+v, or twice", o)
		}
		seen[o.code] = true
	}
}

// TestTimeout: the connection is closed, requests behind fail too, and the next goes out on a new connection.
func TestTimeout(t *testing.T) {
	b := newBroker(t)
	p := newPool(t, Options{RequestTimeout: 50 * time.Millisecond, ReconnectBackoff: time.Millisecond})
	first := ask(t.Context(), p, b.addr())
	c := b.accepted()
	c.request()
	second := ask(t.Context(), p, b.addr())
	c.request()
	if o := wait(t, first); !errors.Is(o.err, ErrTimeout) || errors.Is(o.err, ErrNotSent) {
		t.Errorf("first: %v", o.err)
	}
	if o := wait(t, second); o.err == nil || errors.Is(o.err, ErrNotSent) {
		t.Errorf("second: %v", o.err)
	}
	third := ask(t.Context(), p, b.addr())
	c = b.accepted()
	h, _ := c.request()
	c.answer(h.CorrelationID, 3)
	if o := wait(t, third); o.err != nil || o.code != 3 {
		t.Errorf("third: %+v", o)
	}
}

// TestDropUnsent: a request that failed does not arrive later.
func TestDropUnsent(t *testing.T) {
	b := newBroker(t)
	p := newPool(t, Options{RequestTimeout: 50 * time.Millisecond, DropUnsent: true})
	first := ask(t.Context(), p, b.addr())
	c := b.accepted()
	c.request()
	if o := wait(t, first); !errors.Is(o.err, ErrTimeout) {
		t.Errorf("%v", o.err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection ended with %v, not by a reset", err)
	}
}

// TestCallerGivesUp: the answer that then comes is dropped, and the connection goes on.
func TestCallerGivesUp(t *testing.T) {
	b := newBroker(t)
	p := newPool(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	first := ask(ctx, p, b.addr())
	c := b.accepted()
	h, _ := c.request()
	cancel()
	if o := wait(t, first); !errors.Is(o.err, context.Canceled) || errors.Is(o.err, ErrNotSent) {
		t.Errorf("first: %v", o.err)
	}
	second := ask(t.Context(), p, b.addr())
	c.answer(h.CorrelationID, 1)
	h, _ = c.request()
	c.answer(h.CorrelationID, 2)
	if o := wait(t, second); o.err != nil || o.code != 2 {
		t.Errorf("second: %+v", o)
	}
	if o := wait(t, ask(ctx, p, b.addr())); !errors.Is(o.err, ErrNotSent) {
		t.Errorf("a request without time: %v", o.err)
	}
}

func TestPeerGoesAway(t *testing.T) {
	b := newBroker(t)
	p := newPool(t, Options{ReconnectBackoff: time.Millisecond})
	first := ask(t.Context(), p, b.addr())
	c := b.accepted()
	h, _ := c.request()
	c.answer(h.CorrelationID, 0)
	wait(t, first)

	second := ask(t.Context(), p, b.addr())
	c.request()
	c.Close()
	if o := wait(t, second); o.err == nil || errors.Is(o.err, ErrNotSent) {
		t.Errorf("a broken connection: %v", o.err)
	}
	third := ask(t.Context(), p, b.addr())
	c = b.accepted()
	h, _ = c.request()
	c.answer(h.CorrelationID, 3)
	if o := wait(t, third); o.err != nil || o.code != 3 {
		t.Errorf("after that: %+v", o)
	}
}

// TestWhatCannotBeReached: certainly not sent, and attempts are spaced out.
func TestWhatCannotBeReached(t *testing.T) {
	var dials atomic.Int32
	p := newPool(t, Options{ReconnectBackoff: 20 * time.Millisecond, Listener: "INTER", Dial: func(ctx context.Context, addr string) (net.Conn, error) {
		dials.Add(1)
		return nil, errors.New("no route")
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var last error
	for ctx.Err() == nil {
		_, last = p.Request(ctx, "nowhere:1", heartbeat())
		if !errors.Is(last, ErrNotSent) {
			t.Fatalf("outcome unknown: %v", last)
		}
	}
	if n := dials.Load(); n < 2 || n > 5 { // 0, 20, 60, 140 ms, give or take
		t.Errorf("%d attempts", n)
	}
	if _, err := p.Send(t.Context(), meta.Broker{ID: 1}, heartbeat()); !errors.Is(err, ErrNotSent) {
		t.Errorf("a broker without the endpoint: %v", err)
	}
}

// TestPeerThatHangsUp accepts and closes: there must be no storm of connections, and no endless wait either.
func TestPeerThatHangsUp(t *testing.T) {
	b := newBroker(t)
	p := newPool(t, Options{ReconnectBackoff: 20 * time.Millisecond})
	done := ask(t.Context(), p, b.addr())
	accepted := 0
	for {
		select {
		case c := <-b.conns:
			accepted++
			c.Close()
			continue
		case o := <-done:
			if o.err == nil {
				t.Error("an answer from nobody")
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the request does not end")
		}
		break
	}
	if accepted > 3 {
		t.Errorf("%d connections for one request", accepted)
	}
}

func TestWrongAnswers(t *testing.T) {
	for name, respond := range map[string]func(*served, int32){
		"another correlation id": func(c *served, id int32) { c.answer(id+1, 0) },
		"too short":              func(c *served, id int32) { c.Write([]byte{0, 0, 0, 2, 0, 0}) },
		"too large":              func(c *served, id int32) { c.Write([]byte{0x70, 0, 0, 0}) },
		"malformed":              func(c *served, id int32) { c.Write([]byte{0, 0, 0, 5, 0, 0, 0, byte(id), 1}) },
		"unasked":                func(c *served, id int32) { c.answer(id, 0); c.answer(id, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBroker(t)
			p := newPool(t, Options{})
			done := ask(t.Context(), p, b.addr())
			c := b.accepted()
			h, _ := c.request()
			respond(c, h.CorrelationID)
			if o := wait(t, done); o.err == nil && name != "unasked" {
				t.Errorf("%+v", o)
			}
			if name != "malformed" { // in all other cases the connection is of no use any more
				if _, err := c.frames.Next(100); err == nil {
					t.Error("another request")
				}
			}
		})
	}
}

func TestDisconnect(t *testing.T) {
	b := newBroker(t)
	p := newPool(t, Options{})
	p.Disconnect(b.addr())
	first := ask(t.Context(), p, b.addr())
	c := b.accepted()
	c.request()
	p.Disconnect(b.addr())
	if o := wait(t, first); !errors.Is(o.err, ErrClosed) {
		t.Errorf("first: %v", o.err)
	}
	second := ask(t.Context(), p, b.addr())
	c = b.accepted()
	h, _ := c.request()
	c.answer(h.CorrelationID, 2)
	if o := wait(t, second); o.err != nil {
		t.Errorf("second: %v", o.err)
	}
}

func TestClose(t *testing.T) {
	b := newBroker(t)
	stuck := make(chan struct{})
	p := New(Options{Dial: func(ctx context.Context, addr string) (net.Conn, error) {
		if addr == "stuck" {
			close(stuck)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return net.Dial("tcp", addr)
	}})
	sent, dialing := ask(t.Context(), p, b.addr()), ask(t.Context(), p, "stuck")
	b.accepted().request()
	<-stuck
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if o := wait(t, sent); !errors.Is(o.err, ErrClosed) || errors.Is(o.err, ErrNotSent) {
		t.Errorf("sent: %v", o.err)
	}
	if o := wait(t, dialing); !errors.Is(o.err, ErrNotSent) {
		t.Errorf("dialing: %v", o.err)
	}
	if o := wait(t, ask(t.Context(), p, b.addr())); !errors.Is(o.err, ErrClosed) {
		t.Errorf("after Close: %v", o.err)
	}
}

// TestIdleConnectionIsReplaced: a connection unused for long is closed on this side, and nobody notices.
func TestIdleConnectionIsReplaced(t *testing.T) {
	b := newBroker(t)
	p := newPool(t, Options{MaxIdle: 20 * time.Millisecond})
	for i := range int16(2) {
		done := ask(t.Context(), p, b.addr())
		c := b.accepted()
		h, _ := c.request()
		c.answer(h.CorrelationID, i)
		if o := wait(t, done); o.err != nil {
			t.Fatal(o.err)
		}
		if _, err := c.frames.Next(100); err == nil {
			t.Error("another request")
		}
	}
}

// TestSecure: the hook makes the connection that is used, and its failure is one to connect.
func TestSecure(t *testing.T) {
	b := newBroker(t)
	var fail atomic.Bool
	fail.Store(true)
	p := newPool(t, Options{ReconnectBackoff: time.Millisecond, Secure: func(_ context.Context, raw net.Conn, addr string) (net.Conn, error) {
		if fail.Load() {
			return nil, errors.New("bad certificate")
		}
		_, err := raw.Write([]byte("hi"))
		return raw, err
	}})
	if o := wait(t, ask(t.Context(), p, b.addr())); !errors.Is(o.err, ErrNotSent) {
		t.Errorf("without login: %v", o.err)
	}
	b.accepted()
	fail.Store(false)
	done := ask(t.Context(), p, b.addr())
	c := b.accepted()
	hello := make([]byte, 2)
	c.Read(hello)
	h, _ := c.request()
	c.answer(h.CorrelationID, 4)
	if o := wait(t, done); string(hello) != "hi" || o.code != 4 {
		t.Errorf("hello %q, %+v", hello, o)
	}
}

// TestManyCallers runs many requests at once, of several versions, with large answers, to a broker that Send finds by
// listener.
func TestManyCallers(t *testing.T) {
	records := make([]byte, 300_000)
	for i := range records {
		records[i] = byte(i % 251)
	}
	b := newBroker(t)
	var serving sync.WaitGroup
	defer serving.Wait()
	serving.Go(func() {
		c := b.accepted()
		for {
			buf, err := c.frames.Next(1 << 20)
			if err != nil {
				return
			}
			h, _, err := wire.DecodeRequest(buf.Bytes())
			if err != nil {
				t.Error(err)
				return
			}
			p := wire.NewFetchPartition(0, wire.None)
			p.Records = wire.Bytes(records)
			c.Write(wire.AppendResponse(nil, &wire.FetchResponse{Version: h.Version, Topics: []wire.FetchTopic{{Partitions: []wire.FetchPartition{p}}}}, h.CorrelationID))
		}
	})
	addr := b.Addr().(*net.TCPAddr)
	to := meta.Broker{ID: 1, Endpoints: []meta.Endpoint{{Listener: "CLIENT"}, {Listener: "INTER", Host: addr.IP.String(), Port: int32(addr.Port)}}}
	p := newPool(t, Options{Listener: "INTER", ReceiveBuffer: 64 << 10})
	check := func(resp kmsg.Response) {
		got := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0].RecordBatches
		if !bytes.Equal(got, records) {
			t.Error("other records")
		}
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			req := kmsg.NewPtrFetchRequest()
			req.SetVersion(int16(10 + i))
			for range 10 {
				resp, err := p.Send(t.Context(), to, req)
				if err != nil {
					t.Error(err)
					return
				}
				pooled, free, err := p.RequestPooled(t.Context(), b.addr(), req)
				if err != nil {
					t.Error(err)
					return
				}
				check(pooled)
				free()
				check(resp)
			}
		})
	}
	wg.Wait()
	p.Close()
}

func TestDoubled(t *testing.T) {
	for times, want := range []time.Duration{50, 100, 200, 300, 300} {
		if got := doubled(50, 300, times); got != want {
			t.Errorf("%d times: %d, want %d", times, got, want)
		}
	}
	if got := doubled(50, 300, 1<<30); got != 300 {
		t.Errorf("very often: %d", got)
	}
	for range 100 {
		if d := jittered(100); d < 80 || d > 120 {
			t.Errorf("jittered to %d", d)
		}
	}
}
