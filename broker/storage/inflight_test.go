package storage

import (
	"errors"
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
func numbered(i int) record.Batch { return fromProducer(7, i) }

// fromProducer is the i-th batch of any producer.
func fromProducer(id int64, i int) record.Batch {
	return produced(record.ProducerInfo{ID: id, BaseSequence: int32(2 * i)})
}

// produced is a batch of two records.
func produced(p record.ProducerInfo) record.Batch {
	b := record.NewBuilder(record.BuilderOptions{Producer: &p})
	for range 2 {
		b.Append(time.Now().UnixMilli(), nil, []byte("x"))
	}
	batch, err := b.Build()
	if err != nil {
		panic(err)
	}
	return batch
}

// TestInFlightBatchesSurviveSnapshots: the same after a stop in good order, and after a truncation, which both leave a producer state
// that comes from a snapshot. Other producers' batches lie between those in flight.
func TestInFlightBatchesSurviveSnapshots(t *testing.T) {
	for _, c := range []struct {
		name string
		redo func(t *testing.T, m *Manager, options ManagerOptions, l *Log) *Log
	}{
		{"clean stop", func(t *testing.T, m *Manager, options ManagerOptions, l *Log) *Log {
			check(t, m.Close())
			again, ok := openTestManager(t, options).Log(l.tp)
			if !ok {
				t.Fatal("no log")
			}
			return again
		}},
		{"truncation", func(t *testing.T, _ *Manager, _ ManagerOptions, l *Log) *Log {
			end := l.LogEndOffset()
			l.mu.Lock()
			_, err := l.rollLocked(end) // writes a snapshot
			l.mu.Unlock()
			check(t, err)
			_, err = l.AppendAsLeader(fromProducer(9, 0), AppendOptions{})
			check(t, err)
			_, err = l.TruncateTo(end)
			check(t, err)
			return l
		}},
	} {
		for _, between := range []int{0, 3, 3000} {
			t.Run(fmt.Sprintf("%s, %d between", c.name, between), func(t *testing.T) {
				config := DefaultLogConfig()
				options := ManagerOptions{Dirs: []string{"/data"}, FS: vfs.NewMem(), TopicConfig: func(string) *LogConfig { return &config }, RecoveryThreads: 1}
				m := openTestManager(t, options)
				l, err := m.GetOrCreate(meta.TopicPartition{Topic: "t"}, CreateOptions{IsNew: true})
				check(t, err)
				var first []int64
				others := 0
				for i := range 2 * keptBatches {
					info, err := l.AppendAsLeader(numbered(i), AppendOptions{})
					check(t, err)
					first = append(first, info.FirstOffset)
					for range between {
						_, err := l.AppendAsLeader(fromProducer(8, others), AppendOptions{})
						check(t, err)
						others++
					}
				}
				l = c.redo(t, m, options, l)
				end := l.LogEndOffset()
				if _, err := l.AppendAsLeader(numbered(keptBatches-1), AppendOptions{}); !errors.Is(err, ErrOutOfOrderSequence) {
					t.Errorf("a batch that is too old to be in flight: %v", err)
				}
				for i := keptBatches; i < 2*keptBatches; i++ {
					info, err := l.AppendAsLeader(numbered(i), AppendOptions{})
					if err != nil || !info.Duplicate || info.FirstOffset != first[i] {
						t.Errorf("batch %d sent again: %+v, %v", i, info, err)
					}
				}
				info, err := l.AppendAsLeader(numbered(2*keptBatches), AppendOptions{})
				if err != nil || info.FirstOffset != end {
					t.Errorf("the next batch: %+v, %v", info, err)
				}
			})
		}
	}
}

// TestLookBackEndsWithTheEpoch: batches of an earlier epoch are no duplicates.
func TestLookBackEndsWithTheEpoch(t *testing.T) {
	config := DefaultLogConfig()
	options := ManagerOptions{Dirs: []string{"/data"}, FS: vfs.NewMem(), TopicConfig: func(string) *LogConfig { return &config }, RecoveryThreads: 1}
	m := openTestManager(t, options)
	tp := meta.TopicPartition{Topic: "t"}
	l, err := m.GetOrCreate(tp, CreateOptions{IsNew: true})
	check(t, err)
	for i := range 3 {
		_, err := l.AppendAsLeader(numbered(i), AppendOptions{})
		check(t, err)
	}
	for i := range 2 {
		_, err := l.AppendAsLeader(produced(record.ProducerInfo{ID: 7, Epoch: 1, BaseSequence: int32(2 * i)}), AppendOptions{})
		check(t, err)
	}
	check(t, m.Close())
	l, _ = openTestManager(t, options).Log(tp)
	if _, err := l.AppendAsLeader(produced(record.ProducerInfo{ID: 7, Epoch: 1, BaseSequence: 4 + 2}), AppendOptions{}); !errors.Is(err, ErrOutOfOrderSequence) {
		t.Errorf("a batch too many: %v", err)
	}
	if got := l.mu.producers.byID[7].n; got != 2 {
		t.Errorf("%d batches are remembered, of an epoch with 2", got)
	}
	info, err := l.AppendAsLeader(produced(record.ProducerInfo{ID: 7, Epoch: 1, BaseSequence: 0}), AppendOptions{})
	if err != nil || !info.Duplicate || info.FirstOffset != 6 {
		t.Errorf("the first batch of the epoch again: %+v, %v", info, err)
	}
}
