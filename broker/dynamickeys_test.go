package broker

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/config"
)

// view is what one part of the broker sees of a configuration.
type view struct {
	keys []string // that its subscription names
	of   func(d *config.Dynamic) any
}

var views = map[string]view{
	"topics": {topicDefaults, func(d *config.Dynamic) any {
		return *newTopicConfigs(d, newThrottles(1, d.Current()), zap.NewNop()).logConfig("t")
	}},
	"cleaner":     {cleanerKeys, func(d *config.Dynamic) any { return cleanerConfig(d.Current()) }},
	"storage":     {tuningKeys, func(d *config.Dynamic) any { return storageTuning(d.Current()) }},
	"fetchers":    {fetcherKeys, func(d *config.Dynamic) any { return replicaConfig(d.Current()).Fetchers }},
	"connections": {connectionKeys, connectionView},
	"listeners":   {listenerKeys, func(d *config.Dynamic) any { return transportListeners(d.Current()) }},
	"advertised":  {[]string{"advertised.listeners"}, func(d *config.Dynamic) any { return d.Current().Advertised }}, // read anew after every change
	"throttles":   {throttleRates, func(d *config.Dynamic) any { return d.Current().Quota }},
}

func connectionView(d *config.Dynamic) any {
	b := &Broker{log: zap.NewNop()}
	return []any{b.limits(d.Current()), connectionRates(d.Current())}
}

// dynamicKeys are the settings of a running broker that its parts follow, with a value that is not the default.
var dynamicKeys = []struct {
	key, value string
	views      []string
}{
	{"log.segment.bytes", "1000000", []string{"topics"}},
	{"log.roll.ms", "70000", []string{"topics"}},
	{"log.roll.jitter.ms", "5000", []string{"topics"}},
	{"log.index.size.max.bytes", "4096", []string{"topics"}},
	{"log.index.interval.bytes", "128", []string{"topics"}},
	{"log.preallocate", "true", []string{"topics"}},
	{"log.retention.bytes", "90000", []string{"topics"}},
	{"log.retention.ms", "60000", []string{"topics"}},
	{"log.cleanup.policy", "compact", []string{"topics"}},
	{"log.segment.delete.delay.ms", "7", []string{"topics", "storage"}},
	{"log.flush.interval.messages", "10", []string{"topics"}},
	{"log.flush.interval.ms", "1000", []string{"topics"}},
	{"log.cleaner.min.cleanable.ratio", "0.1", []string{"topics"}},
	{"log.cleaner.delete.retention.ms", "5", []string{"topics"}},
	{"log.cleaner.min.compaction.lag.ms", "5", []string{"topics"}},
	{"log.cleaner.max.compaction.lag.ms", "50000", []string{"topics"}},
	{"log.message.timestamp.type", "LogAppendTime", []string{"topics"}},
	{"log.message.timestamp.before.max.ms", "5000", []string{"topics"}},
	{"log.message.timestamp.after.max.ms", "5000", []string{"topics"}},
	{"log.message.timestamp.difference.max.ms", "5000", []string{"topics"}},
	{"log.message.downconversion.enable", "false", []string{"topics"}},
	{"message.max.bytes", "1000", []string{"topics"}},
	{"compression.type", "lz4", []string{"topics"}},
	{"compression.gzip.level", "9", []string{"topics"}},
	{"compression.lz4.level", "3", []string{"topics"}},
	{"compression.zstd.level", "9", []string{"topics"}},
	{"min.insync.replicas", "2", []string{"topics"}},
	{"unclean.leader.election.enable", "true", []string{"topics"}},
	{"log.cleaner.threads", "2", []string{"cleaner"}},
	{"log.cleaner.dedupe.buffer.size", "4000000", []string{"cleaner"}},
	{"log.cleaner.io.buffer.size", "100000", []string{"cleaner"}},
	{"log.cleaner.io.buffer.load.factor", "0.5", []string{"cleaner"}},
	{"log.cleaner.io.max.bytes.per.second", "1e6", []string{"cleaner"}},
	{"log.cleaner.backoff.ms", "100", []string{"cleaner"}},
	{"producer.id.expiration.ms", "1000", []string{"storage"}},
	{"transaction.partition.verification.enable", "false", []string{"storage"}},
	{"num.replica.fetchers", "2", []string{"fetchers"}},
	{"max.connections", "10", []string{"connections"}},
	{"max.connections.per.ip", "10", []string{"connections"}},
	{"max.connections.per.ip.overrides", "127.0.0.1:3", []string{"connections"}},
	{"max.connection.creation.rate", "10", []string{"connections"}},
	{"listeners", "PLAINTEXT://:9092,SSL://:9093", []string{"listeners"}},
	{"listener.security.protocol.map", "PLAINTEXT:SASL_PLAINTEXT", []string{"listeners"}},
	{"advertised.listeners", "PLAINTEXT://elsewhere:9092", []string{"advertised"}},
	{"leader.replication.throttled.rate", "1000", []string{"throttles"}},
	{"follower.replication.throttled.rate", "1000", []string{"throttles"}},
	{"replica.alter.log.dirs.io.max.bytes.per.second", "1000", []string{"throttles"}},
}

// withoutMeaning are dynamic keys that nothing has to follow: sizes of pools there are none of here (the one for recovery is of
// use at start only), and what config marks as without effect.
var withoutMeaning = []string{"num.network.threads", "num.io.threads", "background.threads", "num.recovery.threads.per.data.dir"}

// TestDynamicKeysAreFollowed: a change of any dynamic setting changes what some part sees, and that part is told of it.
func TestDynamicKeysAreFollowed(t *testing.T) {
	for _, k := range dynamicKeys {
		static, _, err := config.FromMap(map[string]string{"zookeeper.connect": "localhost"})
		if err != nil {
			t.Fatal(err)
		}
		d := config.NewDynamic(static, zap.NewNop())
		before := map[string]any{}
		for _, name := range k.views {
			before[name] = views[name].of(d)
			if !slices.Contains(views[name].keys, k.key) {
				t.Errorf("%s: %s does not follow it", k.key, name)
			}
		}
		if err := d.Apply(config.PerBroker, map[string]string{k.key: k.value}); err != nil {
			t.Errorf("%s=%s: %v", k.key, k.value, err)
		}
		for _, name := range k.views {
			if reflect.DeepEqual(before[name], views[name].of(d)) {
				t.Errorf("%s=%s makes no difference to %s", k.key, k.value, name)
			}
		}
	}
}

// TestDynamicKeysAreAllKnown: every key of Kafka's that can change while a broker runs is either followed, or has a reason.
func TestDynamicKeysAreAllKnown(t *testing.T) {
	for _, k := range config.BrokerKeys() {
		followed := slices.ContainsFunc(dynamicKeys, func(f struct {
			key, value string
			views      []string
		}) bool {
			return f.key == k.Name
		})
		security := strings.HasPrefix(k.Name, "ssl.") || strings.HasPrefix(k.Name, "sasl.") || k.Name == "principal.builder.class" // of new listeners
		if k.Scope != config.ReadOnly && k.Status != config.NoEffect && !followed && !security && !slices.Contains(withoutMeaning, k.Name) {
			t.Errorf("nobody follows %s", k.Name)
		}
	}
}
