package broker_test

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// recordedWrite is a write of a broker of Apache Kafka to ZooKeeper, in one phase of a fleet's life.
type recordedWrite struct {
	Phase string
	zktest.Write
}

func recordedWrites(t *testing.T) []recordedWrite {
	t.Helper()
	f, err := os.Open("testdata/golden/znodes.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all []recordedWrite
	for d := json.NewDecoder(unzipped); ; {
		var w recordedWrite
		if err := d.Decode(&w); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, w)
	}
}

// znodeFleet is three brokers whose writes to ZooKeeper are compared with those of three recorded ones, phase by phase.
type znodeFleet struct {
	t        *testing.T
	want     []recordedWrite
	recorder *zktest.Recorder
	nodes    [4]*brokertest.Node // by id
	client   *kgo.Client
	admin    *kadm.Client
}

func TestGoldenZnodes(t *testing.T) {
	t.Parallel()
	f := &znodeFleet{t: t, want: recordedWrites(t), recorder: zktest.NewRecorder(t, zktest.Start(t).Addr())}
	f.phase("01a", func() { f.start(1) })
	f.client = client(t, f.nodes[1].Addr())
	f.admin = kadm.NewClient(f.client)
	f.phase("01b", func() { f.start(2); f.start(3) })
	f.phase("02a", func() {
		f.create(counted("one", 1), counted("six", 6), counted("with-config", 2, "retention.ms", "86400000", "cleanup.policy", "compact,delete", "min.insync.replicas", "2"))
	})
	f.phase("02b", func() {
		f.create(assigned("explicit", [][]int32{{3, 1}, {1, 2}, {2, 3}}))
		f.create(assigned("only-on-2", [][]int32{{2}}))
		f.create(assigned("unclean", [][]int32{{2, 3}}))
		f.create(assigned("dots.and_underscores-1", [][]int32{{1, 2, 3}}, "segment.bytes", "1048576"))
	})
	f.phase("02c", f.autoCreate)
	f.phase("03a", func() {
		f.alterTopic("one", set("retention.ms", "3600000"), set("compression.type", "lz4"))
		f.alterTopic("one", unset("retention.ms"), set("max.message.bytes", "2000000"))
		f.alterTopic("six", set("leader.replication.throttled.replicas", "0:1,1:2"), set("follower.replication.throttled.replicas", "*"))
		f.alterTopic("six", unset("leader.replication.throttled.replicas"), unset("follower.replication.throttled.replicas"))
	})
	f.phase("03b", func() {
		f.alterBroker(2, set("log.cleaner.threads", "2"), set("leader.replication.throttled.rate", "1000000"))
		f.alterBroker(3, set("num.io.threads", "6"))
	})
	f.phase("03c", func() { f.alterBrokers(set("log.retention.ms", "200000000"), set("message.max.bytes", "2097152")) })
	f.phase("03e", func() {
		_, port, _ := strings.Cut(f.nodes[2].Addr(), ":")
		f.alterBroker(2, set("advertised.listeners", "PLAINTEXT://localhost:"+port))
	})
	f.phase("08a", func() { f.initProducerID(3); f.initProducerID(1) })
	f.phase("09d", func() {
		f.grow("one", 4, nil)
		f.grow("explicit", 5, [][]int32{{1, 3}, {2, 1}})
	})
	f.create(assigned("move", [][]int32{{2, 3}, {3, 1}, {3, 2}, {1, 2}}))
	f.phase("05a", func() { f.delete("move") })
}

// TestGoldenZnodesStop compares what the last broker of a fleet writes when it stops.
func TestGoldenZnodesStop(t *testing.T) {
	t.Parallel()
	f := &znodeFleet{t: t, want: recordedWrites(t), recorder: zktest.NewRecorder(t, zktest.Start(t).Addr())}
	f.start(1)
	f.client = client(t, f.nodes[1].Addr())
	f.create(assigned("small", [][]int32{{1}, {1}}))
	f.phase("13", f.nodes[1].Stop)
}

// phase does something and compares what the brokers wrote meanwhile.
func (f *znodeFleet) phase(name string, do func()) {
	f.t.Helper()
	f.recorder.Forget()
	do()
	var want []zktest.Write
	for _, w := range f.want {
		if w.Phase == name {
			want = append(want, w.Write)
		}
	}
	expected := byGroup(name, want)
	got := byGroup(name, f.recorder.Writes())
	for deadline := time.Now().Add(settle); time.Now().Before(deadline) && !covers(got, expected); time.Sleep(5 * time.Millisecond) {
		got = byGroup(name, f.recorder.Writes())
	}
	n := 0
	for _, group := range expected.order {
		w, g := expected.lines[group], got.lines[group]
		n += len(w)
		if !slices.Equal(w, g) {
			f.t.Errorf("%s: %s: Kafka wrote\n\t%s\nkraal wrote\n\t%s", name, group, strings.Join(w, "\n\t"), strings.Join(g, "\n\t"))
		}
	}
	for _, group := range got.order {
		if _, ok := expected.lines[group]; !ok {
			f.t.Errorf("%s: %s: Kafka wrote nothing, kraal wrote\n\t%s", name, group, strings.Join(got.lines[group], "\n\t"))
		}
	}
	f.t.Logf("%s: compared %d writes", name, n)
}

