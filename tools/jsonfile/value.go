package jsonfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/kraal-mq/kraal/tools/client"
)

// Value is something in JSON, of which its reader has to say what it should be.
type Value struct{ any any }

// Object is a value with named fields.
type Object struct{ fields map[string]any }

// Object takes the value for an object.
func (v Value) Object() (Object, error) {
	if fields, ok := v.any.(map[string]any); ok {
		return Object{fields}, nil
	}
	return Object{}, Mismatch("Expected JSON object, received " + v.String())
}

// Get returns a field that may be missing.
func (o Object) Get(name string) (v Value, ok bool) {
	v.any, ok = o.fields[name]
	return v, ok
}

// Field returns a field that must be there.
func (o Object) Field(name string) (Value, error) {
	if v, ok := o.Get(name); ok {
		return v, nil
	}
	return Value{}, Mismatch("No such field exists: `" + name + "`")
}

// Version checks the field of that name, which in all these files may be missing or 1.
func (o Object) Version() error {
	v, ok := o.Get("version")
	if !ok {
		return nil
	}
	version, err := v.Int()
	if err == nil && version != 1 {
		err = &client.Error{Class: OperationException, Message: fmt.Sprintf("Not supported version field value %d", version)}
	}
	return err
}

// Array takes the value for an array.
func (v Value) Array() ([]Value, error) {
	list, ok := v.any.([]any)
	if !ok {
		return nil, Mismatch("Expected JSON array, received " + v.String())
	}
	values := make([]Value, len(list))
	for i, each := range list {
		values[i].any = each
	}
	return values, nil
}

// Text takes the value for a string.
func (v Value) Text() (string, error) {
	if text, ok := v.any.(string); ok {
		return text, nil
	}
	return "", v.mismatch("String")
}

// Int takes the value for a number of 32 bits.
func (v Value) Int() (int32, error) {
	n, err := v.integer(math.MinInt32, math.MaxInt32, "Integer")
	return int32(n), err
}

// Long takes the value for a number of 64 bits.
func (v Value) Long() (int64, error) { return v.integer(math.MinInt64, math.MaxInt64, "Long") }

func (v Value) integer(low, high int64, kind string) (int64, error) {
	if number, ok := v.any.(json.Number); ok {
		if n, err := number.Int64(); err == nil && n >= low && n <= high {
			return n, nil
		}
	}
	return 0, v.mismatch(kind)
}

// Ints takes the value for an array of numbers of 32 bits.
func (v Value) Ints() ([]int32, error) { return list(v, Value.Int) }

// Texts takes the value for an array of strings.
func (v Value) Texts() ([]string, error) { return list(v, Value.Text) }

func list[E any](v Value, each func(Value) (E, error)) ([]E, error) {
	entries, ok := v.any.([]any)
	if !ok {
		return nil, v.mismatch("JSON array")
	}
	list := make([]E, len(entries))
	for i, e := range entries {
		var err error
		if list[i], err = each(Value{e}); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Mismatch is the error for JSON that is not what it should be.
func Mismatch(message string) error { return &client.Error{Class: MappingException, Message: message} }

func (v Value) mismatch(kind string) error {
	return Mismatch("Expected `" + kind + "` value, received " + v.String())
}

// String is the value as JSON without blanks.
func (v Value) String() string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v.any); err != nil {
		return fmt.Sprint(v.any)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
