package config

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/zap"
)

// golden is one entry of a DescribeConfigs answer of Apache Kafka 3.9.1.
type golden struct {
	Name      string   `json:"name"`
	Value     *string  `json:"value"`
	Source    Source   `json:"source"`
	Type      Type     `json:"type"`
	ReadOnly  bool     `json:"readOnly"`
	Sensitive bool     `json:"sensitive"`
	Synonyms  [][3]any `json:"synonyms"`
}

// wanted are the differences from Apache Kafka on purpose: what is shown here in place of what it shows, and why.
var wanted = []struct {
	kind, name string
	why        string
	change     func(*golden)
}{
	{"dynamic-broker", "follower.replication.throttled.rate", "it can be changed, so it is not read-only", func(g *golden) { g.ReadOnly = false }},
	{"dynamic-broker", "leader.replication.throttled.rate", "likewise", func(g *golden) { g.ReadOnly = false }},
	{"dynamic-default", "follower.replication.throttled.rate", "likewise", func(g *golden) { g.ReadOnly = false }},
	{"dynamic-broker", "log.retention.hours", "Kafka forgets the file's value once a stronger name is set dynamically, and shows the default with the file as its source",
		func(g *golden) { g.Value = ptr("24") }},
	{"dynamic-broker", "log.flush.scheduler.interval.ms", "likewise; the flush task keeps the period of the file, too",
		func(g *golden) { g.Value = ptr("777777") }},
	{"odd-topic", "min.cleanable.dirty.ratio", "NaN is no ratio: it is refused when it is set, and skipped where it is stored",
		func(g *golden) { g.Value, g.Synonyms[0][1] = ptr("0.5"), "0.5" }},
}

func TestDescribeAgainstKafka(t *testing.T) {
	f, err := os.Open("testdata/describe.properties")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, ws, err := Load(f, nil)
	if err != nil || len(ws) > 0 {
		t.Fatal(err, ws)
	}
	d := NewDynamic(s, zap.NewNop())
	compare(t, "broker", d.DescribeBroker(nil))
	compare(t, "topic", d.DescribeTopic(map[string]string{"retention.ms": "-1"}, nil))
}

