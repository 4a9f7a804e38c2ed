package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// rule is a condition on several keys (KafkaConfig.validateValues). The first key is the one to blame.
type rule struct {
	keys  []string
	check func(c *Config) string // what is wrong, or ""
}

// rules are checked at start and before every dynamic change.
func rules() []rule {
	return []rule{
		{[]string{"node.id", "broker.id"}, func(c *Config) string {
			return unless(c.values["node.id"] == c.values["broker.id"], "must be the same as broker.id")
		}},
		{[]string{"process.roles"}, func(c *Config) string {
			return unless(len(c.list("process.roles")) == 0, "must be empty: this broker runs beside ZooKeeper")
		}},
		{[]string{"zookeeper.metadata.migration.enable"}, func(c *Config) string {
			return unless(c.values["zookeeper.metadata.migration.enable"] != true, "migration to KRaft is not supported")
		}},
		{[]string{"controller.listener.names"}, func(c *Config) string {
			return unless(c.text("controller.listener.names") == "", "must be empty when not running in KRaft mode")
		}},
		{[]string{"zookeeper.connect"}, func(c *Config) string {
			return unless(c.ZooKeeper.Connect != "", "is required and has no default")
		}},
		{[]string{"broker.id", "broker.id.generation.enable", "reserved.broker.max.id"}, brokerID},
		{[]string{"log.roll.ms", "log.roll.hours"}, func(c *Config) string {
			return unless(c.Defaults.SegmentMs >= 1, "must be greater than or equal to 1")
		}},
		{[]string{"log.roll.jitter.ms", "log.roll.jitter.hours"}, func(c *Config) string {
			return unless(c.Defaults.SegmentJitterMs >= 0, "must be greater than or equal to 0")
		}},
		{[]string{"log.retention.ms", "log.retention.minutes", "log.retention.hours"}, func(c *Config) string {
			return unless(c.Defaults.RetentionMs >= 1 || c.Defaults.RetentionMs == -1, "must be unlimited (-1) or, greater than or equal to 1")
		}},
		{[]string{"log.dirs", "log.dir"}, logDirs},
		{[]string{"log.cleaner.dedupe.buffer.size", "log.cleaner.threads"}, func(c *Config) string {
			const reason = "must be at least 1MB per cleaner thread, of which there must be one"
			return unless(c.Cleaner.Threads > 0 && c.Cleaner.DedupeBufferSize/int64(c.Cleaner.Threads) > 1<<20, reason)
		}},
		{[]string{"log.cleaner.min.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"}, func(c *Config) string {
			return unless(c.Defaults.MinCompactionLagMs <= c.Defaults.MaxCompactionLagMs, "must not be above log.cleaner.max.compaction.lag.ms")
		}},
		{[]string{"replica.fetch.wait.max.ms", "replica.socket.timeout.ms"}, func(c *Config) string {
			return unless(c.Replica.FetchWaitMax <= c.Replica.SocketTimeout, "must not be above replica.socket.timeout.ms, to prevent unnecessary socket timeouts")
		}},
		{[]string{"replica.fetch.wait.max.ms", "replica.lag.time.max.ms"}, func(c *Config) string {
			return unless(c.Replica.FetchWaitMax <= c.Replica.LagTimeMax, "must not be above replica.lag.time.max.ms, to prevent frequent changes in ISR")
		}},
		{[]string{"listeners", protocolMapKey}, func(c *Config) string {
			return unless(len(c.Listeners) > 0, "there must be at least one listener")
		}},
		{[]string{"advertised.listeners", "listeners", protocolMapKey}, advertised},
		{[]string{"inter.broker.listener.name", "security.inter.broker.protocol"}, func(c *Config) string {
			_, both := c.props["security.inter.broker.protocol"]
			return unless(c.values["inter.broker.listener.name"] == nil || !both, "Only one of inter.broker.listener.name and security.inter.broker.protocol should be set")
		}},
		{[]string{"inter.broker.listener.name", "security.inter.broker.protocol", "advertised.listeners", "listeners", protocolMapKey}, func(c *Config) string {
			return unless(slices.Contains(c.advertisedNames(), c.InterBrokerListener), fmt.Sprintf(
				"the inter-broker listener is %s, which must be among the advertised ones: %s", c.InterBrokerListener, strings.Join(c.advertisedNames(), ",")))
		}},
		{[]string{"control.plane.listener.name", "inter.broker.listener.name", "advertised.listeners", "listeners", protocolMapKey}, controlPlane},
		{[]string{"sasl.mechanism.inter.broker.protocol", "listeners", protocolMapKey}, interBrokerSASL},
		{[]string{"queued.max.request.bytes", "socket.request.max.bytes"}, func(c *Config) string {
			n := c.Socket.QueuedMaxRequestBytes
			return unless(n <= 0 || n >= int64(c.Socket.RequestMaxBytes), "must be larger or equal to socket.request.max.bytes")
		}},
		{[]string{"max.connections.per.ip", "max.connections.per.ip.overrides"}, func(c *Config) string {
			return unless(c.Socket.MaxConnectionsPerIP > 0 || len(c.Socket.MaxConnectionsPerIPOverrides) > 0,
				"can be set to zero only if max.connections.per.ip.overrides property is set")
		}},
		{[]string{"max.connections.per.ip.overrides"}, func(c *Config) string {
			for host := range c.Socket.MaxConnectionsPerIPOverrides {
				if !hostPattern.MatchString(host) {
					return "contains invalid addresses: " + host
				}
			}
			return ""
		}},
		{[]string{"connection.failed.authentication.delay.ms", "connections.max.idle.ms"}, func(c *Config) string {
			s := c.Socket
			return unless(s.ConnectionsMaxIdle < 0 || s.FailedAuthenticationDelay < s.ConnectionsMaxIdle,
				"should always be less than connections.max.idle.ms, to prevent failed authentication responses from timing out")
		}},
		{[]string{"offsets.commit.required.acks", "offsets.topic.replication.factor"}, func(c *Config) string {
			o := c.Offsets
			return unless(o.CommitRequiredAcks >= -1 && o.CommitRequiredAcks <= o.TopicReplicationFactor,
				"must be greater or equal -1 and less or equal to offsets.topic.replication.factor")
		}},
		{[]string{"offsets.topic.compression.codec"}, func(c *Config) string {
			n := c.Offsets.TopicCompressionCodec
			return unless(n >= 0 && n <= 4, "Unknown compression type id")
		}},
		{[]string{"group.coordinator.rebalance.protocols"}, rebalanceProtocols},
		{[]string{"log.message.format.version", "inter.broker.protocol.version"}, messageFormat},
	}
}

