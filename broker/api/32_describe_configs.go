package api

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// DescribeConfigs, versions 0 to 4, for any broker; a broker's own configuration only from itself.
//
//	1 source and synonyms instead of a default flag
//	3 type and documentation
//	4 flexible

func describeConfigs(h *Handler, c *call, req *kmsg.DescribeConfigsRequest, resp *kmsg.DescribeConfigsResponse) error {
	for i := range req.Resources {
		r := &req.Resources[i]
		rr := kmsg.NewDescribeConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = r.ResourceType, r.ResourceName
		entries, err := h.describe(c, r)
		if rr.ErrorMessage = new(string); err != nil { // success has an empty message
			rr.ErrorCode, rr.ErrorMessage = h.codeAndMessage(err)
		}
		for _, e := range entries {
			rr.Configs = append(rr.Configs, describedEntry(req, e))
		}
		resp.Resources = append(resp.Resources, rr)
	}
	return nil
}

func (h *Handler) describe(c *call, r *kmsg.DescribeConfigsRequestResource) ([]config.Entry, error) {
	switch r.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		if !h.topicAllowed(c.Conn, acl.DescribeConfigs, r.ResourceName) {
			return nil, wire.ErrTopicAuthorizationFailed
		}
		if bad := invalidTopicName(r.ResourceName); bad != "" {
			return nil, refuse(wire.ErrInvalidTopic, "Topic name is invalid: "+bad)
		}
		if h.Metadata.Load().Topic(r.ResourceName) == nil {
			return nil, wire.ErrUnknownTopicOrPartition
		}
		overrides, err := h.Znodes().Config(c.ctx, topicEntity(r.ResourceName))
		if err != nil {
			return nil, err
		}
		return h.Config.DescribeTopic(overrides, r.ConfigNames), nil
	case kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger:
		if !h.clusterAllowed(c.Conn, acl.DescribeConfigs) {
			return nil, wire.ErrClusterAuthorizationFailed
		}
		if r.ResourceType == kmsg.ConfigResourceTypeBrokerLogger {
			if err := h.isSelf(r.ResourceName, false); err != nil {
				return nil, err
			}
			return config.DescribeLoggers(h.Loggers.Levels(), r.ConfigNames), nil
		}
		if r.ResourceName == "" {
			return h.Config.DescribeClusterDefault(r.ConfigNames), nil
		}
		if err := h.isSelf(r.ResourceName, false); err != nil {
			return nil, err
		}
		return h.Config.DescribeBroker(r.ConfigNames), nil
	}
	return nil, refuse(wire.ErrInvalidRequest, fmt.Sprintf("Unsupported resource type: %s", r.ResourceType))
}

// isSelf checks that a broker resource names this broker, or, where that is allowed, all of them.
func (h *Handler) isSelf(name string, orDefault bool) error {
	if name == "" && orDefault {
		return nil
	}
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil {
		return refuse(wire.ErrInvalidRequest, fmt.Sprintf("Broker id must be an integer, but it is: %s", name))
	}
	if meta.BrokerID(id) != h.BrokerID {
		return refuse(wire.ErrInvalidRequest, fmt.Sprintf("Unexpected broker id, expected %d or empty string, but received %s", h.BrokerID, name))
	}
	return nil
}

func topicEntity(topic string) meta.Entity { return meta.Entity{Type: meta.TopicEntity, Name: topic} }

func describedEntry(req *kmsg.DescribeConfigsRequest, e config.Entry) kmsg.DescribeConfigsResponseResourceConfig {
	rc := kmsg.NewDescribeConfigsResponseResourceConfig()
	rc.Name, rc.Value, rc.ReadOnly, rc.IsSensitive = e.Name, e.Value, e.ReadOnly, e.Sensitive
	rc.Source = source(e.Source) // IsDefault of version 0 is never set: Kafka's broker does not either
	if req.IncludeSynonyms {
		for _, s := range e.Synonyms {
			rs := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
			rs.Name, rs.Value, rs.Source = s.Name, s.Value, source(s.Source)
			rc.ConfigSynonyms = append(rc.ConfigSynonyms, rs)
		}
	}
	rc.ConfigType = kmsg.ConfigType(e.Type)
	if req.IncludeDocumentation {
		rc.Documentation = &e.Documentation
	}
	return rc
}

// topicConfig reads a topic's overrides for a change of them.
func (h *Handler) topicConfig(c *call, topic string) (map[string]string, error) {
	if topic == "" {
		return nil, refuse(wire.ErrInvalidRequest, "Default topic resources are not allowed.")
	}
	if bad := invalidTopicName(topic); bad != "" {
		return nil, refuse(wire.ErrInvalidTopic, "Topic name is invalid: "+bad)
	}
	if h.Metadata.Load().Topic(topic) == nil {
		return nil, refuse(wire.ErrUnknownTopicOrPartition, fmt.Sprintf("The topic '%s' does not exist.", topic))
	}
	return h.stored(c, topicEntity(topic))
}

// stored reads an entity's present overrides, none if it has no znode.
func (h *Handler) stored(c *call, e meta.Entity) (map[string]string, error) {
	overrides, err := h.Znodes().Config(c.ctx, e)
	if errors.Is(err, zkstore.ErrNoNode) {
		return map[string]string{}, nil
	}
	return overrides, err
}

// brokerEntity is where a broker resource's dynamic configuration is kept, and at which level that is.
func brokerEntity(name string) (meta.Entity, config.Level) {
	if name == "" {
		return meta.Entity{Type: meta.BrokerEntity, Name: meta.DefaultEntity}, config.ClusterDefault
	}
	return meta.Entity{Type: meta.BrokerEntity, Name: name}, config.PerBroker
}
