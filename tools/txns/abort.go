package txns

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// marker is the end of a transaction in one partition.
type marker struct {
	producer         int64
	producerEpoch    int16
	coordinatorEpoch int32
}

// abort writes an abort marker straight to the partition's leader.
func (t *tool) abort() error {
	tp := t.partition()
	var m marker
	switch {
	case !t.IsSet("start-offset") && !t.IsSet("producer-id"):
		return t.refuse("The transaction to abort must be identified either with --start-offset (for brokers on 3.0 or above) or with " +
			"--producer-id, --producer-epoch, and --coordinator-epoch (for older brokers)")
	case t.IsSet("start-offset"):
		offset := t.Int64("start-offset")
		found, err := t.producers([]meta.TopicPartition{tp}, -1)
		if err != nil {
			return t.failed(fmt.Sprintf("validate producer state for partition %s", tp), err)
		}
		i := slices.IndexFunc(found[tp], func(p producer) bool { return p.CurrentTxnStartOffset == offset })
		if i < 0 {
			return t.refuse(fmt.Sprintf("Could not find any open transactions starting at offset %d on partition %s", offset, tp))
		}
		p := found[tp][i]
		m = marker{p.ProducerID, int16(p.ProducerEpoch), p.CoordinatorEpoch}
	default:
		for _, name := range []string{"producer-epoch", "coordinator-epoch"} {
			if !t.IsSet(name) {
				return t.refuse("Missing required argument --" + name)
			}
		}
		m = marker{t.Int64("producer-id"), int16(t.Int("producer-epoch")), int32(t.Int("coordinator-epoch"))}
	}
	if err := t.write(tp, m); err != nil {
		return t.failed(fmt.Sprintf("abort transaction of producer %d on partition %s", m.producer, tp), err)
	}
	return nil
}

func (t *tool) write(tp meta.TopicPartition, m marker) error {
	failures, err := t.cluster.EachLeader(t.Context.Context, "abortTransaction", []meta.TopicPartition{tp},
		func(n *client.Node, _ []meta.TopicPartition) (map[meta.TopicPartition]error, error) {
			req := kmsg.NewPtrWriteTxnMarkersRequest()
			req.Markers = []kmsg.WriteTxnMarkersRequestMarker{{ProducerID: m.producer, ProducerEpoch: m.producerEpoch,
				CoordinatorEpoch: max(m.coordinatorEpoch, 0), // the transaction has not been coordinated yet
				Topics:           []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: tp.Topic, Partitions: []int32{tp.Partition}}}}}
			answer, err := n.Request(req, 1)
			if err != nil {
				return nil, err
			}
			outcome := map[meta.TopicPartition]error{}
			for _, m := range answer.(*kmsg.WriteTxnMarkersResponse).Markers {
				for _, topic := range m.Topics {
					for _, p := range topic.Partitions {
						outcome[meta.TopicPartition{Topic: topic.Topic, Partition: p.Partition}] = client.FromCode(p.ErrorCode, nil)
					}
				}
			}
			return outcome, nil
		})
	if err != nil {
		return err
	}
	return failures[tp]
}
