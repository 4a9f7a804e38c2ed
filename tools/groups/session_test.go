package groups

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/tools/consume"
	"github.com/kraal-mq/kraal/tools/produce"
	"github.com/kraal-mq/kraal/tools/testkit"
	"github.com/kraal-mq/kraal/tools/topics"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// TestAsInKafka replays what Apache Kafka 3.9.1's tool said on a broker of its own. 3.9 leaves line feeds out of its tables, which
// earlier releases had and kraal has, so white space does not count here; the tables as they are printed are in table_test.go.
func TestAsInKafka(t *testing.T) {
	for _, storage := range []string{"zookeeper", "kafka"} {
		t.Run("offsets in "+storage, func(t *testing.T) {
			node := brokertest.Start(t, zktest.Start(t).Addr(), map[string]string{"group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "3", "offsets.storage": storage})
			testkit.Session{
				Tools: map[string]func() *cli.Command{"kafka-consumer-groups": Command, "kafka-topics": topics.Command, "kafka-console-producer": produce.Command,
					"kafka-console-consumer": consume.Command},
				Places: map[string]string{"{b1}": node.Addr()},
				Same:   same,
			}.Replay(t, "consumer-groups.jsonl")
		})
	}
}

var noFrames = regexp.MustCompile(`\n\tat .*`)

func same(command []string, text string) string {
	text = noFrames.ReplaceAllString(text, "")
	words := strings.Fields(text)
	if command[0] == "kafka-console-consumer" { // two partitions, in any order
		slices.Sort(words)
	}
	return strings.Join(words, " ")
}
