package jaas

import (
	"errors"
	"fmt"
	"strings"
)

// Login modules that operators name, with what they ask for.
const (
	Plain       = "org.apache.kafka.common.security.plain.PlainLoginModule"
	SCRAM       = "org.apache.kafka.common.security.scram.ScramLoginModule"
	OAuthBearer = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
	Kerberos    = "com.sun.security.auth.module.Krb5LoginModule"
	ZooKeeper   = "org.apache.zookeeper.server.auth.DigestLoginModule" // username and password, for DIGEST-MD5
)

// Module is one entry: a login module's class with its options.
type Module struct {
	Class   string
	Flag    string // required, requisite, sufficient or optional
	Options map[string]string
}

// ParseModules reads the value of a sasl.jaas.config. There is at least one module if the error is nil. Errors are worded as
// Kafka's JaasConfig.java words them.
func ParseModules(text string) ([]Module, error) {
	tokens, err := tokenize(text)
	if err != nil {
		return nil, err
	}
	var modules []Module
	for len(tokens) > 0 {
		var m Module
		if m, tokens, err = parseModule(tokens); err != nil {
			return nil, err
		}
		modules = append(modules, m)
	}
	if len(modules) == 0 {
		return nil, errors.New("Login module not specified in JAAS config")
	}
	return modules, nil
}

// parseModule reads `class flag key=value ... ;` and returns what follows it.
func parseModule(tokens []token) (m Module, rest []token, err error) {
	if len(tokens) == 0 || !tokens[0].word() {
		return m, nil, errors.New("Login module not specified in JAAS config")
	}
	if len(tokens) == 1 || !tokens[1].word() {
		return m, nil, errors.New("Login module control flag not specified in JAAS config")
	}
	m = Module{Class: tokens[0].text, Flag: strings.ToLower(tokens[1].text), Options: map[string]string{}}
	switch m.Flag {
	case "required", "requisite", "sufficient", "optional":
	default:
		return m, nil, fmt.Errorf("Invalid login module control flag '%s' in JAAS config", tokens[1].text)
	}
	for rest = tokens[2:]; ; rest = rest[3:] {
		switch {
		case len(rest) == 0:
			return m, nil, errors.New("JAAS config entry not terminated by semi-colon")
		case rest[0].is(";"):
			return m, rest[1:], nil
		case !rest[0].word():
			return m, nil, fmt.Errorf("%q where a key is due in JAAS config", rest[0].text)
		case len(rest) < 3 || !rest[1].is("=") || !rest[2].word():
			return m, nil, fmt.Errorf("Value not specified for key '%s' in JAAS config", rest[0].text)
		}
		m.Options[rest[0].text] = rest[2].text
	}
}
