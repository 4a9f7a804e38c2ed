package zktest

import (
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

func connect(t *testing.T, servers ...string) (*zk.Conn, <-chan zk.Event) {
	t.Helper()
	events := make(chan zk.Event, 1000)
	c, _, err := zk.Connect(servers, 5*time.Second, zk.WithEventCallback(func(e zk.Event) { events <- e }), zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	await(t, events, zk.StateHasSession)
	return c, events
}

func await(t *testing.T, events <-chan zk.Event, want zk.State) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case e := <-events:
			if e.State == want {
				return
			}
		case <-deadline:
			t.Fatalf("no %v", want)
		}
	}
}

func TestServer(t *testing.T) {
	s := Start(t)
	c, events := connect(t, s.Addr())
	if _, err := c.Create("/a", []byte("x"), 0, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}

	s.ExpireSession(c.SessionID())
	await(t, events, zk.StateExpired)
	await(t, events, zk.StateHasSession)

	s.Kill()
	await(t, events, zk.StateDisconnected)
	s.Start()
	await(t, events, zk.StateHasSession)
	if data, _, err := c.Get("/a"); err != nil || string(data) != "x" {
		t.Fatalf("after a restart /a is %q, %v", data, err)
	}

	s.Pause()
	await(t, events, zk.StateDisconnected)
	s.Resume()
	await(t, events, zk.StateHasSession)
	s.Stop()
	s.Stop() // of what does not run is no error
}

func TestEnsemble(t *testing.T) {
	e := StartEnsemble(t, 3)
	c, events := connect(t, e.Servers[0].Addr(), e.Servers[1].Addr(), e.Servers[2].Addr())
	if _, err := c.Create("/a", []byte("x"), 0, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}
	leader := e.Leader()
	leader.Kill()
	leader.Start()
	e.Leader()
	if c.State() != zk.StateHasSession {
		await(t, events, zk.StateHasSession)
	}
	if data, _, err := c.Get("/a"); err != nil || string(data) != "x" {
		t.Fatalf("after the leader's restart /a is %q, %v", data, err)
	}
}
