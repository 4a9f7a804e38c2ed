package topics

import (
	"github.com/IBM/sarama"
	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
)

func remove(c *cli.Context, cluster *client.Cluster) error {
	_, found, err := expected(c, cluster)
	if err != nil || len(found) == 0 {
		return err
	}
	names := make([]string, len(found))
	for i, t := range found {
		names[i] = t.Name
	}
	err = cluster.Call(c.Context, "deleteTopics", client.Controller, func(n *client.Node) error {
		resp, err := n.DeleteTopics(sarama.NewDeleteTopicsRequest(cluster.Config().Version, names, cluster.RequestTimeout()))
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := client.FromKError(resp.TopicErrorCodes[name], resp.TopicErrorMessages[name]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		settle(c, cluster, names, func(t *sarama.TopicMetadata) bool { return t.Err == sarama.ErrUnknownTopicOrPartition })
	}
	return err
}
