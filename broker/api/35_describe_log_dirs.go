package api

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// DescribeLogDirs, versions 0 to 4, for the broker itself.
//
//	1 throttle time
//	2 flexible
//	3 an error for the whole request
//	4 total and usable bytes of the volume (KIP-827)

func describeLogDirs(h *Handler, c *call, req *kmsg.DescribeLogDirsRequest, resp *kmsg.DescribeLogDirsResponse) error {
	if !h.clusterAllowed(c.Conn, acl.Describe) {
		resp.ErrorCode = int16(wire.ErrClusterAuthorizationFailed)
		return nil
	}
	want := wanted(req.Topics)
	for _, d := range h.LogDirs.Dirs() {
		rd := kmsg.NewDescribeLogDirsResponseDir()
		rd.Dir, rd.TotalBytes, rd.UsableBytes = d.Path, d.Total, d.Usable
		if d.Err != nil {
			rd.ErrorCode, rd.TotalBytes, rd.UsableBytes = int16(wire.ErrKafkaStorage), -1, -1
			resp.Dirs = append(resp.Dirs, rd)
			continue
		}
		for _, r := range h.Replicas.DescribeDir(d.Path, want) {
			rp := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
			rp.Partition, rp.Size, rp.OffsetLag, rp.IsFuture = r.Partition.Partition, r.Size, r.Lag, r.Future
			last := len(rd.Topics) - 1
			if last < 0 || rd.Topics[last].Topic != r.Partition.Topic {
				rt := kmsg.NewDescribeLogDirsResponseDirTopic()
				rt.Topic = r.Partition.Topic
				rd.Topics = append(rd.Topics, rt)
				last++
			}
			rd.Topics[last].Partitions = append(rd.Topics[last].Partitions, rp)
		}
		resp.Dirs = append(resp.Dirs, rd)
	}
	return nil
}

// wanted returns a filter for the partitions named, nil for all.
func wanted(topics []kmsg.DescribeLogDirsRequestTopic) func(meta.TopicPartition) bool {
	if topics == nil {
		return nil
	}
	return func(tp meta.TopicPartition) bool {
		return slices.ContainsFunc(topics, func(t kmsg.DescribeLogDirsRequestTopic) bool {
			return t.Topic == tp.Topic && slices.Contains(t.Partitions, tp.Partition)
		})
	}
}
