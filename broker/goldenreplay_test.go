package broker_test

import (
	"bufio"
	"encoding/binary"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// replay puts recorded questions to brokers and compares their answers with those recorded.
type replay struct {
	t     *testing.T
	addrs map[string]string // by the name of the recorded broker
	rules *rules
	conns map[int]*goldenConn // by the number of the recorded connection
	all   []exchange
	names topicNames
	dirs  map[string]string // log directories, as recorded to own

	members  memberIDs
	parked   []parkedExchange
	sessions map[int32]int32 // fetch sessions, as recorded to own
	waited   time.Duration   // for the consequences of earlier requests
	compared map[string]int  // exchanges by API
	skipped  map[string]int  // by reason
}

func newReplay(t *testing.T, addrs map[string]string, r *rules) *replay {
	p := &replay{t: t, addrs: addrs, rules: r, conns: map[int]*goldenConn{}, names: newTopicNames(), members: memberIDs{}, sessions: map[int32]int32{},
		compared: map[string]int{}, skipped: map[string]int{}}
	t.Cleanup(func() {
		for _, c := range p.conns {
			c.Close()
		}
	})
	return p
}

// run replays everything in order.
func (p *replay) run(all []exchange) {
	served := p.served()
	p.all = all
	for i := range all {
		e := &all[i]
		if why := p.skip(e, served); why != "" {
			p.skipped[why]++
			if p.rules.instead != nil {
				p.rules.instead(p, e)
			}
			continue
		}
		p.one(e)
	}
	p.summary()
	p.rules.checkUsed(p.t)
}

func (p *replay) summary() {
	total := 0
	for _, api := range sortedKeys(p.compared) {
		total += p.compared[api]
		p.t.Logf("compared %4d %s", p.compared[api], api)
	}
	p.t.Logf("compared %4d in all", total)
	for _, why := range sortedKeys(p.skipped) {
		p.t.Logf("skipped  %4d: %s", p.skipped[why], why)
	}
}

func sortedKeys(m map[string]int) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// served asks the broker what it serves.
func (p *replay) served() map[int16]bool {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "test", "1"
	req.SetVersion(3)
	resp := p.ask(req).(*kmsg.ApiVersionsResponse)
	p.until("a controller, which sets up features", func() bool {
		resp = p.ask(req).(*kmsg.ApiVersionsResponse)
		return resp.FinalizedFeaturesEpoch >= 0
	})
	out := map[int16]bool{}
	for _, k := range resp.ApiKeys {
		out[k.ApiKey] = true
	}
	return out
}

// ask sends a request of the test's own.
func (p *replay) ask(req kmsg.Request) kmsg.Response {
	p.t.Helper()
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, req, 1)
	answer, end := p.conn(-1, "broker 1").exchange(frame[4:], true)
	if end != answered {
		p.t.Fatalf("%T: %v", req, end)
	}
	resp := decodeAnswer(req.Key(), req.GetVersion(), answer)
	if resp == nil {
		p.t.Fatalf("%T: the answer cannot be decoded: %x", req, answer)
	}
	return resp
}

// until asks the broker until it says yes.
func (p *replay) until(what string, is func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("no %s in time", what)
		}
	}
}

// makeTopics makes topics by asking for them, and returns when they are there.
func (p *replay) makeTopics(names ...string) {
	p.t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	req.SetVersion(9)
	req.AllowAutoTopicCreation = true
	for _, name := range names {
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &name})
	}
	p.until("topics "+strings.Join(names, " and "), func() bool {
		for _, t := range p.ask(req).(*kmsg.MetadataResponse).Topics {
			if t.ErrorCode != 0 {
				return false
			}
		}
		return true
	})
}

func (p *replay) skip(e *exchange, served map[int16]bool) string {
	if why := p.rules.skips(e); why != "" {
		return why
	}
	if !served[e.Key] && kmsg.NameForKey(e.Key) != "Unknown" && !e.Closed {
		return "API not served yet: " + e.API
	}
	return ""
}

func (p *replay) conn(number int, broker string) *goldenConn {
	p.t.Helper()
	c := p.conns[number]
	if c == nil {
		tcp, err := net.Dial("tcp", p.addrs[broker])
		if err != nil {
			p.t.Fatal(err)
		}
		c = &goldenConn{Conn: tcp, r: bufio.NewReader(tcp)}
		p.conns[number] = c
	}
	return c
}

// one replays one exchange. Where the recorded client had paused before it, the broker is asked until it answers as recorded.
func (p *replay) one(e *exchange) {
	p.t.Helper()
	p.compared[e.API]++
	if waitsForOthers(e) {
		p.park(e)
		return
	}
	found := p.differences(e)
	for len(found) > 0 && p.rules.paused != nil && p.rules.paused(e) && p.waited < settle {
		start := time.Now()
		time.Sleep(time.Millisecond) // polling the broker
		found = p.differences(e)
		p.waited += time.Since(start)
	}
	for _, d := range found {
		p.t.Errorf("%v: %s: Kafka %s, kraal %s", e, d.path, d.want, d.got)
	}
	if len(p.parked) > 0 && e.API == p.parked[0].e.API && !strings.HasSuffix(e.Case, "first join") && !strings.Contains(e.Case, "third member") {
		p.unpark() // what it waited for has been said
	}
}

