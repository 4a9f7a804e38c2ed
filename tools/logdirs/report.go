package logdirs

import (
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/IBM/sarama"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// report is the JSON that Kafka 3.9 prints, keys in its order.
type report struct {
	Brokers []broker `json:"brokers"`
	Version int      `json:"version"`
}

type broker struct {
	Broker  int32    `json:"broker"`
	LogDirs []logDir `json:"logDirs"`
}

type logDir struct {
	Partitions []partition `json:"partitions"`
	Error      *string     `json:"error"`
	LogDir     string      `json:"logDir"`
}

type partition struct {
	Partition string `json:"partition"`
	Size      int64  `json:"size"`
	OffsetLag int64  `json:"offsetLag"`
	IsFuture  bool   `json:"isFuture"`
}

// newReport keeps the named topics, or all if there are none, and sorts: Kafka prints in the order of a hash map.
func newReport(ids []int32, answers map[int32][]sarama.DescribeLogDirsResponseDirMetadata, topics []string) report {
	r := report{Brokers: []broker{}, Version: 1}
	for _, id := range ids {
		b := broker{Broker: id, LogDirs: []logDir{}}
		for _, answer := range answers[id] {
			b.LogDirs = append(b.LogDirs, newLogDir(answer, topics))
		}
		slices.SortFunc(b.LogDirs, func(x, y logDir) int { return strings.Compare(x.LogDir, y.LogDir) })
		r.Brokers = append(r.Brokers, b)
	}
	return r
}

func newLogDir(answer sarama.DescribeLogDirsResponseDirMetadata, topics []string) logDir {
	d := logDir{Partitions: []partition{}, LogDir: answer.Path}
	if answer.ErrorCode != sarama.ErrNoError {
		class := client.ClassOf(int16(answer.ErrorCode))
		d.Error = &class
	}
	slices.SortFunc(answer.Topics, func(x, y sarama.DescribeLogDirsResponseTopic) int { return strings.Compare(x.Topic, y.Topic) })
	for _, t := range answer.Topics {
		if len(topics) > 0 && !slices.Contains(topics, t.Topic) {
			continue
		}
		slices.SortFunc(t.Partitions, func(x, y sarama.DescribeLogDirsResponsePartition) int { return int(x.PartitionID - y.PartitionID) })
		for _, p := range t.Partitions {
			tp := meta.TopicPartition{Topic: t.Topic, Partition: p.PartitionID}
			d.Partitions = append(d.Partitions, partition{tp.String(), p.Size, p.OffsetLag, p.IsTemporary})
		}
	}
	return d
}

func (r report) write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}
