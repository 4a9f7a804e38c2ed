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

	"github.com/go-zookeeper/zk"
)

const (
	maxConnectResponse = 1 << 10
	maxUnflushed       = 1 << 20
	answerHeader       = 4 + 4 + 8 + 4 // int32 length, int32 xid, int64 zxid, int32 error
	codeSessionExpired = -112
)

// wireConn is one connection to a server as the library sees it. It adds what the library leaves undone:
//
//   - the answer to the connection request is waited for with the dialer's patience, and SASL happens right after
//     it, before any request can be sent;
//   - requests written one by one are sent together, and answers are read many at a time: bulk reads would
//     otherwise cost two system calls per znode;
//   - requests the library does not know are sent between its own and their answers taken out of what it reads;
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
	asked    time.Time // when the connection request was written; zero: not yet
	ahead    int       // bytes of the frame being handed to the library

	out struct {
		sync.Mutex
		changed sync.Cond // pending grew, was taken, or closed
		pending []byte
		closed  bool
		sent    sendTimes // of requests without an answer yet
	}
	own struct { // requests of exchange
		sync.Mutex
		open    bool // between the greeting and the end
		xid     int32
		waiting map[int32]chan<- ownReply // by xid; each of capacity 1 and sent to once
	}
}

type ownReply struct {
	data []byte
	code int32 // the server's, and what err is about; 0: none
	err  error
}

// watchXID is the xid of what the server sends unasked.
const watchXID = -1

// firstOwnXID and what is below it are ours: the library counts up from 1, and the server's own few are above.
const firstOwnXID = -1000

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
	if w.ahead == 0 {
		if err := w.nextFrame(); err != nil {
			return 0, err
		}
	}
	if err := w.await(1); err != nil {
		return 0, err
	}
	n, err := w.r.Read(p[:min(len(p), w.ahead)])
	w.ahead -= n
	return n, err
}

// await prepares a read of at least n bytes.
func (w *wireConn) await(n int) error {
	if w.r.Buffered() >= n {
		return nil
	}
	return w.Conn.SetReadDeadline(w.readBy)
}

// nextFrame goes to the next answer that is for the library.
func (w *wireConn) nextFrame() error {
	for {
		if err := w.await(answerHeader); err != nil {
			return err
		}
		b, err := w.r.Peek(answerHeader)
		if err != nil {
			return err
		}
		length, xid := binary.BigEndian.Uint32(b), int32(binary.BigEndian.Uint32(b[4:]))
		if int32(binary.BigEndian.Uint32(b[16:])) == codeSessionExpired {
			// A server took our connection over just before the session ended, and would leave it open.
			w.s.end(ErrExpired)
		} else if xid != watchXID {
			w.answered()
		}
		if xid > firstOwnXID {
			w.ahead = 4 + int(length)
			return nil
		}
		if err := w.await(4 + int(length)); err != nil {
			return err
		}
		if int(length) > w.s.o.MaxPacket {
			if _, err := w.r.Discard(4 + int(length)); err != nil {
				return err
			}
			w.settle(xid, ownReply{err: errTooLarge})
			continue
		}
		frame, err := w.frame(w.s.o.MaxPacket)
		if err != nil {
			return err
		}
		w.settle(xid, ownReplyOf(frame))
	}
}

// answered notes an answer. Answers come in the order of the requests, so it is for the oldest; should a server think
// otherwise, the session only seems to have been heard of earlier than it was.
func (w *wireConn) answered() {
	w.out.Lock()
	at, ok := w.out.sent.pop()
	w.out.Unlock()
	if ok {
		w.s.held(at)
	}
}

func ownReplyOf(frame []byte) ownReply {
	if len(frame) < answerHeader {
		return ownReply{err: errShortReply}
	}
	if code := int32(binary.BigEndian.Uint32(frame[answerHeader-4:])); code != 0 {
		return ownReply{code: code, err: serverError(code)}
	}
	return ownReply{data: frame[answerHeader:]}
}

// exchange sends one request and waits for its answer, or for the connection to break.
func (w *wireConn) exchange(op int32, body []byte) ([]byte, error) {
	reply := make(chan ownReply, 1)
	w.own.Lock()
	if !w.own.open {
		w.own.Unlock()
		return nil, zk.ErrConnectionClosed
	}
	if w.own.xid--; w.own.xid > firstOwnXID { // wrapped round
		w.own.xid = firstOwnXID
	}
	xid := w.own.xid
	w.own.waiting[xid] = reply
	w.own.Unlock()

	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 12+len(body)), uint32(8+len(body)))
	frame = binary.BigEndian.AppendUint32(frame, uint32(xid))
	frame = binary.BigEndian.AppendUint32(frame, uint32(op))
	w.enqueue(append(frame, body...))
	r := <-reply
	return r.data, r.err
}

func (w *wireConn) settle(xid int32, r ownReply) {
	w.own.Lock()
	defer w.own.Unlock()
	if c := w.own.waiting[xid]; c != nil {
		delete(w.own.waiting, xid)
		c <- r
	}
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
			w.s.o.Metrics.event(eventSASLAuthenticated)
		}
		w.s.established(id, timeout)
		w.s.held(w.asked)
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
	if uint64(n) > uint64(limit) {
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
	w.own.Lock()
	w.out.Lock()
	w.own.open = !w.out.closed // Close marks out first, then comes for own
	w.out.Unlock()
	w.own.xid = firstOwnXID
	w.own.waiting = map[int32]chan<- ownReply{}
	w.own.Unlock()
	go func() {
		defer w.s.running.Done()
		w.flush(max(timeout*2/3, time.Second))
	}()
}

// Write takes the bytes and never fails. The first packet, the connection request, goes out at once.
func (w *wireConn) Write(p []byte) (int, error) {
	if w.asked.IsZero() {
		w.asked = time.Now()
		w.Conn.SetWriteDeadline(w.patience)
		return w.Conn.Write(p)
	}
	w.enqueue(p)
	return len(p), nil
}

// enqueue takes one request.
func (w *wireConn) enqueue(p []byte) {
	w.out.Lock()
	defer w.out.Unlock()
	for len(w.out.pending) > maxUnflushed && !w.out.closed {
		w.out.changed.Wait()
	}
	if !w.out.closed {
		w.out.pending = append(w.out.pending, p...)
		w.out.sent.push(time.Now())
		w.out.changed.Broadcast()
	}
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

// Close may be called more than once, by the library, by flush and when the session ends.
func (w *wireConn) Close() error {
	w.out.Lock()
	w.out.closed = true
	w.out.changed.Broadcast()
	w.out.Unlock()
	err := w.Conn.Close()

	w.own.Lock()
	defer w.own.Unlock()
	w.own.open = false
	for xid, c := range w.own.waiting {
		delete(w.own.waiting, xid)
		c <- ownReply{err: zk.ErrConnectionClosed}
	}
	return err
}
