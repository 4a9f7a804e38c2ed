package api

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/transport"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/controller"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// scripted is a controller that gives the same answer to everybody and remembers what it was asked.
type scripted struct {
	err           error // of the request as a whole; ErrNotController: not active
	each          error // of every partition
	state         meta.LeaderAndISR
	leader        meta.BrokerID
	left          []meta.TopicPartition
	running       map[meta.TopicPartition]meta.Assignment
	block         controller.ProducerIDBlock
	broker        meta.BrokerID
	epoch         meta.BrokerEpoch
	changes       []controller.PartitionChange
	partitions    []meta.TopicPartition
	reassignments []controller.Reassignment
}

func (s *scripted) IsActive() bool            { return s.err != controller.ErrNotController }
func (s *scripted) TopicDeleting(string) bool { return false }

func (s *scripted) AlterPartition(_ context.Context, from meta.BrokerID, epoch meta.BrokerEpoch, changes []controller.PartitionChange) ([]controller.PartitionChangeResult, error) {
	s.broker, s.epoch, s.changes = from, epoch, changes
	results := make([]controller.PartitionChangeResult, len(changes))
	for i := range results {
		results[i].Err = s.each
		if s.each == nil {
			results[i].State = s.state
		}
	}
	return results, s.err
}

func (s *scripted) ElectLeaders(_ context.Context, _ controller.ElectionType, partitions []meta.TopicPartition) ([]controller.ElectionResult, error) {
	s.partitions = partitions
	results := make([]controller.ElectionResult, len(partitions))
	for i := range results {
		results[i] = controller.ElectionResult{Leader: s.leader, Err: s.each}
	}
	return results, s.err
}

func (s *scripted) AlterReassignments(_ context.Context, reassignments []controller.Reassignment) ([]error, error) {
	s.reassignments = reassignments
	errs := make([]error, len(reassignments))
	for i := range errs {
		errs[i] = s.each
	}
	return errs, s.err
}

func (s *scripted) Reassignments(_ context.Context, partitions []meta.TopicPartition) (map[meta.TopicPartition]meta.Assignment, error) {
	s.partitions = partitions
	return s.running, s.err
}

func (s *scripted) ControlledShutdown(_ context.Context, broker meta.BrokerID, epoch meta.BrokerEpoch) ([]meta.TopicPartition, error) {
	s.broker, s.epoch = broker, epoch
	return s.left, s.err
}

func (s *scripted) AllocateProducerIDs(_ context.Context, broker meta.BrokerID, epoch meta.BrokerEpoch) (controller.ProducerIDBlock, error) {
	s.broker, s.epoch = broker, epoch
	return s.block, s.err
}

// nobody may do anything.
type nobody struct{}

func (nobody) Allowed(*transport.Conn, acl.Operation, acl.ResourceType, string) bool { return false }
func (nobody) AllowedOnAny(*transport.Conn, acl.Operation, acl.ResourceType) bool    { return false }

func handler(t *testing.T, c Controller) *Handler {
	t.Helper()
	static, _, err := config.FromMap(map[string]string{"broker.id": "1", "zookeeper.connect": "localhost:1", "log.dirs": "/nowhere"})
	if err != nil {
		t.Fatal(err)
	}
	return New(Deps{BrokerID: 1, Config: config.NewDynamic(static, zap.NewNop()), Controller: c, Metadata: metadata.NewCache(),
		Logger: zap.NewNop(), Metrics: prometheus.NewRegistry()})
}

// do sends a request through the encodings of a version, both ways.
func do[A kmsg.Response](t *testing.T, h *Handler, version int16, req kmsg.Request) A {
	t.Helper()
	lowest, highest, ok := h.Versions(req.Key())
	if !ok || version < lowest || version > highest {
		t.Fatalf("%T version %d is not served", req, version)
	}
	req.SetVersion(version)
	header, decoded, err := wire.DecodeRequest(wire.AppendRequest(nil, req, 7, "test")[4:])
	if err != nil {
		t.Fatalf("%T version %d: %v", req, version, err)
	}
	reply := h.Serve(t.Context(), &transport.Request{Header: header, Body: decoded})
	if reply.Body == nil {
		t.Fatalf("%T version %d: no answer", req, version)
	}
	resp, err := wire.DecodeResponse(wire.AppendResponse(nil, reply.Body, 7)[4:], req)
	if err != nil {
		t.Fatalf("%T version %d: %v", req, version, err)
	}
	return resp.(A)
}

