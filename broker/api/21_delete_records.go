package api

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/replica"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// DeleteRecords, versions 0 to 2, for the leader. 1 throttle time, 2 flexible.

func deleteRecords(h *Handler, c *call, req *kmsg.DeleteRecordsRequest, resp *kmsg.DeleteRecordsResponse) error {
	var deletions []replica.Deletion
	type place struct{ topic, partition int }
	var places []place
	for i, t := range req.Topics {
		rt := kmsg.NewDeleteRecordsResponseTopic()
		rt.Topic = t.Topic
		refused := h.deleteRecordsRefusal(c, t.Topic)
		for j, p := range t.Partitions {
			rp := kmsg.NewDeleteRecordsResponseTopicPartition()
			rp.Partition, rp.LowWatermark, rp.ErrorCode = p.Partition, -1, int16(refused)
			if refused == wire.None {
				places = append(places, place{i, j})
				deletions = append(deletions, replica.Deletion{
					Partition: meta.TopicPartition{Topic: t.Topic, Partition: p.Partition}, Before: p.Offset})
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	h.Replicas.DeleteRecords(c.ctx, time.Duration(req.TimeoutMillis)*time.Millisecond, deletions)
	for i, d := range deletions {
		rp := &resp.Topics[places[i].topic].Partitions[places[i].partition]
		rp.LowWatermark, rp.ErrorCode = d.LowWatermark, int16(h.code(d.Err))
	}
	return nil
}

func (h *Handler) deleteRecordsRefusal(c *call, topic string) wire.Code {
	switch {
	case !h.topicAllowed(c.Conn, acl.Delete, topic):
		return wire.ErrTopicAuthorizationFailed
	case h.Metadata.Load().Topic(topic) == nil:
		return h.unknownTopic(c.ctx, topic)
	case isInternal(topic):
		return wire.ErrInvalidTopic
	}
	return wire.None
}
