//go:build unix

package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/tools/testkit"
)

const (
	faultProducers = 3
	// producerLife is how many records one producer, with one producer id, sends before another takes its place.
	producerLife = 3000
	// producePause keeps each producer to about 200 records a second: what is wanted is a long history, not a large one.
	producePause = 5 * time.Millisecond
	// consumerLife is how many records one of the consumers that come and go reads.
	consumerLife = 2000
)

// faultLoad is everybody who works with the fleet while it suffers.
type faultLoad struct {
	r *faultRun
	// producing ends first, and with it the producers; reading when all they sent has been acknowledged. patience ends early only
	// when the test fails.
	producing, reading, patience     context.Context
	stopProducing, stopReads, giveUp context.CancelFunc
	producers, readers               sync.WaitGroup
	// accepted is when the latest record of each producer and partition was sent that has been acknowledged, in Unix nanoseconds.
	accepted [faultProducers + 1][]atomic.Int64
	admin    *faultAdmin
}

// startLoad begins to produce, consume and observe.
func (r *faultRun) startLoad() *faultLoad {
	l := &faultLoad{r: r}
	l.producing, l.stopProducing = context.WithCancel(context.Background())
	l.reading, l.stopReads = context.WithCancel(context.Background())
	l.patience, l.giveUp = context.WithCancel(context.Background())
	r.t.Cleanup(func() { // should the test end early
		l.giveUp()
		l.stopProducing()
		l.stopReads()
		l.producers.Wait()
		l.readers.Wait()
	})
	for slot := range l.accepted {
		l.accepted[slot] = make([]atomic.Int64, len(faultPartitions))
	}
	l.admin = newFaultAdmin(l, r.seed)
	l.producers.Go(l.admin.run)
	for i := range faultProducers {
		l.producers.Go(func() {
			for life := 0; l.producing.Err() == nil; life++ {
				l.produce(i, fmt.Sprintf("producer-%d-%d", i, life))
			}
		})
	}
	l.producers.Go(func() { l.produce(faultProducers, "loose", kgo.DisableIdempotentWrite()) })
	l.readers.Go(func() { l.consume("consumer", kgo.NewOffset().AtStart(), 1<<62) })
	l.readers.Go(func() {
		for life := 0; l.reading.Err() == nil; life++ {
			l.consume(fmt.Sprintf("consumer-%d", life), kgo.NewOffset().AtEnd(), consumerLife)
		}
	})
	for id := 1; id <= 3; id++ {
		l.readers.Go(func() { l.observe(id) })
	}
	return l
}

// client returns a client that never gives up, and does not wait long for a broker that is silent.
func (l *faultLoad) client(opts ...kgo.Opt) *kgo.Client {
	c, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(l.r.fleet.Addrs()...), kgo.MetadataMinAge(100 * time.Millisecond), kgo.MetadataMaxAge(5 * time.Second),
		kgo.RequestRetries(1_000_000), kgo.RetryTimeout(time.Hour), kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }),
		kgo.AlwaysRetryEOF(), kgo.RequestTimeoutOverhead(2 * time.Second), kgo.DialTimeout(2 * time.Second),
	}, opts...)...)
	if err != nil {
		panic(err) // the options are wrong
	}
	return c
}

// produce sends records to all partitions in turn for one life of a producer.
func (l *faultLoad) produce(slot int, name string, opts ...kgo.Opt) {
	loose := len(opts) > 0
	c := l.client(append([]kgo.Opt{
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordRetries(1 << 40), kgo.ProduceRequestTimeout(3 * time.Second),
		kgo.ProducerLinger(0), kgo.MaxBufferedRecords(2000), kgo.StopProducerOnDataLossDetected(),
	}, opts...)...)
	defer c.Close()
	if loose {
		l.r.history.NotIdempotent(name)
	}
	tick := time.NewTicker(producePause)
	defer tick.Stop()
	for n := 0; l.producing.Err() == nil && l.patience.Err() == nil && (loose || n < producerLife); n++ {
		at := n % len(faultPartitions)
		p := faultPartitions[at]
		number := l.r.history.Send(name, p)
		sent := time.Now().UnixNano()
		c.Produce(l.patience, &kgo.Record{Topic: p.Topic, Partition: p.Partition, Value: faultValue(name, number)}, func(rec *kgo.Record, err error) {
			if err != nil {
				if l.patience.Err() == nil {
					l.r.t.Errorf("%s: record %d of %s: %v", name, number, p, err)
				}
				return
			}
			l.r.history.Acknowledge(testkit.Placed{HistoryPartition: p, Offset: rec.Offset, Written: testkit.Written{Producer: name, Number: number}})
			raise(&l.accepted[slot][at], sent)
		})
		<-tick.C
	}
	if err := c.Flush(l.patience); err != nil {
		l.r.t.Errorf("%s: %d records are not acknowledged: %v", name, c.BufferedProduceRecords(), err)
	}
}

