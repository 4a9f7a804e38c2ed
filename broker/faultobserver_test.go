//go:build unix

package broker_test

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/peer"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/tools/testkit"
)

// observer asks one broker, and no other, whatever it is told of leaders: a deposed one must not answer.
type observer struct {
	r    *faultRun
	id   int
	addr string
	pool *peer.Pool
}

func newObserver(r *faultRun, id int) *observer {
	return &observer{r: r, id: id, addr: r.fleet.Proc(id).Addr(), pool: peer.New(peer.Options{
		ClientID: "observer", RequestTimeout: 2 * time.Second, ConnectTimeout: time.Second, ReconnectMax: 100 * time.Millisecond})}
}

func (o *observer) close() { _ = o.pool.Close() }

// observePause is between two rounds of questions to a broker.
const observePause = 25 * time.Millisecond

// observe asks one broker again and again what it knows of leader epochs, and how far partitions can be read.
func (l *faultLoad) observe(id int) {
	o := newObserver(l.r, id)
	defer o.close()
	tick := time.NewTicker(observePause)
	defer tick.Stop()
	for l.reading.Err() == nil {
		o.seeEpochs(l.reading)
		o.seeEnds(l.reading)
		<-tick.C
	}
}

func (o *observer) metadata(ctx context.Context) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 8
	for _, t := range faultTopics {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(t.name)
		req.Topics = append(req.Topics, topic)
	}
	answer, err := o.pool.Request(ctx, o.addr, req)
	if err != nil {
		return nil, err
	}
	return answer.(*kmsg.MetadataResponse), nil
}

func (o *observer) seeEpochs(ctx context.Context) {
	answer, err := o.metadata(ctx)
	if err != nil {
		return // it is away, or slow
	}
	for _, t := range answer.Topics {
		switch code := wire.Code(t.ErrorCode); code {
		case wire.None, wire.ErrLeaderNotAvailable:
		default:
			o.r.t.Errorf("broker %d says of topic %s: %v", o.id, *t.Topic, code)
		}
		for _, p := range t.Partitions {
			o.r.history.SeeEpoch(testkit.EpochSeen{HistoryPartition: testkit.HistoryPartition{Topic: *t.Topic, Partition: p.Partition},
				Observer: fmt.Sprintf("who asks broker %d for metadata", o.id), Epoch: p.LeaderEpoch})
		}
	}
}

// end asks how far a partition can be read.
func (o *observer) end(ctx context.Context, topic string, partition int32) (int64, error) {
	resp, err := o.ends(ctx, testkit.HistoryPartition{Topic: topic, Partition: partition})
	if err != nil {
		return 0, err
	}
	p := resp.Topics[0].Partitions[0]
	return p.Offset, wire.Code(p.ErrorCode).Err()
}

func (o *observer) ends(ctx context.Context, partitions ...testkit.HistoryPartition) (*kmsg.ListOffsetsResponse, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = 5, -1
	for _, p := range partitions {
		part := kmsg.NewListOffsetsRequestTopicPartition()
		part.Partition, part.CurrentLeaderEpoch, part.Timestamp = p.Partition, -1, -1
		topic := kmsg.NewListOffsetsRequestTopic()
		topic.Topic = p.Topic
		topic.Partitions = append(topic.Partitions, part)
		req.Topics = append(req.Topics, topic)
	}
	answer, err := o.pool.Request(ctx, o.addr, req)
	if err != nil {
		return nil, err
	}
	return answer.(*kmsg.ListOffsetsResponse), nil
}

func (o *observer) seeEnds(ctx context.Context) {
	asked := time.Now()
	resp, err := o.ends(ctx, faultPartitions...)
	heard := time.Now()
	if err != nil {
		return
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				continue
			}
			at := testkit.HistoryPartition{Topic: t.Topic, Partition: p.Partition}
			o.r.history.SeeEnd(testkit.EndSeen{HistoryPartition: at, End: p.Offset, Asked: asked, Heard: heard})
			o.r.history.SeeEpoch(testkit.EpochSeen{HistoryPartition: at, Observer: fmt.Sprintf("who asks broker %d for ends", o.id), Epoch: p.LeaderEpoch})
		}
	}
}
