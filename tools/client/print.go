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

// Logged prints err on stdout behind prefix and logs its trace, as TopicCommand and its relatives do.
func Logged(c *cli.Context, prefix, source string, err error) error {
	fmt.Fprintf(c.App.Writer, "%s%s\n", prefix, err)
	option.Log(c.App.ErrWriter, "ERROR", source, Trace(err)+"\n")
	return option.Exit(1)
}

// Connect opens the cluster that a tool's usual options name: --bootstrap-server and, if there, --command-config.
func Connect(c *cli.Context, clientID string) (*Cluster, error) {
	p := Properties{}
	if file := c.String("command-config"); file != "" {
		var err error
		if p, err = ReadProperties(file); err != nil {
			return nil, err
		}
	}
	return Open(c.String("bootstrap-server"), p, Options{ClientID: clientID, Log: c.App.ErrWriter})
}
