package groups

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/option"
)

// Command returns kafka-consumer-groups.
func Command() *cli.Command {
	return option.Tool(&cli.Command{
		Name:  "consumer-groups",
		Usage: "list, describe and delete consumer groups, and reset their offsets",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "bootstrap-server", Usage: "REQUIRED, unless --zookeeper is there: the brokers to connect to, as `host:port,...`"},
			&cli.StringFlag{Name: "zookeeper", Usage: "look at what is in ZooKeeper itself, at `host:port/chroot`: --list, --describe and --delete only"},
			&cli.StringFlag{Name: "zk-tls-config-file", Usage: "properties `file` with the settings for TLS to ZooKeeper"},
			&cli.StringFlag{Name: "command-config", Usage: "properties `file` with client settings"},
			&cli.BoolFlag{Name: "list", Usage: "list all groups"},
			&cli.BoolFlag{Name: "describe", Usage: "describe groups and the lag of their offsets"},
			&cli.BoolFlag{Name: "delete", Usage: "delete groups with all their offsets"},
			&cli.BoolFlag{Name: "reset-offsets", Usage: "move the offsets of a group that nobody is a member of"},
			&cli.BoolFlag{Name: "delete-offsets", Usage: "delete a group's offsets of --topic"},
			&cli.StringSliceFlag{Name: "group", Usage: "the `group`; may be repeated"},
			&cli.BoolFlag{Name: "all-groups", Usage: "every group"},
			&cli.StringSliceFlag{Name: "topic", Usage: "the `topic[:0,1,...]`, with the partitions meant; may be repeated"},
			&cli.BoolFlag{Name: "all-topics", Usage: "with --reset-offsets: every topic the group has offsets of"},
			&cli.Int64Flag{Name: "timeout", Value: 5000, Usage: "how many `ms` a call may take, for instance until a new group has a coordinator"},
			&cli.BoolFlag{Name: "offsets", Usage: "with --describe: offsets and lag (default)"},
			&cli.BoolFlag{Name: "members", Usage: "with --describe: the members"},
			&cli.GenericFlag{Name: "state", Value: new(optional), Usage: "with --describe: the group's state; with --list: show states, of `S,...` only"},
			&cli.GenericFlag{Name: "type", Value: new(optional), Usage: "with --list: show types, of `T,...` only"},
			&cli.BoolFlag{Name: "verbose", Usage: "with --describe --members: show what is assigned"},
			&cli.BoolFlag{Name: "to-earliest", Usage: "reset to the first offset"},
			&cli.BoolFlag{Name: "to-latest", Usage: "reset to the end"},
			&cli.BoolFlag{Name: "to-current", Usage: "reset to what is committed"},
			&cli.StringFlag{Name: "to-offset", Usage: "reset to an `offset`"},
			&cli.StringFlag{Name: "shift-by", Usage: "reset to the committed offset and `n` more, or less if negative"},
			&cli.StringFlag{Name: "to-datetime", Usage: "reset to a `time`: YYYY-MM-DDTHH:mm:SS.sss, in UTC unless a zone follows"},
			&cli.StringFlag{Name: "by-duration", Usage: "reset to so long ago: an ISO-8601 `duration` such as P1DT2H"},
			&cli.StringFlag{Name: "from-file", Usage: "reset to what a CSV `file` says"},
			&cli.BoolFlag{Name: "dry-run", Usage: "with --reset-offsets: only show what would be done"},
			&cli.BoolFlag{Name: "execute", Usage: "with --reset-offsets: do it"},
			&cli.BoolFlag{Name: "export", Usage: "with --reset-offsets: print CSV, for --from-file"},
		},
		Action: run,
	}, "This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, or reset consumer group offsets.", thrown)
}

// optional is a flag whose value may be missing, and may be the next argument: see value.
type optional struct{}

func (*optional) Set(string) error { return nil }
func (*optional) String() string   { return "" }

// IsBoolFlag lets the value be missing.
func (*optional) IsBoolFlag() bool { return true }

// value returns what was given with an optional flag: --state=Stable or --state Stable.
func value(c *cli.Context, name string) string {
	args := option.Arguments(c)
	for i, arg := range args {
		given, text, has := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch {
		case given != name || !strings.HasPrefix(arg, "-"):
		case has:
			return text
		case i+1 < len(args) && !strings.HasPrefix(args[i+1], "-"):
			return args[i+1]
		}
	}
	return ""
}

const (
	scopes     = "[all-groups], [group]"
	strategies = "[to-offset], [to-current], [to-datetime], [from-file], [by-duration], [to-earliest], [to-latest], [shift-by]"
)

var strategyNames = []string{"to-offset", "shift-by", "to-datetime", "by-duration", "to-earliest", "to-latest", "to-current", "from-file"}

