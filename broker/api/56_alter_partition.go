package api

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/controller"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// AlterPartition, versions 0 to 3, from the leaders of partitions, for the controller (KIP-497).
//
//	1 leader recovery state (KIP-704)
//	2 topic ids in place of names; INELIGIBLE_REPLICA for what was OPERATION_NOT_ATTEMPTED
//	3 broker epochs of the ISR members (KIP-903), which the ZooKeeper-mode controller does not look at

func alterPartition(h *Handler, c *call, req *kmsg.AlterPartitionRequest, resp *kmsg.AlterPartitionResponse) error {
	if !h.clusterAllowed(c.Conn, acl.ClusterAction) {
		resp.ErrorCode = int16(wire.ErrClusterAuthorizationFailed)
		return nil
	}
	var changes []controller.PartitionChange
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			ch := controller.PartitionChange{Topic: t.Topic, Partition: p.Partition, LeaderEpoch: meta.LeaderEpoch(p.LeaderEpoch),
				PartitionEpoch: meta.PartitionEpoch(p.PartitionEpoch), RecoveryState: meta.RecoveryState(p.LeaderRecoveryState), ISR: brokerIDs(p.NewISR)}
			if req.Version >= 2 {
				ch.Topic, ch.TopicID = "", t.TopicID
			}
			for _, member := range p.NewEpochISR {
				ch.ISR = append(ch.ISR, meta.BrokerID(member.BrokerID))
			}
			changes = append(changes, ch)
		}
	}
	results, err := h.Controller.AlterPartition(c.ctx, meta.BrokerID(req.BrokerID), meta.BrokerEpoch(req.BrokerEpoch), changes)
	if err != nil {
		resp.ErrorCode = int16(h.code(err))
		return nil
	}
	for _, t := range req.Topics {
		rt := kmsg.NewAlterPartitionResponseTopic()
		rt.Topic, rt.TopidID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			rt.Partitions = append(rt.Partitions, h.partitionChanged(req.Version, p.Partition, &results[0]))
			results = results[1:]
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return nil
}

func (h *Handler) partitionChanged(version int16, id int32, r *controller.PartitionChangeResult) kmsg.AlterPartitionResponseTopicPartition {
	p := kmsg.NewAlterPartitionResponseTopicPartition()
	p.Partition = id
	switch {
	case version < 2 && errors.Is(r.Err, controller.ErrIneligibleReplica):
		p.ErrorCode = int16(wire.ErrOperationNotAttempted)
	case r.Err != nil:
		p.ErrorCode = int16(h.code(r.Err))
	default:
		p.LeaderID, p.LeaderEpoch, p.PartitionEpoch = int32(r.State.Leader), int32(r.State.LeaderEpoch), int32(r.State.PartitionEpoch)
		p.ISR, p.LeaderRecoveryState = ints(r.State.ISR), int8(r.State.RecoveryState)
	}
	return p
}
