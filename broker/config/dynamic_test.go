package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestOverlay(t *testing.T) {
	d := dynamic(t, map[string]string{"log.retention.hours": "24", "message.max.bytes": "10", "num.io.threads": "4"})
	before := d.Current()
	apply(t, d, ClusterDefault, map[string]string{"log.retention.ms": "5", "message.max.bytes": "20", "leader.replication.throttled.rate": "1"})
	apply(t, d, PerBroker, map[string]string{"message.max.bytes": "30", "follower.replication.throttled.rate": "2", "num.io.threads": "64"})
	c := d.Current()
	if c.Defaults.RetentionMs != 5 || c.Defaults.MaxMessageBytes != 30 || c.Quota.LeaderReplicationThrottledRate != 1 || c.Quota.FollowerReplicationThrottledRate != 2 || c.Threads.IO != 64 {
		t.Errorf("%+v %+v", c.Defaults, c.Quota)
	}
	if before.Defaults.MaxMessageBytes != 10 || before.Defaults.RetentionMs != 24*3600*1000 {
		t.Errorf("what was handed out changed: %+v", before.Defaults)
	}
	apply(t, d, PerBroker, nil)
	if got := d.Current().Defaults.MaxMessageBytes; got != 20 {
		t.Error(got)
	}
	apply(t, d, ClusterDefault, nil)
	if got := d.Current(); !reflect.DeepEqual(got.Defaults, before.Defaults) || got.Quota != before.Quota {
		t.Errorf("%+v", got)
	}
}

// What may not be stored, or cannot be read, is skipped and logged, and the rest applies.
func TestApplyForgiving(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	s := load(t, map[string]string{"password.encoder.secret": "x"})
	d := NewDynamic(s, zap.New(core))
	if err := d.Apply(ClusterDefault, map[string]string{
		"message.max.bytes": "20", "log.retention.ms": "abc", "broker.rack": "r", "listeners": "PLAINTEXT://:1", "ssl.keystore.type": "PEM",
		"listener.name.plaintext.ssl.keystore.type": "PEM", "listener.name.plaintext.max.connections": "7", "my.plugin": "1",
	}); err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(PerBroker, map[string]string{"listener.name.plaintext.ssl.key.password": "garbage", "background.threads": "0", "log.cleaner.threads": "2"}); err != nil {
		t.Fatal(err)
	}
	var skipped []string
	for _, e := range logs.All() {
		skipped = append(skipped, e.ContextMap()["key"].(string))
	}
	want := []string{"broker.rack", "listener.name.plaintext.ssl.keystore.type", "listeners", "log.retention.ms", "ssl.keystore.type", "background.threads", "listener.name.plaintext.ssl.key.password"}
	if !slices.Equal(skipped, want) {
		t.Errorf("skipped %v, want %v", skipped, want)
	}
	c := d.Current()
	if c.Defaults.MaxMessageBytes != 20 || c.Cleaner.Threads != 2 || c.Listener("PLAINTEXT").MaxConnections != 7 {
		t.Errorf("%+v", c)
	}
	// A combination is all or nothing.
	if err := d.Apply(ClusterDefault, map[string]string{"message.max.bytes": "30", "log.cleaner.dedupe.buffer.size": "1"}); err == nil {
		t.Error("an impossible combination applies")
	}
	if got := d.Current().Defaults.MaxMessageBytes; got != 20 {
		t.Error(got)
	}
	expect(t, d.DescribeClusterDefault([]string{"message.max.bytes"}), "message.max.bytes=20 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:message.max.bytes=20}")
}

func TestSubscriptions(t *testing.T) {
	d := dynamic(t, nil)
	var events []string
	sub := func(name string, keys ...string) func() {
		return d.Subscribe(Subscription{Name: name, Keys: keys,
			Validate: func(old, new *Config) error {
				if new.Defaults.MaxMessageBytes == 13 {
					return errors.New("13 is unlucky")
				}
				events = append(events, name+" validates")
				return nil
			},
			Apply: func(old, new *Config) {
				if d.Current() != new {
					t.Error("told before it holds")
				}
				events = append(events, fmt.Sprintf("%s %d>%d", name, old.Defaults.MaxMessageBytes, new.Defaults.MaxMessageBytes))
			}})
	}
	cancel := sub("logs", "message.max.bytes", "log.retention.hours")
	sub("net", "max.connections")
	take := func(want ...string) {
		t.Helper()
		if !slices.Equal(events, want) {
			t.Errorf("%q, want %q", events, want)
		}
		events = nil
	}
	apply(t, d, ClusterDefault, map[string]string{"message.max.bytes": "5"})
	take("logs validates", "logs 1048588>5")
	apply(t, d, ClusterDefault, map[string]string{"message.max.bytes": "5"})
	take()
	apply(t, d, PerBroker, map[string]string{"listener.name.plaintext.max.connections": "7"})
	take("net validates", "net 5>5")
	apply(t, d, PerBroker, nil)
	take("net validates", "net 5>5")
	apply(t, d, PerBroker, map[string]string{"log.retention.ms": "7"}) // a synonym of log.retention.hours
	take("logs validates", "logs 5>5")
	if err := d.Apply(ClusterDefault, map[string]string{"message.max.bytes": "13"}); err == nil || !strings.Contains(err.Error(), "logs: 13 is unlucky") {
		t.Error(err)
	}
	take()
	if err := d.Validate(ClusterDefault, map[string]string{"message.max.bytes": "13"}); !errors.Is(err, ErrInvalidRequest) || err.Error() != "Invalid dynamic configuration: 13 is unlucky" {
		t.Error(err)
	}
	if got := d.Current().Defaults.MaxMessageBytes; got != 5 {
		t.Error(got)
	}
	cancel()
	apply(t, d, ClusterDefault, nil)
	take()
}

