package controller

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// recorded is one line of testdata/golden/brokers.jsonl.gz.
type recorded struct {
	File     string `json:"file"`
	Seq      int    `json:"seq"`
	Step     string `json:"step"`
	From     int32  `json:"from"`
	To       int32  `json:"to"`
	Key      int16  `json:"key"`
	Version  int16  `json:"version"`
	Request  []byte `json:"request"`
	Response []byte `json:"response"`
}

// goldenActs says what happened to the recorded fleet, in stage commands, and before which recorded line. Commands with
// an "@" want the broker epoch that the registration had.
var goldenActs = map[string][]struct {
	before  int
	command string
}{
	"01": {{2, "up@67 1"}, {2, "campaign"}},
	"02": {{2, "up@89 2"}},
	"03": {{2, "up@107 3"}},
	"04": {{2, "topic orders 0:1,2,3 1:2,3,1"}, {21, "topic pair 0:1,2"}},
	"06": {{3, "topic __consumer_offsets 0:1,2,3 1:2,3,1 2:3,1,2"}},
	"07": {{8, "topic __transaction_state 0:3,1,2 1:1,2,3 2:2,3,1"}},
	"09": {{2, "topic orders 2:3,1,2"}},
	"10": {{20, "down 2"}},
	"11": {{11, "up@190 2"}},
	"12": {{2, "elect preferred orders-1 pair-0"}},
	"13": {{36, "down 2"}},
	"14": {{13, "up@230 2"}},
	"15": {{19, "down 3"}},
	"16": {{10, "up@269 3"}},
	"17": {{17, "down 2"}, {136, "up@291 2"}},
	"18": {{3, "move pair-0=3,2"}, {68, "move orders-0=3,1,2"}, {87, "move pair-0=3,2,1"}, {137, "move pair-0=3,1"}},
	"19": {{2, "topic held 0:3"}, {7, "move held-0=2"}, {18, "move held-0=cancel"}},
	"20": {{4, "topic short 0:1,2"}, {45, "down 2"}, {71, "up@366 2"}},
	"21": {{2, "topic risky 0:2,3"}, {61, "down 3"}, {70, "down 2"}, {75, "up@426 3"}, {93, "elect unclean risky-0"}, {109, "up@456 2"}},
	"22": {{2, "delete short"}},
	"24": {{13, "become 2"}, {48, "up@563 1"}},
	"25": {{20, "become 3"}, {55, "up@610 2"}},
	"26": {{16, "down 1"}, {30, "down 2"}},
	"27": {{2, "become 3@695"}, {4, "up@697 1 2"}},
	"ibp-2-6": {{2, "up@1047 1"}, {2, "campaign"}, {4, "up@1070 2"}, {7, "up@1089 3"}, {11, "topic orders 0:2,3,1"}, {38, "down 2"}, {52, "up@1116 2"},
		{90, "set orders-0 isr=3,1,2"}, {90, "isrchange orders-0"}, {100, "delete orders"}},
	"ibp-1-0": {{2, "up 1"}, {2, "campaign"}, {4, "up 2"}, {7, "up 3"}, {11, "topic orders 0:2,3,1"}, {38, "down 2"}, {71, "up 2"},
		{106, "set orders-0 isr=3,1,2"}, {106, "isrchange orders-0"}, {116, "delete orders"}},
	"23": {{5, "topic doomed 0:1,2,3"}, {28, "down 2"}, {36, "delete doomed"}, {51, "up@515 2"}},
}

