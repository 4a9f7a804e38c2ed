package transport

import (
	"io"
	"syscall"
	"time"
)

// maxSendfile is what sendfile(2) transfers at most in one call.
const maxSendfile = 0x7ffff000

// A rawSender writes to a connection's socket by system calls of its own, waiting for room through the runtime. It is
// made once per connection, with its callbacks, so that sending allocates nothing.
type rawSender struct {
	c      *Conn
	socket syscall.RawConn

	// What is being sent: bytes, or left bytes of file from offset on.
	bytes  []byte
	file   syscall.RawConn
	offset int64
	left   int

	fd   int   // the socket's, while a callback runs
	done bool  // all was sent, or err is set
	err  error // of the system call

	sendmsg, sendfile func(fd uintptr) (done bool)
	fromFile          func(fd uintptr)
}

func (c *Conn) rawSender() (*rawSender, error) {
	if c.raw == nil {
		socket, err := c.tcp.SyscallConn()
		if err != nil {
			return nil, err
		}
		s := &rawSender{c: c, socket: socket}
		s.sendmsg, s.sendfile, s.fromFile = s.doSendmsg, s.doSendfile, s.doFromFile
		c.raw = s
	}
	return c.raw, nil
}

// sendBytes writes b. If more follows at once the kernel is told, so that it does not send a short packet in between.
func (c *Conn) sendBytes(b []byte, more bool) error {
	if len(b) == 0 {
		return nil
	}
	if c.tls != nil || !more {
		_, err := c.stream.Write(b)
		return err
	}
	s, err := c.rawSender()
	if err != nil {
		return err
	}
	s.bytes, s.err = b, nil
	err = s.socket.Write(s.sendmsg)
	s.bytes = nil
	if err == nil {
		err = s.err
	}
	return err
}

func (s *rawSender) doSendmsg(fd uintptr) (done bool) {
	for len(s.bytes) > 0 {
		n, err := syscall.SendmsgN(int(fd), s.bytes, nil, nil, syscall.MSG_MORE|syscall.MSG_NOSIGNAL)
		switch err {
		case nil:
			s.bytes = s.bytes[n:]
			s.c.lastActive.Store(time.Now().UnixNano())
		case syscall.EAGAIN:
			return false
		case syscall.EINTR:
		default:
			s.err = err
			return true
		}
	}
	return true
}

// sendFile sends n bytes of a file, from offset on, without bringing them into this process; the file's own position
// plays no part, so others may read it meanwhile. It is false, and nothing was sent, if the file cannot be sent so.
func (c *Conn) sendFile(file syscall.Conn, offset int64, n int) (sent bool, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return false, err
	}
	s, err := c.rawSender()
	if err != nil {
		return false, err
	}
	s.file, s.offset, s.left, s.err = raw, offset, n, nil
	err = s.socket.Write(s.sendfile)
	s.file = nil
	if s.err != nil {
		err = s.err
	}
	if s.left == n && (err == syscall.EINVAL || err == syscall.ENOSYS || err == syscall.EOPNOTSUPP) {
		return false, nil
	}
	return true, err
}

func (s *rawSender) doSendfile(fd uintptr) (done bool) {
	s.fd = int(fd)
	if err := s.file.Control(s.fromFile); err != nil { // the file was closed
		s.done, s.err = true, err
	}
	return s.done
}

// doFromFile sends until all is sent, or the socket is full, which is when it is not done.
func (s *rawSender) doFromFile(fd uintptr) {
	s.done = true
	for s.left > 0 {
		n, err := syscall.Sendfile(s.fd, int(fd), &s.offset, min(s.left, maxSendfile))
		switch {
		case err == syscall.EAGAIN:
			s.done = false
			return
		case err == syscall.EINTR:
		case err != nil:
			s.err = err
			return
		case n == 0: // the file is shorter than it was
			s.err = io.ErrUnexpectedEOF
			return
		default:
			s.left -= n
			s.c.lastActive.Store(time.Now().UnixNano())
		}
	}
}
