package partitions

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// fetched is what a replica gave from the offset that was asked for on.
type fetched struct {
	hw      int64 // -1: the replica could not be asked
	records []byte
}

// comparison is how far the replicas of partitions have been found to be the same.
type comparison struct {
	offsets map[meta.TopicPartition]int64 // up to where, exclusively; the offset to fetch from next
	now     func() time.Time
}

// lag is the partition that the comparison is furthest behind with.
type lag struct {
	records   int64
	partition meta.TopicPartition
	offset    int64
}

// errMismatch is the end of the comparison: what replicas hold has come apart.
var errMismatch = errors.New("replicas differ in their offsets")

// compare goes over what all replicas gave, batch by batch up to the high watermark, and moves the offsets on behind what
// all of them have. It returns lines about what differs. Kafka compares the checksums that stand in the batches, which an
// error on the disk may leave as they are; here they are computed.
func (c *comparison) compare(replicas map[meta.TopicPartition]map[int32]fetched) (lag, []string, error) {
	worst := lag{records: -1, offset: -1}
	var lines []string
	for _, tp := range slices.SortedFunc(maps.Keys(replicas), meta.TopicPartition.Compare) {
		more, err := c.comparePartition(tp, replicas[tp])
		lines = append(lines, more...)
		if err != nil {
			return worst, lines, err
		}
		highest := int64(-1)
		for _, f := range replicas[tp] {
			highest = max(highest, f.hw)
		}
		if behind := highest - c.offsets[tp]; behind > worst.records {
			worst = lag{behind, tp, c.offsets[tp]}
		}
	}
	return worst, lines, nil
}

func (c *comparison) comparePartition(tp meta.TopicPartition, replicas map[int32]fetched) (lines []string, err error) {
	if len(replicas) == 0 {
		return nil, nil
	}
	ids := slices.Sorted(maps.Keys(replicas))
	batches := map[int32]func() (record.Batch, error, bool){}
	for _, id := range ids {
		next, stop := iter.Pull2(record.Batches(replicas[id].records))
		defer stop()
		batches[id] = next
	}
	for {
		var first record.Batch
		var from int32
		all := true
		for _, id := range ids {
			batch, err, ok := batches[id]()
			switch {
			case !ok || errors.Is(err, record.ErrTruncated): // the limit of the fetch may cut a batch in two
				all = false
				continue
			case err != nil:
				return lines, fmt.Errorf("Error in processing replica %d in partition %s at offset %d: %w", id, tp, c.offsets[tp], err)
			case batch.LastOffset() >= replicas[id].hw:
				all = false
				continue
			case first == nil:
				first, from = batch, id
				continue
			case first.LastOffset() != batch.LastOffset():
				return append(lines, fmt.Sprintf("%s: partition %s: replica %d's offset %d doesn't match replica %d's offset %d",
					c.stamp(), tp, from, first.LastOffset(), id, batch.LastOffset())), errMismatch
			}
			if one, other := first.ComputeCRC(), batch.ComputeCRC(); one != other {
				lines = append(lines, fmt.Sprintf("%s: partition %s has unmatched checksum at offset %d; replica %d's checksum %d; replica %d's checksum %d",
					c.stamp(), tp, batch.LastOffset(), from, one, id, other))
			}
		}
		if !all {
			return lines, nil
		}
		c.offsets[tp] = first.NextOffset()
	}
}

// stamp is the time as the tool's lines begin with it.
func (c *comparison) stamp() string { return c.now().Format("2006-01-02 15:04:05,000") }

// report is the line that is printed now and then.
func (c *comparison) report(worst lag, partitions int) string {
	name := "null" // as Java has it when nothing could be fetched
	if worst.records >= 0 {
		name = worst.partition.String()
	}
	return fmt.Sprintf("%s: max lag is %d for partition %s at offset %d among %d partitions", c.stamp(), worst.records, name, worst.offset, partitions)
}
