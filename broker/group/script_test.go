package group

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/tools/testkit"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// TestScripts plays testdata/script/*.txt: a command, "----", and what the shard answered, wrote, showed and logged because of it.
// Time passes and appends are replicated only when the script says so.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			testkit.Script(t, file, newStage().play)
		})
	}
}

// stage is a shard with a clock and a log that a script moves.
type stage struct {
	shard  *Shard
	config Config
	env    *scriptEnv
	out    strings.Builder
	lastID int
	quiet  bool // say nothing of the board
}

func newStage() *stage {
	st := &stage{env: &scriptEnv{now: time.UnixMilli(1700000000000).UTC()}, config: Config{
		MinSessionTimeout: 6 * time.Second, MaxSessionTimeout: 30 * time.Minute, MaxSize: 1000,
		RetentionCheckInterval: 10 * time.Minute, RecordVersion: 3,
	}}
	st.env.say = st.say
	st.start()
	return st
}

func (st *stage) start() {
	st.env.timers, st.env.appends = nil, nil
	st.shard = newShard(st.env, ShardOptions{
		Config: st.config, Board: st, Metrics: NewMetrics(nil), Logger: zap.New(&lines{st}),
		NewID: func() string { st.lastID++; return strconv.Itoa(st.lastID) },
	})
}

func (st *stage) say(format string, args ...any) { fmt.Fprintf(&st.out, format+"\n", args...) }

func (st *stage) Show(group string, members []Shown) {
	if st.quiet {
		return
	}
	for _, m := range members {
		topics, _ := subscribedTopics(m.Subscription)
		owned, err := assignedPartitions(m.Assignment)
		st.say("board %s: %s wants %v owns %v", group, m.ID, topics, assignmentText(owned, err))
	}
}
func (st *stage) Clear(group string)  { st.board("clear", group) }
func (st *stage) Forget(group string) { st.board("forget", group) }

func (st *stage) board(what, group string) {
	if !st.quiet {
		st.say("board %s %s", what, group)
	}
}

// play runs one command and returns what happened.
func (st *stage) play(command string) string {
	st.out.Reset()
	words := strings.Fields(command)
	args := map[string]string{}
	var plain []string
	for _, w := range words[1:] {
		if k, v, ok := strings.Cut(w, "="); ok {
			args[k] = v
		} else {
			plain = append(plain, w)
		}
	}
	switch words[0] {
	case "join":
		st.join(plain[0], args)
	case "sync":
		st.sync(plain[0], args)
	case "beat":
		q := HeartbeatRequest{Group: plain[0], MemberID: args["m"], InstanceID: optional(args, "i"), Generation: number(args, "g")}
		st.say("beat %s: %s", who(args), said(st.shard.Heartbeat(q)))
	case "leave":
		st.leave(plain)
	case "pass":
		d, err := time.ParseDuration(plain[0])
		if err != nil {
			panic(err)
		}
		st.env.pass(d)
	case "stored":
		st.env.complete(nil)
	case "lost":
		st.env.complete(map[string]error{"timeout": coord.ErrTimedOut, "moved": coord.ErrNotCoordinator, "isr": coord.ErrNotAvailable, "large": coord.ErrTooLarge}[plain[0]])
	case "describe":
		st.describe(plain[0])
	case "list":
		for _, g := range st.shard.List() {
			st.say("%s %s %q", g.ID, g.State, g.ProtocolType)
		}
	case "delete":
		st.shard.Delete(plain[0], func(err error) { st.say("delete %s: %s", plain[0], said(err)) })
	case "unload":
		st.shard.Unloaded()
	case "reload":
		st.start()
		for i, r := range st.env.log {
			st.shard.Replay(r, coord.Position{Offset: int64(i)}, coord.NoProducer, -1, false)
		}
		st.shard.Loaded()
	case "max":
		st.config.MaxSize, _ = strconv.Atoi(plain[0])
		st.shard.config = st.config
	case "delay":
		st.config.InitialRebalanceDelay, _ = time.ParseDuration(plain[0])
		st.shard.config = st.config
	case "quiet":
		st.quiet = true
	default:
		panic("no command " + words[0])
	}
	return st.out.String()
}