// eachVersion runs f for all served versions of an API.
func eachVersion(t *testing.T, key int16, f func(t *testing.T, version int16)) {
	h := handler(t, &scripted{})
	lowest, highest, _ := h.Versions(key)
	for v := lowest; v <= highest; v++ {
		t.Run(fmt.Sprint(v), func(t *testing.T) { f(t, v) })
	}
}

func wantCode(t *testing.T, what string, got int16, want wire.Code) {
	t.Helper()
	if wire.Code(got) != want {
		t.Errorf("%s: %v instead of %v", what, wire.Code(got).Name(), want.Name())
	}
}

func TestControlledShutdown(t *testing.T) {
	eachVersion(t, 7, func(t *testing.T, v int16) {
		s := &scripted{left: []meta.TopicPartition{{Topic: "a", Partition: 3}}}
		h := handler(t, s)
		req := kmsg.NewPtrControlledShutdownRequest()
		req.BrokerID, req.BrokerEpoch = 2, 99
		resp := do[*kmsg.ControlledShutdownResponse](t, h, v, req)
		wantCode(t, "success", resp.ErrorCode, wire.None)
		if len(resp.PartitionsRemaining) != 1 || resp.PartitionsRemaining[0].Topic != "a" || resp.PartitionsRemaining[0].Partition != 3 {
			t.Errorf("left: %+v", resp.PartitionsRemaining)
		}
		wantEpoch := meta.BrokerEpoch(99)
		if v < 2 {
			wantEpoch = meta.NoBrokerEpoch
		}
		if s.broker != 2 || s.epoch != wantEpoch {
			t.Errorf("asked for broker %d epoch %d", s.broker, s.epoch)
		}
		s.left = nil
		for err, code := range map[error]wire.Code{
			controller.ErrNotController:      wire.ErrStaleControllerEpoch, // apis.md: not NOT_CONTROLLER
			controller.ErrUnknownBroker:      wire.ErrUnknownServer,
			controller.ErrBrokerNotAvailable: wire.ErrBrokerNotAvailable,
			controller.ErrStaleBrokerEpoch:   wire.ErrStaleBrokerEpoch,
		} {
			s.err = err
			wantCode(t, err.Error(), do[*kmsg.ControlledShutdownResponse](t, h, v, req).ErrorCode, code)
		}
		h.Authorizer = nobody{}
		wantCode(t, "not authorized", do[*kmsg.ControlledShutdownResponse](t, h, v, req).ErrorCode, wire.ErrClusterAuthorizationFailed)
	})
}

// update tells a handler's metadata cache of a topic "a" of partitions led by the given brokers.
func update(h *Handler, leaders ...int32) {
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version, req.ControllerID = 8, 1
	for id := range int32(3) {
		b := kmsg.NewUpdateMetadataRequestLiveBroker()
		b.ID = id + 1
		req.LiveBrokers = append(req.LiveBrokers, b)
	}
	topic := kmsg.NewUpdateMetadataRequestTopicState()
	topic.Topic = "a"
	for i, leader := range leaders {
		p := kmsg.NewUpdateMetadataRequestTopicPartition()
		p.Partition, p.Leader, p.ISR, p.Replicas = int32(i), leader, []int32{1, 2, 3}, []int32{1, 2, 3}
		topic.PartitionStates = append(topic.PartitionStates, p)
	}
	req.TopicStates = append(req.TopicStates, topic)
	h.Metadata.Apply(req)
}

func electRequest(topic string, partitions ...int32) *kmsg.ElectLeadersRequest {
	req := kmsg.NewPtrElectLeadersRequest()
	req.TimeoutMillis = 10_000
	if topic != "" {
		t := kmsg.NewElectLeadersRequestTopic()
		t.Topic, t.Partitions = topic, partitions
		req.Topics = append(req.Topics, t)
	}
	return req
}

