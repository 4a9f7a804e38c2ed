package zktest

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
)

// Recorder notes what clients write, read off the wire between them and a server, with the versions they expect and what the server
// answered. Reads pass unnoticed.
type Recorder struct {
	t      testing.TB
	server string

	mu struct {
		sync.Mutex
		writes []Write
		conns  map[net.Conn]struct{} // nil when the test has ended
	}
	running sync.WaitGroup
}

// Write is one request that writes, or one operation of a multi. The words are those of ZooKeeper's documentation.
type Write struct {
	Client  string
	Op      string // create, delete, setData, check, multi, closeSession
	Path    string
	Data    *string // nil: null
	Mode    string  // of a create
	ACL     []string
	Version *int32  // the expected one; -1 is any
	Ops     []Write // of a multi, in order
	Err     string  // "OK", or why not; of each operation in a multi
}

// NewRecorder returns a recorder before a server, without clients yet.
func NewRecorder(t testing.TB, server string) *Recorder {
	r := &Recorder{t: t, server: server}
	r.mu.conns = make(map[net.Conn]struct{})
	t.Cleanup(func() {
		r.mu.Lock()
		for c := range r.mu.conns {
			c.Close()
		}
		r.mu.conns = nil
		r.mu.Unlock()
		r.running.Wait()
	})
	return r
}

// Addr returns an address for one client, whose writes will bear its name.
func (r *Recorder) Addr(client string) string {
	r.t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.running.Go(func() { r.pass(client, c) })
		}
	})
	r.t.Cleanup(func() { l.Close() }) // before the recorder's own cleanup
	return l.Addr().String()
}

// Writes returns what was answered since the last call of Forget, in the order of the answers.
func (r *Recorder) Writes() []Write {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Write(nil), r.mu.writes...)
}

// Forget begins anew.
func (r *Recorder) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.writes = nil
}

func (r *Recorder) keep(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.conns == nil {
		return false
	}
	r.mu.conns[c] = struct{}{}
	return true
}

// asked holds the writes of one connection that are not answered yet, by xid.
type asked struct {
	sync.Mutex
	writes map[int32]Write
}

// pass forwards one connection both ways.
func (r *Recorder) pass(client string, c net.Conn) {
	defer c.Close()
	s, err := net.Dial("tcp4", r.server)
	if err != nil {
		return
	}
	defer s.Close()
	if !r.keep(c) || !r.keep(s) {
		return
	}
	open := asked{writes: make(map[int32]Write)}
	var both sync.WaitGroup
	both.Go(func() {
		forward(c, s, func(b []byte) {
			if xid, w, ok := parseWrite(b); ok {
				w.Client = client
				open.Lock()
				open.writes[xid] = w
				open.Unlock()
			}
		})
	})
	both.Go(func() {
		forward(s, c, func(b []byte) {
			xid, err := parseReply(b)
			open.Lock()
			w, ok := open.writes[xid]
			delete(open.writes, xid)
			open.Unlock()
			if ok {
				w.answered(err, b)
				r.mu.Lock()
				r.mu.writes = append(r.mu.writes, w)
				r.mu.Unlock()
			}
		})
	})
	both.Wait()
}

// forward copies frames; note sees all but the first, which opens the session.
func forward(from, to net.Conn, note func([]byte)) {
	defer from.Close()
	defer to.Close()
	for first := true; ; first = false {
		frame := make([]byte, 4)
		if _, err := io.ReadFull(from, frame); err != nil {
			return
		}
		frame = append(frame, make([]byte, binary.BigEndian.Uint32(frame))...)
		if _, err := io.ReadFull(from, frame[4:]); err != nil {
			return
		}
		if !first {
			note(frame[4:])
		}
		if _, err := to.Write(frame); err != nil {
			return
		}
	}
}
