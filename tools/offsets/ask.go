package offsets

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// newest is the ListOffsets version of Kafka 3.9. sarama stops at 6, before most of the special timestamps.
const newest = 9

// ask sends one ListOffsets request to the leader of the partitions.
func ask(n *client.Node, partitions []meta.TopicPartition, timestamp int64) ([]partitionOffset, map[meta.TopicPartition]error, error) {
	outcome := map[meta.TopicPartition]error{}
	version, _, err := n.Supports(2, newest)
	if err != nil {
		return nil, nil, err
	}
	if needed := neededVersion(timestamp); version < needed {
		for _, tp := range partitions {
			outcome[tp] = &client.Error{Class: client.UnsupportedVersion, Message: fmt.Sprintf(
				"The broker does not support the ListOffsets request version %d that timestamp %d needs", needed, timestamp)}
		}
		return nil, outcome, nil
	}
	resp, err := n.Request(request(partitions, timestamp), newest)
	if err != nil {
		return nil, nil, err
	}
	var found []partitionOffset
	for _, t := range resp.(*kmsg.ListOffsetsResponse).Topics {
		for _, p := range t.Partitions {
			tp := meta.TopicPartition{Topic: t.Topic, Partition: p.Partition}
			outcome[tp] = client.FromCode(p.ErrorCode, nil)
			if p.ErrorCode == 0 && p.Offset >= 0 {
				found = append(found, partitionOffset{tp, p.Offset})
			}
		}
	}
	return found, outcome, nil
}

func request(partitions []meta.TopicPartition, timestamp int64) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	for _, tp := range partitions {
		i := slices.IndexFunc(req.Topics, func(t kmsg.ListOffsetsRequestTopic) bool { return t.Topic == tp.Topic })
		if i < 0 {
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = tp.Topic
			req.Topics = append(req.Topics, t)
			i = len(req.Topics) - 1
		}
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp, p.CurrentLeaderEpoch = tp.Partition, timestamp, -1
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
	}
	return req
}
