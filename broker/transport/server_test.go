package transport

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap/zaptest"

	"github.com/kraal-mq/kraal/broker/wire"
)

// handler serves what kmsg knows, as its function says.
type handler func(ctx context.Context, r *Request) Reply

func (h handler) Serve(ctx context.Context, r *Request) Reply { return h(ctx, r) }

func (h handler) Versions(key int16) (lowest, highest int16, ok bool) {
	req := kmsg.RequestForKey(key)
	if req == nil || key == int16(kmsg.DescribeTopicPartitions) {
		return 0, 0, false
	}
	if key == int16(kmsg.ApiVersions) {
		return 0, 4, true
	}
	return 0, req.MaxVersion(), true
}

// plain answers every request with an empty response.
func plain(_ context.Context, r *Request) Reply {
	return Reply{Body: responseTo(r)}
}

func responseTo(r *Request) kmsg.Response {
	resp := r.Body.ResponseKind()
	resp.SetVersion(r.Header.Version)
	return resp
}

type testServer struct {
	*Server
	t       testing.TB
	stopped chan struct{}
}

// serve runs a server until the test ends. Its first listener is PLAINTEXT on a free port unless the test says otherwise.
func serve(t testing.TB, h Handler, change func(*Options)) *testServer {
	t.Helper()
	o := Options{
		Listeners: []Listener{{Name: "PLAINTEXT", Protocol: "PLAINTEXT", Address: "127.0.0.1:0"}},
		Handler:   h,
		Metrics:   prometheus.NewRegistry(),
	}
	if _, ok := t.(*testing.B); !ok {
		o.Logger = zaptest.NewLogger(t)
	}
	if change != nil {
		change(&o)
	}
	s := &testServer{Server: New(o), t: t, stopped: make(chan struct{})}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(s.stopped)
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-s.stopped
	})
	return s
}

// client speaks to a server with its bare hands.
type client struct {
	net.Conn
	t      testing.TB
	frames *wire.FrameReader
}

func (s *testServer) dial(listener string) *client {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.Addr(listener).String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return newClient(s.t, conn)
}

func newClient(t testing.TB, conn net.Conn) *client {
	conn.SetDeadline(time.Now().Add(60 * time.Second))
	return &client{Conn: conn, t: t, frames: wire.NewFrameReader(conn)}
}

func (c *client) send(req kmsg.Request, correlationID int32) {
	c.t.Helper()
	if _, err := c.Write(wire.AppendRequest(nil, req, correlationID, "test")); err != nil {
		c.t.Fatal(err)
	}
}

// receive returns the correlation id and, decoded, the next answer.
func (c *client) receive(req kmsg.Request) (int32, kmsg.Response) {
	c.t.Helper()
	buf, err := c.frames.Next(1 << 30)
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	id, _ := wire.CorrelationID(buf.Bytes())
	resp, err := wire.DecodeResponse(buf.Bytes(), req)
	if err != nil {
		c.t.Fatal(err)
	}
	return id, resp
}

func (c *client) expect(req kmsg.Request, correlationID int32) kmsg.Response {
	c.t.Helper()
	id, resp := c.receive(req)
	if id != correlationID {
		c.t.Fatalf("answer to %d, want one to %d", id, correlationID)
	}
	return resp
}

func (c *client) expectClosed() {
	c.t.Helper()
	if buf, err := c.frames.Next(1 << 30); err == nil {
		c.t.Fatalf("an answer of %d bytes, but the connection should be closed", len(buf.Bytes()))
	} else if isTimeout(err) {
		c.t.Fatal("the connection was not closed")
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// within fails the test unless the channel is ready in time.
func within[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not happen", what)
		panic("unreachable")
	}
}

// eventually waits, polling, for what no channel tells.
func eventually(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !happened(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen", what)
		}
	}
}

func heartbeat(version int16) *kmsg.HeartbeatRequest {
	req := kmsg.NewPtrHeartbeatRequest()
	req.SetVersion(version)
	return req
}

func produce(records []byte, acks int16) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(9)
	req.Acks = acks
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = "topic"
	topic.Partitions = []kmsg.ProduceRequestTopicPartition{{Partition: 1, Records: records}}
	req.Topics = append(req.Topics, topic)
	return req
}