// join g m=<member> i=<instance> c=<client> v=<version> p=<protocol>:<topic>+<topic>@<owned>,... type= session= rebalance= why=
func (st *stage) join(group string, args map[string]string) {
	version := 9
	if v := args["v"]; v != "" {
		version, _ = strconv.Atoi(v)
	}
	q := JoinRequest{
		Group: group, MemberID: args["m"], InstanceID: optional(args, "i"),
		ClientID: cmp.Or(args["c"], "c"), ClientHost: "/127.0.0.1",
		SessionTimeout: duration(args, "session", 10*time.Second), RebalanceTimeout: duration(args, "rebalance", time.Minute),
		ProtocolType: consumerType, Reason: optional(args, "why"), CanSkipAssignment: version >= 9,
	}
	q.RequireMemberID = version >= 4 && q.InstanceID == nil
	if t, ok := args["type"]; ok {
		q.ProtocolType = t
	}
	for p := range strings.SplitSeq(cmp.Or(args["p"], "range:t"), ",") {
		if name, topics, _ := strings.Cut(p, ":"); name != "none" {
			topics, owned, _ := strings.Cut(topics, "@")
			q.Protocols = append(q.Protocols, Protocol{Name: name, Metadata: append(subscribe(strings.Split(topics, "+")), owned...)})
		}
	}
	name := who(args)
	st.shard.Join(q, func(r JoinReply) {
		text := fmt.Sprintf("join %s: %s", name, said(r.Err))
		if r.MemberID != "" {
			text += " member=" + r.MemberID
		}
		if r.Generation != noGeneration {
			text += fmt.Sprintf(" generation=%d leader=%s", r.Generation, r.Leader)
		}
		if r.Protocol != nil {
			text += " protocol=" + *r.Protocol
		}
		if r.SkipAssignment {
			text += " skip"
		}
		var members []string
		for _, m := range r.Members {
			id := m.ID
			if m.InstanceID != nil {
				id += "/" + *m.InstanceID
			}
			members = append(members, id)
		}
		if members != nil {
			text += fmt.Sprintf(" members=%v", members)
		}
		st.say("%s", text)
	})
}

// sync g m= i= g= type= protocol= a=<member>:<topic>-<p>+<topic>-<p>,...
func (st *stage) sync(group string, args map[string]string) {
	q := SyncRequest{Group: group, MemberID: args["m"], InstanceID: optional(args, "i"), Generation: number(args, "g"),
		ProtocolType: optional(args, "type"), Protocol: optional(args, "protocol"), Assignments: map[string][]byte{}}
	for a := range strings.SplitSeq(args["a"], ",") {
		if id, owned, ok := strings.Cut(a, ":"); ok {
			q.Assignments[id] = assignTo(owned)
		}
	}
	name := who(args)
	st.shard.Sync(q, func(r SyncReply) {
		owned, err := assignedPartitions(r.Assignment)
		st.say("sync %s: %s %v", name, said(r.Err), assignmentText(owned, err))
	})
}

func (st *stage) leave(words []string) {
	var leaving []Leaving
	for _, w := range words[1:] {
		id, instance, static := strings.Cut(w, "/")
		l := Leaving{MemberID: id}
		if static {
			l.InstanceID = &instance
		}
		leaving = append(leaving, l)
	}
	outcomes, err := st.shard.Leave(words[0], leaving)
	if err != nil {
		st.say("leave: %s", said(err))
	}
	for i, err := range outcomes {
		st.say("leave %s: %s", words[i+1], said(err))
	}
}

func (st *stage) describe(group string) {
	s := st.shard.Describe(group)
	st.say("%s %q %q", s.State, s.ProtocolType, s.Protocol)
	for _, m := range s.Members {
		owned, err := assignedPartitions(m.Assignment)
		text := fmt.Sprintf("  %s client=%s host=%s metadata=%d %v", m.ID, m.ClientID, m.ClientHost, len(m.Metadata), assignmentText(owned, err))
		if m.InstanceID != nil {
			text += " instance=" + *m.InstanceID
		}
		st.say("%s", text)
	}
}

func who(args map[string]string) string { return cmp.Or(args["m"], args["i"], args["c"], "new") }

func said(err error) string {
	if err == nil {
		return "ok"
	}
	return err.Error()
}

func optional(args map[string]string, key string) *string {
	if v, ok := args[key]; ok {
		return &v
	}
	return nil
}

func number(args map[string]string, key string) int32 {
	n, err := strconv.Atoi(args[key])
	if err != nil {
		panic(fmt.Sprintf("%s: %v", key, err))
	}
	return int32(n)
}

func duration(args map[string]string, key string, otherwise time.Duration) time.Duration {
	if v, ok := args[key]; ok {
		d, err := time.ParseDuration(v)
		if err != nil {
			panic(err)
		}
		return d
	}
	return otherwise
}

// subscribe is the metadata of a consumer; the topic "?" makes it unreadable.
func subscribe(topics []string) []byte {
	if slices.Equal(topics, []string{"?"}) {
		return []byte{0}
	}
	b := binary.BigEndian.AppendUint16(nil, 1)
	b = binary.BigEndian.AppendUint32(b, uint32(len(topics)))
	for _, t := range topics {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(t))), t...)
	}
	return binary.BigEndian.AppendUint32(b, 0xffffffff)
}

