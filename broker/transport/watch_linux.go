package transport

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// A watcher learns that peers are gone while nobody reads from them. Reading, or peeking, could not tell: requests
// that were sent on may lie before the end. The kernel tells it apart (EPOLLRDHUP), and no bytes are touched.
//
// It has an epoll instance of its own, which the runtime's waits for in turn, so that no thread is held.
type watcher struct {
	file *os.File // the epoll instance
	gone func(id uint64)
}

func newWatcher(gone func(id uint64)) (*watcher, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &watcher{file: os.NewFile(uintptr(fd), "epoll"), gone: gone}, nil
}

// add watches a connection until it is closed. A failure only means that its end is noticed late.
func (w *watcher) add(conn *net.TCPConn, id uint64) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	epoll, err := w.file.SyscallConn()
	if err != nil {
		return
	}
	epoll.Control(func(epfd uintptr) {
		raw.Control(func(fd uintptr) {
			event := syscall.EpollEvent{
				Events: syscall.EPOLLRDHUP | syscall.EPOLLET&0xffffffff,
				Fd:     int32(uint32(id)),
				Pad:    int32(uint32(id >> 32)),
			}
			syscall.EpollCtl(int(epfd), syscall.EPOLL_CTL_ADD, int(fd), &event)
		})
	})
}

// run tells of peers that are gone until close.
func (w *watcher) run() {
	raw, err := w.file.SyscallConn()
	if err != nil {
		return
	}
	events := make([]syscall.EpollEvent, 128)
	for {
		var n int
		var waitErr error
		err := raw.Read(func(fd uintptr) (done bool) {
			for {
				n, waitErr = syscall.EpollWait(int(fd), events, 0)
				if !errors.Is(waitErr, syscall.EINTR) {
					return n != 0
				}
			}
		})
		if err != nil || waitErr != nil {
			return // closed
		}
		for _, e := range events[:n] {
			w.gone(uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32)
		}
	}
}

func (w *watcher) close() { w.file.Close() }
