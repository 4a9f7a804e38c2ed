package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/replica"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// StopReplica, versions 0 to 4, from the controller.
//
//	1 broker epoch; partitions grouped by topic
//	2 flexible
//	3 leader epoch and delete flag for each partition
//	4 whether a KRaft controller sends it

func stopReplica(h *Handler, c *call, req *kmsg.StopReplicaRequest, resp *kmsg.StopReplicaResponse) error {
	stops := stopped(req)
	if !h.clusterAllowed(c.Conn, acl.ClusterAction) {
		resp.ErrorCode = int16(wire.ErrClusterAuthorizationFailed)
		return nil
	}
	results, err := h.Replicas.StopReplicas(sender(req.ControllerID, req.ControllerEpoch, req.BrokerEpoch, req.Version >= 1), stops)
	resp.ErrorCode = int16(h.code(err))
	for i, result := range results {
		p := kmsg.NewStopReplicaResponsePartition()
		p.Topic, p.Partition, p.ErrorCode = stops[i].Partition.Topic, stops[i].Partition.Partition, int16(h.code(result))
		resp.Partitions = append(resp.Partitions, p)
	}
	return nil
}

// stopped flattens a request of any version.
func stopped(req *kmsg.StopReplicaRequest) []replica.Stopped {
	var out []replica.Stopped
	add := func(topic string, partition int32, epoch meta.LeaderEpoch, del bool) {
		out = append(out, replica.Stopped{Partition: meta.TopicPartition{Topic: topic, Partition: partition}, LeaderEpoch: epoch, Delete: del})
	}
	for _, t := range req.Topics {
		switch {
		case req.Version == 0:
			add(t.Topic, t.Partition, meta.NoLeaderEpoch, req.DeletePartitions)
		case req.Version < 3:
			for _, p := range t.Partitions {
				add(t.Topic, p, meta.NoLeaderEpoch, req.DeletePartitions)
			}
		default:
			for _, p := range t.PartitionStates {
				add(t.Topic, p.Partition, meta.LeaderEpoch(p.LeaderEpoch), p.Delete)
			}
		}
	}
	return out
}
