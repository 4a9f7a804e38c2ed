package zktest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// ExpireSession ends a client's session behind its back: its ephemeral znodes are gone when this returns, and the
// client learns of it when it next reaches a server.
//
// Whoever knows a session's password can take it over and close it, and ZooKeeper derives the password from the id
// (ZooKeeperServer.generatePasswd).
func (s *Server) ExpireSession(id int64) {
	s.t.Helper()
	if err := s.EndSession(id); err != nil {
		s.t.Fatalf("expire session %#x: %v", id, err)
	}
}

// EndSession is ExpireSession for sessions that may be gone, and for servers that may be away.
func (s *Server) EndSession(id int64) error { return closeSession(s.addr, id) }

func closeSession(addr string, id int64) error {
	// A client that is quick to reconnect may take its session back before it is closed, which cuts us off.
	const attempts = 20
	var err error
	for i := range attempts {
		var known bool
		known, err = tryCloseSession(addr, id)
		switch {
		case err == nil && !known && i == 0:
			return fmt.Errorf("no such session")
		case err == nil:
			return nil
		}
	}
	return err
}

// tryCloseSession tells whether the server knew the session. Both requests go out at once.
func tryCloseSession(addr string, id int64) (known bool, err error) {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return false, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))

	connect := binary.BigEndian.AppendUint32(nil, 0)         // protocol version
	connect = binary.BigEndian.AppendUint64(connect, 0)      // last zxid seen
	connect = binary.BigEndian.AppendUint32(connect, 10_000) // timeout in ms
	connect = binary.BigEndian.AppendUint64(connect, uint64(id))
	connect = binary.BigEndian.AppendUint32(connect, 16)
	connect = append(connect, password(id)...)
	op := int32(-11)                              // closeSession
	last := binary.BigEndian.AppendUint32(nil, 1) // xid
	last = binary.BigEndian.AppendUint32(last, uint32(op))
	if _, err := c.Write(append(frame(connect), frame(last)...)); err != nil {
		return false, err
	}
	granted, err := answer(c)
	if err != nil {
		return false, err
	}
	if len(granted) < 16 || int64(binary.BigEndian.Uint64(granted[8:])) != id {
		return false, nil
	}
	_, err = answer(c)
	return true, err
}

func frame(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

func answer(c net.Conn) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > 1<<16 {
		return nil, fmt.Errorf("answer of %d bytes", n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(c, b)
	return b, err
}

// password is what java.util.Random(id ^ 0xB3415C00).nextBytes yields.
func password(id int64) []byte {
	const (
		secret     = 0xB3415C00
		multiplier = 0x5DEECE66D
		mask       = 1<<48 - 1
	)
	seed := (uint64(id^secret) ^ multiplier) & mask
	p := make([]byte, 0, 16)
	for len(p) < 16 {
		seed = (seed*multiplier + 0xB) & mask
		p = binary.LittleEndian.AppendUint32(p, uint32(seed>>16))
	}
	return p
}
