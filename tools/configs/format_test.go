package configs

import (
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestFormatEntry(t *testing.T) {
	text := func(s string) *string { return &s }
	synonym := func(source kmsg.ConfigSource, name string, value *string) kmsg.DescribeConfigsResponseResourceConfigConfigSynonym {
		return kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{Source: source, Name: name, Value: value}
	}
	for want, e := range map[string]kmsg.DescribeConfigsResponseResourceConfig{
		"  a= sensitive=false synonyms={}":    {Name: "a", Value: text("")},
		"  a=null sensitive=true synonyms={}": {Name: "a", IsSensitive: true},
		"  a=b sensitive=false synonyms={UNKNOWN:a=b}": {Name: "a", Value: text("b"), ConfigSynonyms: []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{
			synonym(99, "a", text("b"))}},
		"  min.insync.replicas=2 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:min.insync.replicas=2, STATIC_BROKER_CONFIG:x=null, DEFAULT_CONFIG:min.insync.replicas=1}": {
			Name: "min.insync.replicas", Value: text("2"), ConfigSynonyms: []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{
				synonym(kmsg.ConfigSourceDynamicTopicConfig, "min.insync.replicas", text("2")),
				synonym(kmsg.ConfigSourceStaticBrokerConfig, "x", nil),
				synonym(kmsg.ConfigSourceDefaultConfig, "min.insync.replicas", text("1")),
			}},
	} {
		if got := formatEntry(e); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestFormatQuota(t *testing.T) {
	named := func(kind sarama.QuotaEntityType, name string) sarama.QuotaEntityComponent {
		return sarama.QuotaEntityComponent{EntityType: kind, Name: name}
	}
	defaulted := func(kind sarama.QuotaEntityType) sarama.QuotaEntityComponent {
		return sarama.QuotaEntityComponent{EntityType: kind, MatchType: sarama.QuotaMatchDefault}
	}
	for want, e := range map[string]sarama.DescribeClientQuotasEntry{
		"Quota configs for user-principal 'bob', the default client-id are consumer_byte_rate=1.048576E7": {
			Entity: []sarama.QuotaEntityComponent{defaulted(sarama.QuotaEntityClientID), named(sarama.QuotaEntityUser, "bob")},
			Values: map[string]float64{"consumer_byte_rate": 10485760}},
		"Quota configs for the default user-principal are consumer_byte_rate=2048.0, request_percentage=50.5": {
			Entity: []sarama.QuotaEntityComponent{defaulted(sarama.QuotaEntityUser)},
			Values: map[string]float64{"request_percentage": 50.5, "consumer_byte_rate": 2048}},
		"Quota configs for ip '127.0.0.9' are connection_creation_rate=5.0": {
			Entity: []sarama.QuotaEntityComponent{named(sarama.QuotaEntityIP, "127.0.0.9")},
			Values: map[string]float64{"connection_creation_rate": 5}},
	} {
		if got := formatQuota(e); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	alice := sarama.DescribeClientQuotasEntry{Entity: []sarama.QuotaEntityComponent{named(sarama.QuotaEntityUser, "alice")}}
	bob := sarama.DescribeClientQuotasEntry{Entity: []sarama.QuotaEntityComponent{named(sarama.QuotaEntityUser, "bob")}}
	everyone := sarama.DescribeClientQuotasEntry{Entity: []sarama.QuotaEntityComponent{defaulted(sarama.QuotaEntityUser)}}
	if compareEntries(everyone, alice) >= 0 || compareEntries(alice, bob) >= 0 || compareEntries(bob, everyone) <= 0 || compareEntries(bob, bob) != 0 {
		t.Error("entities are not sorted default first, then by name")
	}
}
