package meta

import (
	"fmt"
	"strings"
)

// Sanitize makes a user, client id or ip fit to be part of a path, as Kafka's Sanitizer does: Java's URL encoding, with
// spaces as %20 and the asterisk encoded too. Unlike [net/url.QueryEscape] that encodes the tilde.
func Sanitize(name string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// Desanitize is the inverse of [Sanitize]; a plus stands for a space, as URLs have it.
func Desanitize(name string) (string, error) {
	if !strings.ContainsAny(name, "%+") {
		return name, nil
	}
	b := make([]byte, 0, len(name))
	for i := 0; i < len(name); i++ {
		switch c := name[i]; c {
		case '+':
			b = append(b, ' ')
		case '%':
			if i+2 >= len(name) || unhex(name[i+1]) < 0 || unhex(name[i+2]) < 0 {
				return "", fmt.Errorf("%q is not URL-encoded", name)
			}
			b = append(b, byte(unhex(name[i+1])<<4|unhex(name[i+2])))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return string(b), nil
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
