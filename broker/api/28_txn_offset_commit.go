package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/group"
	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/broker/txn"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// TxnOffsetCommit, versions 0 to 4, for the group's coordinator: offsets that are committed when the producer's transaction is.
//
//	2 leader epoch (KIP-320)
//	3 flexible; member, generation and instance of the consumer (KIP-447)
//	4 TRANSACTION_ABORTABLE (KIP-890)

func txnOffsetCommit(h *Handler, c *call, req *kmsg.TxnOffsetCommitRequest, resp *kmsg.TxnOffsetCommitResponse) error {
	var answer byTopic[kmsg.TxnOffsetCommitResponseTopicPartition]
	add := func(tp meta.TopicPartition, code wire.Code) {
		rp := kmsg.NewTxnOffsetCommitResponseTopicPartition()
		rp.Partition, rp.ErrorCode = tp.Partition, int16(code)
		answer.add(tp.Topic, rp)
	}
	defer func() {
		for _, t := range answer.topics {
			resp.Topics = append(resp.Topics, kmsg.TxnOffsetCommitResponseTopic{Topic: t.name, Partitions: t.partitions})
		}
	}()
	var refused wire.Code
	switch {
	case !h.allowed(c.Conn, acl.Write, acl.TransactionalID, req.TransactionalID):
		refused = wire.ErrTransactionalIDAuthorizationFailed
	case !h.allowed(c.Conn, acl.Read, acl.Group, req.Group):
		refused = wire.ErrGroupAuthorizationFailed
	}
	topics := make([]string, len(req.Topics))
	for i := range req.Topics {
		topics[i] = req.Topics[i].Topic
	}
	var targets commitTargets
	if refused == wire.None {
		targets = h.commitTargets(c, topics)
	}
	q := group.CommitRequest{Group: req.Group, MemberID: req.MemberID, InstanceID: req.InstanceID, Generation: req.Generation,
		Txn: true, ProducerID: req.ProducerID, ProducerEpoch: req.ProducerEpoch}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			tp := meta.TopicPartition{Topic: t.Topic, Partition: p.Partition}
			code := refused
			if code == wire.None {
				code = targets.refusal(tp)
			}
			if code != wire.None {
				add(tp, code)
				continue
			}
			o := group.OffsetToCommit{TopicPartition: tp, Offset: p.Offset, LeaderEpoch: meta.LeaderEpoch(p.LeaderEpoch), Timestamp: -1, Retention: -1}
			if p.Metadata != nil {
				o.Metadata = *p.Metadata
			}
			q.Offsets = append(q.Offsets, o)
		}
	}
	if len(q.Offsets) == 0 {
		return nil
	}
	defer c.waiting()()
	guard, code := h.verifyOffsets(c, req)
	if code != wire.None {
		for _, o := range q.Offsets {
			add(o.TopicPartition, loadingBefore(2, req.Version, code))
		}
		return nil
	}
	q.Verified = guard
	for i, err := range h.Groups.Commit(c.ctx, q) {
		add(q.Offsets[i].TopicPartition, loadingBefore(2, req.Version, h.commitCode(err)))
	}
	return nil
}

// verifyOffsets is verifyTransaction for the group's partition of the offsets topic.
func (h *Handler) verifyOffsets(c *call, req *kmsg.TxnOffsetCommitRequest) (storage.VerificationGuard, wire.Code) {
	if req.TransactionalID == "" || req.Group == "" || !h.Config.Current().Txn.PartitionVerificationEnable {
		return storage.VerificationGuard{}, wire.None
	}
	number, _ := h.Placement.PartitionFor(offsetsTopic, req.Group)
	tp := meta.TopicPartition{Topic: offsetsTopic, Partition: number}
	guard, needed, err := h.Replicas.StartVerification(tp, req.ProducerID, req.ProducerEpoch, noSequence)
	if err == nil && needed {
		err = h.Verifier.Verify(c.ctx, txn.Verification{Partitions: []meta.TopicPartition{tp},
			Producer: txn.Producer{TransactionalID: req.TransactionalID, ID: req.ProducerID, Epoch: req.ProducerEpoch}})[0]
	}
	if err == nil {
		return guard, wire.None
	}
	if code := h.verifyCode(err, req.Version >= 4); code != wire.None {
		return guard, h.commitCode(code)
	}
	return guard, wire.None
}

// noSequence is the base sequence of batches that have none (RecordBatch.NO_SEQUENCE).
const noSequence = -1

// loadingBefore tells clients that do not know COORDINATOR_LOAD_IN_PROGRESS here to look for the coordinator again.
func loadingBefore(since, version int16, code wire.Code) wire.Code {
	if code == wire.ErrCoordinatorLoadInProgress && version < since {
		return wire.ErrCoordinatorNotAvailable
	}
	return code
}
