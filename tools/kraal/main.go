// Command kraal is the broker and its command-line tools in one binary: `kraal server` runs a broker, `kraal topics`
// is kafka-topics, and so on. Started under the name of one of Kafka's scripts (a link called kafka-topics or
// kafka-topics.sh) it is that tool.
package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/apiversions"
	"github.com/kraal-mq/kraal/tools/cluster"
	"github.com/kraal-mq/kraal/tools/configs"
	"github.com/kraal-mq/kraal/tools/consume"
	"github.com/kraal-mq/kraal/tools/dump"
	"github.com/kraal-mq/kraal/tools/groups"
	"github.com/kraal-mq/kraal/tools/logdirs"
	"github.com/kraal-mq/kraal/tools/offsets"
	"github.com/kraal-mq/kraal/tools/option"
	"github.com/kraal-mq/kraal/tools/partitions"
	"github.com/kraal-mq/kraal/tools/perf"
	"github.com/kraal-mq/kraal/tools/produce"
	"github.com/kraal-mq/kraal/tools/records"
	"github.com/kraal-mq/kraal/tools/serve"
	"github.com/kraal-mq/kraal/tools/topics"
	"github.com/kraal-mq/kraal/tools/txns"
)

// version is set by the linker.
var version = "dev"

func main() {
	os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := newApp(stdin, stdout, stderr)
	return option.Code(app.Run(byName(app, args)), stderr)
}

func newApp(stdin io.Reader, stdout, stderr io.Writer) *cli.App {
	return &cli.App{
		Name:                      "kraal",
		Usage:                     "a broker of the Kafka protocol beside ZooKeeper, and its tools",
		Version:                   version + " (Apache Kafka " + option.KafkaVersion + ")",
		Reader:                    stdin,
		Writer:                    stdout,
		ErrWriter:                 stderr,
		ExitErrHandler:            func(*cli.Context, error) {},
		DisableSliceFlagSeparator: true,
		Action:                    noCommand,
		Commands: []*cli.Command{
			serve.Command(),
			topics.Command(),
			configs.Command(),
			offsets.Command(),
			groups.Command(),
			txns.Command(),
			records.Command(),
			logdirs.Command(),
			partitions.ReassignCommand(),
			partitions.ElectCommand(),
			partitions.VerifyReplicasCommand(),
			cluster.Command(),
			apiversions.Command(),
			dump.Command(),
			produce.Command(),
			consume.Command(),
			perf.ProduceCommand(),
			perf.ConsumeCommand(),
		},
	}
}

func noCommand(c *cli.Context) error {
	if c.Args().Present() {
		return cli.Exit("kraal: no command is called "+c.Args().First()+"; see kraal --help", 1)
	}
	return cli.ShowAppHelp(c)
}

// byName makes `kafka-topics.sh ...` the same as `kraal topics ...`: if the program's own name is that of a command,
// it becomes the first argument.
func byName(app *cli.App, args []string) []string {
	name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(args[0]), ".exe"), ".sh")
	for _, cmd := range app.Commands {
		if cmd.HasName(name) || cmd.HasName(strings.TrimPrefix(name, "kafka-")) {
			return append([]string{app.Name, cmd.Name}, args[1:]...)
		}
	}
	return args
}
