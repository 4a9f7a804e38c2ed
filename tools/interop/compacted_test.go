//go:build interop

package interop

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// compacted is a topic whose log both programs clean. What counts in it is the last value of each key.
type compacted struct {
	t     *testing.T
	c     *kgo.Client
	next  int
	value map[string]string // by key; deleted ones are absent
}

const (
	compactedTopic = "compacted"
	compactedKeys  = 50
)

func startCompacted(t *testing.T, e *environment) *compacted {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(e.bootstrap), kgo.DefaultProduceTopic(compactedTopic), kgo.UnknownTopicRetries(-1),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	config := map[string]*string{"cleanup.policy": kadm.StringPtr("compact"), "segment.bytes": kadm.StringPtr("20000"), "min.cleanable.dirty.ratio": kadm.StringPtr("0.01")}
	if _, err := kadm.NewClient(c).CreateTopic(t.Context(), 1, 1, config, compactedTopic); err != nil {
		t.Fatal(err)
	}
	return &compacted{t: t, c: c, value: map[string]string{}}
}

// write gives every key many values, and deletes one.
func (w *compacted) write() {
	w.t.Helper()
	var records []*kgo.Record
	for range 20 * compactedKeys {
		key := fmt.Sprintf("key-%d", w.next%compactedKeys)
		w.value[key] = fmt.Sprintf("value %d of %040d", w.next, w.next)
		records = append(records, &kgo.Record{Key: []byte(key), Value: []byte(w.value[key])})
		w.next++
	}
	gone := fmt.Sprintf("key-%d", w.next/1000%compactedKeys)
	delete(w.value, gone)
	records = append(records, &kgo.Record{Key: []byte(gone)})
	if err := w.c.ProduceSync(w.t.Context(), records...).FirstErr(); err != nil {
		w.t.Fatalf("%s: %v", compactedTopic, err)
	}
}

// check reads the topic and compares the last values, and returns how many records are left.
func (w *compacted) check(e *environment) int {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	end, err := kadm.NewClient(w.c).ListEndOffsets(ctx, compactedTopic)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(e.bootstrap), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{compactedTopic: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	last, _ := end.Lookup(compactedTopic, 0)
	got, count := map[string]string{}, 0
	for at := int64(0); at < last.Offset; {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			w.t.Fatalf("%s at %d of %d: %v", compactedTopic, at, last.Offset, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			at = r.Offset + 1
			count++
			if got[string(r.Key)] = string(r.Value); r.Value == nil {
				delete(got, string(r.Key))
			}
		})
	}
	if !maps.Equal(got, w.value) {
		w.t.Errorf("%s: last values\n got %v\nwant %v", compactedTopic, got, w.value)
	}
	return count
}