// TestGolden plays the recorded life of a fleet to a controller and compares, per file and receiver, what it sends with
// what Apache Kafka sent. The order to one receiver counts, the order of topics and partitions within a request does not.
// Repetitions are folded: Kafka tells a replica that is being added twice, and everybody with it.
func TestGolden(t *testing.T) {
	lines := readGolden(t)
	s := newStage()
	s.c.opts.BrokerID = 1
	topicIDs(t, s, lines)
	compared := 0
	for _, file := range goldenFiles(lines) {
		if ibp, other := strings.CutPrefix(file, "ibp-"); other { // another fleet
			s = newStage()
			s.start(strings.ReplaceAll(ibp, "-", "."), true)
			s.c.opts.BrokerID = 1
			s.ids = map[string]meta.TopicID{"orders": {}}
		}
		acts := goldenActs[file]
		want, got := map[int32][]string{}, map[int32][]string{}
		s.sent = func(to meta.BrokerID, text string) { got[int32(to)] = append(got[int32(to)], text) }
		for _, line := range lines {
			if line.File != file || line.Step != "" {
				continue
			}
			for len(acts) > 0 && acts[0].before <= line.Seq {
				if id, changes := strings.CutPrefix(acts[0].command, "become "); changes {
					// What the last controller still got out before it went is a matter of luck.
					clear(want)
					clear(got)
					s.become(id)
				} else {
					if gone, down := strings.CutPrefix(acts[0].command, "down "); down {
						cutShort(got, want, gone)
					}
					s.act(t, acts[0].command)
				}
				acts = acts[1:]
			}
			self := int32(s.c.opts.BrokerID)
			switch asks := line.Key == 7 || line.Key == 56 || line.Key == 67; {
			case asks && line.To == self:
				s.replay(t, line)
				continue
			case asks || line.From != self:
				continue // to or from a controller that is no more
			}
			want[line.To] = append(want[line.To], goldenText(t, s, line))
		}
		for id := int32(1); id <= 3; id++ {
			w, g := slices.Compact(want[id]), slices.Compact(got[id])
			compared += len(w)
			if !slices.Equal(w, g) {
				t.Errorf("file %s, to broker %d\n--- got\n%s\n--- want\n%s", file, id, strings.Join(g, "\n"), strings.Join(w, "\n"))
			}
		}
	}
	if compared < 300 {
		t.Errorf("only %d requests compared", compared)
	}
}

