package logdirs

import (
	"bytes"
	"testing"

	"github.com/IBM/sarama"
)

func TestReport(t *testing.T) {
	partition := func(id int32, size int64) sarama.DescribeLogDirsResponsePartition {
		return sarama.DescribeLogDirsResponsePartition{PartitionID: id, Size: size}
	}
	answers := map[int32][]sarama.DescribeLogDirsResponseDirMetadata{
		1: {
			{Path: "/data/1/y", Topics: []sarama.DescribeLogDirsResponseTopic{
				{Topic: "orders", Partitions: []sarama.DescribeLogDirsResponsePartition{partition(1, 77), partition(0, 0)}},
				{Topic: "a", Partitions: []sarama.DescribeLogDirsResponsePartition{{PartitionID: 2, Size: 5, OffsetLag: 3, IsTemporary: true}}},
			}},
			{Path: "/data/1/<x>", ErrorCode: sarama.ErrKafkaStorageError},
		},
		2: {},
	}
	for _, c := range []struct {
		ids    []int32
		topics []string
		want   string
	}{
		{[]int32{1, 2}, nil, `{"brokers":[{"broker":1,"logDirs":[` +
			`{"partitions":[],"error":"org.apache.kafka.common.errors.KafkaStorageException","logDir":"/data/1/<x>"},` +
			`{"partitions":[{"partition":"a-2","size":5,"offsetLag":3,"isFuture":true},{"partition":"orders-0","size":0,"offsetLag":0,"isFuture":false},` +
			`{"partition":"orders-1","size":77,"offsetLag":0,"isFuture":false}],"error":null,"logDir":"/data/1/y"}]},{"broker":2,"logDirs":[]}],"version":1}`},
		{[]int32{1}, []string{"a", "nope"}, `{"brokers":[{"broker":1,"logDirs":[` +
			`{"partitions":[],"error":"org.apache.kafka.common.errors.KafkaStorageException","logDir":"/data/1/<x>"},` +
			`{"partitions":[{"partition":"a-2","size":5,"offsetLag":3,"isFuture":true}],"error":null,"logDir":"/data/1/y"}]}],"version":1}`},
		{nil, nil, `{"brokers":[],"version":1}`},
	} {
		var out bytes.Buffer
		if err := newReport(c.ids, answers, c.topics).write(&out); err != nil {
			t.Fatal(err)
		}
		if out.String() != c.want+"\n" {
			t.Errorf("brokers %v, topics %v:\ngot  %s\nwant %s", c.ids, c.topics, &out, c.want)
		}
	}
}
