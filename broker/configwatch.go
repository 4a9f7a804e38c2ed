package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"net/netip"
	"sync"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/broker/transport"
	"github.com/kraal-mq/kraal/quota"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// topicConfigs keeps the overrides of all topics and what they resolve to. Safe for concurrent use.
type topicConfigs struct {
	dynamic   *config.Dynamic
	throttles *throttles // told of what topics say about them
	log       *zap.Logger

	mu struct {
		sync.Mutex
		overrides map[string]map[string]string  // by topic; topics without overrides are absent
		resolved  map[string]*storage.LogConfig // by topic, made on demand, shared by its logs
		plain     *storage.LogConfig            // of every topic without overrides; nil until asked for
	}
}

func newTopicConfigs(d *config.Dynamic, throttles *throttles, log *zap.Logger) *topicConfigs {
	t := &topicConfigs{dynamic: d, throttles: throttles, log: log}
	t.mu.overrides = make(map[string]map[string]string)
	t.mu.resolved = make(map[string]*storage.LogConfig)
	return t
}

// load reads the overrides of every topic, in place of all it had.
func (t *topicConfigs) load(ctx context.Context, z *zkstore.Store) error {
	entities, err := z.ConfigEntities(ctx, meta.TopicEntity)
	if err != nil {
		return fmt.Errorf("list the topic configurations: %w", err)
	}
	configs, broken, err := z.Configs(ctx, entities)
	if err != nil {
		return fmt.Errorf("read the topic configurations: %w", err)
	}
	for e, err := range broken {
		t.log.Error("a topic's configuration cannot be read; the topic has the broker's defaults", zap.String("topic", e.Name), zap.Error(err))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for topic, overrides := range t.mu.overrides {
		if c := configs[meta.Entity{Type: meta.TopicEntity, Name: topic}]; namesThrottled(overrides) && !namesThrottled(c) {
			t.throttleLocked(topic, c)
		}
	}
	clear(t.mu.overrides)
	for e, c := range configs {
		if len(c) > 0 {
			t.mu.overrides[e.Name] = c
			if namesThrottled(c) {
				t.throttleLocked(e.Name, c)
			}
		}
	}
	clear(t.mu.resolved)
	t.mu.plain = nil
	return nil
}

// set replaces one topic's overrides.
func (t *topicConfigs) set(topic string, overrides map[string]string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.mu.resolved, topic)
	if namesThrottled(overrides) || namesThrottled(t.mu.overrides[topic]) {
		t.throttleLocked(topic, overrides)
	}
	if len(overrides) == 0 {
		delete(t.mu.overrides, topic)
		return
	}
	t.mu.overrides[topic] = overrides
}

// throttleLocked tells the throttles of a topic; mu is held.
func (t *topicConfigs) throttleLocked(topic string, overrides map[string]string) {
	c, _ := t.dynamic.Current().Topic(overrides) // what is unusable is logged when the logs' part is resolved
	t.throttles.setTopic(topic, &c)
}

// defaultsChanged forgets what was resolved with the broker's old defaults.
func (t *topicConfigs) defaultsChanged() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.mu.resolved)
	t.mu.plain = nil
}

// TopicOverrides implements api.TopicConfigs.
func (t *topicConfigs) TopicOverrides(topic string) map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mu.overrides[topic]
}

// differ reports whether a topic's overrides are others than those.
func (t *topicConfigs) differ(topic string, overrides map[string]string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !maps.Equal(t.mu.overrides[topic], overrides)
}

// logConfig is what storage goes by for a topic's logs.
func (t *topicConfigs) logConfig(topic string) *storage.LogConfig {
	t.mu.Lock()
	defer t.mu.Unlock()
	overrides, some := t.mu.overrides[topic]
	if !some {
		if t.mu.plain == nil {
			t.mu.plain = t.resolve(topic, nil)
		}
		return t.mu.plain
	}
	c := t.mu.resolved[topic]
	if c == nil {
		c = t.resolve(topic, overrides)
		t.mu.resolved[topic] = c
	}
	return c
}

