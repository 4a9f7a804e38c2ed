package partitions

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// running is a reassignment under way. While it is, replicas are the old and the new ones.
type running struct{ replicas, adding, removing []int32 }

// reassignments lists what is under way: of some partitions, or everything if only is nil.
func (t *tool) reassignments(only []meta.TopicPartition) (map[meta.TopicPartition]running, error) {
	req := kmsg.NewPtrListPartitionReassignmentsRequest()
	req.TimeoutMillis = int32(t.cluster.RequestTimeout().Milliseconds())
	for topic, ids := range byTopic(only) {
		each := kmsg.NewListPartitionReassignmentsRequestTopic()
		each.Topic, each.Partitions = topic, ids
		req.Topics = append(req.Topics, each)
	}
	found := map[meta.TopicPartition]running{}
	if only != nil && len(only) == 0 {
		return found, nil
	}
	err := t.cluster.Call(t.Context.Context, "listPartitionReassignments", client.Controller, func(n *client.Node) error {
		answer, err := n.Request(req, 0)
		if err != nil {
			return err
		}
		resp := answer.(*kmsg.ListPartitionReassignmentsResponse)
		if err := client.FromCode(resp.ErrorCode, resp.ErrorMessage); err != nil {
			return err
		}
		clear(found)
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				found[meta.TopicPartition{Topic: topic.Topic, Partition: p.Partition}] = running{p.Replicas, p.AddingReplicas, p.RemovingReplicas}
			}
		}
		return nil
	})
	if err != nil {
		return nil, client.Execution(err)
	}
	return found, nil
}

// submission is what became of a request to move partitions.
type submission struct {
	failures map[meta.TopicPartition]error
	refused  bool // for certain nothing was begun
}

// submit tells the controller where partitions should be, or, where that is nil, that they should stay where they were.
func (t *tool) submit(targets map[meta.TopicPartition][]int32) submission {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.TimeoutMillis = int32(t.cluster.RequestTimeout().Milliseconds())
	req.AllowReplicationFactorChange = !t.Bool(keepFactor)
	var partitions []meta.TopicPartition
	for tp := range targets {
		partitions = append(partitions, tp)
	}
	for topic, ids := range byTopic(partitions) {
		each := kmsg.NewAlterPartitionAssignmentsRequestTopic()
		each.Topic = topic
		for _, id := range ids {
			p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
			p.Partition, p.Replicas = id, targets[meta.TopicPartition{Topic: topic, Partition: id}]
			each.Partitions = append(each.Partitions, p)
		}
		req.Topics = append(req.Topics, each)
	}
	s := submission{failures: map[meta.TopicPartition]error{}}
	doubt := false // a request was sent that was not answered
	err := t.cluster.Call(t.Context.Context, "alterPartitionReassignments", client.Controller, func(n *client.Node) error {
		answer, err := n.Request(req, 1)
		if err != nil {
			doubt = doubt || !errors.As(err, new(*client.Error))
			return err
		}
		resp := answer.(*kmsg.AlterPartitionAssignmentsResponse)
		if err := client.FromCode(resp.ErrorCode, resp.ErrorMessage); err != nil {
			return err
		}
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				if err := client.FromCode(p.ErrorCode, p.ErrorMessage); err != nil {
					s.failures[meta.TopicPartition{Topic: topic.Topic, Partition: p.Partition}] = err
				}
			}
		}
		return nil
	})
	if err != nil {
		for _, tp := range partitions {
			s.failures[tp] = err
		}
	}
	s.refused = !doubt && len(s.failures) == len(partitions)
	return s
}

// lines is a line for each partition that failed.
func (s submission) lines() string {
	var partitions []meta.TopicPartition
	for tp := range s.failures {
		partitions = append(partitions, tp)
	}
	slices.SortFunc(partitions, meta.TopicPartition.Compare)
	lines := make([]string, len(partitions))
	for i, tp := range partitions {
		lines[i] = fmt.Sprintf("%s: %s", tp, s.failures[tp])
	}
	return strings.Join(lines, "\n")
}

// describe returns the metadata of topics, by name. Those that do not exist are missing from it.
func (t *tool) describe(topics []string) (map[string]*sarama.TopicMetadata, *sarama.MetadataResponse, error) {
	found := map[string]*sarama.TopicMetadata{}
	if len(topics) == 0 { // to the broker that would mean all
		return found, nil, nil
	}
	metadata, err := t.cluster.Metadata(t.Context.Context, "describeTopics", topics...)
	if err != nil {
		return nil, nil, client.Execution(err)
	}
	for _, topic := range metadata.Topics {
		switch topic.Err {
		case sarama.ErrNoError:
			slices.SortFunc(topic.Partitions, func(a, b *sarama.PartitionMetadata) int { return int(a.ID - b.ID) })
			found[topic.Name] = topic
		case sarama.ErrUnknownTopicOrPartition:
		default:
			return nil, nil, client.Execution(client.FromKError(topic.Err, nil))
		}
	}
	return found, metadata, nil
}

// currentReplicas returns where partitions of the plan are. All must exist.
func (t *tool) currentReplicas(p plan) (map[meta.TopicPartition][]int32, error) {
	topics, _, err := t.existing(p.topics())
	if err != nil {
		return nil, err
	}
	current := map[meta.TopicPartition][]int32{}
	var missing []meta.TopicPartition
	for _, tp := range p.partitions() {
		partitions := topics[tp.Topic].Partitions
		i := slices.IndexFunc(partitions, func(p *sarama.PartitionMetadata) bool { return p.ID == tp.Partition })
		if i < 0 {
			missing = append(missing, tp)
			continue
		}
		current[tp] = partitions[i].Replicas
	}
	if len(missing) > 0 {
		return nil, unknown("Unable to find partition: " + joined(missing, ", "))
	}
	return current, nil
}

// existing is describe for topics that must exist.
func (t *tool) existing(topics []string) (map[string]*sarama.TopicMetadata, *sarama.MetadataResponse, error) {
	found, metadata, err := t.describe(topics)
	if err != nil {
		return nil, nil, err
	}
	for _, topic := range topics {
		if found[topic] == nil {
			return nil, nil, unknown("Topic " + topic + " not found.")
		}
	}
	return found, metadata, nil
}

func unknown(message string) error {
	return client.Execution(client.FromKError(sarama.ErrUnknownTopicOrPartition, &message))
}

// byTopic groups partitions; the ids of each topic are sorted.
func byTopic(partitions []meta.TopicPartition) map[string][]int32 {
	topics := map[string][]int32{}
	for _, tp := range partitions {
		topics[tp.Topic] = append(topics[tp.Topic], tp.Partition)
	}
	for _, ids := range topics {
		slices.Sort(ids)
	}
	return topics
}
