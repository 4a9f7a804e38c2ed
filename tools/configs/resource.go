package configs

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/tools/client"
)

// kindOf says how the APIs call an entity type whose configuration is a resource's.
var kindOf = map[string]kmsg.ConfigResourceType{
	topics:        kmsg.ConfigResourceTypeTopic,
	brokers:       kmsg.ConfigResourceTypeBroker,
	brokerLoggers: kmsg.ConfigResourceTypeBrokerLogger,
	clientMetrics: 16, // KIP-714; kmsg calls it by a number only
}

// target is who must be asked: what a broker is configured to only that broker knows.
func target(kind, name string) client.Target {
	if kind == brokers || kind == brokerLoggers {
		if id, err := strconv.ParseInt(name, 10, 32); err == nil {
			return client.Broker(int32(id))
		}
	}
	return client.Any
}

// isDynamic reports whether an entry was set for this very entity.
func isDynamic(kind, name string, e kmsg.DescribeConfigsResponseResourceConfig) bool {
	switch kind {
	case topics:
		return e.Source == kmsg.ConfigSourceDynamicTopicConfig
	case brokers:
		if name == "" {
			return e.Source == kmsg.ConfigSourceDynamicDefaultBrokerConfig
		}
		return e.Source == kmsg.ConfigSourceDynamicBrokerConfig
	case clientMetrics:
		return e.Source == kmsg.ConfigSourceClientMetricsConfig
	}
	return true
}

// entries returns an entity's configuration, sorted: all of it or only what was set for it.
func (t *tool) entries(kind, name string, synonyms, all bool) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	ctx, cancel := context.WithTimeout(t.Context.Context, patience)
	defer cancel()
	found, err := t.cluster.DescribeConfigs(ctx, target(kind, name), kindOf[kind], synonyms, name)
	if err != nil || len(found) == 0 {
		return nil, wrapped(err)
	}
	return slices.DeleteFunc(found[0].Configs, func(e kmsg.DescribeConfigsResponseResourceConfig) bool {
		return !all && !isDynamic(kind, name, e)
	}), nil
}

func (t *tool) describeResources(e entity) error {
	kind, names := e.types[0], e.names
	if len(names) == 0 {
		var err error
		if names, err = t.allNames(kind); err != nil {
			return err
		}
	} else {
		names = names[:1]
	}
	for _, name := range names {
		switch {
		case name == "":
			t.print("Default configs for %s in the cluster are:\n", kind)
		case t.Bool("all"):
			t.print("All configs for %s %s are:\n", singular(kind), name)
		default:
			t.print("Dynamic configs for %s %s are:\n", singular(kind), name)
		}
		entries, err := t.entries(kind, name, true, t.Bool("all"))
		if err != nil {
			return err
		}
		for _, e := range entries {
			t.print("%s\n", formatEntry(e))
		}
	}
	return nil
}

// allNames lists the entities of a type; brokers end with the default entity.
func (t *tool) allNames(kind string) ([]string, error) {
	switch kind {
	case topics:
		metadata, err := t.cluster.Metadata(t.Context.Context, "listTopics")
		if err != nil {
			return nil, client.Execution(err)
		}
		var names []string
		for _, topic := range metadata.Topics {
			names = append(names, topic.Name)
		}
		slices.Sort(names)
		return names, nil
	case clientMetrics:
		return t.allClientMetrics()
	}
	_, ids, err := t.cluster.Describe(t.Context.Context, "listNodes")
	if err != nil {
		return nil, client.Execution(err)
	}
	var names []string
	for _, id := range ids {
		names = append(names, strconv.Itoa(int(id)))
	}
	return append(names, ""), nil
}

func (t *tool) allClientMetrics() (names []string, err error) {
	err = t.call("listClientMetricsResources", client.Any, func(n *client.Node) error {
		if _, ok, err := n.Supports(74, 0); err != nil || !ok {
			if err == nil {
				err = client.Unsupported("listClientMetricsResources") // as in ZooKeeper mode
			}
			return err
		}
		resp, err := n.Request(kmsg.NewPtrListConfigResourcesRequest(), 0)
		if err != nil {
			return err
		}
		r := resp.(*kmsg.ListConfigResourcesResponse)
		for _, each := range r.ConfigResources {
			names = append(names, each.Name)
		}
		return client.FromCode(r.ErrorCode, nil)
	})
	return names, err
}

// alterResource sets and removes entries. Keys to be removed must have been set for this entity.
func (t *tool) alterResource(e entity, ch changes) error {
	kind, name := e.types[0], e.names[0]
	old, err := t.entries(kind, name, kind == brokerLoggers, false)
	if err != nil {
		return err
	}
	unknown := func(key string) bool {
		return !slices.ContainsFunc(old, func(e kmsg.DescribeConfigsResponseResourceConfig) bool { return e.Name == key })
	}
	wrong, what := filter(ch.remove, unknown), "Invalid config(s)"
	if kind == brokerLoggers {
		wrong, what = append(wrong, filter(ch.added(), unknown)...), "Invalid broker logger(s)"
	}
	if len(wrong) > 0 {
		return invalidConfigs(what, wrong)
	}
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kindOf[kind], name
	for _, key := range ch.added() {
		value := ch.add[key]
		resource.Configs = append(resource.Configs, operation(key, kmsg.IncrementalAlterConfigOpSet, &value))
	}
	for _, key := range ch.remove {
		resource.Configs = append(resource.Configs, operation(key, kmsg.IncrementalAlterConfigOpDelete, nil))
	}
	return t.call("incrementalAlterConfigs", target(kind, name), func(n *client.Node) error {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		req.Resources = append(req.Resources, resource)
		resp, err := n.Request(req, 1)
		if err != nil {
			return err
		}
		for _, r := range resp.(*kmsg.IncrementalAlterConfigsResponse).Resources {
			if err := client.FromCode(r.ErrorCode, r.ErrorMessage); err != nil {
				return err
			}
		}
		return nil
	})
}

func operation(key string, op kmsg.IncrementalAlterConfigOp, value *string) kmsg.IncrementalAlterConfigsRequestResourceConfig {
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Op, c.Value = key, op, value
	return c
}

// singular turns a type into what one of its entities is called: broker-loggers into broker-logger.
func singular(kind string) string { return strings.TrimSuffix(kind, kind[len(kind)-1:]) }