func (t *topicConfigs) resolve(topic string, overrides map[string]string) *storage.LogConfig {
	c, err := t.dynamic.Current().Topic(overrides)
	if err != nil {
		t.log.Error("part of a topic's configuration is unusable and ignored", zap.String("topic", topic), zap.Error(err))
	}
	return logConfig(&c)
}

// logConfig puts a topic's configuration into storage's words.
func logConfig(c *config.TopicConfig) *storage.LogConfig {
	return &storage.LogConfig{
		SegmentBytes: c.SegmentBytes, SegmentMs: c.SegmentMs, SegmentJitterMs: c.SegmentJitterMs, MaxIndexBytes: c.SegmentIndexBytes,
		IndexIntervalBytes: c.IndexIntervalBytes, Preallocate: c.Preallocate, FlushMessages: c.FlushMessages, FlushMs: c.FlushMs,
		RetentionMs: c.RetentionMs, RetentionBytes: c.RetentionBytes, FileDeleteDelayMs: c.FileDeleteDelayMs,
		Delete: c.CleanupDelete, Compact: c.CleanupCompact, MinCleanableDirtyRatio: c.MinCleanableDirtyRatio,
		MinCompactionLagMs: c.MinCompactionLagMs, MaxCompactionLagMs: c.MaxCompactionLagMs, DeleteRetentionMs: c.DeleteRetentionMs,
		MaxMessageBytes: c.MaxMessageBytes, MinInSyncReplicas: c.MinInsyncReplicas, UncleanLeaderElection: c.UncleanLeaderElectionEnable,
		LogAppendTime: c.MessageTimestampType == "LogAppendTime", TimestampBeforeMaxMs: c.MessageTimestampBeforeMaxMs,
		TimestampAfterMaxMs: c.MessageTimestampAfterMaxMs, CompressionType: c.CompressionType, GzipLevel: c.CompressionGzipLevel,
		Lz4Level: c.CompressionLz4Level, ZstdLevel: c.CompressionZstdLevel, MessageDownConversion: c.MessageDownconversionEnable,
	}
}

func cleanerConfig(c *config.Config) storage.CleanerConfig {
	return storage.CleanerConfig{Enable: c.Cleaner.Enable, Threads: int(c.Cleaner.Threads), DedupeBufferBytes: c.Cleaner.DedupeBufferSize,
		LoadFactor: c.Cleaner.IOBufferLoadFactor, IOBufferBytes: c.Cleaner.IOBufferSize, IOMaxBytesPerSec: c.Cleaner.IOMaxBytesPerSecond,
		Backoff: c.Cleaner.Backoff}
}

// applyBrokerConfigs reads and applies both levels of dynamic broker configuration.
func (b *Broker) applyBrokerConfigs(ctx context.Context, z *zkstore.Store) error {
	return errors.Join(
		b.applyBrokerConfig(ctx, z, config.ClusterDefault, meta.Entity{Type: meta.BrokerEntity, Name: meta.DefaultEntity}),
		b.applyBrokerConfig(ctx, z, config.PerBroker, b.brokerEntity()))
}

func (b *Broker) applyBrokerConfig(ctx context.Context, z *zkstore.Store, level config.Level, e meta.Entity) error {
	stored, err := z.Config(ctx, e)
	if err != nil && !errors.Is(err, zkstore.ErrNoNode) {
		return fmt.Errorf("read the configuration %s: %w", e, err)
	}
	if err := b.dynamic.Apply(level, stored); err != nil {
		b.log.Error("a change of the broker's configuration cannot be applied; the old one stays in force", zap.Stringer("entity", e), zap.Error(err))
	}
	return b.life.readvertise(ctx, z)
}

