package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// validator judges one value of the right type. Reasons are worded as Kafka words them: clients show them, tools
// match them.
type validator interface {
	// check returns the reason against v and what of it to show, or "". v is nil when the key is unset.
	check(key string, v any) (reason string, shown any)
	// String describes what is valid.
	String() string
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int32:
		return float64(v), true
	case int16:
		return float64(v), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

type atLeast int64

func (min atLeast) check(_ string, v any) (string, any) {
	n, ok := number(v)
	switch {
	case !ok:
		return "Value must be non-null", v
	case n < float64(min):
		return "Value must be at least " + strconv.FormatInt(int64(min), 10), v
	}
	return "", v
}

func (min atLeast) String() string { return "[" + strconv.FormatInt(int64(min), 10) + ",...]" }

type rangeOf struct{ min, max float64 }

func between(min, max float64) rangeOf { return rangeOf{min, max} }

func (r rangeOf) check(_ string, v any) (string, any) {
	n, ok := number(v)
	switch {
	case !ok:
		return "Value must be non-null", v
	case n < r.min:
		return "Value must be at least " + short(r.min), v
	case n > r.max:
		return "Value must be no more than " + short(r.max), v
	}
	return "", v
}

func (r rangeOf) String() string { return "[" + short(r.min) + ",...," + short(r.max) + "]" }

func short(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

type choice []string

func oneOf(words ...string) choice { return words }

func (c choice) check(_ string, v any) (string, any) {
	if s, ok := v.(string); ok && slices.Contains(c, s) {
		return "", v
	}
	return "String must be one of: " + strings.Join(c, ", "), v
}

func (c choice) String() string { return "[" + strings.Join(c, ", ") + "]" }

type foldChoice []string

func oneOfFold(words ...string) foldChoice { return words }

func (c foldChoice) check(_ string, v any) (string, any) {
	if s, ok := v.(string); ok && slices.ContainsFunc(c, func(w string) bool { return strings.EqualFold(w, s) }) {
		return "", v
	}
	return "String must be one of (case insensitive): " + strings.Join(c, ", "), v
}

func (c foldChoice) String() string { return "(case insensitive) [" + strings.Join(c, ", ") + "]" }

// listChoice wants every item of a list to be one of the words.
type listChoice choice

func eachOf(words ...string) listChoice { return words }

func (c listChoice) check(key string, v any) (string, any) {
	items, _ := v.([]string)
	for _, item := range items {
		if reason, _ := choice(c).check(key, item); reason != "" {
			return reason, item
		}
	}
	return "", v
}

func (c listChoice) String() string { return choice(c).String() }

type nonEmpty struct{}

func (nonEmpty) check(_ string, v any) (string, any) {
	if v == "" {
		return "String must be non-empty", v
	}
	return "", v
}

func (nonEmpty) String() string { return "non-empty string" }

type nonNull struct{}

func (nonNull) check(_ string, v any) (string, any) {
	if v == nil {
		return "entry must be non null", v
	}
	return "", v
}

func (nonNull) String() string { return "non-null string" }

type gzipLevel struct{}

func (gzipLevel) check(_ string, v any) (string, any) {
	if n, ok := v.(int32); !ok || n != -1 && (n < 1 || n > 9) {
		return "Value must be between 1 and 9 or equal to -1", v
	}
	return "", v
}

func (gzipLevel) String() string { return "[1,...,9] or -1" }

type knownVersion struct{}

func (knownVersion) check(_ string, v any) (string, any) {
	s, _ := v.(string)
	if _, err := ParseVersion(s); err != nil {
		return err.Error(), v
	}
	return "", v
}

func (knownVersion) String() string { return "version" }

// throttledReplicas is "*" or a list of partition:broker; see [ThrottledReplicas].
type throttledReplicas struct{}

var partitionAndBroker = regexp.MustCompile(`^([0-9]+:[0-9]+)?$`)

func (throttledReplicas) check(key string, v any) (string, any) {
	items, _ := v.([]string)
	if strings.Join(items, "") == "*" || !slices.ContainsFunc(items, func(s string) bool { return !partitionAndBroker.MatchString(trim(s)) }) {
		return "", v
	}
	return key + " must be the literal '*' or a list of replicas in the following format: " +
		"[partitionId]:[brokerId],[partitionId]:[brokerId],...", v
}

func (throttledReplicas) String() string {
	return "[partitionId]:[brokerId],[partitionId]:[brokerId],..."
}
