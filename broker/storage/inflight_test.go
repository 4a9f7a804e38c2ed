package storage

import (
	"fmt"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// TestInFlightBatchesSurviveAKill: a client may have five batches in flight to a partition and hear of none of them before the
// broker dies. It sends all of them again, and each must be recognised, although a snapshot keeps one batch of a producer.
// Kafka remembers one after a restart and lets the client make duplicates of the others.
func TestInFlightBatchesSurviveAKill(t *testing.T) {
	for rolledAfter := range 2 * keptBatches { // wherever among the batches a segment begins
		t.Run(fmt.Sprint(rolledAfter), func(t *testing.T) {
			mem := vfs.NewMem()
			config := DefaultLogConfig()
			options := func(fs vfs.FS) ManagerOptions {
				return ManagerOptions{Dirs: []string{"/data"}, FS: fs, TopicConfig: func(string) *LogConfig { return &config }, RecoveryThreads: 1}
			}
			m := openTestManager(t, options(mem))
			tp := meta.TopicPartition{Topic: "t"}
			l, err := m.GetOrCreate(tp, CreateOptions{IsNew: true})
			check(t, err)
			var first []int64
			for i := range 2 * keptBatches {
				if i == rolledAfter {
					l.mu.Lock()
					_, err := l.rollLocked(l.leo.Load())
					l.mu.Unlock()
					check(t, err)
				}
				info, err := l.AppendAsLeader(numbered(i), AppendOptions{})
				check(t, err)
				first = append(first, info.FirstOffset)
			}
			again := openTestManager(t, options(mem.Clone()))
			l, ok := again.Log(tp)
			if !ok {
				t.Fatal("no log")
			}
			end := l.LogEndOffset()
			for i := keptBatches; i < 2*keptBatches; i++ {
				info, err := l.AppendAsLeader(numbered(i), AppendOptions{})
				if err != nil || !info.Duplicate || info.FirstOffset != first[i] {
					t.Errorf("batch %d sent again: %+v, %v", i, info, err)
				}
			}
			if got := l.LogEndOffset(); got != end {
				t.Errorf("the log grew from %d to %d", end, got)
			}
			info, err := l.AppendAsLeader(numbered(2*keptBatches), AppendOptions{})
			if err != nil || info.FirstOffset != end {
				t.Errorf("the next batch: %+v, %v", info, err)
			}
		})
	}
}

// numbered is the i-th batch of a producer.
func numbered(i int) record.Batch {
	b := record.NewBuilder(record.BuilderOptions{Producer: &record.ProducerInfo{ID: 7, BaseSequence: int32(2 * i)}})
	for range 2 {
		b.Append(time.Now().UnixMilli(), nil, []byte("x"))
	}
	batch, err := b.Build()
	if err != nil {
		panic(err)
	}
	return batch
}
