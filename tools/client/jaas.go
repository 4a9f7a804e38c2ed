package client

import (
	"errors"
	"fmt"
	"strings"
)

// parseJAAS reads one login module entry as sasl.jaas.config holds it: class, control flag, key=value pairs, semicolon.
func parseJAAS(text string) (class string, options map[string]string, err error) {
	tokens, err := jaasTokens(text)
	if err != nil {
		return "", nil, fmt.Errorf("sasl.jaas.config: %w", err)
	}
	if len(tokens) < 3 || tokens[len(tokens)-1] != ";" {
		return "", nil, errors.New("sasl.jaas.config: want a login module class, a control flag, options and a semicolon")
	}
	switch strings.ToLower(tokens[1]) {
	case "required", "requisite", "sufficient", "optional":
	default:
		return "", nil, fmt.Errorf("sasl.jaas.config: %q is no control flag", tokens[1])
	}
	options = map[string]string{}
	rest := tokens[2 : len(tokens)-1]
	for ; len(rest) >= 3 && rest[1] == "="; rest = rest[3:] {
		options[rest[0]] = rest[2]
	}
	if len(rest) > 0 {
		return "", nil, fmt.Errorf("sasl.jaas.config: want key=value, not %q", rest[0])
	}
	return tokens[0], options, nil
}

// jaasTokens splits at blanks, '=' and ';'. Quotes, single or double, group; a backslash inside of them escapes.
func jaasTokens(text string) ([]string, error) {
	var tokens []string
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			i++
		case c == '=' || c == ';':
			tokens = append(tokens, string(c))
			i++
		case c == '"' || c == '\'':
			var b strings.Builder
			for i++; ; i++ {
				if i == len(text) {
					return nil, errors.New("a quote is not closed")
				}
				if text[i] == c {
					break
				}
				if text[i] == '\\' && i+1 < len(text) {
					i++
				}
				b.WriteByte(text[i])
			}
			i++
			tokens = append(tokens, b.String())
		default:
			end := strings.IndexAny(text[i:], " \t\r\n=;\"'")
			if end < 0 {
				end = len(text) - i
			}
			tokens = append(tokens, text[i:i+end])
			i += end
		}
	}
	return tokens, nil
}
