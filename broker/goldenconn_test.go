package broker_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// outcome is how an exchange ended.
type outcome int

const (
	answered outcome = iota
	closed
	unanswered
)

func (o outcome) String() string {
	return [...]string{"answered", "closed the connection", "did not answer"}[o]
}

// goldenConn is one connection of the recorded client.
type goldenConn struct {
	net.Conn
	r *bufio.Reader
}

// patience is how long an answer may take.
const patience = 20 * time.Second

// exchange sends a frame and, if wanted, reads one.
func (c *goldenConn) exchange(frame []byte, answer bool) ([]byte, outcome) {
	c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)); err != nil {
		return nil, closed
	}
	if !answer {
		return nil, answered
	}
	return c.answer()
}

// answer reads the next frame.
func (c *goldenConn) answer() ([]byte, outcome) {
	c.SetDeadline(time.Now().Add(patience))
	var size [4]byte
	if _, err := io.ReadFull(c.r, size[:]); err != nil {
		return nil, ended(err)
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c.r, b); err != nil {
		return nil, ended(err)
	}
	return b, answered
}

func ended(err error) outcome {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return unanswered
	}
	return closed
}
