package partitions

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/option"
)

// actions are what kafka-reassign-partitions does, each with the options it must and the others it may be given.
var actions = []struct {
	name      string
	required  []string
	permitted []string
	run       func(*tool) error
}{
	{"generate", []string{"topics-to-move-json-file", "broker-list"}, []string{"disable-rack-aware"}, (*tool).generate},
	{"execute", []string{planFile}, []string{"additional", "throttle", "replica-alter-log-dirs-throttle", "timeout", keepFactor}, (*tool).execute},
	{"verify", []string{planFile}, []string{"preserve-throttles"}, (*tool).verify},
	{"cancel", []string{planFile}, []string{"preserve-throttles", "timeout"}, (*tool).cancel},
	{"list", nil, nil, (*tool).list},
}

const (
	planFile   = "reassignment-json-file"
	keepFactor = "disallow-replication-factor-change"
)

// ReassignCommand returns kafka-reassign-partitions.
func ReassignCommand() *cli.Command {
	return option.Tool(&cli.Command{
		Name:  "reassign-partitions",
		Usage: "move partitions between brokers and between log directories",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "bootstrap-server", Usage: "REQUIRED: the brokers to connect to, as `host:port,...`"},
			&cli.StringFlag{Name: "command-config", Usage: "properties `file` with client settings"},
			&cli.BoolFlag{Name: "generate", Usage: "propose where the partitions of --topics-to-move-json-file could be on the brokers of --broker-list; moves nothing"},
			&cli.BoolFlag{Name: "execute", Usage: "start what --reassignment-json-file says"},
			&cli.BoolFlag{Name: "verify", Usage: "tell how far --reassignment-json-file has got, and remove the throttles once nothing moves any more"},
			&cli.BoolFlag{Name: "cancel", Usage: "take back what is under way of --reassignment-json-file"},
			&cli.BoolFlag{Name: "list", Usage: "name all partitions that are moving"},
			&cli.StringFlag{Name: planFile, Usage: `JSON ` + "`file`" + ` with where partitions should be: {"partitions":[{"topic":"foo","partition":1,` +
				`"replicas":[1,2],"log_dirs":["any","/data/x"]}],"version":1}; log_dirs may be left out`},
			&cli.StringFlag{Name: "topics-to-move-json-file", Usage: `JSON ` + "`file`" + ` with topics: {"topics":[{"topic":"foo"}],"version":1}`},
			&cli.StringFlag{Name: "broker-list", Usage: "`ids` of the brokers to propose, with commas between"},
			&cli.BoolFlag{Name: "disable-rack-aware", Usage: "propose as if there were no racks"},
			&cli.Int64Flag{Name: "throttle", Value: -1, Usage: "limit moves between brokers to this many `bytes` a second, at least 1000; with --additional it changes the limit of what is under way"},
			&cli.Int64Flag{Name: "replica-alter-log-dirs-throttle", Value: -1, Usage: "limit moves between log directories to this many `bytes` a second, at least 1000"},
			&cli.Int64Flag{Name: "timeout", Value: 10000, Usage: "how many `ms` to wait until moves between log directories have begun"},
			&cli.BoolFlag{Name: "additional", Usage: "execute although other reassignments are under way"},
			&cli.BoolFlag{Name: keepFactor, Usage: "execute nothing that would change how many replicas a partition has"},
			&cli.BoolFlag{Name: "preserve-throttles", Usage: "leave the throttles alone"},
		},
		Action: reassign,
	}, "This tool helps to move topic partitions between replicas.", parseError)
}

// parseError tells numbers that are none, which Kafka meets only once it is at work, from the rest, which it does not catch.
func parseError(c *cli.Context, e *option.ParseError) error {
	err := &client.Error{Class: e.Class, Message: e.Message}
	if e.Class == option.BadValue {
		return failed(c, err)
	}
	return client.Uncaught(c, err)
}

// tool is one run of kafka-reassign-partitions.
type tool struct {
	*cli.Context
	cluster *client.Cluster
}

func (t *tool) print(format string, args ...any) { fmt.Fprintf(t.App.Writer, format, args...) }

// warn says on stderr what Kafka's tool has no words for.
func (t *tool) warn(format string, args ...any) {
	option.Log(t.App.ErrWriter, "WARN", "kraal.reassign", fmt.Sprintf(format, args...))
}

func reassign(c *cli.Context) error {
	var chosen []int
	for i, a := range actions {
		if c.IsSet(a.name) {
			chosen = append(chosen, i)
		}
	}
	if len(chosen) != 1 {
		return option.Wrong(c, "Command must include exactly one action: --generate, --execute, --verify, --cancel, --list")
	}
	action := actions[chosen[0]]
	if !c.IsSet("bootstrap-server") {
		return option.Wrong(c, "Please specify --bootstrap-server")
	}
	if err := option.Required(c, action.required...); err != nil {
		return err
	}
	allowed := slices.Concat([]string{action.name, "bootstrap-server", "command-config"}, action.required, action.permitted)
	for _, name := range given(c) {
		if !slices.Contains(allowed, name) {
			return option.Wrong(c, fmt.Sprintf("Option \"[%s]\" can't be used with action \"[%s]\"", name, action.name))
		}
	}
	cluster, err := client.Connect(c, "reassign-partitions-tool")
	if err != nil {
		return failed(c, err)
	}
	defer cluster.Close()
	if err := action.run(&tool{Context: c, cluster: cluster}); err != nil {
		return failed(c, err)
	}
	return nil
}

// given names the options on the command line, in their order there.
func given(c *cli.Context) []string {
	var names []string
	for _, arg := range option.Arguments(c) {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		known := slices.ContainsFunc(c.Command.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
		if strings.HasPrefix(arg, "-") && known {
			names = append(names, name)
		}
	}
	return names
}

// terse is a failure that is told without a stack trace.
type terse struct{ message string }

func (e *terse) Error() string { return e.message }

// interrupted is the end of a tool that was told to stop.
const interrupted = 130

func failed(c *cli.Context, err error) error {
	var short *terse
	switch {
	case errors.As(err, &short):
		fmt.Fprintln(c.App.Writer, short.message)
	case errors.Is(err, context.Canceled):
		return option.Exit(interrupted)
	default:
		fmt.Fprintf(c.App.Writer, "Error: %s\n%s\n\n", err, client.Trace(err))
	}
	return option.Exit(1)
}

// interruptible makes the context of an action that has to clean up behind itself end with the first SIGINT or SIGTERM. The
// second ends the process. The function returned makes signals do what they did.
func (t *tool) interruptible() (restore func()) {
	before := t.Context.Context
	ctx, stop := signal.NotifyContext(before, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	t.Context.Context = ctx
	return func() {
		stop()
		t.Context.Context = before
	}
}
