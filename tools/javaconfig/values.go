package javaconfig

import (
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
)

// KeyValues reads the arguments of options like --property: key=value, or key for an empty value.
func KeyValues(args []string) (client.Properties, error) {
	p := client.Properties{}
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		if key == "" {
			return nil, &client.Error{Class: client.IllegalArgument, Message: "Invalid command line properties: " + strings.Join(args, " ")}
		}
		p[key] = value
	}
	return p, nil
}

// Load reads a properties file, if there is one, and puts the key=value arguments over it.
func Load(file string, args []string) (client.Properties, error) {
	p := client.Properties{}
	if file != "" {
		var err error
		if p, err = client.ReadProperties(file); err != nil {
			return nil, err
		}
	}
	over, err := KeyValues(args)
	if err != nil {
		return nil, err
	}
	for key, value := range over {
		p[key] = value
	}
	return p, nil
}

// Merge puts an option's value into p if the option was given, or if p has none (CommandLineUtils.maybeMergeOptions).
func Merge(c *cli.Context, p client.Properties, key, option string) {
	if _, has := p[key]; !has || c.IsSet(option) {
		p[key] = fmt.Sprint(c.Value(option))
	}
}

// Seeds splits bootstrap.servers into addresses.
func Seeds(p client.Properties) ([]string, error) {
	var seeds []string
	for entry := range strings.SplitSeq(p["bootstrap.servers"], ",") {
		entry = strings.TrimSpace(entry)
		if _, after, ok := strings.Cut(entry, "://"); ok {
			entry = after
		}
		if entry == "" {
			continue
		}
		host, port, err := net.SplitHostPort(entry)
		if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || host == "" {
			return nil, configError("Invalid url in bootstrap.servers: " + entry)
		}
		seeds = append(seeds, net.JoinHostPort(host, port))
	}
	if len(seeds) == 0 {
		return nil, configError("No resolvable bootstrap urls given in bootstrap.servers")
	}
	return seeds, nil
}

func configError(message string) error {
	return &client.Error{Class: client.ConfigException, Message: message}
}

func invalid(key, value, why string) error {
	return configError(fmt.Sprintf("Invalid value %s for configuration %s: %s", value, key, why))
}

// values reads settings and keeps the first complaint.
type values struct {
	p   client.Properties
	err error
}

func (v *values) text(key, fallback string) string {
	if s := strings.TrimSpace(v.p[key]); s != "" {
		return s
	}
	return fallback
}

func (v *values) fail(err error) {
	if v.err == nil {
		v.err = err
	}
}

func (v *values) number(key string, fallback, low, high int64) int64 {
	s := v.text(key, "")
	if s == "" {
		return fallback
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil:
		v.fail(invalid(key, s, "Not a number of type INT"))
	case n < low:
		v.fail(invalid(key, s, fmt.Sprintf("Value must be at least %d", low)))
	case n > high:
		v.fail(invalid(key, s, fmt.Sprintf("Value must be no more than %d", high)))
	default:
		return n
	}
	return fallback
}

func (v *values) size(key string, fallback, low int32) int32 {
	return int32(v.number(key, int64(fallback), int64(low), math.MaxInt32))
}

// millis is a duration; Java's longest are taken for a century, which Go can count.
func (v *values) millis(key string, fallback time.Duration) time.Duration {
	const century = 100 * 365 * 24 * time.Hour
	n := v.number(key, fallback.Milliseconds(), 0, math.MaxInt64)
	return time.Duration(min(n, century.Milliseconds())) * time.Millisecond
}

func (v *values) boolean(key string, fallback bool) bool {
	s := v.text(key, "")
	switch strings.ToLower(s) {
	case "":
		return fallback
	case "true", "false":
		return strings.EqualFold(s, "true")
	}
	v.fail(invalid(key, s, "Expected value to be either true or false"))
	return fallback
}

func (v *values) oneOf(key, fallback string, choices ...string) string {
	s := v.text(key, fallback)
	if !slices.Contains(choices, s) {
		v.fail(invalid(key, s, "String must be one of: "+strings.Join(choices, ", ")))
	}
	return s
}
