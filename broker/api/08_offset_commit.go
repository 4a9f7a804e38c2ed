package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/group"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// OffsetCommit, versions 0 to 9, for the group's coordinator; version 0 for any broker.
//
//	0 the offset goes to ZooKeeper
//	1 member and generation, and each partition's own commit timestamp
//	2 a retention time instead of the timestamp
//	5 no retention time (KIP-211)
//	6 leader epoch (KIP-320)
//	7 static members (KIP-345)
//	8 flexible
//	9 the generation may be a member epoch (KIP-848), of which there are none here

func offsetCommit(h *Handler, c *call, req *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse) error {
	var answer byTopic[kmsg.OffsetCommitResponseTopicPartition]
	add := func(tp meta.TopicPartition, code wire.Code) {
		rp := kmsg.NewOffsetCommitResponseTopicPartition()
		rp.Partition, rp.ErrorCode = tp.Partition, int16(code)
		answer.add(tp.Topic, rp)
	}
	defer func() {
		for _, t := range answer.topics {
			resp.Topics = append(resp.Topics, kmsg.OffsetCommitResponseTopic{Topic: t.name, Partitions: t.partitions})
		}
	}()
	topics := make([]string, len(req.Topics))
	for i := range req.Topics {
		topics[i] = req.Topics[i].Topic
	}
	refused := h.mayReadGroup(c, req.Group)
	if refused == nil {
		refused = h.mayBeStatic(req.InstanceID)
	}
	if refused != nil {
		for _, t := range req.Topics {
			for _, p := range t.Partitions {
				add(meta.TopicPartition{Topic: t.Topic, Partition: p.Partition}, h.code(refused))
			}
		}
		return nil
	}
	targets := h.commitTargets(c, topics)
	q := group.CommitRequest{Group: req.Group, MemberID: req.MemberID, InstanceID: req.InstanceID, Generation: req.Generation}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			tp := meta.TopicPartition{Topic: t.Topic, Partition: p.Partition}
			if code := targets.refusal(tp); code != wire.None {
				add(tp, code)
				continue
			}
			o := group.OffsetToCommit{TopicPartition: tp, Offset: p.Offset, LeaderEpoch: meta.LeaderEpoch(p.LeaderEpoch), Timestamp: -1, Retention: req.RetentionTimeMillis}
			if p.Metadata != nil {
				o.Metadata = *p.Metadata
			}
			if req.Version == 1 {
				o.Timestamp = p.Timestamp
			}
			q.Offsets = append(q.Offsets, o)
		}
	}
	if len(q.Offsets) == 0 {
		return nil
	}
	for i, code := range h.commit(c, req.Version, q) {
		add(q.Offsets[i].TopicPartition, code)
	}
	return nil
}

func (h *Handler) commit(c *call, version int16, q group.CommitRequest) []wire.Code {
	codes := make([]wire.Code, len(q.Offsets))
	if version > 0 {
		defer c.waiting()()
		for i, err := range h.Groups.Commit(c.ctx, q) {
			codes[i] = h.commitCode(err)
		}
		return codes
	}
	offsets := map[meta.TopicPartition]int64{}
	limit := int(h.Config.Current().Offsets.MetadataMaxBytes)
	for i, o := range q.Offsets {
		if group.MetadataTooLong(o.Metadata, limit) { // it is not kept, but judged
			codes[i] = wire.ErrOffsetMetadataTooLarge
			continue
		}
		offsets[o.TopicPartition] = o.Offset
	}
	failed, err := h.Znodes().SetOffsets(c.ctx, q.Group, offsets)
	for i, o := range q.Offsets {
		if codes[i] != wire.None {
			continue
		}
		if codes[i] = h.code(err); err == nil {
			codes[i] = h.code(failed[o.TopicPartition])
		}
	}
	return codes
}
