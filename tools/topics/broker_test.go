package topics

import (
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/tools/testkit"
)

// fakeCluster is a broker that keeps topics, as far as kafka-topics can tell.
type fakeCluster struct {
	*testkit.Broker
	mu struct {
		sync.Mutex
		topics map[string]int32 // name to number of partitions
	}
	requests []kmsg.Request
}

func newFakeCluster(t *testing.T) *fakeCluster {
	f := &fakeCluster{Broker: testkit.NewBroker(t)}
	f.mu.topics = map[string]int32{"orders": 2, "other": 1, "__consumer_offsets": 1}
	for key, answer := range map[kmsg.Key]func(kmsg.Request) kmsg.Response{
		kmsg.Metadata: f.metadata, kmsg.DescribeCluster: f.describeCluster, kmsg.CreateTopics: f.createTopics,
		kmsg.DeleteTopics: f.deleteTopics, kmsg.CreatePartitions: f.createPartitions, kmsg.DescribeConfigs: f.describeConfigs,
		kmsg.ListPartitionReassignments: func(kmsg.Request) kmsg.Response {
			resp := kmsg.NewPtrListPartitionReassignmentsResponse()
			topic := kmsg.NewListPartitionReassignmentsResponseTopic()
			topic.Topic = "orders"
			p := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
			p.Partition, p.Replicas, p.AddingReplicas, p.RemovingReplicas = 1, []int32{1, 2}, []int32{2}, []int32{}
			topic.Partitions = append(topic.Partitions, p)
			resp.Topics = append(resp.Topics, topic)
			return resp
		},
	} {
		f.Answer(int16(key), func(req kmsg.Request) kmsg.Response {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.requests = append(f.requests, req)
			return answer(req)
		})
	}
	return f
}

func (f *fakeCluster) describeCluster(kmsg.Request) kmsg.Response {
	resp := kmsg.NewPtrDescribeClusterResponse()
	resp.ControllerID = 1
	b := kmsg.NewDescribeClusterResponseBroker()
	b.NodeID, b.Host, b.Port = 1, f.Host, f.Port
	resp.Brokers = append(resp.Brokers, b)
	return resp
}

