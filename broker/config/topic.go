package config

import (
	"errors"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

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
func (c *Config) Topic(overrides map[string]string) (TopicConfig, error) {
	if len(overrides) == 0 {
		return c.Defaults, nil
	}
	values, err := c.topicValues(overrides)
	return resolveTopic(values), err
}

// topicValues lays overrides over the broker's defaults.
func (c *Config) topicValues(overrides map[string]string) (map[string]any, error) {
	values := maps.Clone(c.topics)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		k, ok := topicTable().lookup(name)
		if !ok {
			errs = append(errs, unknownTopicKey(name))
			continue
		}
		v, err := k.parse(overrides[name])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		values[name] = v
	}
	return values, errors.Join(errs...)
}

// ValidateTopic judges a complete set of overrides before it is stored, as CreateTopics and the alter APIs must:
// names, then values, then combinations with the broker's defaults (LogConfig.validate). The error is an [*Error] of
// kind [ErrInvalidConfig] with the text Kafka gives in CreateTopics; the alter APIs dress bad values up, see
// [Dynamic.ReplaceTopic]. What is stored now makes no difference: only switching tiered storage off would ask for it.
func (c *Config) ValidateTopic(_, overrides map[string]string) error {
	if err := c.validateTopic(overrides); err != nil {
		return &Error{ErrInvalidConfig, err.Error()}
	}
	return nil
}

// validateTopic tells two sorts of errors apart, because Kafka does: an [*Error] goes to the client as it is, anything
// else is a ConfigException there and gets the resource in front when it comes from an alter API.
func (c *Config) validateTopic(overrides map[string]string) error {
	names := slices.Sorted(maps.Keys(overrides))
	for _, name := range names {
		if _, ok := topicTable().lookup(name); !ok {
			return unknownTopicKey(name)
		}
	}
	values := maps.Clone(c.topics)
	for _, name := range names {
		v, err := topicTable().byName[name].parse(overrides[name])
		if err != nil {
			return err
		}
		values[name] = v
	}
	least, _ := values["min.compaction.lag.ms"].(int64)
	most, _ := values["max.compaction.lag.ms"].(int64)
	switch {
	case least > most:
		return invalidConfig("conflict topic config setting min.compaction.lag.ms (%d) > max.compaction.lag.ms (%d)", least, most)
	case values["remote.log.delete.on.disable"] == true || values["remote.log.copy.disable"] == true:
		return invalidConfig("It is invalid to set `remote.log.delete.on.disable` or `remote.log.copy.disable` under Zookeeper's mode.")
	case values["remote.storage.enable"] == true:
		return errors.New("Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.")
	}
	return nil
}

func unknownTopicKey(name string) error { return invalidConfig("Unknown topic config name: %s", name) }

// topicDefaults is what a topic without overrides has (KafkaConfig.extractLogConfigMap).
func topicDefaults(c *Config) map[string]any {
	values := make(map[string]any, len(topicTable().names))
	for _, name := range topicTable().names {
		k := topicTable().byName[name]
		values[name] = k.Default
		for _, broker := range k.Broker {
			if v := c.values[broker]; v != nil {
				values[name] = inMillis(broker, v)
				break
			}
		}
	}
	if ms, _ := values["retention.ms"].(int64); ms < 0 {
		values["retention.ms"] = int64(-1)
	}
	values["message.timestamp.before.max.ms"], values["message.timestamp.after.max.ms"] = timestampBounds(values)

	// Shown in full, and as the default where it is ignored.
	values["message.format.version"] = V3_0_IV1.String()
	if c.Broker.InterBrokerProtocol < V3_0_IV1 {
		if v, err := ParseVersion(c.Log.MessageFormatVersion); err == nil {
			values["message.format.version"] = v.String()
		}
	}
	return values
}

// inMillis converts the value of a broker key in hours or minutes to that of a topic key, which counts milliseconds.
func inMillis(broker string, v any) any {
	n, ok := v.(int32)
	switch {
	case ok && strings.HasSuffix(broker, ".hours"):
		return int64(n) * 3_600_000
	case ok && strings.HasSuffix(broker, ".minutes"):
		return int64(n) * 60_000
	}
	return v
}

// timestampBounds lets the deprecated bound in both directions stand in for those at their default (KIP-937). So an
// explicit Long.MAX does not override it.
func timestampBounds(values map[string]any) (before, after int64) {
	before, _ = values["message.timestamp.before.max.ms"].(int64)
	after, _ = values["message.timestamp.after.max.ms"].(int64)
	both, _ := values["message.timestamp.difference.max.ms"].(int64)
	if before == math.MaxInt64 {
		before = both
	}
	if after == math.MaxInt64 {
		after = both
	}
	return before, after
}

// resolveTopic fills the struct.
func resolveTopic(values map[string]any) TopicConfig {
	var t TopicConfig
	fill(reflect.ValueOf(&t).Elem(), func(key string) any { return values[key] })
	policy, _ := values["cleanup.policy"].([]string)
	t.CleanupDelete = slices.Contains(policy, "delete")
	t.CleanupCompact = slices.Contains(policy, "compact")
	t.MessageTimestampBeforeMaxMs, t.MessageTimestampAfterMaxMs = timestampBounds(values)
	t.LeaderThrottled = parseThrottled(values["leader.replication.throttled.replicas"])
	t.FollowerThrottled = parseThrottled(values["follower.replication.throttled.replicas"])
	return t
}

// parseThrottled reads a list that has been checked. Numbers beyond an int32 name no replica.
func parseThrottled(v any) ThrottledReplicas {
	items, _ := v.([]string)
	if strings.Join(items, "") == "*" {
		return ThrottledReplicas{All: true}
	}
	var t ThrottledReplicas
	for _, item := range items {
		p, b, ok := strings.Cut(trim(item), ":")
		partition, err := strconv.ParseInt(p, 10, 32)
		broker, err2 := strconv.ParseInt(b, 10, 32)
		if !ok || err != nil || err2 != nil {
			continue
		}
		if t.Replicas == nil {
			t.Replicas = map[int32][]int32{}
		}
		t.Replicas[int32(partition)] = append(t.Replicas[int32(partition)], int32(broker))
	}
	return t
}
