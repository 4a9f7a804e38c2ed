//go:build unix

package transport

import (
	"net"
	"syscall"
)

// receiveBufferControl sets SO_RCVBUF before the socket is bound, as the window size is negotiated with it; accepted
// connections inherit it.
func receiveBufferControl(size int) func(network, address string, c syscall.RawConn) error {
	if size <= 0 {
		return nil
	}
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		if e := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, size)
		}); e != nil {
			return e
		}
		return err
	}
}

// setBacklog calls listen(2) again, which changes the length of the queue of a listening socket.
func setBacklog(l *net.TCPListener, backlog int) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	var listenErr error
	if err := raw.Control(func(fd uintptr) { listenErr = syscall.Listen(int(fd), backlog) }); err != nil {
		return err
	}
	return listenErr
}