func readGolden(t *testing.T) []recorded {
	t.Helper()
	f, err := os.Open("testdata/golden/brokers.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var lines []recorded
	for in := bufio.NewScanner(z); in.Scan(); {
		var line recorded
		if err := json.Unmarshal(in.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

func goldenFiles(lines []recorded) []string {
	var files []string
	for _, line := range lines {
		files = append(files, line.File)
	}
	return slices.Compact(files)
}

// topicIDs lets topics have the ids they had.
func topicIDs(t *testing.T, s *stage, lines []recorded) {
	s.ids = map[string]meta.TopicID{}
	for _, line := range lines {
		if line.Key == 4 && !strings.HasPrefix(line.File, "ibp-") {
			r := kmsg.NewPtrLeaderAndISRRequest()
			decodeGolden(t, line, r)
			for _, topic := range r.TopicStates {
				s.ids[topic.Topic] = topic.TopicID
			}
		}
	}
}

func decodeGolden(t *testing.T, line recorded, r kmsg.Request) {
	t.Helper()
	r.SetVersion(line.Version)
	body := slices.Clone(goldenBody(line.Request, r.IsFlexible()))
	if line.Key == 5 && line.Version == 4 {
		// Kafka has IsKRaftController (0 here) before the controller epoch, kmsg behind it.
		copy(body[4:8], body[5:9])
		body[8] = 0
	}
	if err := r.ReadFrom(body); err != nil {
		t.Fatalf("file %s, seq %d: %v", line.File, line.Seq, err)
	}
}

// goldenBody cuts the request header off.
func goldenBody(frame []byte, flexible bool) []byte {
	n := 8 + 2 + int(binary.BigEndian.Uint16(frame[8:]))
	if flexible {
		n++ // no tags
	}
	return frame[n:]
}

// responseBody cuts the response header off.
func responseBody(frame []byte, flexible bool) []byte {
	if flexible {
		return frame[5:]
	}
	return frame[4:]
}

// goldenText describes a recorded request as the stage describes sent ones.
func goldenText(t *testing.T, s *stage, line recorded) string {
	var r kmsg.Request
	switch line.Key {
	case 4:
		r = kmsg.NewPtrLeaderAndISRRequest()
	case 5:
		r = kmsg.NewPtrStopReplicaRequest()
	case 6:
		r = kmsg.NewPtrUpdateMetadataRequest()
	}
	decodeGolden(t, line, r)
	return goldenRequestText(r)
}

// goldenRequestText adds to the stage's description what only the recordings have. What the version does not carry is lost.
func goldenRequestText(r kmsg.Request) string {
	frame := r.AppendTo(nil)
	version := r.GetVersion()
	switch r.(type) {
	case *kmsg.LeaderAndISRRequest:
		r = kmsg.NewPtrLeaderAndISRRequest()
	case *kmsg.UpdateMetadataRequest:
		r = kmsg.NewPtrUpdateMetadataRequest()
	case *kmsg.StopReplicaRequest:
		r = kmsg.NewPtrStopReplicaRequest()
	}
	r.SetVersion(version)
	if err := r.ReadFrom(frame); err != nil {
		return err.Error()
	}
	sortRequest(r)
	o := &stageOutbox{}
	var leaders []int32
	switch r := r.(type) {
	case *kmsg.LeaderAndISRRequest:
		r.Type = 0 // Apache's never say that they leave nothing out
		o.b.Epoch = meta.BrokerEpoch(r.BrokerEpoch)
		for _, l := range r.LiveLeaders {
			leaders = append(leaders, l.BrokerID)
		}
		slices.Sort(leaders)
	case *kmsg.UpdateMetadataRequest:
		o.b.Epoch = meta.BrokerEpoch(r.BrokerEpoch)
	case *kmsg.StopReplicaRequest:
		o.b.Epoch = meta.BrokerEpoch(r.BrokerEpoch)
	}
	return fmt.Sprintf("%s\n     version=%d broker_epoch=%d leaders=%s", (&stage{}).requestText(o, r), version, o.b.Epoch, idsText(leaders))
}

func sortRequest(r kmsg.Request) {
	switch r := r.(type) {
	case *kmsg.LeaderAndISRRequest:
		slices.SortFunc(r.TopicStates, func(a, b kmsg.LeaderAndISRRequestTopicState) int { return strings.Compare(a.Topic, b.Topic) })
		for _, topic := range r.TopicStates {
			slices.SortFunc(topic.PartitionStates, func(a, b kmsg.LeaderAndISRRequestTopicPartition) int { return int(a.Partition - b.Partition) })
		}
	case *kmsg.UpdateMetadataRequest:
		slices.SortFunc(r.LiveBrokers, func(a, b kmsg.UpdateMetadataRequestLiveBroker) int { return int(a.ID - b.ID) })
		slices.SortFunc(r.TopicStates, func(a, b kmsg.UpdateMetadataRequestTopicState) int { return strings.Compare(a.Topic, b.Topic) })
		for _, topic := range r.TopicStates {
			slices.SortFunc(topic.PartitionStates, func(a, b kmsg.UpdateMetadataRequestTopicPartition) int { return int(a.Partition - b.Partition) })
		}
	case *kmsg.StopReplicaRequest:
		slices.SortFunc(r.Topics, func(a, b kmsg.StopReplicaRequestTopic) int { return strings.Compare(a.Topic, b.Topic) })
		for _, topic := range r.Topics {
			slices.SortFunc(topic.PartitionStates, func(a, b kmsg.StopReplicaRequestTopicPartitionState) int { return int(a.Partition - b.Partition) })
		}
	}
}

// cutShort drops what was sent to a broker that had gone before it could take it.
func cutShort(got, want map[int32][]string, gone string) {
	id := int32(parseIDs(gone)[0])
	got[id], want[id] = slices.Compact(got[id]), slices.Compact(want[id])
	if len(want[id]) < len(got[id]) {
		got[id] = got[id][:len(want[id])]
	}
}

// become lets the controller's broker die and another one win, or itself in another life.
func (s *stage) become(who string) {
	id, epoch, again := strings.Cut(who, "@")
	delete(s.zk.brokers, s.c.opts.BrokerID)
	s.play("restart")
	s.c.opts.BrokerID = parseIDs(id)[0]
	if again {
		fmt.Sscan(epoch, &s.zk.zxid)
		s.zk.zxid--
		s.play("up " + id)
	}
	s.play("campaign")
}

// act carries out one act of goldenActs.
func (s *stage) act(t *testing.T, command string) {
	t.Helper()
	name, args, _ := strings.Cut(command, " ")
	if verb, epoch, given := strings.Cut(name, "@"); given {
		fmt.Sscan(epoch, &s.zk.zxid)
		s.zk.zxid--
		command = verb + " " + args
	}
	out := s.play(command)
	for _, bad := range []string{"error", "conflict", "no such command", "not "} {
		if strings.Contains(out, bad) && !strings.Contains(out, "not needed") {
			t.Errorf("%s: %s", command, out)
		}
	}
}

// replay asks the controller what a broker asked, and compares the answers.
func (s *stage) replay(t *testing.T, line recorded) {
	t.Helper()
	switch line.Key {
	case 7:
		r := kmsg.NewPtrControlledShutdownRequest()
		decodeGolden(t, line, r)
		want := r.ResponseKind().(*kmsg.ControlledShutdownResponse)
		if err := want.ReadFrom(responseBody(line.Response, want.IsFlexible())); err != nil {
			t.Fatal(err)
		}
		if r.Version < 2 {
			r.BrokerEpoch = -1
		}
		e := &controlledShutdown{broker: meta.BrokerID(r.BrokerID), epoch: meta.BrokerEpoch(r.BrokerEpoch), answer: newAnswer[[]meta.TopicPartition]()}
		s.c.queue.put(e)
		s.settle()
		if a := <-e.answer; a.err != nil || len(a.value) != len(want.PartitionsRemaining) {
			t.Errorf("file %s, seq %d: shutdown answered %v, %v", line.File, line.Seq, a.value, a.err)
		}
	case 67:
		r := kmsg.NewPtrAllocateProducerIDsRequest()
		decodeGolden(t, line, r)
		want := r.ResponseKind().(*kmsg.AllocateProducerIDsResponse)
		if err := want.ReadFrom(responseBody(line.Response, want.IsFlexible())); err != nil {
			t.Fatal(err)
		}
		e := &allocateProducerIDs{broker: meta.BrokerID(r.BrokerID), epoch: meta.BrokerEpoch(r.BrokerEpoch), answer: newAnswer[ProducerIDBlock]()}
		s.c.queue.put(e)
		s.settle()
		if a := <-e.answer; a.err != nil || a.value != (ProducerIDBlock{want.ProducerIDStart, want.ProducerIDLen}) {
			t.Errorf("file %s, seq %d: producer ids answered %v, %v", line.File, line.Seq, a.value, a.err)
		}
	case 56:
		r := kmsg.NewPtrAlterPartitionRequest()
		decodeGolden(t, line, r)
		s.replayAlter(t, line, r)
	}
}

func (s *stage) replayAlter(t *testing.T, line recorded, r *kmsg.AlterPartitionRequest) {
	want := r.ResponseKind().(*kmsg.AlterPartitionResponse)
	if err := want.ReadFrom(responseBody(line.Response, want.IsFlexible())); err != nil {
		t.Fatal(err)
	}
	answers := map[string]string{}
	for _, topic := range want.Topics {
		for _, p := range topic.Partitions {
			answers[fmt.Sprintf("%v-%d", topic.TopidID, p.Partition)] = fmt.Sprintf("code=%d leader=%d isr=%s e=%d v=%d", p.ErrorCode, p.LeaderID, idsText(p.ISR), p.LeaderEpoch, p.PartitionEpoch)
		}
	}
	e := &alterPartition{from: meta.BrokerID(r.BrokerID), epoch: meta.BrokerEpoch(r.BrokerEpoch), answer: newAnswer[[]PartitionChangeResult]()}
	for _, topic := range r.Topics {
		for _, p := range topic.Partitions {
			c := PartitionChange{TopicID: topic.TopicID, Partition: p.Partition, LeaderEpoch: meta.LeaderEpoch(p.LeaderEpoch), PartitionEpoch: meta.PartitionEpoch(p.PartitionEpoch), RecoveryState: meta.RecoveryState(p.LeaderRecoveryState)}
			for _, member := range p.NewEpochISR {
				c.ISR = append(c.ISR, meta.BrokerID(member.BrokerID))
			}
			e.changes = append(e.changes, c)
		}
	}
	s.c.queue.put(e)
	s.settle()
	a := <-e.answer
	if a.err != nil {
		t.Errorf("file %s, seq %d: AlterPartition answered %v", line.File, line.Seq, a.err)
		return
	}
	for i, got := range a.value {
		text := fmt.Sprintf("code=%d leader=%d isr=%s e=%d v=%d", 0, got.State.Leader, idsText(got.State.ISR), got.State.LeaderEpoch, got.State.PartitionEpoch)
		if got.Err != nil {
			text = got.Err.Error()
		}
		if want := answers[fmt.Sprintf("%v-%d", [16]byte(e.changes[i].TopicID), e.changes[i].Partition)]; text != want {
			t.Errorf("file %s, seq %d: AlterPartition of %s-%d answered %s, want %s", line.File, line.Seq, got.Topic, e.changes[i].Partition, text, want)
		}
	}
}
