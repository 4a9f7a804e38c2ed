package replica

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage"
)

// What is wrong with records is told apart as Kafka does (LogValidator.java, BrokerTopicStats).
func TestRefusalsAreToldApart(t *testing.T) {
	gap := record.Batch(testBatch(3, "x"))
	binary.BigEndian.PutUint32(gap[23:], 7) // the last offset delta
	binary.BigEndian.PutUint32(gap[17:], gap.ComputeCRC())
	for name, c := range map[string]struct {
		records []byte
		compact bool
		want    map[TopicCount]int64
	}{
		"no keys":     {testBatch(3, "x"), true, map[TopicCount]int64{ProducesFailed: 1, NoKeyRecords: 3}},
		"keys or not": {testBatch(3, "x"), false, map[TopicCount]int64{MessagesIn: 3}},
		"offsets":     {gap, false, map[TopicCount]int64{ProducesFailed: 1, InvalidOffsetRecords: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			o := record.DefaultValidateOptions(0)
			o.Compacted = c.compact
			v, err := record.Validate(c.records, o)
			a := Appended{Stored: true, AppendInfo: storage.AppendInfo{Records: v.Records, Bytes: 0}}
			if err != nil {
				a.Err = fmt.Errorf("t-0: %w", err)
			}
			var totals TopicMetrics
			topic := TopicMetrics{totals: &totals}
			topic.countAppend(&AppendRequest{Records: c.records}, &a)
			for i := range totals.n {
				n := totals.n[i].Load()
				if TopicCount(i) != ProduceRequests && n != c.want[TopicCount(i)] {
					t.Errorf("%s: %d, want %d", topicSeries[i].name, n, c.want[TopicCount(i)])
				}
				if own := topic.n[i].Load(); TopicCount(i) >= InvalidMagicRecords && own != 0 {
					t.Errorf("%s is counted for the topic", topicSeries[i].name)
				}
			}
		})
	}
}