// configChanged is called for each change notice.
func (b *Broker) configChanged(ctx context.Context, z *zkstore.Store, e meta.Entity) error {
	switch {
	case e.Type == meta.TopicEntity:
		overrides, err := z.Config(ctx, e)
		if err != nil && !errors.Is(err, zkstore.ErrNoNode) {
			return err
		}
		old := b.topics.logConfig(e.Name)
		if b.topics.differ(e.Name, overrides) { // a notice may be from before this broker's start
			b.log.Info("topic configuration changed", zap.String("topic", e.Name), zap.Any("overrides", overrides))
		}
		b.topics.set(e.Name, overrides)
		b.topicChanged(e.Name, old)
	case e.Type == meta.BrokerEntity && e.Name == meta.DefaultEntity:
		return b.applyBrokerConfig(ctx, z, config.ClusterDefault, e)
	case e == b.brokerEntity():
		return b.applyBrokerConfig(ctx, z, config.PerBroker, e)
	}
	return nil
}

func (b *Broker) topicChanged(topic string, old *storage.LogConfig) {
	c := b.topics.logConfig(topic)
	b.logs.UpdateTopicConfig(topic, c)
	if c.UncleanLeaderElection && !old.UncleanLeaderElection {
		b.ctl.UncleanElectionEnabled(topic)
	}
}

// topicLearner is the topics' configuration as requests see it. It implements [api.TopicConfigs].
type topicLearner struct {
	*topicConfigs
	b *Broker
}

// LearnTopics reads the overrides of topics that are new to this broker: nothing announces those a topic is made with.
//
// If ZooKeeper does not answer for so long that ctx ends, the session has ended too, and all overrides are read again in the next.
func (l topicLearner) LearnTopics(ctx context.Context, topics []string) {
	entities := make([]meta.Entity, len(topics))
	for i, t := range topics {
		entities[i] = meta.Entity{Type: meta.TopicEntity, Name: t}
	}
	configs, broken, err := l.b.life.store().Configs(ctx, entities)
	if err != nil {
		l.log.Error("the configuration of new topics could not be read; they have the broker's defaults for now", zap.Strings("topics", topics), zap.Error(err))
		return
	}
	for e, err := range broken {
		l.log.Error("a topic's configuration cannot be read; the topic has the broker's defaults", zap.String("topic", e.Name), zap.Error(err))
	}
	for _, topic := range topics {
		if overrides := configs[meta.Entity{Type: meta.TopicEntity, Name: topic}]; l.differ(topic, overrides) {
			l.set(topic, overrides)
			l.b.logs.UpdateTopicConfig(topic, l.logConfig(topic))
		}
	}
}

// reloadTopics reads all overrides again, after a time without a session in which notices may have been missed.
func (b *Broker) reloadTopics(ctx context.Context, z *zkstore.Store) error {
	if err := b.topics.load(ctx, z); err != nil {
		return err
	}
	b.logs.Reconfigure()
	return nil
}

// topicDefaults are the broker keys that topics without overrides go by.
var topicDefaults = []string{"log.segment.bytes", "log.roll.ms", "log.roll.hours", "log.roll.jitter.ms", "log.roll.jitter.hours",
	"log.index.size.max.bytes", "log.flush.interval.messages", "log.flush.interval.ms", "log.retention.bytes", "log.retention.ms",
	"log.retention.minutes", "log.retention.hours", "log.index.interval.bytes", "log.cleaner.delete.retention.ms",
	"log.cleaner.min.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms", "log.cleaner.min.cleanable.ratio", "log.cleanup.policy",
	"log.segment.delete.delay.ms", "unclean.leader.election.enable", "min.insync.replicas", "message.max.bytes", "compression.type",
	"compression.gzip.level", "compression.lz4.level", "compression.zstd.level", "log.preallocate", "log.message.timestamp.type",
	"log.message.timestamp.difference.max.ms", "log.message.timestamp.before.max.ms", "log.message.timestamp.after.max.ms",
	"log.message.downconversion.enable"}

