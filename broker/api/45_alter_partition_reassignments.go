package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/controller"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// AlterPartitionReassignments, version 0, for the controller (KIP-455). kmsg calls it AlterPartitionAssignments.
//
// Null replicas cancel. The answer says that moves have begun; ListPartitionReassignments and Metadata tell how they go on.

func alterPartitionReassignments(h *Handler, c *call, req *kmsg.AlterPartitionAssignmentsRequest, resp *kmsg.AlterPartitionAssignmentsResponse) error {
	resp.ErrorMessage = new(string)
	var moves []controller.Reassignment
	for _, t := range req.Topics {
		rt := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			m := controller.Reassignment{TopicPartition: meta.TopicPartition{Topic: t.Topic, Partition: p.Partition}}
			if p.Replicas != nil {
				m.Replicas = brokerIDs(p.Replicas) // never nil: that would cancel
			}
			moves = append(moves, m)
			rp := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			rp.Partition = p.Partition
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	if !h.clusterAllowed(c.Conn, acl.Alter) {
		resp.ErrorCode, resp.ErrorMessage = h.codeAndMessage(wire.ErrClusterAuthorizationFailed)
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				p := &resp.Topics[i].Partitions[j]
				p.ErrorCode, p.ErrorMessage = resp.ErrorCode, resp.ErrorMessage
			}
		}
		return nil
	}
	errs, err := h.Controller.AlterReassignments(c.ctx, moves)
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = h.codeAndMessage(err)
		resp.Topics = nil
		return nil
	}
	n := 0
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			p := &resp.Topics[i].Partitions[j]
			p.ErrorCode, p.ErrorMessage = h.codeAndMessage(errs[n])
			n++
		}
	}
	return nil
}
