package offsets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/option"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Command returns kafka-get-offsets.
func Command() *cli.Command {
	return option.Tool(&cli.Command{
		Name:  "get-offsets",
		Usage: "show the offsets of partitions at a time",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "bootstrap-server", Usage: "REQUIRED: the brokers to connect to, as `host:port,...`"},
			&cli.StringFlag{Name: "broker-list", Usage: "DEPRECATED: the same, as `host:port,...`; --bootstrap-server wins"},
			&cli.StringFlag{Name: "topic-partitions", Usage: "the partitions, as a list of `topic:partitions,...`: topics are regular expressions, partitions are 5, 0-3 (without 3), 5- or -3, and either may be missing"},
			&cli.StringFlag{Name: "topic", Usage: "the topics, as a regular `expression`; otherwise all"},
			&cli.StringFlag{Name: "partitions", Usage: "the `ids` of the partitions, with commas between; otherwise all"},
			&cli.StringFlag{Name: "time", Value: "latest", Usage: "first offset at or after this `time` in milliseconds; or -1 (latest, the default), -2 (earliest), -3 (max-timestamp), -4 (earliest-local), -5 (latest-tiered)"},
			&cli.StringFlag{Name: "command-config", Usage: "properties `file` with client settings"},
			&cli.BoolFlag{Name: "exclude-internal-topics", Usage: "leave internal topics out"},
		},
		Action: run,
	}, "An interactive shell for getting topic-partition offsets.", func(c *cli.Context, e *option.ParseError) error {
		return failed(c, &client.Error{Class: terse, Message: e.Message})
	})
}

// failed prints err and, unless the tool expects errors of this kind, its trace.
func failed(c *cli.Context, err error) error {
	fmt.Fprintf(c.App.ErrWriter, "Error occurred: %s\n", err)
	if named := new(client.Error); !errors.As(err, &named) || named.Class != terse {
		fmt.Fprintf(c.App.ErrWriter, "%s\n\n", client.Trace(err))
	}
	return option.Exit(1)
}

func run(c *cli.Context) error {
	bootstrap := c.String("bootstrap-server")
	if !c.IsSet("bootstrap-server") {
		bootstrap = c.String("broker-list")
		if !c.IsSet("broker-list") {
			return failed(c, &client.Error{Class: terse, Message: "Missing required option(s) [bootstrap-server]"})
		}
	}
	found, err := fetch(c, bootstrap)
	if err != nil {
		return failed(c, err)
	}
	for _, f := range found {
		fmt.Fprintf(c.App.Writer, "%s:%d:%d\n", f.Topic, f.Partition, f.offset)
	}
	return nil
}

type partitionOffset struct {
	meta.TopicPartition
	offset int64
}

func fetch(c *cli.Context, bootstrap string) ([]partitionOffset, error) {
	if c.IsSet("topic-partitions") && (c.IsSet("topic") || c.IsSet("partitions")) {
		return nil, &client.Error{Class: terse, Message: "--topic-partitions cannot be used with --topic or --partitions"}
	}
	timestamp, err := parseTime(c.String("time"))
	if err != nil {
		return nil, err
	}
	selected, err := selection(c)
	if err != nil {
		return nil, err
	}
	cluster, err := client.ConnectTo(c, bootstrap, c.String("command-config"), "GetOffsetShell")
	if err != nil {
		return nil, err
	}
	defer cluster.Close()
	partitions, err := matching(c, cluster, selected)
	if err != nil {
		return nil, err
	}
	found, failures, err := listOffsets(c.Context, cluster, partitions, timestamp)
	if err != nil {
		return nil, client.Execution(err)
	}
	for _, tp := range partitions {
		if err := failures[tp]; err != nil {
			fmt.Fprintf(c.App.ErrWriter, "Skip getting offsets for topic-partition %s due to error: %s\n", tp, client.Describe(err))
		}
	}
	slices.SortFunc(found, func(a, b partitionOffset) int { return strings.Compare(a.String(), b.String()) })
	return found, nil
}

func selection(c *cli.Context) (selector, error) {
	if c.IsSet("topic-partitions") {
		return byRules(c.String("topic-partitions"))
	}
	return byTopic(c.String("topic"), c.String("partitions"))
}

func matching(c *cli.Context, cluster *client.Cluster, selected selector) ([]meta.TopicPartition, error) {
	metadata, err := cluster.Metadata(c.Context, "listTopics")
	if err != nil {
		return nil, client.Execution(err)
	}
	var partitions []meta.TopicPartition
	for _, t := range metadata.Topics {
		if t.IsInternal && c.Bool("exclude-internal-topics") {
			continue
		}
		for _, p := range t.Partitions {
			if tp := (meta.TopicPartition{Topic: t.Name, Partition: p.ID}); selected(tp) {
				partitions = append(partitions, tp)
			}
		}
	}
	if len(partitions) == 0 {
		return nil, &client.Error{Class: terse, Message: "Could not match any topic-partitions with the specified filters"}
	}
	return partitions, nil
}

// listOffsets asks the leaders. Partitions without an offset for the timestamp are in neither result.
func listOffsets(ctx context.Context, cluster *client.Cluster, partitions []meta.TopicPartition, timestamp int64) ([]partitionOffset, map[meta.TopicPartition]error, error) {
	var found []partitionOffset
	failures, err := cluster.EachLeader(ctx, "listOffsets", partitions,
		func(n *client.Node, partitions []meta.TopicPartition) (map[meta.TopicPartition]error, error) {
			offsets, outcome, err := ask(n, partitions, timestamp)
			found = append(found, offsets...)
			return outcome, err
		})
	return found, failures, err
}