func TestRequestAndAnswer(t *testing.T) {
	seen := make(chan *Request, 1)
	s := serve(t, handler(func(_ context.Context, r *Request) Reply {
		seen <- r
		r.Conn.SetClientSoftware("name", "1.0")
		return Reply{Body: responseTo(r)}
	}), nil)
	c := s.dial("PLAINTEXT")
	c.send(heartbeat(4), 77)
	r := within(t, "request", seen)
	if r.Header.ClientID != "test" || r.Header.CorrelationID != 77 || r.Size == 0 || r.Received.IsZero() {
		t.Errorf("request %+v", r)
	}
	if r.Conn.Listener() != "PLAINTEXT" || r.Conn.Protocol() != "PLAINTEXT" || r.Conn.Privileged() || r.Conn.TLS() != nil ||
		r.Conn.Principal().String() != "User:ANONYMOUS" || r.Conn.RemoteAddr().String() != c.LocalAddr().String() || r.Conn.ID() == 0 {
		t.Errorf("connection %s from %s", r.Conn.Listener(), r.Conn.RemoteAddr())
	}
	c.expect(heartbeat(4), 77)
	if name, version := r.Conn.ClientSoftware(); name != "name" || version != "1.0" {
		t.Errorf("client software %q %q", name, version)
	}
}

// TestPipelinedRequestsInOrder sends requests of all sizes without waiting for answers.
func TestPipelinedRequestsInOrder(t *testing.T) {
	const n = 300
	next := int32(0)
	s := serve(t, handler(func(_ context.Context, r *Request) Reply {
		if r.Header.CorrelationID != next {
			t.Errorf("request %d served when %d was due", r.Header.CorrelationID, next)
		}
		for _, b := range r.Body.(*kmsg.ProduceRequest).Topics[0].Partitions[0].Records {
			if b != byte(next) {
				t.Errorf("request %d carries other bytes", next)
				break
			}
		}
		next++
		reply := Reply{Body: responseTo(r)}
		if r.Header.CorrelationID%3 == 0 { // waited for, now and then
			return Reply{Wait: func(context.Context) Reply { return reply }}
		}
		return reply
	}), nil)
	c := s.dial("PLAINTEXT")
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for i := range int32(n) {
			records := make([]byte, int(i*i*7)%300_000)
			for j := range records {
				records[j] = byte(i)
			}
			c.send(produce(records, -1), i)
		}
	})
	for i := range int32(n) {
		c.expect(produce(nil, -1), i)
	}
}

// TestWaitsOverlap: while an answer is being waited for the next requests are served, up to MaxInFlight, and their
// answers come behind it.
func TestWaitsOverlap(t *testing.T) {
	served := make(chan int32, 10)
	release := make(chan struct{})
	s := serve(t, handler(func(_ context.Context, r *Request) Reply {
		served <- r.Header.CorrelationID
		reply := Reply{Body: responseTo(r)}
		if r.Header.CorrelationID == 2 {
			return reply // ready, but not its turn
		}
		return Reply{Wait: func(ctx context.Context) Reply {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return reply
		}}
	}), func(o *Options) { o.MaxInFlight = 3 })
	c := s.dial("PLAINTEXT")
	for i := range int32(5) {
		c.send(heartbeat(0), i)
	}
	for i := range int32(3) {
		if got := within(t, "request", served); got != i {
			t.Fatalf("request %d served, want %d", got, i)
		}
	}
	select {
	case i := <-served:
		t.Fatalf("request %d served with %d answers unsent", i, 3)
	case <-time.After(50 * time.Millisecond):
	}
	release <- struct{}{}
	c.expect(heartbeat(0), 0)
	if got := within(t, "request", served); got != 3 {
		t.Fatalf("request %d served, want 3", got)
	}
	close(release)
	for i := int32(1); i < 5; i++ {
		c.expect(heartbeat(0), i)
	}
}

