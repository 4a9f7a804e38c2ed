package broker

import (
	"testing"

	"github.com/kraal-mq/kraal/broker/config"
)

// The lists of a topic name replicas of all brokers; each takes its own (ConfigHandler.parseThrottledPartitions).
func TestThrottledReplicasOfThisBroker(t *testing.T) {
	static, _, err := config.FromMap(map[string]string{"zookeeper.connect": "localhost:1", "broker.id": "1"})
	if err != nil {
		t.Fatal(err)
	}
	d := config.NewDynamic(static, nil)
	topics := newTopicConfigs(d, newThrottles(1, d.Current()), nil)
	want := func(what string, leader, follower bool) {
		t.Helper()
		if l, f := topics.throttles.leader.Throttled("t", 0), topics.throttles.follower.Throttled("t", 0); l != leader || f != follower {
			t.Errorf("%s: leader %v, follower %v", what, l, f)
		}
	}
	topics.set("t", map[string]string{"leader.replication.throttled.replicas": "0:1,1:2", "follower.replication.throttled.replicas": "0:2,1:1"})
	want("named", true, false)
	topics.set("t", map[string]string{"follower.replication.throttled.replicas": "*"})
	want("all", false, true)
	topics.set("t", map[string]string{"retention.ms": "1"})
	want("lifted", false, false)
}
