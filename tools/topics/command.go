package topics

import (
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/option"
)

var actions = []string{"create", "list", "alter", "describe", "delete"}

const altersConfigs = " (the kafka-configs CLI supports altering topic configs with a --bootstrap-server option)"

// Command returns kafka-topics.
func Command() *cli.Command {
	cmd := option.Tool(&cli.Command{
		Name:   "topics",
		Usage:  "list, describe, create, alter and delete topics",
		Flags:  flags(),
		Action: run,
	}, "This tool helps to create, delete, describe, or change a topic.", parseError)
	// Unlike the other tools, this one has a sentence of its own for being called without arguments.
	action := cmd.Action
	cmd.Action = func(c *cli.Context) error {
		if len(option.Arguments(c)) == 0 {
			return option.Wrong(c, "Create, delete, describe, or change a topic.")
		}
		return action(c)
	}
	return cmd
}

func flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "bootstrap-server", Usage: "REQUIRED unless --zookeeper is given: the brokers to connect to, as `host:port,...`"},
		&cli.StringFlag{Name: "zookeeper", Usage: "DEPRECATED: go to ZooKeeper at `host:port/chroot` instead of to the brokers"},
		&cli.StringFlag{Name: "command-config", Usage: "properties `file` with client settings; only with --bootstrap-server"},
		&cli.BoolFlag{Name: "list", Usage: "name the topics"},
		&cli.BoolFlag{Name: "create", Usage: "create a topic"},
		&cli.BoolFlag{Name: "delete", Usage: "delete topics"},
		&cli.BoolFlag{Name: "alter", Usage: "add partitions to topics" + altersConfigs},
		&cli.BoolFlag{Name: "describe", Usage: "show topics and their partitions"},
		&cli.StringFlag{Name: "topic", Usage: "the `topic`; except with --create it is a regular expression"},
		&cli.StringFlag{Name: "topic-id", Usage: "describe the topic with this `id`; wins over --topic"},
		&cli.StringSliceFlag{Name: "config", Usage: "set a topic configuration `name=value` with --create; may be repeated"},
		&cli.StringSliceFlag{Name: "delete-config", Usage: "remove the configuration `name`; only with --zookeeper"},
		&cli.IntFlag{Name: "partitions", Usage: "the `number` of partitions to create, or to grow to; without it the broker's default. Growing a topic whose records have keys changes which partition a key belongs to"},
		&cli.IntFlag{Name: "replication-factor", Usage: "the `number` of replicas of each partition; without it the broker's default"},
		&cli.StringFlag{Name: "replica-assignment", Usage: "place replicas by hand: `0:1:2,1:2:0,...`, a list of broker ids per partition"},
		&cli.BoolFlag{Name: "under-replicated-partitions", Usage: "describe only partitions that miss replicas in the ISR"},
		&cli.BoolFlag{Name: "unavailable-partitions", Usage: "describe only partitions without a live leader"},
		&cli.BoolFlag{Name: "under-min-isr-partitions", Usage: "describe only partitions with fewer in-sync replicas than min.insync.replicas"},
		&cli.BoolFlag{Name: "at-min-isr-partitions", Usage: "describe only partitions with exactly min.insync.replicas in-sync replicas"},
		&cli.BoolFlag{Name: "topics-with-overrides", Usage: "describe only topics with a configuration of their own"},
		&cli.BoolFlag{Name: "if-exists", Usage: "alter, delete and describe: a missing topic is no error"},
		&cli.BoolFlag{Name: "if-not-exists", Usage: "create: an existing topic is no error"},
		&cli.BoolFlag{Name: "exclude-internal", Usage: "list and describe: leave internal topics out"},
		&cli.IntFlag{Name: "partition-size-limit-per-response", Usage: "page `size` of DescribeTopicPartitions; unused in ZooKeeper mode"},
		&cli.BoolFlag{Name: "force", Usage: "ignored; accepted with --zookeeper"},
		&cli.BoolFlag{Name: "disable-rack-aware", Usage: "create and alter with --zookeeper: place replicas as if there were no racks"},
	}
}

// parseError tells numbers that are none from the rest: Kafka meets those only when it executes the command.
func parseError(c *cli.Context, e *option.ParseError) error {
	if e.Class == option.BadValue {
		return failed(c, &client.Error{Class: e.Class, Message: e.Message})
	}
	return option.Thrown(c, e)
}

func failed(c *cli.Context, err error) error {
	return client.Logged(c, "Error while executing topic command : ", "kraal.topics", err)
}

