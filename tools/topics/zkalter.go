package topics

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kraal-mq/kraal/controller"
	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// alter changes configurations and grows topics.
func (z *znodes) alter() error {
	add, err := z.configsToAdd()
	if err != nil {
		return err
	}
	assignment, err := z.givenAssignment()
	if err != nil {
		return err
	}
	names, err := z.expected()
	if err != nil {
		return err
	}
	for _, name := range names {
		if z.IsSet("config") || z.IsSet("delete-config") {
			z.println(alterWarning)
			if err := z.alterConfigs(name, add); err != nil {
				return err
			}
			z.println("Updated config for topic " + name + ".")
		}
		if z.IsSet("partitions") {
			if err := z.grow(name, assignment); err != nil {
				return err
			}
			z.println("Adding partitions succeeded!")
		}
	}
	return nil
}

func (z *znodes) alterConfigs(name string, add map[string]string) error {
	entity := meta.Entity{Type: meta.TopicEntity, Name: name}
	configs, err := z.store.Config(z.Context.Context, entity)
	if err != nil {
		return err
	}
	maps.Copy(configs, add)
	for _, key := range z.StringSlice("delete-config") {
		delete(configs, strings.TrimSpace(key))
	}
	if err := validateConfigs(configs); err != nil {
		return err
	}
	return z.store.SetConfigOffline(z.Context.Context, entity, configs)
}

// grow adds partitions to a topic, where --replica-assignment puts them or where its placement goes on.
func (z *znodes) grow(name string, assignment [][]int32) error {
	if client.IsInternal(name) {
		return problem(client.IllegalArgument, "The number of partitions for the internal topic %s cannot be changed.", name)
	}
	z.println(growthWarning)
	topic, err := z.store.Topic(z.Context.Context, name)
	if err != nil {
		return err
	}
	existing := len(topic.Partitions)
	first, ok := topic.Partitions[0]
	if !ok {
		return problem(operationException, "Unexpected existing replica assignment for topic '%s', partition id 0 is missing.", name)
	}
	total := z.Int("partitions")
	if total <= existing {
		return problem(errPartitions, "The number of partitions for a topic can only be increased. "+
			"Topic %s currently has %d partitions, %d would not be an increase.", name, existing, total)
	}
	brokers, err := z.candidates()
	if err != nil {
		return err
	}
	added := assignment[min(existing, len(assignment)):]
	if len(added) == 0 {
		err = place(&topic, controller.GrowthPlacement(brokers, existing, total-existing, first.Replicas))
	} else {
		err = addGiven(&topic, added, existing, len(first.Replicas), brokers)
	}
	if err != nil {
		return err
	}
	return z.store.SetTopic(z.Context.Context, zkstore.Unfenced(), name, topic)
}

// addGiven adds partitions with the replicas that the command line names, from id existing on.
func addGiven(topic *meta.TopicAssignment, added [][]int32, existing, factor int, brokers []controller.Candidate) error {
	var uneven, factors []string
	for i, replicas := range added {
		id := existing + i
		for _, broker := range replicas {
			if !slices.ContainsFunc(brokers, func(b controller.Candidate) bool { return b.ID == meta.BrokerID(broker) }) {
				return problem(errBroker, "Some brokers specified for partition id %d are not available. Specified brokers: %s, available brokers: %s.",
					id, join(replicas, ", "), candidateIDs(brokers))
			}
		}
		if len(replicas) != factor {
			uneven, factors = append(uneven, fmt.Sprint(id)), append(factors, fmt.Sprint(len(replicas)))
		}
		topic.Partitions[int32(id)] = meta.Assignment{Replicas: brokerIDs(replicas)}
	}
	if len(uneven) > 0 {
		return problem(errAssignment, "Inconsistent replication factor between partitions, partition 0 has %d while partitions [%s] have "+
			"replication factors [%s], respectively.", factor, strings.Join(uneven, ", "), strings.Join(factors, ", "))
	}
	return nil
}

func candidateIDs(brokers []controller.Candidate) string {
	var list []int32
	for _, b := range brokers {
		list = append(list, int32(b.ID))
	}
	return join(list, ", ")
}
