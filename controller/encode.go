package controller

import (
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// encoder turns state into requests for one batch. What several requests share is converted once.
type encoder struct {
	t        *term
	protocol Protocol
	lists    map[*partition]lists
}

// lists are a partition's broker lists as kmsg wants them, shared between requests and never changed.
type lists struct {
	isr, replicas, adding, removing []int32
}

func newEncoder(t *term) *encoder {
	return &encoder{t: t, protocol: t.config().Protocol, lists: make(map[*partition]lists)}
}

func (e *encoder) listsOf(p *partition) lists {
	l, ok := e.lists[p]
	if !ok {
		l = lists{ints(p.info.ISR), ints(p.assignment.Replicas), ints(p.assignment.Adding), ints(p.assignment.Removing)}
		e.lists[p] = l
	}
	return l
}

// fullRequest is the type of a LeaderAndISR that leaves nothing out (AbstractControlRequest.Type). Apache's brokers heed it from
// KRaft controllers only, and its ZooKeeper controllers never say so; kraal's brokers then look for strays.
const fullRequest = 2

// leaderAndISR builds what one broker is to know of partitions it has replicas of; of says which are new there, whole whether
// these are all.
func (e *encoder) leaderAndISR(to *broker, of map[*partition]bool, whole bool) *kmsg.LeaderAndISRRequest {
	r := kmsg.NewPtrLeaderAndISRRequest()
	r.Version = e.protocol.LeaderAndISR
	r.ControllerID = int32(e.t.id())
	r.ControllerEpoch = int32(e.t.epoch)
	r.BrokerEpoch = int64(to.Epoch)
	if whole {
		r.Type = fullRequest
	}
	leaders := make(map[meta.BrokerID]struct{})
	for _, ps := range byTopic(of) {
		states := make([]kmsg.LeaderAndISRRequestTopicPartition, 0, len(ps))
		for _, p := range ps {
			states = append(states, e.leadership(p, of[p]))
			leaders[p.info.Leader] = struct{}{}
		}
		if r.Version < 2 {
			r.PartitionStates = append(r.PartitionStates, states...)
			continue
		}
		r.TopicStates = append(r.TopicStates, kmsg.LeaderAndISRRequestTopicState{
			Topic: ps[0].topic.name, TopicID: ps[0].topic.id, PartitionStates: states})
	}
	for _, id := range sortedKeys(leaders) {
		b := e.t.state.brokers[id]
		if b == nil {
			continue
		}
		// Registrations without this listener are never taken up, so it is there.
		if at, ok := b.Endpoint(e.t.config().InterBrokerListener); ok {
			r.LiveLeaders = append(r.LiveLeaders, kmsg.LeaderAndISRRequestLiveLeader{BrokerID: int32(id), Host: at.Host, Port: at.Port})
		}
	}
	return r
}

func (e *encoder) leadership(p *partition, isNew bool) kmsg.LeaderAndISRRequestTopicPartition {
	l := e.listsOf(p)
	q := kmsg.LeaderAndISRRequestTopicPartition{
		Partition:        p.id,
		ControllerEpoch:  int32(p.info.ControllerEpoch),
		Leader:           int32(p.info.Leader),
		LeaderEpoch:      int32(p.info.LeaderEpoch),
		ISR:              l.isr,
		ZKVersion:        int32(p.info.PartitionEpoch),
		Replicas:         l.replicas,
		AddingReplicas:   l.adding,
		RemovingReplicas: l.removing,
		IsNew:            isNew,
	}
	if e.protocol.LeaderAndISR < 2 {
		q.Topic = p.topic.name
	}
	if e.protocol.LeaderRecovery {
		q.LeaderRecoveryState = int8(p.info.RecoveryState)
	}
	return q
}

// updateMetadata builds the request for everyone; only BrokerEpoch differs by receiver. It always lists all brokers,
// since the receiver replaces its picture of them.
func (e *encoder) updateMetadata(of map[*partition]struct{}) *kmsg.UpdateMetadataRequest {
	r := kmsg.NewPtrUpdateMetadataRequest()
	r.Version = e.protocol.UpdateMetadata
	r.ControllerID = int32(e.t.id())
	r.ControllerEpoch = int32(e.t.epoch)
	for _, ps := range byTopic(of) {
		states := make([]kmsg.UpdateMetadataRequestTopicPartition, 0, len(ps))
		for _, p := range ps {
			states = append(states, e.metadata(p))
		}
		if r.Version < 5 {
			r.PartitionStates = append(r.PartitionStates, states...)
			continue
		}
		r.TopicStates = append(r.TopicStates, kmsg.UpdateMetadataRequestTopicState{
			Topic: ps[0].topic.name, TopicID: ps[0].topic.id, PartitionStates: states})
	}
	for _, id := range e.t.state.brokerIDs() {
		r.LiveBrokers = append(r.LiveBrokers, e.liveBroker(e.t.state.brokers[id]))
	}
	return r
}

func (e *encoder) metadata(p *partition) kmsg.UpdateMetadataRequestTopicPartition {
	l := e.listsOf(p)
	q := kmsg.UpdateMetadataRequestTopicPartition{
		Partition:       p.id,
		ControllerEpoch: int32(p.info.ControllerEpoch),
		Leader:          int32(p.info.Leader),
		LeaderEpoch:     int32(p.info.LeaderEpoch),
		ISR:             l.isr,
		ZKVersion:       int32(p.info.PartitionEpoch),
		Replicas:        l.replicas,
	}
	if e.protocol.UpdateMetadata < 5 {
		q.Topic = p.topic.name
	}
	if p.topic.queued {
		q.Leader, q.LeaderEpoch, q.ZKVersion = int32(meta.LeaderDuringDelete), 0, 0
	}
	for _, id := range p.assignment.Replicas {
		if !e.t.state.online(p, id) {
			q.OfflineReplicas = append(q.OfflineReplicas, int32(id))
		}
	}
	return q
}

func (e *encoder) liveBroker(b *broker) kmsg.UpdateMetadataRequestLiveBroker {
	l := kmsg.UpdateMetadataRequestLiveBroker{ID: int32(b.ID)}
	if e.protocol.UpdateMetadata == 0 {
		if at, ok := b.Endpoint(e.t.config().InterBrokerListener); ok {
			l.Host, l.Port = at.Host, at.Port
		}
		return l
	}
	for _, at := range b.Endpoints {
		protocol, ok := securityProtocols[at.Protocol]
		if !ok {
			e.t.log.Error("broker advertises an unknown security protocol", zap.Int32("broker", int32(b.ID)), zap.String("protocol", at.Protocol))
			continue
		}
		l.Endpoints = append(l.Endpoints, kmsg.UpdateMetadataRequestLiveBrokerEndpoint{
			Port: at.Port, Host: at.Host, ListenerName: at.Listener, SecurityProtocol: protocol})
	}
	if b.Rack != "" {
		rack := b.Rack
		l.Rack = &rack
	}
	return l
}

// securityProtocols are the wire ids of Kafka's SecurityProtocol.
var securityProtocols = map[string]int16{"PLAINTEXT": 0, "SSL": 1, "SASL_PLAINTEXT": 2, "SASL_SSL": 3}

// stopRequest is one StopReplica request and the partitions whose deletion its answer tells of.
type stopRequest struct {
	request  kmsg.Request
	deleting []*partition
}

// stopReplica builds the requests for one broker: one, or below version 3, where the delete flag is the request's, two.
func (e *encoder) stopReplica(to *broker, of map[*partition]stop) []stopRequest {
	if e.protocol.StopReplica >= 3 {
		return []stopRequest{e.stopRequest(to, of, false)}
	}
	del, keep := make(map[*partition]stop), make(map[*partition]stop)
	for p, s := range of {
		if s.del {
			del[p] = s
		} else {
			keep[p] = s
		}
	}
	var rs []stopRequest
	if len(del) > 0 {
		rs = append(rs, e.stopRequest(to, del, true))
	}
	if len(keep) > 0 {
		rs = append(rs, e.stopRequest(to, keep, false))
	}
	return rs
}

func (e *encoder) stopRequest(to *broker, of map[*partition]stop, del bool) stopRequest {
	r := kmsg.NewPtrStopReplicaRequest()
	r.Version = e.protocol.StopReplica
	r.ControllerID = int32(e.t.id())
	r.ControllerEpoch = int32(e.t.epoch)
	r.BrokerEpoch = int64(to.Epoch)
	r.DeletePartitions = del
	var deleting []*partition
	for _, ps := range byTopic(of) {
		in := kmsg.StopReplicaRequestTopic{Topic: ps[0].topic.name}
		for _, p := range ps {
			if of[p].del && p.topic.started {
				deleting = append(deleting, p)
			}
			switch {
			case r.Version == 0: // one topic entry per partition
				r.Topics = append(r.Topics, kmsg.StopReplicaRequestTopic{Topic: p.topic.name, Partition: p.id})
			case r.Version < 3:
				in.Partitions = append(in.Partitions, p.id)
			default:
				in.PartitionStates = append(in.PartitionStates, kmsg.StopReplicaRequestTopicPartitionState{
					Partition: p.id, LeaderEpoch: int32(of[p].leaderEpoch), Delete: of[p].del})
			}
		}
		if r.Version > 0 {
			r.Topics = append(r.Topics, in)
		}
	}
	return stopRequest{r, deleting}
}

func ints(ids []meta.BrokerID) []int32 {
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out
}
