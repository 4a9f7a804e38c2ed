package zkstore

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

func awaitDone(t *testing.T, s *Session) {
	t.Helper()
	select {
	case <-s.Done():
	case <-time.After(patience):
		t.Fatal("the session does not end")
	}
}

// eventually waits for something that no channel tells of.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// A session that ZooKeeper expires ends for good: what it owned is gone, its watchers hear of it, nothing is done under
// another session of the same connection.
func TestExpiry(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	z := open(t, server)
	must(t, z.EnsurePersistentPaths(ctx))
	_, err := z.RegisterBroker(ctx, BrokerRegistration{ID: 1, JMXPort: -1}, 0)
	must(t, err)
	_, err = z.Elect(ctx, 1, time.Now())
	must(t, err)
	w := z.WatchTopics()
	_, err = z.TopicNames(ctx)
	must(t, err)
	id := z.Session().ID()
	if id == 0 || z.Session().Timeout() != 4*time.Second || z.Session().Err() != nil || !z.Session().Connected() {
		t.Error(id, z.Session().Timeout(), z.Session().Err())
	}

	server.ExpireSession(id)
	awaitDone(t, z.Session())
	signalled(t, w)
	if !z.Session().Expired() || z.Session().Connected() {
		t.Error(z.Session().Err())
	}
	if _, err := z.TopicNames(ctx); !errors.Is(err, ErrExpired) {
		t.Error(err)
	}
	if _, err := z.RegisterBroker(ctx, BrokerRegistration{ID: 1}, 0); !errors.Is(err, ErrExpired) || errors.Is(err, ErrUnknownOutcome) {
		t.Error(err)
	}
	began := time.Now()
	must(t, z.Session().Close())
	if took := time.Since(began); took > 3*time.Second {
		t.Error("closing took", took)
	}
	t.Log("closed after", time.Since(began))

	next := openAt(t, server.Addr()+z.s.chroot)
	if live, _, err := next.Brokers(ctx); err != nil || len(live) != 0 {
		t.Error(live, err)
	}
	if _, err := next.Controller(ctx); !errors.Is(err, ErrNoNode) {
		t.Error(err)
	}
	second, err := next.Elect(ctx, 1, time.Now())
	if err != nil || second.Epoch != 2 {
		t.Error(second, err)
	}
}

func TestClose(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	z := open(t, server)
	must(t, z.EnsurePersistentPaths(ctx))
	_, err := z.RegisterBroker(ctx, BrokerRegistration{ID: 1, JMXPort: -1, Endpoints: []meta.Endpoint{{Listener: "A", Protocol: "SSL", Host: "h", Port: 1}}}, 0)
	must(t, err)
	other := openAt(t, server.Addr()+z.s.chroot)
	if live, broken, err := other.Brokers(ctx); err != nil || len(live) != 1 || len(broken) != 0 || live[1].Endpoints[0].Addr() != "h:1" {
		t.Error(live, broken, err)
	}
	must(t, z.Session().Close())
	must(t, z.Session().Close())
	if live, _, err := other.Brokers(ctx); err != nil || len(live) != 0 {
		t.Error("closing leaves the registration:", live, err)
	}
	if err := z.EnsurePersistentPaths(ctx); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// Closing does not wait for a server that is gone.
func TestCloseWithoutServer(t *testing.T) {
	server := zktest.Start(t)
	z := open(t, server)
	server.Kill()
	began := time.Now()
	must(t, z.Session().Close())
	if took := time.Since(began); took > 3*time.Second {
		t.Error("closing took", took)
	}
}

func TestConnectFails(t *testing.T) {
	p := newTap(t, "127.0.0.1:1") // accepts, and finds nobody behind
	for _, connect := range []string{"127.0.0.1:1", p.addr()} {
		began := time.Now()
		_, err := Connect(t.Context(), Options{Connect: connect, SessionTimeout: 4 * time.Second, ConnectTimeout: 300 * time.Millisecond})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Error("failing took", took)
		}
	}
	for _, bad := range []Options{{Connect: ""}, {Connect: "/chroot"}, {Connect: "h:1", SetACL: true}} {
		if _, err := Connect(t.Context(), bad); err == nil {
			t.Error(bad)
		}
	}
}

func TestSplitConnect(t *testing.T) {
	for _, c := range []struct {
		text   string
		hosts  []string
		chroot string
	}{
		{"a:1,b:2/x/y", []string{"a:1", "b:2"}, "/x/y"},
		{"a", []string{"a:2181"}, ""},
		{"a, [::1]:3 ,[::2]/", []string{"a:2181", "[::1]:3", "[::2]:2181"}, ""},
	} {
		hosts, chroot, err := splitConnect(c.text)
		if err != nil || !slices.Equal(hosts, c.hosts) || chroot != c.chroot {
			t.Error(c.text, hosts, chroot, err)
		}
	}
}

