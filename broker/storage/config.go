package storage

import (
	"math"
	"time"
)

// LogConfig is the resolved configuration of one topic's logs. It is immutable once handed to this package, and
// shared by the partitions of a topic.
type LogConfig struct {
	SegmentBytes       int32 // segment.bytes
	SegmentMs          int64 // segment.ms
	SegmentJitterMs    int64 // segment.jitter.ms
	MaxIndexBytes      int32 // segment.index.bytes
	IndexIntervalBytes int32 // index.interval.bytes
	Preallocate        bool  // preallocate

	FlushMessages int64 // flush.messages; math.MaxInt64: never
	FlushMs       int64 // flush.ms; math.MaxInt64: never

	RetentionMs       int64 // retention.ms; -1: unlimited
	RetentionBytes    int64 // retention.bytes; -1: unlimited
	FileDeleteDelayMs int64 // file.delete.delay.ms
	Delete            bool  // cleanup.policy contains delete
	Compact           bool  // cleanup.policy contains compact

	MinCleanableDirtyRatio float64 // min.cleanable.dirty.ratio
	MinCompactionLagMs     int64   // min.compaction.lag.ms
	MaxCompactionLagMs     int64   // max.compaction.lag.ms
	DeleteRetentionMs      int64   // delete.retention.ms

	MaxMessageBytes int32 // max.message.bytes; bounds the cleaner's buffers here, record.Validate checks it

	// The rest is not looked at by this package. It is kept here so that whoever appends to a log finds the settings
	// that go with it in one consistent snapshot, Log.Config.

	MinInSyncReplicas         int32  // min.insync.replicas
	UncleanLeaderElection     bool   // unclean.leader.election.enable
	LogAppendTime             bool   // message.timestamp.type = LogAppendTime
	TimestampBeforeMaxMs      int64  // message.timestamp.before.max.ms
	TimestampAfterMaxMs       int64  // message.timestamp.after.max.ms
	CompressionType           string // compression.type: producer, uncompressed, gzip, snappy, lz4, zstd
	GzipLevel                 int32  // compression.gzip.level
	Lz4Level                  int32  // compression.lz4.level
	ZstdLevel                 int32  // compression.zstd.level
	MessageDownConversion     bool   // message.downconversion.enable
	LeaderThrottledReplicas   string // leader.replication.throttled.replicas
	FollowerThrottledReplicas string // follower.replication.throttled.replicas
	RemoteStorageEnable       bool   // remote.storage.enable; never true here
	LocalRetentionMs          int64  // local.retention.ms
	LocalRetentionBytes       int64  // local.retention.bytes
}

// DefaultLogConfig returns Kafka's defaults.
func DefaultLogConfig() LogConfig {
	return LogConfig{
		SegmentBytes:           1 << 30,
		SegmentMs:              (7 * 24 * time.Hour).Milliseconds(),
		MaxIndexBytes:          10 << 20,
		IndexIntervalBytes:     4096,
		FlushMessages:          math.MaxInt64,
		FlushMs:                math.MaxInt64,
		RetentionMs:            (7 * 24 * time.Hour).Milliseconds(),
		RetentionBytes:         -1,
		FileDeleteDelayMs:      time.Minute.Milliseconds(),
		Delete:                 true,
		MinCleanableDirtyRatio: 0.5,
		MaxCompactionLagMs:     math.MaxInt64,
		DeleteRetentionMs:      (24 * time.Hour).Milliseconds(),
		MaxMessageBytes:        1<<20 + 12,
		MinInSyncReplicas:      1,
		TimestampBeforeMaxMs:   math.MaxInt64,
		TimestampAfterMaxMs:    math.MaxInt64,
		CompressionType:        "producer",
		GzipLevel:              -1,
		Lz4Level:               9,
		ZstdLevel:              3,
		MessageDownConversion:  true,
		LocalRetentionMs:       -2,
		LocalRetentionBytes:    -2,
	}
}

// rollMs is the longest span of record timestamps a segment of this log may cover: segment.ms, and for compacted logs
// no longer than max.compaction.lag.ms, because the active segment is never compacted (KIP-354).
func (c *LogConfig) rollMs() int64 {
	if c.Compact && c.MaxCompactionLagMs < c.SegmentMs {
		return c.MaxCompactionLagMs
	}
	return c.SegmentMs
}

// CleanerConfig is the broker's configuration of the log cleaner.
type CleanerConfig struct {
	Enable            bool          // log.cleaner.enable
	Threads           int           // log.cleaner.threads
	DedupeBufferBytes int64         // log.cleaner.dedupe.buffer.size, for all threads
	LoadFactor        float64       // log.cleaner.io.buffer.load.factor
	IOBufferBytes     int32         // log.cleaner.io.buffer.size, for all threads
	IOMaxBytesPerSec  float64       // log.cleaner.io.max.bytes.per.second
	Backoff           time.Duration // log.cleaner.backoff.ms
}

// DefaultCleanerConfig returns Kafka's defaults.
func DefaultCleanerConfig() CleanerConfig {
	return CleanerConfig{
		Enable:            true,
		Threads:           1,
		DedupeBufferBytes: 128 << 20,
		LoadFactor:        0.9,
		IOBufferBytes:     512 << 10,
		IOMaxBytesPerSec:  math.MaxFloat64,
		Backoff:           15 * time.Second,
	}
}
