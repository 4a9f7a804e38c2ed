package api

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// CreateTopics, versions 0 to 7, for the controller.
//
//	1 validate only; error messages
//	2 throttle time
//	4 partition count and replication factor may be -1
//	5 flexible; the configuration in the answer
//	6 THROTTLING_QUOTA_EXCEEDED (KIP-599)
//	7 topic id in the answer

func createTopics(h *Handler, c *call, req *kmsg.CreateTopicsRequest, resp *kmsg.CreateTopicsResponse) error {
	times := make(map[string]int)
	for _, t := range req.Topics {
		times[t.Topic]++
	}
	mayCreateAny := h.clusterAllowed(c.Conn, acl.Create)
	var waiting []int
	for i := range req.Topics {
		t := &req.Topics[i]
		rt := kmsg.NewCreateTopicsResponseTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor, rt.Configs = t.Topic, -1, -1, noConfigs
		var err error
		switch {
		case !h.Controller.IsActive():
			err = refuse(wire.ErrNotController, "") // empty, not null, as Kafka has it
		case times[t.Topic] > 1:
			err = refuse(wire.ErrInvalidRequest, "Duplicate topic name.")
		case t.Topic == raftTopic:
			err = refuse(wire.ErrInvalidRequest, "Creation of internal topic "+raftTopic+" is prohibited.")
		case !mayCreateAny && !h.topicAllowed(c.Conn, acl.Create, t.Topic):
			err = refuse(wire.ErrTopicAuthorizationFailed, "Authorization failed.")
		default:
			err = h.createOne(c, req, t, &rt)
			if err == nil && !req.ValidateOnly {
				waiting = append(waiting, len(resp.Topics))
			}
		}
		if err != nil {
			rt.ErrorCode, rt.ErrorMessage = h.codeAndReason(err)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	h.awaitCreated(c, req, resp, waiting)
	return nil
}

// noConfigs goes with errors; null is for who may not see configurations.
var noConfigs = []kmsg.CreateTopicsResponseTopicConfig{}

func (h *Handler) createOne(c *call, req *kmsg.CreateTopicsRequest, t *kmsg.CreateTopicsRequestTopic, rt *kmsg.CreateTopicsResponseTopic) error {
	n := newTopic{name: t.Topic, partitions: t.NumPartitions, factor: t.ReplicationFactor, dryRun: req.ValidateOnly, config: make(map[string]string)}
	for _, kv := range t.Configs {
		if kv.Value == nil {
			return refuse(wire.ErrInvalidConfig, "Null value not supported for topic configs: "+kv.Name)
		}
		n.config[kv.Name] = *kv.Value
	}
	if len(t.ReplicaAssignment) > 0 {
		if t.NumPartitions != -1 || t.ReplicationFactor != -1 {
			return refuse(wire.ErrInvalidRequest, "Both numPartitions or replicationFactor and replicasAssignments were set. Both cannot be used at the same time.")
		}
		n.assignment = make(map[int32][]meta.BrokerID, len(t.ReplicaAssignment))
		for _, a := range t.ReplicaAssignment {
			n.assignment[a.Partition] = brokerIDs(a.Replicas)
		}
	}
	made, err := h.createTopic(c.ctx, n)
	if err != nil {
		return err
	}
	if !n.dryRun {
		h.Logger.Info("topic created", zap.String("topic", t.Topic), zap.Int32("partitions", made.partitions), zap.Int16("replication_factor", made.factor),
			zap.Any("overrides", n.config), c.by())
	}
	rt.TopicID = made.id
	if !h.topicAllowed(c.Conn, acl.DescribeConfigs, t.Topic) {
		rt.ConfigErrorCode, rt.Configs = int16(wire.ErrTopicAuthorizationFailed), nil
		return nil
	}
	rt.NumPartitions, rt.ReplicationFactor = made.partitions, made.factor
	for _, e := range h.Config.DescribeTopic(n.config, nil) {
		rc := kmsg.NewCreateTopicsResponseTopicConfig()
		rc.Name, rc.Value, rc.ReadOnly, rc.Source, rc.IsSensitive = e.Name, e.Value, e.ReadOnly, int8(e.Source), e.Sensitive
		rt.Configs = append(rt.Configs, rc)
	}
	return nil
}

// awaitCreated waits until the topics made are led, and says so of those that are not in time: they exist all the same.
func (h *Handler) awaitCreated(c *call, req *kmsg.CreateTopicsRequest, resp *kmsg.CreateTopicsResponse, waiting []int) {
	late := func(s *metadata.Snapshot, i int) bool {
		t := s.Topic(resp.Topics[i].Topic)
		if t == nil || len(t.Partitions) < int(resp.Topics[i].NumPartitions) {
			return true
		}
		for _, p := range t.Partitions {
			if p.Leader < 0 {
				return true
			}
		}
		return false
	}
	timeout := time.Duration(req.TimeoutMillis) * time.Millisecond
	if timeout > 0 && c.await(h, timeout, func(s *metadata.Snapshot) bool {
		for _, i := range waiting {
			if late(s, i) {
				return false
			}
		}
		return true
	}) {
		return
	}
	s := h.Metadata.Load()
	for _, i := range waiting {
		if timeout <= 0 || late(s, i) {
			rt := &resp.Topics[i]
			rt.ErrorCode = int16(wire.ErrRequestTimedOut)
			rt.NumPartitions, rt.ReplicationFactor, rt.Configs = -1, -1, noConfigs
		}
	}
}

// source returns where a config value comes from, as the wire names it.
func source(s config.Source) kmsg.ConfigSource { return kmsg.ConfigSource(s) }
