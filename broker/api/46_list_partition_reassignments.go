package api

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// ListPartitionReassignments, version 0, for the controller (KIP-455). Topics null means all; what does not move is left out.

func listPartitionReassignments(h *Handler, c *call, req *kmsg.ListPartitionReassignmentsRequest, resp *kmsg.ListPartitionReassignmentsResponse) error {
	resp.ErrorMessage = new(string)
	if !h.clusterAllowed(c.Conn, acl.Describe) {
		resp.ErrorCode, resp.ErrorMessage = h.codeAndMessage(wire.ErrClusterAuthorizationFailed)
		return nil
	}
	var asked []meta.TopicPartition // nil: all
	if req.Topics != nil {
		asked = []meta.TopicPartition{}
		for _, t := range req.Topics {
			for _, p := range t.Partitions {
				asked = append(asked, meta.TopicPartition{Topic: t.Topic, Partition: p})
			}
		}
	}
	running, err := h.Controller.Reassignments(c.ctx, asked)
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = h.codeAndMessage(err)
		return nil
	}
	moving := make([]meta.TopicPartition, 0, len(running))
	for tp := range running {
		moving = append(moving, tp)
	}
	slices.SortFunc(moving, meta.TopicPartition.Compare)
	for _, tp := range moving {
		if n := len(resp.Topics); n == 0 || resp.Topics[n-1].Topic != tp.Topic {
			t := kmsg.NewListPartitionReassignmentsResponseTopic()
			t.Topic = tp.Topic
			resp.Topics = append(resp.Topics, t)
		}
		a := running[tp]
		p := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
		p.Partition, p.Replicas, p.AddingReplicas, p.RemovingReplicas = tp.Partition, ints(a.Replicas), ints(a.Adding), ints(a.Removing)
		t := &resp.Topics[len(resp.Topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
	return nil
}
