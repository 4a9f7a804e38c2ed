//go:build unix

package broker_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// TestKillDuringMoves moves replicas between log directories while they are produced to and the broker is killed at random
// moments: nothing acknowledged is lost or doubled, every move ends, and there is one replica of each partition afterwards.
func TestKillDuringMoves(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 3))
	root := t.TempDir()
	var dirs []string
	for i := range 3 {
		dirs = append(dirs, filepath.Join(root, fmt.Sprint("d", i)))
	}
	proc := brokertest.StartProc(t, zktest.Start(t).Addr(), map[string]string{
		"log.dirs": strings.Join(dirs, ","), "log.flush.interval.messages": "1", "log.segment.bytes": "1048576", "zookeeper.session.timeout.ms": "2000",
		"replica.fetch.max.bytes": "65536", "log.segment.delete.delay.ms": "1000", "num.replica.alter.log.dirs.threads": "2",
	})
	const topic, partitions = "moved", 4
	createTopic(t, client(t, proc.Addr()), topic, partitions, nil)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	c := client(t, proc.Addr(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordRetries(1_000_000), kgo.RetryTimeout(5*time.Minute),
		kgo.ProducerLinger(0), kgo.MaxBufferedRecords(2000))
	var mu sync.Mutex
	acked := make([][]int64, partitions) // by partition: offset of the n-th record produced to it
	var producing sync.WaitGroup
	pad := []kgo.RecordHeader{{Key: "pad", Value: make([]byte, 2000)}}
	for p := range int32(partitions) {
		producing.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				c.Produce(context.Background(), &kgo.Record{Topic: topic, Partition: p, Value: fmt.Appendf(nil, "%d", n), Headers: pad}, func(r *kgo.Record, err error) {
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
	admin := kadm.NewClient(client(t, proc.Addr()))
	where := map[int32]string{}
	move := func() {
		t.Helper()
		var req kadm.AlterReplicaLogDirsReq
		for p := range int32(partitions) {
			where[p] = dirs[random.IntN(len(dirs))]
			req.Add(where[p], kadm.TopicsSet{topic: {p: {}}})
		}
		eventually(t, "replicas to move", func() bool {
			responses, err := admin.AlterBrokerReplicaLogDirs(within(t), 1, req)
			ok := err == nil
			responses.Each(func(r kadm.AlterReplicaLogDirsResponse) { ok = ok && r.Err == nil })
			return ok
		})
	}
	for range max(2, kills(t)/2) {
		before := count(&mu, acked)
		eventually(t, "progress between two kills", func() bool { return count(&mu, acked) >= before+1000 })
		move()
		time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond) // the random moment
		proc.Kill()
		proc.Start()
	}
	move()
	eventually(t, "the moves to end", func() bool {
		all, err := admin.DescribeBrokerLogDirs(within(t), 1, nil)
		if err != nil {
			return false
		}
		left := partitions
		all.EachPartition(func(d kadm.DescribedLogDirPartition) {
			if d.Topic == topic && !d.IsFuture && d.Dir == where[d.Partition] {
				left--
			}
		})
		return left == 0
	})
	stop()
	producing.Wait()
	if err := c.Flush(within(t)); err != nil {
		t.Fatalf("flush: %v", err)
	}
	checkAcknowledged(t, proc.Addr(), topic, acked)
	for p := range int32(partitions) {
		found, err := filepath.Glob(filepath.Join(root, "*", fmt.Sprintf("%s-%d*", topic, p)))
		if err != nil {
			t.Fatal(err)
		}
		var replicas []string
		for _, path := range found {
			if !strings.HasSuffix(path, "-delete") {
				replicas = append(replicas, path)
			}
		}
		if len(replicas) != 1 || filepath.Dir(replicas[0]) != where[p] {
			t.Errorf("partition %d was moved to %s and is in %v", p, where[p], replicas)
		}
		if left, err := os.ReadFile(filepath.Join(where[p], fmt.Sprintf("%s-%d", topic, p), "kraal-replaces")); err == nil {
			t.Errorf("partition %d replaces %s still", p, left)
		}
	}
}
