package broker

import (
	"time"

	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/quota"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// throttles hold the copying of replicas to rates, which follow the broker's configuration. Whose copying is throttled between
// brokers is a matter of the topics' (KIP-73).
type throttles struct {
	self                    meta.BrokerID
	leader, follower, moves *quota.Replication
}

func newThrottles(self meta.BrokerID, cfg *config.Config) *throttles {
	make := func(w config.QuotaWindow) *quota.Replication { return quota.NewReplication(int(w.Num), w.Size) }
	t := &throttles{self: self, leader: make(cfg.Quota.Replication), follower: make(cfg.Quota.Replication), moves: make(cfg.Quota.AlterLogDirs)}
	t.setLimits(cfg)
	return t
}

// throttleRates are the broker keys of the rates.
var throttleRates = []string{"leader.replication.throttled.rate", "follower.replication.throttled.rate", "replica.alter.log.dirs.io.max.bytes.per.second"}

func (t *throttles) subscribe(d *config.Dynamic) {
	d.Subscribe(config.Subscription{Name: "throttles", Keys: throttleRates, Apply: func(_, new *config.Config) { t.setLimits(new) }})
}

func (t *throttles) setLimits(cfg *config.Config) {
	t.leader.SetLimit(cfg.Quota.LeaderReplicationThrottledRate)
	t.follower.SetLimit(cfg.Quota.FollowerReplicationThrottledRate)
	t.moves.SetLimit(cfg.Quota.AlterLogDirsMaxBytesPerSecond)
}

// namesThrottled says whether a topic's overrides throttle anything.
func namesThrottled(overrides map[string]string) bool {
	return overrides["leader.replication.throttled.replicas"] != "" || overrides["follower.replication.throttled.replicas"] != ""
}

// setTopic takes over what a topic's configuration says.
func (t *throttles) setTopic(topic string, c *config.TopicConfig) {
	t.leader.Throttle(topic, t.own(c.LeaderThrottled))
	t.follower.Throttle(topic, t.own(c.FollowerThrottled))
}

// own are the partitions of which this broker's replica is named.
func (t *throttles) own(named config.ThrottledReplicas) quota.Partitions {
	p := quota.Partitions{All: named.All}
	for partition := range named.Replicas {
		if named.Contains(partition, int32(t.self)) {
			if p.Numbers == nil {
				p.Numbers = map[int32]struct{}{}
			}
			p.Numbers[partition] = struct{}{}
		}
	}
	return p
}

// registerMetrics registers how fast throttled replicas are copied, as Kafka does.
func (t *throttles) registerMetrics(b *Broker) {
	for _, m := range []struct {
		name, help string
		of         *quota.Replication
	}{
		{"leaderreplication", "Bytes a second sent to followers of throttled replicas led here.", t.leader},
		{"followerreplication", "Bytes a second copied from leaders of throttled replicas that follow here.", t.follower},
		{"alterlogdirsreplication", "Bytes a second copied between log directories.", t.moves},
	} {
		b.gauge("kafka_server_"+m.name+"_byte_rate", m.help, func() float64 { return m.of.Rate(time.Now()) })
	}
}
