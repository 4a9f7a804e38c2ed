package api

import (
	"errors"
	"path/filepath"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/replica"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// AlterReplicaLogDirs, versions 0 to 2, for replicas of the broker itself (KIP-113).
//
//	1 throttle time
//	2 flexible
//
// Success says that the move has begun; DescribeLogDirs shows how far it is.

func alterReplicaLogDirs(h *Handler, c *call, req *kmsg.AlterReplicaLogDirsRequest, resp *kmsg.AlterReplicaLogDirsResponse) error {
	changes := dirChanges(req)
	var results []error
	if h.clusterAllowed(c.Conn, acl.Alter) {
		results = h.Replicas.AlterLogDirs(changes)
	}
	at := make(map[string]int) // topic to its place in the response
	for i, change := range changes {
		code := wire.ErrClusterAuthorizationFailed
		if results != nil {
			code = h.dirChangeCode(results[i])
		}
		topic := change.Partition.Topic
		n, seen := at[topic]
		if !seen {
			n = len(resp.Topics)
			at[topic] = n
			t := kmsg.NewAlterReplicaLogDirsResponseTopic()
			t.Topic = topic
			resp.Topics = append(resp.Topics, t)
		}
		p := kmsg.NewAlterReplicaLogDirsResponseTopicPartition()
		p.Partition, p.ErrorCode = change.Partition.Partition, int16(code)
		resp.Topics[n].Partitions = append(resp.Topics[n].Partitions, p)
	}
	return nil
}

// dirChangeCode keeps a code for a replica that is not here which this request had before others had it (KIP-113).
func (h *Handler) dirChangeCode(err error) wire.Code {
	if errors.Is(err, replica.ErrNotLeader) {
		return wire.ErrReplicaNotAvailable
	}
	return h.code(err)
}

// dirChanges flattens a request. The last word on a partition counts.
func dirChanges(req *kmsg.AlterReplicaLogDirsRequest) []replica.DirChange {
	var changes []replica.DirChange
	at := make(map[meta.TopicPartition]int)
	for _, d := range req.Dirs {
		dir := d.Dir
		if filepath.IsAbs(dir) {
			dir = filepath.Clean(dir) // as log.dirs are
		}
		for _, t := range d.Topics {
			for _, p := range t.Partitions {
				tp := meta.TopicPartition{Topic: t.Topic, Partition: p}
				i, seen := at[tp]
				if !seen {
					i = len(changes)
					at[tp] = i
					changes = append(changes, replica.DirChange{Partition: tp})
				}
				changes[i].Dir = dir
			}
		}
	}
	return changes
}