func run(c *cli.Context) error {
	if err := check(c); err != nil {
		return err
	}
	if c.IsSet("describe") && c.IsSet("if-exists") && c.IsSet("topic") && c.IsSet("topic-id") {
		fmt.Fprintln(c.App.Writer, "Only topic id will be used when both --topic and --topic-id are specified and topicId is not Uuid.ZERO_UUID")
	}
	if c.IsSet("zookeeper") {
		return runZooKeeper(c)
	}
	cluster, err := client.Connect(c, "adminclient-1")
	if err != nil {
		return client.Thrown(c, err)
	}
	defer cluster.Close()
	switch {
	case c.IsSet("create"):
		err = create(c, cluster)
	case c.IsSet("alter"):
		err = alter(c, cluster)
	case c.IsSet("list"):
		err = list(c, cluster)
	case c.IsSet("describe"):
		err = describe(c, cluster)
	case c.IsSet("delete"):
		err = remove(c, cluster)
	}
	if err != nil {
		return failed(c, err)
	}
	return nil
}

func check(c *cli.Context) error {
	given := slices.DeleteFunc(slices.Clone(actions), func(name string) bool { return !c.IsSet(name) })
	if len(given) != 1 {
		return option.Wrong(c, "Command must include exactly one action: --list, --describe, --create, --alter or --delete")
	}
	switch {
	case !c.IsSet("bootstrap-server") && !c.IsSet("zookeeper"):
		return option.Throw(c, client.IllegalArgument, "--bootstrap-server must be specified")
	case c.IsSet("bootstrap-server") && c.IsSet("zookeeper"):
		return client.Uncaught(c, &client.Error{Class: client.IllegalArgument, Message: "Only one of --bootstrap-server or --zookeeper must be specified"})
	}
	if c.IsSet("describe") && c.IsSet("if-exists") && !c.IsSet("topic") && !c.IsSet("topic-id") {
		return option.Wrong(c, "--topic or --topic-id is required to describe a topic")
	}
	if !c.IsSet("list") && !c.IsSet("describe") {
		if err := option.Required(c, "topic"); err != nil {
			return err
		}
	}
	if c.IsSet("create") && c.IsSet("zookeeper") && !c.IsSet("replica-assignment") {
		if err := option.Required(c, "partitions", "replication-factor"); err != nil {
			return err
		}
	}
	if c.IsSet("alter") && c.IsSet("bootstrap-server") {
		if c.IsSet("config") {
			return option.Wrong(c, `Option combination "[[bootstrap-server], [config]]" can't be used with option "[alter]"`+altersConfigs)
		}
		if err := option.Required(c, "partitions"); err != nil {
			return err
		}
	}
	return checkExclusions(c)
}

// checkExclusions refuses options that do not go with the action or with each other.
func checkExclusions(c *cli.Context) error {
	only := func(name string, with ...string) error {
		return option.Excludes(c, name, slices.DeleteFunc(slices.Clone(actions), func(a string) bool { return slices.Contains(with, a) })...)
	}
	checks := []func() error{
		func() error { return only("config", "alter", "create") },
		func() error { return only("delete-config", "alter") },
		func() error { return option.Excludes(c, "delete-config", "bootstrap-server") },
		func() error { return only("partitions", "alter", "create") },
		func() error { return only("replication-factor", "create") },
		func() error { return only("replica-assignment", "alter", "create") },
		func() error {
			if !c.IsSet("create") {
				return nil
			}
			return option.Excludes(c, "replica-assignment", "partitions", "replication-factor")
		},
	}
	for _, report := range partitionFilters {
		checks = append(checks,
			func() error { return only(report, "describe") },
			func() error { return option.Excludes(c, report, "topics-with-overrides") })
	}
	for _, name := range []string{"under-min-isr-partitions", "at-min-isr-partitions", "topic-id", "command-config"} {
		checks = append(checks, func() error { return option.Excludes(c, name, "zookeeper") })
	}
	return option.First(append(checks,
		func() error { return only("topics-with-overrides", "describe") },
		func() error { return only("if-exists", "alter", "delete", "describe") },
		func() error { return only("if-not-exists", "create") },
		func() error { return only("exclude-internal", "list", "describe") },
	)...)
}

// partitionFilters are the options that reduce describe to certain partitions.
var partitionFilters = []string{
	"under-replicated-partitions", "under-min-isr-partitions", "at-min-isr-partitions", "unavailable-partitions",
}
