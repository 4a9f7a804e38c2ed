//go:build unix

package broker_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// kills is how often TestKillKeepsAcknowledged kills the broker: a few times in the gate, KRAAL_KILLS times in `make kill`.
func kills(t *testing.T) int {
	s := os.Getenv("KRAAL_KILLS")
	if s == "" {
		return 4
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("KRAAL_KILLS: %v", err)
	}
	return n
}

// TestKillKeepsAcknowledged produces without pause while the broker is killed at random moments. With flush.messages=1 an
// acknowledged record is on disk, so every one has to be there afterwards, once, in the order of its producer; with an
// idempotent producer nothing is there twice either. The kernel survives kill -9, so what this proves is that recovery keeps
// what was written and cuts nothing but a torn end; power loss is simulated below storage, in its own tests.
func TestKillKeepsAcknowledged(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 2))
	zk := zktest.Start(t)
	proc := brokertest.StartProc(t, zk.Addr(), map[string]string{
		"log.flush.interval.messages": "1", "log.segment.bytes": "1048576", "zookeeper.session.timeout.ms": "2000",
	})
	const topic, partitions = "acknowledged", 4
	createTopic(t, client(t, proc.Addr()), topic, partitions, nil)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	c := client(t, proc.Addr(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordRetries(1_000_000), kgo.RetryTimeout(5*time.Minute),
		kgo.ProducerLinger(0), kgo.MaxBufferedRecords(2000))
	var mu sync.Mutex
	acked := make([][]int64, partitions) // by partition: offset of the n-th record produced to it
	var producing sync.WaitGroup
	for p := range int32(partitions) {
		producing.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				c.Produce(context.Background(), &kgo.Record{Topic: topic, Partition: p, Value: fmt.Appendf(nil, "%d", n)}, func(r *kgo.Record, err error) {
					if err != nil {
						t.Errorf("partition %d record %d: %v", p, n, err)
						return
					}
					mu.Lock()
					acked[p] = append(acked[p], r.Offset)
					mu.Unlock()
				})
			}
		})
	}
	for range kills(t) {
		before := count(&mu, acked)
		eventually(t, "progress between two kills", func() bool { return count(&mu, acked) >= before+1000 })
		time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond) // the random moment
		proc.Kill()
		proc.Start()
	}
	stop()
	producing.Wait()
	if err := c.Flush(within(t)); err != nil {
		t.Fatalf("flush: %v", err)
	}
	checkAcknowledged(t, proc.Addr(), topic, acked)
}

func count(mu *sync.Mutex, acked [][]int64) int {
	mu.Lock()
	defer mu.Unlock()
	n := 0
	for _, a := range acked {
		n += len(a)
	}
	return n
}

// checkAcknowledged reads everything and compares it with what was acknowledged: record n of a partition is where its
// acknowledgement said, and there is nothing else.
func checkAcknowledged(t *testing.T, addr, topic string, acked [][]int64) {
	t.Helper()
	total := 0
	for _, a := range acked {
		total += len(a)
	}
	t.Logf("%d records acknowledged", total)
	next := make([]int, len(acked))
	for _, r := range consume(t, addr, topic, total) {
		n := next[r.Partition]
		next[r.Partition]++
		if n >= len(acked[r.Partition]) {
			t.Fatalf("partition %d has more than the %d records acknowledged: a duplicate", r.Partition, n)
		}
		if want := acked[r.Partition][n]; r.Offset != want || string(r.Value) != strconv.Itoa(n) {
			t.Fatalf("partition %d: record %q at offset %d where record %d was acknowledged at %d", r.Partition, r.Value, r.Offset, n, want)
		}
	}
}
