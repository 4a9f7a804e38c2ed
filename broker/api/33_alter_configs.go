package api

import (
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// AlterConfigs, versions 0 to 2, for any broker; a broker's own only by itself. It replaces the complete set. 2 flexible.

type resourceKey struct {
	kind kmsg.ConfigResourceType
	name string
}

func alterConfigs(h *Handler, c *call, req *kmsg.AlterConfigsRequest, resp *kmsg.AlterConfigsResponse) error {
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
		rr := kmsg.NewAlterConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = r.ResourceType, r.ResourceName
		err := error(refuse(wire.ErrInvalidRequest, "Each resource must appear at most once"))
		if times[key] == 1 {
			err = h.replaceConfig(c, r, req.ValidateOnly)
		}
		if err != nil {
			rr.ErrorCode, rr.ErrorMessage = h.codeAndMessage(err)
		}
		resp.Resources = append(resp.Resources, rr)
	}
	return nil
}

func (h *Handler) replaceConfig(c *call, r *kmsg.AlterConfigsRequestResource, dryRun bool) error {
	if err := h.mayAlter(c, r.ResourceType, r.ResourceName); err != nil {
		return err
	}
	names, values := make([]string, len(r.Configs)), make([]*string, len(r.Configs))
	for i, kv := range r.Configs {
		names[i], values[i] = kv.Name, kv.Value
	}
	if err := config.CheckOps(config.SetOps(names, values)); err != nil {
		return err
	}
	props := make(map[string]string, len(r.Configs))
	for _, kv := range r.Configs {
		props[kv.Name] = *kv.Value
	}
	switch r.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		stored, err := h.topicConfig(c, r.ResourceName)
		if err != nil {
			return err
		}
		if err := h.Config.ReplaceTopic(r.ResourceName, stored, props); err != nil {
			return err
		}
		return h.store(c, topicEntity(r.ResourceName), props, dryRun)
	case kmsg.ConfigResourceTypeBroker:
		if err := h.isSelf(r.ResourceName, true); err != nil {
			return err
		}
		entity, level := brokerEntity(r.ResourceName)
		encoded, err := h.Config.ReplaceBroker(level, props)
		if err != nil {
			return err
		}
		return h.store(c, entity, encoded, dryRun)
	}
	return refuse(wire.ErrInvalidRequest, fmt.Sprintf("Unsupported resource type: %s", r.ResourceType))
}

func (h *Handler) mayAlter(c *call, kind kmsg.ConfigResourceType, name string) error {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		if !h.topicAllowed(c.Conn, acl.AlterConfigs, name) {
			return wire.ErrTopicAuthorizationFailed
		}
	case kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger:
		if !h.clusterAllowed(c.Conn, acl.AlterConfigs) {
			return wire.ErrClusterAuthorizationFailed
		}
	}
	return nil
}

// store writes the overrides of an entity and publishes the change; every broker applies it when it hears of it.
func (h *Handler) store(c *call, e meta.Entity, overrides map[string]string, dryRun bool) error {
	if dryRun {
		return nil
	}
	if err := h.Znodes().SetConfig(c.ctx, e, overrides); err != nil {
		return err
	}
	h.Logger.Info("configuration stored", zap.Stringer("entity", e), zap.Strings("overrides", slices.Sorted(maps.Keys(overrides))), c.by())
	return nil
}
