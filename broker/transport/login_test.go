package transport

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/wire"
)

// password lets in whoever sends "open", after a hello.
type password struct {
	conn    *Conn
	hello   bool
	expired bool
	delay   time.Duration
}

func (p *password) Step(_ context.Context, frame []byte) (AuthStep, error) {
	switch {
	case bytes.HasPrefix(frame, []byte("hello")):
		p.hello = true
		return AuthStep{Answer: []byte("who?")}, nil
	case !p.hello:
		if h, _, err := wire.DecodeHeader(frame, ""); err == nil && h.Key == int16(kmsg.SASLHandshake) {
			p.hello = true
			return AuthStep{Answer: []byte("again?")}, nil
		}
		return AuthStep{}, errors.New("no hello")
	case string(frame) == "open":
		p.hello, p.expired = false, false
		return AuthStep{Answer: []byte("welcome"), Done: true, Principal: Principal{Type: "User", Name: "alice"}}, nil
	}
	return AuthStep{Answer: []byte("no"), Failed: true, Delay: p.delay}, nil
}

func (p *password) Claims(h wire.Header) bool { return h.Key == int16(kmsg.SASLHandshake) }

func (p *password) Expired(time.Time) bool { return p.expired }

func (c *client) say(text string) {
	c.t.Helper()
	if _, err := c.Write(append([]byte{0, 0, 0, byte(len(text))}, text...)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) hear(text string) {
	c.t.Helper()
	buf, err := c.frames.Next(1000)
	if err != nil || string(buf.Bytes()) != text {
		c.t.Fatalf("heard %v, %v; want %q", buf, err, text)
	}
}

func TestLogin(t *testing.T) {
	var auth *password
	expire := make(chan bool, 1)
	s := serve(t, handler(func(_ context.Context, r *Request) Reply {
		if p := r.Conn.Principal(); p.Name != "alice" {
			t.Errorf("request of %v", p)
		}
		auth.expired = <-expire
		return Reply{Wait: func(context.Context) Reply { return Reply{Body: responseTo(r)} }}
	}), func(o *Options) {
		o.UnauthenticatedMax = 100
		o.Listeners[0].Protocol = "SASL_PLAINTEXT"
		o.Listeners[0].Authenticator = func(c *Conn) Authenticator {
			auth = &password{conn: c, delay: 50 * time.Millisecond}
			return auth
		}
	})

	c := s.dial("PLAINTEXT")
	c.say("hello")
	c.hear("who?")
	c.say("open")
	c.hear("welcome")
	expire <- false
	c.send(produce(make([]byte, 5000), 1), 1) // the larger cap holds now
	c.expect(produce(nil, 1), 1)

	expire <- true
	c.send(heartbeat(0), 2)
	c.expect(heartbeat(0), 2)
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	c.send(handshake, 3) // claimed although the login has expired
	c.hear("again?")
	c.say("open")
	c.hear("welcome")
	expire <- true
	c.send(heartbeat(0), 4)
	c.expect(heartbeat(0), 4)
	c.send(heartbeat(0), 5)
	c.expectClosed()

	refused := s.dial("PLAINTEXT")
	refused.say("hello")
	refused.hear("who?")
	start := time.Now()
	refused.say("sesame")
	refused.hear("no")
	refused.expectClosed()
	if took := time.Since(start); took < 50*time.Millisecond {
		t.Errorf("refused after %v", took)
	}

	rude := s.dial("PLAINTEXT")
	rude.say("open")
	rude.expectClosed()

	large := s.dial("PLAINTEXT")
	large.Write([]byte{0, 0, 0, 101})
	large.expectClosed()
}