func (f *fakeCluster) metadata(req kmsg.Request) kmsg.Response {
	resp := kmsg.NewPtrMetadataResponse()
	resp.ControllerID = 1
	b := kmsg.NewMetadataResponseBroker()
	b.NodeID, b.Host, b.Port = 1, f.Host, f.Port
	resp.Brokers = append(resp.Brokers, b)
	wanted := map[string]bool{}
	for name := range f.mu.topics {
		wanted[name] = true
	}
	if named := req.(*kmsg.MetadataRequest).Topics; named != nil {
		clear(wanted)
		for _, t := range named {
			wanted[*t.Topic] = true
		}
	}
	for name := range wanted {
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic, topic.IsInternal = &name, strings.HasPrefix(name, "__")
		topic.TopicID = [16]byte{15: 5}
		count, ok := f.mu.topics[name]
		if !ok {
			topic.ErrorCode = 3
		}
		for id := range count {
			p := kmsg.NewMetadataResponseTopicPartition()
			p.Partition, p.Leader, p.Replicas, p.ISR = id, 1, []int32{1, 2}, []int32{1}
			topic.Partitions = append(topic.Partitions, p)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f *fakeCluster) createTopics(req kmsg.Request) kmsg.Response {
	asked := req.(*kmsg.CreateTopicsRequest).Topics[0]
	resp := kmsg.NewPtrCreateTopicsResponse()
	topic := kmsg.NewCreateTopicsResponseTopic()
	topic.Topic = asked.Topic
	if _, exists := f.mu.topics[asked.Topic]; exists {
		topic.ErrorCode, topic.ErrorMessage = 36, kmsg.StringPtr("Topic '"+asked.Topic+"' already exists.")
	} else {
		f.mu.topics[asked.Topic] = max(asked.NumPartitions, 1)
	}
	resp.Topics = append(resp.Topics, topic)
	return resp
}

func (f *fakeCluster) deleteTopics(req kmsg.Request) kmsg.Response {
	resp := kmsg.NewPtrDeleteTopicsResponse()
	for _, asked := range req.(*kmsg.DeleteTopicsRequest).Topics {
		delete(f.mu.topics, *asked.Topic)
		topic := kmsg.NewDeleteTopicsResponseTopic()
		topic.Topic = asked.Topic
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f *fakeCluster) createPartitions(req kmsg.Request) kmsg.Response {
	resp := kmsg.NewPtrCreatePartitionsResponse()
	for _, asked := range req.(*kmsg.CreatePartitionsRequest).Topics {
		f.mu.topics[asked.Topic] = asked.Count
		topic := kmsg.NewCreatePartitionsResponseTopic()
		topic.Topic = asked.Topic
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f *fakeCluster) describeConfigs(req kmsg.Request) kmsg.Response {
	resp := kmsg.NewPtrDescribeConfigsResponse()
	for _, asked := range req.(*kmsg.DescribeConfigsRequest).Resources {
		r := kmsg.NewDescribeConfigsResponseResource()
		r.ResourceType, r.ResourceName = asked.ResourceType, asked.ResourceName
		for _, e := range []struct {
			name, value string
			source      kmsg.ConfigSource
		}{
			{"retention.ms", "5", kmsg.ConfigSourceDynamicTopicConfig},
			{"min.insync.replicas", "1", kmsg.ConfigSourceDefaultConfig},
			{"flush.ms", "9", kmsg.ConfigSourceStaticBrokerConfig},
		} {
			c := kmsg.NewDescribeConfigsResponseResourceConfig()
			c.Name, c.Value, c.Source = e.name, &e.value, e.source
			r.Configs = append(r.Configs, c)
		}
		resp.Resources = append(resp.Resources, r)
	}
	return resp
}

func TestTopicsAgainstABroker(t *testing.T) {
	f := newFakeCluster(t)
	var script strings.Builder
	for _, line := range []string{
		"--list",
		"--list --exclude-internal --topic o.*",
		"--describe --topic orders",
		"--describe --topic-id AAAAAAAAAAAAAAAAAAAABg",
		"--create --topic new --partitions 3 --config cleanup.policy=compact,delete",
		"--create --topic new",
		"--create --topic new --if-not-exists",
		"--create --topic laid.out --replica-assignment 1:2,2:1",
		"--alter --topic new --partitions 4 --replica-assignment 1,1,1,1",
		"--alter --topic orders --partitions 3",
		"--alter --topic nope --partitions 3",
		"--delete --topic new|orders",
		"--delete --topic new",
		"--delete --topic new --if-exists",
		"--list",
	} {
		args := append([]string{"--bootstrap-server", f.Address()}, strings.Fields(line)...)
		stdout, stderr, code := testkit.Run(t.Context(), Command(), args...)
		if (code == 0) != (stderr == "") {
			t.Errorf("%s: exit code %d, stderr %q", line, code, stderr)
		}
		script.WriteString("$ " + line + "\n" + stdout + "exit " + string(rune('0'+code)) + "\n\n")
	}
	testkit.Golden(t, "broker.txt", []byte(script.String()))
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, req := range f.requests {
		switch r := req.(type) {
		case *kmsg.CreateTopicsRequest:
			if topic := r.Topics[0]; topic.Topic == "laid.out" && (topic.NumPartitions != -1 || topic.ReplicationFactor != -1 || len(topic.ReplicaAssignment) != 2) {
				t.Errorf("create with assignment sent %+v", topic)
			}
		case *kmsg.CreatePartitionsRequest:
			if topic := r.Topics[0]; topic.Topic == "new" && (topic.Count != 4 || len(topic.Assignment) != 1) || topic.Topic == "orders" && topic.Assignment != nil {
				t.Errorf("alter sent %+v", topic)
			}
		case *kmsg.MetadataRequest:
			if r.AllowAutoTopicCreation {
				t.Error("metadata request that creates topics")
			}
		}
	}
}
