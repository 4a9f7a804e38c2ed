package consume

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/kraal-mq/kraal/tools/javatext"
)

// A deserializer gives the text that Java prints for what the deserializer of a class makes of the bytes.
type deserializer func(b []byte) ([]byte, error)

const serialization = "org.apache.kafka.common.serialization."

// newDeserializer finds a deserializer by its Java class. Those whose objects print as an address or as a position in a
// buffer (ByteArrayDeserializer, ByteBufferDeserializer) give the bytes instead, which is what the user is after.
func newDeserializer(class string) (deserializer, bool) {
	switch strings.TrimPrefix(class, serialization) {
	case "StringDeserializer":
		return func(b []byte) ([]byte, error) { return []byte(javatext.UTF8(b)), nil }, true
	case "ByteArrayDeserializer", "ByteBufferDeserializer":
		return func(b []byte) ([]byte, error) { return b, nil }, true
	case "BytesDeserializer":
		return func(b []byte) ([]byte, error) { return binaryString(b), nil }, true
	case "ShortDeserializer":
		return fixed("ShortDeserializer", 2, func(b []byte) string {
			return strconv.Itoa(int(int16(binary.BigEndian.Uint16(b))))
		}), true
	case "IntegerDeserializer":
		return fixed("IntegerDeserializer", 4, func(b []byte) string {
			return strconv.Itoa(int(int32(binary.BigEndian.Uint32(b))))
		}), true
	case "LongDeserializer":
		return fixed("LongDeserializer", 8, func(b []byte) string {
			return strconv.FormatInt(int64(binary.BigEndian.Uint64(b)), 10)
		}), true
	case "FloatDeserializer":
		return fixed("FloatDeserializer", 4, func(b []byte) string {
			return javatext.Float(math.Float32frombits(binary.BigEndian.Uint32(b)))
		}), true
	case "DoubleDeserializer":
		return fixed("DoubleDeserializer", 8, func(b []byte) string {
			return javatext.Double(math.Float64frombits(binary.BigEndian.Uint64(b)))
		}), true
	case "BooleanDeserializer":
		return boolean, true
	case "UUIDDeserializer":
		return uuid, true
	case "VoidDeserializer":
		return func([]byte) ([]byte, error) { return nil, fmt.Errorf("Data should be null for a VoidDeserializer.") }, true
	}
	return nil, false
}

func fixed(name string, size int, text func([]byte) string) deserializer {
	return func(b []byte) ([]byte, error) {
		if len(b) != size {
			return nil, fmt.Errorf("Size of data received by %s is not %d", name, size)
		}
		return []byte(text(b)), nil
	}
}

func boolean(b []byte) ([]byte, error) {
	switch {
	case len(b) != 1:
		return nil, fmt.Errorf("Size of data received by BooleanDeserializer is not 1")
	case b[0] == 1:
		return []byte("true"), nil
	case b[0] == 0:
		return []byte("false"), nil
	}
	return nil, fmt.Errorf("Unexpected byte received by BooleanDeserializer: %d", int8(b[0]))
}

// uuid prints a UUID sent as text the way java.util.UUID does: each group without regard to its own length.
func uuid(b []byte) ([]byte, error) {
	bad := fmt.Errorf("Error parsing data into UUID")
	groups := strings.Split(string(b), "-")
	if len(b) > 36 || len(groups) != 5 {
		return nil, bad
	}
	var n [5]uint64
	for i, g := range groups {
		v, err := strconv.ParseUint(g, 16, 64)
		if err != nil {
			return nil, bad
		}
		n[i] = v
	}
	return fmt.Appendf(nil, "%08x-%04x-%04x-%04x-%012x", n[0]&0xffffffff, n[1]&0xffff, n[2]&0xffff, n[3]&0xffff, n[4]&0xffffffffffff), nil
}

// binaryString is org.apache.kafka.common.utils.Bytes.toString: printable ASCII as it is, all else as \xNN.
func binaryString(b []byte) []byte {
	var out []byte
	for _, c := range b {
		if c >= ' ' && c <= '~' && c != '\\' {
			out = append(out, c)
			continue
		}
		out = fmt.Appendf(out, `\x%02X`, c)
	}
	return out
}
