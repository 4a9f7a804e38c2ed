package config

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/magiconair/properties"
)

// maxFile bounds a properties file: one with inline certificates has some ten thousand bytes.
const maxFile = 4 << 20

// ParseProperties reads Java properties text: # and ! comments, = : or blank as separator, continued lines, \uXXXX;
// the last of several equal keys wins. ${} is not expanded. As in Java, bytes are ISO 8859-1 characters.
func ParseProperties(r io.Reader) (map[string]string, error) { return parseProperties(r, false) }

func parseProperties(r io.Reader, utf8 bool) (map[string]string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read properties: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("read properties: more than %d bytes", maxFile)
	}
	l := properties.Loader{Encoding: properties.ISO_8859_1, DisableExpansion: true}
	if utf8 {
		l.Encoding = properties.UTF8
	}
	p, err := l.LoadBytes(lineFeeds(text))
	if err != nil {
		return nil, fmt.Errorf("read properties: %w", err)
	}
	props := make(map[string]string, p.Len())
	for _, k := range p.Keys() {
		props[k], _ = p.Get(k)
	}
	return props, nil
}

// ParseOverride splits "key=value" of a command line. The value may be empty or hold more equal signs.
func ParseOverride(s string) (key, value string, err error) {
	key, value, ok := strings.Cut(s, "=")
	if key = trim(key); !ok || key == "" {
		return "", "", fmt.Errorf("override %q is not key=value", s)
	}
	return key, value, nil
}

// lineFeeds ends every line as the library expects it: it would take the \n of a continued \r\n for the next line.
func lineFeeds(text []byte) []byte {
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
}