// settle is how long the consequences of earlier requests may take, all in all.
const settle = 10 * time.Second

// differences replays an exchange and returns the differences that no rule allows.
func (p *replay) differences(e *exchange) []difference {
	p.t.Helper()
	req := decodeQuestion(e.Request)
	frame, quiet := e.Request, false
	if req != nil {
		if p.own(e, req) {
			frame = reencode(e.Request, req)
		}
		if produce, ok := req.(*kmsg.ProduceRequest); ok && produce.Acks == 0 {
			quiet = !e.Closed
		}
	}
	answer, end := p.conn(e.Conn, e.To).exchange(p.members.own(frame), !quiet)
	if end != answered {
		p.conn(e.Conn, e.To).Close()
		delete(p.conns, e.Conn)
	}
	switch {
	case quiet:
		return nil
	case e.Closed || e.Unanswered:
		want := closed
		if e.Unanswered {
			want = unanswered
		}
		if end == want {
			return nil
		}
		return p.unwanted(e, difference{"", want.String(), end.String()})
	case end != answered:
		return p.unwanted(e, difference{"", answered.String(), end.String()})
	}
	return p.compare(e, answer)
}

// own puts into a request what only this broker can have given: fetch session and topic ids.
func (p *replay) own(e *exchange, req kmsg.Request) bool {
	changed := p.names.translate(req)
	if a, ok := req.(*kmsg.AlterReplicaLogDirsRequest); ok {
		for i := range a.Dirs {
			if own, ok := p.dirs[a.Dirs[i].Dir]; ok {
				a.Dirs[i].Dir, changed = own, true
			}
		}
	}
	f, ok := req.(*kmsg.FetchRequest)
	if !ok {
		return changed
	}
	if f.MaxWaitMillis > maxPoll && !strings.HasPrefix(e.Case, "long poll") {
		f.MaxWaitMillis, changed = maxPoll, true
	}
	if id, ok := p.sessions[f.SessionID]; ok {
		f.SessionID, changed = id, true
	}
	return changed
}

// maxPoll is how long fetches wait here when there is nothing to read; the recording took its time.
const maxPoll = 10

func (p *replay) compare(e *exchange, answer []byte) []difference {
	p.t.Helper()
	want, got := decodeAnswer(e.Key, e.Version, e.Response), decodeAnswer(e.Key, e.Version, answer)
	if want == nil {
		p.t.Fatalf("%v: the recorded answer cannot be decoded", e)
	}
	if got == nil {
		p.t.Errorf("%v: the answer cannot be decoded:\n%x, recorded\n%x", e, answer, e.Response)
		return nil
	}
	if again := appendAnswer(answer, got); string(again) != string(answer) {
		p.t.Errorf("%v: the answer is not how it should be encoded:\n%x, should be\n%x", e, answer, again)
	}
	if binary.BigEndian.Uint32(answer) != binary.BigEndian.Uint32(e.Request[4:]) {
		p.t.Errorf("%v: correlation id %x", e, answer[:4])
	}
	p.members.learn(want, got)
	got = decodeAnswer(e.Key, e.Version, p.members.recorded(answer))
	p.learn(want, got)
	if p.rules.expect != nil {
		p.rules.expect(e, want, got)
	}
	return p.unwanted(e, diff(p.names.recorded(want), p.names.own(got))...)
}

// learn remembers which of the broker's own ids stands for which recorded one.
func (p *replay) learn(want, got kmsg.Response) {
	switch want := want.(type) {
	case *kmsg.CreateTopicsResponse:
		for _, t := range want.Topics {
			p.names.add(t.Topic, t.TopicID, false)
		}
		for _, t := range got.(*kmsg.CreateTopicsResponse).Topics {
			p.names.add(t.Topic, t.TopicID, true)
		}
	case *kmsg.MetadataResponse:
		for _, t := range want.Topics {
			p.names.addPtr(t.Topic, t.TopicID, false)
		}
		for _, t := range got.(*kmsg.MetadataResponse).Topics {
			p.names.addPtr(t.Topic, t.TopicID, true)
		}
	case *kmsg.FetchResponse:
		if want.SessionID != 0 {
			p.sessions[want.SessionID] = got.(*kmsg.FetchResponse).SessionID
		}
	}
}

// unwanted leaves out the differences that a rule allows.
func (p *replay) unwanted(e *exchange, found ...difference) []difference {
	return slices.DeleteFunc(found, func(d difference) bool { return p.rules.wanted(e, d.path, d.want, d.got) })
}
