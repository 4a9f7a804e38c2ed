package wire

import (
	"errors"
	"fmt"
)

// ErrTooCostly means that a message would take up far more memory than it has bytes, as no honest one does.
var ErrTooCostly = errors.New("message would take too much memory")

const (
	// A message may cost freeCost bytes of memory, and costPerByte more for each of its bytes. The honest worst case is
	// a factor of two or three: arrays of small structs.
	freeCost    = 32 << 20
	costPerByte = 4

	tagCost = 400 // an unknown tagged field lives in a map
)

// requestFlexible tells the layout of a request's header. ApiVersions is known in every version, since an unknown one
// has to be answered.
func requestFlexible(key, version int16) (flexible, known bool) {
	m := schemaOf(key)
	if m == nil || (version < 0 || version > m.highest) && key != apiVersionsKey {
		return false, false
	}
	return m.isFlexible(version), true
}

// checkRequest walks through a request body. If it finds nothing, kmsg can decode the body without reading beyond it,
// looping over what is not there, or allocating out of proportion.
func checkRequest(key, version int16, body []byte) error {
	m := schemaOf(key)
	return check(m, m.request, "request", key, version, body)
}

// checkResponse is checkRequest for a response body.
func checkResponse(key, version int16, body []byte) error {
	m := schemaOf(key)
	if m == nil || version < 0 || version > m.highest {
		return fmt.Errorf("%w: response of key %d version %d", ErrUnknownKey, key, version)
	}
	return check(m, m.response, "response", key, version, body)
}

func check(m *message, ops []op, what string, key, version int16, body []byte) error {
	w := walk{
		reader:   reader{src: body},
		version:  version,
		flexible: m.isFlexible(version),
		budget:   freeCost + costPerByte*int64(len(body)),
	}
	w.fields(ops)
	switch {
	case w.budget < 0:
		return fmt.Errorf("%w: %s of key %d version %d, %d bytes", ErrTooCostly, what, key, version, len(body))
	case w.bad:
		return fmt.Errorf("%w: %s of key %d version %d", ErrMalformed, what, key, version)
	}
	return nil
}

// A walk is the way through one message.
type walk struct {
	reader
	version  int16
	flexible bool
	budget   int64 // bytes of memory that decoding may still take
}

func (w *walk) spend(cost int64) {
	if w.budget -= cost; w.budget < 0 {
		w.fail()
	}
}

func (w *walk) fields(ops []op) {
	for i := range ops {
		if w.bad {
			return
		}
		switch o := &ops[i]; o.kind {
		case opFixed:
			w.span(o.n)
		case opString:
			w.span(max(w.stringLen(), 0))
		case opBytes:
			w.span(max(w.arrayLen(), 0))
		case opArray:
			w.array(o)
		case opVersions:
			if w.version >= o.lo && w.version <= o.hi {
				w.fields(o.sub)
			}
		case opNullable:
			if w.int8() != -1 {
				w.fields(o.sub)
			}
		case opTags:
			if w.flexible {
				w.tags(o.known)
			}
		}
	}
}

func (w *walk) array(o *op) {
	n := w.arrayLen()
	if n > len(w.src) { // an element has at least one byte
		w.fail()
		return
	}
	w.spend(int64(max(n, 0)) * int64(o.n))
	if len(o.sub) == 1 && o.sub[0].kind == opFixed {
		w.span(max(n, 0) * o.sub[0].n)
		return
	}
	for ; n > 0 && !w.bad; n-- {
		w.fields(o.sub)
	}
}

func (w *walk) tags(known map[int][]op) {
	n := int64(w.uvarint())
	if 2*n > int64(len(w.src)) { // a tagged field has at least two bytes
		w.fail()
		return
	}
	for ; n > 0 && !w.bad; n-- {
		number := w.uvarint()
		content := w.span(int(w.uvarint()))
		ops, ok := known[int(number)]
		if !ok {
			w.spend(tagCost)
			continue
		}
		rest := w.src
		w.src = content
		w.fields(ops)
		if !w.bad {
			w.src = rest
		}
	}
}

// stringLen and arrayLen return -1 for null.
func (w *walk) stringLen() int {
	if w.flexible {
		return int(w.uvarint()) - 1
	}
	return int(w.int16())
}

func (w *walk) arrayLen() int {
	if w.flexible {
		return int(w.uvarint()) - 1
	}
	return int(w.int32())
}
