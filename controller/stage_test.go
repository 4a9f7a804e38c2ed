package controller

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// stage is one controller, broker 0's unless the script says otherwise, and its surroundings.
type stage struct {
	out      bytes.Buffer
	zk       *fakeStore
	c        *Controller
	l        *loop
	outboxes []*stageOutbox
	held     map[meta.BrokerID]bool              // brokers that cannot be reached
	storage  map[meta.BrokerID]map[string]bool   // partitions a broker answers KAFKA_STORAGE_ERROR for
	stopCode map[meta.BrokerID]int16             // what a broker answers to StopReplica with delete
	timers   []stageTimer                        // queued for later
	quiet    bool                                // print no requests
	ids      map[string]meta.TopicID             // of topics to be created, if they matter
	sent     func(to meta.BrokerID, text string) // hears of every request; may be nil
}

type stageOutbox struct {
	t    *term
	ctx  context.Context
	box  *outbox
	b    meta.Broker
	next *letter // taken, but not delivered yet
}

type stageTimer struct {
	after time.Duration
	e     event
	off   bool
}

func newStage() *stage {
	s := &stage{
		zk: newFakeStore(), held: map[meta.BrokerID]bool{}, storage: map[meta.BrokerID]map[string]bool{},
		stopCode: map[meta.BrokerID]int16{},
	}
	s.start("3.9", true)
	return s
}

func (s *stage) start(version string, deletion bool) {
	protocol, err := ParseProtocol(version)
	if err != nil {
		panic(err)
	}
	s.c = New(Options{BrokerID: 0, Logger: zap.NewNop(), Config: Config{
		Protocol: protocol, InterBrokerListener: "PLAINTEXT", DeleteTopicEnable: deletion,
		AutoLeaderRebalanceEnable: true, LeaderImbalancePerBrokerPercentage: 10,
	}})
	s.l = newLoop(s.c)
	s.l.atOnce = 1
	s.l.followRole = func(*session) {}
	s.l.follow = func(*term) {}
	s.l.start = func(t *term, ctx context.Context, o *outbox) {
		s.outboxes = append(s.outboxes, &stageOutbox{t: t, ctx: ctx, box: o, b: *o.to.Load()})
	}
	s.l.after = func(d time.Duration, e event) func() {
		s.timers = append(s.timers, stageTimer{after: d, e: e})
		i := len(s.timers) - 1
		return func() { s.timers[i].off = true }
	}
	s.zk.log = func(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }
	s.zk.fired = func(e event) {
		if e, ok := e.(*controllerChanged); ok {
			e.session = s.l.session
		}
		s.c.queue.put(e)
	}
}

// settle handles events and delivers requests until nothing happens any more.
func (s *stage) settle() {
	for busy := true; busy; {
		busy = false
		for e := s.c.queue.take(); e != nil; e = s.c.queue.take() {
			s.l.step(e)
			busy = true
		}
		for s.deliver() {
			busy = true
		}
	}
}

// deliver takes the next request of the lowest broker that has one, and of all brokers whose next one reads the same, so
// that what went to everybody is printed once. The order to each broker is kept; between brokers there is none.
func (s *stage) deliver() bool {
	slices.SortStableFunc(s.outboxes, func(a, b *stageOutbox) int { return int(a.b.ID) - int(b.b.ID) })
	var text string
	var to []meta.BrokerID
	var taken []*stageOutbox
	for _, o := range s.outboxes {
		if o.next == nil && !s.held[o.b.ID] && o.ctx.Err() == nil {
			if l, ok := o.box.take(); ok {
				o.next = &l
			}
		}
		if o.next == nil || s.held[o.b.ID] || o.ctx.Err() != nil {
			continue
		}
		if own := s.requestText(o, o.next.request); len(taken) == 0 || own == text {
			text = own
			to = append(to, o.b.ID)
			taken = append(taken, o)
		}
	}
	if len(taken) == 0 {
		return false
	}
	if !s.quiet {
		fmt.Fprintf(&s.out, "-> %s %s\n", idsText(to), text)
	}
	for _, o := range taken {
		l := *o.next
		o.next = nil
		if s.sent != nil {
			s.sent(o.b.ID, goldenRequestText(l.request))
		}
		o.box.answered(l, s.answer(o.b.ID, l.request))
	}
	return true
}

