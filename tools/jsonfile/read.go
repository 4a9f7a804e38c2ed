package jsonfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"unicode"
	"unicode/utf8"

	"github.com/kraal-mq/kraal/tools/client"
)

// Names of the exceptions of Kafka's tools that have to do with their files.
const (
	OperationException     = "org.apache.kafka.server.common.AdminOperationException"
	CommandFailedException = "org.apache.kafka.server.common.AdminCommandFailedException"
	MappingException       = "com.fasterxml.jackson.databind.JsonMappingException"
	ParseException         = "com.fasterxml.jackson.core.JsonParseException"
	IOException            = "java.io.IOException"
)

// maxFile bounds what is read: a plan for a hundred thousand partitions has about ten megabytes.
const maxFile = 256 << 20

// Read returns the content of a file.
func Read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("larger than %d bytes", maxFile)
	}
	if err != nil {
		return nil, unreadable(name, err)
	}
	return text, nil
}

func unreadable(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		err = &client.Error{Class: client.NoSuchFile, Message: name}
	} else {
		err = &client.Error{Class: IOException, Message: err.Error()}
	}
	return &client.Error{Class: IOException, Message: "Unable to read file " + name, Cause: err}
}

// Parse reads the first JSON value of a text.
func Parse(text []byte) (Value, error) {
	if len(text) == 0 {
		return Value{}, &client.Error{Class: ParseException, Message: "The input string shouldn't be empty"}
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v Value
	if err := dec.Decode(&v.any); err != nil {
		return Value{}, &client.Error{Class: ParseException, Message: explain(text, err)}
	}
	return v, nil
}

// explain words a parse error as Jackson does, if it is about a bare word: the mistake it has a sentence for that people
// know. Others keep Go's words.
func explain(text []byte, err error) string {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) || syntax.Offset < 1 || syntax.Offset > int64(len(text)) {
		return err.Error()
	}
	at := int(syntax.Offset) - 1 // Go stops behind the letter it does not like
	start, end := at, at
	for start > 0 && isWord(text[:start], utf8.DecodeLastRune) {
		_, size := utf8.DecodeLastRune(text[:start])
		start -= size
	}
	for end < len(text) && isWord(text[end:], utf8.DecodeRune) {
		_, size := utf8.DecodeRune(text[end:])
		end += size
	}
	if start == end || text[start] >= '0' && text[start] <= '9' {
		return err.Error()
	}
	line := bytes.Count(text[:end], []byte("\n")) + 1
	column := utf8.RuneCount(text[bytes.LastIndexByte(text[:end], '\n')+1:end]) + 1
	return fmt.Sprintf("Unrecognized token '%s': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')\n"+
		" at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: %d, column: %d]", text[start:end], line, column)
}

func isWord(text []byte, decode func([]byte) (rune, int)) bool {
	r, _ := decode(text)
	return r == '_' || r == '$' || unicode.IsLetter(r) || unicode.IsDigit(r)
}
