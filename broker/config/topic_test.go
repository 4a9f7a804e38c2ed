package config

import (
	"errors"
	"reflect"
	"testing"
)

func TestTopicResolution(t *testing.T) {
	c := load(t, map[string]string{"log.segment.bytes": "1000", "log.message.timestamp.difference.max.ms": "5", "log.cleanup.policy": "compact"}).Config
	got, err := c.Topic(map[string]string{
		"retention.ms": "7", "cleanup.policy": " compact , delete", "compression.type": "zstd", "message.timestamp.type": "LogAppendTime",
		"leader.replication.throttled.replicas": "0:1,0:2, 3:1", "follower.replication.throttled.replicas": "*", "min.insync.replicas": "2",
		"message.timestamp.after.max.ms": "6",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := c.Defaults
	want.RetentionMs, want.CleanupCompact, want.CleanupDelete, want.CompressionType = 7, true, true, "zstd"
	want.MessageTimestampType, want.MinInsyncReplicas, want.MessageTimestampAfterMaxMs = "LogAppendTime", 2, 6
	want.LeaderThrottled = ThrottledReplicas{Replicas: map[int32][]int32{0: {1, 2}, 3: {1}}}
	want.FollowerThrottled = ThrottledReplicas{All: true}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\ngot  %+v\nwant %+v", got, want)
	}
	if got.SegmentBytes != 1000 || got.MessageTimestampBeforeMaxMs != 5 || c.Defaults.CleanupDelete || !c.Defaults.CleanupCompact {
		t.Errorf("%+v", c.Defaults)
	}
	if !got.LeaderThrottled.Contains(0, 2) || got.LeaderThrottled.Contains(3, 2) || !got.FollowerThrottled.Contains(9, 9) {
		t.Error("throttled replicas")
	}
	if none, err := c.Topic(nil); err != nil || !reflect.DeepEqual(none, c.Defaults) {
		t.Error(err)
	}
}

// A topic whose znode holds nonsense still has a configuration.
func TestTopicForgiving(t *testing.T) {
	c := load(t, nil).Config
	got, err := c.Topic(map[string]string{"retention.ms": "abc", "no.such": "1", "segment.bytes": "20"})
	want := c.Defaults
	want.SegmentBytes = 20
	if !reflect.DeepEqual(got, want) || err == nil {
		t.Errorf("%+v %v", got, err)
	}
	if e := "Unknown topic config name: no.such\nInvalid value abc for configuration retention.ms: Not a number of type LONG"; err.Error() != e {
		t.Errorf("%q", err)
	}
}

// The texts are those of Apache Kafka 3.9.1; from CreateTopics, and from the alter APIs where they differ.
func TestTopicErrors(t *testing.T) {
	d := dynamic(t, map[string]string{"log.cleaner.max.compaction.lag.ms": "100"})
	const resource = "Invalid config value for resource ConfigResource(type=TOPIC, name='t'): "
	for _, c := range []struct {
		props map[string]string
		want  string
		alter string
	}{
		{map[string]string{"retention.ms": "1", "flush.ms": "0"}, "", ""},
		{map[string]string{"retention.ms": "abc"}, "Invalid value abc for configuration retention.ms: Not a number of type LONG", resource},
		{map[string]string{"cleanup.policy": "none"}, "Invalid value none for configuration cleanup.policy: String must be one of: compact, delete", resource},
		{map[string]string{"cleanup.policy": ""}, "", ""},
		{map[string]string{"no.such": "1", "retention.ms": "abc"}, "Unknown topic config name: no.such", ""},
		{map[string]string{"segment.bytes": "13"}, "Invalid value 13 for configuration segment.bytes: Value must be at least 14", resource},
		{map[string]string{"min.cleanable.dirty.ratio": "1.5"}, "Invalid value 1.5 for configuration min.cleanable.dirty.ratio: Value must be no more than 1", resource},
		{map[string]string{"compression.type": "none"}, "Invalid value none for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer", resource},
		{map[string]string{"retention.ms": "-2"}, "Invalid value -2 for configuration retention.ms: Value must be at least -1", resource},
		{map[string]string{"retention.bytes": "-2"}, "", ""},
		{map[string]string{"preallocate": "yes"}, "Invalid value yes for configuration preallocate: Expected value to be either true or false", resource},
		{map[string]string{"message.format.version": "1.x"}, "Invalid value 1.x for configuration message.format.version: Version 1.x is not a valid version", resource},
		{map[string]string{"min.compaction.lag.ms": "101"}, "conflict topic config setting min.compaction.lag.ms (101) > max.compaction.lag.ms (100)", ""},
		{map[string]string{"min.compaction.lag.ms": "101", "max.compaction.lag.ms": "101"}, "", ""},
		{map[string]string{"leader.replication.throttled.replicas": "0:1,x"},
			"Invalid value [0:1, x] for configuration leader.replication.throttled.replicas: leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...", resource},
		{map[string]string{"leader.replication.throttled.replicas": "*,*"},
			"Invalid value [*, *] for configuration leader.replication.throttled.replicas: leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...", resource},
		{map[string]string{"remote.log.copy.disable": "true"}, "It is invalid to set `remote.log.delete.on.disable` or `remote.log.copy.disable` under Zookeeper's mode.", ""},
		{map[string]string{"remote.storage.enable": "true"}, "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.", resource},
		{map[string]string{"remote.storage.enable": "false", "local.retention.ms": "-2"}, "", ""},
	} {
		check := func(api string, err error, want string) {
			t.Helper()
			switch {
			case want == "" && err != nil:
				t.Errorf("%s %v: %v", api, c.props, err)
			case want != "" && (err == nil || err.Error() != want || !errors.Is(err, ErrInvalidConfig)):
				t.Errorf("%s %v:\ngot  %v\nwant %s", api, c.props, err, want)
			}
		}
		alter := c.want
		if c.want != "" {
			alter = c.alter + c.want
		}
		check("create", d.Current().ValidateTopic(nil, c.props), c.want)
		check("alter", d.ReplaceTopic("t", nil, c.props), alter)
	}
}

// Below 3.0 the format of the records is still a matter of configuration.
func TestMessageFormatVersion(t *testing.T) {
	old := load(t, map[string]string{"inter.broker.protocol.version": "0.10.2", "log.message.format.version": "0.10.0"})
	if got := old.Defaults.MessageFormatVersion; got != "0.10.0-IV1" {
		t.Error(got)
	}
	now := load(t, map[string]string{"log.message.format.version": "0.10.0"})
	if got := now.Defaults.MessageFormatVersion; got != "3.0-IV1" {
		t.Error(got)
	}
}
