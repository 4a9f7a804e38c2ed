package partitions

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/jsonfile"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// places asks the brokers in which of their log directories replicas are. Replicas that are in none are missing from it.
func (t *tool) places(wanted map[replica]string) (map[replica]place, error) {
	found := map[replica]place{}
	for broker, partitions := range byBroker(wanted) {
		req := &sarama.DescribeLogDirsRequest{Version: 4}
		for topic, ids := range byTopic(partitions) {
			req.DescribeTopics = append(req.DescribeTopics, sarama.DescribeLogDirsRequestTopic{Topic: topic, PartitionIDs: ids})
		}
		err := t.cluster.Call(t.Context.Context, "describeReplicaLogDirs", client.Broker(broker), func(n *client.Node) error {
			resp, err := n.DescribeLogDirs(req)
			if err != nil {
				return err
			}
			if err := client.FromKError(resp.ErrorCode, nil); err != nil {
				return err
			}
			return locate(resp.LogDirs, broker, found)
		})
		if err != nil {
			return nil, client.Execution(err)
		}
	}
	return found, nil
}

// locate enters what one broker's log directories hold. Offline ones hold nothing that could be known.
func locate(dirs []sarama.DescribeLogDirsResponseDirMetadata, broker int32, found map[replica]place) error {
	for _, dir := range dirs {
		if dir.ErrorCode == sarama.ErrKafkaStorageError {
			continue
		}
		if err := client.FromKError(dir.ErrorCode, nil); err != nil {
			return err
		}
		for _, topic := range dir.Topics {
			for _, p := range topic.Partitions {
				r := replica{meta.TopicPartition{Topic: topic.Topic, Partition: p.PartitionID}, broker}
				at := found[r]
				if p.IsTemporary {
					at.future = dir.Path
				} else {
					at.current = dir.Path
				}
				found[r] = at
			}
		}
	}
	return nil
}

// alterLogDirs asks brokers to move replicas to log directories and returns which of them are on their way. Replicas that
// are not on their broker yet are not, and that is no failure.
func (t *tool) alterLogDirs(dirs map[replica]string) (started []replica, err error) {
	brokers := byBroker(dirs)
	for _, broker := range slices.Sorted(maps.Keys(brokers)) {
		outcome := map[meta.TopicPartition]error{}
		callErr := t.cluster.Call(t.Context.Context, "alterReplicaLogDirs", client.Broker(broker), func(n *client.Node) error {
			answer, err := n.Request(alterLogDirsRequest(broker, brokers[broker], dirs), 2)
			if err != nil {
				return err
			}
			for _, topic := range answer.(*kmsg.AlterReplicaLogDirsResponse).Topics {
				for _, p := range topic.Partitions {
					outcome[meta.TopicPartition{Topic: topic.Topic, Partition: p.Partition}] = client.FromCode(p.ErrorCode, nil)
				}
			}
			return nil
		})
		for _, tp := range brokers[broker] {
			r := replica{tp, broker}
			e, answered := outcome[tp]
			switch {
			case callErr != nil:
				e = callErr
			case !answered:
				e = &client.Error{Class: client.KafkaException, Message: "The broker did not answer for this replica"}
			}
			switch {
			case e == nil:
				started = append(started, r)
			case !client.HasCode(e, sarama.ErrReplicaNotAvailable) && err == nil:
				err = &client.Error{Class: jsonfile.CommandFailedException, Message: "Failed to alter dir for " + r.String(), Cause: client.Execution(e)}
			}
		}
	}
	return started, err
}

func alterLogDirsRequest(broker int32, partitions []meta.TopicPartition, dirs map[replica]string) *kmsg.AlterReplicaLogDirsRequest {
	byDir := map[string][]meta.TopicPartition{}
	for _, tp := range partitions {
		dir := dirs[replica{tp, broker}]
		byDir[dir] = append(byDir[dir], tp)
	}
	req := kmsg.NewPtrAlterReplicaLogDirsRequest()
	for _, path := range slices.Sorted(maps.Keys(byDir)) {
		dir := kmsg.NewAlterReplicaLogDirsRequestDir()
		dir.Dir = path
		for topic, ids := range byTopic(byDir[path]) {
			each := kmsg.NewAlterReplicaLogDirsRequestDirTopic()
			each.Topic, each.Partitions = topic, ids
			dir.Topics = append(dir.Topics, each)
		}
		req.Dirs = append(req.Dirs, dir)
	}
	return req
}

// byBroker groups replicas; each broker's partitions are sorted.
func byBroker(replicas map[replica]string) map[int32][]meta.TopicPartition {
	brokers := map[int32][]meta.TopicPartition{}
	for _, r := range slices.SortedFunc(maps.Keys(replicas), compareReplicas) {
		brokers[r.broker] = append(brokers[r.broker], r.TopicPartition)
	}
	return brokers
}

// between is how long to wait before a broker is asked again whether it has a replica.
const between = 100 * time.Millisecond

// patience is how long to go on trying.
type patience struct{ deadline time.Time }

func newPatience(ms int64) patience {
	const most = int64(1000 * time.Hour / time.Millisecond)
	return patience{time.Now().Add(time.Duration(min(ms, most)) * time.Millisecond)}
}

func (p patience) over() bool { return !time.Now().Before(p.deadline) }

func (patience) wait(ctx context.Context) error {
	timer := time.NewTimer(between)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
