package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/txn"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// AddPartitionsToTxn, versions 0 to 5, for the coordinator of a transactional id.
//
//	2 PRODUCER_FENCED (KIP-588)
//	3 flexible
//	4 from brokers only: several transactions, and verifying instead of adding (KIP-890)
//	5 TRANSACTION_ABORTABLE

func addPartitionsToTxn(h *Handler, c *call, req *kmsg.AddPartitionsToTxnRequest, resp *kmsg.AddPartitionsToTxnResponse) error {
	if req.Version < 4 {
		a := addition{h: h, c: c, producer: txn.Producer{TransactionalID: req.TransactionalID, ID: req.ProducerID, Epoch: req.ProducerEpoch}}
		for _, t := range req.Topics {
			a.topic(t.Topic, t.Partitions)
		}
		for _, t := range a.run() {
			rt := kmsg.NewAddPartitionsToTxnResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rt.Partitions = append(rt.Partitions, kmsg.AddPartitionsToTxnResponseTopicPartition(p))
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return nil
	}
	if !h.clusterAllowed(c.Conn, acl.ClusterAction) {
		resp.ErrorCode = int16(wire.ErrClusterAuthorizationFailed)
		return nil
	}
	for _, rt := range req.Transactions {
		a := addition{h: h, c: c, broker: true, verify: rt.VerifyOnly,
			producer: txn.Producer{TransactionalID: rt.TransactionalID, ID: rt.ProducerID, Epoch: rt.ProducerEpoch}}
		for _, t := range rt.Topics {
			a.topic(t.Topic, t.Partitions)
		}
		result := kmsg.NewAddPartitionsToTxnResponseTransaction()
		result.TransactionalID, result.Topics = rt.TransactionalID, a.run()
		resp.Transactions = append(resp.Transactions, result)
	}
	return nil
}

// addition is one transaction's part of a request.
type addition struct {
	h        *Handler
	c        *call
	producer txn.Producer
	broker   bool // asks, who may do everything
	verify   bool

	tps   []meta.TopicPartition
	codes []wire.Code // of tps; wire.None: nothing is wrong so far
	bad   bool        // not all are
}

// topic checks partitions to be added.
func (a *addition) topic(topic string, partitions []int32) {
	known := a.h.Metadata.Load().Topic(topic)
	for _, p := range partitions {
		code := wire.None
		switch {
		case !a.broker && (isInternal(topic) || !a.h.topicAllowed(a.c.Conn, acl.Write, topic)):
			code = wire.ErrTopicAuthorizationFailed
		case known == nil || known.Partition(p) == nil:
			code = wire.ErrUnknownTopicOrPartition
		}
		a.tps = append(a.tps, meta.TopicPartition{Topic: topic, Partition: p})
		a.codes = append(a.codes, code)
		a.bad = a.bad || code != wire.None
	}
}

// run adds all, or none if there is something wrong with one.
func (a *addition) run() []kmsg.AddPartitionsToTxnResponseTransactionTopic {
	switch {
	case !a.broker && !a.h.allowed(a.c.Conn, acl.Write, acl.TransactionalID, a.producer.TransactionalID):
		a.all(wire.ErrTransactionalIDAuthorizationFailed)
	case a.bad:
		for i, code := range a.codes {
			if code == wire.None {
				a.codes[i] = wire.ErrOperationNotAttempted
			}
		}
	case a.verify:
		for i, err := range a.h.Txns.VerifyPartitions(a.c.ctx, a.producer, a.tps) {
			a.codes[i] = a.h.code(err)
		}
	default:
		err := a.h.Txns.AddPartitions(a.c.ctx, a.producer, a.tps)
		a.all(fencedBefore(2, a.c.Header.Version, a.h.code(err)))
	}
	return a.results()
}

func (a *addition) all(code wire.Code) {
	for i := range a.codes {
		a.codes[i] = code
	}
}

func (a *addition) results() []kmsg.AddPartitionsToTxnResponseTransactionTopic {
	var topics []kmsg.AddPartitionsToTxnResponseTransactionTopic
	at := make(map[string]int)
	for i, tp := range a.tps {
		n, seen := at[tp.Topic]
		if !seen {
			n = len(topics)
			at[tp.Topic] = n
			t := kmsg.NewAddPartitionsToTxnResponseTransactionTopic()
			t.Topic = tp.Topic
			topics = append(topics, t)
		}
		p := kmsg.NewAddPartitionsToTxnResponseTransactionTopicPartition()
		p.Partition, p.ErrorCode = tp.Partition, int16(a.codes[i])
		topics[n].Partitions = append(topics[n].Partitions, p)
	}
	return topics
}
