package partitions

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/tools/testkit"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// fakeFleet is a fleet of three, as far as kafka-reassign-partitions can tell, behind one address. Partitions are on
// broker 1; a reassignment that it accepts never ends.
type fakeFleet struct {
	*testkit.Broker
	mu struct {
		sync.Mutex
		live    []int32
		configs map[resource]map[string]string
		moving  map[meta.TopicPartition][]int32
		places  map[meta.TopicPartition]place // on every broker
	}
	// What the controller and the brokers say, if not yes. An error code of -1 closes the connection.
	alter   func(meta.TopicPartition) int16
	logDirs func(meta.TopicPartition) int16
	// configure is called before configurations are altered.
	configure func(resource) int16
}

func newFakeFleet(t *testing.T) *fakeFleet {
	f := &fakeFleet{Broker: testkit.NewBroker(t)}
	f.mu.live = []int32{1, 2, 3}
	f.mu.configs, f.mu.moving = map[resource]map[string]string{}, map[meta.TopicPartition][]int32{}
	f.mu.places = map[meta.TopicPartition]place{}
	yes := func(meta.TopicPartition) int16 { return 0 }
	f.alter, f.logDirs, f.configure = yes, yes, func(resource) int16 { return 0 }
	for key, answer := range map[kmsg.Key]func(kmsg.Request) kmsg.Response{
		kmsg.Metadata: f.metadata, kmsg.DescribeCluster: f.describeCluster, kmsg.DescribeConfigs: f.describeConfigs,
		kmsg.IncrementalAlterConfigs: f.alterConfigs, kmsg.ListPartitionReassignments: f.listReassignments,
		kmsg.AlterPartitionAssignments: f.alterReassignments, kmsg.AlterReplicaLogDirs: f.alterLogDirs, kmsg.DescribeLogDirs: f.describeLogDirs,
	} {
		f.Answer(int16(key), func(req kmsg.Request) kmsg.Response {
			f.mu.Lock()
			defer f.mu.Unlock()
			return answer(req)
		})
	}
	f.Cap(int16(kmsg.AlterPartitionAssignments), 0)
	return f
}

func (f *fakeFleet) describeCluster(kmsg.Request) kmsg.Response {
	resp := kmsg.NewPtrDescribeClusterResponse()
	resp.ControllerID = 1
	for _, id := range f.mu.live {
		b := kmsg.NewDescribeClusterResponseBroker()
		b.NodeID, b.Host, b.Port = id, f.Host, f.Port
		resp.Brokers = append(resp.Brokers, b)
	}
	return resp
}

