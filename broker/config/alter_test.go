package config

import (
	"errors"
	"maps"
	"testing"
)

func set1(name, value string) Op { return Op{Name: name, Value: &value} }

func TestCheckOps(t *testing.T) {
	for _, c := range []struct {
		ops  []Op
		want string
	}{
		{nil, ""},
		{[]Op{set1("flush.ms", "1"), set1("retention.ms", "2")}, ""},
		{[]Op{set1("flush.ms", "1"), set1("flush.ms", "2")}, "Error due to duplicate config keys"},
		{[]Op{set1("flush.ms", "1"), {Name: "flush.ms", Type: OpDelete}}, "Error due to duplicate config keys"},
		{[]Op{{Name: "flush.ms"}, {Name: "a", Type: OpAppend}}, "Null value not supported for : flush.ms, a"},
		{[]Op{{Name: "flush.ms", Type: OpDelete}}, ""},
		{SetOps([]string{"flush.ms"}, []*string{nil}), "Null value not supported for : flush.ms"},
		{SetOps([]string{"a", "b"}, []*string{ptr("1"), ptr("")}), ""},
	} {
		err := CheckOps(c.ops)
		if c.want == "" && err == nil {
			continue
		}
		if err == nil || err.Error() != c.want || !errors.Is(err, ErrInvalidRequest) {
			t.Errorf("%v: %v, want %q", c.ops, err, c.want)
		}
	}
}

// Answers to IncrementalAlterConfigs as Apache Kafka 3.9.1 gave them.
func TestAlterTopic(t *testing.T) {
	d := dynamic(t, map[string]string{"log.cleanup.policy": "compact"})
	op := func(typ OpType, name, value string) Op { return Op{Name: name, Type: typ, Value: &value} }
	for _, c := range []struct {
		stored map[string]string
		op     Op
		want   map[string]string
		err    string
		kind   error
	}{
		{nil, set1("max.message.bytes", "2000000"), map[string]string{"max.message.bytes": "2000000"}, "", nil},
		{map[string]string{"flush.ms": "1", "retention.ms": "2"}, Op{Name: "flush.ms", Type: OpDelete}, map[string]string{"retention.ms": "2"}, "", nil},
		{nil, Op{Name: "flush.ms", Type: OpDelete}, map[string]string{}, "", nil},
		// The base of a list that is not stored is the built-in default, not the broker's.
		{nil, op(OpAppend, "cleanup.policy", "compact"), map[string]string{"cleanup.policy": "delete,compact"}, "", nil},
		{map[string]string{"cleanup.policy": "delete,compact"}, op(OpSubtract, "cleanup.policy", "compact"), map[string]string{"cleanup.policy": "delete"}, "", nil},
		{map[string]string{"cleanup.policy": "delete"}, op(OpSubtract, "cleanup.policy", "delete"), map[string]string{"cleanup.policy": ""}, "", nil},
		{map[string]string{"cleanup.policy": "delete"}, op(OpAppend, "cleanup.policy", "delete"), map[string]string{"cleanup.policy": "delete"}, "", nil},
		{map[string]string{"cleanup.policy": ""}, op(OpAppend, "cleanup.policy", "compact"), map[string]string{"cleanup.policy": "compact"}, "", nil},
		{nil, op(OpAppend, "leader.replication.throttled.replicas", "0:1,0:2"), map[string]string{"leader.replication.throttled.replicas": "0:1,0:2"}, "", nil},
		{nil, op(OpAppend, "flush.ms", "1"), nil, "Config value append is not allowed for config key: flush.ms", ErrInvalidConfig},
		{nil, op(OpSubtract, "flush.ms", "1"), nil, "Config value subtract is not allowed for config key: flush.ms", ErrInvalidConfig},
		{nil, set1("no.such", "1"), nil, "Unknown topic config name: no.such", ErrInvalidConfig},
		{nil, op(OpAppend, "no.such", "1"), nil, "Unknown topic config name: no.such", ErrInvalidConfig},
		{nil, set1("retention.ms", "abc"), nil, "Invalid config value for resource ConfigResource(type=TOPIC, name='old'): Invalid value abc for configuration retention.ms: Not a number of type LONG", ErrInvalidConfig},
		{map[string]string{"no.such": "1"}, set1("flush.ms", "1"), nil, "Unknown topic config name: no.such", ErrInvalidConfig},
		{nil, op(7, "flush.ms", "1"), nil, "Unknown operation 7 on flush.ms", ErrUnknownOperation},
	} {
		before := maps.Clone(c.stored)
		got, err := d.AlterTopic("old", c.stored, []Op{c.op})
		if !maps.Equal(before, c.stored) {
			t.Errorf("%+v: what was stored changed", c.op)
		}
		switch {
		case c.err == "" && (err != nil || !maps.Equal(got, c.want)):
			t.Errorf("%v %s: %v %v, want %v", c.stored, c.op.Name, got, err, c.want)
		case c.err != "" && (err == nil || err.Error() != c.err || !errors.Is(err, c.kind)):
			t.Errorf("%v %s: %v, want %s", c.stored, c.op.Name, err, c.err)
		}
	}
}