func (s *stage) answer(id meta.BrokerID, r kmsg.Request) kmsg.Response {
	switch r := r.(type) {
	case *kmsg.LeaderAndISRRequest:
		answer := r.ResponseKind().(*kmsg.LeaderAndISRResponse)
		for _, p := range r.PartitionStates {
			answer.Partitions = append(answer.Partitions, kmsg.LeaderAndISRResponseTopicPartition{Topic: p.Topic, Partition: p.Partition})
		}
		for _, topic := range r.TopicStates {
			of := kmsg.LeaderAndISRResponseTopic{TopicID: topic.TopicID}
			for _, p := range topic.PartitionStates {
				code := int16(codeNone)
				if s.storage[id][fmt.Sprintf("%s-%d", topic.Topic, p.Partition)] {
					code = codeStorageError
				}
				q := kmsg.LeaderAndISRResponseTopicPartition{Partition: p.Partition, ErrorCode: code}
				if r.Version < 5 {
					q.Topic = topic.Topic
					answer.Partitions = append(answer.Partitions, q)
				} else {
					of.Partitions = append(of.Partitions, q)
				}
			}
			if r.Version >= 5 {
				answer.Topics = append(answer.Topics, of)
			}
		}
		return answer
	case *kmsg.StopReplicaRequest:
		answer := r.ResponseKind().(*kmsg.StopReplicaResponse)
		for _, topic := range r.Topics {
			for _, p := range topic.PartitionStates {
				code := int16(codeNone)
				if p.Delete {
					code = s.stopCode[id]
				}
				answer.Partitions = append(answer.Partitions, kmsg.StopReplicaResponsePartition{Topic: topic.Topic, Partition: p.Partition, ErrorCode: code})
			}
			for _, p := range topic.Partitions {
				answer.Partitions = append(answer.Partitions, kmsg.StopReplicaResponsePartition{Topic: topic.Topic, Partition: p})
			}
			if r.Version == 0 {
				answer.Partitions = append(answer.Partitions, kmsg.StopReplicaResponsePartition{Topic: topic.Topic, Partition: topic.Partition})
			}
		}
		return answer
	default:
		return r.ResponseKind()
	}
}

// requestText describes a request.
func (s *stage) requestText(o *stageOutbox, r kmsg.Request) string {
	var out strings.Builder
	head := func(name string, epoch int32, broker int64) {
		out.WriteString(name)
		if epoch != 1 {
			fmt.Fprintf(&out, " controller_epoch=%d", epoch)
		}
		if broker != int64(o.b.Epoch) {
			fmt.Fprintf(&out, " WRONG BROKER EPOCH %d", broker)
		}
	}
	switch r := r.(type) {
	case *kmsg.LeaderAndISRRequest:
		head("LeaderAndISR", r.ControllerEpoch, r.BrokerEpoch)
		if r.Type == fullRequest {
			out.WriteString(" all there is")
		}
		for _, p := range r.PartitionStates { // below version 2
			r.TopicStates = append(slices.Clone(r.TopicStates), kmsg.LeaderAndISRRequestTopicState{Topic: p.Topic, PartitionStates: []kmsg.LeaderAndISRRequestTopicPartition{p}})
		}
		for _, topic := range r.TopicStates {
			for _, p := range topic.PartitionStates {
				fmt.Fprintf(&out, "\n     %s-%d leader=%d isr=%s e=%d v=%d replicas=%s", topic.Topic, p.Partition, p.Leader, idsText(p.ISR), p.LeaderEpoch, p.ZKVersion,
					assignmentText(meta.Assignment{Replicas: brokerIDs(p.Replicas), Adding: brokerIDs(p.AddingReplicas), Removing: brokerIDs(p.RemovingReplicas)}))
				if p.IsNew {
					out.WriteString(" new")
				}
				if p.LeaderRecoveryState != 0 {
					out.WriteString(" recovering")
				}
			}
		}
	case *kmsg.UpdateMetadataRequest:
		var live []int32
		for _, b := range r.LiveBrokers {
			live = append(live, b.ID)
		}
		head("UpdateMetadata live="+idsText(live), r.ControllerEpoch, r.BrokerEpoch)
		for _, p := range r.PartitionStates { // below version 5
			r.TopicStates = append(slices.Clone(r.TopicStates), kmsg.UpdateMetadataRequestTopicState{Topic: p.Topic, PartitionStates: []kmsg.UpdateMetadataRequestTopicPartition{p}})
		}
		for _, topic := range r.TopicStates {
			for _, p := range topic.PartitionStates {
				fmt.Fprintf(&out, "\n     %s-%d leader=%d isr=%s e=%d v=%d replicas=%s", topic.Topic, p.Partition, p.Leader, idsText(p.ISR), p.LeaderEpoch, p.ZKVersion, idsText(p.Replicas))
				if len(p.OfflineReplicas) > 0 {
					fmt.Fprintf(&out, " offline=%s", idsText(p.OfflineReplicas))
				}
			}
		}
	case *kmsg.StopReplicaRequest:
		head("StopReplica", r.ControllerEpoch, r.BrokerEpoch)
		if r.DeletePartitions {
			out.WriteString(" delete")
		}
		for _, topic := range r.Topics {
			if r.Version == 0 {
				fmt.Fprintf(&out, "\n     %s-%d", topic.Topic, topic.Partition)
			}
			for _, id := range topic.Partitions {
				fmt.Fprintf(&out, "\n     %s-%d", topic.Topic, id)
			}
			for _, p := range topic.PartitionStates {
				fmt.Fprintf(&out, "\n     %s-%d e=%d", topic.Topic, p.Partition, p.LeaderEpoch)
				if p.Delete {
					out.WriteString(" delete")
				}
			}
		}
	}
	return out.String()
}

func brokerIDs(ids []int32) []meta.BrokerID {
	out := make([]meta.BrokerID, len(ids))
	for i, id := range ids {
		out[i] = meta.BrokerID(id)
	}
	return out
}

// play carries out one command and returns what came of it.
func (s *stage) play(command string) string {
	s.out.Reset()
	fields := strings.Fields(command)
	name, args := fields[0], fields[1:]
	do, ok := stageCommands[name]
	if !ok {
		return fmt.Sprintf("no such command: %s\n", name)
	}
	do(s, args)
	s.settle()
	return s.out.String()
}
