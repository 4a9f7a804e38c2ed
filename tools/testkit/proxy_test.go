package testkit

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"
)

// echo answers every byte with itself.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

// firstByte takes a connection's first byte for its source.
func firstByte(r *bufio.Reader) string {
	b, _ := r.Peek(1)
	return string(b)
}

type proxied struct {
	t *testing.T
	net.Conn
}

func through(t *testing.T, p *Proxy, name string) *proxied {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.Write([]byte(name)); err != nil {
		t.Fatal(err)
	}
	return &proxied{t, c}
}

// hears reports what comes next within a moment.
func (c *proxied) hears(wait time.Duration) (string, error) {
	c.SetReadDeadline(time.Now().Add(wait))
	b := make([]byte, 1)
	_, err := io.ReadFull(c, b)
	return string(b), err
}

const soon, patience = 50 * time.Millisecond, 10 * time.Second

func (c *proxied) wantHears(want string) {
	c.t.Helper()
	if got, err := c.hears(patience); err != nil || got != want {
		c.t.Fatalf("heard %q, %v instead of %q", got, err, want)
	}
}

func (c *proxied) wantSilence() {
	c.t.Helper()
	got, err := c.hears(soon)
	if timeout, ok := err.(net.Error); !ok || !timeout.Timeout() {
		c.t.Fatalf("heard %q, %v instead of nothing", got, err)
	}
}

func (c *proxied) wantEnd() {
	c.t.Helper()
	got, err := c.hears(patience)
	if timeout, ok := err.(net.Error); err == nil || ok && timeout.Timeout() {
		c.t.Fatalf("heard %q, %v instead of the end", got, err)
	}
}

func TestProxyStalls(t *testing.T) {
	p := StartProxy(t, echo(t), firstByte)
	a, b := through(t, p, "a"), through(t, p, "b")
	a.wantHears("a")
	b.wantHears("b")

	p.Stall("a")
	_, _ = a.Write([]byte("1"))
	_, _ = b.Write([]byte("2"))
	b.wantHears("2")
	a.wantSilence()
	late := through(t, p, "a") // also a connection made meanwhile
	late.wantSilence()
	p.Heal("a")
	a.wantHears("1")
	late.wantHears("a")

	p.Stall()
	_, _ = b.Write([]byte("3"))
	b.wantSilence()
	p.Heal()
	b.wantHears("3")
}

func TestProxyRefuses(t *testing.T) {
	p := StartProxy(t, echo(t), firstByte)
	a, b := through(t, p, "a"), through(t, p, "b")
	a.wantHears("a")
	b.wantHears("b")
	p.Refuse("a")
	a.wantEnd()
	through(t, p, "a").wantEnd()
	_, _ = b.Write([]byte("2"))
	b.wantHears("2")
	p.Heal()
	through(t, p, "a").wantHears("a")
	p.Stall("b")
	p.Refuse()
	b.wantEnd()
}

func TestProxyPassesTheEndOn(t *testing.T) {
	p := StartProxy(t, echo(t), nil)
	c := through(t, p, "x")
	c.wantHears("x")
	_ = c.Conn.(*net.TCPConn).CloseWrite()
	c.wantEnd()
}
