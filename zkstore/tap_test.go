package zkstore

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
)

// tap stands between a session and a server. It notes what is written and can lose the answer to a request that the
// server has carried out, or cut all connections.
type tap struct {
	listener net.Listener
	server   string

	mu struct {
		sync.Mutex
		lose   func(request) bool // asked for each request; true: its answer is lost, once
		writes []request
		conns  map[net.Conn]bool
		served int  // connections so far
		deaf   bool // connections are accepted and nothing is passed on
	}
}

func newTap(t testing.TB, server string) *tap {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{listener: l, server: server}
	p.mu.conns = map[net.Conn]bool{}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.cut()
		running.Wait()
	})
	return p
}

func (p *tap) addr() string { return p.listener.Addr().String() }

// loseNext loses the answer to the next request that match picks.
func (p *tap) loseNext(match func(request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.lose = match
}

func (p *tap) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.mu.conns {
		c.Close()
	}
}

func (p *tap) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.served
}

func (p *tap) setDeaf(deaf bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.deaf = deaf
}

// taken returns the writes since the last call.
func (p *tap) taken() []request {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.mu.writes
	p.mu.writes = nil
	return w
}

func (p *tap) keep(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.conns[c] = true
}

func (p *tap) serve(client net.Conn) {
	defer client.Close()
	p.keep(client)
	p.mu.Lock()
	deaf := p.mu.deaf
	p.mu.served++
	p.mu.Unlock()
	if deaf {
		io.Copy(io.Discard, client)
		return
	}
	server, err := net.Dial("tcp4", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	p.keep(server)
	var (
		mu   sync.Mutex
		lost = map[int32]bool{} // xids whose answers are to be lost
		both sync.WaitGroup
	)
	both.Go(func() {
		defer client.Close()
		defer server.Close()
		for {
			frame, err := readFrame(server)
			if err != nil {
				return
			}
			mu.Lock()
			gone := lost[int32(binary.BigEndian.Uint32(frame[4:]))]
			mu.Unlock()
			if gone {
				return
			}
			if _, err := client.Write(frame); err != nil {
				return
			}
		}
	})
	both.Go(func() {
		defer client.Close()
		defer server.Close()
		for first := true; ; first = false {
			frame, err := readFrame(client)
			if err != nil {
				return
			}
			if !first {
				if xid, r, ok := parseRequest(frame[4:]); ok && p.note(r) {
					mu.Lock()
					lost[xid] = true
					mu.Unlock()
				}
			}
			if _, err := server.Write(frame); err != nil {
				return
			}
		}
	})
	both.Wait()
}

func (p *tap) note(r request) (lose bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.writes = append(p.mu.writes, r)
	if p.mu.lose != nil && p.mu.lose(r) {
		p.mu.lose = nil
		return true
	}
	return false
}

func readFrame(c net.Conn) ([]byte, error) {
	frame := make([]byte, 4)
	if _, err := io.ReadFull(c, frame); err != nil {
		return nil, err
	}
	frame = append(frame, make([]byte, binary.BigEndian.Uint32(frame))...)
	_, err := io.ReadFull(c, frame[4:])
	return frame, err
}

// request is a write as the golden traces have it.
type request struct {
	Op      string
	Path    string
	Data    *string
	Mode    string
	Version *int32
	ACL     []string
	Ops     []request
	Err     string `json:"err"`
}

// at is the path of a request: of a multi, its last operation's.
func (r request) at() string {
	if len(r.Ops) > 0 {
		return r.Ops[len(r.Ops)-1].Path
	}
	return r.Path
}

// parseRequest decodes {int32 xid, int32 op, ...}; ok is false for what writes nothing.
func parseRequest(b []byte) (xid int32, r request, ok bool) {
	if len(b) < 8 {
		return 0, r, false
	}
	d := jute{b: b}
	xid = d.int32()
	op := d.int32()
	if op == 14 {
		r.Op = "multi"
		for {
			op, done := d.int32(), d.bool()
			d.int32()
			if done {
				return xid, r, true
			}
			one, _ := d.write(op)
			r.Ops = append(r.Ops, one)
		}
	}
	r, ok = d.write(op)
	return xid, r, ok
}

// jute reads ZooKeeper's encoding; requests of our own client are well formed.
type jute struct{ b []byte }

func (d *jute) int32() int32 {
	n := int32(binary.BigEndian.Uint32(d.b))
	d.b = d.b[4:]
	return n
}

func (d *jute) bool() bool {
	v := d.b[0] != 0
	d.b = d.b[1:]
	return v
}

func (d *jute) buffer() *string {
	n := d.int32()
	if n < 0 {
		return nil
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return &s
}

func (d *jute) write(op int32) (r request, ok bool) {
	switch op {
	case 1:
		r = request{Op: "create", Path: *d.buffer(), Data: d.buffer()}
		for range d.int32() {
			perms, scheme, id := d.int32(), *d.buffer(), *d.buffer()
			text := scheme + ":" + id + ":"
			for i, letter := range "rwcda" {
				if perms&(1<<i) != 0 {
					text += string(letter)
				}
			}
			r.ACL = append(r.ACL, text)
		}
		r.Mode = []string{"PERSISTENT", "EPHEMERAL", "PERSISTENT_SEQUENTIAL"}[d.int32()]
		return r, true
	case 2:
		r = request{Op: "delete", Path: *d.buffer()}
	case 5:
		r = request{Op: "setData", Path: *d.buffer(), Data: d.buffer()}
	case 13:
		r = request{Op: "check", Path: *d.buffer()}
	default:
		return r, false
	}
	v := d.int32()
	r.Version = &v
	return r, true
}
