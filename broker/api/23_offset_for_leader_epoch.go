package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// OffsetForLeaderEpoch, versions 0 to 4, for the leader (KIP-101).
//
//	1 leader epoch in the answer
//	2 current leader epoch, throttle time
//	3 replica id
//	4 flexible

func offsetForLeaderEpoch(h *Handler, c *call, req *kmsg.OffsetForLeaderEpochRequest, resp *kmsg.OffsetForLeaderEpochResponse) error {
	trusted := h.clusterAllowed(c.Conn, acl.ClusterAction)
	for _, t := range req.Topics {
		rt := kmsg.NewOffsetForLeaderEpochResponseTopic()
		rt.Topic = t.Topic
		refused := wire.None
		switch {
		case !trusted && !h.topicAllowed(c.Conn, acl.Describe, t.Topic):
			refused = wire.ErrTopicAuthorizationFailed
		case h.Metadata.Load().Topic(t.Topic) == nil:
			refused = h.unknownTopic(c.ctx, t.Topic)
		}
		for _, p := range t.Partitions {
			rp := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			rp.Partition, rp.LeaderEpoch, rp.EndOffset, rp.ErrorCode = p.Partition, -1, -1, int16(refused)
			if refused == wire.None {
				current := meta.NoLeaderEpoch
				if req.Version >= 2 {
					current = meta.LeaderEpoch(p.CurrentLeaderEpoch)
				}
				end, err := h.Replicas.EndOfEpoch(meta.TopicPartition{Topic: t.Topic, Partition: p.Partition}, current, meta.LeaderEpoch(p.LeaderEpoch))
				rp.LeaderEpoch, rp.EndOffset, rp.ErrorCode = int32(end.Epoch), end.EndOffset, int16(h.code(err))
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return nil
}
