package transport

import (
	"fmt"
	"io"

	"github.com/kraal-mq/kraal/broker/wire"
)

// copyChunk is how much of a section is in memory at a time where it cannot be sent from its file.
const copyChunk = 256 << 10

// send writes an encoded frame: memory in one write, sections straight from their files where that is possible.
func (c *Conn) send(p *wire.Pieces) error {
	if whole, ok := p.Memory(); ok {
		_, err := c.stream.Write(whole)
		return err
	}
	left := p.Size()
	for run, section := range p.All() {
		left -= len(run)
		if err := c.sendBytes(run, left > 0); err != nil {
			return err
		}
		if section == nil {
			continue
		}
		left -= section.Len()
		if err := c.sendSection(section, left > 0); err != nil {
			return fmt.Errorf("send records: %w", err)
		}
	}
	return nil
}

// sendSection sends a section; more tells whether the frame goes on behind it.
func (c *Conn) sendSection(s wire.Section, more bool) error {
	if b, ok := s.(wire.Bytes); ok {
		return c.sendBytes(b, more)
	}
	if c.tls == nil {
		if file, offset := s.File(); file != nil {
			if sent, err := c.sendFile(file, offset, s.Len()); sent || err != nil {
				return err
			}
		}
	}
	return c.sendCopy(s, more)
}

// sendCopy sends a section through memory.
func (c *Conn) sendCopy(s wire.Section, more bool) error {
	buf := wire.GetBuffer(min(copyChunk, s.Len()))
	defer buf.Free()
	for at := 0; at < s.Len(); {
		chunk := buf.Bytes()[:min(copyChunk, s.Len()-at)]
		if n, err := s.ReadAt(chunk, int64(at)); n < len(chunk) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		at += len(chunk)
		if err := c.sendBytes(chunk, more || at < s.Len()); err != nil {
			return err
		}
	}
	return nil
}
