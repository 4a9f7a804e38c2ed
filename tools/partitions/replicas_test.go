package partitions

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// batches makes a log: each value is a batch of one record, from offset 5 on.
func batches(t *testing.T, values ...string) []byte {
	t.Helper()
	var log []byte
	for i, value := range values {
		b := record.NewBuilder(record.BuilderOptions{BaseOffset: int64(5 + i)})
		b.Append(1000, nil, []byte(value))
		batch, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		log = append(log, batch...)
	}
	return log
}

func newComparison(partitions ...meta.TopicPartition) *comparison {
	c := &comparison{offsets: map[meta.TopicPartition]int64{}, now: func() time.Time { return time.Date(2024, 1, 2, 3, 4, 5, 6e6, time.Local) }}
	for _, tp := range partitions {
		c.offsets[tp] = 5
	}
	return c
}

const stamp = "2024-01-02 03:04:05,006: "

func TestCompareGoesOnBehindWhatAllHave(t *testing.T) {
	log := batches(t, "a", "b", "c")
	size := len(log) / 3
	for _, c := range []struct {
		what     string
		replicas map[int32]fetched
		offset   int64
		lag      int64
	}{
		{"the same", map[int32]fetched{1: {8, log}, 2: {8, log}}, 8, 0},
		{"one behind", map[int32]fetched{1: {8, log}, 2: {7, log[:2*size]}}, 7, 1},
		{"one cut off in a batch", map[int32]fetched{1: {8, log}, 2: {8, log[:2*size-1]}}, 6, 2},
		{"not committed", map[int32]fetched{1: {6, log}, 2: {6, log}}, 6, 0},
		{"one has an old high watermark", map[int32]fetched{1: {8, log}, 2: {6, log}}, 6, 2},
		{"one is away", map[int32]fetched{1: {8, log}, 2: {hw: -1}}, 5, 3},
		{"only one replica", map[int32]fetched{1: {8, log}}, 8, 0},
		{"nothing there", map[int32]fetched{1: {5, nil}, 2: {5, nil}}, 5, 0},
	} {
		p := tp("orders", 0)
		cmp := newComparison(p)
		worst, lines, err := cmp.compare(map[meta.TopicPartition]map[int32]fetched{p: c.replicas})
		if err != nil || len(lines) > 0 {
			t.Errorf("%s: %v, %v", c.what, lines, err)
		}
		if cmp.offsets[p] != c.offset || worst.records != c.lag {
			t.Errorf("%s: up to %d, want %d; lag %d, want %d", c.what, cmp.offsets[p], c.offset, worst.records, c.lag)
		}
	}
}

func TestCompareFindsDifferences(t *testing.T) {
	p := tp("orders", 0)
	good, other := batches(t, "a", "b", "c"), batches(t, "a", "x", "c")
	cmp := newComparison(p)
	_, lines, err := cmp.compare(map[meta.TopicPartition]map[int32]fetched{p: {1: {8, good}, 2: {8, other}, 3: {8, good}}})
	if err != nil || len(lines) != 1 || cmp.offsets[p] != 8 {
		t.Fatalf("%v, %v, up to %d", lines, err, cmp.offsets[p])
	}
	var one, two uint32
	format := stamp + "partition orders-0 has unmatched checksum at offset 6; replica 1's checksum %d; replica 2's checksum %d"
	if n, err := fmt.Sscanf(lines[0], format, &one, &two); n != 2 || err != nil || one == two {
		t.Errorf("%s: %v", lines[0], err)
	}

	// An error on the disk of one broker: the header is the same, the record is not.
	rotten := []byte(strings.Clone(string(good)))
	rotten[len(rotten)-2]++
	cmp = newComparison(p)
	_, lines, err = cmp.compare(map[meta.TopicPartition]map[int32]fetched{p: {1: {8, good}, 2: {8, rotten}}})
	if err != nil || len(lines) != 1 || !strings.Contains(lines[0], "unmatched checksum at offset 7;") {
		t.Errorf("rotten: %v, %v", lines, err)
	}

	size := len(good) / 3
	cmp = newComparison(p)
	_, lines, err = cmp.compare(map[meta.TopicPartition]map[int32]fetched{p: {1: {8, good}, 2: {8, good[size:]}}})
	want := stamp + "partition orders-0: replica 1's offset 5 doesn't match replica 2's offset 6"
	if !errors.Is(err, errMismatch) || len(lines) != 1 || lines[0] != want {
		t.Errorf("apart: %v, %v", lines, err)
	}

	cmp = newComparison(p)
	broken := append([]byte(nil), good...)
	broken[16] = 9 // magic
	_, _, err = cmp.compare(map[meta.TopicPartition]map[int32]fetched{p: {1: {8, broken}}})
	if err == nil || !strings.HasPrefix(err.Error(), "Error in processing replica 1 in partition orders-0 at offset 5: ") {
		t.Errorf("broken: %v", err)
	}
}

func TestComparisonReport(t *testing.T) {
	a, b := tp("a", 0), tp("b", 0)
	cmp := newComparison(a, b)
	log := batches(t, "a")
	worst, _, err := cmp.compare(map[meta.TopicPartition]map[int32]fetched{a: {1: {6, log}, 2: {6, log}}, b: {1: {20, log}, 2: {hw: -1}}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := cmp.report(worst, 2), stamp+"max lag is 15 for partition b-0 at offset 5 among 2 partitions"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	worst, _, _ = cmp.compare(map[meta.TopicPartition]map[int32]fetched{a: {1: {hw: -1}}})
	if got, want := cmp.report(worst, 2), stamp+"max lag is -1 for partition null at offset -1 among 2 partitions"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzCompare(f *testing.F) {
	f.Add([]byte("nonsense"), []byte{}, int64(5))
	f.Fuzz(func(t *testing.T, one, other []byte, hw int64) {
		p := tp("orders", 0)
		newComparison(p).compare(map[meta.TopicPartition]map[int32]fetched{p: {1: {hw, one}, 2: {hw, other}, 3: {hw, one}}})
	})
}
