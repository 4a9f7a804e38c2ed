package client

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/option"
)

// Thrown prints err on stderr as the Java tools do that catch everything: message, trace, empty line.
func Thrown(c *cli.Context, err error) error {
	fmt.Fprintf(c.App.ErrWriter, "%s\n%s\n\n", err, Trace(err))
	return option.Exit(1)
}

// Uncaught prints err on stderr as the Java runtime does for tools that catch nothing.
func Uncaught(c *cli.Context, err error) error {
	fmt.Fprintf(c.App.ErrWriter, "Exception in thread \"main\" %s\n", Trace(err))
	return option.Exit(1)
}

// Logged prints err on stdout behind prefix and logs its trace, as TopicCommand and its relatives do.
func Logged(c *cli.Context, prefix, source string, err error) error {
	fmt.Fprintf(c.App.Writer, "%s%s\n", prefix, err)
	option.Log(c.App.ErrWriter, "ERROR", source, Trace(err)+"\n")
	return option.Exit(1)
}