// hostPattern is what a host name or address looks like (Utils.validHostPattern).
var hostPattern = regexp.MustCompile(`^([0-9a-zA-Z\-%._:]*)$`)

func unless(ok bool, reason string) string {
	if ok {
		return ""
	}
	return reason
}

// check applies the rules, leaving out those about keys that are already known to be bad.
func (b *builder) check() {
	for _, r := range rules() {
		if slices.ContainsFunc(r.keys, func(k string) bool { return b.bad[k] }) {
			continue
		}
		if reason := r.check(b.c); reason != "" {
			b.refuse(blame(b.c, r.keys), reason)
		}
	}
}

// blame picks the key to show: the first one that is set, for the operator looks for it in the file.
func blame(c *Config, keys []string) string {
	if _, ok := c.props[keys[0]]; ok || synonyms(keys[0])[0] != keys[0] {
		return keys[0]
	}
	for _, k := range synonyms(keys[0]) {
		if _, ok := c.props[k]; ok && slices.Contains(keys, k) {
			return k
		}
	}
	return keys[0]
}

func (c *Config) text(key string) string {
	s, _ := c.values[key].(string)
	return s
}

func (c *Config) list(key string) []string {
	l, _ := c.values[key].([]string)
	return l
}

func brokerID(c *Config) string {
	id := c.Broker.ID
	if c.Broker.IDGenerationEnable {
		return unless(id >= -1 && id <= c.Broker.ReservedMaxID, fmt.Sprintf(
			"must be greater than or equal to -1 and not greater than reserved.broker.max.id (%d)", c.Broker.ReservedMaxID))
	}
	return unless(id >= 0, "must be greater than or equal to 0, because broker.id.generation.enable is false")
}

func logDirs(c *Config) string {
	if len(c.Log.Dirs) == 0 {
		return "At least one log directory must be defined via log.dirs or log.dir"
	}
	seen := map[string]bool{}
	for _, dir := range c.Log.Dirs {
		if seen[dir] {
			return dir + " is there twice"
		}
		seen[dir] = true
	}
	return ""
}

func advertised(c *Config) string {
	if len(c.Advertised) == 0 {
		return "There must be at least one broker advertised listener"
	}
	for _, l := range c.Advertised {
		if _, ok := c.Endpoint(l.Name); !ok {
			return "listener names must be equal to or a subset of the ones defined in listeners; not so " + l.Name
		}
		if l.Host == "0.0.0.0" {
			return "cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address"
		}
	}
	return ""
}

func controlPlane(c *Config) string {
	switch name := c.ControlPlaneListener; {
	case name == "":
		return ""
	case !slices.Contains(c.advertisedNames(), name):
		return "must be a listener name defined in advertised.listeners: " + strings.Join(c.advertisedNames(), ",")
	case name == c.InterBrokerListener:
		return "should have a different value from the inter broker listener name"
	}
	return ""
}

func interBrokerSASL(c *Config) string {
	l, _ := c.AdvertisedEndpoint(c.InterBrokerListener)
	if !strings.HasPrefix(l.Protocol, "SASL_") {
		return ""
	}
	mechanism := c.text("sasl.mechanism.inter.broker.protocol")
	if c.Broker.InterBrokerProtocol < V0_10_0_IV1 && mechanism != "GSSAPI" {
		return "only GSSAPI can be used between brokers at this inter.broker.protocol.version"
	}
	return unless(slices.Contains(c.Listener(l.Name).SASL.EnabledMechanisms, mechanism),
		"must be included in sasl.enabled.mechanisms when SASL is used for inter-broker communication")
}

func rebalanceProtocols(c *Config) string {
	protocols := c.list("group.coordinator.rebalance.protocols")
	switch {
	case !slices.Contains(protocols, "classic"):
		return "Disabling the 'classic' protocol is not supported"
	case slices.Contains(protocols, "consumer"):
		return "The new 'consumer' rebalance protocol is only supported in KRaft cluster"
	}
	return ""
}

// messageFormat: older brokers must be able to read what this one writes. From 3.0 on the setting is ignored.
func messageFormat(c *Config) string {
	if c.Broker.InterBrokerProtocol >= V3_0_IV1 {
		return ""
	}
	v, _ := ParseVersion(c.Log.MessageFormatVersion)
	return unless(v.recordVersion() <= c.Broker.InterBrokerProtocol.recordVersion(),
		"can only be used when inter.broker.protocol.version is at least as high")
}
