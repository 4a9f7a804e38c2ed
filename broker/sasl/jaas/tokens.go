package jaas

import (
	"errors"
	"strings"
)

// token is a word or one of the marks { } = ; where quoted text is always a word.
type token struct {
	text   string
	quoted bool
}

func (t token) is(mark string) bool { return !t.quoted && t.text == mark }

// word reports whether t is no mark.
func (t token) word() bool { return t.quoted || !strings.Contains("{}=;", t.text) }

const (
	blanks = " \t\r\n\f"
	marks  = "{}=;"
)

// tokenize splits text as Java's StreamTokenizer is set up to in JaasConfig and in sun.security.provider.ConfigFile, except that
// a single slash begins no comment and numbers are words.
func tokenize(text string) ([]token, error) {
	var tokens []token
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case strings.IndexByte(blanks, c) >= 0:
			i++
		case strings.HasPrefix(text[i:], "//"):
			end := strings.IndexByte(text[i:], '\n')
			if end < 0 {
				return tokens, nil
			}
			i += end
		case strings.HasPrefix(text[i:], "/*"):
			end := strings.Index(text[i+2:], "*/")
			if end < 0 {
				return nil, errors.New("a comment is not closed")
			}
			i += 2 + end + 2
		case strings.IndexByte(marks, c) >= 0:
			tokens = append(tokens, token{text: text[i : i+1]})
			i++
		case c == '"' || c == '\'':
			word, rest, err := unquote(text[i+1:], c)
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, token{word, true})
			i = len(text) - len(rest)
		default:
			end := i
			for end < len(text) && strings.IndexByte(blanks+marks+`"'`, text[end]) < 0 && !strings.HasPrefix(text[end:], "//") && !strings.HasPrefix(text[end:], "/*") {
				end++
			}
			tokens = append(tokens, token{text: text[i:end]})
			i = end
		}
	}
	return tokens, nil
}

// unquote reads up to the closing quote. Escapes are those of StreamTokenizer: letters for control characters, one to three
// octal digits, and any other character for itself.
func unquote(text string, quote byte) (word, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case quote:
			return b.String(), text[i+1:], nil
		case '\r', '\n':
			return "", "", errors.New("a quote is not closed on its line")
		case '\\':
			if i++; i == len(text) {
				continue
			}
			if n := octal(text[i:]); n > 0 {
				value := 0
				for _, d := range []byte(text[i : i+n]) {
					value = value*8 + int(d-'0')
				}
				b.WriteRune(rune(value))
				i += n - 1
				continue
			}
			if k := strings.IndexByte("abfnrtv", text[i]); k >= 0 {
				b.WriteByte("\a\b\f\n\r\t\v"[k])
				continue
			}
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errors.New("a quote is not closed")
}

// octal counts the digits at the start of text that make up one character, up to \377.
func octal(text string) int {
	limit := 2
	if text[0] <= '3' {
		limit = 3
	}
	n := 0
	for n < min(limit, len(text)) && text[n] >= '0' && text[n] <= '7' {
		n++
	}
	return n
}
