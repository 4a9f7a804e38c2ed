package zkstore

import (
	"strings"
	"unicode/utf8"
)

// Group ids, member ids and the like may be any string, and a znode's name may not (ZooKeeper's PathUtils): what it
// refuses is written as %XX, byte by byte. Names that need none of this, which is all that Kafka 0.8 allowed and nearly
// all there are, stay as they are. A name that would read as an escaped one has its percent signs escaped.
const (
	emptyName = "%empty"
	upperHex  = "0123456789ABCDEF"
)

// pathName makes any string the name of one znode.
func pathName(name string) string {
	if name == "" {
		return emptyName
	}
	escaped := escapeName(name, false)
	if strings.Contains(escaped, "%") && nameOfPath(escaped) != name {
		escaped = escapeName(name, true)
	}
	return escaped
}

// nameOfPath is the inverse of pathName.
func nameOfPath(element string) string {
	if element == emptyName {
		return ""
	}
	if !strings.Contains(element, "%") {
		return element
	}
	b := make([]byte, 0, len(element))
	for i := 0; i < len(element); i++ {
		if element[i] == '%' && i+2 < len(element) {
			high, low := strings.IndexByte(upperHex, element[i+1]), strings.IndexByte(upperHex, element[i+2])
			if high >= 0 && low >= 0 {
				b = append(b, byte(high<<4|low))
				i += 2
				continue
			}
		}
		b = append(b, element[i])
	}
	return string(b)
}

func escapeName(name string, percent bool) string {
	whole := name == "." || name == ".."
	var b strings.Builder
	for rest := name; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		if whole || illegalInName(r, size) || percent && r == '%' {
			for _, c := range []byte(rest[:size]) {
				b.WriteByte('%')
				b.WriteByte(upperHex[c>>4])
				b.WriteByte(upperHex[c&15])
			}
		} else {
			b.WriteString(rest[:size])
		}
		rest = rest[size:]
	}
	return b.String()
}

// illegalInName tells what ZooKeeper refuses in a path, which it judges by UTF-16 units: all of a character beyond the
// first plane is illegal.
func illegalInName(r rune, size int) bool {
	return r == '/' || r <= 0x1f || 0x7f <= r && r <= 0x9f || 0xd800 <= r && r <= 0xf8ff || r >= 0xfff0 ||
		r == utf8.RuneError && size <= 1
}
