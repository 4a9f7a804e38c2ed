//go:build !linux

package transport

import "syscall"

type rawSender struct{}

func (c *Conn) sendBytes(b []byte, more bool) error {
	if len(b) == 0 {
		return nil
	}
	_, err := c.stream.Write(b)
	return err
}

// sendFile leaves files to be copied through memory.
func (c *Conn) sendFile(file syscall.Conn, offset int64, n int) (sent bool, err error) {
	return false, nil
}
