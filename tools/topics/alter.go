package topics

import (
	"math"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
)

// alter grows topics. It asks with kmsg, since an assignment list that is there but empty (all of --replica-assignment
// describes partitions that exist) is something sarama cannot say, and the broker must refuse.
func alter(c *cli.Context, cluster *client.Cluster) error {
	var assignment [][]int32
	if text := c.String("replica-assignment"); text != "" {
		var err error
		if assignment, err = parseAssignment(text); err != nil {
			return err
		}
	}
	_, found, err := expected(c, cluster)
	if err != nil || len(found) == 0 {
		return err
	}
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = int32(cluster.RequestTimeout().Milliseconds())
	names := make([]string, len(found))
	for i, topic := range found {
		names[i] = topic.Name
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic = topic.Name
		t.Count = int32(min(max(c.Int("partitions"), math.MinInt32), math.MaxInt32))
		if assignment != nil {
			t.Assignment = []kmsg.CreatePartitionsRequestTopicAssignment{}
			for _, replicas := range assignment[min(len(topic.Partitions), len(assignment)):] {
				a := kmsg.NewCreatePartitionsRequestTopicAssignment()
				a.Replicas = replicas
				t.Assignment = append(t.Assignment, a)
			}
		}
		req.Topics = append(req.Topics, t)
	}
	err = cluster.Call(c.Context, "createPartitions", client.Controller, func(n *client.Node) error {
		resp, err := n.Request(req, 3)
		if err != nil {
			return err
		}
		for _, t := range resp.(*kmsg.CreatePartitionsResponse).Topics {
			if err := client.FromCode(t.ErrorCode, t.ErrorMessage); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		settle(c, cluster, names, func(t *sarama.TopicMetadata) bool { return len(t.Partitions) >= c.Int("partitions") })
	}
	return err
}
