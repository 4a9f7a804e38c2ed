//go:build !unix

package transport

import (
	"net"
	"syscall"
)

func receiveBufferControl(int) func(network, address string, c syscall.RawConn) error { return nil }

func setBacklog(*net.TCPListener, int) error { return nil }
