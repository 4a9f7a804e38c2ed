package consume

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/tools/client"
)

// timestampTypes tells whose clock set the timestamps of a topic's records: sarama does not say it of the record, so the
// topic's message.timestamp.type is asked for. Records written before that setting was changed are labelled wrongly.
type timestampTypes struct {
	bootstrap  string
	properties client.Properties
	known      map[string]string
}

func (t *timestampTypes) of(ctx context.Context, topic string) string {
	if t.known == nil {
		t.known = map[string]string{}
	}
	if _, ok := t.known[topic]; !ok {
		t.known[topic] = t.ask(ctx, topic)
	}
	return t.known[topic]
}

// ask takes CreateTime, Kafka's default, for an answer when the broker gives none or does not allow the question.
func (t *timestampTypes) ask(ctx context.Context, topic string) string {
	cluster, err := client.Open(t.bootstrap, t.properties, client.Options{ClientID: "console-consumer"})
	if err != nil {
		return createTime
	}
	defer cluster.Close()
	resources, err := cluster.DescribeConfigs(ctx, client.Any, kmsg.ConfigResourceTypeTopic, false, topic)
	if err != nil {
		return createTime
	}
	for _, r := range resources {
		for _, c := range r.Configs {
			if c.Name == "message.timestamp.type" && c.Value != nil && *c.Value == logAppendTime {
				return logAppendTime
			}
		}
	}
	return createTime
}
