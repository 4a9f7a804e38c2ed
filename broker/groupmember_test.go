package broker_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// protocolMember is a member of a group that sends each request of the protocol when a test says so. franz-go only finds the coordinator.
type protocolMember struct {
	t          *testing.T
	c          *kgo.Client
	group      string
	id         string
	instance   *string
	generation int32
	leader     bool
	members    []string
	assigned   []byte
}

const (
	rangeProtocol = "range"
	// testSession is longer than a coordinator takes to be replaced.
	testSession = time.Minute
)

// subscription is a consumer's member metadata.
func subscription(topics ...string) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Topics = topics
	return m.AppendTo(nil)
}

// assignment is what a member is assigned: partitions of one topic.
func assignment(topic string, partitions ...int32) []byte {
	a := kmsg.NewConsumerMemberAssignment()
	a.Topics = []kmsg.ConsumerMemberAssignmentTopic{{Topic: topic, Partitions: partitions}}
	return a.AppendTo(nil)
}

// join sends JoinGroup until the member is in a generation.
func (m *protocolMember) join(ctx context.Context) error {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.ProtocolType, req.InstanceID = m.group, "consumer", m.instance
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = int32(testSession.Milliseconds()), int32(testSession.Milliseconds())
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = rangeProtocol, subscription("t")
	req.Protocols = append(req.Protocols, p)
	for {
		req.MemberID = m.id
		resp, err := req.RequestWith(ctx, m.c)
		if err != nil {
			return err
		}
		switch err := kerr.ErrorForCode(resp.ErrorCode); {
		case err == nil:
			m.id, m.generation, m.leader, m.members = resp.MemberID, resp.Generation, resp.LeaderID == resp.MemberID, nil
			for _, other := range resp.Members {
				m.members = append(m.members, other.MemberID)
			}
			return nil
		case errors.Is(err, kerr.MemberIDRequired):
			m.id = resp.MemberID
		case errors.Is(err, kerr.UnknownMemberID):
			m.id = ""
		case !kerr.IsRetriable(err) && !errors.Is(err, kerr.RebalanceInProgress):
			return err
		}
	}
}

// sync sends SyncGroup; a leader assigns one partition to each.
func (m *protocolMember) sync(ctx context.Context) error {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.Generation, req.InstanceID = m.group, m.id, m.generation, m.instance
	req.ProtocolType, req.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr(rangeProtocol)
	slices.Sort(m.members)
	for i, id := range m.members {
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: id, MemberAssignment: assignment("t", int32(i))})
	}
	resp, err := req.RequestWith(ctx, m.c)
	if err != nil {
		return err
	}
	m.assigned = resp.MemberAssignment
	return kerr.ErrorForCode(resp.ErrorCode)
}

func (m *protocolMember) heartbeat(ctx context.Context) error {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation, req.InstanceID = m.group, m.id, m.generation, m.instance
	resp, err := req.RequestWith(ctx, m.c)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.ErrorCode)
}

// partitions is what the member was assigned.
func (m *protocolMember) partitions() []int32 {
	m.t.Helper()
	var a kmsg.ConsumerMemberAssignment
	if err := a.ReadFrom(m.assigned); err != nil && !errors.Is(err, kbin.ErrNotEnoughData) {
		m.t.Fatal(err)
	}
	var all []int32
	for _, t := range a.Topics {
		all = append(all, t.Partitions...)
	}
	return all
}

// formGroup lets members join and sync until they are all in one generation.
func formGroup(t *testing.T, group string, clients ...*kgo.Client) []*protocolMember {
	t.Helper()
	members := make([]*protocolMember, len(clients))
	for i, c := range clients {
		members[i] = &protocolMember{t: t, c: c, group: group}
	}
	ctx := within(t)
	for {
		together(t, members, func(m *protocolMember) error { return m.join(ctx) })
		same := !slices.ContainsFunc(members, func(m *protocolMember) bool { return m.generation != members[0].generation })
		if same && !slices.ContainsFunc(members, func(m *protocolMember) bool { return m.leader && len(m.members) != len(members) }) {
			break
		}
	}
	together(t, members, func(m *protocolMember) error { return m.sync(ctx) })
	return members
}

func together(t *testing.T, members []*protocolMember, do func(*protocolMember) error) {
	t.Helper()
	var wg sync.WaitGroup
	for _, m := range members {
		wg.Go(func() {
			if err := do(m); err != nil {
				t.Errorf("member %q: %v", m.id, err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}