func TestElectLeaders(t *testing.T) {
	eachVersion(t, 43, func(t *testing.T, v int16) {
		s := &scripted{leader: 2}
		h := handler(t, s)
		update(h, 1, 1)
		code := func(resp *kmsg.ElectLeadersResponse, whole wire.Code) wire.Code {
			t.Helper()
			if v >= 1 {
				wantCode(t, "top level", resp.ErrorCode, whole)
			}
			if len(resp.Topics) != 1 || resp.Topics[0].Topic != "a" || len(resp.Topics[0].Partitions) != 1 || resp.Topics[0].Partitions[0].Partition != 1 {
				t.Fatalf("answer for %+v", resp.Topics)
			}
			return wire.Code(resp.Topics[0].Partitions[0].ErrorCode)
		}
		// Not answered before this broker knows of the leader itself; a repeated partition is one.
		synctest.Test(t, func(t *testing.T) {
			update(h, 1, 1)
			time.AfterFunc(time.Second, func() { update(h, 1, 2) })
			began := time.Now()
			if got := code(do[*kmsg.ElectLeadersResponse](t, h, v, electRequest("a", 1, 1)), wire.None); got != wire.None {
				t.Errorf("elected: %v", got)
			}
			if took := time.Since(began); took != time.Second {
				t.Errorf("answered after %v", took)
			}
			s.leader = 3
			if got := code(do[*kmsg.ElectLeadersResponse](t, h, v, electRequest("a", 1)), wire.None); got != wire.ErrRequestTimedOut {
				t.Errorf("elected and not seen: %v", got)
			}
		})
		s.each = controller.ErrElectionNotNeeded
		if got := code(do[*kmsg.ElectLeadersResponse](t, h, v, electRequest("a", 1)), wire.None); got != wire.ErrElectionNotNeeded {
			t.Errorf("not needed: %v", got)
		}
		all := do[*kmsg.ElectLeadersResponse](t, h, v, electRequest(""))
		if len(all.Topics) != 0 || len(s.partitions) != 2 {
			t.Errorf("all: asked for %v, answered %+v", s.partitions, all.Topics)
		}
		s.err = controller.ErrNotController
		if got := code(do[*kmsg.ElectLeadersResponse](t, h, v, electRequest("a", 1)), wire.None); got != wire.ErrNotController {
			t.Errorf("not controller: %v", got)
		}
		h.Authorizer = nobody{}
		if got := code(do[*kmsg.ElectLeadersResponse](t, h, v, electRequest("a", 1)), wire.ErrClusterAuthorizationFailed); got != wire.ErrClusterAuthorizationFailed {
			t.Errorf("not authorized: %v", got)
		}
		if all := do[*kmsg.ElectLeadersResponse](t, h, v, electRequest("")); len(all.Topics) != 0 {
			t.Errorf("not authorized, yet told of %+v", all.Topics)
		}
	})
}

// kafka-leader-election shows these words to people.
func TestElectLeadersExplains(t *testing.T) {
	s := &scripted{}
	h := handler(t, s)
	update(h, 1, 1)
	for err, want := range map[error]string{
		controller.ErrUnknownTopicOrPartition:     "The partition does not exist.",
		controller.ErrInvalidTopic:                "The topic is being deleted",
		controller.ErrPreferredLeaderNotAvailable: "Failed to elect leader for partition a-1 under strategy PreferredReplicaPartitionLeaderElectionStrategy",
		controller.ErrEligibleLeadersNotAvailable: "Failed to elect leader for partition a-1 under strategy OfflinePartitionLeaderElectionStrategy(true)",
	} {
		s.each = err
		answer := do[*kmsg.ElectLeadersResponse](t, h, 2, electRequest("a", 1)).Topics[0].Partitions[0]
		if got := answer.ErrorMessage; got == nil || *got != want {
			t.Errorf("%v: %v, want %s", err, got, want)
		}
	}
}

