package topics

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/controller"
	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Names of the exceptions that a broker's codes for bad topics stand for.
var (
	errPartitions = client.ClassOf(37)
	errFactor     = client.ClassOf(38)
	errAssignment = client.ClassOf(39)
	errConfig     = client.ClassOf(40)
	errTopic      = client.ClassOf(17)
	errExists     = client.ClassOf(36)
	errBroker     = client.ClassOf(8)
)

func problem(class, format string, args ...any) error {
	return &client.Error{Class: class, Message: fmt.Sprintf(format, args...)}
}

func (z *znodes) create() error {
	name := z.String("topic")
	configs, err := z.configsToAdd()
	if err != nil {
		return err
	}
	given, err := z.givenAssignment()
	if err != nil {
		return err
	}
	if collides(name) {
		z.println(collisionWarning)
	}
	topic := meta.TopicAssignment{Partitions: map[int32]meta.Assignment{}}
	if given != nil {
		for id, replicas := range given {
			topic.Partitions[int32(id)] = meta.Assignment{Replicas: brokerIDs(replicas)}
		}
	} else if err := z.placeNew(&topic); err != nil {
		return err
	}
	// The topic gets no id here: the controller gives it one if the fleet's protocol version has them (KIP-516).
	err = z.free(name)
	if err == nil {
		err = z.store.CreateTopic(z.Context.Context, name, configs, topic)
		if errors.Is(err, zkstore.ErrNodeExists) {
			err = problem(errExists, "Topic '%s' already exists.", name)
		}
	}
	if named := new(client.Error); z.Bool("if-not-exists") && errors.As(err, &named) && named.Class == errExists {
		return nil
	}
	if err == nil {
		z.println("Created topic " + name + ".")
	}
	return err
}

func (z *znodes) givenAssignment() ([][]int32, error) {
	if text := z.String("replica-assignment"); text != "" {
		return parseAssignment(text)
	}
	return nil, nil
}

// configsToAdd reads --config and checks it as a broker would.
func (z *znodes) configsToAdd() (map[string]string, error) {
	pairs, err := parseConfigs(z.StringSlice("config"))
	if err != nil {
		return nil, err
	}
	configs := map[string]string{}
	for key, value := range pairs {
		configs[key] = *value
	}
	return configs, validateConfigs(configs)
}

// validateConfigs judges a topic's overrides against the default broker configuration: ours is not known here.
func validateConfigs(configs map[string]string) error {
	defaults, _, err := config.FromMap(map[string]string{"zookeeper.connect": "localhost"})
	if err != nil {
		return err
	}
	var refusal *config.Error
	if err := defaults.Config.ValidateTopic(nil, configs); errors.As(err, &refusal) {
		return problem(errConfig, "%s", refusal.Message)
	} else if err != nil {
		return err
	}
	return nil
}

// free checks that a topic may be called so.
func (z *znodes) free(name string) error {
	if err := validateName(name); err != nil {
		return err
	}
	names, err := z.store.TopicNames(z.Context.Context)
	if err != nil {
		return err
	}
	if slices.Contains(names, name) {
		return problem(errExists, "Topic '%s' already exists.", name)
	}
	colliding := slices.DeleteFunc(names, func(other string) bool { return !sameMetric(name, other) })
	if len(colliding) > 0 {
		return problem(errTopic, "Topic '%s' collides with existing topics: %s", name, strings.Join(colliding, ", "))
	}
	return nil
}

// candidates are the live brokers, by id; without racks if the command line says so.
func (z *znodes) candidates() ([]controller.Candidate, error) {
	live, _, err := z.store.Brokers(z.Context.Context)
	if err != nil {
		return nil, err
	}
	var brokers []controller.Candidate
	for _, id := range slices.Sorted(maps.Keys(live)) {
		b := controller.Candidate{ID: id, Rack: live[id].Rack}
		if z.Bool("disable-rack-aware") {
			b.Rack = ""
		}
		brokers = append(brokers, b)
	}
	return brokers, nil
}

func (z *znodes) placeNew(topic *meta.TopicAssignment) error {
	brokers, err := z.candidates()
	if err != nil {
		return err
	}
	return place(topic, controller.NewPlacement(brokers, z.Int("partitions"), z.Int("replication-factor")))
}

// place adds partitions to a topic.
func place(topic *meta.TopicAssignment, p controller.Placement) error {
	placed, err := controller.Place(p)
	switch {
	case errors.Is(err, controller.ErrPlacePartitions):
		return problem(errPartitions, "Number of partitions must be larger than 0.")
	case errors.Is(err, controller.ErrPlaceFactor) && p.ReplicationFactor <= 0:
		return problem(errFactor, "Replication factor must be larger than 0.")
	case errors.Is(err, controller.ErrPlaceFactor):
		return problem(errFactor, "Replication factor: %d larger than available brokers: %d.", p.ReplicationFactor, len(p.Brokers))
	case errors.Is(err, controller.ErrPlaceRacks):
		return problem(operationException, "Not all brokers have rack information. Add --disable-rack-aware in command line"+
			" to make replica assignment without rack information.")
	}
	for id, replicas := range placed {
		topic.Partitions[id] = meta.Assignment{Replicas: replicas}
	}
	return err
}
