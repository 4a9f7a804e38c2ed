//go:build interop

package interop

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/tools/testkit"
)

const (
	loadTopic      = "load"
	loadPartitions = 6
	loadProducers  = 2
	// loadPause keeps a producer to about 200 records a second: what is wanted is a long history, not a large one.
	loadPause = 5 * time.Millisecond
)

// load is idempotent producers and consumers that work with a cluster while its brokers change, and the history of what they saw.
type load struct {
	t       *testing.T
	seeds   []string
	history *testkit.History
	// producing ends first, and with it the producers; then reading.
	producing, reading   context.CancelFunc
	producers, consumers sync.WaitGroup
	acked                [loadProducers][loadPartitions]atomic.Int64
}

// client never gives up.
func (l *load) client(opts ...kgo.Opt) *kgo.Client {
	c, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(l.seeds...), kgo.MetadataMinAge(100 * time.Millisecond), kgo.MetadataMaxAge(5 * time.Second), kgo.RequestRetries(1_000_000),
		kgo.RetryTimeout(time.Hour), kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }), kgo.AlwaysRetryEOF(),
		kgo.RequestTimeoutOverhead(5 * time.Second), kgo.DialTimeout(5 * time.Second),
	}, opts...)...)
	if err != nil {
		l.t.Fatal(err)
	}
	return c
}

// newLoad makes the topic.
func newLoad(t *testing.T, seeds []string) *load {
	t.Helper()
	l := &load{t: t, seeds: seeds, history: testkit.NewHistory()}
	admin := l.client()
	defer admin.Close()
	if _, err := kadm.NewClient(admin).CreateTopic(t.Context(), loadPartitions, 3, map[string]*string{"min.insync.replicas": kadm.StringPtr("2")}, loadTopic); err != nil {
		t.Fatal(err)
	}
	return l
}

// start begins. Every broker must know the topic: from now on none may deny it.
func (l *load) start() {
	var producing, reading context.Context
	producing, l.producing = context.WithCancel(l.t.Context())
	reading, l.reading = context.WithCancel(l.t.Context())
	for slot := range loadProducers {
		c := l.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordRetries(1<<40), kgo.ProduceRequestTimeout(5*time.Second),
			kgo.ProducerLinger(0), kgo.MaxBufferedRecords(2000), kgo.StopProducerOnDataLossDetected())
		l.producers.Go(func() { l.produce(producing, c, slot) })
	}
	for i := range 2 {
		c := l.consumer()
		l.consumers.Go(func() { l.consume(reading, c, fmt.Sprint("consumer-", i)) })
	}
}

func (l *load) produce(ctx context.Context, c *kgo.Client, slot int) {
	defer c.Close()
	name := fmt.Sprint("producer-", slot)
	tick := time.NewTicker(loadPause)
	defer tick.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		p := testkit.HistoryPartition{Topic: loadTopic, Partition: int32(n % loadPartitions)}
		number := l.history.Send(name, p)
		value := fmt.Appendf(nil, "%s %d %s", name, number, strings.Repeat(".", n%300))
		c.Produce(l.t.Context(), &kgo.Record{Topic: p.Topic, Partition: p.Partition, Value: value}, func(r *kgo.Record, err error) {
			if err != nil {
				if l.t.Context().Err() == nil {
					l.t.Errorf("%s: record %d of %s: %v", name, number, p, err)
				}
				return
			}
			l.history.Acknowledge(testkit.Placed{HistoryPartition: p, Offset: r.Offset, Written: testkit.Written{Producer: name, Number: number}})
			l.acked[slot][p.Partition].Add(1)
		})
		<-tick.C
	}
	if err := c.Flush(l.t.Context()); err != nil {
		l.t.Errorf("%s: %d records are not acknowledged: %v", name, c.BufferedProduceRecords(), err)
	}
}

func (l *load) consumer() *kgo.Client {
	offsets := map[int32]kgo.Offset{}
	for p := range int32(loadPartitions) {
		offsets[p] = kgo.NewOffset().AtStart()
	}
	return l.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{loadTopic: offsets}), kgo.ConsumeResetOffset(kgo.NoResetOffset()), kgo.FetchMaxWait(500*time.Millisecond))
}

func (l *load) consume(ctx context.Context, c *kgo.Client, name string) {
	defer c.Close()
	for {
		all, err := poll(ctx, c)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.t.Errorf("%s: %v", name, err)
		}
		for _, r := range all {
			l.history.Read(name, r)
		}
	}
}

// poll reads some records and who wrote them.
func poll(ctx context.Context, c *kgo.Client) (all []testkit.Placed, err error) {
	fetches := c.PollFetches(ctx)
	fetches.EachError(func(topic string, p int32, e error) {
		if !errors.Is(e, context.Canceled) {
			err = fmt.Errorf("fetch %s-%d: %w", topic, p, e)
		}
	})
	for r := range fetches.RecordsAll() {
		producer, rest, _ := strings.Cut(string(r.Value), " ")
		digits, _, _ := strings.Cut(rest, " ")
		n, e := strconv.ParseInt(digits, 10, 64)
		if e != nil {
			err = fmt.Errorf("offset %d of %s-%d: %w", r.Offset, r.Topic, r.Partition, e)
		}
		all = append(all, testkit.Placed{HistoryPartition: testkit.HistoryPartition{Topic: r.Topic, Partition: r.Partition}, Offset: r.Offset,
			Written: testkit.Written{Producer: producer, Number: n}, LeaderEpoch: r.LeaderEpoch})
	}
	return all, err
}

// awaitProgress waits until every partition has acknowledged a few more records of every producer.
func (l *load) awaitProgress(when string) {
	l.t.Helper()
	const few = 10
	var want [loadProducers][loadPartitions]int64
	for slot := range want {
		for p := range want[slot] {
			want[slot][p] = l.acked[slot][p].Load() + few
		}
	}
	testkit.Eventually(l.t, 2*time.Minute, "every partition accepts records "+when, func() bool {
		for slot := range want {
			for p := range want[slot] {
				if l.acked[slot][p].Load() < want[slot][p] {
					return l.t.Failed()
				}
			}
		}
		return true
	})
}

// finish ends the load, reads everything again, and reports what cannot be.
func (l *load) finish() {
	l.t.Helper()
	l.producing()
	l.producers.Wait()
	ctx, cancel := context.WithTimeout(l.t.Context(), 2*time.Minute)
	defer cancel()
	c := l.consumer()
	defer c.Close()
	told, err := kadm.NewClient(c).ListEndOffsets(ctx, loadTopic)
	if err == nil {
		err = told.Error()
	}
	if err != nil {
		l.t.Fatal(err)
	}
	ends, total := map[testkit.HistoryPartition]int64{}, int64(0)
	told.Each(func(o kadm.ListedOffset) {
		ends[testkit.HistoryPartition{Topic: o.Topic, Partition: o.Partition}] = o.Offset
		total += o.Offset
	})
	var final []testkit.Placed
	for int64(len(final)) < total {
		some, err := poll(ctx, c)
		if err != nil || ctx.Err() != nil {
			l.t.Fatalf("%d of %d records read: %v", len(final), total, errors.Join(err, ctx.Err()))
		}
		final = append(final, some...)
	}
	l.reading()
	l.consumers.Wait()
	violations := l.history.Check(final, ends)
	for _, v := range violations[:min(len(violations), 20)] {
		l.t.Error(v)
	}
	l.t.Logf("%d records acknowledged, %d in the partitions, %d violations", l.history.Acknowledged(), len(final), len(violations))
}
