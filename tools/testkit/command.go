package testkit

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/urfave/cli/v2"
)

// Run runs a command in this process, as `kraal NAME args...` would.
func Run(ctx context.Context, cmd *cli.Command, args ...string) (stdout, stderr string, code int) {
	return RunWith(ctx, cmd, "", args...)
}

// RunWith is Run with something on stdin.
func RunWith(ctx context.Context, cmd *cli.Command, stdin string, args ...string) (stdout, stderr string, code int) {
	var out, errOut bytes.Buffer
	app := &cli.App{
		Reader: strings.NewReader(stdin), Writer: &out, ErrWriter: &errOut, ExitErrHandler: func(*cli.Context, error) {},
		DisableSliceFlagSeparator: true, Commands: []*cli.Command{cmd},
	}
	err := app.RunContext(ctx, append([]string{"kraal", cmd.Name}, args...))
	var exit cli.ExitCoder
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		errOut.WriteString(err.Error() + "\n")
		code = 1
	}
	return out.String(), errOut.String(), code
}
