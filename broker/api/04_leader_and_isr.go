package api

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/replica"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// LeaderAndIsr, versions 0 to 7, from the controller.
//
//	1 whether the replica is new
//	2 broker epoch; partitions grouped by topic
//	3 replicas being added and removed (KIP-455)
//	4 flexible
//	5 topic ids and the type of request; answers by topic id
//	6 leader recovery state (KIP-704)
//	7 whether a KRaft controller sends it

func leaderAndISR(h *Handler, c *call, req *kmsg.LeaderAndISRRequest, resp *kmsg.LeaderAndISRResponse) error {
	states, ids := partitionStates(req)
	if !h.clusterAllowed(c.Conn, acl.ClusterAction) {
		answerLeaderAndISR(resp, wire.ErrClusterAuthorizationFailed, states, ids, nil)
		return nil
	}
	assigned := make([]replica.Assigned, len(states))
	for i, s := range states {
		assigned[i] = replica.Assigned{
			Partition: meta.TopicPartition{Topic: s.Topic, Partition: s.Partition},
			TopicID:   ids[s.Topic],
			LeaderAndISR: meta.LeaderAndISR{
				Leader: meta.BrokerID(s.Leader), LeaderEpoch: meta.LeaderEpoch(s.LeaderEpoch), ISR: brokerIDs(s.ISR),
				RecoveryState:   meta.RecoveryState(s.LeaderRecoveryState),
				ControllerEpoch: meta.ControllerEpoch(s.ControllerEpoch), PartitionEpoch: meta.PartitionEpoch(s.ZKVersion),
			},
			Assignment: meta.Assignment{Replicas: brokerIDs(s.Replicas), Adding: brokerIDs(s.AddingReplicas), Removing: brokerIDs(s.RemovingReplicas)},
			IsNew:      s.IsNew,
		}
	}
	from := sender(req.ControllerID, req.ControllerEpoch, req.BrokerEpoch, req.Version >= 2)
	if req.Version >= 5 && req.Type == fullRequest {
		h.setStraysAside(c, from, assigned)
	}
	h.learnTopics(c, assigned)
	results, err := h.Replicas.LeaderAndISR(from, assigned)
	codes := make([]wire.Code, len(states))
	for i := range results {
		codes[i] = h.code(results[i])
	}
	answerLeaderAndISR(resp, h.code(err), states, ids, codes)
	return nil
}

// learnTopics makes the configuration of topics known before their first log is made. Later changes are announced.
func (h *Handler) learnTopics(c *call, assigned []replica.Assigned) {
	var topics []string
	for i := range assigned {
		tp := assigned[i].Partition
		if !h.Replicas.Hosts(tp) {
			topics = append(topics, tp.Topic)
		}
	}
	slices.Sort(topics)
	if topics = slices.Compact(topics); len(topics) > 0 {
		h.Topics.LearnTopics(c.ctx, topics)
	}
}

// sender is who commands. known is whether the version carries a broker epoch.
func sender(controllerID, controllerEpoch int32, brokerEpoch int64, known bool) replica.Sender {
	s := replica.Sender{Controller: meta.BrokerID(controllerID), ControllerEpoch: meta.ControllerEpoch(controllerEpoch), BrokerEpoch: meta.NoBrokerEpoch}
	if known {
		s.BrokerEpoch = meta.BrokerEpoch(brokerEpoch)
	}
	return s
}

// partitionStates flattens a request of any version.
func partitionStates(req *kmsg.LeaderAndISRRequest) ([]kmsg.LeaderAndISRRequestTopicPartition, map[string]meta.TopicID) {
	if req.Version < 2 {
		return req.PartitionStates, nil
	}
	ids := make(map[string]meta.TopicID, len(req.TopicStates))
	var all []kmsg.LeaderAndISRRequestTopicPartition
	for _, t := range req.TopicStates {
		ids[t.Topic] = t.TopicID
		for _, p := range t.PartitionStates {
			p.Topic = t.Topic
			all = append(all, p)
		}
	}
	return all, ids
}

// answerLeaderAndISR repeats an error of the whole request on every partition, as Kafka does.
func answerLeaderAndISR(resp *kmsg.LeaderAndISRResponse, code wire.Code, states []kmsg.LeaderAndISRRequestTopicPartition, ids map[string]meta.TopicID, codes []wire.Code) {
	resp.ErrorCode = int16(code)
	at := make(map[string]int) // topic to its place in the response
	for i, s := range states {
		p := kmsg.NewLeaderAndISRResponseTopicPartition()
		p.Topic, p.Partition, p.ErrorCode = s.Topic, s.Partition, int16(code)
		if code == wire.None {
			p.ErrorCode = int16(codes[i])
		}
		if resp.Version < 5 {
			resp.Partitions = append(resp.Partitions, p)
			continue
		}
		n, seen := at[s.Topic]
		if !seen {
			n = len(resp.Topics)
			at[s.Topic] = n
			t := kmsg.NewLeaderAndISRResponseTopic()
			t.TopicID = ids[s.Topic]
			resp.Topics = append(resp.Topics, t)
		}
		resp.Topics[n].Partitions = append(resp.Topics[n].Partitions, p)
	}
}