// TestNoneAndClose: acks=0 has no answer; an error then closes the connection; Close with a body sends it first.
func TestNoneAndClose(t *testing.T) {
	s := serve(t, handler(func(_ context.Context, r *Request) Reply {
		switch r.Header.CorrelationID {
		case 1:
			return Reply{None: true}
		case 3:
			return Reply{None: true, Close: true}
		case 4:
			return Reply{Body: responseTo(r), Close: true}
		case 5:
			return Reply{Wait: func(context.Context) Reply { return Reply{Body: responseTo(r), Close: true} }}
		}
		return Reply{Body: responseTo(r)}
	}), nil)
	c := s.dial("PLAINTEXT")
	c.send(produce(nil, 0), 1)
	c.send(heartbeat(0), 2)
	c.expect(heartbeat(0), 2)
	c.send(produce(nil, 0), 3)
	c.expectClosed()
	for _, id := range []int32{4, 5} {
		c = s.dial("PLAINTEXT")
		c.send(heartbeat(0), id)
		c.send(heartbeat(0), 9)
		c.expect(heartbeat(0), id)
		c.expectClosed()
	}
}

func TestWhatClosesTheConnection(t *testing.T) {
	s := serve(t, handler(plain), func(o *Options) { o.RequestMaxBytes = 1000 })
	telemetry := kmsg.NewPtrDescribeTopicPartitionsRequest()
	for name, bytes := range map[string][]byte{
		"too large":       {0, 0, 3, 0xe9},
		"negative size":   {0xff, 0xff, 0xff, 0xff},
		"short header":    {0, 0, 0, 3, 0, 0, 0},
		"unknown key":     {0, 0, 0, 10, 3, 0xe7, 0, 0, 0, 0, 0, 1, 0xff, 0xff},
		"not served":      wire.AppendRequest(nil, telemetry, 1, "c"),
		"unknown version": {0, 0, 0, 10, 0, 3, 0, 99, 0, 0, 0, 1, 0xff, 0xff},
		"malformed body":  {0, 0, 0, 12, 0, 12, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, 99},
	} {
		c := s.dial("PLAINTEXT")
		if _, err := c.Write(bytes); err != nil {
			t.Fatal(err)
		}
		if buf, err := c.frames.Next(1000); err == nil {
			t.Errorf("%s: answered with %d bytes", name, len(buf.Bytes()))
		} else if isTimeout(err) {
			t.Errorf("%s: connection stays open", name)
		}
	}
	// Bytes behind a complete request are ignored.
	c := s.dial("PLAINTEXT")
	frame := append(wire.AppendRequest(nil, heartbeat(0), 1, "c"), "rest"...)
	frame[3] += 4
	c.Write(frame)
	c.expect(heartbeat(0), 1)
}

// TestUnsupportedApiVersions: the body is not read, whatever it is, and the handler is told (KIP-511).
func TestUnsupportedApiVersions(t *testing.T) {
	s := serve(t, handler(func(_ context.Context, r *Request) Reply {
		resp := kmsg.NewPtrApiVersionsResponse()
		if r.UnsupportedVersion {
			resp.ErrorCode = int16(wire.ErrUnsupportedVersion)
		}
		return Reply{Body: resp}
	}), nil)
	c := s.dial("PLAINTEXT")
	c.Write([]byte{0, 0, 0, 15, 0, 18, 0, 99, 0, 0, 0, 5, 0, 1, 'c', 0, 0xff, 0xff, 0xff})
	resp := c.expect(kmsg.NewPtrApiVersionsRequest(), 5).(*kmsg.ApiVersionsResponse)
	if resp.ErrorCode != 35 {
		t.Errorf("error %d", resp.ErrorCode)
	}
	c.send(kmsg.NewPtrApiVersionsRequest(), 6)
	if resp := c.expect(kmsg.NewPtrApiVersionsRequest(), 6).(*kmsg.ApiVersionsResponse); resp.ErrorCode != 0 {
		t.Errorf("error %d in version 0", resp.ErrorCode)
	}
}

