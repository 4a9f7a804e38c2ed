package client

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// EachLeader brings partitions to their leaders. send asks one leader for its partitions and returns each one's outcome;
// those that fail in a way that may pass, those without leader, and those of a leader that is gone are tried again
// with fresh metadata until default.api.timeout.ms is over. The result holds the partitions that failed.
func (c *Cluster) EachLeader(ctx context.Context, call string, partitions []meta.TopicPartition,
	send func(n *Node, partitions []meta.TopicPartition) (map[meta.TopicPartition]error, error),
) (map[meta.TopicPartition]error, error) {
	deadline := time.Now().Add(c.timeout)
	failed := map[meta.TopicPartition]error{}
	pending := slices.Clone(partitions)
	lookup := call + "(api=METADATA)"
	for tries := 1; ; tries++ {
		leaders, err := c.leaders(ctx, lookup, pending)
		if err != nil {
			return nil, err
		}
		var again []meta.TopicPartition
		for leader, led := range leaders {
			var outcome map[meta.TopicPartition]error
			err := errNoNode
			if leader >= 0 {
				err = c.Try(Broker(leader), func(n *Node) error {
					var err error
					outcome, err = send(n, led)
					return err
				})
			}
			if err != nil && !retriable(err) {
				return nil, err
			}
			for _, tp := range led {
				switch each := outcome[tp]; {
				case err != nil, mayPass(each):
					again = append(again, tp)
				case each != nil:
					failed[tp] = each
				}
			}
		}
		if pending = again; len(pending) == 0 {
			return failed, nil
		}
		if time.Until(deadline) < firstBackoff {
			for _, tp := range pending {
				failed[tp] = timedOut(lookup, deadline, tries)
			}
			return failed, nil
		}
		if err := wait(ctx, firstBackoff); err != nil {
			return nil, err
		}
	}
}

// leaders groups partitions by leader: -1 if there is none, or no such partition.
func (c *Cluster) leaders(ctx context.Context, call string, partitions []meta.TopicPartition) (map[int32][]meta.TopicPartition, error) {
	var topics []string
	for _, tp := range partitions {
		if !slices.Contains(topics, tp.Topic) {
			topics = append(topics, tp.Topic)
		}
	}
	if len(topics) == 0 {
		return nil, nil
	}
	metadata, err := c.Metadata(ctx, call, topics...)
	if err != nil {
		return nil, err
	}
	known := map[meta.TopicPartition]int32{}
	for _, t := range metadata.Topics {
		for _, p := range t.Partitions {
			if p.Err == sarama.ErrNoError || p.Err == sarama.ErrReplicaNotAvailable {
				known[meta.TopicPartition{Topic: t.Name, Partition: p.ID}] = p.Leader
			}
		}
	}
	leaders := map[int32][]meta.TopicPartition{}
	for _, tp := range partitions {
		leader, ok := known[tp]
		if !ok {
			leader = -1
		}
		leaders[leader] = append(leaders[leader], tp)
	}
	return leaders, nil
}

// mayPass reports whether a partition's error is one that a new leader, or time, may end.
func mayPass(err error) bool {
	named := new(Error)
	return errors.As(err, &named) && named.Code != 0 && kerr.IsRetriable(kerr.ErrorForCode(named.Code))
}
