package txns

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// producer is one active producer of a partition.
type producer = kmsg.DescribeProducersResponseTopicPartitionActiveProducer

// producers asks a broker, or the leaders if broker is negative, for the producers of partitions.
func (t *tool) producers(partitions []meta.TopicPartition, broker int32) (map[meta.TopicPartition][]producer, error) {
	found := map[meta.TopicPartition][]producer{}
	ask := func(n *client.Node, partitions []meta.TopicPartition) (map[meta.TopicPartition]error, error) {
		req := kmsg.NewPtrDescribeProducersRequest()
		for _, tp := range partitions {
			i := slices.IndexFunc(req.Topics, func(t kmsg.DescribeProducersRequestTopic) bool { return t.Topic == tp.Topic })
			if i < 0 {
				req.Topics = append(req.Topics, kmsg.DescribeProducersRequestTopic{Topic: tp.Topic})
				i = len(req.Topics) - 1
			}
			req.Topics[i].Partitions = append(req.Topics[i].Partitions, tp.Partition)
		}
		answer, err := n.Request(req, 0)
		if err != nil {
			return nil, err
		}
		outcome := map[meta.TopicPartition]error{}
		for _, topic := range answer.(*kmsg.DescribeProducersResponse).Topics {
			for _, p := range topic.Partitions {
				tp := meta.TopicPartition{Topic: topic.Topic, Partition: p.Partition}
				outcome[tp] = client.FromCode(p.ErrorCode, p.ErrorMessage)
				found[tp] = p.ActiveProducers
			}
		}
		return outcome, nil
	}
	var failures map[meta.TopicPartition]error
	var err error
	if broker < 0 {
		failures, err = t.cluster.EachLeader(t.Context.Context, "describeProducers", partitions, ask)
	} else {
		err = t.cluster.Call(t.Context.Context, "describeProducers", client.Broker(broker), func(n *client.Node) error {
			var err error
			failures, err = ask(n, partitions)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	for _, tp := range partitions {
		if err := failures[tp]; err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (t *tool) describeProducers() error {
	tp := t.partition()
	broker, where := int32(-1), "leader"
	if t.IsSet("broker-id") {
		broker = int32(t.Int("broker-id"))
		where = fmt.Sprintf("broker %d", broker)
	}
	found, err := t.producers([]meta.TopicPartition{tp}, broker)
	if err != nil {
		return t.failed(fmt.Sprintf("describe producers for partition %s on %s", tp, where), err)
	}
	var rows [][]string
	for _, p := range found[tp] {
		rows = append(rows, []string{text(p.ProducerID), text(p.ProducerEpoch), text(p.CoordinatorEpoch), text(p.LastSequence), text(p.LastTimestamp),
			atLeastZero(p.CurrentTxnStartOffset)})
	}
	t.print([]string{"ProducerId", "ProducerEpoch", "LatestCoordinatorEpoch", "LastSequence", "LastTimestamp", "CurrentTransactionStartOffset"}, rows)
	return nil
}
