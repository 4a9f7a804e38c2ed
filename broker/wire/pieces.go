package wire

import (
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
)

const (
	// inlineMax is the size up to which a section is copied between its neighbours instead of being sent by itself:
	// one pread and no write of its own is cheaper than a sendfile(2) with its write before and after.
	inlineMax = 16 << 10

	// inlineTotal is how large a frame in memory may become that way.
	inlineTotal = 512 << 10

	// keepMem is how much memory Pieces keep for the next frame. Large metadata responses fit in.
	keepMem = 1 << 20
)

// Pieces is an encoded response frame: runs of bytes in memory, with sections between them. The zero value is ready;
// after Reset it is used again with the memory it has.
type Pieces struct {
	mem  []byte // the runs, one after the other; the first begins with the size prefix
	cuts []cut
	size int // of the whole frame
	err  error
}

// A cut says that section follows mem[:at] and what was cut before.
type cut struct {
	at      int
	section Section
}

// A Sectioned body can be encoded without bringing all of it into memory.
type Sectioned interface {
	Body

	// AppendPieces appends the body to p. The sections are p's to release afterwards, or when it is reset.
	AppendPieces(p *Pieces)
}

// Encode makes p the response frame of body. If it fails nothing may be sent, for the client could not make sense of
// what follows; Reset still has to be called.
func (p *Pieces) Encode(body Body, correlationID int32) error {
	p.Reset()
	p.mem = appendResponseHeader(p.mem, body, correlationID)
	if s, ok := body.(Sectioned); ok {
		s.AppendPieces(p)
	} else {
		p.mem = body.AppendTo(p.mem)
	}
	p.size += len(p.mem)
	if p.err == nil && p.size-sizePrefix > math.MaxInt32 {
		p.err = fmt.Errorf("response of %d bytes does not fit into a frame", p.size)
	}
	if p.err != nil {
		return fmt.Errorf("encode response of key %d version %d: %w", body.Key(), body.GetVersion(), p.err)
	}
	putSize(p.mem, p.size)
	return nil
}

// Size returns how many bytes the frame has, size prefix included.
func (p *Pieces) Size() int { return p.size }

// Memory returns the whole frame if no section is outside of it.
func (p *Pieces) Memory() ([]byte, bool) { return p.mem, len(p.cuts) == 0 }

// All yields the frame in order: a run of bytes, possibly empty, and the section behind it, nil after the last run.
func (p *Pieces) All() iter.Seq2[[]byte, Section] {
	return func(yield func([]byte, Section) bool) {
		from := 0
		for _, c := range p.cuts {
			if !yield(p.mem[from:c.at], c.section) {
				return
			}
			from = c.at
		}
		yield(p.mem[from:], nil)
	}
}

// Reset releases the sections and forgets the frame, but keeps the memory, unless it grew beyond keepMem.
func (p *Pieces) Reset() {
	for i := range p.cuts {
		p.cuts[i].section.Release()
		p.cuts[i] = cut{}
	}
	if cap(p.mem) > keepMem {
		p.mem = nil
	}
	p.mem, p.cuts, p.size, p.err = p.mem[:0], p.cuts[:0], 0, nil
}

// section puts s behind what is in memory so far, and takes charge of releasing it.
func (p *Pieces) section(s Section) {
	n := s.Len()
	if n > inlineMax || len(p.mem)+n > inlineTotal {
		p.cuts = append(p.cuts, cut{at: len(p.mem), section: s})
		p.size += n
		return
	}
	at := len(p.mem)
	p.mem = slices.Grow(p.mem, n)[:at+n]
	if err := readSection(s, p.mem[at:], 0); err != nil && p.err == nil {
		p.err = err
	}
	s.Release()
}

// readSection fills b from the section's bytes starting at off.
func readSection(s Section, b []byte, off int64) error {
	if n, err := s.ReadAt(b, off); n < len(b) {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read records: %w", err)
	}
	return nil
}
