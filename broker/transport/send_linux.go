package transport

import (
	"io"
	"syscall"
	"time"
)

// maxSendfile is what sendfile(2) transfers at most in one call.
const maxSendfile = 0x7ffff000

// sendBytes writes b. If more follows at once the kernel is told, so that it does not send a short packet in between.
func (c *Conn) sendBytes(b []byte, more bool) error {
	if len(b) == 0 {
		return nil
	}
	if c.tls != nil || !more {
		_, err := c.stream.Write(b)
		return err
	}
	raw, err := c.rawConn()
	if err != nil {
		return err
	}
	var sendErr error
	err = raw.Write(func(fd uintptr) (done bool) {
		for len(b) > 0 {
			var n int
			n, sendErr = syscall.SendmsgN(int(fd), b, nil, nil, syscall.MSG_MORE|syscall.MSG_NOSIGNAL)
			switch sendErr {
			case nil:
				b = b[n:]
				c.lastActive.Store(time.Now().UnixNano())
			case syscall.EAGAIN:
				sendErr = nil
				return false
			case syscall.EINTR:
			default:
				return true
			}
		}
		return true
	})
	if err == nil {
		err = sendErr
	}
	return err
}

// sendFile sends n bytes of a file, from offset on, without bringing them into this process; the file's own position
// plays no part, so others may read it meanwhile. It is false, and nothing was sent, if the file cannot be sent so.
func (c *Conn) sendFile(file syscall.Conn, offset int64, n int) (sent bool, err error) {
	src, err := file.SyscallConn()
	if err != nil {
		return false, err
	}
	dst, err := c.rawConn()
	if err != nil {
		return false, err
	}
	whole := n
	var sendErr error
	writeErr := dst.Write(func(to uintptr) (done bool) {
		done = true
		err := src.Control(func(from uintptr) {
			done, sendErr = c.sendfile(int(to), int(from), &offset, &n)
		})
		if err != nil {
			sendErr, done = err, true
		}
		return done
	})
	if sendErr == nil {
		sendErr = writeErr
	}
	if n == whole && (sendErr == syscall.EINVAL || sendErr == syscall.ENOSYS || sendErr == syscall.EOPNOTSUPP) {
		return false, nil
	}
	return true, sendErr
}

// sendfile sends until all is sent, or the socket is full, which is when it is not done.
func (c *Conn) sendfile(to, from int, offset *int64, left *int) (done bool, err error) {
	for *left > 0 {
		n, err := syscall.Sendfile(to, from, offset, min(*left, maxSendfile))
		switch {
		case err == syscall.EAGAIN:
			return false, nil
		case err == syscall.EINTR:
		case err != nil:
			return true, err
		case n == 0: // the file is shorter than it was
			return true, io.ErrUnexpectedEOF
		default:
			*left -= n
			c.lastActive.Store(time.Now().UnixNano())
		}
	}
	return true, nil
}

func (c *Conn) rawConn() (syscall.RawConn, error) {
	if c.rawWrite == nil {
		raw, err := c.tcp.SyscallConn()
		if err != nil {
			return nil, err
		}
		c.rawWrite = raw
	}
	return c.rawWrite, nil
}
