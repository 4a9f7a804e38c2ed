package produce

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/kraal-mq/kraal/tools/client"
)

// message is one line taken apart. Nil key, value and header values are nulls. The bytes are the line's own.
type message struct {
	key, value []byte
	headers    []header
}

type header struct {
	key   string
	value []byte
}

// lineFormat says how a line is written: [headers delimiter][key separator]value
// (core/.../tools/ConsoleProducer.scala, LineMessageReader).
type lineFormat struct {
	parseKey, parseHeaders, ignoreError bool

	keySeparator, headersDelimiter, headerKeySeparator []byte

	headersSeparator *regexp.Regexp
	plainSeparator   []byte // the same, if it has no special characters: no need of the machine
	nullMarker       []byte // nil: nothing stands for null
}

func newLineFormat(p client.Properties) (*lineFormat, error) {
	text := func(name, fallback string) string {
		if v, ok := p[name]; ok {
			return v
		}
		return fallback
	}
	yes := func(name string) bool { return strings.EqualFold(strings.TrimSpace(p[name]), "true") }
	key, delimiter := text("key.separator", "\t"), text("headers.delimiter", "\t")
	separator, headerKey := text("headers.separator", ","), text("headers.key.separator", ":")
	marker, hasMarker := p["null.marker"]
	for _, c := range []struct {
		equal bool
		names string
	}{
		{delimiter == separator, "headers.delimiter and headers.separator"},
		{delimiter == headerKey, "headers.delimiter and headers.key.separator"},
		{separator == headerKey, "headers.separator and headers.key.separator"},
		{hasMarker && marker == key, "null.marker and key.separator"},
		{hasMarker && marker == separator, "null.marker and headers.separator"},
		{hasMarker && marker == delimiter, "null.marker and headers.delimiter"},
		{hasMarker && marker == headerKey, "null.marker and headers.key.separator"},
	} {
		if c.equal {
			return nil, &client.Error{Class: client.KafkaException, Message: c.names + " may not be equal"}
		}
	}
	expression, err := regexp.Compile(separator)
	if err != nil {
		return nil, &client.Error{Class: "java.util.regex.PatternSyntaxException", Message: fmt.Sprintf("headers.separator: %v", err)}
	}
	f := &lineFormat{parseKey: yes("parse.key"), parseHeaders: yes("parse.headers"), ignoreError: yes("ignore.error"),
		keySeparator: []byte(key), headersDelimiter: []byte(delimiter), headerKeySeparator: []byte(headerKey), headersSeparator: expression}
	if regexp.QuoteMeta(separator) == separator && separator != "" {
		f.plainSeparator = []byte(separator)
	}
	if hasMarker {
		f.nullMarker = []byte(marker)
	}
	return f, nil
}

// parse takes a line apart; number counts from 1. All separators split at their first occurrence.
func (f *lineFormat) parse(line []byte, number int) (message, error) {
	var m message
	rest := line
	if f.parseHeaders {
		headers, after, ok := bytes.Cut(rest, f.headersDelimiter)
		switch {
		case !ok && !f.ignoreError:
			return m, unparsable("No headers delimiter found on line number %d: '%s'", number, line)
		case ok:
			rest = after
			if !f.isNull(headers) {
				var err error
				if m.headers, err = f.headers(headers, number); err != nil {
					return m, err
				}
			}
		}
	}
	if f.parseKey {
		key, after, ok := bytes.Cut(rest, f.keySeparator)
		switch {
		case !ok && !f.ignoreError:
			return m, unparsable("No key separator found on line number %d: '%s'", number, line)
		case ok:
			rest, m.key = after, f.field(key)
		}
	}
	m.value = f.field(rest)
	return m, nil
}

func (f *lineFormat) headers(text []byte, number int) ([]header, error) {
	var headers []header
	for _, pair := range f.split(text) {
		key, value, ok := bytes.Cut(pair, f.headerKeySeparator)
		switch {
		case !ok && !f.ignoreError:
			return nil, unparsable("No header key separator found in pair '%s' on line number %d", pair, number)
		case !ok:
			headers = append(headers, header{string(pair), nil})
			continue
		case f.isNull(key):
			return nil, unparsable("Header keys should not be equal to the null marker '%s' as they can't be null", f.nullMarker)
		}
		headers = append(headers, header{string(key), f.field(value)})
	}
	return headers, nil
}

// split is java.util.regex.Pattern.split: empty strings at the end are dropped, and so is one before a match of no
// width at the start; without a match the text is given whole.
func (f *lineFormat) split(text []byte) [][]byte {
	var parts [][]byte
	if f.plainSeparator != nil {
		parts = bytes.Split(text, f.plainSeparator)
	} else {
		from := 0
		for _, m := range f.headersSeparator.FindAllIndex(text, -1) {
			if m[1] == 0 {
				continue
			}
			if m[0] == m[1] && m[0] == len(text) {
				break
			}
			parts = append(parts, text[from:m[0]])
			from = m[1]
		}
		parts = append(parts, text[from:])
	}
	if len(parts) == 1 {
		return parts
	}
	for len(parts) > 0 && len(parts[len(parts)-1]) == 0 {
		parts = parts[:len(parts)-1]
	}
	return parts
}

func (f *lineFormat) isNull(field []byte) bool {
	return f.nullMarker != nil && bytes.Equal(field, f.nullMarker)
}

// field is nil for a null; an empty field is empty, not null.
func (f *lineFormat) field(b []byte) []byte {
	switch {
	case f.isNull(b):
		return nil
	case b == nil:
		return []byte{}
	}
	return b
}

func unparsable(format string, args ...any) error {
	return &client.Error{Class: client.KafkaException, Message: fmt.Sprintf(format, args...)}
}
