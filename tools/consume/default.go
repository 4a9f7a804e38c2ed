package consume

import (
	"bufio"
	"strconv"
	"strings"
)

// defaultFormatter prints the fields asked for in the fixed order timestamp, partition, offset, headers, key, value
// (tools/.../consumer/DefaultMessageFormatter.java).
type defaultFormatter struct {
	timestamp, partition, offset, headers, key, value bool

	keySeparator, lineSeparator, headersSeparator, null string

	keyText, valueText, headerText deserializer // nil: the bytes as they are
	scratch                        []byte
}

func newDefaultFormatter(properties map[string]string, report func(string)) *defaultFormatter {
	f := &defaultFormatter{value: true, keySeparator: "\t", lineSeparator: "\n", headersSeparator: ",", null: "null"}
	for name, field := range map[string]*bool{"print.timestamp": &f.timestamp, "print.partition": &f.partition, "print.offset": &f.offset,
		"print.headers": &f.headers, "print.key": &f.key, "print.value": &f.value} {
		if v, ok := properties[name]; ok {
			*field = strings.EqualFold(strings.TrimSpace(v), "true")
		}
	}
	for name, field := range map[string]*string{"key.separator": &f.keySeparator, "line.separator": &f.lineSeparator,
		"headers.separator": &f.headersSeparator, "null.literal": &f.null} {
		if v, ok := properties[name]; ok {
			*field = v
		}
	}
	for name, field := range map[string]*deserializer{"key.deserializer": &f.keyText, "value.deserializer": &f.valueText,
		"headers.deserializer": &f.headerText} {
		class, ok := properties[name]
		if !ok {
			continue
		}
		if *field, ok = newDeserializer(class); !ok {
			report("Unable to instantiate a deserializer from " + class)
		}
	}
	return f
}

// write builds the whole text first, so that a record that cannot be deserialized leaves no half line behind.
func (f *defaultFormatter) write(out *bufio.Writer, r *record) error {
	b := f.scratch[:0]
	separate := func(more bool) {
		if more {
			b = append(b, f.keySeparator...)
		} else {
			b = append(b, f.lineSeparator...)
		}
	}
	if f.timestamp {
		if r.timestampType == "" {
			b = append(b, "NO_TIMESTAMP"...)
		} else {
			b = append(append(b, r.timestampType...), ':')
			b = strconv.AppendInt(b, r.timestamp, 10)
		}
		separate(f.offset || f.partition || f.headers || f.key || f.value)
	}
	if f.partition {
		b = strconv.AppendInt(append(b, "Partition:"...), int64(r.partition), 10)
		separate(f.offset || f.headers || f.key || f.value)
	}
	if f.offset {
		b = strconv.AppendInt(append(b, "Offset:"...), r.offset, 10)
		separate(f.headers || f.key || f.value)
	}
	var err error
	if f.headers {
		if b, err = f.appendHeaders(b, r.headers); err != nil {
			return err
		}
		separate(f.key || f.value)
	}
	if f.key {
		if b, err = f.append(b, r.key, f.keyText); err != nil {
			return err
		}
		separate(f.value)
	}
	if f.value {
		if b, err = f.append(b, r.value, f.valueText); err != nil {
			return err
		}
		b = append(b, f.lineSeparator...)
	}
	f.scratch = b
	out.Write(b)
	return nil
}

func (f *defaultFormatter) appendHeaders(b []byte, headers []header) ([]byte, error) {
	if len(headers) == 0 {
		return append(b, "NO_HEADERS"...), nil
	}
	var err error
	for i, h := range headers {
		if i > 0 {
			b = append(b, f.headersSeparator...)
		}
		b = append(append(b, h.key...), ':')
		if b, err = f.append(b, h.value, f.headerText); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// append adds one field. A null is printed as the literal without asking the deserializer; Kafka gives the literal's
// own bytes to it, which an IntegerDeserializer takes for 1853189228.
func (f *defaultFormatter) append(b, field []byte, text deserializer) ([]byte, error) {
	if field == nil {
		return append(b, f.null...), nil
	}
	if text == nil {
		return append(b, field...), nil
	}
	t, err := text(field)
	return append(b, t...), err
}
