package controller

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the expected text in testdata")

// TestScripts plays testdata/script/*.txt: a command, "----", and what the controller wrote and sent because of it. The
// loop is driven by hand, with a ZooKeeper in memory and brokers that only take notes: no goroutine, no clock, no network.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			stage := newStage()
			runScript(t, file, stage.play)
		})
	}
}

// runScript plays one file: blocks of comment lines, one command line, "----" and the expected lines, ended by an empty line.
func runScript(t *testing.T, file string, play func(command string) string) {
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
