package api

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/replica"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// ListOffsets, versions 0 to 9.
//
//	1 one offset and its timestamp instead of segment base offsets
//	2 isolation level, throttle time
//	4 leader epochs (KIP-320)
//	5 OFFSET_NOT_AVAILABLE
//	6 flexible
//	7 the record with the largest timestamp (KIP-734)
//	8 the earliest local offset (KIP-405)
//	9 the latest tiered offset (KIP-1005)

func listOffsets(h *Handler, c *call, req *kmsg.ListOffsetsRequest, resp *kmsg.ListOffsetsResponse) error {
	type place struct {
		topic     string
		partition int32
	}
	times, asked := make(map[place]int), time.Now()
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			times[place{t.Topic, p.Partition}]++
		}
	}
	for _, t := range req.Topics {
		rt := kmsg.NewListOffsetsResponseTopic()
		rt.Topic = t.Topic
		allowed := h.topicAllowed(c.Conn, acl.Describe, t.Topic)
		for i := range t.Partitions {
			p := &t.Partitions[i]
			rp := kmsg.NewListOffsetsResponseTopicPartition()
			rp.Partition, rp.Offset, rp.Timestamp, rp.LeaderEpoch = p.Partition, -1, -1, -1
			switch {
			case !allowed:
				rp.ErrorCode = int16(wire.ErrTopicAuthorizationFailed)
			case req.Version >= 1 && times[place{t.Topic, p.Partition}] > 1:
				rp.ErrorCode = int16(wire.ErrInvalidRequest)
			default:
				h.listOffset(c.ctx, req, asked, t.Topic, p, &rp)
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return nil
}

func (h *Handler) listOffset(ctx context.Context, req *kmsg.ListOffsetsRequest, asked time.Time, topic string, p *kmsg.ListOffsetsRequestTopicPartition, rp *kmsg.ListOffsetsResponseTopicPartition) {
	q := replica.OffsetQuery{
		Partition:          meta.TopicPartition{Topic: topic, Partition: p.Partition},
		Timestamp:          p.Timestamp,
		CurrentLeaderEpoch: meta.NoLeaderEpoch,
		Replica:            meta.BrokerID(req.ReplicaID),
		Isolation:          replica.Isolation(req.IsolationLevel),
		Asked:              asked,
	}
	if req.Version >= 4 {
		q.CurrentLeaderEpoch = meta.LeaderEpoch(p.CurrentLeaderEpoch)
	}
	if q.Timestamp < 0 && !knowsTimestamp(req.Version, q.Timestamp) {
		rp.ErrorCode = int16(wire.ErrUnsupportedVersion)
		return
	}
	if req.Version == 0 {
		offsets, err := h.Replicas.LegacyOffsets(q, int(max(0, p.MaxNumOffsets)))
		rp.OldStyleOffsets, rp.ErrorCode = offsets, int16(h.partitionCode(ctx, q.Partition, err))
		return
	}
	found, err := h.Replicas.LookupOffset(q)
	code := h.partitionCode(ctx, q.Partition, err)
	if code == wire.ErrOffsetNotAvailable && req.Version < 5 {
		code = wire.ErrLeaderNotAvailable
	}
	rp.ErrorCode, rp.Offset, rp.Timestamp, rp.LeaderEpoch = int16(code), found.Offset, found.Timestamp, int32(found.LeaderEpoch)
}

// knowsTimestamp reports whether a special timestamp has a meaning in a version.
func knowsTimestamp(version int16, timestamp int64) bool {
	switch timestamp {
	case replica.Latest, replica.Earliest:
		return true
	case replica.MaxTimestamp:
		return version >= 7
	case replica.EarliestLocal:
		return version >= 8
	case replica.LatestTiered:
		return version >= 9
	}
	return false
}