// Another broker, with several names for one setting in the file and changes at both levels.
func TestDescribeDynamicAgainstKafka(t *testing.T) {
	f, err := os.Open("testdata/describe-dynamic.properties")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, _, err := Load(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := NewDynamic(s, zap.NewNop())
	apply(t, d, ClusterDefault, map[string]string{"log.retention.ms": "100000000", "message.max.bytes": "2000000", "follower.replication.throttled.rate": "7",
		"no.such.default": "x", "background.threads": "12"})
	apply(t, d, PerBroker, map[string]string{"message.max.bytes": "3000000", "log.flush.interval.ms": "5", "leader.replication.throttled.rate": "8", "no.such": "1",
		"log.cleanup.policy": "delete", "listener.name.inter.max.connections": "400"})
	compare(t, "dynamic-broker", d.DescribeBroker(nil))
	compare(t, "dynamic-default", d.DescribeClusterDefault(nil))
	compare(t, "dynamic-topic", d.DescribeTopic(map[string]string{"retention.bytes": " 5 ", "cleanup.policy": "delete"}, nil))
	apply(t, d, ClusterDefault, map[string]string{"log.retention.ms": "100000000", "log.cleaner.min.compaction.lag.ms": "9223372036854775807", "message.max.bytes": "2000000"})
	apply(t, d, PerBroker, map[string]string{"message.max.bytes": "3000000", "log.cleaner.min.compaction.lag.ms": "9223372036854775807", "log.flush.interval.ms": "5", "log.cleanup.policy": "delete"})
	compare(t, "odd-topic", d.DescribeTopic(map[string]string{"retention.bytes": " 5 ", "cleanup.policy": "", "leader.replication.throttled.replicas": " * ",
		"min.cleanable.dirty.ratio": "NaN", "segment.bytes": " 20 ", "preallocate": "TRUE"}, nil))
}

func compare(t *testing.T, kind string, entries []Entry) {
	t.Helper()
	f, err := os.Open("testdata/describe-" + kind + ".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var want []golden
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var g golden
		if err := json.Unmarshal(lines.Bytes(), &g); err != nil {
			t.Fatal(err)
		}
		want = append(want, g)
	}
	if len(entries) != len(want) {
		t.Errorf("%s: %d entries, want %d", kind, len(entries), len(want))
	}
	for i := 0; i < min(len(entries), len(want)); i++ {
		for _, w := range wanted {
			if w.kind == kind && w.name == want[i].Name {
				w.change(&want[i])
			}
		}
		if g, w := text(asGolden(entries[i])), text(want[i]); g != w {
			t.Errorf("%s\ngot  %s\nwant %s", kind, g, w)
		}
		if _, own := lookupOwn(entries[i].Name); own && entries[i].Documentation == "" {
			t.Errorf("%s has no documentation", entries[i].Name)
		}
	}
}

func lookupOwn(name string) (Key, bool) {
	if k, ok := topicTable().lookup(name); ok {
		return k, ok
	}
	return brokerTable().lookup(name)
}

func asGolden(e Entry) golden {
	g := golden{Name: e.Name, Value: e.Value, Source: e.Source, Type: e.Type, ReadOnly: e.ReadOnly, Sensitive: e.Sensitive}
	for _, y := range e.Synonyms {
		var v any
		if y.Value != nil {
			v = *y.Value
		}
		g.Synonyms = append(g.Synonyms, [3]any{y.Name, v, float64(y.Source)})
	}
	return g
}

func text(g golden) string {
	b, _ := json.Marshal(g)
	return string(b)
}

// line is how kafka-configs prints an entry.
func line(e Entry) string {
	show := func(v *string) string {
		if v == nil {
			return "null"
		}
		return *v
	}
	names := map[Source]string{1: "DYNAMIC_TOPIC_CONFIG", 2: "DYNAMIC_BROKER_CONFIG", 3: "DYNAMIC_DEFAULT_BROKER_CONFIG", 4: "STATIC_BROKER_CONFIG", 5: "DEFAULT_CONFIG", 6: "DYNAMIC_BROKER_LOGGER_CONFIG"}
	var ys []string
	for _, y := range e.Synonyms {
		ys = append(ys, names[y.Source]+":"+y.Name+"="+show(y.Value))
	}
	return fmt.Sprintf("%s=%s sensitive=%t synonyms={%s}", e.Name, show(e.Value), e.Sensitive, strings.Join(ys, ", "))
}

// The lines are those kafka-configs printed for Apache Kafka 3.9.1.
func TestDescribeDynamic(t *testing.T) {
	d := dynamic(t, nil)
	apply(t, d, PerBroker, map[string]string{"log.cleaner.threads": "2"})
	apply(t, d, ClusterDefault, map[string]string{"background.threads": "12", "log.retention.ms": "604800000", "message.max.bytes": "2000000"})

	expect(t, d.DescribeBroker([]string{"log.cleaner.threads"}),
		"log.cleaner.threads=2 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:log.cleaner.threads=2, DEFAULT_CONFIG:log.cleaner.threads=1}")
	expect(t, d.DescribeClusterDefault(nil),
		"background.threads=12 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:background.threads=12}",
		"log.retention.ms=604800000 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=604800000}",
		"message.max.bytes=2000000 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:message.max.bytes=2000000}")
	expect(t, d.DescribeTopic(map[string]string{"max.message.bytes": "1000"}, []string{"max.message.bytes", "retention.ms"}),
		"max.message.bytes=1000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:max.message.bytes=1000, DYNAMIC_DEFAULT_BROKER_CONFIG:message.max.bytes=2000000, DEFAULT_CONFIG:message.max.bytes=1048588}",
		"retention.ms=604800000 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=604800000, DEFAULT_CONFIG:log.retention.hours=168}")
	expect(t, dynamic(t, nil).DescribeTopic(map[string]string{"cleanup.policy": "compact,delete", "min.insync.replicas": "2", "retention.ms": "86400000"},
		[]string{"cleanup.policy", "min.insync.replicas", "retention.ms"}),
		"cleanup.policy=compact,delete sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, DEFAULT_CONFIG:log.cleanup.policy=delete}",
		"min.insync.replicas=2 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:min.insync.replicas=2, DEFAULT_CONFIG:min.insync.replicas=1}",
		"retention.ms=86400000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=86400000}")
	expect(t, DescribeLoggers(map[string]string{"root": "INFO", "kraal": "DEBUG"}, []string{"root", "kafka"}),
		"root=INFO sensitive=false synonyms={}")
}

// What ZooKeeper has and nobody knows is shown, without its value: it may be a secret.
func TestDescribeUnknown(t *testing.T) {
	d := dynamic(t, map[string]string{"my.plugin": "x", "unstable.api.versions.enable": "true"})
	apply(t, d, PerBroker, map[string]string{"no.such": "1", "leader.replication.throttled.rate": "5"})
	expect(t, d.DescribeBroker([]string{"no.such", "my.plugin", "unstable.api.versions.enable", "leader.replication.throttled.rate", "log.initial.task.delay.ms"}),
		"leader.replication.throttled.rate=5 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:leader.replication.throttled.rate=5}",
		"my.plugin=null sensitive=true synonyms={STATIC_BROKER_CONFIG:my.plugin=null}",
		"no.such=null sensitive=true synonyms={DYNAMIC_BROKER_CONFIG:no.such=null}",
		"unstable.api.versions.enable=true sensitive=false synonyms={STATIC_BROKER_CONFIG:unstable.api.versions.enable=true, DEFAULT_CONFIG:unstable.api.versions.enable=false}")
	expect(t, d.DescribeTopic(map[string]string{"no.such": "1"}, []string{"no.such"}),
		"no.such=null sensitive=true synonyms={DYNAMIC_TOPIC_CONFIG:no.such=null}")
}

func expect(t *testing.T, entries []Entry, want ...string) {
	t.Helper()
	var got []string
	for _, e := range entries {
		got = append(got, line(e))
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\ngot  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// dynamic starts a broker's configuration from the least a file must hold and what else is given.
func dynamic(t *testing.T, more map[string]string) *Dynamic {
	t.Helper()
	s, _, err := FromMap(with(more))
	if err != nil {
		t.Fatal(err)
	}
	return NewDynamic(s, zap.NewNop())
}

func with(more map[string]string) map[string]string {
	props := map[string]string{"zookeeper.connect": "localhost:2181", "broker.id": "1"}
	for k, v := range more {
		props[k] = v
	}
	return props
}

func apply(t *testing.T, d *Dynamic, level Level, stored map[string]string) {
	t.Helper()
	if err := d.Apply(level, stored); err != nil {
		t.Fatal(err)
	}
}