// covers reports whether got has at least as many writes everywhere.
func covers(got, want groups) bool {
	for g, lines := range want.lines {
		if len(got.lines[g]) < len(lines) {
			return false
		}
	}
	return true
}

func (f *znodeFleet) start(id int) {
	f.nodes[id] = brokertest.Start(f.t, f.recorder.Addr(fmt.Sprintf("broker-%d", id)), map[string]string{
		"broker.id": fmt.Sprint(id), "broker.rack": fmt.Sprintf("r%d", id), "auto.leader.rebalance.enable": "false",
		"num.partitions": "2", "default.replication.factor": "3"})
}

func counted(topic string, partitions int32, configs ...string) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, partitions, 3
	for i := 0; i < len(configs); i += 2 {
		t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: configs[i], Value: &configs[i+1]})
	}
	return t
}

func assigned(topic string, replicas [][]int32, configs ...string) kmsg.CreateTopicsRequestTopic {
	t := counted(topic, -1, configs...)
	t.ReplicationFactor = -1
	for i, ids := range replicas {
		t.ReplicaAssignment = append(t.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(i), Replicas: ids})
	}
	return t
}

func (f *znodeFleet) create(topics ...kmsg.CreateTopicsRequestTopic) {
	f.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis, req.Topics = 20000, topics
	resp, err := req.RequestWith(within(f.t), f.client)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, t := range resp.Topics {
		if t.ErrorCode != 0 {
			f.t.Fatalf("create %s: error %d", t.Topic, t.ErrorCode)
		}
	}
}

// autoCreate asks broker 3, which is not the controller.
func (f *znodeFleet) autoCreate() {
	f.t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	name := "auto-created"
	req.AllowAutoTopicCreation, req.Topics = true, []kmsg.MetadataRequestTopic{{Topic: &name}}
	if _, err := f.client.Broker(3).Request(within(f.t), req); err != nil {
		f.t.Fatal(err)
	}
}

func set(key, value string) kadm.AlterConfig {
	return kadm.AlterConfig{Op: kadm.SetConfig, Name: key, Value: &value}
}

func unset(key string) kadm.AlterConfig { return kadm.AlterConfig{Op: kadm.DeleteConfig, Name: key} }

func (f *znodeFleet) altered(r kadm.AlterConfigsResponses, err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, r := range r {
		if r.Err != nil {
			f.t.Fatalf("alter %s: %v (%s)", r.Name, r.Err, r.ErrMessage)
		}
	}
}

func (f *znodeFleet) alterTopic(topic string, ops ...kadm.AlterConfig) {
	f.t.Helper()
	f.altered(f.admin.AlterTopicConfigs(within(f.t), ops, topic))
}

func (f *znodeFleet) alterBroker(id int32, ops ...kadm.AlterConfig) {
	f.t.Helper()
	f.altered(f.admin.AlterBrokerConfigs(within(f.t), ops, id))
}

func (f *znodeFleet) alterBrokers(ops ...kadm.AlterConfig) {
	f.t.Helper()
	f.altered(f.admin.AlterBrokerConfigs(within(f.t), ops))
}

func (f *znodeFleet) initProducerID(broker int) {
	f.t.Helper()
	resp, err := f.client.Broker(broker).RetriableRequest(within(f.t), kmsg.NewPtrInitProducerIDRequest())
	if err != nil || resp.(*kmsg.InitProducerIDResponse).ErrorCode != 0 {
		f.t.Fatal(err, resp)
	}
}

func (f *znodeFleet) grow(topic string, count int32, assignment [][]int32) {
	f.t.Helper()
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = 20000
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = topic, count
	for _, ids := range assignment {
		t.Assignment = append(t.Assignment, kmsg.CreatePartitionsRequestTopicAssignment{Replicas: ids})
	}
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(within(f.t), f.client)
	if err != nil || resp.Topics[0].ErrorCode != 0 {
		f.t.Fatal(err, resp)
	}
}

func (f *znodeFleet) delete(topic string) {
	f.t.Helper()
	if r, err := f.admin.DeleteTopics(within(f.t), topic); err != nil || r.Error() != nil {
		f.t.Fatal(err, r.Error())
	}
}
