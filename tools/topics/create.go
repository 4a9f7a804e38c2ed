package topics

import (
	"fmt"
	"math"

	"github.com/IBM/sarama"
	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
)

func create(c *cli.Context, cluster *client.Cluster) error {
	name := c.String("topic")
	detail, err := newTopic(c)
	if err != nil {
		return err
	}
	if collides(name) {
		fmt.Fprintln(c.App.Writer, collisionWarning)
	}
	if n := c.Int("replication-factor"); c.IsSet("replication-factor") && (n < 1 || n > math.MaxInt16) {
		return &client.Error{Class: client.IllegalArgument, Message: "The replication factor must be between 1 and 32767 inclusive"}
	}
	if c.IsSet("partitions") && c.Int("partitions") < 1 {
		return &client.Error{Class: client.IllegalArgument, Message: "The partitions must be greater than 0"}
	}
	err = cluster.Call(c.Context, "createTopics", client.Controller, func(n *client.Node) error {
		req := sarama.NewCreateTopicsRequest(cluster.Config().Version, map[string]*sarama.TopicDetail{name: detail}, cluster.RequestTimeout(), false)
		resp, err := n.CreateTopics(req)
		if err != nil {
			return err
		}
		answer, ok := resp.TopicErrors[name]
		if !ok {
			return fmt.Errorf("the broker did not answer for topic %s", name)
		}
		return client.FromKError(answer.Err, answer.ErrMsg)
	})
	if err == nil {
		fmt.Fprintf(c.App.Writer, "Created topic %s.\n", name)
		settle(c, cluster, []string{name}, func(t *sarama.TopicMetadata) bool { return len(t.Partitions) > 0 })
	}
	if c.Bool("if-not-exists") && client.HasCode(err, sarama.ErrTopicAlreadyExists) {
		return nil
	}
	return err
}

func newTopic(c *cli.Context) (*sarama.TopicDetail, error) {
	detail := &sarama.TopicDetail{NumPartitions: -1, ReplicationFactor: -1}
	if text := c.String("replica-assignment"); text != "" {
		assignment, err := parseAssignment(text)
		if err != nil {
			return nil, err
		}
		detail.ReplicaAssignment = map[int32][]int32{}
		for p, replicas := range assignment {
			detail.ReplicaAssignment[int32(p)] = replicas
		}
	}
	if c.IsSet("partitions") {
		detail.NumPartitions = int32(min(max(c.Int("partitions"), math.MinInt32), math.MaxInt32))
	}
	if c.IsSet("replication-factor") {
		detail.ReplicationFactor = int16(c.Int("replication-factor"))
	}
	var err error
	detail.ConfigEntries, err = parseConfigs(c.StringSlice("config"))
	return detail, err
}
