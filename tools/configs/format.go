package configs

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var sources = map[kmsg.ConfigSource]string{
	kmsg.ConfigSourceDynamicTopicConfig:         "DYNAMIC_TOPIC_CONFIG",
	kmsg.ConfigSourceDynamicBrokerConfig:        "DYNAMIC_BROKER_CONFIG",
	kmsg.ConfigSourceDynamicDefaultBrokerConfig: "DYNAMIC_DEFAULT_BROKER_CONFIG",
	kmsg.ConfigSourceStaticBrokerConfig:         "STATIC_BROKER_CONFIG",
	kmsg.ConfigSourceDefaultConfig:              "DEFAULT_CONFIG",
	kmsg.ConfigSourceDynamicBrokerLoggerConfig:  "DYNAMIC_BROKER_LOGGER_CONFIG",
	kmsg.ConfigSourceClientMetricsConfig:        "DYNAMIC_CLIENT_METRICS_CONFIG",
}

// formatEntry is one line of describe: the value in force, and where else the broker found one, most important first.
func formatEntry(e kmsg.DescribeConfigsResponseResourceConfig) string {
	synonyms := make([]string, len(e.ConfigSynonyms))
	for i, s := range e.ConfigSynonyms {
		source, ok := sources[s.Source]
		if !ok {
			source = "UNKNOWN"
		}
		synonyms[i] = fmt.Sprintf("%s:%s=%s", source, s.Name, orNull(s.Value))
	}
	return fmt.Sprintf("  %s=%s sensitive=%t synonyms={%s}", e.Name, orNull(e.Value), e.IsSensitive, strings.Join(synonyms, ", "))
}

func orNull(value *string) string {
	if value == nil {
		return "null"
	}
	return *value
}
