package api

import (
	"errors"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/broker/replica"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// commitTargets says which partitions of a request somebody may commit offsets for.
type commitTargets struct {
	h *Handler
	c *call
	p *picture
}

// commitTargets looks at the fleet for topics of a request.
func (h *Handler) commitTargets(c *call, topics []string) commitTargets {
	return commitTargets{h, c, h.informed(c.ctx, topics)}
}

// refusal is what speaks against a partition, wire.None if nothing.
func (t commitTargets) refusal(tp meta.TopicPartition) wire.Code {
	switch {
	case !t.h.topicAllowed(t.c.Conn, acl.Read, tp.Topic):
		return wire.ErrTopicAuthorizationFailed
	case t.p.Partition(tp.Topic, tp.Partition) != nil:
		return wire.None
	case t.p.Topic(tp.Topic) == nil && t.p.mayHave(tp.Topic):
		return wire.ErrCoordinatorNotAvailable // this broker has not heard of everything yet
	}
	return wire.ErrUnknownTopicOrPartition
}

// byTopic gathers partitions of a response in the order of their first topic, and refused ones before the others, as Kafka's response
// builders do.
type byTopic[P any] struct {
	index  map[string]int
	topics []topicOf[P]
}

type topicOf[P any] struct {
	name       string
	partitions []P
}

func (b *byTopic[P]) add(topic string, p P) {
	i, known := b.index[topic]
	if !known {
		if b.index == nil {
			b.index = map[string]int{}
		}
		i = len(b.topics)
		b.index[topic] = i
		b.topics = append(b.topics, topicOf[P]{name: topic})
	}
	b.topics[i].partitions = append(b.topics[i].partitions, p)
}

// commitCode is Handler.code with what Kafka makes of failed appends of offsets (GroupMetadataManager.maybeConvertOffsetCommitError).
func (h *Handler) commitCode(err error) wire.Code {
	switch {
	case errors.Is(err, coord.ErrNotCoordinator), errors.Is(err, replica.ErrNotLeader):
		return wire.ErrNotCoordinator
	}
	switch code := h.code(err); code {
	case wire.ErrNetwork:
		return wire.ErrCoordinatorLoadInProgress
	case wire.ErrUnknownTopicOrPartition, wire.ErrNotEnoughReplicas, wire.ErrNotEnoughReplicasAfterAppend:
		return wire.ErrCoordinatorNotAvailable
	case wire.ErrNotLeaderOrFollower, wire.ErrKafkaStorage:
		return wire.ErrNotCoordinator
	case wire.ErrMessageTooLarge, wire.ErrRecordListTooLarge, wire.ErrInvalidFetchSize:
		return wire.ErrInvalidCommitOffsetSize
	default:
		return code
	}
}
