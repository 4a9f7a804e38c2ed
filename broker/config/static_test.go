package config

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func load(t *testing.T, more map[string]string) *Static {
	t.Helper()
	s, _, err := FromMap(with(more))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDefaults(t *testing.T) {
	c := load(t, nil)
	if got, want := c.Listeners, []Listener{{"PLAINTEXT", "PLAINTEXT", "", 9092}}; !reflect.DeepEqual(got, want) || !reflect.DeepEqual(c.Advertised, want) {
		t.Errorf("listeners %v, advertised %v", got, c.Advertised)
	}
	if c.InterBrokerListener != "PLAINTEXT" || c.ControlPlaneListener != "" {
		t.Errorf("inter-broker %q, control plane %q", c.InterBrokerListener, c.ControlPlaneListener)
	}
	if c.Broker.ID != 1 || c.Broker.InterBrokerProtocol != V3_9_IV0 || c.Broker.RequestTimeout != 30*time.Second {
		t.Errorf("%+v", c.Broker)
	}
	if c.ZooKeeper.SessionTimeout != 18*time.Second || c.ZooKeeper.ConnectionTimeout != 18*time.Second {
		t.Errorf("%+v", c.ZooKeeper)
	}
	if !reflect.DeepEqual(c.Log.Dirs, []string{"/tmp/kafka-logs"}) || c.Replica.AlterLogDirsThreads != 1 || c.Log.FlushSchedulerInterval != math.MaxInt64 {
		t.Errorf("%+v %+v", c.Log, c.Replica)
	}
	if c.Quota.Client != (QuotaWindow{11, time.Second}) || c.Quota.LeaderReplicationThrottledRate != math.MaxInt64 {
		t.Errorf("%+v", c.Quota)
	}
	if c.Offsets.Retention != 7*24*time.Hour || c.Offsets.TopicReplicationFactor != 3 || c.Controller.LeaderImbalanceCheckInterval != 5*time.Minute {
		t.Errorf("%+v", c.Offsets)
	}
	want := TopicConfig{
		CleanupDelete: true, CompressionType: "producer", CompressionGzipLevel: -1, CompressionLz4Level: 9, CompressionZstdLevel: 3,
		DeleteRetentionMs: 86400000, FileDeleteDelayMs: 60000, FlushMessages: math.MaxInt64, FlushMs: math.MaxInt64, IndexIntervalBytes: 4096,
		MaxCompactionLagMs: math.MaxInt64, MaxMessageBytes: 1048588, MessageDownconversionEnable: true, MessageFormatVersion: "3.0-IV1",
		MessageTimestampAfterMaxMs: math.MaxInt64, MessageTimestampBeforeMaxMs: math.MaxInt64, MessageTimestampType: "CreateTime",
		MinCleanableDirtyRatio: 0.5, MinInsyncReplicas: 1, RetentionBytes: -1, RetentionMs: 604800000,
		SegmentBytes: 1 << 30, SegmentIndexBytes: 10 << 20, SegmentMs: 604800000,
	}
	if !reflect.DeepEqual(c.Defaults, want) {
		t.Errorf("\ngot  %+v\nwant %+v", c.Defaults, want)
	}
}

// Within the file the stronger name of a setting wins (configs.md of the Kafka documentation: "If not set, the value in").
func TestSynonyms(t *testing.T) {
	for _, c := range []struct {
		props map[string]string
		get   func(*Static) any
		want  any
	}{
		{map[string]string{"log.retention.hours": "1"}, func(s *Static) any { return s.Defaults.RetentionMs }, int64(3600000)},
		{map[string]string{"log.retention.hours": "1", "log.retention.minutes": "1"}, func(s *Static) any { return s.Defaults.RetentionMs }, int64(60000)},
		{map[string]string{"log.retention.minutes": "1", "log.retention.ms": "7"}, func(s *Static) any { return s.Defaults.RetentionMs }, int64(7)},
		{map[string]string{"log.retention.hours": "-5"}, func(s *Static) any { return s.Defaults.RetentionMs }, int64(-1)},
		{map[string]string{"log.retention.hours": "2147483647"}, func(s *Static) any { return s.Defaults.RetentionMs }, int64(2147483647) * 3600000},
		{map[string]string{"log.roll.hours": "2"}, func(s *Static) any { return s.Defaults.SegmentMs }, int64(7200000)},
		{map[string]string{"log.roll.hours": "2", "log.roll.ms": "5"}, func(s *Static) any { return s.Defaults.SegmentMs }, int64(5)},
		{map[string]string{"log.roll.jitter.hours": "1"}, func(s *Static) any { return s.Defaults.SegmentJitterMs }, int64(3600000)},
		{map[string]string{"log.flush.scheduler.interval.ms": "9"}, func(s *Static) any { return s.Defaults.FlushMs }, int64(9)},
		{map[string]string{"log.flush.scheduler.interval.ms": "9", "log.flush.interval.ms": "8"}, func(s *Static) any { return s.Defaults.FlushMs }, int64(8)},
		{map[string]string{"log.dir": "/a", "log.dirs": " /b , /c "}, func(s *Static) any { return s.Log.Dirs }, []string{"/b", "/c"}},
		{map[string]string{"log.dir": "/a"}, func(s *Static) any { return s.Log.Dirs }, []string{"/a"}},
		{map[string]string{"log.dirs": "/b,/c"}, func(s *Static) any { return s.Replica.AlterLogDirsThreads }, int32(2)},
		{map[string]string{"broker.id": "4", "node.id": "4"}, func(s *Static) any { return s.Broker.ID }, int32(4)},
		{map[string]string{"zookeeper.connection.timeout.ms": "5"}, func(s *Static) any { return s.ZooKeeper.ConnectionTimeout }, 5 * time.Millisecond},
		{map[string]string{"delegation.token.master.key": "old"}, func(s *Static) any { return s.Tokens.SecretKey }, "old"},
		{map[string]string{"delegation.token.master.key": "old", "delegation.token.secret.key": "new"}, func(s *Static) any { return s.Tokens.SecretKey }, "new"},
		{map[string]string{"log.message.timestamp.difference.max.ms": "5"}, func(s *Static) any { return s.Defaults.MessageTimestampAfterMaxMs }, int64(5)},
		{map[string]string{"log.message.timestamp.difference.max.ms": "5", "log.message.timestamp.before.max.ms": "6"}, func(s *Static) any { return s.Defaults.MessageTimestampBeforeMaxMs }, int64(6)},
		{map[string]string{"super.users": "User:a;; User:b "}, func(s *Static) any { return s.Auth.SuperUsers }, []string{"User:a", "User:b"}},
		{map[string]string{"allow.everyone.if.no.acl.found": "TRUE"}, func(s *Static) any { return s.Auth.AllowEveryoneIfNoACLFound }, true},
		{map[string]string{"authorizer.zookeeper.url": "acls:1/x"}, func(s *Static) any { return s.Auth.ZooKeeper.Connect }, "acls:1/x"},
		{map[string]string{"authorizer.zookeeper.session.timeout.ms": "7"}, func(s *Static) any { return s.Auth.ZooKeeper.SessionTimeout }, 7 * time.Millisecond},
		{map[string]string{"max.connections.per.ip.overrides": "a.b:1,::1:2"}, func(s *Static) any { return s.Socket.MaxConnectionsPerIPOverrides }, map[string]int32{"a.b": 1, "::1": 2}},
		{map[string]string{"replica.lag.time.max.ms": "9223372036854775807"}, func(s *Static) any { return s.Replica.LagTimeMax }, time.Duration(math.MaxInt64)},
		{map[string]string{"leader.replication.throttled.rate": "5"}, func(s *Static) any { return s.Quota.LeaderReplicationThrottledRate }, int64(math.MaxInt64)},
	} {
		if got := c.get(load(t, c.props)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: %v, want %v", c.props, got, c.want)
		}
	}
}

// Every rule about several keys (KafkaConfig.validateValues), with the key it blames; "" is a set that passes.
func TestRules(t *testing.T) {
	sasl := map[string]string{"security.inter.broker.protocol": "SASL_PLAINTEXT", "listeners": "SASL_PLAINTEXT://:1"}
	and := func(m map[string]string, kv ...string) map[string]string {
		out := map[string]string{}
		for k, v := range m {
			out[k] = v
		}
		for i := 0; i < len(kv); i += 2 {
			out[kv[i]] = kv[i+1]
		}
		return out
	}
	kv := func(kv ...string) map[string]string { return and(nil, kv...) }
	for _, c := range []struct {
		props map[string]string
		key   string
	}{
		{kv(), ""},
		{kv("node.id", "2"), "node.id"},
		{kv("process.roles", "broker"), "process.roles"},
		{kv("zookeeper.metadata.migration.enable", "true"), "zookeeper.metadata.migration.enable"},
		{kv("controller.listener.names", "C"), "controller.listener.names"},
		{kv("zookeeper.connect", ""), "zookeeper.connect"},
		{kv("broker.id", "1001"), "broker.id"},
		{kv("broker.id", "-2"), "broker.id"},
		{kv("broker.id", "-1"), ""},
		{kv("broker.id", "1001", "broker.id.generation.enable", "false"), ""},
		{kv("broker.id", "-1", "broker.id.generation.enable", "false"), "broker.id"},
		{kv("log.roll.ms", "0"), "log.roll.ms"},
		{kv("log.roll.jitter.ms", "-1"), "log.roll.jitter.ms"},
		{kv("log.retention.ms", "0"), "log.retention.ms"},
		{kv("log.retention.hours", "0"), "log.retention.hours"},
		{kv("log.retention.minutes", "0"), "log.retention.minutes"},
		{kv("log.dirs", " , "), "log.dirs"},
		{kv("log.dirs", "/a,/b,/a"), "log.dirs"},
		{kv("log.cleaner.threads", "0"), "log.cleaner.dedupe.buffer.size"},
		{kv("log.cleaner.dedupe.buffer.size", "1048577"), ""},
		{kv("log.cleaner.dedupe.buffer.size", "1048576"), "log.cleaner.dedupe.buffer.size"},
		{kv("log.cleaner.dedupe.buffer.size", "2097153", "log.cleaner.threads", "2"), "log.cleaner.dedupe.buffer.size"},
		{kv("log.cleaner.min.compaction.lag.ms", "2", "log.cleaner.max.compaction.lag.ms", "1"), "log.cleaner.min.compaction.lag.ms"},
		{kv("replica.fetch.wait.max.ms", "30001", "replica.lag.time.max.ms", "40000"), "replica.fetch.wait.max.ms"},
		{kv("replica.lag.time.max.ms", "499"), "replica.fetch.wait.max.ms"},
		{kv("replica.lag.time.max.ms", "500"), ""},
		{kv("listeners", ""), "listeners"},
		{kv("listeners", "PLAINTEXT"), "listeners"},
		{kv("listeners", "PLAINTEXT://h:1x"), "listeners"},
		{kv("listeners", "PLAINTEXT://h:65536"), "listeners"},
		{kv("listeners", "PLAINTEXT://h:-1"), "listeners"},
		{kv("listeners", "INTERNAL://:1"), "listeners"},
		{kv("listeners", "PLAINTEXT://:1,plaintext://:2"), "listeners"},
		{kv("listeners", "PLAINTEXT://:1,SSL://:1"), "listeners"},
		{kv("listeners", "PLAINTEXT://:0,SSL://:0"), ""},
		{kv("listeners", "PLAINTEXT://127.0.0.1:1,SSL://[::1]:1"), ""},
		{kv("listeners", "PLAINTEXT://127.0.0.1:1,SSL://127.0.0.2:1"), "listeners"},
		{kv("listeners", "PLAINTEXT://127.0.0.1:1,SSL://[::1]:1,SASL_SSL://:1"), "listeners"},
		{kv("advertised.listeners", "PLAINTEXT://a:1"), ""},
		{kv("listeners", "PLAINTEXT://:1,SSL://:2", "advertised.listeners", "PLAINTEXT://a:1,SSL://a:1"), ""},
		{kv("advertised.listeners", ""), "advertised.listeners"},
		{kv("advertised.listeners", "PLAINTEXT://0.0.0.0:1"), "advertised.listeners"},
		{kv("listeners", "PLAINTEXT://0.0.0.0:1"), "advertised.listeners"},
		{kv("advertised.listeners", "PLAINTEXT://a:1,SSL://a:2"), "advertised.listeners"},
		{kv("listeners", "PLAINTEXT://:1,SSL://:2", "advertised.listeners", "SSL://a:2"), "inter.broker.listener.name"},
		{kv("inter.broker.listener.name", "SSL"), "inter.broker.listener.name"},
		{kv("inter.broker.listener.name", "NOPE"), "inter.broker.listener.name"},
		{kv("inter.broker.listener.name", "plaintext"), ""},
		{kv("inter.broker.listener.name", "PLAINTEXT", "security.inter.broker.protocol", "PLAINTEXT"), "inter.broker.listener.name"},
		{kv("listener.security.protocol.map", "PLAINTEXT"), "listener.security.protocol.map"},
		{kv("listener.security.protocol.map", "PLAINTEXT:TLS"), "listener.security.protocol.map"},
		{kv("listener.security.protocol.map", "plaintext:plaintext"), ""},
		{kv("control.plane.listener.name", "PLAINTEXT"), "control.plane.listener.name"},
		{kv("control.plane.listener.name", "SSL"), "control.plane.listener.name"},
		{kv("control.plane.listener.name", "NOPE"), "control.plane.listener.name"},
		{kv("control.plane.listener.name", "SSL", "listeners", "PLAINTEXT://:1,SSL://:2"), ""},
		{and(sasl), ""},
		{and(sasl, "sasl.enabled.mechanisms", "PLAIN"), "sasl.mechanism.inter.broker.protocol"},
		{and(sasl, "listener.name.sasl_plaintext.sasl.enabled.mechanisms", "PLAIN"), "sasl.mechanism.inter.broker.protocol"},
		{and(sasl, "sasl.enabled.mechanisms", "PLAIN", "sasl.mechanism.inter.broker.protocol", "PLAIN"), ""},
		{and(sasl, "sasl.enabled.mechanisms", "PLAIN", "sasl.mechanism.inter.broker.protocol", "PLAIN", "inter.broker.protocol.version", "0.9.0", "log.message.format.version", "0.9.0"), "sasl.mechanism.inter.broker.protocol"},
		{kv("queued.max.request.bytes", "104857599"), "queued.max.request.bytes"},
		{kv("queued.max.request.bytes", "104857600"), ""},
		{kv("queued.max.request.bytes", "0"), ""},
		{kv("max.connections.per.ip", "0"), "max.connections.per.ip"},
		{kv("max.connections.per.ip", "0", "max.connections.per.ip.overrides", "h:1"), ""},
		{kv("max.connections.per.ip.overrides", "h"), "max.connections.per.ip.overrides"},
		{kv("max.connections.per.ip.overrides", "h:x"), "max.connections.per.ip.overrides"},
		{kv("max.connections.per.ip.overrides", "h@:1"), "max.connections.per.ip.overrides"},
		{kv("connection.failed.authentication.delay.ms", "600000"), "connection.failed.authentication.delay.ms"},
		{kv("connections.max.idle.ms", "-1"), ""},
		{kv("connections.max.idle.ms", "100"), "connection.failed.authentication.delay.ms"},
		{kv("offsets.commit.required.acks", "-2"), "offsets.commit.required.acks"},
		{kv("offsets.commit.required.acks", "4"), "offsets.commit.required.acks"},
		{kv("offsets.topic.compression.codec", "5"), "offsets.topic.compression.codec"},
		{kv("group.coordinator.rebalance.protocols", "consumer"), "group.coordinator.rebalance.protocols"},
		{kv("group.coordinator.rebalance.protocols", "classic,consumer"), "group.coordinator.rebalance.protocols"},
		{kv("log.message.format.version", "2.0", "inter.broker.protocol.version", "0.10.2"), "log.message.format.version"},
		{kv("log.message.format.version", "0.10.0", "inter.broker.protocol.version", "0.10.2"), ""},
		{kv("log.message.format.version", "0.8.0"), ""},
	} {
		_, _, err := FromMap(with(c.props))
		var le *LoadError
		switch {
		case c.key == "" && err != nil:
			t.Errorf("%v: %v", c.props, err)
		case c.key == "":
		case !errors.As(err, &le) || len(le.Problems) != 1 || le.Problems[0].Key != c.key:
			t.Errorf("%v: %v, want one problem with %s", c.props, err, c.key)
		}
	}
}

// A value that does not fit its key is refused with key, value and reason; secrets are not shown; everything wrong is
// said at once.
func TestBadValues(t *testing.T) {
	_, _, err := FromMap(map[string]string{
		"num.partitions": "0", "log.segment.bytes": "abc", "delete.topic.enable": "yes", "compression.type": "rar",
		"log.cleanup.policy": "delete,shred", "inter.broker.protocol.version": "9.9", "compression.gzip.level": "0",
		"offsets.topic.replication.factor": "40000", "log.retention.ms": "99999999999999999999", "ssl.client.auth": "maybe",
		"listener.name.plaintext.max.connections": "many", "log.cleaner.min.cleanable.ratio": "1.5", "authorizer.zookeeper.session.timeout.ms": "x",
	})
	want := []string{
		"authorizer.zookeeper.session.timeout.ms=x: Not a number of type INT",
		"compression.gzip.level=0: Value must be between 1 and 9 or equal to -1",
		"compression.type=rar: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer",
		"delete.topic.enable=yes: Expected value to be either true or false",
		"inter.broker.protocol.version=9.9: Version 9.9 is not a valid version",
		"listener.name.plaintext.max.connections=many: Not a number of type INT",
		"log.cleaner.min.cleanable.ratio=1.5: Value must be no more than 1",
		"log.cleanup.policy=shred: String must be one of: compact, delete",
		"log.retention.ms=99999999999999999999: Not a number of type LONG",
		"log.segment.bytes=abc: Not a number of type INT",
		"num.partitions=0: Value must be at least 1",
		"offsets.topic.replication.factor=40000: Not a number of type SHORT",
		"ssl.client.auth=maybe: String must be one of: required, requested, none",
		"zookeeper.connect=: is required and has no default",
	}
	var le *LoadError
	if !errors.As(err, &le) {
		t.Fatal(err)
	}
	var got []string
	for _, p := range le.Problems {
		got = append(got, p.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("\ngot  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	if !strings.HasPrefix(le.Error(), "configuration: 14 problems\n  authorizer") {
		t.Error(le.Error())
	}
}

func TestWarnings(t *testing.T) {
	_, ws, err := FromMap(with(map[string]string{
		"no.such": "1", "zookeeper.conect": "z", "metric.reporters": "com.example.R", "auto.include.jmx.reporter": "TRUE", "log.message.format.version": "2.0",
		"offsets.commit.required.acks": "-1", "listener.name.nope.ssl.keystore.type": "PEM", "listener.name.sasl_ssl.no.such": "1",
		"listeners": "PLAINTEXT://:1,SASL_SSL://:2", "ssl.client.auth": "required", "authorizer.class.name": "com.example.A",
		"super.users": "User:x", "authorizer.zookeeper.url": "z", "authorizer.zookeeper.nope": "z", "leader.replication.throttled.rate": "1",
		"inter.broker.protocol.version": "4.0-IV1", "group.share.max.size": "100", "listener.name.PLAINTEXT.max.connections": "1",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"authorizer.class.name: the class com.example.A is not built in",
		"authorizer.zookeeper.nope: unknown key, ignored",
		"group.share.max.size: has no effect here: Share groups: largest group",
		"inter.broker.protocol.version: is not meant for production",
		"leader.replication.throttled.rate: is read from ZooKeeper only, ignored in the file",
		"listener.name.PLAINTEXT.max.connections: listener names are lower case in keys, ignored",
		"listener.name.nope.ssl.keystore.type: there is no listener NOPE",
		"listener.name.sasl_ssl.no.such: unknown key, ignored",
		"log.message.format.version: deprecated and ignored: records are always written in format v2",
		"metric.reporters: has no effect here: Java plug-ins that report metrics",
		"no.such: unknown key, ignored",
		"offsets.commit.required.acks: deprecated",
		"ssl.client.auth: is not applied to the SASL_SSL listener SASL_SSL; set listener.name.sasl_ssl.ssl.client.auth to mean it",
		"zookeeper.conect: unknown key, ignored: did you mean zookeeper.connect?",
	}
	var got []string
	for _, w := range ws {
		got = append(got, w.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("\ngot  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"log.dir", "log.dir", 0}, {"log.dir", "log.dirs", 1}, {"lgo.dir", "log.dir", 2}, {"", "abc", 3}, {"abc", "", 3},
		{"broker.id", "brokr.ix", 2}, {"kitten", "sitting", 3}, {"completely", "different", 5}, {"short", "much longer than that", 5}} {
		if got := distance(c.a, c.b, 5); got != c.want {
			t.Errorf("%q and %q differ by %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestListenerPrefix(t *testing.T) {
	c := load(t, map[string]string{
		"listeners":                      "EXTERNAL://h:1,internal://[2001:db8::1]:2,WEB://:3",
		"listener.security.protocol.map": "External:SASL_SSL, INTERNAL:plaintext,WEB:SSL",
		"inter.broker.listener.name":     "Internal",
		"num.network.threads":            "5", "ssl.client.auth": "required", "ssl.keystore.location": "/base", "connections.max.reauth.ms": "9",
		"listener.name.external.num.network.threads":             "7",
		"listener.name.external.ssl.keystore.location":           "/own",
		"listener.name.external.sasl.enabled.mechanisms":         "PLAIN, SCRAM-SHA-256",
		"listener.name.external.plain.sasl.jaas.config":          "p",
		"listener.name.external.scram-sha-256.sasl.jaas.config":  "s",
		"listener.name.external.plain.connections.max.reauth.ms": "11",
	})
	want := []Listener{{"EXTERNAL", "SASL_SSL", "h", 1}, {"INTERNAL", "PLAINTEXT", "2001:db8::1", 2}, {"WEB", "SSL", "", 3}}
	if !reflect.DeepEqual(c.Listeners, want) || c.InterBrokerListener != "INTERNAL" {
		t.Errorf("%v %s", c.Listeners, c.InterBrokerListener)
	}
	e, i, w := c.Listener("EXTERNAL"), c.Listener("INTERNAL"), c.Listener("WEB")
	if e.NumNetworkThreads != 7 || i.NumNetworkThreads != 5 || e.SSL.KeystoreLocation != "/own" || w.SSL.KeystoreLocation != "/base" {
		t.Errorf("%+v\n%+v", e, i)
	}
	if e.SSL.ClientAuth != "none" || w.SSL.ClientAuth != "required" {
		t.Errorf("client auth %s on SASL_SSL, %s on SSL", e.SSL.ClientAuth, w.SSL.ClientAuth)
	}
	if !reflect.DeepEqual(e.SASL.EnabledMechanisms, []string{"PLAIN", "SCRAM-SHA-256"}) ||
		!reflect.DeepEqual(e.SASL.JAAS, map[string]string{"PLAIN": "p", "SCRAM-SHA-256": "s"}) ||
		!reflect.DeepEqual(e.SASL.ConnectionsMaxReauth, map[string]time.Duration{"": 9 * time.Millisecond, "PLAIN": 11 * time.Millisecond}) {
		t.Errorf("%+v", e.SASL)
	}
	if l, ok := c.AdvertisedEndpoint("WEB"); !ok || l.Port != 3 {
		t.Error(l, ok)
	}
	if got := c.Listener("NOPE"); got.NumNetworkThreads != 5 {
		t.Errorf("%+v", got)
	}
}
