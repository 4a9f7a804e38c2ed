package dump

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/option"
)

// run is the command as the shell sees it; stdout and stderr come in one, as they do on a terminal.
func run(t *testing.T, args ...string) (output string, code int) {
	t.Helper()
	var out bytes.Buffer
	app := &cli.App{Writer: &out, ErrWriter: &out, ExitErrHandler: func(*cli.Context, error) {}, Commands: []*cli.Command{Command()}}
	code = option.Code(app.Run(append([]string{"kraal", "dump-log"}, args...)), &out)
	return out.String(), code
}

// stray is the brace that Apache Kafka prints after the checksum of a message of format 0 or 1 and kraal does not.
var stray = regexp.MustCompile(`(?m)^(\| offset: \d+ \w+: -?\d+ keySize: -?\d+ valueSize: -?\d+ isValid: \w+ crc: \d+)}`)

// TestGolden compares with what kafka-dump-log 3.9.1 printed for the same files. testdata/<group>/<partition>.txt was
// printed with deep iteration and contents for segments and without options for other files, one call for each file;
// <partition>.<decoder>.txt with that decoder, segments only. LOGDIR stands for the directory of the group.
func TestGolden(t *testing.T) {
	groups, err := filepath.Glob("testdata/*/*.txt")
	if err != nil || len(groups) < 20 {
		t.Fatalf("testdata: %d files, %v", len(groups), err)
	}
	for _, golden := range groups {
		t.Run(strings.TrimPrefix(golden, "testdata/"), func(t *testing.T) {
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			partition, decoder, _ := strings.Cut(strings.TrimSuffix(filepath.Base(golden), ".txt"), ".")
			t.Chdir(filepath.Dir(golden))
			dir, err := os.Getwd()
			if err != nil {
				t.Fatal(err)
			}
			got := strings.ReplaceAll(dumpPartition(t, partition, decoder), dir, "LOGDIR")
			diff(t, got, stray.ReplaceAllString(string(want), "$1"))
		})
	}
}

func dumpPartition(t *testing.T, partition, decoder string) string {
	t.Helper()
	files, err := os.ReadDir(partition)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		file := partition + "/" + f.Name()
		args := []string{"--files", file}
		switch ext := filepath.Ext(file); {
		case ext == ".log" && decoder == "":
			args = append(args, "--deep-iteration", "--print-data-log")
		case ext == ".log":
			args = append(args, "--"+decoder+"-decoder")
		case decoder != "", ext == "":
			continue
		}
		text, code := run(t, args...)
		if code != 0 {
			t.Errorf("%s: exit code %d", file, code)
		}
		all.WriteString(text)
	}
	return all.String()
}

func diff(t *testing.T, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Fatalf("line %d\ngot  %q\nwant %q", i+1, line(g, i), line(w, i))
		}
	}
}

func line(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(end)"
}
