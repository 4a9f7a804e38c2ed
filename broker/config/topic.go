package config

// TopicConfig is how one topic behaves: its overrides over the broker's defaults, ready to use. Lengths of time are
// milliseconds, because several of them are Long.MAX by default.
type TopicConfig struct {
	CleanupDelete               bool    // cleanup.policy contains delete
	CleanupCompact              bool    // cleanup.policy contains compact
	CompressionType             string  `key:"compression.type"` // producer, uncompressed, gzip, snappy, lz4 or zstd
	CompressionGzipLevel        int32   `key:"compression.gzip.level"`
	CompressionLz4Level         int32   `key:"compression.lz4.level"`
	CompressionZstdLevel        int32   `key:"compression.zstd.level"`
	DeleteRetentionMs           int64   `key:"delete.retention.ms"`
	FileDeleteDelayMs           int64   `key:"file.delete.delay.ms"`
	FlushMessages               int64   `key:"flush.messages"`
	FlushMs                     int64   `key:"flush.ms"`
	IndexIntervalBytes          int32   `key:"index.interval.bytes"`
	MaxCompactionLagMs          int64   `key:"max.compaction.lag.ms"`
	MaxMessageBytes             int32   `key:"max.message.bytes"`
	MessageDownconversionEnable bool    `key:"message.downconversion.enable"`
	MessageFormatVersion        string  `key:"message.format.version"` // ignored from inter-broker protocol 3.0 on
	MessageTimestampAfterMaxMs  int64   // message.timestamp.difference.max.ms stands in while it is Long.MAX
	MessageTimestampBeforeMaxMs int64   // likewise
	MessageTimestampType        string  `key:"message.timestamp.type"` // CreateTime or LogAppendTime
	MinCleanableDirtyRatio      float64 `key:"min.cleanable.dirty.ratio"`
	MinCompactionLagMs          int64   `key:"min.compaction.lag.ms"`
	MinInsyncReplicas           int32   `key:"min.insync.replicas"`
	Preallocate                 bool    `key:"preallocate"`
	RetentionBytes              int64   `key:"retention.bytes"` // negative: unlimited
	RetentionMs                 int64   `key:"retention.ms"`    // negative: unlimited
	SegmentBytes                int32   `key:"segment.bytes"`
	SegmentIndexBytes           int32   `key:"segment.index.bytes"`
	SegmentJitterMs             int64   `key:"segment.jitter.ms"`
	SegmentMs                   int64   `key:"segment.ms"`
	UncleanLeaderElectionEnable bool    `key:"unclean.leader.election.enable"`

	// LeaderThrottled and FollowerThrottled tell which replicas' replication traffic counts against the throttled rates.
	LeaderThrottled   ThrottledReplicas
	FollowerThrottled ThrottledReplicas
}

// ThrottledReplicas is a value of leader.replication.throttled.replicas or its follower twin.
type ThrottledReplicas struct {
	All      bool              // "*"
	Replicas map[int32][]int32 // partition to broker ids
}

// Contains reports whether the replica of partition on broker is throttled.
func (t ThrottledReplicas) Contains(partition, broker int32) bool {
	if t.All {
		return true
	}
	for _, b := range t.Replicas[partition] {
		if b == broker {
			return true
		}
	}
	return false
}

// Topic resolves a topic's configuration from its stored overrides. Overrides that cannot be used, which only a
// foreign hand can have written, are skipped: the error names them, and the TopicConfig is usable all the same.
func (c *Config) Topic(overrides map[string]string) (TopicConfig, error) { panic("declared") }

// ValidateTopic judges a complete set of overrides before it is stored, as CreateTopics and the alter APIs must:
// names, values, then combinations with the broker's defaults. The error is an [*Error] of kind [ErrInvalidConfig]
// with Kafka's text. existing is what is stored now, nil for a new topic. A malformed value is reported as
// "Invalid value x for configuration k: reason"; see [TopicAlterError] for how the alter APIs dress it up.
func (c *Config) ValidateTopic(existing, overrides map[string]string) error { panic("declared") }
