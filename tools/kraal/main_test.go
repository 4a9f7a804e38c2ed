package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// usage.jsonl holds command lines that need no cluster, most of them wrong, and what the tools of Apache Kafka 3.9.1 (those
// with --zookeeper: 2.8.2) answer. Option tables are reduced to <options>, and log lines left out.
func TestUsageAsInKafka(t *testing.T) {
	recorded, err := os.ReadFile("testdata/usage.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for line := range strings.Lines(string(recorded)) {
		var r struct {
			File, Content  string
			Cmd            []string
			Stdout, Stderr string
			Exit           int
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.File != "" {
			if err := os.WriteFile(r.File, []byte(r.Content), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		for i, arg := range r.Cmd {
			r.Cmd[i] = strings.NewReplacer("{b1}", "127.0.0.1:1", "{zk}", "127.0.0.1:1").Replace(arg)
		}
		t.Run(strings.Join(r.Cmd, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(r.Cmd, strings.NewReader(""), &stdout, &stderr); code != r.Exit {
				t.Errorf("exit code %d, want %d", code, r.Exit)
			}
			if got := reduce(stdout.String()); got != r.Stdout {
				t.Errorf("stdout %q, want %q", got, r.Stdout)
			}
			if got := reduce(stderr.String()); got != r.Stderr {
				t.Errorf("stderr %q, want %q", got, r.Stderr)
			}
		})
	}
}

var (
	optionTable = regexp.MustCompile(`(?ms)^Option +Description.*\z`)
	logLines    = regexp.MustCompile(`(?ms)^\[20\d\d-.*\z`)
)

func reduce(text string) string {
	return logLines.ReplaceAllString(optionTable.ReplaceAllString(text, "<options>"), "")
}

// The names of Kafka's scripts, as links to this program.
func TestCalledByScriptName(t *testing.T) {
	for _, name := range []string{"kafka-topics", "kafka-topics.sh", "/opt/kafka/bin/kafka-topics.sh", "topics", "kraal"} {
		var stdout, stderr bytes.Buffer
		args := []string{name, "--version"}
		if filepath.Base(name) == "kraal" {
			args = []string{name, "topics", "-version"}
		}
		if code := run(args, strings.NewReader(""), &stdout, &stderr); code != 0 || stdout.String() != "3.9.1\n" {
			t.Errorf("%v: exit code %d, stdout %q, stderr %q", args, code, &stdout, &stderr)
		}
	}
}

func TestUnknownCommand(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := run([]string{"kraal", "nonsense"}, strings.NewReader(""), &stdout, &stderr)
	if code != 1 || stdout.Len() > 0 || !strings.Contains(stderr.String(), "nonsense") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, &stdout, &stderr)
	}
}

// Every tool of Kafka's answers --help with exit code 1 and lists each option it has: joptsimple's on stderr, argparse4j's
// on stdout.
func TestHelpListsEveryOption(t *testing.T) {
	for _, cmd := range newApp(nil, nil, nil).Commands {
		if len(cmd.Subcommands) > 0 || !cmd.HideHelp {
			continue
		}
		var stdout, stderr bytes.Buffer
		if code := run([]string{"kraal", cmd.Name, "--help"}, strings.NewReader(""), &stdout, &stderr); code != 1 {
			t.Errorf("%s --help: exit code %d", cmd.Name, code)
		}
		for _, f := range cmd.Flags {
			if help := stderr.String() + stdout.String(); !strings.Contains(help, "--"+f.Names()[0]) {
				t.Errorf("%s --help does not list --%s", cmd.Name, f.Names()[0])
			}
		}
	}
}
