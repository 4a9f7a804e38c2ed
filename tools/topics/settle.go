package topics

import (
	"slices"
	"time"

	"github.com/IBM/sarama"
	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
)

// Bounds of settle. The second is what a JVM takes to start.
const (
	settlePoll = 20 * time.Millisecond
	settleTime = time.Second
)

// settle waits, a moment at most, until the bootstrap broker's metadata shows what was done to the topics. The controller
// has done it, but tells the other brokers a little later. Scripts that create a topic and look at it in the next
// line never noticed, because Kafka's tools take a second to start; this one does not.
func settle(c *cli.Context, cluster *client.Cluster, names []string, done func(*sarama.TopicMetadata) bool) {
	poll := time.NewTicker(settlePoll)
	defer poll.Stop()
	for end := time.Now().Add(settleTime); time.Now().Before(end); {
		metadata, err := cluster.Metadata(c.Context, "describeTopics", names...)
		if err != nil || !slices.ContainsFunc(metadata.Topics, func(t *sarama.TopicMetadata) bool {
			return t.Err != sarama.ErrTopicAuthorizationFailed && !done(t)
		}) {
			return
		}
		select {
		case <-c.Context.Done():
			return
		case <-poll.C:
		}
	}
}
