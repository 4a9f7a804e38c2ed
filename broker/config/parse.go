package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Values are bool, string (String, Class, Password), int32, int16, int64, float64, []string, or nil when unset.

// hidden stands for a secret in messages.
const hidden = "[hidden]"

// ValueError is one value that does not fit its key. Its text is that of Kafka's ConfigException.
type ValueError struct {
	Key    string
	Value  string
	Reason string
}

func (e *ValueError) Error() string {
	return fmt.Sprintf("Invalid value %s for configuration %s: %s", e.Value, e.Key, e.Reason)
}

// parse turns text into a value of the key's type and checks it (ConfigDef.parseValue).
func (k Key) parse(text string) (any, error) { return k.parseAs(k.Name, text) }

// parseAs is parse under another name, which the error is to show: a listener form, for instance.
func (k Key) parseAs(name, text string) (any, error) {
	v, reason := parseType(k.Type, text)
	shown := any(text)
	if reason == "" && k.valid != nil {
		reason, shown = k.valid.check(name, v)
	}
	if reason == "" {
		return v, nil
	}
	if k.Sensitive() {
		shown = hidden
	}
	return nil, &ValueError{Key: name, Value: formatForError(shown), Reason: reason}
}

var commaWithBlanks = regexp.MustCompile(`\s*,\s*`)

// parseType returns the value, or why the text is none of the type.
func parseType(t Type, text string) (v any, reason string) {
	s := trim(text)
	var err error
	switch t {
	case Boolean:
		switch {
		case strings.EqualFold(s, "true"):
			return true, ""
		case strings.EqualFold(s, "false"):
			return false, ""
		}
		return nil, "Expected value to be either true or false"
	case Int:
		var n int64
		n, err = strconv.ParseInt(s, 10, 32)
		v = int32(n)
	case Short:
		var n int64
		n, err = strconv.ParseInt(s, 10, 16)
		v = int16(n)
	case Long:
		v, err = strconv.ParseInt(s, 10, 64)
	case Double:
		v, err = parseDouble(s)
	case List:
		if s == "" {
			return []string{}, ""
		}
		return commaWithBlanks.Split(s, -1), ""
	default:
		return s, ""
	}
	if err != nil {
		return nil, "Not a number of type " + t.String()
	}
	return v, ""
}

// parseDouble reads a double as Java does, without its NaN: no key has a use for it, and it passes every range check.
func parseDouble(s string) (float64, error) {
	if n := len(s); n > 1 && strings.ContainsRune("dDfF", rune(s[n-1])) && !strings.HasPrefix(s, "0x") {
		s = s[:n-1]
	}
	f, err := strconv.ParseFloat(s, 64)
	if ne, ok := err.(*strconv.NumError); ok && ne.Err == strconv.ErrRange {
		err = nil // Java rounds to infinity or zero
	}
	if err == nil && math.IsNaN(f) {
		err = strconv.ErrSyntax
	}
	return f, err
}

// trim removes what Java's String.trim removes: everything up to the blank.
func trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' })
}

// format is the canonical text of a value (ConfigDef.convertToString).
func format(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		return strconv.FormatBool(v)
	case int32:
		return strconv.FormatInt(int64(v), 10)
	case int16:
		return strconv.FormatInt(int64(v), 10)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return formatDouble(v)
	case []string:
		return strings.Join(v, ",")
	case string:
		return v
	}
	return fmt.Sprint(v)
}

// formatForError differs for lists, which Java shows in brackets.
func formatForError(v any) string {
	if l, ok := v.([]string); ok {
		return "[" + strings.Join(l, ", ") + "]"
	}
	return format(v)
}

// formatDouble prints as Java's Double.toString: plain between 1e-3 and 1e7, else d.dddE<exponent>.
func formatDouble(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case f == 0:
		if math.Signbit(f) {
			return "-0.0"
		}
		return "0.0"
	}
	if a := math.Abs(f); a >= 1e-3 && a < 1e7 {
		s := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	n, _ := strconv.Atoi(exponent)
	return mantissa + "E" + strconv.Itoa(n)
}

// typedDefault turns the literal of a definition into a value of the key's type.
func typedDefault(k Key) any {
	switch d := k.Default.(type) {
	case int:
		switch k.Type {
		case Short:
			return int16(d)
		case Long:
			return int64(d)
		case Double:
			return float64(d)
		}
		return int32(d)
	case string:
		if k.Type == List {
			v, _ := parseType(List, d)
			return v
		}
	}
	return k.Default
}
