package topics

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
)

func describe(c *cli.Context, cluster *client.Cluster) error {
	metadata, found, err := toDescribe(c, cluster)
	if err != nil || len(found) == 0 {
		return err
	}
	r := newReport(c)
	r.elr = true
	for _, b := range metadata.Brokers {
		r.live = append(r.live, b.ID())
	}
	names := make([]string, len(found))
	for i, t := range found {
		names[i] = t.Name
	}
	configs, err := cluster.DescribeConfigs(c.Context, client.Any, kmsg.ConfigResourceTypeTopic, false, names...)
	if err != nil {
		return err
	}
	moving, err := reassignments(c, cluster, found)
	if err != nil {
		return err
	}
	for i, t := range found {
		r.print(c.App.Writer, description(t, configs[i], moving[t.Name]))
	}
	return nil
}

func newReport(c *cli.Context) report {
	return report{
		overridden:      c.Bool("topics-with-overrides"),
		underReplicated: c.Bool("under-replicated-partitions"),
		unavailable:     c.Bool("unavailable-partitions"),
		underMin:        c.Bool("under-min-isr-partitions"),
		atMin:           c.Bool("at-min-isr-partitions"),
	}
}

// toDescribe finds topics by --topic-id, unless that is missing or all zero, else by --topic.
func toDescribe(c *cli.Context, cluster *client.Cluster) (*sarama.MetadataResponse, []*sarama.TopicMetadata, error) {
	id, err := parseTopicID(c.String("topic-id"))
	if err != nil {
		return nil, nil, err
	}
	if id == (sarama.Uuid{}) {
		return expected(c, cluster)
	}
	metadata, err := cluster.Metadata(c.Context, "listTopics")
	if err != nil {
		return nil, nil, err
	}
	found := slices.DeleteFunc(metadata.Topics, func(t *sarama.TopicMetadata) bool {
		return t.Uuid != id || c.Bool("exclude-internal") && t.IsInternal
	})
	if len(found) == 0 && !c.Bool("if-exists") {
		return nil, nil, missing("TopicId", id.String())
	}
	return metadata, found, nil
}

func parseTopicID(text string) (id sarama.Uuid, err error) {
	if text == "" {
		return id, nil
	}
	if len(text) > 24 {
		return id, &client.Error{Class: client.IllegalArgument,
			Message: fmt.Sprintf("Input string with prefix `%s` is too long to be decoded as a base64 UUID", text[:24])}
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return id, &client.Error{Class: client.IllegalArgument, Message: fmt.Sprintf("Input string `%s` is not valid base64url", text)}
	}
	if len(raw) != len(id) {
		return id, &client.Error{Class: client.IllegalArgument, Message: fmt.Sprintf(
			"Input string `%s` decoded as %d bytes, which is not equal to the expected 16 bytes of a base64-encoded UUID", text, len(raw))}
	}
	return sarama.Uuid(raw), nil
}

// reassignments returns what is in flight for the topics. Brokers that do not know the API or do not let us ask it are
// taken to have nothing in flight.
func reassignments(c *cli.Context, cluster *client.Cluster, topics []*sarama.TopicMetadata) (map[string]map[int32]*sarama.PartitionReplicaReassignmentsStatus, error) {
	req := &sarama.ListPartitionReassignmentsRequest{TimeoutMs: int32(cluster.RequestTimeout().Milliseconds())}
	for _, t := range topics {
		ids := make([]int32, len(t.Partitions))
		for i, p := range t.Partitions {
			ids[i] = p.ID
		}
		req.AddBlock(t.Name, ids)
	}
	var moving map[string]map[int32]*sarama.PartitionReplicaReassignmentsStatus
	err := cluster.Call(c.Context, "listPartitionReassignments", client.Controller, func(n *client.Node) error {
		resp, err := n.ListPartitionReassignments(req)
		if err != nil {
			return err
		}
		moving = resp.TopicStatus
		return client.FromKError(resp.ErrorCode, resp.ErrorMessage)
	})
	if client.HasCode(err, sarama.ErrUnsupportedVersion) || client.HasCode(err, sarama.ErrClusterAuthorizationFailed) {
		return nil, nil
	}
	return moving, err
}

func description(t *sarama.TopicMetadata, configs client.ConfigResource, moving map[int32]*sarama.PartitionReplicaReassignmentsStatus) topicDescription {
	d := topicDescription{name: t.Name}
	if t.Uuid != (sarama.Uuid{}) {
		d.id = t.Uuid.String()
	}
	for _, e := range configs.Configs {
		value := "null"
		if e.Value != nil {
			value = *e.Value
		}
		if e.Name == "min.insync.replicas" {
			d.minISR, _ = strconv.Atoi(value)
		}
		if !client.IsDefault(e) {
			d.configs = append(d.configs, e.Name+"="+value)
		}
	}
	for _, p := range t.Partitions {
		pd := partitionDescription{id: p.ID, leader: p.Leader, replicas: p.Replicas, isr: p.Isr}
		if m := moving[p.ID]; m != nil {
			pd.moving = &reassignment{m.Replicas, m.AddingReplicas, m.RemovingReplicas}
		}
		d.partitions = append(d.partitions, pd)
	}
	return d
}
