package partitions

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// What slows a reassignment down (KIP-73, KIP-113): how fast brokers may send and fetch, and which replicas that is about.
const (
	leaderRate       = "leader.replication.throttled.rate"
	followerRate     = "follower.replication.throttled.rate"
	logDirRate       = "replica.alter.log.dirs.io.max.bytes.per.second"
	leaderReplicas   = "leader.replication.throttled.replicas"
	followerReplicas = "follower.replication.throttled.replicas"
)

// resource is a topic or a broker, as the configuration APIs name it.
type resource struct {
	kind kmsg.ConfigResourceType
	name string
}

func topicResource(topic string) resource { return resource{kmsg.ConfigResourceTypeTopic, topic} }

func brokerResource(id int32) resource {
	return resource{kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(id))}
}

// settings are configurations to be set or, where the value is nil, removed.
type settings map[resource]map[string]*string

func (s settings) set(r resource, key string, value *string) {
	if s[r] == nil {
		s[r] = map[string]*string{}
	}
	s[r][key] = value
}

// flow is where the data of a partition that moves comes from and where it goes.
type flow struct{ sources, destinations []int32 }

// flows is what moves: what is under way and what is about to begin. A partition that is moving already keeps its
// sources, since what it is on its way to is no place to fetch from.
func flows(running map[meta.TopicPartition]running, targets, current map[meta.TopicPartition][]int32) map[meta.TopicPartition]flow {
	all := map[meta.TopicPartition]flow{}
	for tp, r := range running {
		all[tp] = flow{without(r.replicas, r.adding), r.adding}
	}
	for tp, replicas := range targets {
		sources := current[tp]
		if f, moving := all[tp]; moving {
			sources = f.sources
		}
		all[tp] = flow{sources, without(replicas, sources)}
	}
	return all
}

// replicationThrottle limits the flows to rate bytes a second.
func replicationThrottle(flows map[meta.TopicPartition]flow, rate int64) settings {
	leaders, followers := map[string][]string{}, map[string][]string{}
	s := settings{}
	limit := strconv.FormatInt(rate, 10)
	for tp, f := range flows {
		for _, id := range f.sources {
			leaders[tp.Topic] = append(leaders[tp.Topic], fmt.Sprintf("%d:%d", tp.Partition, id))
		}
		for _, id := range f.destinations {
			followers[tp.Topic] = append(followers[tp.Topic], fmt.Sprintf("%d:%d", tp.Partition, id))
		}
		for _, id := range slices.Concat(f.sources, f.destinations) {
			s.set(brokerResource(id), leaderRate, &limit)
			s.set(brokerResource(id), followerRate, &limit)
		}
	}
	for tp := range flows {
		s.set(topicResource(tp.Topic), leaderReplicas, throttled(leaders[tp.Topic]))
		s.set(topicResource(tp.Topic), followerReplicas, throttled(followers[tp.Topic]))
	}
	return s
}

// throttled is a list of partition:broker pairs as a configuration, in the order of Java's TreeSet of strings.
func throttled(pairs []string) *string {
	slices.Sort(pairs)
	text := strings.Join(slices.Compact(pairs), ",")
	return &text
}

// logDirThrottle limits moves between log directories on the brokers of these replicas.
func logDirThrottle(replicas map[replica]string, rate int64) settings {
	s := settings{}
	limit := strconv.FormatInt(rate, 10)
	for r := range replicas {
		s.set(brokerResource(r.broker), logDirRate, &limit)
	}
	return s
}

// noThrottle removes all throttles from brokers and topics.
func noThrottle(brokers []int32, topics []string) settings {
	s := settings{}
	for _, id := range brokers {
		for _, key := range []string{leaderRate, followerRate, logDirRate} {
			s.set(brokerResource(id), key, nil)
		}
	}
	for _, topic := range topics {
		s.set(topicResource(topic), leaderReplicas, nil)
		s.set(topicResource(topic), followerReplicas, nil)
	}
	return s
}

// ofKind returns the settings of topics or of brokers.
func (s settings) ofKind(kind kmsg.ConfigResourceType) settings {
	some := maps.Clone(s)
	maps.DeleteFunc(some, func(r resource, _ map[string]*string) bool { return r.kind != kind })
	return some
}

// resources returns what is to be configured: topics, then brokers, each by name.
func (s settings) resources() []resource {
	return slices.SortedFunc(maps.Keys(s), func(a, b resource) int {
		if a.kind != b.kind {
			return int(a.kind) - int(b.kind)
		}
		if len(a.name) != len(b.name) && a.kind == kmsg.ConfigResourceTypeBroker { // ids are numbers
			return len(a.name) - len(b.name)
		}
		return strings.Compare(a.name, b.name)
	})
}

func without(ids, others []int32) []int32 {
	kept := make([]int32, 0, len(ids))
	for _, id := range ids {
		if !slices.Contains(others, id) {
			kept = append(kept, id)
		}
	}
	return kept
}