// The keys of other parts that follow changes.
var (
	cleanerKeys = []string{"log.cleaner.threads", "log.cleaner.dedupe.buffer.size", "log.cleaner.io.buffer.load.factor", "log.cleaner.io.buffer.size",
		"log.cleaner.io.max.bytes.per.second", "log.cleaner.backoff.ms"}
	tuningKeys     = []string{"log.segment.delete.delay.ms", "producer.id.expiration.ms", "transaction.partition.verification.enable"}
	listenerKeys   = []string{"listeners", "listener.security.protocol.map"}
	fetcherKeys    = []string{"num.replica.fetchers"}
	connectionKeys = []string{"max.connections", "max.connections.per.ip", "max.connections.per.ip.overrides", "max.connection.creation.rate"}
)

// subscribe lets the parts follow changes of the broker's own configuration.
func (b *Broker) subscribe() {
	on := func(name string, keys []string, apply func(old, new *config.Config)) {
		b.dynamic.Subscribe(config.Subscription{Name: name, Keys: keys, Apply: apply})
	}
	on("logs", topicDefaults, func(old, new *config.Config) {
		b.topics.defaultsChanged()
		b.logs.Reconfigure()
		if new.Defaults.UncleanLeaderElectionEnable && !old.Defaults.UncleanLeaderElectionEnable {
			b.ctl.UncleanElectionEnabled("")
		}
	})
	on("cleaner", cleanerKeys, func(_, new *config.Config) { b.logs.ReconfigureCleaner(cleanerConfig(new)) })
	on("storage", tuningKeys, func(_, new *config.Config) { b.logs.Tune(storageTuning(new)) })
	on("fetchers", fetcherKeys, func(_, new *config.Config) { b.hosts.SetFetchers(int(new.Replica.Fetchers)) })
	on("connections", connectionKeys, func(_, new *config.Config) { b.limitConnections(new) })
	b.dynamic.Subscribe(config.Subscription{Name: "listeners", Keys: listenerKeys, Validate: b.checkListeners, Apply: b.listenersChanged})
}

func storageTuning(c *config.Config) storage.Tuning {
	return storage.Tuning{DirDeleteDelay: c.Log.SegmentDeleteDelay, ProducerIDExpiration: c.Log.ProducerIDExpiration,
		VerifyTransactions: c.Txn.PartitionVerificationEnable}
}

func (b *Broker) limitConnections(cfg *config.Config) {
	b.server.SetLimits(b.limits(cfg))
	b.rates.SetLimits(connectionRates(cfg))
}

// connectionRates are the limits on how fast connections may come.
func connectionRates(cfg *config.Config) quota.ConnectionLimits {
	l := quota.ConnectionLimits{Broker: rate(cfg.Socket.MaxConnectionCreationRate), PerListener: make(map[string]float64)}
	for _, listener := range cfg.Listeners {
		l.PerListener[listener.Name] = rate(cfg.Listener(listener.Name).MaxConnectionCreationRate)
	}
	if len(cfg.Listeners) > 1 {
		l.Protected = cfg.InterBrokerListener
	}
	return l
}

// rate is a configured rate, 0 for none.
func rate(configured int32) float64 {
	if configured == math.MaxInt32 {
		return 0
	}
	return float64(configured)
}

// limits are the caps on connections.
func (b *Broker) limits(cfg *config.Config) transport.Limits {
	l := transport.Limits{MaxConnections: int(cfg.Socket.MaxConnections), MaxPerIP: int(cfg.Socket.MaxConnectionsPerIP),
		NoneByDefault: cfg.Socket.MaxConnectionsPerIP == 0, MaxListenerConnections: make(map[string]int), MaxPerIPOver: make(map[netip.Addr]int)}
	for _, listener := range cfg.Listeners {
		l.MaxListenerConnections[listener.Name] = int(cfg.Listener(listener.Name).MaxConnections)
	}
	for host, n := range cfg.Socket.MaxConnectionsPerIPOverrides {
		addrs, err := net.LookupHost(host)
		if err != nil {
			b.log.Error("max.connections.per.ip.overrides names a host that cannot be resolved", zap.String("host", host), zap.Error(err))
		}
		for _, a := range addrs {
			if addr, err := netip.ParseAddr(a); err == nil {
				l.MaxPerIPOver[addr.Unmap()] = int(n)
			}
		}
	}
	return l
}
