package groups

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// tool is one run.
type tool struct {
	*cli.Context
	cluster *client.Cluster
	found   map[string]int32 // coordinators
}

// usageError is wrong usage that shows late.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

// message is what Java's getMessage says of an error that was wrapped once.
func message(err error) string {
	if e := new(client.Error); errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

// runtime wraps err in a RuntimeException, as the tool's own code does with what futures throw.
func runtime(err error) error {
	return &client.Error{Class: client.RuntimeException, Message: client.Describe(err), Cause: err}
}

// coordinated runs f with a connection to a group's coordinator, and looks for it again when it has moved.
func (t *tool) coordinated(call, group string, f func(*client.Node) error) error {
	deadline := time.Now().Add(time.Duration(t.Int64("timeout")) * time.Millisecond)
	for {
		id, err := t.coordinator(call, group)
		if err == nil {
			if err = t.cluster.Call(t.Context.Context, call, client.Broker(id), f); !moved(err) {
				return err
			}
			delete(t.found, group)
		}
		if !moved(err) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(coordinatorBackoff) // retry.backoff.ms
	}
}

const coordinatorBackoff = 100 * time.Millisecond

const (
	codeLoading        = 14
	codeNotAvailable   = 15
	codeNotCoordinator = 16
)

// moved reports whether a coordinator has to be looked for again.
func moved(err error) bool {
	e := new(client.Error)
	return errors.As(err, &e) && (e.Code == codeLoading || e.Code == codeNotAvailable || e.Code == codeNotCoordinator)
}

func (t *tool) coordinator(call, group string) (id int32, err error) {
	if id, ok := t.found[group]; ok {
		return id, nil
	}
	err = t.cluster.Call(t.Context.Context, call+"(api=FIND_COORDINATOR)", client.Any, func(n *client.Node) error {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.CoordinatorKey = group
		answer, err := n.Request(req, 3)
		if err != nil {
			return err
		}
		resp := answer.(*kmsg.FindCoordinatorResponse)
		id = resp.NodeID
		return client.FromCode(resp.ErrorCode, nil)
	})
	if err != nil {
		return 0, err
	}
	if t.found == nil {
		t.found = map[string]int32{}
	}
	t.found[group] = id
	return id, nil
}

// listed is a group as a broker lists it.
type listed struct{ id, protocol, state, kind string }

// listGroups asks every broker for the groups it coordinates.
func (t *tool) listGroups(states, types []string) ([]listed, error) {
	_, brokers, err := t.cluster.Describe(t.Context.Context, "listConsumerGroups")
	if err != nil {
		return nil, &client.Error{Class: client.KafkaException, Message: "Failed to find brokers to send ListGroups", Cause: err}
	}
	var all []listed
	for _, broker := range brokers {
		err := t.cluster.Call(t.Context.Context, "listConsumerGroups", client.Broker(broker), func(n *client.Node) error {
			req := kmsg.NewPtrListGroupsRequest()
			req.StatesFilter, req.TypesFilter = states, types
			answer, err := n.Request(req, 5)
			if err != nil {
				return err
			}
			resp := answer.(*kmsg.ListGroupsResponse)
			for _, g := range resp.Groups {
				if g.ProtocolType == "consumer" || g.ProtocolType == "" {
					all = append(all, listed{g.Group, g.ProtocolType, g.GroupState, kindOf(g.GroupType)})
				}
			}
			return client.FromCode(resp.ErrorCode, nil)
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b listed) int { return strings.Compare(a.id, b.id) })
	return slices.CompactFunc(all, func(a, b listed) bool { return a.id == b.id }), nil
}

func kindOf(wire string) string {
	if wire == "" {
		return "Classic" // brokers before 3.8 know no others
	}
	return strings.ToUpper(wire[:1]) + wire[1:]
}

// chosen are the groups of --group or --all-groups.
func (t *tool) chosen() ([]string, error) {
	if !t.Bool("all-groups") {
		ids := slices.Clone(t.StringSlice("group"))
		slices.Sort(ids)
		return slices.Compact(ids), nil
	}
	all, err := t.listGroups(nil, nil)
	if err != nil {
		return nil, client.Execution(err)
	}
	ids := make([]string, len(all))
	for i, g := range all {
		ids[i] = g.id
	}
	return ids, nil
}

// described is a group as its coordinator describes it.
type described struct {
	id, state, protocol string
	coordinator         int32
	members             []member
}

type member struct {
	id, instance, clientID, host string
	assigned                     []meta.TopicPartition
}

func (t *tool) describeGroup(group string) (d described, err error) {
	const call = "describeConsumerGroups"
	err = t.coordinated(call, group, func(n *client.Node) error {
		req := kmsg.NewPtrDescribeGroupsRequest()
		req.Groups = []string{group}
		answer, err := n.Request(req, 5)
		if err != nil {
			return err
		}
		resp := answer.(*kmsg.DescribeGroupsResponse)
		if len(resp.Groups) != 1 {
			return errors.New("the answer describes other groups than were asked for")
		}
		g := resp.Groups[0]
		if err := client.FromCode(g.ErrorCode, nil); err != nil {
			return err
		}
		d = described{id: group, state: g.State, protocol: g.Protocol}
		for _, m := range g.Members {
			one := member{id: m.MemberID, clientID: m.ClientID, host: m.ClientHost}
			if m.InstanceID != nil {
				one.instance = *m.InstanceID
			}
			var assignment kmsg.ConsumerMemberAssignment
			if len(m.MemberAssignment) > 0 && assignment.ReadFrom(m.MemberAssignment) == nil {
				for _, topic := range assignment.Topics {
					for _, p := range topic.Partitions {
						one.assigned = append(one.assigned, meta.TopicPartition{Topic: topic.Topic, Partition: p})
					}
				}
				slices.SortFunc(one.assigned, meta.TopicPartition.Compare)
			}
			d.members = append(d.members, one)
		}
		return nil
	})
	if err == nil {
		d.coordinator, err = t.coordinator(call, group)
	}
	return d, err
}

// committed returns a group's offsets, of all partitions it has any of.
func (t *tool) committed(group string) (offsets map[meta.TopicPartition]int64, err error) {
	err = t.coordinated("listConsumerGroupOffsets", group, func(n *client.Node) error {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Group = group
		answer, err := n.Request(req, 7)
		if err != nil {
			return err
		}
		resp := answer.(*kmsg.OffsetFetchResponse)
		if err := client.FromCode(resp.ErrorCode, nil); err != nil {
			return err
		}
		offsets = map[meta.TopicPartition]int64{}
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				if err := client.FromCode(p.ErrorCode, nil); err != nil {
					return err
				}
				if p.Offset >= 0 {
					offsets[meta.TopicPartition{Topic: topic.Topic, Partition: p.Partition}] = p.Offset
				}
			}
		}
		return nil
	})
	return offsets, err
}

