package testkit

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
)

// Session replays on a fleet what Apache Kafka's tools were told to do on theirs, and compares what they say. A recording
// is lines of JSON:
//
//	{"cmd":[...],"stdin":...,"stdout":...,"stderr":...,"exit":n}   a command: a tool by Kafka's name, and its arguments
//	{"file":name,"content":text}                                   a file that commands name
//	{"fleet":"stop 3"}                                             something that happens to a broker
//
// Option tables on stderr are <options>, and log lines are left out. In all texts {b1} and the like stand for what differs
// from fleet to fleet.
type Session struct {
	Tools  map[string]func() *cli.Command
	Places map[string]string                          // what {b1} and the like stand for here, with the braces
	Fleet  func(verb string, broker int)              // does what a fleet line says
	Skip   func(command []string) bool                // commands to leave out; nil: none
	Same   func(command []string, text string) string // makes texts alike that may differ; nil: as they are
}

// settle is how long a fleet may take until it is as it was when the next command was recorded.
const settle = 30 * time.Second

type recordedStep struct {
	Cmd                   []string
	Stdin, Stdout, Stderr string
	Exit                  int
	File, Content, Fleet  string
}

type commandResult struct {
	stdout, stderr string
	exit           int
}

// Replay goes through a recording in testdata. Commands that only look are repeated until they see what was seen then, and
// so are those that fail and did not: the fleet may take its time.
func (s Session) Replay(t *testing.T, recording string) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", recording))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	t.Chdir(t.TempDir())
	var pairs []string
	for placeholder, value := range s.Places {
		pairs = append(pairs, placeholder, value)
	}
	here := strings.NewReplacer(pairs...)
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var step recordedStep
		if err := json.Unmarshal(lines.Bytes(), &step); err != nil {
			t.Fatalf("%s: %v", lines.Bytes(), err)
		}
		switch {
		case step.File != "":
			if err := os.WriteFile(step.File, []byte(here.Replace(step.Content)), 0o600); err != nil {
				t.Fatal(err)
			}
		case step.Fleet != "":
			verb, id, _ := strings.Cut(step.Fleet, " ")
			broker, _ := strconv.Atoi(id)
			s.Fleet(verb, broker)
		case s.Skip == nil || !s.Skip(step.Cmd):
			s.command(t, step, here)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

func (s Session) command(t *testing.T, step recordedStep, here *strings.Replacer) {
	t.Helper()
	args := make([]string, len(step.Cmd))
	for i, arg := range step.Cmd {
		args[i] = here.Replace(arg)
	}
	tool := s.Tools[args[0]]
	if tool == nil {
		t.Fatalf("no tool %s", args[0])
	}
	same := func(text string) string {
		if s.Same != nil {
			text = s.Same(step.Cmd, text)
		}
		return text
	}
	want := commandResult{same(here.Replace(step.Stdout)), same(here.Replace(step.Stderr)), step.Exit}
	looks := slices.ContainsFunc(args, func(arg string) bool { return arg == "--describe" || arg == "--list" || arg == "--verify" })
	for deadline := time.Now().Add(settle); ; {
		stdout, stderr, exit := RunWith(t.Context(), tool(), here.Replace(step.Stdin), args[1:]...)
		got := commandResult{same(stdout), same(reduce(stderr)), exit}
		if got == want {
			return
		}
		if time.Now().After(deadline) || !looks && (exit == 0 || want.exit != 0) {
			t.Errorf("$ %s\n--- got, exit code %d\n%s%s--- want, exit code %d\n%s%s",
				strings.Join(args, " "), got.exit, got.stdout, got.stderr, want.exit, want.stdout, want.stderr)
			return
		}
		time.Sleep(poll)
	}
}

var (
	optionTable = regexp.MustCompile(`(?ms)^Option +Description.*\z`)
	logLines    = regexp.MustCompile(`(?ms)^\[20\d\d-.*\z`)
)

// reduce shortens stderr as the recordings do.
func reduce(text string) string {
	return logLines.ReplaceAllString(optionTable.ReplaceAllString(text, "<options>"), "")
}