// What must not be stored (DynamicBrokerConfig.validate and the validators of the components).
func TestValidate(t *testing.T) {
	d := dynamic(t, map[string]string{
		"listeners": "PLAINTEXT://:9092,SSL://:9093", "num.io.threads": "8", "num.network.threads": "4", "log.cleaner.threads": "4",
		"listener.name.ssl.ssl.client.auth": "none", "listener.name.ssl.ssl.keystore.location": "/a",
		"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SSL:SSL,OTHER:PLAINTEXT",
	})
	const dyn = "Invalid dynamic configuration: "
	for _, c := range []struct {
		level Level
		props map[string]string
		want  string
	}{
		{PerBroker, map[string]string{"log.cleaner.threads": "2", "num.io.threads": "16", "no.such": "1", "listener.name.ssl.max.connections": "5"}, ""},
		{PerBroker, map[string]string{"broker.rack": "r", "broker.id": "5"}, "Cannot update these configs dynamically: Set(broker.id, broker.rack)"},
		{PerBroker, map[string]string{"ssl.keystore.type": "PEM"}, "These security configs can be dynamically updated only per-listener using the listener prefix: HashSet(ssl.keystore.type)"},
		{PerBroker, map[string]string{"log.retention.ms": "abc"}, "Invalid value abc for configuration log.retention.ms: Not a number of type LONG"},
		{PerBroker, map[string]string{"listener.name.ssl.max.connections": "x"}, "Invalid value x for configuration max.connections: Not a number of type INT"},
		{PerBroker, map[string]string{"leader.replication.throttled.rate": "-1"}, "Invalid value -1 for configuration leader.replication.throttled.rate: Value must be at least 0"},
		{ClusterDefault, map[string]string{"listeners": "PLAINTEXT://:1"}, "Cannot update these configs at default cluster level, broker id must be specified: Set(listeners)"},
		{ClusterDefault, map[string]string{"listener.name.ssl.ssl.keystore.type": "PEM"}, "Cannot update these configs at default cluster level, broker id must be specified: Set(listener.name.ssl.ssl.keystore.type)"},
		{ClusterDefault, map[string]string{"listener.name.ssl.num.network.threads": "5"}, ""},
		{PerBroker, map[string]string{"log.retention.ms": "0"}, "Invalid value 0 for configuration log.retention.ms: must be unlimited (-1) or, greater than or equal to 1"},
		{PerBroker, map[string]string{"log.cleaner.threads": "0"}, "Invalid value 134217728 for configuration log.cleaner.dedupe.buffer.size: must be at least 1MB per cleaner thread, of which there must be one"},
		{PerBroker, map[string]string{"log.cleaner.threads": "9"}, dyn + "Log cleaner threads cannot be increased to more than double the current value 4"},
		{PerBroker, map[string]string{"log.cleaner.threads": "1"}, dyn + "Log cleaner threads cannot be reduced to less than half the current value 4"},
		{PerBroker, map[string]string{"num.io.threads": "17"}, dyn + "Dynamic thread count update validation failed for num.io.threads=17, value should not be greater than double the current value 8"},
		{PerBroker, map[string]string{"num.io.threads": "3"}, dyn + "Dynamic thread count update validation failed for num.io.threads=3, value should be at least half the current value 8"},
		{PerBroker, map[string]string{"num.replica.fetchers": "0"}, dyn + "Dynamic thread count update validation failed for num.replica.fetchers=0, value should be at least 1"},
		{PerBroker, map[string]string{"listener.name.ssl.num.network.threads": "9"}, dyn + "Dynamic thread count update validation failed for num.network.threads=9, value should not be greater than double the current value 4"},
		{PerBroker, map[string]string{"max.connections": "0"}, dyn + "Invalid max.connections 0"},
		{PerBroker, map[string]string{"listener.name.ssl.max.connection.creation.rate": "0"}, dyn + "Invalid max.connection.creation.rate 0"},
		{PerBroker, map[string]string{"listener.name.ssl.ssl.client.auth": "required"}, ""},
		{PerBroker, map[string]string{"listener.name.ssl.ssl.client.auth": "required", "advertised.listeners": "PLAINTEXT://h:1"}, dyn + "Configs cannot be updated dynamically for existing listener SSL, restart broker or create a new listener for update"},
		{PerBroker, map[string]string{"listener.name.ssl.ssl.keystore.location": "/b"}, ""},
		{PerBroker, map[string]string{"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SSL:PLAINTEXT"}, dyn + "Security protocol cannot be updated for existing listener SSL"},
		{PerBroker, map[string]string{"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT"}, "Invalid value PLAINTEXT://:9092,SSL://:9093 for configuration listeners: No security protocol defined for listener SSL"},
		{PerBroker, map[string]string{"listeners": "PLAINTEXT://:9092,SSL://:9093,OTHER://:1", "listener.name.other.ssl.client.auth": "required"}, ""},
		{PerBroker, map[string]string{"listeners": "SSL://:9093"}, "Invalid value  for configuration inter.broker.listener.name: the inter-broker listener is PLAINTEXT, which must be among the advertised ones: SSL"},
		{PerBroker, map[string]string{"advertised.listeners": "PLAINTEXT://:1,OTHER://:2"}, "Invalid value PLAINTEXT://:1,OTHER://:2 for configuration advertised.listeners: listener names must be equal to or a subset of the ones defined in listeners; not so OTHER"},
	} {
		err := d.Validate(c.level, c.props)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%v: %v", c.props, err)
		case c.want != "" && (err == nil || err.Error() != c.want || !errors.Is(err, ErrInvalidRequest)):
			t.Errorf("%v:\ngot  %v\nwant %s", c.props, err, c.want)
		}
	}
	// A cluster default is judged as this broker would see it, under its own overrides.
	apply(t, d, PerBroker, map[string]string{"num.io.threads": "8"})
	if err := d.Validate(ClusterDefault, map[string]string{"num.io.threads": "100"}); err != nil {
		t.Error(err)
	}
}

