package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// DescribeProducers, version 0, for any broker with a replica (KIP-664).

func describeProducers(h *Handler, c *call, req *kmsg.DescribeProducersRequest, resp *kmsg.DescribeProducersResponse) error {
	for _, t := range req.Topics {
		rt := kmsg.NewDescribeProducersResponseTopic()
		rt.Topic = t.Topic
		refused := wire.None
		switch {
		case invalidTopicName(t.Topic) != "":
			refused = wire.ErrInvalidTopic
		case !h.topicAllowed(c.Conn, acl.Read, t.Topic):
			refused = wire.ErrTopicAuthorizationFailed
		case h.Metadata.Load().Topic(t.Topic) == nil:
			refused = h.unknownTopic(c.ctx, t.Topic)
		}
		for _, id := range t.Partitions {
			rp := kmsg.NewDescribeProducersResponseTopicPartition()
			rp.Partition = id
			err := refused.Err()
			if err == nil {
				err = h.describeProducers(meta.TopicPartition{Topic: t.Topic, Partition: id}, &rp)
			}
			if err != nil {
				rp.ErrorCode, rp.ErrorMessage = h.codeAndMessage(err)
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return nil
}

func (h *Handler) describeProducers(tp meta.TopicPartition, rp *kmsg.DescribeProducersResponseTopicPartition) error {
	producers, err := h.Replicas.ActiveProducers(tp)
	if err != nil {
		return err
	}
	for _, p := range producers {
		ra := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		ra.ProducerID, ra.ProducerEpoch, ra.LastSequence = p.ProducerID, int32(p.ProducerEpoch), p.LastSequence
		ra.LastTimestamp, ra.CoordinatorEpoch, ra.CurrentTxnStartOffset = p.LastTimestamp, p.CoordinatorEpoch, p.TxnStartOffset
		rp.ActiveProducers = append(rp.ActiveProducers, ra)
	}
	return nil
}
