package dump

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/kraal-mq/kraal/tools/dump/coordlog"
	"github.com/kraal-mq/kraal/tools/javatext"
)

// A decoder puts key and value of a record into words; has tells which of them there is anything to print for.
type decoder func(offset int64, key, value []byte) (k, v string, hasKey, hasValue bool, err error)

func decodeOffsets(offset int64, key, value []byte) (k, v string, hasKey, hasValue bool, err error) {
	if key == nil {
		return "", "", false, false, &javaError{"java.lang.RuntimeException",
			fmt.Sprintf("Failed to decode message at offset %d using offset topic decoder (message had a missing key)", offset)}
	}
	k, v, hasValue = coordlog.DumpOffsets(offset, key, value)
	return k, v, true, hasValue, nil
}

func decodeTransactions(_ int64, key, value []byte) (k, v string, hasKey, hasValue bool, err error) {
	k, v, hasValue, err = coordlog.DumpTransactions(key, value)
	return k, v, err == nil, hasValue, err
}

// A field decoder is one of the classes of --key-decoder-class and --value-decoder-class.
type fieldDecoder func([]byte) (string, error)

func decodeFields(key, value fieldDecoder) decoder {
	return func(_ int64, k, v []byte) (kt, vt string, hasKey, hasValue bool, err error) {
		if k != nil {
			if kt, err = key(k); err != nil {
				return "", "", false, false, err
			}
		}
		if v != nil {
			vt, err = value(v)
		}
		return kt, vt, k != nil, v != nil, err
	}
}

// classDecoder makes a decoder of two classes. The value's comes first, as in Kafka's tool.
func classDecoder(keyClass, valueClass string) (decoder, []string, error) {
	var notices []string
	value, notice, err := newFieldDecoder(valueClass)
	if err != nil {
		return nil, nil, err
	}
	if notice != "" {
		notices = append(notices, notice)
	}
	key, notice, err := newFieldDecoder(keyClass)
	if err != nil {
		return nil, notices, err
	}
	if notice != "" {
		notices = append(notices, notice)
	}
	return decodeFields(key, value), notices, nil
}

const (
	decoders    = "org.apache.kafka.tools.api."
	oldDecoders = "kafka.serializer."
)

// newFieldDecoder finds a decoder by its Java class. notice is what the tool says about a deprecated name. The
// DefaultDecoder gives the bytes as text where Java prints the address of an array.
func newFieldDecoder(class string) (decode fieldDecoder, notice string, err error) {
	name, isOld := strings.CutPrefix(class, oldDecoders)
	if isOld {
		notice = fmt.Sprintf("%s is deprecated. Please use %s instead", class, decoders+name)
	} else {
		name, _ = strings.CutPrefix(class, decoders)
	}
	switch name {
	case "StringDecoder", "DefaultDecoder":
		return func(b []byte) (string, error) { return javatext.UTF8(b), nil }, notice, nil
	case "IntegerDecoder":
		return number("IntegerDecoder", 4, func(b []byte) int64 { return int64(int32(binary.BigEndian.Uint32(b))) }), notice, nil
	case "LongDecoder":
		return number("LongDecoder", 8, func(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }), notice, nil
	}
	return nil, "", &javaError{"java.lang.ClassNotFoundException", class}
}

func number(name string, size int, read func([]byte) int64) fieldDecoder {
	return func(b []byte) (string, error) {
		if len(b) < size {
			return "", fmt.Errorf("%s needs %d bytes, not %d", name, size, len(b))
		}
		return fmt.Sprint(read(b)), nil
	}
}