func TestPasswordsInZooKeeper(t *testing.T) {
	const key = "listener.name.plaintext.ssl.key.password"
	d := dynamic(t, map[string]string{"password.encoder.secret": "s1", "password.encoder.iterations": "1024"})
	stored, err := d.AlterBroker(PerBroker, nil, []Op{{Name: key, Value: ptr("geheim")}, {Name: "background.threads", Value: ptr("11")}})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(stored[key], "geheim") || !strings.Contains(stored[key], "encryptedPassword:") || stored["background.threads"] != "11" {
		t.Errorf("%q", stored)
	}
	apply(t, d, PerBroker, stored)
	if got := d.Current().Listener("PLAINTEXT").SSL.KeyPassword; got != "geheim" {
		t.Errorf("%q", got)
	}
	for _, e := range d.DescribeBroker([]string{key}) {
		if e.Value != nil || !e.Sensitive || e.Synonyms[0].Value != nil {
			t.Errorf("%+v", e)
		}
	}
	// A second alteration keeps it.
	if again, err := d.AlterBroker(PerBroker, stored, []Op{{Name: "background.threads", Type: OpDelete}}); err != nil || d.FromStored(PerBroker, again)[key] != "geheim" {
		t.Error(again, err)
	}

	// A change of the secret: the old one is used once, to encrypt anew.
	d = dynamic(t, map[string]string{"password.encoder.secret": "s2", "password.encoder.old.secret": "s1", "password.encoder.iterations": "1024"})
	renewed, changed, err := d.Reencode(stored)
	if err != nil || !changed || d.FromStored(PerBroker, renewed)[key] != "geheim" || d.FromStored(PerBroker, stored)[key] != "" {
		t.Error(renewed, changed, err)
	}
	if _, changed, err = d.Reencode(renewed); changed || err != nil {
		t.Error("encrypted anew what was already", err)
	}

	d = dynamic(t, nil)
	_, err = d.AlterBroker(PerBroker, nil, []Op{{Name: key, Value: ptr("geheim")}})
	if !errors.Is(err, ErrInvalidConfig) || err.Error() != "Invalid config value for resource ConfigResource(type=BROKER, name='1'): Password encoder secret not configured" {
		t.Error(err)
	}
	if _, changed, err := d.Reencode(stored); changed || err != nil {
		t.Error(changed, err)
	}
	if _, err := d.ToStored(ClusterDefault, map[string]string{key: "x"}); !errors.Is(err, ErrInvalidConfig) {
		t.Error(err)
	}
}

// Readers and writers may meet; run with -race.
func TestConcurrentUse(t *testing.T) {
	d := dynamic(t, nil)
	d.Subscribe(Subscription{Name: "s", Keys: []string{"message.max.bytes"}, Apply: func(_, c *Config) { d.DescribeBroker(nil) }})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 20 {
				apply(t, d, Level(i%2), map[string]string{"message.max.bytes": fmt.Sprint(100*i + j)})
				d.DescribeTopic(nil, nil)
				if err := d.Validate(PerBroker, map[string]string{"message.max.bytes": "1"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func ptr(s string) *string { return &s }
