package groups

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

func runtimeExecution(err error) error { return runtime(client.Execution(err)) }

func (t *tool) delete() error {
	groups, err := t.chosen()
	if err != nil {
		return runtime(err)
	}
	var deleted, failures []string
	for _, group := range groups {
		err := t.coordinated("deleteConsumerGroups", group, func(n *client.Node) error {
			req := kmsg.NewPtrDeleteGroupsRequest()
			req.Groups = []string{group}
			answer, err := n.Request(req, 2)
			if err != nil {
				return err
			}
			for _, g := range answer.(*kmsg.DeleteGroupsResponse).Groups {
				if err := client.FromCode(g.ErrorCode, nil); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			failures = append(failures, fmt.Sprintf("* Group '%s' could not be deleted due to: %s\n", group, client.Describe(client.Execution(err))))
		} else {
			deleted = append(deleted, group)
		}
	}
	if len(failures) == 0 {
		fmt.Fprintf(t.App.Writer, "Deletion of requested consumer groups ('%s') was successful.\n", strings.Join(deleted, ", "))
		return nil
	}
	fmt.Fprintf(t.App.Writer, "\nError: Deletion of some consumer groups failed:\n%s", strings.Join(failures, ""))
	if len(deleted) > 0 {
		fmt.Fprintf(t.App.Writer, "\nThese consumer groups were deleted successfully: '%s'\n", strings.Join(deleted, "', '"))
	}
	return nil
}

// Error codes of OffsetDelete for the whole group that the tool has words of its own for.
const (
	codeInvalidGroup    = 24
	codeGroupAuth       = 30
	codeNotEmpty        = 68
	codeUnknownGroup    = 69
	codeUnknownTopic    = 3
	codeGroupSubscribed = 86
)

// deletedOffset is a row of what --delete-offsets prints.
type deletedOffset struct {
	topic, partition string
	err              error
}

func (t *tool) deleteOffsets() error {
	group := t.StringSlice("group")[0]
	partitions, unknown := t.knownPartitions(t.StringSlice("topic"))
	outcome := map[meta.TopicPartition]error{}
	err := t.coordinated("deleteConsumerGroupOffsets", group, func(n *client.Node) error {
		req := kmsg.NewPtrOffsetDeleteRequest()
		req.Group = group
		for topic, ids := range byTopic(partitions) {
			each := kmsg.NewOffsetDeleteRequestTopic()
			each.Topic = topic
			for _, id := range ids {
				p := kmsg.NewOffsetDeleteRequestTopicPartition()
				p.Partition = id
				each.Partitions = append(each.Partitions, p)
			}
			req.Topics = append(req.Topics, each)
		}
		answer, err := n.Request(req, 0)
		if err != nil {
			return err
		}
		resp := answer.(*kmsg.OffsetDeleteResponse)
		if err := client.FromCode(resp.ErrorCode, nil); err != nil {
			return err
		}
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				outcome[meta.TopicPartition{Topic: topic.Topic, Partition: p.Partition}] = client.FromCode(p.ErrorCode, nil)
			}
		}
		return nil
	})
	rows := unknown
	partial := false
	for _, tp := range partitions {
		each := err
		if each == nil {
			each = outcome[tp]
			partial = partial || each != nil
		}
		rows = append(rows, deletedOffset{tp.Topic, fmt.Sprint(tp.Partition), each})
	}
	fmt.Fprintln(t.App.Writer, deletionVerdict(group, t.StringSlice("topic"), err, partial))
	fmt.Fprint(t.App.Writer, deletionTable(rows))
	return nil
}

// knownPartitions is partitionsOf, topic by topic; what does not exist becomes rows of the table.
func (t *tool) knownPartitions(arguments []string) (partitions []meta.TopicPartition, unknown []deletedOffset) {
	for _, argument := range arguments {
		some, err := t.partitionsOf([]string{argument})
		if err != nil {
			topic, list, _ := strings.Cut(argument, ":")
			if list == "" {
				list = "Not Provided"
			}
			unknown = append(unknown, deletedOffset{topic, list, cause(err)})
			continue
		}
		partitions = append(partitions, some...)
	}
	slices.SortFunc(partitions, meta.TopicPartition.Compare)
	return partitions, unknown
}

// cause is what an ExecutionException wraps.
func cause(err error) error {
	if e, ok := err.(*client.Error); ok && e.Cause != nil {
		return e.Cause
	}
	return err
}

func deletionVerdict(group string, topics []string, err error, partial bool) string {
	e, _ := err.(*client.Error)
	switch {
	case err == nil && partial:
		return "\nError: Encounter some partition level error, see the follow-up details:"
	case err == nil:
		return fmt.Sprintf("Request succeed for deleting offsets with topic %s group %s", strings.Join(topics, ", "), group)
	case e == nil:
		return fmt.Sprintf("\nError: Encounter some unknown error: %s", client.Describe(err))
	}
	switch e.Code {
	case codeInvalidGroup:
		return fmt.Sprintf("\nError: '%s' is not valid.", group)
	case codeUnknownGroup:
		return fmt.Sprintf("\nError: '%s' does not exist.", group)
	case codeGroupAuth:
		return fmt.Sprintf("\nError: Access to '%s' is not authorized.", group)
	case codeNotEmpty:
		return fmt.Sprintf("\nError: Deleting offsets of a consumer group '%s' is forbidden if the group is not empty.", group)
	case codeGroupSubscribed, codeUnknownTopic:
		return "\nError: Encounter some partition level error, see the follow-up details:"
	}
	return fmt.Sprintf("\nError: Encounter some unknown error: %s", client.Describe(err))
}

func deletionTable(rows []deletedOffset) string {
	const format = "%-30s %-15s %-15s\n"
	var b strings.Builder
	b.WriteByte('\n')
	fmt.Fprintf(&b, format, "TOPIC", "PARTITION", "STATUS")
	for _, r := range rows {
		status := "Successful"
		if r.err != nil {
			status = "Error: :" + client.Describe(r.err)
		}
		fmt.Fprintf(&b, format, r.topic, r.partition, status)
	}
	return b.String()
}
