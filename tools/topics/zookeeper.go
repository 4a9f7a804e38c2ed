package topics

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

const (
	operationException = "kafka.admin.AdminOperationException"

	growthWarning = "WARNING: If partitions are increased for a topic that has a key, the partition logic or ordering of the messages will be affected"
	alterWarning  = "WARNING: Altering topic configuration from this script has been deprecated and may be removed in future releases.\n" +
		"         Going forward, please use kafka-configs.sh for this functionality"
)

// znodes is the command with --zookeeper: it writes what a broker would, and the controller's watches do the rest.
type znodes struct {
	*cli.Context
	store *zkstore.Store
}

func runZooKeeper(c *cli.Context) error {
	store, err := client.ZooKeeper(c.Context, c.String("zookeeper"), "")
	if err != nil {
		return client.Uncaught(c, err)
	}
	defer store.Session().Close()
	z := &znodes{c, store}
	switch {
	case c.IsSet("create"):
		err = z.create()
	case c.IsSet("alter"):
		err = z.alter()
	case c.IsSet("list"):
		err = z.list()
	case c.IsSet("describe"):
		err = z.describe()
	case c.IsSet("delete"):
		err = z.delete()
	}
	if err != nil {
		return failed(c, err)
	}
	return nil
}

func (z *znodes) println(text string) { fmt.Fprintln(z.App.Writer, text) }

// matching returns the topics that --topic and --exclude-internal leave, sorted.
func (z *znodes) matching() ([]string, error) {
	filter, err := newFilter(z.Context)
	if err != nil {
		return nil, err
	}
	names, err := z.store.TopicNames(z.Context.Context)
	return slices.DeleteFunc(names, func(name string) bool {
		return !filter(name) || z.Bool("exclude-internal") && client.IsInternal(name)
	}), err
}

// expected is matching for actions that --topic must find something for, unless --if-exists.
func (z *znodes) expected() ([]string, error) {
	names, err := z.matching()
	if err == nil && len(names) == 0 && z.IsSet("topic") && !z.Bool("if-exists") {
		err = missing("Topic", z.String("topic"))
	}
	return names, err
}

func (z *znodes) list() error {
	names, err := z.matching()
	if err != nil {
		return err
	}
	deleting, err := z.deletions()
	if err != nil {
		return err
	}
	for _, name := range names {
		if slices.Contains(deleting, name) {
			name += " - marked for deletion"
		}
		z.println(name)
	}
	return nil
}

// deletions lists the topics that are marked for deletion. Before the first broker has started there is no such list.
func (z *znodes) deletions() ([]string, error) {
	names, err := z.store.TopicDeletions(z.Context.Context)
	if errors.Is(err, zkstore.ErrNoNode) {
		return nil, nil
	}
	return names, err
}

func (z *znodes) delete() error {
	names, err := z.expected()
	if err != nil {
		return err
	}
	for _, name := range names {
		if client.IsInternal(name) {
			return &client.Error{Class: operationException, Message: fmt.Sprintf(
				"Topic %s is a kafka internal topic and is not allowed to be marked for deletion.", name)}
		}
		marked, err := z.store.MarkedForDeletion(z.Context.Context, name)
		if err != nil {
			return err
		}
		if marked {
			z.println("Topic " + name + " is already marked for deletion.")
			continue
		}
		if err := z.store.MarkTopicForDeletion(z.Context.Context, name); err != nil {
			return &client.Error{Class: operationException, Message: "Error while deleting topic " + name, Cause: err}
		}
		z.println("Topic " + name + " is marked for deletion.\nNote: This will have no impact if delete.topic.enable is not set to true.")
	}
	return nil
}

func (z *znodes) describe() error {
	names, err := z.expected()
	if err != nil {
		return err
	}
	live, _, err := z.store.Brokers(z.Context.Context)
	if err != nil {
		return err
	}
	r := newReport(z.Context)
	for id := range live {
		r.live = append(r.live, int32(id))
	}
	deleting, err := z.deletions()
	if err != nil {
		return err
	}
	topics, broken, err := z.store.Topics(z.Context.Context, names)
	if err != nil {
		return err
	}
	for _, name := range names {
		topic, ok := topics[name]
		if broken[name] != nil {
			return broken[name]
		}
		if !ok { // deleted meanwhile
			z.println("Topic " + name + " doesn't exist!")
			continue
		}
		d, err := z.description(name, topic)
		if err != nil {
			return err
		}
		d.deleting = slices.Contains(deleting, name)
		r.print(z.App.Writer, d)
	}
	return nil
}

func (z *znodes) description(name string, topic meta.TopicAssignment) (topicDescription, error) {
	d := topicDescription{name: name}
	if !topic.ID.IsZero() {
		d.id = topic.ID.String()
	}
	configs, err := z.store.Config(z.Context.Context, meta.Entity{Type: meta.TopicEntity, Name: name})
	if err != nil {
		return d, err
	}
	for key, value := range configs {
		d.configs = append(d.configs, key+"="+value)
	}
	slices.SortFunc(d.configs, strings.Compare)
	tps := make([]meta.TopicPartition, 0, len(topic.Partitions))
	for id := range topic.Partitions {
		tps = append(tps, meta.TopicPartition{Topic: name, Partition: id})
	}
	states, _, err := z.store.PartitionStates(z.Context.Context, tps)
	if err != nil {
		return d, err
	}
	for _, tp := range tps {
		p := partitionDescription{id: tp.Partition, leader: -1, replicas: ids(topic.Partitions[tp.Partition].Replicas)}
		if state, ok := states[tp]; ok {
			p.leader, p.isr = int32(state.Leader), ids(state.ISR)
		}
		d.partitions = append(d.partitions, p)
	}
	return d, nil
}

func ids(brokers []meta.BrokerID) []int32 {
	out := make([]int32, len(brokers))
	for i, id := range brokers {
		out[i] = int32(id)
	}
	return out
}

func brokerIDs(list []int32) []meta.BrokerID {
	out := make([]meta.BrokerID, len(list))
	for i, id := range list {
		out[i] = meta.BrokerID(id)
	}
	return out
}
