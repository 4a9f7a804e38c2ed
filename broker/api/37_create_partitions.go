package api

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/controller"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// CreatePartitions, versions 0 to 3, for the controller. 1 throttle time, 2 flexible, 3 THROTTLING_QUOTA_EXCEEDED.

func createPartitions(h *Handler, c *call, req *kmsg.CreatePartitionsRequest, resp *kmsg.CreatePartitionsResponse) error {
	times := make(map[string]int)
	for _, t := range req.Topics {
		times[t.Topic]++
	}
	answered := make(map[string]bool)
	var waiting []int
	counts := make(map[string]int32)
	for i := range req.Topics {
		t := &req.Topics[i]
		if answered[t.Topic] {
			continue
		}
		answered[t.Topic] = true
		rt := kmsg.NewCreatePartitionsResponseTopic()
		rt.Topic = t.Topic
		var err error
		switch {
		case !h.Controller.IsActive():
			err = wire.ErrNotController
		case times[t.Topic] > 1:
			err = refuse(wire.ErrInvalidRequest, "Duplicate topic in request.")
		case !h.topicAllowed(c.Conn, acl.Alter, t.Topic):
			err = refuse(wire.ErrTopicAuthorizationFailed, "The topic authorization is failed.")
		case h.Controller.TopicDeleting(t.Topic):
			err = refuse(wire.ErrInvalidTopic, "The topic is queued for deletion.")
		default:
			if err = h.addPartitions(c, t, req.ValidateOnly); err == nil && !req.ValidateOnly {
				counts[t.Topic] = t.Count
				waiting = append(waiting, len(resp.Topics))
			}
		}
		if err != nil {
			rt.ErrorCode, rt.ErrorMessage = h.codeAndReason(err)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	h.awaitPartitions(c, req, resp, waiting, counts)
	return nil
}

func (h *Handler) addPartitions(c *call, t *kmsg.CreatePartitionsRequestTopic, dryRun bool) error {
	old, err := h.Znodes().Topic(c.ctx, t.Topic)
	if errors.Is(err, zkstore.ErrNoNode) {
		return refuse(wire.ErrUnknownTopicOrPartition, fmt.Sprintf("The topic '%s' does not exist.", t.Topic))
	}
	if err != nil {
		return err
	}
	for _, a := range old.Partitions {
		if a.Reassigning() {
			return refuse(wire.ErrReassignmentInProgress, fmt.Sprintf("A partition reassignment is in progress for the topic '%s'.", t.Topic))
		}
	}
	have := int32(len(old.Partitions))
	switch {
	case t.Count == have:
		return refuse(wire.ErrInvalidPartitions, fmt.Sprintf("Topic already has %d partitions.", have))
	case t.Count < have:
		return refuse(wire.ErrInvalidPartitions, fmt.Sprintf("Topic currently has %d partitions, which is higher than the requested %d.", have, t.Count))
	}
	added, err := h.placeAdded(c, t, old, int(t.Count-have))
	if err != nil || dryRun {
		return err
	}
	grown := old
	grown.Partitions = maps.Clone(old.Partitions)
	for i, replicas := range added {
		grown.Partitions[i] = meta.Assignment{Replicas: replicas}
	}
	if err := h.Znodes().SetTopic(c.ctx, zkstore.Unfenced(), t.Topic, grown); err != nil {
		return err
	}
	h.Logger.Info("partitions added to a topic", zap.String("topic", t.Topic), zap.Int32("before", have), zap.Int32("now", t.Count), c.by())
	return nil
}

// placeAdded settles where the replicas of added partitions go, by partition id.
func (h *Handler) placeAdded(c *call, t *kmsg.CreatePartitionsRequestTopic, old meta.TopicAssignment, added int) (map[int32][]meta.BrokerID, error) {
	have := int32(len(old.Partitions))
	of0, ok := old.Partitions[0]
	if !ok {
		return nil, refuse(wire.ErrUnknownServer, fmt.Sprintf("Unexpected existing replica assignment for topic '%s', partition id 0 is missing.", t.Topic))
	}
	brokers, err := h.candidates(c.ctx)
	if err != nil {
		return nil, err
	}
	if t.Assignment == nil {
		return spread(controller.GrowthPlacement(brokers, int(have), added, of0.Replicas))
	}
	if len(t.Assignment) != added {
		return nil, refuse(wire.ErrInvalidReplicaAssignment, fmt.Sprintf("Increasing the number of partitions by %d but %d assignments provided.", added, len(t.Assignment)))
	}
	out := make(map[int32][]meta.BrokerID, added)
	for i, a := range t.Assignment {
		replicas := brokerIDs(a.Replicas)
		for j, id := range replicas {
			if slices.Contains(replicas[:j], id) {
				return nil, refuse(wire.ErrInvalidReplicaAssignment, fmt.Sprintf("Duplicate brokers not allowed in replica assignment: %v.", replicas))
			}
			if !slices.ContainsFunc(brokers, func(b controller.Candidate) bool { return b.ID == id }) {
				return nil, refuse(wire.ErrInvalidReplicaAssignment, fmt.Sprintf("Unknown broker(s) in replica assignment: %d.", id))
			}
		}
		if len(replicas) != len(of0.Replicas) {
			return nil, refuse(wire.ErrInvalidReplicaAssignment, fmt.Sprintf(
				"Inconsistent replication factor between partitions, partition 0 has %d while partition %d has %d.", len(of0.Replicas), have+int32(i), len(replicas)))
		}
		out[have+int32(i)] = replicas
	}
	return out, nil
}

func (h *Handler) awaitPartitions(c *call, req *kmsg.CreatePartitionsRequest, resp *kmsg.CreatePartitionsResponse, waiting []int, counts map[string]int32) {
	if len(waiting) == 0 {
		return
	}
	ready := func(s *metadata.Snapshot, i int) bool {
		t := s.Topic(resp.Topics[i].Topic)
		return t != nil && len(t.Partitions) >= int(counts[t.Name]) &&
			!slices.ContainsFunc(t.Partitions, func(p *metadata.Partition) bool { return p.Leader < 0 })
	}
	timeout := time.Duration(req.TimeoutMillis) * time.Millisecond
	c.await(h, timeout, func(s *metadata.Snapshot) bool {
		for _, i := range waiting {
			if !ready(s, i) {
				return false
			}
		}
		return true
	})
	s := h.Metadata.Load()
	for _, i := range waiting {
		if timeout <= 0 || !ready(s, i) {
			resp.Topics[i].ErrorCode, resp.Topics[i].ErrorMessage = h.codeAndReason(wire.ErrRequestTimedOut)
		}
	}
}
