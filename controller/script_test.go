package controller

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

var update = flag.Bool("update", false, "rewrite the expected text in testdata")

// TestScripts plays testdata/script/*.txt: a command, "----", and what the controller wrote and sent because of it. The
// loop is driven by hand, with a ZooKeeper in memory and brokers that only take notes: no goroutine, no clock, no network.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			stage := newStage()
			runScript(t, file, stage.play)
		})
	}
}

// runScript plays one file: blocks of comment lines, one command line, "----" and the expected lines, ended by an empty line.
func runScript(t *testing.T, file string, play func(command string) string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for block := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
		head, want, _ := strings.Cut(block+"\n", "----\n")
		lines := strings.Split(strings.TrimSpace(head), "\n")
		command := lines[len(lines)-1]
		out.WriteString(strings.Join(lines, "\n"))
		if strings.HasPrefix(command, "#") {
			out.WriteString("\n\n")
			continue
		}
		got := play(command)
		if got != want && !*update {
			t.Errorf("%s: %s\n--- got\n%s--- want\n%s", file, command, got, want)
		}
		fmt.Fprintf(&out, "\n----\n%s\n", got)
	}
	if *update {
		if err := os.WriteFile(file, append(bytes.TrimRight(out.Bytes(), "\n"), '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

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
	case *StopReplicaRequest:
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
	case *StopReplicaRequest:
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

// ask queues a question and prints its answer.
func ask1[T any](s *stage, e event, a answer[T], print func(T)) {
	s.c.queue.put(e)
	s.settle()
	select {
	case r := <-a:
		if r.err != nil {
			fmt.Fprintf(&s.out, "error: %v\n", r.err)
		} else {
			print(r.value)
		}
	default:
		s.out.WriteString("no answer\n")
	}
}

var stageCommands = map[string]func(s *stage, args []string){
	// up <id>...: brokers register
	"up": func(s *stage, args []string) {
		for _, id := range parseIDs(args...) {
			s.zk.zxid++
			s.zk.brokers[id] = meta.Broker{ID: id, Epoch: s.zk.zxid, Endpoints: []meta.Endpoint{{Listener: "PLAINTEXT", Protocol: "PLAINTEXT", Host: "b" + strconv.Itoa(int(id)), Port: 9092}}}
		}
		s.zk.fire("brokers", &brokersChanged{})
	},
	// down <id>...: registrations go
	"down": func(s *stage, args []string) {
		for _, id := range parseIDs(args...) {
			delete(s.zk.brokers, id)
		}
		s.zk.fire("brokers", &brokersChanged{})
	},
	// spoil broker|topic|state <name>: a znode becomes unreadable
	"spoil": func(s *stage, args []string) {
		switch args[0] {
		case "broker":
			s.zk.brokenBrokers[parseIDs(args[1])[0]] = true
			s.zk.fire("broker "+args[1], &brokerNodesChanged{ids: args[1:]})
		case "topic":
			s.zk.brokenTopics[args[1]] = true
			s.zk.fire("topics", &topicsChanged{})
			s.zk.fire("topic "+args[1], &topicNodesChanged{topics: args[1:]})
		case "state":
			tp := parseTP(args[1])
			s.zk.brokenStates[tp] = true
			delete(s.zk.states, tp)
		}
	},
	// endpoint <id> <host> [listener]: a broker changes its address in place
	"endpoint": func(s *stage, args []string) {
		id := parseIDs(args[0])[0]
		b := s.zk.brokers[id]
		listener := "PLAINTEXT"
		if len(args) > 2 {
			listener = args[2]
		}
		b.Endpoints = []meta.Endpoint{{Listener: listener, Protocol: "PLAINTEXT", Host: args[1], Port: 9092}}
		s.zk.brokers[id] = b
		s.zk.fire("broker "+args[0], &brokerNodesChanged{ids: args[:1]})
		for _, o := range s.outboxes {
			s.settle()
			if o.b.ID == id && o.ctx.Err() == nil {
				fmt.Fprintf(&s.out, "outbox of %d goes to %s\n", id, o.box.to.Load().Endpoints[0].Host)
			}
		}
	},
	// topic <name> <partition>:<replicas>...: somebody creates a topic, or adds partitions to it
	"topic": func(s *stage, args []string) {
		a, known := s.zk.topics[args[0]]
		if !known {
			s.zk.zxid++
			a = meta.TopicAssignment{ID: meta.TopicID{15: byte(s.zk.zxid)}, Partitions: map[int32]meta.Assignment{}}
			if id, ok := s.ids[args[0]]; ok {
				a.ID = id
			}
		} else {
			a.Partitions = maps.Clone(a.Partitions)
		}
		for _, arg := range args[1:] {
			p, replicas, _ := strings.Cut(arg, ":")
			n, _ := strconv.Atoi(p)
			a.Partitions[int32(n)] = parseAssignment(replicas)
		}
		s.zk.topics[args[0]] = a
		if known {
			s.zk.fire("topic "+args[0], &topicNodesChanged{topics: args[:1]})
		} else {
			s.zk.fire("topics", &topicsChanged{})
		}
	},
	// replace <topic> <partition>:<replicas>...: deleted and created again by hand, before the controller looks
	"replace": func(s *stage, args []string) {
		s.zk.zxid++
		a := meta.TopicAssignment{ID: meta.TopicID{15: byte(s.zk.zxid)}, Partitions: map[int32]meta.Assignment{}}
		for _, arg := range args[1:] {
			p, replicas, _ := strings.Cut(arg, ":")
			n, _ := strconv.Atoi(p)
			a.Partitions[int32(n)] = parseAssignment(replicas)
			delete(s.zk.states, meta.TopicPartition{Topic: args[0], Partition: int32(n)})
		}
		s.zk.topics[args[0]] = a
		s.zk.fire("topic "+args[0], &topicNodesChanged{topics: args[:1]})
		s.zk.fire("topics", &topicsChanged{})
	},
	// mend <topic>: readable again
	"mend": func(s *stage, args []string) {
		delete(s.zk.brokenTopics, args[0])
		s.zk.fire("topic "+args[0], &topicNodesChanged{topics: args[:1]})
	},
	// noid <topic>: the topic is from before topic ids
	"noid": func(s *stage, args []string) {
		a := s.zk.topics[args[0]]
		a.ID = meta.TopicID{}
		s.zk.topics[args[0]] = a
	},
	// rmtopic <name>: somebody deletes the znode by hand
	"rmtopic": func(s *stage, args []string) {
		delete(s.zk.topics, args[0])
		s.zk.fire("topic "+args[0], &topicNodesChanged{topics: args[:1]})
		s.zk.fire("topics", &topicsChanged{})
	},
	// set <partition> leader=1 isr=1,2 e=3: the state znode changes behind the controller's back
	"set": func(s *stage, args []string) {
		tp := parseTP(args[0])
		now := s.zk.states[tp]
		now.PartitionEpoch++
		for _, arg := range args[1:] {
			key, value, _ := strings.Cut(arg, "=")
			n, _ := strconv.Atoi(value)
			switch key {
			case "leader":
				now.Leader = meta.BrokerID(n)
			case "isr":
				now.ISR = parseIDs(strings.Split(value, ",")...)
			case "e":
				now.LeaderEpoch = meta.LeaderEpoch(n)
			case "v":
				now.PartitionEpoch = meta.PartitionEpoch(n)
			case "controller_epoch":
				now.ControllerEpoch = meta.ControllerEpoch(n)
			}
		}
		s.zk.states[tp] = now
	},
	// config <topic> <key>=<value>
	"config": func(s *stage, args []string) {
		key, value, _ := strings.Cut(args[1], "=")
		s.zk.configs[args[0]] = map[string]string{key: value}
	},
	// campaign: the controller gets a session
	"campaign": func(s *stage, args []string) {
		ctx, cancel := context.WithCancel(context.Background())
		s.c.queue.put(&sessionStarted{session: &session{store: s.zk, ctx: ctx, cancel: cancel}})
	},
	// expire: the session ends
	"expire": func(s *stage, args []string) {
		old := s.l.session
		old.cancel()
		s.zk.controller = meta.NoBroker
		done := make(chan struct{})
		s.c.queue.clearAndPut(&sessionEnded{session: old, done: done})
		s.settle()
		select {
		case <-done:
			s.out.WriteString("resigned\n")
		default:
			s.out.WriteString("not resigned\n")
		}
	},
	// usurp <id>: another broker becomes controller; nobody tells yet
	"usurp": func(s *stage, args []string) {
		s.zk.controller = parseIDs(args[0])[0]
		s.zk.epoch++
		s.zk.epochVersion++
	},
	// abdicate: whoever holds /controller loses it
	"abdicate": func(s *stage, args []string) {
		s.zk.controller = meta.NoBroker
		s.zk.fire("controller", &controllerChanged{})
	},
	// restart ibp=2.6 deletion=false: another process, same ZooKeeper
	"restart": func(s *stage, args []string) {
		version, deletion := "3.9", true
		for _, arg := range args {
			key, value, _ := strings.Cut(arg, "=")
			switch key {
			case "ibp":
				version = value
			case "deletion":
				deletion = value == "true"
			}
		}
		if s.l.session != nil {
			s.l.session.cancel()
		}
		s.zk.controller = meta.NoBroker
		s.outboxes, s.timers = nil, nil
		s.start(version, deletion)
	},
	// fail <operation>: its next call fails; fail <operation> ctx: as if the session were gone
	"fail": func(s *stage, args []string) {
		s.zk.fail[args[0]] = errors.New("ZooKeeper is in a bad mood")
	},
	// hold/release <id>...: brokers cannot be reached, or can again
	"hold":    func(s *stage, args []string) { s.setHeld(args, true) },
	"release": func(s *stage, args []string) { s.setHeld(args, false) },
	// storage <id> <partition>...: a broker lost these together with a log directory
	"storage": func(s *stage, args []string) {
		lost := map[string]bool{}
		for _, tp := range args[1:] {
			lost[tp] = true
		}
		s.storage[parseIDs(args[0])[0]] = lost
	},
	// stopcode <id> <code>: what a broker answers when it is to delete a replica
	"stopcode": func(s *stage, args []string) {
		code, _ := strconv.Atoi(args[1])
		s.stopCode[parseIDs(args[0])[0]] = int16(code)
	},
	// logdir <id>: a broker says that it lost a log directory
	"logdir": func(s *stage, args []string) {
		s.zk.logDirEvents = append(s.zk.logDirEvents, zkstore.LogDirEvent{Node: fmt.Sprintf("log_dir_event_%d", len(s.zk.logDirEvents)), Broker: parseIDs(args[0])[0]})
		s.zk.fire("logdirs", &logDirEventsPublished{})
	},
	// isrchange <partition>...: an old leader says that it changed these
	"isrchange": func(s *stage, args []string) {
		c := zkstore.ISRChange{Node: fmt.Sprintf("isr_change_%d", len(s.zk.isrChanges))}
		for _, arg := range args {
			c.Partitions = append(c.Partitions, parseTP(arg))
		}
		s.zk.isrChanges = append(s.zk.isrChanges, c)
		s.zk.fire("isr", &isrChangesPublished{})
	},
	// delete <topic>...: deletion markers appear
	"delete": func(s *stage, args []string) {
		for _, topic := range args {
			s.zk.deletions[topic] = true
		}
		s.zk.fire("deletions", &deletionsChanged{})
	},
	// move <partition>=<replicas>...: reassign by request; "cancel" instead of replicas cancels
	"move": func(s *stage, args []string) {
		e := &alterReassignments{answer: newAnswer[[]error]()}
		for _, arg := range args {
			tp, replicas, _ := strings.Cut(arg, "=")
			r := Reassignment{TopicPartition: parseTP(tp)}
			if replicas != "cancel" {
				r.Replicas = append([]meta.BrokerID{}, parseIDs(strings.Split(replicas, ",")...)...)
			}
			e.reassignments = append(e.reassignments, r)
		}
		ask1(s, e, e.answer, func(errs []error) {
			for i, err := range errs {
				fmt.Fprintf(&s.out, "%s: %v\n", e.reassignments[i].TopicPartition, err)
			}
		})
	},
	// moves: list reassignments
	"moves": func(s *stage, args []string) {
		e := &listReassignments{answer: newAnswer[map[meta.TopicPartition]meta.Assignment]()}
		for _, arg := range args {
			e.partitions = append(e.partitions, parseTP(arg))
		}
		ask1(s, e, e.answer, func(running map[meta.TopicPartition]meta.Assignment) {
			for _, tp := range slices.SortedFunc(maps.Keys(running), meta.TopicPartition.Compare) {
				fmt.Fprintf(&s.out, "%s %s\n", tp, assignmentText(running[tp]))
			}
		})
	},
	// zkmove <partition>=<replicas>...: reassign by znode
	"zkmove": func(s *stage, args []string) {
		for _, arg := range args {
			tp, replicas, _ := strings.Cut(arg, "=")
			s.zk.moves = append(s.zk.moves, zkstore.Reassignment{TopicPartition: parseTP(tp), Replicas: parseIDs(strings.Split(replicas, ",")...)})
		}
		s.zk.movesExist = true
		s.zk.fire("moves", &reassignmentsChanged{})
	},
	// elect preferred|unclean <partition>...
	"elect": func(s *stage, args []string) {
		e := &electLeaders{answer: newAnswer[[]ElectionResult]()}
		if args[0] == "unclean" {
			e.kind = UncleanElection
		}
		for _, arg := range args[1:] {
			e.partitions = append(e.partitions, parseTP(arg))
		}
		ask1(s, e, e.answer, func(results []ElectionResult) {
			for i, r := range results {
				if r.Err != nil {
					fmt.Fprintf(&s.out, "%s: %v\n", e.partitions[i], r.Err)
				} else {
					fmt.Fprintf(&s.out, "%s: leader %d\n", e.partitions[i], r.Leader)
				}
			}
		})
	},
	// zkelect <partition>...: preferred election by znode
	"zkelect": func(s *stage, args []string) {
		for _, arg := range args {
			s.zk.preferred = append(s.zk.preferred, parseTP(arg))
		}
		s.zk.preferredSet = true
		s.zk.fire("preferred", &preferredElectionChanged{})
	},
	// shutdown <id> [epoch]: a broker asks to leave
	"shutdown": func(s *stage, args []string) {
		id := parseIDs(args[0])[0]
		e := &controlledShutdown{broker: id, epoch: s.epochOf(id, args[1:]), answer: newAnswer[[]meta.TopicPartition]()}
		ask1(s, e, e.answer, func(left []meta.TopicPartition) { fmt.Fprintf(&s.out, "still leads %v\n", left) })
	},
	// alter <broker>[@epoch] <partition> isr=1,2 e=0 v=0 [recovering] [, ...]: a leader proposes states
	"alter": func(s *stage, args []string) {
		from, epoch, given := strings.Cut(args[0], "@")
		id := parseIDs(from)[0]
		e := &alterPartition{from: id, answer: newAnswer[[]PartitionChangeResult]()}
		e.epoch = s.epochOf(id, nil)
		if given {
			e.epoch = s.epochOf(id, []string{epoch})
		}
		var names []string
		for part := range strings.SplitSeq(strings.Join(args[1:], " "), ",, ") {
			words := strings.Fields(part)
			tp := parseTP(words[0])
			c := PartitionChange{TopicID: s.zk.topics[tp.Topic].ID, Partition: tp.Partition}
			if c.TopicID.IsZero() {
				c.Topic = tp.Topic
			}
			for _, word := range words[1:] {
				key, value, _ := strings.Cut(word, "=")
				n, _ := strconv.Atoi(value)
				switch key {
				case "isr":
					c.ISR = parseIDs(strings.Split(value, ",")...)
				case "e":
					c.LeaderEpoch = meta.LeaderEpoch(n)
				case "v":
					c.PartitionEpoch = meta.PartitionEpoch(n)
				case "recovering":
					c.RecoveryState = meta.Recovering
				case "id":
					c.Topic, c.TopicID = "", meta.TopicID{0: byte(n)}
				}
			}
			e.changes = append(e.changes, c)
			names = append(names, words[0])
		}
		ask1(s, e, e.answer, func(results []PartitionChangeResult) {
			for i, r := range results {
				if r.Err != nil {
					fmt.Fprintf(&s.out, "%s: %v\n", names[i], r.Err)
				} else {
					fmt.Fprintf(&s.out, "%s: %s\n", names[i], stateText(r.State))
				}
			}
		})
	},
	// producerids <id> [epoch]
	"producerids": func(s *stage, args []string) {
		id := parseIDs(args[0])[0]
		e := &allocateProducerIDs{broker: id, epoch: s.epochOf(id, args[1:]), answer: newAnswer[ProducerIDBlock]()}
		ask1(s, e, e.answer, func(b ProducerIDBlock) { fmt.Fprintf(&s.out, "%d ids from %d\n", b.Length, b.Start) })
	},
	// unclean [topic]: unclean elections became allowed
	"unclean": func(s *stage, args []string) {
		e := &uncleanElectionEnabled{}
		if len(args) > 0 {
			e.topic = args[0]
		}
		s.c.queue.put(e)
	},
	// timers: list what is queued for later; timer <i>: its time has come
	"timers": func(s *stage, args []string) {
		for i, timer := range s.timers {
			if !timer.off {
				fmt.Fprintf(&s.out, "%d: %s after %s\n", i, timer.e.name(), timer.after.Round(100*time.Millisecond))
			}
		}
	},
	"timer": func(s *stage, args []string) {
		i, _ := strconv.Atoi(args[0])
		s.timers[i].off = true
		s.l.restUntil = time.Time{}
		s.c.queue.put(s.timers[i].e)
	},
	// quiet/loud: whether to print requests
	"quiet": func(s *stage, args []string) { s.quiet = true },
	"loud":  func(s *stage, args []string) { s.quiet = false },
	// state: what the controller has in mind
	"state": func(s *stage, args []string) {
		if s.l.term == nil {
			s.out.WriteString("standing by\n")
			return
		}
		st := s.l.term.state
		for _, p := range st.partitions(nil) {
			fmt.Fprintf(&s.out, "%s %s %s", p.tp(), p.state, assignmentText(p.assignment))
			if p.known {
				fmt.Fprintf(&s.out, " %s", stateText(p.info))
			}
			slices.SortFunc(p.replicas, func(a, b replica) int { return int(a.broker) - int(b.broker) })
			for _, r := range p.replicas {
				fmt.Fprintf(&s.out, " %d:%s", r.broker, r.state)
			}
			if p.topic.queued {
				s.out.WriteString(" queued")
			}
			if p.topic.ineligible {
				s.out.WriteString(" ineligible")
			}
			s.out.WriteString("\n")
		}
	},
}

func (s *stage) setHeld(args []string, held bool) {
	for _, id := range parseIDs(args...) {
		s.held[id] = held
	}
}

func (s *stage) epochOf(id meta.BrokerID, given []string) meta.BrokerEpoch {
	if len(given) > 0 {
		n, _ := strconv.Atoi(given[0])
		return meta.BrokerEpoch(n)
	}
	return s.zk.brokers[id].Epoch
}

func parseIDs(texts ...string) []meta.BrokerID {
	var ids []meta.BrokerID
	for _, text := range texts {
		if n, err := strconv.Atoi(text); err == nil {
			ids = append(ids, meta.BrokerID(n))
		}
	}
	return ids
}

func parseTP(text string) meta.TopicPartition {
	i := strings.LastIndexByte(text, '-')
	n, _ := strconv.Atoi(text[i+1:])
	return meta.TopicPartition{Topic: text[:i], Partition: int32(n)}
}

// parseAssignment reads "1,2,3", "4,1,2+4-1".
func parseAssignment(text string) meta.Assignment {
	rest, removing, _ := strings.Cut(text, "-")
	replicas, adding, _ := strings.Cut(rest, "+")
	return meta.Assignment{Replicas: parseIDs(strings.Split(replicas, ",")...), Adding: parseIDs(strings.Split(adding, ",")...), Removing: parseIDs(strings.Split(removing, ",")...)}
}
