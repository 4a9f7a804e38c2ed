package javaconfig

import (
	"time"

	"github.com/IBM/sarama"

	"github.com/kraal-mq/kraal/tools/client"
)

// Consumer is what a Java consumer's settings come to.
type Consumer struct {
	Sarama *sarama.Config
	Seeds  []string

	Reset      string // auto.offset.reset: earliest, latest or none
	Retry      time.Duration
	AutoCommit bool
}

// NewConsumer reads the settings of a consumer.
func NewConsumer(p client.Properties, clientID string) (*Consumer, error) {
	conf, err := p.Sarama(clientID)
	if err != nil {
		return nil, err
	}
	v := &values{p: p}
	o := &Consumer{Sarama: conf}
	if o.Seeds, err = Seeds(p); err != nil {
		return nil, err
	}
	o.Reset = v.oneOf("auto.offset.reset", "latest", "latest", "earliest", "none")
	o.Retry = max(v.millis("retry.backoff.ms", 100*time.Millisecond), time.Millisecond)
	o.AutoCommit = v.boolean("enable.auto.commit", true)

	conf.RackID = v.text("client.rack", "")
	conf.Metadata.Full = false
	conf.Metadata.AllowAutoTopicCreation = v.boolean("allow.auto.create.topics", true)
	conf.Metadata.RefreshFrequency = max(v.millis("metadata.max.age.ms", 5*time.Minute), time.Millisecond)
	conf.Metadata.Retry.Backoff = o.Retry

	c := &conf.Consumer
	c.Return.Errors = true
	c.Retry.Backoff = o.Retry
	c.Fetch.Min = v.size("fetch.min.bytes", 1, 0)
	c.Fetch.MaxBytes = v.size("fetch.max.bytes", 50<<20, 0)
	c.Fetch.Default = max(v.size("max.partition.fetch.bytes", 1<<20, 0), 1)
	c.MaxWaitTime = max(v.millis("fetch.max.wait.ms", 500*time.Millisecond), time.Millisecond)
	if v.oneOf("isolation.level", "read_uncommitted", "read_committed", "read_uncommitted") == "read_committed" {
		c.IsolationLevel = sarama.ReadCommitted
	}
	v.group(o)
	if v.err != nil {
		return nil, v.err
	}
	if err := conf.Validate(); err != nil {
		return nil, configError(err.Error())
	}
	return o, nil
}

func (v *values) group(o *Consumer) {
	c := &o.Sarama.Consumer
	c.Offsets.Initial = sarama.OffsetNewest
	if o.Reset == "earliest" {
		c.Offsets.Initial = sarama.OffsetOldest
	}
	c.Offsets.AutoCommit.Enable = o.AutoCommit
	c.Offsets.AutoCommit.Interval = max(v.millis("auto.commit.interval.ms", 5*time.Second), time.Millisecond)
	c.Group.Session.Timeout = max(v.millis("session.timeout.ms", 45*time.Second), 3*time.Millisecond)
	c.Group.Heartbeat.Interval = max(v.millis("heartbeat.interval.ms", 3*time.Second), time.Millisecond)
	c.Group.Rebalance.Timeout = max(v.millis("max.poll.interval.ms", 5*time.Minute), time.Millisecond)
	c.Group.Rebalance.Retry.Max = 3 // then the failure shows, and the tool tries again
	c.Group.Rebalance.Retry.Backoff = o.Retry
	c.Group.InstanceId = v.text("group.instance.id", "")
	c.Group.ResetInvalidOffsets = o.Reset != "none"
	c.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange()}
	switch v.text("partition.assignment.strategy", "") {
	case "org.apache.kafka.clients.consumer.RoundRobinAssignor":
		c.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRoundRobin()}
	case "org.apache.kafka.clients.consumer.StickyAssignor":
		c.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}
	}
}
