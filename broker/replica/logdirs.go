package replica

import (
	"slices"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// DescribedReplica is what DescribeLogDirs tells of one replica.
type DescribedReplica struct {
	Partition meta.TopicPartition
	Size      int64
	Lag       int64 // high watermark - log end, at least 0 is behind; -1 unknown
	Future    bool
}

// DescribeDir lists the replicas in a log directory; want is nil for all.
func (m *Manager) DescribeDir(dir string, want func(meta.TopicPartition) bool) []DescribedReplica {
	var out []DescribedReplica
	for log := range m.logs.Logs() {
		tp := log.TopicPartition()
		if log.Dir() == dir && (want == nil || want(tp)) {
			out = append(out, DescribedReplica{Partition: tp, Size: log.Size(), Lag: max(0, log.HighWatermark()-log.LogEndOffset())})
		}
	}
	for log := range m.logs.FutureLogs() {
		tp := log.TopicPartition()
		if log.Dir() != dir || want != nil && !want(tp) {
			continue
		}
		lag := int64(-1)
		if current, ok := m.logs.Log(tp); ok {
			lag = current.LogEndOffset() - log.LogEndOffset()
		}
		out = append(out, DescribedReplica{Partition: tp, Size: log.Size(), Lag: lag, Future: true})
	}
	slices.SortFunc(out, func(a, b DescribedReplica) int { return a.Partition.Compare(b.Partition) })
	return out
}
