package topics

import (
	"fmt"
	"slices"
	"strings"

	"github.com/IBM/sarama"
	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
)

func list(c *cli.Context, cluster *client.Cluster) error {
	_, found, err := matching(c, cluster)
	if err != nil {
		return err
	}
	names := make([]string, len(found))
	for i, t := range found {
		names[i] = t.Name
	}
	fmt.Fprintln(c.App.Writer, strings.Join(names, "\n"))
	return nil
}

// matching returns the cluster's metadata and, sorted by name, the topics that --topic and --exclude-internal leave.
func matching(c *cli.Context, cluster *client.Cluster) (*sarama.MetadataResponse, []*sarama.TopicMetadata, error) {
	filter, err := newFilter(c)
	if err != nil {
		return nil, nil, err
	}
	metadata, err := cluster.Metadata(c.Context, "listTopics")
	if err != nil {
		return nil, nil, err
	}
	found := slices.DeleteFunc(metadata.Topics, func(t *sarama.TopicMetadata) bool {
		return !filter(t.Name) || c.Bool("exclude-internal") && (t.IsInternal || client.IsInternal(t.Name))
	})
	slices.SortFunc(found, func(a, b *sarama.TopicMetadata) int { return strings.Compare(a.Name, b.Name) })
	return metadata, found, nil
}

// expected is matching for actions that --topic must find something for, unless --if-exists.
func expected(c *cli.Context, cluster *client.Cluster) (*sarama.MetadataResponse, []*sarama.TopicMetadata, error) {
	metadata, found, err := matching(c, cluster)
	if err == nil && len(found) == 0 && c.String("topic") != "" && !c.Bool("if-exists") {
		err = missing("Topic", c.String("topic"))
	}
	return metadata, found, err
}

func missing(what, name string) error {
	return &client.Error{Class: client.IllegalArgument, Message: fmt.Sprintf("%s '%s' does not exist as expected", what, name)}
}

func newFilter(c *cli.Context) (func(topic string) bool, error) {
	if !c.IsSet("topic") {
		return func(string) bool { return true }, nil
	}
	return client.TopicFilter(c.String("topic"))
}
