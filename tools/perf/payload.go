package perf

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/kraal-mq/kraal/tools/client"
)

// payload gives the value of the i-th record. The bytes are the caller's.
type payload func(i int64) []byte

// random gives size letters from A to Z, the same ones in every run.
func random(size int) payload {
	source := rand.New(rand.NewPCG(0, 0))
	return func(int64) []byte {
		b := make([]byte, size)
		for i := 0; i < size; {
			// 13 letters out of 64 bits: 26^13 < 2^64
			for bits, n := source.Uint64(), 0; n < 13 && i < size; n, i = n+1, i+1 {
				b[i] = byte('A' + bits%26)
				bits /= 26
			}
		}
		return b
	}
}

func monotonic(i int64) []byte { return strconv.AppendInt(nil, i, 10) }

// fromFile gives pieces of a file by chance. The delimiter is a regular expression, and empty pieces at the end do not
// count (String.split).
func fromFile(path, delimiter string, out io.Writer) (payload, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		full = path
	}
	fmt.Fprintf(out, "Reading payloads from: %s\n", full)
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	if len(text) == 0 {
		return nil, &client.Error{Class: client.IllegalArgument, Message: "File does not exist or empty file provided."}
	}
	if delimiter == `\n` {
		delimiter = "\n"
	}
	expression, err := regexp.Compile(delimiter)
	if err != nil {
		return nil, &client.Error{Class: "java.util.regex.PatternSyntaxException", Message: err.Error()}
	}
	var pieces [][]byte
	for _, piece := range expression.Split(string(text), -1) {
		pieces = append(pieces, []byte(piece))
	}
	for len(pieces) > 1 && len(pieces[len(pieces)-1]) == 0 {
		pieces = pieces[:len(pieces)-1]
	}
	fmt.Fprintf(out, "Number of messages read: %d\n", len(pieces))
	source := rand.New(rand.NewPCG(0, 0))
	return func(int64) []byte { return bytes.Clone(pieces[source.IntN(len(pieces))]) }, nil
}
