package api

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/wire"
)

// IncrementalAlterConfigs, versions 0 and 1, for any broker; a broker's own only by itself (KIP-339). 1 flexible.

func incrementalAlterConfigs(h *Handler, c *call, req *kmsg.IncrementalAlterConfigsRequest, resp *kmsg.IncrementalAlterConfigsResponse) error {
	times := make(map[resourceKey]int)
	for _, r := range req.Resources {
		times[resourceKey{r.ResourceType, r.ResourceName}]++
	}
	answered := make(map[resourceKey]bool)
	for i := range req.Resources {
		r := &req.Resources[i]
		key := resourceKey{r.ResourceType, r.ResourceName}
		if answered[key] {
			continue
		}
		answered[key] = true
		rr := kmsg.NewIncrementalAlterConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = r.ResourceType, r.ResourceName
		err := error(refuse(wire.ErrInvalidRequest, "Each resource must appear at most once"))
		if times[key] == 1 {
			err = h.alterConfig(c, r, req.ValidateOnly)
		}
		if err != nil {
			rr.ErrorCode, rr.ErrorMessage = h.codeAndMessage(err)
		}
		resp.Resources = append(resp.Resources, rr)
	}
	return nil
}

func (h *Handler) alterConfig(c *call, r *kmsg.IncrementalAlterConfigsRequestResource, dryRun bool) error {
	if err := h.mayAlter(c, r.ResourceType, r.ResourceName); err != nil {
		return err
	}
	ops := make([]config.Op, len(r.Configs))
	for i, o := range r.Configs {
		ops[i] = config.Op{Name: o.Name, Type: config.OpType(o.Op), Value: o.Value}
	}
	if err := config.CheckOps(ops); err != nil {
		return err
	}
	switch r.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		stored, err := h.topicConfig(c, r.ResourceName)
		if err != nil {
			return err
		}
		altered, err := h.Config.AlterTopic(r.ResourceName, stored, ops)
		if err != nil {
			return err
		}
		return h.store(c, topicEntity(r.ResourceName), altered, dryRun)
	case kmsg.ConfigResourceTypeBroker:
		if err := h.isSelf(r.ResourceName, true); err != nil {
			return err
		}
		entity, level := brokerEntity(r.ResourceName)
		stored, err := h.stored(c, entity)
		if err != nil {
			return err
		}
		altered, err := h.Config.AlterBroker(level, stored, ops)
		if err != nil {
			return err
		}
		return h.store(c, entity, altered, dryRun)
	case kmsg.ConfigResourceTypeBrokerLogger:
		if err := h.isSelf(r.ResourceName, false); err != nil {
			return err
		}
		return h.alterLoggers(ops, dryRun)
	}
	return refuse(wire.ErrInvalidRequest, fmt.Sprintf("Unsupported resource type: %s", r.ResourceType))
}

// alterLoggers changes log levels of this broker until it restarts (KIP-412).
func (h *Handler) alterLoggers(ops []config.Op, dryRun bool) error {
	levels := h.Loggers.Levels()
	err := config.CheckLoggerOps(ops, func(logger string) bool {
		_, known := levels[logger]
		return known
	})
	if err != nil || dryRun {
		return err
	}
	for _, o := range ops {
		if o.Type == config.OpDelete {
			err = h.Loggers.UnsetLevel(o.Name)
		} else {
			err = h.Loggers.SetLevel(o.Name, *o.Value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
