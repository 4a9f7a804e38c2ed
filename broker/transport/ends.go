package transport

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// ends tells of connections that ended by a fault of their peer: of one a second, and how many there were besides, for whoever
// speaks another protocol comes again and again.
type ends struct {
	mu     sync.Mutex
	told   time.Time
	passed int // over, since
}

// tell reports whether to tell of one now, and how many were passed over since the last.
func (e *ends) tell(now time.Time) (passed int, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now.Sub(e.told) < time.Second {
		e.passed++
		return 0, false
	}
	passed = e.passed
	e.told, e.passed = now, 0
	return passed, true
}

// logEnd tells why the connection ended; expected says that this side ended it, or that the peer just left.
func (c *Conn) logEnd(err error, expected bool) {
	level := zap.DebugLevel
	fields := c.fields(zap.Error(err))
	if !expected {
		if passed, ok := c.srv.ends.tell(time.Now()); ok {
			level = zap.InfoLevel
			if passed > 0 {
				fields = append(fields, zap.Int("others_since_the_last", passed))
			}
		}
	}
	if entry := c.srv.o.Logger.Check(level, "connection closed"); entry != nil {
		entry.Write(fields...)
	}
}

// left reports whether an error is only that a connection was closed, here or there.
func left(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, errEnd) || errors.Is(err, errStopping) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
