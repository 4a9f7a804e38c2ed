package testkit

import (
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Broker is a broker made of canned answers. It answers ApiVersions itself: all APIs that have an answer, in all their
// versions unless Cap says otherwise.
type Broker struct {
	Host string
	Port int32

	listener net.Listener
	running  sync.WaitGroup

	mu struct {
		sync.Mutex
		answers map[int16]func(kmsg.Request) kmsg.Response
		cap     map[int16]int16
		conns   map[net.Conn]bool
	}
}

// NewBroker starts a broker that ends with the test.
func NewBroker(t testing.TB) *Broker {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().(*net.TCPAddr)
	b := &Broker{Host: address.IP.String(), Port: int32(address.Port), listener: listener}
	b.mu.answers, b.mu.cap, b.mu.conns = map[int16]func(kmsg.Request) kmsg.Response{}, map[int16]int16{}, map[net.Conn]bool{}
	b.running.Go(b.accept)
	t.Cleanup(b.close)
	return b
}

// Address is host:port.
func (b *Broker) Address() string { return net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port))) }

// Answer sets how the API of the given key is answered. An answer of nil closes the connection.
func (b *Broker) Answer(key int16, answer func(kmsg.Request) kmsg.Response) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.answers[key] = answer
}

// Cap offers an API only up to a version.
func (b *Broker) Cap(key, version int16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.cap[key] = version
}

func (b *Broker) close() {
	b.listener.Close()
	b.mu.Lock()
	for conn := range b.mu.conns {
		conn.Close()
	}
	b.mu.Unlock()
	b.running.Wait()
}

func (b *Broker) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.mu.Lock()
		b.mu.conns[conn] = true
		b.mu.Unlock()
		b.running.Go(func() { b.serve(conn) })
	}
}

func (b *Broker) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var head [4]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return
		}
		frame := make([]byte, min(binary.BigEndian.Uint32(head[:]), 1<<20))
		if _, err := io.ReadFull(conn, frame); err != nil {
			return
		}
		reply := b.reply(frame)
		if reply == nil {
			return
		}
		if _, err := conn.Write(reply); err != nil {
			return
		}
	}
}

// reply decodes a request, asks for its answer and encodes that; nil to close the connection.
func (b *Broker) reply(frame []byte) []byte {
	key, version := int16(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:]))
	req := kmsg.RequestForKey(key)
	if req == nil {
		return nil
	}
	req.SetVersion(version)
	body := frame[8:]
	if size := int16(binary.BigEndian.Uint16(body)); size > 0 {
		body = body[size:]
	}
	body = body[2:]
	if req.IsFlexible() {
		body = body[1:] // no client sends tags here
	}
	if req.ReadFrom(body) != nil {
		return nil
	}
	resp := b.answer(req)
	if resp == nil {
		return nil
	}
	resp.SetVersion(version)
	out := append(make([]byte, 4), frame[4:8]...)
	if resp.IsFlexible() && key != int16(kmsg.ApiVersions) {
		out = append(out, 0)
	}
	out = resp.AppendTo(out)
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	return out
}

func (b *Broker) answer(req kmsg.Request) kmsg.Response {
	b.mu.Lock()
	answer, ok := b.mu.answers[req.Key()]
	b.mu.Unlock()
	switch {
	case ok:
		return answer(req)
	case req.Key() == int16(kmsg.ApiVersions):
		return b.apiVersions()
	}
	return nil
}

func (b *Broker) apiVersions() kmsg.Response {
	resp := kmsg.NewPtrApiVersionsResponse()
	b.mu.Lock()
	defer b.mu.Unlock()
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		req := kmsg.RequestForKey(key)
		if _, ok := b.mu.answers[key]; req == nil || !ok && key != int16(kmsg.ApiVersions) {
			continue
		}
		api := kmsg.NewApiVersionsResponseApiKey()
		api.ApiKey, api.MaxVersion = key, req.MaxVersion()
		if limit, capped := b.mu.cap[key]; capped {
			api.MaxVersion = limit
		}
		resp.ApiKeys = append(resp.ApiKeys, api)
	}
	return resp
}
