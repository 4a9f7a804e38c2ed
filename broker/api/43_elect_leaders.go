package api

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/controller"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// ElectLeaders, versions 0 to 2, for the controller (KIP-183, KIP-460).
//
//	1 which kind of election, and an error for the request as a whole
//	2 flexible
//
// A success is told when this broker's own picture of the fleet shows the elected leader, so that whoever asks for metadata
// next finds it. Topics null means every partition; then those that needed no election are left out.

func electLeaders(h *Handler, c *call, req *kmsg.ElectLeadersRequest, resp *kmsg.ElectLeadersResponse) error {
	e := election{h: h, resp: resp, kind: controller.ElectionType(req.ElectionType), at: make(map[string]int)}
	e.ask(req.Topics)
	switch {
	case !h.clusterAllowed(c.Conn, acl.Alter):
		e.refuse(wire.ErrClusterAuthorizationFailed)
		return nil
	case e.kind != controller.PreferredElection && e.kind != controller.UncleanElection:
		e.refuse(wire.ErrInvalidRequest)
		return nil
	}
	results, err := h.Controller.ElectLeaders(c.ctx, e.kind, e.partitions)
	if err != nil {
		e.fail(h.code(err))
		return nil
	}
	e.results = results
	c.await(h, time.Duration(req.TimeoutMillis)*time.Millisecond, e.seen)
	e.answer(h.Metadata.Load())
	return nil
}

// election is an ElectLeaders request on its way.
type election struct {
	h          *Handler
	resp       *kmsg.ElectLeadersResponse
	kind       controller.ElectionType
	all        bool // no partition was named
	partitions []meta.TopicPartition
	results    []controller.ElectionResult // of partitions, in order
	at         map[string]int              // topic to its place in the response
}

// ask settles which partitions are meant: each once, or all this broker knows.
func (e *election) ask(topics []kmsg.ElectLeadersRequestTopic) {
	if e.all = topics == nil; e.all {
		for t := range e.h.Metadata.Load().Topics() {
			for _, p := range t.Partitions {
				e.partitions = append(e.partitions, meta.TopicPartition{Topic: t.Name, Partition: p.ID})
			}
		}
		return
	}
	seen := make(map[meta.TopicPartition]struct{})
	for _, t := range topics {
		for _, id := range t.Partitions {
			tp := meta.TopicPartition{Topic: t.Topic, Partition: id}
			if _, again := seen[tp]; !again {
				seen[tp] = struct{}{}
				e.partitions = append(e.partitions, tp)
			}
		}
	}
}

// refuse answers a request that is not looked into any further.
func (e *election) refuse(code wire.Code) {
	e.resp.ErrorCode = int16(code)
	if !e.all { // what exists is not told
		e.fail(code)
	}
}

func (e *election) fail(code wire.Code) {
	for _, tp := range e.partitions {
		e.add(tp, int16(code), nil)
	}
}

// seen reports whether s shows every leader that was elected.
func (e *election) seen(s *metadata.Snapshot) bool {
	for i := range e.results {
		if e.results[i].Err == nil && !e.leads(s, i) {
			return false
		}
	}
	return true
}

func (e *election) leads(s *metadata.Snapshot, i int) bool {
	p := s.Partition(e.partitions[i].Topic, e.partitions[i].Partition)
	return p != nil && p.Leader == e.results[i].Leader
}

func (e *election) answer(s *metadata.Snapshot) {
	for i, tp := range e.partitions {
		switch err := e.results[i].Err; {
		case err != nil:
			code, message := e.h.codeAndMessage(err)
			if text := e.explain(tp, err); text != "" {
				message = &text
			}
			if !e.all || wire.Code(code) != wire.ErrElectionNotNeeded {
				e.add(tp, code, message)
			}
		case e.leads(s, i):
			e.add(tp, int16(wire.None), nil)
		default:
			e.add(tp, int16(wire.ErrRequestTimedOut), nil)
		}
	}
}

// explain words a failure as Kafka does (KafkaController.processReplicaLeaderElection), since its tools show that to people.
func (e *election) explain(tp meta.TopicPartition, err error) string {
	const failed = "Failed to elect leader for partition %s under strategy %s"
	switch {
	case errors.Is(err, controller.ErrUnknownTopicOrPartition):
		return "The partition does not exist."
	case errors.Is(err, controller.ErrInvalidTopic):
		return "The topic is being deleted"
	case errors.Is(err, controller.ErrPreferredLeaderNotAvailable):
		return fmt.Sprintf(failed, tp, "PreferredReplicaPartitionLeaderElectionStrategy")
	case errors.Is(err, controller.ErrEligibleLeadersNotAvailable):
		return fmt.Sprintf(failed, tp, "OfflinePartitionLeaderElectionStrategy(true)")
	}
	return ""
}

func (e *election) add(tp meta.TopicPartition, code int16, message *string) {
	n, seen := e.at[tp.Topic]
	if !seen {
		n = len(e.resp.Topics)
		e.at[tp.Topic] = n
		t := kmsg.NewElectLeadersResponseTopic()
		t.Topic = tp.Topic
		e.resp.Topics = append(e.resp.Topics, t)
	}
	p := kmsg.NewElectLeadersResponseTopicPartition()
	p.Partition, p.ErrorCode, p.ErrorMessage = tp.Partition, code, message
	e.resp.Topics[n].Partitions = append(e.resp.Topics[n].Partitions, p)
}