func TestReassignments(t *testing.T) {
	s := &scripted{}
	h := handler(t, s)
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	topic := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	topic.Topic = "a"
	for id, replicas := range [][]int32{{2, 3}, nil, {}} {
		p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		p.Partition, p.Replicas = int32(id), replicas
		topic.Partitions = append(topic.Partitions, p)
	}
	req.Topics = append(req.Topics, topic)

	resp := do[*kmsg.AlterPartitionAssignmentsResponse](t, h, 0, req)
	wantCode(t, "accepted", resp.ErrorCode, wire.None)
	if want := []controller.Reassignment{
		{TopicPartition: meta.TopicPartition{Topic: "a", Partition: 0}, Replicas: []meta.BrokerID{2, 3}},
		{TopicPartition: meta.TopicPartition{Topic: "a", Partition: 1}},
		{TopicPartition: meta.TopicPartition{Topic: "a", Partition: 2}, Replicas: []meta.BrokerID{}}, // empty does not cancel, it is wrong
	}; !reflect.DeepEqual(s.reassignments, want) {
		t.Errorf("asked %+v", s.reassignments)
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 3 {
		t.Fatalf("answered %+v", resp.Topics)
	}
	s.each = controller.ErrNoReassignmentInProgress
	wantCode(t, "one", do[*kmsg.AlterPartitionAssignmentsResponse](t, h, 0, req).Topics[0].Partitions[2].ErrorCode, wire.ErrNoReassignmentInProgress)
	s.err = controller.ErrNotController
	resp = do[*kmsg.AlterPartitionAssignmentsResponse](t, h, 0, req)
	wantCode(t, "not controller", resp.ErrorCode, wire.ErrNotController)
	if len(resp.Topics) != 0 {
		t.Errorf("not controller, yet %+v", resp.Topics)
	}

	s.err = nil
	s.running = map[meta.TopicPartition]meta.Assignment{
		{Topic: "b", Partition: 0}: {Replicas: []meta.BrokerID{3, 1}, Adding: []meta.BrokerID{3}, Removing: []meta.BrokerID{1}},
		{Topic: "a", Partition: 4}: {Replicas: []meta.BrokerID{1}, Adding: []meta.BrokerID{1}},
		{Topic: "a", Partition: 2}: {Replicas: []meta.BrokerID{2}, Removing: []meta.BrokerID{2}},
	}
	list := kmsg.NewPtrListPartitionReassignmentsRequest()
	listed := do[*kmsg.ListPartitionReassignmentsResponse](t, h, 0, list)
	if s.partitions != nil || len(listed.Topics) != 2 || len(listed.Topics[0].Partitions) != 2 || listed.Topics[0].Partitions[0].Partition != 2 ||
		!reflect.DeepEqual(listed.Topics[1].Partitions[0].AddingReplicas, []int32{3}) || !reflect.DeepEqual(listed.Topics[1].Partitions[0].RemovingReplicas, []int32{1}) {
		t.Errorf("asked for %v, listed %+v", s.partitions, listed.Topics)
	}
	list.Topics = []kmsg.ListPartitionReassignmentsRequestTopic{}
	do[*kmsg.ListPartitionReassignmentsResponse](t, h, 0, list)
	if s.partitions == nil {
		t.Error("no topics were taken for all topics")
	}
	s.err = controller.ErrNotController
	wantCode(t, "not controller", do[*kmsg.ListPartitionReassignmentsResponse](t, h, 0, list).ErrorCode, wire.ErrNotController)
	h.Authorizer = nobody{}
	wantCode(t, "not authorized", do[*kmsg.ListPartitionReassignmentsResponse](t, h, 0, list).ErrorCode, wire.ErrClusterAuthorizationFailed)
	resp = do[*kmsg.AlterPartitionAssignmentsResponse](t, h, 0, req)
	wantCode(t, "not authorized", resp.ErrorCode, wire.ErrClusterAuthorizationFailed)
	wantCode(t, "not authorized, partition", resp.Topics[0].Partitions[1].ErrorCode, wire.ErrClusterAuthorizationFailed)
}

func TestAlterPartition(t *testing.T) {
	eachVersion(t, 56, func(t *testing.T, v int16) {
		s := &scripted{state: meta.LeaderAndISR{Leader: 1, LeaderEpoch: 5, ISR: []meta.BrokerID{1, 3}, PartitionEpoch: 8, RecoveryState: meta.Recovering}}
		h := handler(t, s)
		req := kmsg.NewPtrAlterPartitionRequest()
		req.BrokerID, req.BrokerEpoch = 1, 50
		topic := kmsg.NewAlterPartitionRequestTopic()
		topic.Topic, topic.TopicID = "a", [16]byte{1}
		p := kmsg.NewAlterPartitionRequestTopicPartition()
		p.Partition, p.LeaderEpoch, p.PartitionEpoch, p.NewISR = 4, 5, 7, []int32{1, 3}
		p.NewEpochISR = []kmsg.AlterPartitionRequestTopicPartitionNewEpochISR{{BrokerID: 1, BrokerEpoch: -1}, {BrokerID: 3, BrokerEpoch: -1}}
		topic.Partitions = append(topic.Partitions, p)
		req.Topics = append(req.Topics, topic)

		resp := do[*kmsg.AlterPartitionResponse](t, h, v, req)
		want := controller.PartitionChange{Topic: "a", Partition: 4, LeaderEpoch: 5, PartitionEpoch: 7, ISR: []meta.BrokerID{1, 3}}
		if v >= 2 {
			want.Topic, want.TopicID = "", meta.TopicID{1}
		}
		if s.broker != 1 || s.epoch != 50 || !reflect.DeepEqual(s.changes, []controller.PartitionChange{want}) {
			t.Errorf("asked %+v of broker %d epoch %d", s.changes, s.broker, s.epoch)
		}
		wantCode(t, "top level", resp.ErrorCode, wire.None)
		got := resp.Topics[0].Partitions[0]
		if got.Partition != 4 || got.LeaderID != 1 || got.LeaderEpoch != 5 || !reflect.DeepEqual(got.ISR, []int32{1, 3}) || got.PartitionEpoch != 8 ||
			v >= 1 && got.LeaderRecoveryState != 1 {
			t.Errorf("answered %+v", got)
		}
		if v < 2 && resp.Topics[0].Topic != "a" || v >= 2 && resp.Topics[0].TopidID != [16]byte{1} {
			t.Errorf("answered for %+v", resp.Topics[0])
		}
		ineligible := wire.ErrIneligibleReplica
		if v < 2 {
			ineligible = wire.ErrOperationNotAttempted
		}
		for err, code := range map[error]wire.Code{
			fmt.Errorf("%w: broker 3", controller.ErrIneligibleReplica): ineligible,
			controller.ErrFencedLeaderEpoch:                             wire.ErrFencedLeaderEpoch,
			controller.ErrInvalidUpdateVersion:                          wire.ErrInvalidUpdateVersion,
			controller.ErrUnknownTopicOrPartition:                       wire.ErrUnknownTopicOrPartition,
			controller.ErrNotController:                                 wire.ErrNotController,
		} {
			s.each = err
			wantCode(t, err.Error(), do[*kmsg.AlterPartitionResponse](t, h, v, req).Topics[0].Partitions[0].ErrorCode, code)
		}
		for err, code := range map[error]wire.Code{
			controller.ErrNotController:    wire.ErrNotController,
			controller.ErrStaleBrokerEpoch: wire.ErrStaleBrokerEpoch,
		} {
			s.err = err
			wantCode(t, err.Error(), do[*kmsg.AlterPartitionResponse](t, h, v, req).ErrorCode, code)
		}
		h.Authorizer = nobody{}
		wantCode(t, "not authorized", do[*kmsg.AlterPartitionResponse](t, h, v, req).ErrorCode, wire.ErrClusterAuthorizationFailed)
	})
}

func TestUpdateFeatures(t *testing.T) {
	eachVersion(t, 57, func(t *testing.T, v int16) {
		s := &scripted{}
		h := handler(t, s)
		req := kmsg.NewPtrUpdateFeaturesRequest()
		for _, name := range []string{"one", "two", "one"} {
			u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
			u.Feature, u.MaxVersionLevel, u.UpgradeType = name, 1, 1
			req.FeatureUpdates = append(req.FeatureUpdates, u)
		}
		resp := do[*kmsg.UpdateFeaturesResponse](t, h, v, req)
		wantCode(t, "top level", resp.ErrorCode, wire.None)
		if len(resp.Results) != 2 {
			t.Fatalf("answered %+v", resp.Results)
		}
		wantCode(t, "a feature", resp.Results[0].ErrorCode, wire.ErrInvalidRequest)
		s.err = controller.ErrNotController
		wantCode(t, "not controller", do[*kmsg.UpdateFeaturesResponse](t, h, v, req).ErrorCode, wire.ErrNotController)
		h.Authorizer = nobody{}
		wantCode(t, "not authorized", do[*kmsg.UpdateFeaturesResponse](t, h, v, req).ErrorCode, wire.ErrClusterAuthorizationFailed)
	})
}

func TestAllocateProducerIDs(t *testing.T) {
	s := &scripted{block: controller.ProducerIDBlock{Start: 3000, Length: 1000}}
	h := handler(t, s)
	req := kmsg.NewPtrAllocateProducerIDsRequest()
	req.BrokerID, req.BrokerEpoch = 2, 99
	resp := do[*kmsg.AllocateProducerIDsResponse](t, h, 0, req)
	wantCode(t, "success", resp.ErrorCode, wire.None)
	if resp.ProducerIDStart != 3000 || resp.ProducerIDLen != 1000 || s.broker != 2 || s.epoch != 99 {
		t.Errorf("%+v for broker %d epoch %d", resp, s.broker, s.epoch)
	}
	for err, code := range map[error]wire.Code{
		controller.ErrNotController:         wire.ErrNotController,
		controller.ErrBrokerIDNotRegistered: wire.ErrBrokerIDNotRegistered,
		controller.ErrStaleBrokerEpoch:      wire.ErrStaleBrokerEpoch,
	} {
		s.err = err
		wantCode(t, err.Error(), do[*kmsg.AllocateProducerIDsResponse](t, h, 0, req).ErrorCode, code)
	}
	h.Authorizer = nobody{}
	wantCode(t, "not authorized", do[*kmsg.AllocateProducerIDsResponse](t, h, 0, req).ErrorCode, wire.ErrClusterAuthorizationFailed)
}
