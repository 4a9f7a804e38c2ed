package txns

import (
	"slices"
	"time"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// open is a transaction that a partition waits for.
type open struct {
	meta.TopicPartition
	producer
}

// findHanging looks for transactions that are open in a partition for longer than any may be, and that no coordinator knows.
func (t *tool) findHanging() error {
	switch {
	case !t.IsSet("topic") && !t.IsSet("broker-id"):
		return t.refuse("The `find-hanging` command requires either --topic or --broker-id to limit the scope of the search")
	case t.IsSet("partition") && !t.IsSet("topic"):
		return t.refuse("The --partition argument requires --topic to be provided")
	}
	partitions, broker, err := t.searched()
	if err != nil {
		return t.failed("list topics", err)
	}
	found, err := t.producers(partitions, broker)
	if err != nil {
		return t.failed("describe producers", err)
	}
	now := time.Now()
	candidates := late(found, now, time.Duration(t.Int("max-transaction-timeout"))*time.Minute)
	var rows [][]string
	for _, o := range candidates {
		known, err := t.coordinated(o)
		if err != nil {
			return t.failed("look for the transactions of producers", err)
		}
		if !known {
			rows = append(rows, []string{o.Topic, text(o.Partition), text(o.ProducerID), text(o.ProducerEpoch), text(o.CoordinatorEpoch),
				atLeastZero(o.CurrentTxnStartOffset), text(o.LastTimestamp), text(int64(now.Sub(time.UnixMilli(o.LastTimestamp)) / time.Minute))})
		}
	}
	t.print([]string{"Topic", "Partition", "ProducerId", "ProducerEpoch", "CoordinatorEpoch", "StartOffset", "LastTimestamp", "Duration(min)"}, rows)
	return nil
}

// searched is where to look, and whom to ask: -1 for the leaders.
func (t *tool) searched() (partitions []meta.TopicPartition, broker int32, err error) {
	broker = -1
	if t.IsSet("broker-id") {
		broker = int32(t.Int("broker-id"))
	}
	if t.IsSet("partition") {
		return []meta.TopicPartition{t.partition()}, broker, nil
	}
	var only []string
	if t.IsSet("topic") {
		only = []string{t.String("topic")}
	}
	metadata, err := t.cluster.Metadata(t.Context.Context, "listTopics", only...)
	if err != nil {
		return nil, 0, err
	}
	for _, topic := range metadata.Topics {
		if err := client.FromKError(topic.Err, nil); err != nil {
			return nil, 0, err
		}
		for _, p := range topic.Partitions {
			if broker < 0 || slices.Contains(p.Replicas, broker) {
				partitions = append(partitions, meta.TopicPartition{Topic: topic.Name, Partition: p.ID})
			}
		}
	}
	return partitions, broker, nil
}

// late picks the transactions whose last record is older than limit, in a fixed order.
func late(found map[meta.TopicPartition][]producer, now time.Time, limit time.Duration) []open {
	var all []open
	for tp, producers := range found {
		for _, p := range producers {
			if p.CurrentTxnStartOffset >= 0 && now.Sub(time.UnixMilli(p.LastTimestamp)) > limit {
				all = append(all, open{tp, p})
			}
		}
	}
	slices.SortFunc(all, func(a, b open) int { return a.Compare(b.TopicPartition) })
	return all
}

// coordinated reports whether a coordinator has a transaction of this producer that includes the partition.
func (t *tool) coordinated(o open) (bool, error) {
	ids, err := t.transactions(-1, o.ProducerID)
	if err != nil {
		return false, err
	}
	for _, l := range ids {
		if l.producer != o.ProducerID {
			continue
		}
		d, err := t.transaction(l.id)
		if client.HasCode(err, codeUnknownTransactionalID) {
			continue
		}
		if err != nil {
			return false, err
		}
		for _, topic := range d.Topics {
			if topic.Topic == o.Topic && slices.Contains(topic.Partitions, o.Partition) && d.ProducerID == o.ProducerID && int32(d.ProducerEpoch) == o.ProducerEpoch {
				return true, nil
			}
		}
	}
	return false, nil
}