func TestAlterBroker(t *testing.T) {
	d := dynamic(t, map[string]string{"sasl.enabled.mechanisms": "PLAIN"})
	got, err := d.AlterBroker(PerBroker, map[string]string{"my.plugin": "1", "broker.rack": "dropped"}, []Op{set1("log.cleaner.threads", "2"),
		{Name: "log.cleanup.policy", Type: OpAppend, Value: ptr("compact")}})
	if err != nil || !maps.Equal(got, map[string]string{"my.plugin": "1", "log.cleaner.threads": "2", "log.cleanup.policy": "delete,compact"}) {
		t.Error(got, err)
	}
	for _, c := range []struct {
		op   Op
		want string
		kind error
	}{
		{set1("broker.rack", "r"), "Cannot update these configs dynamically: Set(broker.rack)", ErrInvalidRequest},
		{Op{Name: "log.cleaner.threads", Type: OpAppend, Value: ptr("1")}, "Config value append is not allowed for config key: log.cleaner.threads", ErrInvalidConfig},
		{Op{Name: "no.such", Type: OpAppend, Value: ptr("1")}, "Unknown config name: no.such", ErrInvalidConfig},
		{Op{Name: "no.such", Type: 7, Value: ptr("1")}, "Unknown operations type 7", ErrInvalidRequest},
		{Op{Name: "no.such", Type: -1, Value: ptr("1")}, "Unknown operations type -1", ErrInvalidRequest},
	} {
		if _, err := d.AlterBroker(PerBroker, nil, []Op{c.op}); err == nil || err.Error() != c.want || !errors.Is(err, c.kind) {
			t.Errorf("%s: %v, want %s", c.op.Name, err, c.want)
		}
	}
	if got, err := d.ReplaceBroker(ClusterDefault, map[string]string{"log.retention.ms": "5"}); err != nil || got["log.retention.ms"] != "5" {
		t.Error(got, err)
	}
}

func TestCheckLoggerOps(t *testing.T) {
	exists := func(name string) bool { return name == RootLogger || name == "kraal" }
	for _, c := range []struct {
		op   Op
		want string
		kind error
	}{
		{set1("kraal", "DEBUG"), "", nil},
		{set1(RootLogger, "WARN"), "", nil},
		{Op{Name: "kraal", Type: OpDelete}, "", nil},
		{set1("kafka.controller", "INFO"), "Logger kafka.controller does not exist!", ErrInvalidConfig},
		{set1("kafka.controller", "LOUD"), "Logger kafka.controller does not exist!", ErrInvalidConfig},
		{set1("kraal", "LOUD"), "Cannot set the log level of kraal to LOUD as it is not a supported log level. Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN", ErrInvalidConfig},
		{Op{Name: "kafka.controller", Type: OpAppend, Value: ptr("INFO")}, "APPEND operation is not allowed for the BROKER_LOGGER resource", ErrInvalidRequest},
		{Op{Name: "kraal", Type: OpSubtract, Value: ptr("INFO")}, "SUBTRACT operation is not allowed for the BROKER_LOGGER resource", ErrInvalidRequest},
		{Op{Name: RootLogger, Type: OpDelete}, "Removing the log level of the root logger is not allowed", ErrInvalidRequest},
		{Op{Name: "kraal", Type: 9}, "Unknown operation type 9 is not allowed for the BROKER_LOGGER resource", ErrInvalidRequest},
	} {
		err := CheckLoggerOps([]Op{c.op}, exists)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.op.Name, err)
		case c.want != "" && (err == nil || err.Error() != c.want || !errors.Is(err, c.kind)):
			t.Errorf("%s: %v, want %s", c.op.Name, err, c.want)
		}
	}
}
