package testkit

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

// Script plays one file: blocks of comment lines, one command line, "----" and the lines it is expected to give, ended by an empty
// line. With -update it writes what the commands gave instead.
func Script(t *testing.T, file string, play func(command string) string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for block := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
		head, want, _ := strings.Cut(block+"\n", "----\n")
		lines := strings.Split(strings.TrimSpace(head), "\n")
		command := lines[len(lines)-1]
		out.WriteString(strings.Join(lines, "\n"))
		if strings.HasPrefix(command, "#") {
			out.WriteString("\n\n")
			continue
		}
		got := play(command)
		if got != want && !*update {
			t.Errorf("%s: %s\n--- got\n%s--- want\n%s", file, command, got, want)
		}
		fmt.Fprintf(&out, "\n----\n%s\n", got)
	}
	if *update {
		if err := os.WriteFile(file, append(bytes.TrimRight(out.Bytes(), "\n"), '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
