package option

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"
)

// Exit ends a command with code. Whatever there was to say has been printed already.
func Exit(code int) error {
	if code == 0 {
		return nil
	}
	return cli.Exit("", code)
}

// Code is the exit code for what App.Run returned. It prints errors that nobody has printed.
func Code(err error, stderr io.Writer) int {
	var exit cli.ExitCoder
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if message := exit.Error(); message != "" {
			fmt.Fprintln(stderr, message)
		}
		return exit.ExitCode()
	}
	fmt.Fprintln(stderr, err)
	return 1
}

// Log writes one line in the format of the Java tools' log, which goes to stderr from level WARN up. The source stands
// where Java names the logger.
func Log(w io.Writer, level, source, message string) {
	fmt.Fprintf(w, "[%s] %s %s (%s)\n", time.Now().Format("2006-01-02 15:04:05,000"), level, message, source)
}
