package partitions

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/IBM/sarama"

	"github.com/kraal-mq/kraal/controller"
	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/jsonfile"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

func (t *tool) generate() error {
	text, err := jsonfile.Read(t.String("topics-to-move-json-file"))
	if err != nil {
		return err
	}
	brokers, err := parseBrokers(t.String("broker-list"))
	if err != nil {
		return err
	}
	topics, err := parseTopics(text)
	if err != nil {
		return err
	}
	found, metadata, err := t.existing(topics)
	if err != nil {
		return err
	}
	current := map[meta.TopicPartition][]int32{}
	for name, topic := range found {
		for _, p := range topic.Partitions {
			current[meta.TopicPartition{Topic: name, Partition: p.ID}] = p.Replicas
		}
	}
	proposed := map[meta.TopicPartition][]int32{}
	if metadata != nil {
		candidates, err := choose(metadata.Brokers, brokers, !t.Bool("disable-rack-aware"))
		if err != nil {
			return err
		}
		for _, name := range topics {
			if err := propose(found[name], candidates, proposed); err != nil {
				return err
			}
		}
	}
	t.print("Current partition replica assignment\n%s\n\n", formatPlan(current))
	t.print("Proposed partition reassignment configuration\n%s\n", formatPlan(proposed))
	return nil
}

// parseBrokers reads --broker-list, as Java's String.split and Integer.parseInt do.
func parseBrokers(list string) ([]int32, error) {
	parts := strings.Split(list, ",")
	for len(parts) > 1 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	ids := make([]int32, len(parts))
	for i, text := range parts {
		id, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return nil, &client.Error{Class: "java.lang.NumberFormatException", Message: fmt.Sprintf("For input string: \"%s\"", text)}
		}
		ids[i] = int32(id)
	}
	if again := duplicates(ids); len(again) > 0 {
		return nil, commandFailed("Broker list contains duplicate entries: [%s]", join(again, ", "))
	}
	return ids, nil
}

// choose returns the live ones among the brokers that may get replicas, sorted, with their racks if those are to count.
func choose(live []*sarama.Broker, wanted []int32, racks bool) ([]controller.Candidate, error) {
	var candidates []controller.Candidate
	rackless := 0
	for _, b := range live {
		if !slices.Contains(wanted, b.ID()) {
			continue
		}
		c := controller.Candidate{ID: meta.BrokerID(b.ID())}
		if racks {
			c.Rack = b.Rack()
		}
		if c.Rack == "" {
			rackless++
		}
		candidates = append(candidates, c)
	}
	if rackless != 0 && rackless != len(candidates) {
		return nil, &client.Error{Class: jsonfile.OperationException, Message: "Not all brokers have rack information. " +
			"Add --disable-rack-aware in command line to make replica assignment without rack information."}
	}
	slices.SortFunc(candidates, func(a, b controller.Candidate) int { return int(a.ID - b.ID) })
	return candidates, nil
}

// propose places the partitions of a topic anew. All get as many replicas as the first one has.
func propose(topic *sarama.TopicMetadata, candidates []controller.Candidate, proposed map[meta.TopicPartition][]int32) error {
	if len(topic.Partitions) == 0 {
		return nil
	}
	factor := len(topic.Partitions[0].Replicas)
	placed, err := controller.Place(controller.NewPlacement(candidates, len(topic.Partitions), factor))
	switch {
	case errors.Is(err, controller.ErrPlaceFactor) && factor == 0:
		return client.FromKError(sarama.ErrInvalidReplicationFactor, text("Replication factor must be larger than 0."))
	case errors.Is(err, controller.ErrPlaceFactor):
		return client.FromKError(sarama.ErrInvalidReplicationFactor,
			text(fmt.Sprintf("Replication factor: %d larger than available brokers: %d.", factor, len(candidates))))
	case err != nil:
		return err
	}
	for id, replicas := range placed {
		ids := make([]int32, len(replicas))
		for i, broker := range replicas {
			ids[i] = int32(broker)
		}
		proposed[meta.TopicPartition{Topic: topic.Name, Partition: id}] = ids
	}
	return nil
}

func text(s string) *string { return &s }
