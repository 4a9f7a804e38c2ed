package groups

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/option"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// overZooKeeper lists and describes what is below /consumers, and deletes it, as Kafka's tool did for the old consumer. Log ends
// are asked of the brokers that are registered.
func overZooKeeper(c *cli.Context) error {
	switch verbs := count(c, "list", "describe", "delete"); {
	case verbs != 1 || c.Bool("reset-offsets") || c.Bool("delete-offsets"):
		return option.Wrong(c, "Command must include exactly one action: --list, --describe, --delete")
	case c.Bool("describe") && !c.IsSet("group"):
		return option.Wrong(c, "Option [describe] takes this option: [group]")
	case c.Bool("delete") && !c.IsSet("group") && !c.IsSet("topic"):
		return option.Wrong(c, "Option [delete] either takes [group], [topic], or both")
	}
	fmt.Fprintln(c.App.ErrWriter, "Note: This will only show information about consumers that use ZooKeeper (not those using the Java consumer API).")
	z, err := client.ZooKeeper(c.Context, c.String("zookeeper"), c.String("zk-tls-config-file"))
	if err != nil {
		return failed(c, err)
	}
	defer z.Session().Close()
	switch {
	case c.Bool("list"):
		err = listZooKeeper(c, z)
	case c.Bool("describe"):
		for _, group := range c.StringSlice("group") {
			err = errors.Join(err, describeZooKeeper(c, z, group))
		}
	default:
		err = deleteZooKeeper(c, z)
	}
	if err != nil {
		return failed(c, err)
	}
	return nil
}

func listZooKeeper(c *cli.Context, z *zkstore.Store) error {
	groups, err := z.OffsetGroups(c.Context)
	for _, g := range groups {
		fmt.Fprintln(c.App.Writer, g)
	}
	return err
}

// describeZooKeeper prints a group's offsets and who owns the partitions.
func describeZooKeeper(c *cli.Context, z *zkstore.Store, group string) error {
	stored, broken, err := z.GroupOffsets(c.Context, group)
	if err != nil {
		return err
	}
	for tp, err := range broken {
		option.Log(c.App.ErrWriter, "WARN", source, fmt.Sprintf("the offset of %s cannot be read: %v", tp, err))
	}
	owners, err := z.ConsumerOwners(c.Context, group)
	if err != nil {
		return err
	}
	if len(stored) == 0 && len(owners) == 0 {
		fmt.Fprintf(c.App.Writer, "Error: The consumer group '%s' does not exist.\n", group)
		return nil
	}
	committed := map[meta.TopicPartition]int64{}
	for tp, o := range stored {
		committed[tp] = o.Offset
	}
	ends := logEnds(c, z, slices.Collect(maps.Keys(committed)))
	var rows []lag
	all := maps.Clone(committed)
	for tp := range owners {
		all[tp] = 0
	}
	for _, tp := range slices.SortedFunc(maps.Keys(all), meta.TopicPartition.Compare) {
		owner := owners[tp]
		if owner == "" {
			owner = missing
		}
		rows = append(rows, lagOf(tp, committed, ends, member{id: owner, host: missing, clientID: missing}))
	}
	if len(owners) == 0 {
		fmt.Fprintf(c.App.ErrWriter, "Consumer group '%s' has no active members.\n", group)
	}
	fmt.Fprint(c.App.Writer, offsetsTable(group, rows))
	return nil
}

// logEnds asks the brokers where logs end; without any that answers, ends are unknown.
func logEnds(c *cli.Context, z *zkstore.Store, partitions []meta.TopicPartition) map[meta.TopicPartition]int64 {
	brokers, _, err := z.Brokers(c.Context)
	if err != nil {
		return nil
	}
	for _, b := range brokers {
		for _, e := range b.Endpoints {
			cluster, err := client.ConnectTo(c, fmt.Sprintf("%s:%d", e.Host, e.Port), c.String("command-config"), "consumer-groups")
			if err != nil {
				continue
			}
			ends, err := (&tool{Context: c, cluster: cluster}).endings(partitions, latest)
			cluster.Close()
			if err == nil {
				return ends
			}
		}
	}
	return nil
}

func deleteZooKeeper(c *cli.Context, z *zkstore.Store) error {
	groups := c.StringSlice("group")
	everyGroup := len(groups) == 0
	if everyGroup {
		all, err := z.OffsetGroups(c.Context)
		if err != nil {
			return err
		}
		groups = all
	}
	for _, group := range groups {
		active, err := z.HasMembers(c.Context, group)
		switch {
		case err != nil:
			return err
		case active && !everyGroup:
			fmt.Fprintf(c.App.Writer, "Error: Delete for group '%s' failed because its consumers are still active.\n", group)
		case active:
		case c.IsSet("topic"):
			for _, topic := range c.StringSlice("topic") {
				if err := z.DeleteConsumerTopic(c.Context, group, topic); err != nil {
					return err
				}
				if !everyGroup {
					fmt.Fprintf(c.App.Writer, "Deleted consumer group information for group '%s' topic '%s' in zookeeper.\n", group, topic)
				}
			}
		default:
			if err := z.DeleteConsumerGroup(c.Context, group); err != nil {
				return err
			}
			fmt.Fprintf(c.App.Writer, "Deleted all consumer group information for group '%s' in zookeeper.\n", group)
		}
	}
	if everyGroup {
		for _, topic := range c.StringSlice("topic") {
			fmt.Fprintf(c.App.Writer, "Deleted consumer group information for all inactive consumer groups for topic '%s' in zookeeper.\n", topic)
		}
	}
	return nil
}
