package partitions

import (
	"slices"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

const (
	// debugger is the replica id of who may read every replica up to its end and is no follower (FetchRequest.java).
	debugger = -2
	// maxFetch bounds a response. The partition that comes first in a request gets a batch in any case.
	maxFetch = 64 << 20
	// newestFetch is the Fetch version of Kafka 3.9; topics have ids from 13 on.
	newestFetch, lastWithNames = 17, 12
)

// fetch asks one broker for its replicas, in order.
func (v *verification) fetch(broker int32, order []meta.TopicPartition) (map[meta.TopicPartition]fetched, error) {
	cluster := v.brokers[broker]
	newest := int16(newestFetch)
	names := map[sarama.Uuid]string{}
	for name, id := range v.ids {
		names[id] = name
		if id == (sarama.Uuid{}) {
			newest = lastWithNames
		}
	}
	answer := map[meta.TopicPartition]fetched{}
	err := cluster.Try(client.Broker(broker), func(n *client.Node) error {
		resp, err := n.Request(v.fetchRequest(broker, order), newest)
		if err != nil {
			return err
		}
		r := resp.(*kmsg.FetchResponse)
		if err := client.FromCode(r.ErrorCode, nil); err != nil {
			return err
		}
		for _, topic := range r.Topics {
			name := topic.Topic
			if r.Version > lastWithNames {
				name = names[topic.TopicID]
			}
			for _, p := range topic.Partitions {
				f := fetched{p.HighWatermark, p.RecordBatches}
				if p.ErrorCode != 0 {
					f = fetched{hw: -1}
				}
				answer[meta.TopicPartition{Topic: name, Partition: p.Partition}] = f
			}
		}
		return nil
	})
	return answer, err
}

func (v *verification) fetchRequest(broker int32, order []meta.TopicPartition) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.ReplicaState.ID = debugger, debugger
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(v.Int("max-wait-ms")), 1, maxFetch
	for _, tp := range order {
		if !slices.Contains(v.replicas[tp], broker) {
			continue
		}
		if last := len(req.Topics) - 1; last < 0 || req.Topics[last].Topic != tp.Topic {
			topic := kmsg.NewFetchRequestTopic()
			topic.Topic, topic.TopicID = tp.Topic, v.ids[tp.Topic]
			req.Topics = append(req.Topics, topic)
		}
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = tp.Partition, v.offsets[tp], int32(v.Int("fetch-size"))
		p.LogStartOffset = 0
		topic := &req.Topics[len(req.Topics)-1]
		topic.Partitions = append(topic.Partitions, p)
	}
	return req
}