// commit stores offsets for a group without members.
func (t *tool) commit(group string, offsets map[meta.TopicPartition]int64) error {
	return t.coordinated("alterConsumerGroupOffsets", group, func(n *client.Node) error {
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.Generation, req.RetentionTimeMillis = group, -1, -1
		for topic, ids := range byTopic(slices.Collect(maps.Keys(offsets))) {
			each := kmsg.NewOffsetCommitRequestTopic()
			each.Topic = topic
			for _, id := range ids {
				p := kmsg.NewOffsetCommitRequestTopicPartition()
				empty := ""
				p.Partition, p.Offset, p.Metadata = id, offsets[meta.TopicPartition{Topic: topic, Partition: id}], &empty
				each.Partitions = append(each.Partitions, p)
			}
			req.Topics = append(req.Topics, each)
		}
		answer, err := n.Request(req, 8)
		if err != nil {
			return err
		}
		for _, topic := range answer.(*kmsg.OffsetCommitResponse).Topics {
			for _, p := range topic.Partitions {
				if err := client.FromCode(p.ErrorCode, nil); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// byTopic sorts partitions into their topics.
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

const (
	latest   = -1
	earliest = -2
)

// endings asks the leaders for the offsets at a timestamp, or at an end; those that have none are missing.
func (t *tool) endings(partitions []meta.TopicPartition, timestamp int64) (map[meta.TopicPartition]int64, error) {
	var mu sync.Mutex
	found := map[meta.TopicPartition]int64{}
	failures, err := t.cluster.EachLeader(t.Context.Context, "listOffsets", partitions,
		func(n *client.Node, partitions []meta.TopicPartition) (map[meta.TopicPartition]error, error) {
			req := kmsg.NewPtrListOffsetsRequest()
			req.ReplicaID = -1
			for topic, ids := range byTopic(partitions) {
				each := kmsg.NewListOffsetsRequestTopic()
				each.Topic = topic
				for _, id := range ids {
					p := kmsg.NewListOffsetsRequestTopicPartition()
					p.Partition, p.Timestamp, p.CurrentLeaderEpoch = id, timestamp, -1
					each.Partitions = append(each.Partitions, p)
				}
				req.Topics = append(req.Topics, each)
			}
			answer, err := n.Request(req, 7)
			if err != nil {
				return nil, err
			}
			mu.Lock()
			defer mu.Unlock()
			outcome := map[meta.TopicPartition]error{}
			for _, topic := range answer.(*kmsg.ListOffsetsResponse).Topics {
				for _, p := range topic.Partitions {
					tp := meta.TopicPartition{Topic: topic.Topic, Partition: p.Partition}
					outcome[tp] = client.FromCode(p.ErrorCode, nil)
					if p.ErrorCode == 0 && p.Offset >= 0 {
						found[tp] = p.Offset
					}
				}
			}
			return outcome, nil
		})
	if err != nil {
		return nil, client.Execution(err)
	}
	for _, tp := range partitions {
		if err := failures[tp]; err != nil {
			return nil, client.Execution(err)
		}
	}
	return found, nil
}

// partitionsOf reads --topic arguments: t, or t:0,1.
func (t *tool) partitionsOf(arguments []string) ([]meta.TopicPartition, error) {
	var partitions []meta.TopicPartition
	var whole []string
	for _, argument := range arguments {
		topic, list, some := strings.Cut(argument, ":")
		if !some {
			whole = append(whole, topic)
			continue
		}
		ids, err := numbers(list)
		if err != nil {
			return nil, &usageError{"Invalid topic arg '" + argument + "', expected topic name and partitions"}
		}
		for _, id := range ids {
			partitions = append(partitions, meta.TopicPartition{Topic: topic, Partition: id})
		}
	}
	if len(whole) > 0 {
		metadata, err := t.cluster.Metadata(t.Context.Context, "describeTopics", whole...)
		if err != nil {
			return nil, client.Execution(err)
		}
		for _, topic := range metadata.Topics {
			if err := client.FromKError(topic.Err, nil); err != nil {
				return nil, client.Execution(err)
			}
			for _, p := range topic.Partitions {
				partitions = append(partitions, meta.TopicPartition{Topic: topic.Name, Partition: p.ID})
			}
		}
	}
	slices.SortFunc(partitions, meta.TopicPartition.Compare)
	return slices.Compact(partitions), nil
}