// TestThrottle: the answer comes at once, the next request is served when the time is over.
func TestThrottle(t *testing.T) {
	const throttle = 80 * time.Millisecond
	for name, wait := range map[string]bool{"at once": false, "waited for": true} {
		s := serve(t, handler(func(_ context.Context, r *Request) Reply {
			reply := Reply{Body: responseTo(r), Throttle: throttle}
			if wait {
				return Reply{Wait: func(context.Context) Reply { return reply }}
			}
			return reply
		}), nil)
		c := s.dial("PLAINTEXT")
		start := time.Now()
		c.send(heartbeat(0), 1)
		c.expect(heartbeat(0), 1)
		if took := time.Since(start); took > throttle {
			t.Errorf("%s: first answer after %v", name, took)
		}
		c.send(heartbeat(0), 2)
		c.expect(heartbeat(0), 2)
		if took := time.Since(start); took < throttle {
			t.Errorf("%s: second answer after %v", name, took)
		}
	}
}

// TestBudget: requests wait to be read while too many bytes are in memory, however many connections they come by, and
// even one that is larger than all that is allowed gets in alone.
func TestBudget(t *testing.T) {
	served, release := make(chan int32, 9), make(chan struct{})
	s := serve(t, handler(func(_ context.Context, r *Request) Reply {
		served <- r.Header.CorrelationID
		<-release
		return Reply{Body: responseTo(r)}
	}), func(o *Options) { o.QueuedMaxBytes = 10_000 })
	one, two := s.dial("PLAINTEXT"), s.dial("PLAINTEXT")
	one.send(produce(make([]byte, 50_000), 1), 1)
	within(t, "first request", served)
	two.send(produce(make([]byte, 100), 1), 2)
	gone := s.dial("PLAINTEXT")
	gone.send(heartbeat(0), 9)
	select {
	case id := <-served:
		t.Fatalf("request %d was served without room", id)
	case <-time.After(50 * time.Millisecond):
	}
	gone.Close()
	if runtime.GOOS == "linux" { // elsewhere its request is served, for nobody
		eventually(t, "end of the connection that hung up", func() bool { return s.Connections() == 2 })
	} else {
		t.Skip("closed peers are watched on Linux only")
	}
	release <- struct{}{}
	one.expect(produce(nil, 1), 1)
	if id := within(t, "second request", served); id != 2 {
		t.Errorf("request %d", id)
	}
	three := s.dial("PLAINTEXT")
	three.send(produce(make([]byte, 100), 1), 3) // there is room for both
	within(t, "third request", served)
	close(release)
	two.expect(produce(nil, 1), 2)
	three.expect(produce(nil, 1), 3)
	eventually(t, "return of all bytes", func() bool {
		s.budget.mu.Lock()
		defer s.budget.mu.Unlock()
		return s.budget.mu.used == 0
	})
}

// TestDoneIsTold: whoever measures learns of every answer's size.
func TestDoneIsTold(t *testing.T) {
	sizes := make(chan int, 3)
	s := serve(t, handler(func(_ context.Context, r *Request) Reply {
		reply := Reply{Body: responseTo(r), Done: func(sent int, _ time.Duration) { sizes <- sent }}
		if r.Header.CorrelationID == 2 {
			reply.None = true
		}
		return reply
	}), nil)
	c := s.dial("PLAINTEXT")
	c.send(heartbeat(0), 1)
	c.expect(heartbeat(0), 1)
	if n := within(t, "Done", sizes); n != 10 {
		t.Errorf("%d bytes sent", n)
	}
	c.send(heartbeat(0), 2)
	if n := within(t, "Done", sizes); n != 0 {
		t.Errorf("%d bytes sent without an answer", n)
	}
}

func TestListenErrors(t *testing.T) {
	s := serve(t, handler(plain), nil)
	taken := New(Options{Listeners: []Listener{
		{Name: "A", Address: "127.0.0.1:0"},
		{Name: "B", Address: s.Addr("PLAINTEXT").String()},
	}, Handler: handler(plain)})
	if err := taken.Listen(t.Context()); err == nil {
		t.Error("bound a port that is taken")
	}
	if err := taken.Run(t.Context()); err == nil {
		t.Error("runs without a socket")
	}
	if taken.Addr("A") != nil {
		t.Error("an address without a socket")
	}
}

func TestSocketOptions(t *testing.T) {
	s := serve(t, handler(plain), func(o *Options) {
		o.SendBuffer, o.ReceiveBuffer, o.Backlog = 100<<10, 100<<10, 50
	})
	c := s.dial("PLAINTEXT")
	c.send(heartbeat(0), 1)
	c.expect(heartbeat(0), 1)
}
