package serve

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// refused runs the command with a properties file that cannot work, and returns its exit code and what it says.
func refused(t *testing.T, args ...string) (code int, message string) {
	t.Helper()
	var out strings.Builder
	app := &cli.App{Name: "kraal", Commands: []*cli.Command{Command()}, Writer: &out, ErrWriter: &out, ExitErrHandler: func(*cli.Context, error) {}}
	err := app.RunContext(t.Context(), append([]string{"kraal", "server"}, args...))
	var exit cli.ExitCoder
	if !errors.As(err, &exit) {
		t.Fatalf("%v: it ended with %v", args, err)
	}
	return exit.ExitCode(), exit.Error()
}

// What keeps a broker from starting is said all at once, and with it the warning that may explain it.
func TestWrongPropertiesAreExplained(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.properties")
	if err := os.WriteFile(file, []byte("broker.id=x\nzookeeper.conect=localhost:2181\nlog.dirs=/data\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, message := refused(t, file, "--override", "num.partitions=0")
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	want := "kraal server: " + file + `: configuration: 3 problems
  broker.id=x: Not a number of type INT
  num.partitions=0: Value must be at least 1
  zookeeper.connect=: is required and has no default
  warning: zookeeper.conect: unknown key, ignored: did you mean zookeeper.connect?`
	if message != want {
		t.Errorf("got\n%s\nwant\n%s", message, want)
	}
}

func TestWrongArguments(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{nil, "usage: kraal server server.properties"},
		{[]string{"a", "b"}, "usage: kraal server server.properties"},
		{[]string{filepath.Join(t.TempDir(), "none")}, "no such file"},
		{[]string{"a", "--override"}, "--override needs property=value"},
		{[]string{"a", "--override", "nonsense"}, "nonsense"},
	} {
		if code, message := refused(t, c.args...); code != 1 || !strings.HasPrefix(message, "kraal server: ") || !strings.Contains(message, c.says) {
			t.Errorf("%v: %d %s", c.args, code, message)
		}
	}
}
