package zkstore

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	maxPacket          = 4 << 20 // what Kafka forces jute.maxbuffer to
	maxConnectResponse = 1 << 10
	maxUnflushed       = 1 << 20
)

// wireConn is one connection to a server as the library sees it. It adds what the library leaves undone:
//
//   - the answer to the connection request is waited for with the dialer's patience, and SASL happens right after
//     it, before any request can be sent;
//   - requests written one by one are sent together, and answers are read many at a time: bulk reads would
//     otherwise cost two system calls per znode;
//   - a failed write is reported as a broken read, because the library, when giving credentials again after a
//     reconnect, waits for ever if the write fails first.
//
// Read and SetReadDeadline belong to the library's receiving goroutine (its connecting one before that), Write to its
// sending one, flush to our own.
type wireConn struct {
	net.Conn
	s        *Session
	r        *bufio.Reader
	patience time.Time // deadline of the handshake
	readBy   time.Time // what the library set last; given to the socket only when the socket is read
	greeting []byte    // the server's connection response, still to be handed to the library
	greeted  bool
	asked    bool // the connection request has been written

	out struct {
		sync.Mutex
		changed sync.Cond // pending grew, was taken, or closed
		pending []byte
		closed  bool
	}
}

func newWireConn(s *Session, c net.Conn, patience time.Time) *wireConn {
	w := &wireConn{Conn: c, s: s, r: bufio.NewReaderSize(c, 64<<10), patience: patience}
	w.out.changed.L = &w.out.Mutex
	return w
}

func (w *wireConn) SetReadDeadline(t time.Time) error {
	w.readBy = t
	return nil
}

// SetWriteDeadline does nothing: flush sets its own.
func (w *wireConn) SetWriteDeadline(time.Time) error { return nil }

func (w *wireConn) Read(p []byte) (int, error) {
	if !w.greeted {
		if err := w.greet(); err != nil {
			w.s.dialer.refused(err)
			return 0, err
		}
		w.greeted = true
	}
	if len(w.greeting) > 0 {
		n := copy(p, w.greeting)
		w.greeting = w.greeting[n:]
		return n, nil
	}
	if w.r.Buffered() == 0 {
		if err := w.Conn.SetReadDeadline(w.readBy); err != nil {
			return 0, err
		}
	}
	return w.r.Read(p)
}

// greet reads the connection response: int32 length, int32 protocol version, int32 timeout, int64 session id, password.
// Session id 0 means the session we asked for has expired.
func (w *wireConn) greet() error {
	if err := w.Conn.SetReadDeadline(w.patience); err != nil {
		return err
	}
	frame, err := w.frame(maxConnectResponse)
	if err != nil {
		return fmt.Errorf("no answer to the connection request: %w", err)
	}
	if len(frame) < 4+16 {
		return fmt.Errorf("connection response of %d bytes", len(frame)-4)
	}
	timeout := time.Duration(int32(binary.BigEndian.Uint32(frame[8:]))) * time.Millisecond
	id := int64(binary.BigEndian.Uint64(frame[12:]))
	if id != 0 {
		if sasl := w.s.o.SASL; sasl != nil {
			if err := w.login(sasl); err != nil {
				if errors.Is(err, ErrAuthFailed) {
					w.s.end(ErrAuthFailed)
				}
				return err
			}
		}
		w.s.established(id, timeout)
	}
	w.greeting = frame
	w.start(timeout)
	return nil
}

// frame reads one length-prefixed packet, prefix included.
func (w *wireConn) frame(limit int) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(w.r, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > uint32(limit) {
		return nil, fmt.Errorf("packet of %d bytes", n)
	}
	frame := make([]byte, 4+n)
	copy(frame, length[:])
	_, err := io.ReadFull(w.r, frame[4:])
	return frame, err
}

// start lets the writing go through flush from now on.
func (w *wireConn) start(timeout time.Duration) {
	if !w.s.begin() { // ended: what is written now would go nowhere anyhow
		w.Close()
		return
	}
	go func() {
		defer w.s.running.Done()
		w.flush(max(timeout*2/3, time.Second))
	}()
}

// Write takes the bytes and never fails. The first packet, the connection request, goes out at once.
func (w *wireConn) Write(p []byte) (int, error) {
	if !w.asked {
		w.asked = true
		w.Conn.SetWriteDeadline(w.patience)
		return w.Conn.Write(p)
	}
	w.out.Lock()
	defer w.out.Unlock()
	for len(w.out.pending) > maxUnflushed && !w.out.closed {
		w.out.changed.Wait()
	}
	if !w.out.closed {
		w.out.pending = append(w.out.pending, p...)
		w.out.changed.Broadcast()
	}
	return len(p), nil
}

// flush sends what Write gathered until the connection is closed, and closes it when sending fails.
func (w *wireConn) flush(timeout time.Duration) {
	var sending []byte
	for {
		w.out.Lock()
		for len(w.out.pending) == 0 && !w.out.closed {
			w.out.changed.Wait()
		}
		if len(w.out.pending) == 0 {
			w.out.Unlock()
			return
		}
		sending, w.out.pending = w.out.pending, sending[:0]
		w.out.changed.Broadcast()
		w.out.Unlock()

		w.Conn.SetWriteDeadline(time.Now().Add(timeout))
		if _, err := w.Conn.Write(sending); err != nil {
			w.Close()
			return
		}
	}
}

func (w *wireConn) Close() error {
	w.out.Lock()
	w.out.closed = true
	w.out.changed.Broadcast()
	w.out.Unlock()
	return w.Conn.Close()
}
