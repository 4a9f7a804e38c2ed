package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

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
	// grow <topic> <partition>:<replicas>: partitions are added, and the news of it is still on its way
	"grow": func(s *stage, args []string) {
		a := s.zk.topics[args[0]]
		a.Partitions = maps.Clone(a.Partitions)
		p, replicas, _ := strings.Cut(args[1], ":")
		n, _ := strconv.Atoi(p)
		a.Partitions[int32(n)] = parseAssignment(replicas)
		s.zk.topics[args[0]] = a
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
		if old == nil {
			return
		}
		old.cancel()
		if s.zk.controller == s.c.opts.BrokerID {
			s.zk.controller = meta.NoBroker
		}
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
