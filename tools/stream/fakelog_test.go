package stream

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/testkit"
)

// fakeLog is a broker that leads one partition of topic "t" and keeps it in memory.
type fakeLog struct {
	*testkit.Broker
	mu struct {
		sync.Mutex
		log           []byte
		start, next   int64
		exists        bool
		produceErrors []int16 // for the next requests, one each
		fetchErrors   []int16
	}
}

func newFakeLog(t *testing.T) *fakeLog {
	f := &fakeLog{Broker: testkit.NewBroker(t)}
	f.mu.exists = true
	f.Answer(int16(kmsg.Metadata), f.metadata)
	f.Answer(int16(kmsg.Produce), f.produce)
	f.Answer(int16(kmsg.Fetch), f.fetch)
	f.Answer(int16(kmsg.ListOffsets), f.listOffsets)
	f.Cap(int16(kmsg.Metadata), 8)
	f.Cap(int16(kmsg.Produce), 8)
	f.Cap(int16(kmsg.Fetch), 11)
	f.Cap(int16(kmsg.ListOffsets), 5)
	return f
}

func (f *fakeLog) properties(pairs ...string) client.Properties {
	p := client.Properties{"bootstrap.servers": f.Address()}
	for i := 0; i < len(pairs); i += 2 {
		p[pairs[i]] = pairs[i+1]
	}
	return p
}

func (f *fakeLog) metadata(kmsg.Request) kmsg.Response {
	resp := kmsg.NewPtrMetadataResponse()
	b := kmsg.NewMetadataResponseBroker()
	b.NodeID, b.Host, b.Port = 1, f.Host, f.Port
	resp.Brokers, resp.ControllerID = []kmsg.MetadataResponseBroker{b}, 1
	topic := kmsg.NewMetadataResponseTopic()
	name := "t"
	topic.Topic = &name
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.exists {
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Leader, p.Replicas, p.ISR = 1, []int32{1}, []int32{1}
		topic.Partitions = []kmsg.MetadataResponseTopicPartition{p}
	} else {
		topic.ErrorCode = 3
	}
	resp.Topics = []kmsg.MetadataResponseTopic{topic}
	return resp
}

func (f *fakeLog) produce(r kmsg.Request) kmsg.Response {
	resp := kmsg.NewPtrProduceResponse()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range r.(*kmsg.ProduceRequest).Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.BaseOffset, rp.LogAppendTime = p.Partition, f.mu.next, -1
			if len(f.mu.produceErrors) > 0 {
				rp.ErrorCode, f.mu.produceErrors = f.mu.produceErrors[0], f.mu.produceErrors[1:]
			}
			if rp.ErrorCode == 0 {
				batch, err := record.View(slices.Clone(p.Records))
				if err != nil {
					rp.ErrorCode = 2
				} else {
					batch.SetBaseOffset(f.mu.next)
					f.mu.next = batch.NextOffset()
					f.mu.log = append(f.mu.log, batch...)
				}
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func (f *fakeLog) fetch(r kmsg.Request) kmsg.Response {
	resp := kmsg.NewPtrFetchResponse()
	for _, t := range r.(*kmsg.FetchRequest).Topics {
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rt.Partitions = append(rt.Partitions, f.read(p.Partition, p.FetchOffset))
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func (f *fakeLog) read(partition int32, at int64) kmsg.FetchResponseTopicPartition {
	rp := kmsg.NewFetchResponseTopicPartition()
	f.mu.Lock()
	defer f.mu.Unlock()
	rp.Partition, rp.HighWatermark, rp.LastStableOffset, rp.LogStartOffset = partition, f.mu.next, f.mu.next, f.mu.start
	rp.RecordBatches = []byte{}
	switch {
	case len(f.mu.fetchErrors) > 0:
		rp.ErrorCode, f.mu.fetchErrors = f.mu.fetchErrors[0], f.mu.fetchErrors[1:]
		return rp
	case at < f.mu.start || at > f.mu.next:
		rp.ErrorCode = 1
		return rp
	}
	for b := range record.Batches(f.mu.log) {
		if b.NextOffset() > at && len(rp.RecordBatches) < 10000 {
			rp.RecordBatches = append(rp.RecordBatches, b...)
		}
	}
	return rp
}

func (f *fakeLog) listOffsets(r kmsg.Request) kmsg.Response {
	resp := kmsg.NewPtrListOffsetsResponse()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range r.(*kmsg.ListOffsetsRequest).Topics {
		rt := kmsg.NewListOffsetsResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewListOffsetsResponseTopicPartition()
			rp.Partition, rp.Timestamp, rp.Offset = p.Partition, -1, f.mu.next
			if p.Timestamp == -2 {
				rp.Offset = f.mu.start
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// values lists what the log holds, and producers the producer ids of its batches.
func (f *fakeLog) values(t *testing.T) (values []string, producers []int64) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for b, err := range record.Batches(f.mu.log) {
		if err != nil {
			t.Fatal(err)
		}
		producers = append(producers, b.ProducerID())
		for r, err := range b.Records(nil) {
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, string(r.Value))
		}
	}
	return values, producers
}

const soon = 30 * time.Second
