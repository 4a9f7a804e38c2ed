package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// OffsetDelete, version 0 (KIP-496), for the group's coordinator.

func offsetDelete(h *Handler, c *call, req *kmsg.OffsetDeleteRequest, resp *kmsg.OffsetDeleteResponse) error {
	if !h.allowed(c.Conn, acl.Delete, acl.Group, req.Group) {
		resp.ErrorCode = int16(wire.ErrGroupAuthorizationFailed)
		return nil
	}
	var answer byTopic[kmsg.OffsetDeleteResponseTopicPartition]
	add := func(tp meta.TopicPartition, code wire.Code) {
		rp := kmsg.NewOffsetDeleteResponseTopicPartition()
		rp.Partition, rp.ErrorCode = tp.Partition, int16(code)
		answer.add(tp.Topic, rp)
	}
	topics := make([]string, len(req.Topics))
	for i := range req.Topics {
		topics[i] = req.Topics[i].Topic
	}
	targets := h.commitTargets(c, topics)
	var asked []meta.TopicPartition
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			tp := meta.TopicPartition{Topic: t.Topic, Partition: p.Partition}
			if code := targets.refusal(tp); code != wire.None {
				add(tp, code)
				continue
			}
			asked = append(asked, tp)
		}
	}
	defer c.waiting()()
	outcomes, err := h.Groups.DeleteOffsets(c.ctx, req.Group, asked)
	if err != nil {
		resp.ErrorCode = int16(h.commitCode(err))
		return nil
	}
	for i, err := range outcomes {
		add(asked[i], h.commitCode(err))
	}
	for _, t := range answer.topics {
		resp.Topics = append(resp.Topics, kmsg.OffsetDeleteResponseTopic{Topic: t.name, Partitions: t.partitions})
	}
	return nil
}
