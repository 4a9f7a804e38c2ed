package controller

import (
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Kafka error codes that mean something to the controller.
const (
	codeNone         = 0
	codeStorageError = 56 // KAFKA_STORAGE_ERROR
)

// handle takes note of a broker's answer. Those of an earlier term or of an earlier life of the broker count for nothing.
func (e *answered) handle(t *term) error {
	if e.term != t || t.state.brokers[e.broker.ID] != e.broker {
		return nil
	}
	switch r := e.answer.(type) {
	case *kmsg.LeaderAndISRResponse:
		return t.leadershipAnswered(e.broker, r)
	case *kmsg.StopReplicaResponse:
		return t.stopAnswered(e.broker, e.letter.deleting, r)
	case *kmsg.UpdateMetadataResponse:
		if r.ErrorCode != codeNone {
			t.log.Error("UpdateMetadata refused", zap.Int32("broker", int32(e.broker.ID)), codeField(r.ErrorCode))
		}
	}
	return nil
}

// leadershipAnswered learns which replicas are on a lost log directory. Of the codes per partition only two mean
// something here: STALE_CONTROLLER_EPOCH, for one, is the normal answer to a leader epoch that is known already.
func (t *term) leadershipAnswered(b *broker, r *kmsg.LeaderAndISRResponse) error {
	if r.ErrorCode != codeNone {
		t.log.Error("LeaderAndISR refused", zap.Int32("broker", int32(b.ID)), codeField(r.ErrorCode))
		return nil
	}
	var lost []partitionReplica
	note := func(of *topic, id int32, code int16) {
		if of == nil || of.partitions[id] == nil {
			return // deleted meanwhile
		}
		p := of.partitions[id]
		switch code {
		case codeStorageError:
			if !b.lost(p) {
				b.offline[p] = struct{}{}
				lost = append(lost, partitionReplica{p, b.ID})
			}
		case codeNone:
			delete(b.offline, p)
		}
	}
	for _, p := range r.Partitions {
		note(t.state.topics[p.Topic], p.Partition, p.ErrorCode)
	}
	for _, of := range r.Topics {
		known := t.state.byID[meta.TopicID(of.TopicID)]
		for _, p := range of.Partitions {
			note(known, p.Partition, p.ErrorCode)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	t.log.Error("replicas are on a lost log directory", zap.Int32("broker", int32(b.ID)), zap.Int("replicas", len(lost)))
	return t.replicasLost(lost)
}

// stopAnswered learns which replicas were deleted. The answer counts only for topics being deleted, not for replicas that
// a reassignment removed.
func (t *term) stopAnswered(b *broker, asked []*partition, r *kmsg.StopReplicaResponse) error {
	codes := make(map[meta.TopicPartition]int16, len(r.Partitions))
	for _, p := range r.Partitions {
		codes[meta.TopicPartition{Topic: p.Topic, Partition: p.Partition}] = p.ErrorCode
	}
	var deleted, failed []partitionReplica
	for _, p := range asked {
		if t.state.topics[p.topic.name] != p.topic || p.replicaState(b.ID) != replicaDeletionStarted {
			continue
		}
		code := r.ErrorCode
		if code == codeNone {
			code = codes[p.tp()]
		}
		if code == codeNone {
			deleted = append(deleted, partitionReplica{p, b.ID})
			continue
		}
		t.log.Error("a broker cannot delete a replica", partitionField(p.tp()), zap.Int32("broker", int32(b.ID)), codeField(code))
		failed = append(failed, partitionReplica{p, b.ID})
	}
	return t.replicasDeleted(deleted, failed)
}
