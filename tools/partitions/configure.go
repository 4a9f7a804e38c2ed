package partitions

import (
	"maps"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/tools/client"
)

// target is who configures a resource: what a broker is configured to only that broker changes.
func (r resource) target() client.Target {
	if id, err := strconv.ParseInt(r.name, 10, 32); err == nil && r.kind == kmsg.ConfigResourceTypeBroker {
		return client.Broker(int32(id))
	}
	return client.Any
}

// configure makes the changes: those of topics with one request, then each broker's. One that fails keeps none of the
// others from being made; the first failure is returned.
func (t *tool) configure(s settings) error {
	var first error
	for _, group := range s.requests() {
		if err := t.alterConfigs(s, group); err != nil && first == nil {
			first = err
		}
		if err := t.Context.Context.Err(); err != nil {
			return err
		}
	}
	return first
}

// requests groups resources by who has to be asked.
func (s settings) requests() [][]resource {
	var groups [][]resource
	for i, r := range s.resources() {
		if i > 0 && r.kind == kmsg.ConfigResourceTypeTopic {
			groups[0] = append(groups[0], r)
		} else {
			groups = append(groups, []resource{r})
		}
	}
	return groups
}

func (t *tool) alterConfigs(s settings, resources []resource) error {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	for _, r := range resources {
		each := kmsg.NewIncrementalAlterConfigsRequestResource()
		each.ResourceType, each.ResourceName = r.kind, r.name
		for _, key := range slices.Sorted(maps.Keys(s[r])) {
			c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			c.Name, c.Op, c.Value = key, kmsg.IncrementalAlterConfigOpSet, s[r][key]
			if c.Value == nil {
				c.Op = kmsg.IncrementalAlterConfigOpDelete
			}
			each.Configs = append(each.Configs, c)
		}
		req.Resources = append(req.Resources, each)
	}
	err := t.cluster.Call(t.Context.Context, "incrementalAlterConfigs", resources[0].target(), func(n *client.Node) error {
		answer, err := n.Request(req, 1)
		if err != nil {
			return err
		}
		for _, r := range answer.(*kmsg.IncrementalAlterConfigsResponse).Resources {
			if err := client.FromCode(r.ErrorCode, r.ErrorMessage); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return client.Execution(err)
	}
	return nil
}

// former returns what is configured now of what s would change: values set for the very topic or broker, nil for none.
func (t *tool) former(s settings) (settings, error) {
	before := settings{}
	for _, group := range s.requests() {
		names := make([]string, len(group))
		for i, r := range group {
			names[i] = r.name
			for key := range s[r] {
				before.set(r, key, nil)
			}
		}
		found, err := t.cluster.DescribeConfigs(t.Context.Context, group[0].target(), group[0].kind, false, names...)
		if err != nil {
			return nil, client.Execution(err)
		}
		for _, described := range found {
			r := resource{group[0].kind, described.ResourceName}
			for _, e := range described.Configs {
				own := e.Source == kmsg.ConfigSourceDynamicTopicConfig || e.Source == kmsg.ConfigSourceDynamicBrokerConfig
				if _, asked := before[r][e.Name]; asked && own {
					before[r][e.Name] = e.Value
				}
			}
		}
	}
	return before, nil
}
