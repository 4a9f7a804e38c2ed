package coordlog

import (
	"encoding/base64"
	"strconv"

	"github.com/kraal-mq/kraal/tools/javatext"
)

// object appends one JSON object member by member, in the order given: encoding/json would sort or need a struct per
// version, and it escapes more than Jackson does (<, >, &, U+2028), which shows when a program compares the lines.
type object struct {
	buf   []byte
	comma bool
}

func newObject() *object { return &object{buf: []byte{'{'}} }

func (o *object) key(name string) {
	if o.comma {
		o.buf = append(o.buf, ',')
	}
	o.comma = true
	o.buf = appendString(o.buf, name)
	o.buf = append(o.buf, ':')
}

func (o *object) int(name string, v int64) {
	o.key(name)
	o.buf = strconv.AppendInt(o.buf, v, 10)
}

func (o *object) str(name, v string) {
	o.key(name)
	o.buf = appendString(o.buf, v)
}

func (o *object) optional(name string, v *string) {
	if v == nil {
		o.raw(name, "null")
		return
	}
	o.str(name, *v)
}

func (o *object) bytes(name string, v []byte) {
	if v == nil {
		o.raw(name, "null")
		return
	}
	o.str(name, base64.StdEncoding.EncodeToString(v))
}

func (o *object) raw(name, text string) {
	o.key(name)
	o.buf = append(o.buf, text...)
}

func (o *object) done() string { return string(append(o.buf, '}')) }

// array joins n texts into a JSON array.
func array(n int, item func(i int) string) string {
	buf := []byte{'['}
	for i := range n {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = append(buf, item(i)...)
	}
	return string(append(buf, ']'))
}

func quoted(s string) string { return string(appendString(nil, s)) }

// appendString escapes what JSON requires and nothing else; bytes that are not UTF-8 become U+FFFD as in Java.
func appendString(buf []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	buf = append(buf, '"')
	for _, c := range []byte(javatext.UTF8([]byte(s))) {
		switch c {
		case '"', '\\':
			buf = append(buf, '\\', c)
		case '\b':
			buf = append(buf, `\b`...)
		case '\f':
			buf = append(buf, `\f`...)
		case '\n':
			buf = append(buf, `\n`...)
		case '\r':
			buf = append(buf, `\r`...)
		case '\t':
			buf = append(buf, `\t`...)
		default:
			if c < 0x20 {
				buf = append(buf, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
				continue
			}
			buf = append(buf, c)
		}
	}
	return append(buf, '"')
}