func assignTo(owned string) []byte {
	b := binary.BigEndian.AppendUint16(nil, 1)
	list := strings.Split(owned, "+")
	b = binary.BigEndian.AppendUint32(b, uint32(len(list)))
	for _, tp := range list {
		topic, p, _ := strings.Cut(tp, "-")
		n, _ := strconv.Atoi(p)
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(topic))), topic...)
		b = binary.BigEndian.AppendUint32(b, 1)
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	return binary.BigEndian.AppendUint32(b, 0xffffffff)
}

func assignmentText(owned map[string][]int32, err error) string {
	if err != nil {
		return "unreadable"
	}
	var tps []string
	for topic, partitions := range owned {
		for _, p := range partitions {
			tps = append(tps, meta.TopicPartition{Topic: topic, Partition: p}.String())
		}
	}
	slices.Sort(tps)
	return fmt.Sprint(tps)
}

// scriptEnv is an Env whose clock and log stand still until a script moves them.
type scriptEnv struct {
	now     time.Time
	say     func(string, ...any)
	timers  []*scriptTimer
	appends []pendingAppend
	log     []coord.Record
}

type pendingAppend struct {
	batch coord.Batch
	done  func(coord.Position, error)
}

type scriptTimer struct {
	env   *scriptEnv
	at    time.Time
	armed bool
	f     func()
}

func (t *scriptTimer) Stop() { t.armed = false }
func (t *scriptTimer) Reset(d time.Duration) {
	t.at, t.armed = t.env.now.Add(d), true
}

func (e *scriptEnv) Now() time.Time                { return e.now }
func (e *scriptEnv) Post(f func())                 { f() }
func (e *scriptEnv) LogEnd() coord.Position        { return coord.Position{Offset: int64(len(e.log))} }
func (e *scriptEnv) LeaderEpoch() meta.LeaderEpoch { return 0 }
func (e *scriptEnv) After(d time.Duration, f func()) Timer {
	t := &scriptTimer{env: e, f: f}
	t.Reset(d)
	e.timers = append(e.timers, t)
	return t
}

func (e *scriptEnv) Append(b coord.Batch, done func(coord.Position, error)) {
	for _, r := range b.Records {
		e.say("append %s", recordText(r))
	}
	e.appends = append(e.appends, pendingAppend{b, done})
}

// complete ends the oldest append.
func (e *scriptEnv) complete(err error) {
	if len(e.appends) == 0 {
		e.say("nothing is being appended")
		return
	}
	a := e.appends[0]
	e.appends = e.appends[1:]
	at := coord.Position{Offset: int64(len(e.log))}
	if err == nil || errors.Is(err, coord.ErrTimedOut) {
		e.log = append(e.log, a.batch.Records...)
	}
	a.done(at, err)
}

// pass lets timers go off in order until d has passed.
func (e *scriptEnv) pass(d time.Duration) {
	end := e.now.Add(d)
	for {
		var next *scriptTimer
		for _, t := range e.timers {
			if t.armed && !t.at.After(end) && (next == nil || t.at.Before(next.at)) {
				next = t
			}
		}
		if next == nil {
			break
		}
		if next.at.After(e.now) {
			e.now = next.at
		}
		next.armed = false
		next.f()
	}
	e.now = end
}

func recordText(r coord.Record) string {
	_, id, err := recordKind(r.Key)
	if err != nil || r.Value == nil {
		return fmt.Sprintf("%s tombstone", id)
	}
	g, err := decodeGroup(id, r.Value)
	if err != nil {
		return fmt.Sprintf("%s unreadable: %v", id, err)
	}
	text := fmt.Sprintf("%s generation=%d leader=%s", id, g.generation, g.leader)
	for _, m := range g.inOrder() {
		owned, err := assignedPartitions(m.assignment)
		text += fmt.Sprintf(" %s%s", m.id, assignmentText(owned, err))
	}
	return text
}

// lines is a zap core that makes the shard's log part of the script.
type lines struct{ st *stage }

func (l *lines) Enabled(level zapcore.Level) bool  { return level >= zapcore.InfoLevel }
func (l *lines) With([]zapcore.Field) zapcore.Core { return l }
func (l *lines) Sync() error                       { return nil }
func (l *lines) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if l.Enabled(e.Level) {
		return c.AddCore(e, l)
	}
	return c
}

func (l *lines) Write(e zapcore.Entry, fields []zapcore.Field) error {
	m := zapcore.NewMapObjectEncoder()
	text := ""
	for _, f := range fields {
		f.AddTo(m)
		text += fmt.Sprintf(" %s=%v", f.Key, m.Fields[f.Key])
	}
	l.st.say("log %s: %s%s", e.Level, e.Message, text)
	return nil
}
