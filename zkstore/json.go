package zkstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Znodes are read as strictly as Kafka reads them (Json.scala, DecodeJson.scala): key names are compared by case, an
// integer is an integral JSON number that fits, a mandatory key must be there, unknown keys and whatever follows the
// first value are ignored. Left to itself encoding/json accepts keys of any case and fails on trailing bytes.
type object map[string]json.RawMessage

var errNoData = errors.New("no data")

func parseObject(data []byte) (object, error) {
	if len(data) == 0 {
		return nil, errNoData
	}
	var o object
	if err := json.Unmarshal(data, &o); err != nil {
		o = nil
		if err := json.NewDecoder(bytes.NewReader(data)).Decode(&o); err != nil {
			return nil, err
		}
	}
	if o == nil {
		return nil, errors.New("not a JSON object")
	}
	return o, nil
}

// mandatory decodes a key that must be there.
func mandatory[T any](o object, key string, decode func(json.RawMessage) (T, error)) (v T, err error) {
	raw, found := o[key]
	if !found {
		return v, fmt.Errorf("%q is missing", key)
	}
	if v, err = decode(raw); err != nil {
		return v, fmt.Errorf("%q: %w", key, err)
	}
	return v, nil
}

// optional decodes a key that may be missing or null.
func optional[T any](o object, key string, decode func(json.RawMessage) (T, error), absent T) (T, error) {
	if raw, found := o[key]; !found || string(raw) == "null" {
		return absent, nil
	}
	return mandatory(o, key, decode)
}

func asInt[T ~int8 | ~int16 | ~int32 | ~int64 | ~int](bits int) func(json.RawMessage) (T, error) {
	return func(raw json.RawMessage) (T, error) {
		n, err := strconv.ParseInt(string(raw), 10, bits)
		if err != nil {
			return 0, fmt.Errorf("%.40s is not an integer of %d bits", raw, bits)
		}
		return T(n), nil
	}
}

func asString(raw json.RawMessage) (s string, err error) {
	if raw[0] != '"' {
		return "", fmt.Errorf("%.40s is not a string", raw)
	}
	err = json.Unmarshal(raw, &s)
	return s, err
}

// asDecimal is a number written as a string, as Kafka does with some longs.
func asDecimal(raw json.RawMessage) (int64, error) {
	s, err := asString(raw)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(s, 10, 64)
}

// asTimestamp is milliseconds since 1970 written as a string.
func asTimestamp(raw json.RawMessage) (time.Time, error) {
	ms, err := asDecimal(raw)
	return time.UnixMilli(ms), err
}

func asObject(raw json.RawMessage) (o object, err error) {
	if raw[0] != '{' {
		return nil, fmt.Errorf("%.40s is not an object", raw)
	}
	err = json.Unmarshal(raw, &o)
	return o, err
}

func asList[T any](decode func(json.RawMessage) (T, error)) func(json.RawMessage) ([]T, error) {
	return func(raw json.RawMessage) ([]T, error) {
		if raw[0] != '[' {
			return nil, fmt.Errorf("%.40s is not a list", raw)
		}
		var raws []json.RawMessage
		if err := json.Unmarshal(raw, &raws); err != nil {
			return nil, err
		}
		list := make([]T, len(raws))
		for i, r := range raws {
			v, err := decode(r)
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		return list, nil
	}
}

func asStringMap(raw json.RawMessage) (map[string]string, error) {
	o, err := asObject(raw)
	if err != nil {
		return nil, err
	}
	m := make(map[string]string, len(o))
	for k := range o {
		if m[k], err = mandatory(o, k, asString); err != nil {
			return nil, err
		}
	}
	return m, nil
}

var (
	asBrokerIDs = asList(asInt[meta.BrokerID](32))
	asStrings   = asList(asString)
)

// appendString writes a JSON string the way Jackson does: only quotes, backslashes and control characters are escaped.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= ' ':
			b = append(b, c)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c == '\r':
			b = append(b, `\r`...)
		default:
			b = append(b, `\u00`...)
			b = append(b, upperHex[c>>4], upperHex[c&15])
		}
	}
	return append(b, '"')
}

func appendInt[T ~int | ~int16 | ~int32 | ~int64](b []byte, n T) []byte {
	return strconv.AppendInt(b, int64(n), 10)
}

// appendList writes "[a,b]".
func appendList[T any](b []byte, list []T, one func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = one(b, v)
	}
	return append(b, ']')
}

func appendBrokerIDs(b []byte, ids []meta.BrokerID) []byte {
	return appendList(b, ids, appendInt[meta.BrokerID])
}

// appendStringMap writes an object of strings with its keys in the order Kafka would most likely write them.
func appendStringMap(b []byte, m map[string]string) []byte {
	b = append(b, '{')
	for i, k := range javaOrder(m) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, k)
		b = append(b, ':')
		b = appendString(b, m[k])
	}
	return append(b, '}')
}

// javaOrder returns the keys of m in the order of a java.util.Properties, which is what Kafka writes entity configs
// from: by slot of a hash table of 16 slots that doubles when three quarters full. Readers do not care; but a znode
// rewritten by either system then stays the same bytes. Keys sharing a slot are in Kafka in the order they were put.
func javaOrder(m map[string]string) []string {
	slots := uint32(16)
	for uint32(len(m)) >= slots/4*3 {
		slots *= 2
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if c := int(javaHash(a)&(slots-1)) - int(javaHash(b)&(slots-1)); c != 0 {
			return c
		}
		return bytes.Compare([]byte(a), []byte(b))
	})
	return keys
}

// javaHash is String.hashCode, spread as ConcurrentHashMap does. Config keys are ASCII.
func javaHash(s string) uint32 {
	var h uint32
	for i := range len(s) {
		h = 31*h + uint32(s[i])
	}
	return (h ^ h>>16) & 0x7fffffff
}

func unreadable(path string, err error) error {
	if err == nil {
		return nil
	}
	return &UnreadableError{Path: path, Err: err}
}