func (f *fakeFleet) metadata(req kmsg.Request) kmsg.Response {
	resp := kmsg.NewPtrMetadataResponse()
	resp.ControllerID = 1
	for _, id := range f.mu.live {
		b := kmsg.NewMetadataResponseBroker()
		b.NodeID, b.Host, b.Port = id, f.Host, f.Port
		resp.Brokers = append(resp.Brokers, b)
	}
	for _, asked := range req.(*kmsg.MetadataRequest).Topics {
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic = asked.Topic
		if *asked.Topic == "nope" {
			topic.ErrorCode = 3
		} else {
			for id := range int32(2) {
				p := kmsg.NewMetadataResponseTopicPartition()
				p.Partition, p.Leader, p.Replicas, p.ISR = id, 1, []int32{1}, []int32{1}
				topic.Partitions = append(topic.Partitions, p)
			}
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f *fakeFleet) describeConfigs(req kmsg.Request) kmsg.Response {
	resp := kmsg.NewPtrDescribeConfigsResponse()
	for _, asked := range req.(*kmsg.DescribeConfigsRequest).Resources {
		r := kmsg.NewDescribeConfigsResponseResource()
		r.ResourceType, r.ResourceName = asked.ResourceType, asked.ResourceName
		source := kmsg.ConfigSourceDynamicTopicConfig
		if asked.ResourceType == kmsg.ConfigResourceTypeBroker {
			source = kmsg.ConfigSourceDynamicBrokerConfig
		}
		for key, value := range f.mu.configs[resource{asked.ResourceType, asked.ResourceName}] {
			c := kmsg.NewDescribeConfigsResponseResourceConfig()
			c.Name, c.Value, c.Source = key, &value, source
			r.Configs = append(r.Configs, c)
		}
		// What is configured elsewhere is none of this resource's own.
		c := kmsg.NewDescribeConfigsResponseResourceConfig()
		c.Name, c.Value, c.Source = followerRate, kmsg.StringPtr("9223372036854775807"), kmsg.ConfigSourceDefaultConfig
		r.Configs = append(r.Configs, c)
		resp.Resources = append(resp.Resources, r)
	}
	return resp
}

func (f *fakeFleet) alterConfigs(req kmsg.Request) kmsg.Response {
	resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
	for _, asked := range req.(*kmsg.IncrementalAlterConfigsRequest).Resources {
		key := resource{asked.ResourceType, asked.ResourceName}
		r := kmsg.NewIncrementalAlterConfigsResponseResource()
		r.ResourceType, r.ResourceName = asked.ResourceType, asked.ResourceName
		if r.ErrorCode = f.configure(key); r.ErrorCode < 0 {
			return nil
		} else if r.ErrorCode == 0 {
			if f.mu.configs[key] == nil {
				f.mu.configs[key] = map[string]string{}
			}
			for _, c := range asked.Configs {
				if c.Op == kmsg.IncrementalAlterConfigOpDelete {
					delete(f.mu.configs[key], c.Name)
				} else {
					f.mu.configs[key][c.Name] = *c.Value
				}
			}
		}
		resp.Resources = append(resp.Resources, r)
	}
	return resp
}

func (f *fakeFleet) listReassignments(kmsg.Request) kmsg.Response {
	resp := kmsg.NewPtrListPartitionReassignmentsResponse()
	for tp, replicas := range f.mu.moving {
		topic := kmsg.NewListPartitionReassignmentsResponseTopic()
		topic.Topic = tp.Topic
		p := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
		p.Partition, p.Replicas, p.AddingReplicas = tp.Partition, append([]int32{1}, replicas...), replicas
		topic.Partitions = append(topic.Partitions, p)
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f *fakeFleet) alterReassignments(req kmsg.Request) kmsg.Response {
	resp := kmsg.NewPtrAlterPartitionAssignmentsResponse()
	for _, asked := range req.(*kmsg.AlterPartitionAssignmentsRequest).Topics {
		topic := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		topic.Topic = asked.Topic
		for _, each := range asked.Partitions {
			tp := meta.TopicPartition{Topic: asked.Topic, Partition: each.Partition}
			p := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			p.Partition = each.Partition
			switch p.ErrorCode = f.alter(tp); {
			case p.ErrorCode < 0:
				return nil
			case p.ErrorCode > 0:
				p.ErrorMessage = kmsg.StringPtr("No.")
			case each.Replicas == nil:
				delete(f.mu.moving, tp)
			default:
				f.mu.moving[tp] = each.Replicas
			}
			topic.Partitions = append(topic.Partitions, p)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f *fakeFleet) alterLogDirs(req kmsg.Request) kmsg.Response {
	resp := kmsg.NewPtrAlterReplicaLogDirsResponse()
	for _, dir := range req.(*kmsg.AlterReplicaLogDirsRequest).Dirs {
		for _, asked := range dir.Topics {
			topic := kmsg.NewAlterReplicaLogDirsResponseTopic()
			topic.Topic = asked.Topic
			for _, id := range asked.Partitions {
				p := kmsg.NewAlterReplicaLogDirsResponseTopicPartition()
				p.Partition, p.ErrorCode = id, f.logDirs(meta.TopicPartition{Topic: asked.Topic, Partition: id})
				topic.Partitions = append(topic.Partitions, p)
			}
			resp.Topics = append(resp.Topics, topic)
		}
	}
	return resp
}

func (f *fakeFleet) describeLogDirs(kmsg.Request) kmsg.Response {
	resp := kmsg.NewPtrDescribeLogDirsResponse()
	add := func(path string, tp meta.TopicPartition, future bool) {
		if path == "" {
			return
		}
		dir := kmsg.NewDescribeLogDirsResponseDir()
		dir.Dir = path
		topic := kmsg.NewDescribeLogDirsResponseDirTopic()
		topic.Topic = tp.Topic
		p := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		p.Partition, p.IsFuture = tp.Partition, future
		topic.Partitions = append(topic.Partitions, p)
		dir.Topics = append(dir.Topics, topic)
		resp.Dirs = append(resp.Dirs, dir)
	}
	for tp, at := range f.mu.places {
		add(at.current, tp, false)
		add(at.future, tp, true)
	}
	offline := kmsg.NewDescribeLogDirsResponseDir()
	offline.ErrorCode, offline.Dir = 56, "/offline"
	resp.Dirs = append(resp.Dirs, offline)
	return resp
}

// set configures a resource.
func (f *fakeFleet) set(r resource, key, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.configs[r] == nil {
		f.mu.configs[r] = map[string]string{}
	}
	f.mu.configs[r][key] = value
}

// configs is what is configured, as lines.
func (f *fakeFleet) configs() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := settings{}
	for r, values := range f.mu.configs {
		for key, value := range values {
			s.set(r, key, &value)
		}
	}
	return s.render()
}

// run runs kafka-reassign-partitions against the fleet. It gives up on calls after a second.
func (f *fakeFleet) run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return f.runUntil(t, t.Context(), args...)
}

// runUntil is run with a context whose end is what a SIGINT is.
func (f *fakeFleet) runUntil(t *testing.T, ctx context.Context, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	file := writeFile(t, "client.properties", "default.api.timeout.ms=1000\nrequest.timeout.ms=1000\n")
	return testkit.Run(ctx, ReassignCommand(), append([]string{"--bootstrap-server", f.Address(), "--command-config", file}, args...)...)
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// planOf writes a plan that gives each of topic's partitions these replicas.
func planOf(t *testing.T, topic string, replicas ...int32) string {
	t.Helper()
	targets := map[meta.TopicPartition][]int32{}
	for i, id := range replicas {
		targets[meta.TopicPartition{Topic: topic, Partition: int32(i)}] = []int32{id}
	}
	return writeFile(t, "plan.json", formatPlan(targets))
}