// A restart of ZooKeeper is over within one session timeout: the same session goes on, with its watches.
func TestServerRestart(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	z := open(t, server, func(o *Options) { o.SessionTimeout = 10 * time.Second })
	must(t, z.EnsurePersistentPaths(ctx))
	epoch, err := z.RegisterBroker(ctx, BrokerRegistration{ID: 1, JMXPort: -1}, 0)
	must(t, err)
	w := z.WatchTopics()
	_, err = z.TopicNames(ctx)
	must(t, err)
	id := z.Session().ID()

	server.Kill()
	eventually(t, "disconnected", func() bool { return !z.Session().Connected() })
	server.Start()
	began := time.Now()
	b, err := z.Broker(ctx, 1)
	if err != nil || b.Epoch != epoch || z.Session().ID() != id {
		t.Error(b, err)
	}
	if took := time.Since(began); took > z.Session().Timeout() {
		t.Errorf("connected again %v after the server served", took)
	}
	other := openAt(t, server.Addr()+z.s.chroot)
	must(t, other.s.create(ctx, TopicPath("t"), encodeTopic(meta.TopicAssignment{})))
	signalled(t, w)
}

// A server that accepts connections and does not answer, as one that is starting, is not waited for: the library would for
// ten receive timeouts.
func TestSilentServer(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	p := newTap(t, server.Addr())
	z := openAt(t, p.addr(), func(o *Options) { o.SessionTimeout = 12 * time.Second })
	must(t, z.EnsurePersistentPaths(ctx))
	p.setDeaf(true)
	p.cut()
	eventually(t, "disconnected", func() bool { return !z.Session().Connected() })
	p.setDeaf(false) // but the connection being made meanwhile may have met silence
	began := time.Now()
	_, err := z.TopicNames(ctx)
	must(t, err)
	if took := time.Since(began); took > z.Session().Timeout()/2 || z.Session().Expired() {
		t.Error("connected again after", took)
	}
}

// A paused server is noticed, and the session goes on when another has it; here the same one, resumed in time.
func TestPausedServer(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	z := open(t, server)
	must(t, z.EnsurePersistentPaths(ctx))
	server.Pause()
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if err := z.MarkTopicForDeletion(short, "t"); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrUnknownOutcome) {
		t.Error("a write without an answer:", err)
	}
	short2, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if _, err := z.TopicNames(short2); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnknownOutcome) {
		t.Error("a read without an answer:", err)
	}
	eventually(t, "disconnected", func() bool { return !z.Session().Connected() })
	short3, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if err := z.MarkTopicForDeletion(short3, "u"); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnknownOutcome) {
		t.Error("a write never sent:", err)
	}
	server.Resume()
	if _, err := z.TopicNames(ctx); err != nil && !errors.Is(err, ErrExpired) {
		t.Error(err)
	}
}

func TestEnsembleLeaderDies(t *testing.T) {
	e := zktest.StartEnsemble(t, 3)
	ctx := testContext(t)
	z := openAt(t, e.Connect()+"/k", func(o *Options) { o.SessionTimeout = 10 * time.Second })
	must(t, z.EnsurePersistentPaths(ctx))
	epoch, err := z.RegisterBroker(ctx, BrokerRegistration{ID: 1, JMXPort: -1}, 0)
	must(t, err)
	w := z.WatchTopics()
	_, err = z.TopicNames(ctx)
	must(t, err)
	e.Leader().Kill()
	if b, err := z.Broker(ctx, 1); err != nil || b.Epoch != epoch {
		t.Error(b, err)
	}
	must(t, z.s.create(ctx, TopicPath("t"), encodeTopic(meta.TopicAssignment{})))
	signalled(t, w)
}

// A session is in doubt from the moment at which ZooKeeper may have ended it, though nobody has said so, and no longer in doubt
// once ZooKeeper has answered something that was asked after that.
func TestHeld(t *testing.T) {
	server := zktest.Start(t)
	z := open(t, server, func(o *Options) { o.SessionTimeout = 2 * time.Second })
	s := z.Session()
	if !s.Held() {
		t.Error("a new session is in doubt")
	}
	must(t, z.EnsurePersistentPaths(testContext(t)))
	began := time.Now()
	server.Stop()
	if !s.Held() && time.Since(began) < s.Timeout()/2 {
		t.Error("in doubt at once, although ZooKeeper waits, too")
	}
	eventually(t, "the session is in doubt", func() bool { return !s.Held() })
	if took := time.Since(began); took > s.Timeout()+time.Second || s.Err() != nil {
		t.Errorf("in doubt after %v: %v", took, s.Err())
	}
	server.Start() // sessions outlive ZooKeeper's restart
	eventually(t, "the session is beyond doubt again", s.Held)

	// Pings alone keep it so.
	for until := time.Now().Add(3 * s.Timeout() / 2); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if !s.Held() && s.Connected() {
			t.Fatal("an idle session is in doubt")
		}
	}
	must(t, s.Close())
	if s.Held() {
		t.Error("held after its end")
	}
}

func TestSendTimes(t *testing.T) {
	var q sendTimes
	if _, ok := q.pop(); ok {
		t.Error("something in an empty queue")
	}
	in, out := 0, 0
	for round := range 50 {
		for range 1 + round*7%20 {
			q.push(timeOf(int64(in)))
			in++
		}
		for range 1 + round*5%18 {
			if at, ok := q.pop(); ok {
				if at != timeOf(int64(out)) {
					t.Fatalf("%v is number %d", at, out)
				}
				out++
			}
		}
	}
	if in-out != q.n || out == 0 {
		t.Error(in, out, q.n)
	}
}
