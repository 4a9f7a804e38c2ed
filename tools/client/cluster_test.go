package client

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/tools/testkit"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// fleet starts brokers with ids from 1 on that know each other; controller says which is the controller.
func fleet(t *testing.T, n int, controller func() int32) []*testkit.Broker {
	brokers := make([]*testkit.Broker, n)
	for i := range brokers {
		brokers[i] = testkit.NewBroker(t)
	}
	for _, b := range brokers {
		b.Answer(int16(kmsg.DescribeCluster), func(kmsg.Request) kmsg.Response {
			resp := kmsg.NewPtrDescribeClusterResponse()
			resp.ClusterID, resp.ControllerID = "fleet", controller()
			for i, b := range brokers {
				each := kmsg.NewDescribeClusterResponseBroker()
				each.NodeID, each.Host, each.Port = int32(i+1), b.Host, b.Port
				resp.Brokers = append(resp.Brokers, each)
			}
			return resp
		})
	}
	return brokers
}

func open(t *testing.T, b *testkit.Broker, settings string) *Cluster {
	t.Helper()
	p, err := ParseProperties([]byte("default.api.timeout.ms=30000\n" + settings))
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(b.Address(), p, Options{ClientID: "test", Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func one() int32 { return 1 }

func deleteTopic(n *Node) error {
	resp, err := n.DeleteTopics(&sarama.DeleteTopicsRequest{Version: 6, Topics: []string{"a"}})
	if err != nil {
		return err
	}
	return FromKError(resp.TopicErrorCodes["a"], resp.TopicErrorMessages["a"])
}

func deleted(code int16, message *string) func(kmsg.Request) kmsg.Response {
	return func(kmsg.Request) kmsg.Response {
		resp := kmsg.NewPtrDeleteTopicsResponse()
		topic := kmsg.NewDeleteTopicsResponseTopic()
		topic.Topic, topic.ErrorCode, topic.ErrorMessage = kmsg.StringPtr("a"), code, message
		resp.Topics = append(resp.Topics, topic)
		return resp
	}
}

func TestCallFollowsTheController(t *testing.T) {
	var controller atomic.Int32
	controller.Store(1)
	brokers := fleet(t, 2, controller.Load)
	brokers[0].Answer(int16(kmsg.DeleteTopics), func(req kmsg.Request) kmsg.Response {
		controller.Store(2)
		return deleted(int16(sarama.ErrNotController), nil)(req)
	})
	brokers[1].Answer(int16(kmsg.DeleteTopics), deleted(0, nil))
	if err := open(t, brokers[0], "").Call(t.Context(), "deleteTopics", Controller, deleteTopic); err != nil {
		t.Error(err)
	}
}

func TestCallSurvivesALostConnection(t *testing.T) {
	b := fleet(t, 1, one)[0]
	var calls atomic.Int32
	b.Answer(int16(kmsg.DeleteTopics), func(req kmsg.Request) kmsg.Response {
		if calls.Add(1) == 1 {
			return nil
		}
		return deleted(0, nil)(req)
	})
	if err := open(t, b, "").Call(t.Context(), "deleteTopics", Controller, deleteTopic); err != nil || calls.Load() != 2 {
		t.Errorf("%d calls: %v", calls.Load(), err)
	}
}

func TestCallReportsARefusalAtOnce(t *testing.T) {
	b := fleet(t, 1, one)[0]
	message := "There is no a."
	b.Answer(int16(kmsg.DeleteTopics), deleted(int16(sarama.ErrUnknownTopicOrPartition), &message))
	err := open(t, b, "").Call(t.Context(), "deleteTopics", Controller, deleteTopic)
	if !HasCode(err, sarama.ErrUnknownTopicOrPartition) || err.Error() != message {
		t.Errorf("%v", err)
	}
	if want := "org.apache.kafka.common.errors.UnknownTopicOrPartitionException: There is no a."; Describe(err) != want {
		t.Errorf("got %s", Describe(err))
	}
}

func TestCallNamesWhatABrokerLacks(t *testing.T) {
	b := fleet(t, 1, one)[0]
	err := open(t, b, "").Call(t.Context(), "deleteTopics", Any, deleteTopic)
	if !HasCode(err, sarama.ErrUnsupportedVersion) || err.Error() != "The node does not support DELETE_TOPICS" {
		t.Errorf("%v", err)
	}
	err = open(t, b, "").Call(t.Context(), "unregisterBroker", Any, func(n *Node) error {
		_, err := n.Request(kmsg.NewPtrUnregisterBrokerRequest(), 0)
		return err
	})
	if !HasCode(err, sarama.ErrUnsupportedVersion) || err.Error() != "The node does not support UNREGISTER_BROKER" {
		t.Errorf("%v", err)
	}
}

func TestCallGivesUp(t *testing.T) {
	b := fleet(t, 1, one)[0]
	err := open(t, b, "default.api.timeout.ms=150").Call(t.Context(), "describeLogDirs", Broker(9), func(*Node) error { return nil })
	if err == nil || Describe(err) != TimeoutException+": Timed out waiting for a node assignment. Call: describeLogDirs" {
		t.Errorf("unknown broker: %v", err)
	}
	b.Answer(int16(kmsg.DeleteTopics), func(kmsg.Request) kmsg.Response { return nil })
	err = open(t, b, "default.api.timeout.ms=150").Call(t.Context(), "deleteTopics", Any, deleteTopic)
	if err == nil || !strings.HasPrefix(err.Error(), "Call(callName=deleteTopics, deadlineMs=") {
		t.Errorf("connection always lost: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := open(t, b, "").Call(ctx, "x", Broker(9), func(*Node) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// kmsg requests go over the connection sarama talks on, in any order with sarama's own.
func TestRequestBetweenSaramas(t *testing.T) {
	b := fleet(t, 1, one)[0]
	b.Cap(int16(kmsg.DescribeConfigs), 1)
	b.Answer(int16(kmsg.DescribeConfigs), func(req kmsg.Request) kmsg.Response {
		if req.GetVersion() != 1 {
			t.Errorf("version %d, want 1: the broker has no more", req.GetVersion())
		}
		resp := kmsg.NewPtrDescribeConfigsResponse()
		resource := kmsg.NewDescribeConfigsResponseResource()
		resource.ResourceName = req.(*kmsg.DescribeConfigsRequest).Resources[0].ResourceName
		for _, name := range []string{"b", "a"} {
			entry := kmsg.NewDescribeConfigsResponseResourceConfig()
			entry.Name = name
			resource.Configs = append(resource.Configs, entry)
		}
		resp.Resources = append(resp.Resources, resource)
		return resp
	})
	c := open(t, b, "")
	for range 3 {
		found, err := c.DescribeConfigs(t.Context(), Any, kmsg.ConfigResourceTypeTopic, true, "t")
		if err != nil || len(found) != 1 || found[0].Configs[0].Name != "a" || found[0].Configs[0].Value != nil {
			t.Fatalf("%+v, %v", found, err)
		}
		if id, brokers, err := c.Describe(t.Context(), "x"); id != "fleet" || len(brokers) != 1 || err != nil {
			t.Fatalf("%s %v %v", id, brokers, err)
		}
	}
}

func TestEachLeaderTriesAgain(t *testing.T) {
	brokers := fleet(t, 2, one)
	for _, b := range brokers {
		b.Answer(int16(kmsg.Metadata), func(kmsg.Request) kmsg.Response {
			resp := kmsg.NewPtrMetadataResponse()
			for i, b := range brokers {
				each := kmsg.NewMetadataResponseBroker()
				each.NodeID, each.Host, each.Port = int32(i+1), b.Host, b.Port
				resp.Brokers = append(resp.Brokers, each)
			}
			topic := kmsg.NewMetadataResponseTopic()
			topic.Topic = kmsg.StringPtr("t")
			for i := range int32(3) {
				p := kmsg.NewMetadataResponseTopicPartition()
				p.Partition, p.Leader = i, i%2+1
				topic.Partitions = append(topic.Partitions, p)
			}
			resp.Topics = append(resp.Topics, topic)
			return resp
		})
	}
	partition := func(id int32) meta.TopicPartition { return meta.TopicPartition{Topic: "t", Partition: id} }
	asked := map[meta.TopicPartition]int{}
	failed, err := open(t, brokers[0], "default.api.timeout.ms=450").EachLeader(t.Context(), "ask", []meta.TopicPartition{partition(0), partition(1), partition(2), partition(3)},
		func(_ *Node, led []meta.TopicPartition) (map[meta.TopicPartition]error, error) {
			outcome := map[meta.TopicPartition]error{}
			for _, tp := range led {
				asked[tp]++
				switch {
				case tp.Partition == 1:
					outcome[tp] = FromKError(sarama.ErrOffsetOutOfRange, nil)
				case tp.Partition == 2 && asked[tp] == 1:
					outcome[tp] = FromKError(sarama.ErrNotLeaderForPartition, nil)
				}
			}
			return outcome, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	if asked[partition(0)] != 1 || asked[partition(1)] != 1 || asked[partition(2)] != 2 || asked[partition(3)] != 0 {
		t.Errorf("asked %v", asked)
	}
	if len(failed) != 2 || !HasCode(failed[partition(1)], sarama.ErrOffsetOutOfRange) ||
		!strings.HasPrefix(Describe(failed[partition(3)]), TimeoutException) {
		t.Errorf("failed %v", failed)
	}
}

func TestCallFindsABrokerThatMoved(t *testing.T) {
	brokers := fleet(t, 2, one)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	var asked atomic.Int32
	brokers[0].Answer(int16(kmsg.DescribeCluster), func(kmsg.Request) kmsg.Response {
		resp := kmsg.NewPtrDescribeClusterResponse()
		resp.ControllerID = 1
		second := kmsg.NewDescribeClusterResponseBroker()
		second.NodeID, second.Host, second.Port = 2, "127.0.0.1", int32(gone.Addr().(*net.TCPAddr).Port)
		if asked.Add(1) > 1 {
			second.Port = brokers[1].Port
		}
		resp.Brokers = append(resp.Brokers, second)
		return resp
	})
	brokers[1].Answer(int16(kmsg.DeleteTopics), deleted(0, nil))
	if err := open(t, brokers[0], "").Call(t.Context(), "deleteTopics", Broker(2), deleteTopic); err != nil {
		t.Error(err)
	}
}
