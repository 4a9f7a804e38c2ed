//go:build unix

package partitions

import (
	"context"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/tools/testkit"
)

// load is a producer that writes to all partitions of a topic until it is told to end, as fast as it is acknowledged.
type load struct {
	t          *testing.T
	addrs      []string
	topic      string
	partitions int32
	history    *testkit.History
	cancel     context.CancelFunc
	running    sync.WaitGroup
}

func startLoad(t *testing.T, addrs []string, topic string, partitions int32) *load {
	t.Helper()
	l := &load{t: t, addrs: addrs, topic: topic, partitions: partitions, history: testkit.NewHistory()}
	c := l.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordDeliveryTimeout(time.Minute))
	var ctx context.Context
	ctx, l.cancel = context.WithCancel(t.Context())
	l.running.Go(func() {
		for ctx.Err() == nil {
			l.produce(c)
		}
	})
	t.Cleanup(func() {
		l.cancel()
		l.running.Wait()
	})
	return l
}

func (l *load) client(opts ...kgo.Opt) *kgo.Client {
	l.t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(l.addrs...), kgo.MetadataMinAge(50 * time.Millisecond), kgo.RetryTimeout(time.Minute)}, opts...)...)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(c.Close)
	return c
}

const producer = "load"

// produce sends a few records to each partition and waits for them.
func (l *load) produce(c *kgo.Client) {
	var records []*kgo.Record
	for i := range 4 * l.partitions {
		p := testkit.HistoryPartition{Topic: l.topic, Partition: i % l.partitions}
		value := binary.BigEndian.AppendUint64(nil, uint64(l.history.Send(producer, p)))
		records = append(records, &kgo.Record{Topic: l.topic, Partition: p.Partition, Value: append(value, make([]byte, 1000)...)})
	}
	for _, result := range c.ProduceSync(l.t.Context(), records...) {
		if result.Err != nil {
			if l.t.Context().Err() == nil {
				l.t.Errorf("produce: %v", result.Err)
			}
			return
		}
		l.history.Acknowledge(l.placed(result.Record))
	}
}

func (l *load) placed(r *kgo.Record) testkit.Placed {
	number := int64(-1)
	if len(r.Value) >= 8 {
		number = int64(binary.BigEndian.Uint64(r.Value))
	}
	return testkit.Placed{
		HistoryPartition: testkit.HistoryPartition{Topic: r.Topic, Partition: r.Partition}, Offset: r.Offset,
		Written: testkit.Written{Producer: producer, Number: number}, LeaderEpoch: -1,
	}
}

// end stops the producer and checks that everything is where it was acknowledged to be.
func (l *load) end() {
	l.t.Helper()
	l.cancel()
	l.running.Wait()
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	c := l.client(kgo.ConsumeTopics(l.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	listed, err := kadm.NewClient(c).ListEndOffsets(ctx, l.topic)
	if err != nil || listed.Error() != nil {
		l.t.Fatalf("end offsets: %v, %v", err, listed.Error())
	}
	ends, missing := map[testkit.HistoryPartition]int64{}, map[int32]bool{}
	listed.Each(func(o kadm.ListedOffset) {
		ends[testkit.HistoryPartition{Topic: o.Topic, Partition: o.Partition}] = o.Offset
		missing[o.Partition] = o.Offset > 0
	})
	var found []testkit.Placed
	for {
		for p, more := range missing {
			if !more {
				delete(missing, p)
			}
		}
		if len(missing) == 0 {
			break
		}
		fetches := c.PollFetches(ctx)
		if ctx.Err() != nil {
			l.t.Fatalf("partitions %v were not read to their ends", missing)
		}
		for _, r := range fetches.Records() {
			found = append(found, l.placed(r))
			missing[r.Partition] = r.Offset+1 < ends[testkit.HistoryPartition{Topic: r.Topic, Partition: r.Partition}]
		}
	}
	for _, v := range l.history.Check(found, ends) {
		l.t.Error(v)
	}
	l.t.Logf("%d records acknowledged, %d found", l.history.Acknowledged(), len(found))
}