func faultValue(producer string, number int64) []byte {
	v := fmt.Appendf(nil, "%s %d ", producer, number)
	for len(v) < 100 {
		v = append(v, '.')
	}
	return v
}

// placedRecord reads off a record who wrote it.
func placedRecord(rec *kgo.Record) (testkit.Placed, error) {
	producer, rest, _ := strings.Cut(string(rec.Value), " ")
	digits, _, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseInt(digits, 10, 64)
	return testkit.Placed{HistoryPartition: testkit.HistoryPartition{Topic: rec.Topic, Partition: rec.Partition}, Offset: rec.Offset,
		Written: testkit.Written{Producer: producer, Number: n}, LeaderEpoch: rec.LeaderEpoch}, err
}

// consumer returns a client that reads all partitions, and is told of everything that makes it jump.
func (l *faultLoad) consumer(from kgo.Offset) *kgo.Client {
	offsets := map[string]map[int32]kgo.Offset{}
	for _, topic := range faultTopics {
		offsets[topic.name] = map[int32]kgo.Offset{}
		for p := range int32(topic.partitions) {
			offsets[topic.name][p] = from
		}
	}
	return l.client(kgo.ConsumePartitions(offsets), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxWait(500*time.Millisecond))
}

// consume reads until so many records are read or reading ends.
func (l *faultLoad) consume(name string, from kgo.Offset, records int) {
	c := l.consumer(from)
	defer c.Close()
	for n := 0; n < records; {
		fetches := c.PollFetches(l.reading)
		if l.reading.Err() != nil {
			return
		}
		fetches.EachError(func(topic string, p int32, err error) {
			if !errors.Is(err, context.Canceled) {
				l.r.t.Errorf("%s: fetch %s-%d: %v", name, topic, p, err)
			}
		})
		for rec := range fetches.RecordsAll() {
			n++
			placed, err := placedRecord(rec)
			if err != nil {
				l.r.t.Errorf("%s: offset %d of %s: %v", name, rec.Offset, placed.HistoryPartition, err)
			}
			l.r.history.Read(name, placed)
		}
	}
}

// awaitProgress waits until every partition has acknowledged a record of every producer that was sent from now on, and says how
// long that took.
func (l *faultLoad) awaitProgress(when string) time.Duration {
	l.r.t.Helper()
	began := time.Now()
	var waiting []string
	for deadline := began.Add(recovery); ; time.Sleep(10 * time.Millisecond) { // until then, or done
		waiting = waiting[:0]
		for slot := range l.accepted {
			for p := range l.accepted[slot] {
				if l.accepted[slot][p].Load() < began.UnixNano() {
					waiting = append(waiting, fmt.Sprintf("producer %d to %s", slot, faultPartitions[p]))
				}
			}
		}
		if len(waiting) == 0 {
			return time.Since(began)
		}
		if time.Now().After(deadline) {
			l.r.t.Fatalf("%s: no record is accepted within %v from %s", when, recovery, strings.Join(waiting, ", "))
		}
	}
}

// stop ends the load. What was sent is acknowledged then, and the consumers have had a chance to read it.
func (l *faultLoad) stop() {
	l.stopProducing()
	tooLong := time.AfterFunc(recovery, l.giveUp)
	l.producers.Wait()
	tooLong.Stop()
	l.stopReads()
	l.readers.Wait()
}

// readAll reads everything there is, and how far it goes.
func (r *faultRun) readAll() ([]testkit.Placed, map[testkit.HistoryPartition]int64) {
	r.t.Helper()
	l := &faultLoad{r: r}
	ends := map[testkit.HistoryPartition]int64{}
	total := int64(0)
	for _, p := range faultPartitions {
		leader, _ := r.znodes.State(p.Topic, int(p.Partition))
		o := newObserver(r, leader.Leader)
		end, err := o.end(r.t.Context(), p.Topic, p.Partition)
		o.close()
		if err != nil {
			r.t.Fatalf("end of %s: %v", p, err)
		}
		ends[p] = end
		total += end
	}
	c := l.consumer(kgo.NewOffset().AtStart())
	defer c.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Minute)
	defer cancel()
	var all []testkit.Placed
	for int64(len(all)) < total {
		fetches := c.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			r.t.Fatalf("%d of %d records read: %v", len(all), total, err)
		}
		fetches.EachError(func(topic string, p int32, err error) { r.t.Fatalf("fetch %s-%d: %v", topic, p, err) })
		for rec := range fetches.RecordsAll() {
			placed, err := placedRecord(rec)
			if err != nil {
				r.t.Fatalf("offset %d of %s: %v", rec.Offset, placed.HistoryPartition, err)
			}
			all = append(all, placed)
		}
	}
	return all, ends
}

// raise makes v at least n.
func raise(v *atomic.Int64, n int64) {
	for old := v.Load(); old < n && !v.CompareAndSwap(old, n); old = v.Load() {
	}
}
