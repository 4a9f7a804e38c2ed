package wire

import (
	"fmt"
	"strconv"
	"sync"
)

//go:generate go run ./schemagen schema_table.go

// messageText is how schemaTable describes the request and the response of one API key:
//
//	16            16 bytes whatever is in them
//	s, x          a string or bytes, nullable or not; compact in flexible versions
//	a64(...)      an array, nullable or not, of elements that take 64 bytes in memory and consist of ...
//	v3-5(...)     only in versions 3 to 5
//	?(...)        a nullable struct
//	T, T{0:(4)}   tagged fields in flexible versions; those with a number are known and consist of (...)
type messageText struct {
	key, highest, flexible int16 // flexible: first such version, -1: none
	request, response      string
}

// A message is a messageText taken apart.
type message struct {
	highest, flexible int16
	request, response []op
}

func (m *message) isFlexible(version int16) bool { return m.flexible >= 0 && version >= m.flexible }

type opKind uint8

const (
	opFixed opKind = iota
	opString
	opBytes
	opArray
	opVersions
	opNullable
	opTags
)

// An op is one step through a message.
type op struct {
	kind   opKind
	lo, hi int16        // opVersions
	n      int          // opFixed: bytes; opArray: size of an element in memory
	sub    []op         // opArray, opVersions, opNullable
	known  map[int][]op // opTags
}

// schemas is indexed by API key; nil where there is none.
var schemas = sync.OnceValue(func() []*message {
	var table []*message
	for _, t := range schemaTable {
		for int(t.key) >= len(table) {
			table = append(table, nil)
		}
		table[t.key] = &message{
			highest:  t.highest,
			flexible: t.flexible,
			request:  parseSchema(t.request),
			response: parseSchema(t.response),
		}
	}
	return table
})

func schemaOf(key int16) *message {
	if table := schemas(); key >= 0 && int(key) < len(table) {
		return table[key]
	}
	return nil
}

func parseSchema(text string) []op {
	p := schemaParser{text: text}
	ops := p.ops()
	if p.text != "" {
		panic(fmt.Sprintf("schema %q: stuck at %q", text, p.text))
	}
	return ops
}

// schemaParser takes apart a text that was generated, so it panics rather than report.
type schemaParser struct{ text string }

func (p *schemaParser) ops() []op {
	var ops []op
	for p.text != "" && p.text[0] != ')' {
		if p.accept(' ') {
			continue
		}
		ops = append(ops, p.op())
	}
	return ops
}

func (p *schemaParser) op() op {
	switch {
	case p.accept('s'):
		return op{kind: opString}
	case p.accept('x'):
		return op{kind: opBytes}
	case p.accept('a'):
		return op{kind: opArray, n: p.number(), sub: p.group()}
	case p.accept('?'):
		return op{kind: opNullable, sub: p.group()}
	case p.accept('v'):
		o := op{kind: opVersions, lo: int16(p.number()), hi: 1<<15 - 1}
		p.expect('-')
		if p.text[0] != '(' {
			o.hi = int16(p.number())
		}
		o.sub = p.group()
		return o
	case p.accept('T'):
		o := op{kind: opTags}
		if p.accept('{') {
			o.known = map[int][]op{}
			for !p.accept('}') {
				p.accept(' ')
				number := p.number()
				p.expect(':')
				o.known[number] = p.group()
			}
		}
		return o
	}
	return op{kind: opFixed, n: p.number()}
}

func (p *schemaParser) group() []op {
	p.expect('(')
	ops := p.ops()
	p.expect(')')
	return ops
}

func (p *schemaParser) number() int {
	i := 0
	for i < len(p.text) && p.text[i] >= '0' && p.text[i] <= '9' {
		i++
	}
	n, err := strconv.Atoi(p.text[:i])
	if err != nil {
		panic(err)
	}
	p.text = p.text[i:]
	return n
}

func (p *schemaParser) accept(c byte) bool {
	if p.text != "" && p.text[0] == c {
		p.text = p.text[1:]
		return true
	}
	return false
}

func (p *schemaParser) expect(c byte) {
	if !p.accept(c) {
		panic(fmt.Sprintf("schema: expected %q at %q", c, p.text))
	}
}