func run(c *cli.Context) error {
	if c.IsSet("zookeeper") && !c.IsSet("bootstrap-server") {
		return overZooKeeper(c)
	}
	if err := check(c); err != nil {
		return err
	}
	verbs := map[string]func(*tool) error{"list": (*tool).list, "describe": (*tool).describe, "delete": (*tool).delete,
		"reset-offsets": (*tool).reset, "delete-offsets": (*tool).deleteOffsets}
	cluster, err := client.Connect(c, "adminclient-1")
	if err != nil {
		return failed(c, err)
	}
	defer cluster.Close()
	t := &tool{Context: c, cluster: cluster}
	for name, verb := range verbs { // one of them was asked for
		if c.Bool(name) {
			err = verb(t)
		}
	}
	if wrong := new(usageError); errors.As(err, &wrong) {
		return option.Wrong(c, wrong.message)
	}
	if err != nil {
		return failed(c, err)
	}
	return nil
}

// check is what ConsumerGroupCommandOptions.checkArgs checks, in its order.
func check(c *cli.Context) error {
	if err := option.Required(c, "bootstrap-server"); err != nil {
		return err
	}
	scoped := c.IsSet("group") || c.IsSet("all-groups")
	switch {
	case c.Bool("describe") && !scoped:
		return option.Wrong(c, "Option [describe] takes one of these options: [reset-offsets], [describe], [delete], [list]")
	case c.Bool("describe") && count(c, "members", "offsets", "state") > 1:
		return option.Wrong(c, "Option [describe] takes at most one of these options: [members], [offsets], [state]")
	case c.Bool("describe") && value(c, "state") != "":
		return option.Wrong(c, "Option [describe] does not take a value for [state]")
	case c.Bool("delete") && !scoped:
		return option.Wrong(c, "Option [delete] takes one of these options: "+scopes)
	case c.Bool("delete-offsets") && !(c.IsSet("group") && c.IsSet("topic")):
		return option.Wrong(c, "Option [delete-offsets] takes the following options: "+scopes)
	case c.Bool("reset-offsets"):
		if err := checkReset(c, scoped); err != nil {
			return err
		}
	}
	if err := option.Excludes(c, "group", "all-groups"); err != nil {
		return err
	}
	for _, verb := range []string{"list", "describe", "delete"} {
		if c.Bool(verb) && c.IsSet("topic") {
			return option.Wrong(c, fmt.Sprintf("Option \"[topic]\" can't be used with option \"[%s]\"", verb))
		}
	}
	if count(c, "list", "describe", "delete", "reset-offsets", "delete-offsets") != 1 {
		return option.Wrong(c, "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, --delete-offsets")
	}
	return nil
}

func checkReset(c *cli.Context, scoped bool) error {
	if c.Bool("dry-run") && c.Bool("execute") {
		return option.Wrong(c, "Option [reset-offsets] only accepts one of [execute] and [dry-run]")
	}
	if !c.Bool("dry-run") && !c.Bool("execute") {
		fmt.Fprintln(c.App.ErrWriter, "WARN: No action will be performed as the --execute option is missing."+
			"In a future major release, the default behavior of this command will be to prompt the user before executing the reset rather than doing "+
			"a dry run. You should add the --dry-run option explicitly if you are scripting this command and want to keep the current default "+
			"behavior without prompting.")
	}
	if !scoped {
		return option.Wrong(c, "Option [reset-offsets] takes one of these options: "+scopes)
	}
	given := slices.DeleteFunc(slices.Clone(strategyNames), func(name string) bool { return !c.IsSet(name) })
	switch {
	case len(given) == 0:
		return option.Wrong(c, "Option '[reset-offsets]' requires one of the following scenarios: ["+strategies+"]")
	case len(given) > 1:
		slices.SortFunc(given, func(a, b string) int { return slices.Index(strategyOrder, a) - slices.Index(strategyOrder, b) })
		return option.Wrong(c, fmt.Sprintf("Option \"[%s]\" can't be used with option \"[%s]\"", given[0], given[1]))
	case !c.IsSet("topic") && !c.Bool("all-topics") && !c.IsSet("from-file"):
		return option.Wrong(c, "One of the reset scopes should be defined: --all-topics, --topic.")
	}
	return nil
}

// strategyOrder is the order in which two strategies are complained of.
var strategyOrder = []string{"to-offset", "to-datetime", "by-duration", "to-earliest", "to-latest", "to-current", "shift-by", "from-file"}

func count(c *cli.Context, names ...string) (n int) {
	for _, name := range names {
		if c.IsSet(name) {
			n++
		}
	}
	return n
}

// failed prints what went wrong as ConsumerGroupCommand does: on stdout, with the trace on stderr, and exits with 0.
func failed(c *cli.Context, err error) error {
	fmt.Fprintf(c.App.Writer, "\nError: Executing consumer group command failed due to %s\n", message(err))
	fmt.Fprintf(c.App.ErrWriter, "%s\n\n", client.Trace(err))
	return nil
}

func thrown(c *cli.Context, e *option.ParseError) error {
	if e.Class == option.BadValue {
		return failed(c, &client.Error{Class: e.Class, Message: e.Message})
	}
	fmt.Fprintf(c.App.ErrWriter, "Exception in thread \"main\" %s: %s\n\n", e.Class, e.Message)
	return option.Exit(1)
}
