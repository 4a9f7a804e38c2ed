package zkstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// trace reads what a broker of Apache Kafka 3.9.1 wrote; see testdata/README.md.
func trace(t testing.TB, name string) (rs []request) {
	f, err := os.Open("testdata/traces/" + name + ".jsonl")
	must(t, err)
	defer f.Close()
	for d := json.NewDecoder(f); d.More(); {
		var r request
		must(t, d.Decode(&r))
		rs = append(rs, r)
	}
	return rs
}

// text is one write in a line, without what ZooKeeper decides.
func (r request) text() string {
	if len(r.Ops) > 0 {
		parts := make([]string, len(r.Ops))
		for i, o := range r.Ops {
			parts[i] = o.text()
		}
		return "multi[" + strings.Join(parts, "; ") + "]"
	}
	s := r.Op + " " + r.Path
	if r.Op == "create" || r.Op == "setData" {
		s += " null"
		if r.Data != nil {
			s = strings.TrimSuffix(s, " null") + " " + strconv.Quote(*r.Data)
		}
	}
	if r.Op == "create" {
		s += " " + r.Mode + " " + strings.Join(r.ACL, ",")
	} else if r.Version != nil {
		s += fmt.Sprint(" v", *r.Version)
	}
	return s
}

// golden is one session with a tap, on a tree of its own.
type golden struct {
	*Store
	t   testing.TB
	ctx context.Context
	tap *tap
	// fence is that of the controller epoch in the traces: 1.
	fence Fence
}

func (g golden) data(r request) []byte {
	if len(r.Ops) > 0 {
		return g.data(r.Ops[len(r.Ops)-1])
	}
	if r.Data == nil {
		return nil
	}
	return []byte(*r.Data)
}

// play carries out with the store what a trace's writes tell, as its caller would.
func (g golden) play(r request) {
	g.t.Helper()
	at, op := r.at(), r
	if len(r.Ops) > 0 {
		op = r.Ops[len(r.Ops)-1]
	}
	name := at[strings.LastIndexByte(at, '/')+1:]
	topic, rest, _ := strings.Cut(strings.TrimPrefix(at, topicsPath+"/"), "/")
	switch {
	case at == reassignmentsPath:
		rs, err := decodeReassignments(g.data(r))
		must(g.t, err)
		must(g.t, g.SetReassignments(g.ctx, g.fence, rs))
	case strings.HasPrefix(at, topicsPath+"/") && rest == "":
		a, err := decodeTopic(g.data(r))
		must(g.t, err)
		must(g.t, g.SetTopic(g.ctx, g.fence, topic, a))
	case name == "state":
		s, err := decodePartitionState(g.data(r))
		must(g.t, err)
		s.PartitionEpoch = meta.PartitionEpoch(*op.Version)
		p, _ := strconv.Atoi(strings.Split(rest, "/")[1])
		tp := meta.TopicPartition{Topic: topic, Partition: int32(p)}
		updated, failed, err := g.UpdatePartitionStates(g.ctx, g.fence, map[meta.TopicPartition]meta.LeaderAndISR{tp: s})
		if err != nil || len(failed) > 0 || updated[tp] != s.PartitionEpoch+1 {
			g.t.Fatal(at, updated, failed, err)
		}
	case strings.HasPrefix(at, isrChangesPath+"/") && op.Op == "create":
		tps, err := decodePartitionList(g.data(r))
		must(g.t, err)
		must(g.t, g.PublishISRChange(g.ctx, tps))
	case strings.HasPrefix(at, isrChangesPath+"/"):
		must(g.t, g.DeleteISRChanges(g.ctx, g.fence, []string{name}))
	case strings.HasPrefix(at, logDirEventsPath+"/") && op.Op == "create":
		b, err := decodeLogDirEvent(g.data(r))
		must(g.t, err)
		must(g.t, g.PublishLogDirFailure(g.ctx, b))
	case strings.HasPrefix(at, logDirEventsPath+"/"):
		must(g.t, g.DeleteLogDirEvents(g.ctx, g.fence, []string{name}))
	case at == preferredElectionPath:
		must(g.t, g.DeletePreferredElection(g.ctx, g.fence))
	case strings.HasPrefix(at, topicDeletionsPath+"/"):
		must(g.t, g.MarkTopicForDeletion(g.ctx, name))
	default:
		g.t.Fatalf("nothing plays %s", at)
	}
}

// given makes znodes as they were, with their versions.
func (g golden) given(at string, data []byte, version int32) {
	g.t.Helper()
	must(g.t, g.s.createDeep(g.ctx, at, data))
	for v := range version {
		_, err := g.s.set(g.ctx, at, data, v)
		must(g.t, err)
	}
}

func (g golden) givenController(epoch int32) {
	g.given(controllerEpochPath, strconv.AppendInt(nil, int64(epoch), 10), epoch)
	g.given(controllerPath, encodeController(1, timeOf(0)), 0)
}

// goldenScenarios carry out what a broker of Kafka did and must write just what it wrote: operations, paths, data,
// expected versions, grouping, ACLs, and in the same order unless unordered.
var goldenScenarios = []struct {
	trace     string
	unordered bool // siblings are written at the same time
	run       func(g golden, want []request)
}{
	{trace: "start", run: func(g golden, want []request) {
		must(g.t, g.EnsurePersistentPaths(g.ctx))
		id, err := g.ClusterID(g.ctx)
		must(g.t, err)
		for i, r := range want { // an id is random
			if r.Path == clusterIDPath {
				data := string(encodeClusterID(id))
				want[i].Data = &data
			}
			if len(r.Ops) > 0 && r.at() == BrokerPath(1) {
				b, err := decodeBroker(1, g.data(r))
				must(g.t, err)
				_, err = g.RegisterBroker(g.ctx, b, 0)
				must(g.t, err)
			}
			if len(r.Ops) > 0 && r.at() == controllerEpochPath {
				must(g.t, g.EnsureTokenPaths(g.ctx))
				c, err := decodeController([]byte(*r.Ops[0].Data))
				must(g.t, err)
				won, err := g.Elect(g.ctx, c.ID, c.Timestamp)
				must(g.t, err)
				_, err = g.SetFeature(g.ctx, Feature{Version: 2, Enabled: true})
				must(g.t, err)
				must(g.t, g.DeletePreferredElection(g.ctx, won.Fence()))
			}
		}
	}},
	{trace: "start-acls", run: func(g golden, _ []request) { must(g.t, g.EnsureACLPaths(g.ctx)) }},
	{trace: "election-again", run: func(g golden, want []request) {
		g.given(controllerEpochPath, []byte("3"), 3)
		g.tap.taken()
		c, err := decodeController([]byte(*want[0].Ops[0].Data))
		must(g.t, err)
		won, err := g.Elect(g.ctx, c.ID, c.Timestamp)
		if err != nil || won.Epoch != 4 || won.EpochVersion != 4 {
			g.t.Error(won, err)
		}
	}},
	{trace: "create-topic", unordered: true, run: func(g golden, want []request) {
		g.givenController(1)
		must(g.t, g.s.ensure(g.ctx, "/config/topics"))
		must(g.t, g.s.ensure(g.ctx, topicsPath))
		g.tap.taken()
		states := map[meta.TopicPartition]meta.LeaderAndISR{}
		for _, r := range want {
			if r.Path == TopicPath("six") {
				a, err := decodeTopic(g.data(r))
				must(g.t, err)
				must(g.t, g.CreateTopic(g.ctx, "six", nil, a))
				err = g.CreateTopic(g.ctx, "six", nil, a)
				if !errors.Is(err, ErrNodeExists) {
					g.t.Error(err)
				}
			}
			if strings.HasSuffix(r.at(), "/state") {
				s, err := decodePartitionState(g.data(r))
				must(g.t, err)
				p, _ := strconv.Atoi(strings.Split(r.at(), "/")[5])
				states[meta.TopicPartition{Topic: "six", Partition: int32(p)}] = s
			}
		}
		created, failed, err := g.CreatePartitionStates(g.ctx, g.fence, states)
		if err != nil || len(failed) > 0 || len(created) != 6 {
			g.t.Error(created, failed, err)
		}
	}},
	{trace: "topic-config", run: func(g golden, want []request) {
		g.givenController(1)
		g.given("/config/topics/one", encodeConfig(nil), 0)
		must(g.t, g.s.ensure(g.ctx, configChangesPath))
		g.tap.taken()
		c, err := decodeConfig(g.data(want[0]))
		must(g.t, err)
		must(g.t, g.SetConfig(g.ctx, meta.Entity{Type: meta.TopicEntity, Name: "one"}, c))
	}},
	{trace: "user-client-quota", run: func(g golden, want []request) {
		g.givenController(1)
		g.given("/config/users/alice", encodeConfig(nil), 0)
		must(g.t, g.s.ensure(g.ctx, configChangesPath))
		g.tap.taken()
		c, err := decodeConfig(g.data(want[0]))
		must(g.t, err)
		must(g.t, g.SetConfig(g.ctx, meta.Entity{Type: meta.UserEntity, Name: "alice/clients/app%20one"}, c))
	}},
	{trace: "quota-removal", run: func(g golden, want []request) {
		g.givenController(1)
		must(g.t, g.s.ensure(g.ctx, configChangesPath))
		var es []meta.Entity
		for _, r := range want {
			if strings.Contains(r.Path, "config_change_") {
				e, err := decodeConfigChange(g.data(r))
				must(g.t, err)
				g.given(ConfigPath(e), encodeConfig(map[string]string{"producer_byte_rate": "1"}), 0)
				es = append(es, e)
			}
		}
		g.tap.taken()
		for _, e := range es {
			must(g.t, g.SetConfig(g.ctx, e, nil))
		}
	}},
	{trace: "acls", run: func(g golden, want []request) {
		must(g.t, g.EnsureACLPaths(g.ctx))
		g.given(literalACLPath+"/Cluster/kafka-cluster", encodeACLs(nil), 0)
		g.given(literalACLPath+"/Topic/two-at-once", nil, 0)
		for _, r := range want { // those that were there before
			if r.Op != "create" && *r.Version == 0 {
				g.s.createDeep(g.ctx, r.Path, nil)
			}
		}
		g.tap.taken()
		for _, r := range want {
			res, isACL := resourceAt(r.Path)
			if !isACL {
				continue
			}
			entries, err := decodeACLs(g.data(r))
			must(g.t, err)
			_, changed, err := g.UpdateACLs(g.ctx, res, func([]ACLEntry) []ACLEntry { return entries })
			if err != nil || !changed {
				g.t.Error(r.Path, changed, err)
			}
		}
	}},
	{trace: "tokens", run: func(g golden, want []request) {
		must(g.t, g.EnsureTokenPaths(g.ctx))
		g.tap.taken()
		for _, r := range want {
			switch {
			case r.Op == "setData":
				token, err := decodeToken(g.data(r))
				must(g.t, err)
				must(g.t, g.SetToken(g.ctx, token))
			case r.Op == "delete":
				must(g.t, g.DeleteToken(g.ctx, r.Path[len(tokensPath)+1:]))
			}
		}
	}},
	{trace: "reassignment", run: func(g golden, want []request) {
		g.givenController(1)
		for _, r := range want {
			g.s.createDeep(g.ctx, r.at(), nil)
		}
		g.tap.taken()
		for _, r := range want {
			g.play(r)
		}
	}},
	{trace: "delete-topic", unordered: true, run: func(g golden, want []request) {
		g.givenController(1)
		for _, r := range want {
			if op := r.Ops; len(op) > 1 && op[1].Op == "setData" || strings.HasPrefix(r.at(), "/config/") {
				g.s.createDeep(g.ctx, r.at(), nil)
			}
			if strings.HasSuffix(r.at(), "/state") {
				g.s.createDeep(g.ctx, r.at(), nil)
			}
		}
		raised := map[string]bool{} // to the version the first write expects
		for _, r := range want {
			if len(r.Ops) > 0 && r.Ops[1].Op == "setData" && strings.HasSuffix(r.at(), "/state") && !raised[r.at()] {
				raised[r.at()] = true
				for v := range *r.Ops[1].Version {
					_, err := g.s.set(g.ctx, r.at(), nil, v)
					must(g.t, err)
				}
			}
		}
		must(g.t, g.s.ensure(g.ctx, topicDeletionsPath))
		g.tap.taken()
		for _, r := range want {
			if len(r.Ops) == 0 || r.Ops[1].Op == "setData" {
				g.play(r)
			}
		}
		must(g.t, g.DeleteTopic(g.ctx, g.fence, "move"))
	}},
	{trace: "offsets", run: func(g golden, _ []request) {
		must(g.t, g.s.ensure(g.ctx, consumersPath))
		g.tap.taken()
		for p, offset := range map[int32]int64{0: 17} {
			failed, err := g.SetOffsets(g.ctx, "old-group", map[meta.TopicPartition]int64{{Topic: "six", Partition: p}: offset})
			if err != nil || len(failed) > 0 {
				g.t.Error(failed, err)
			}
		}
		_, err := g.SetOffsets(g.ctx, "old-group", map[meta.TopicPartition]int64{{Topic: "six", Partition: 3}: 42})
		must(g.t, err)
	}},
	{trace: "producer-ids", run: func(g golden, want []request) {
		g.given(producerIDsPath, nil, 0)
		g.tap.taken()
		for _, r := range want {
			p, err := decodeProducerIDBlock(g.data(r))
			must(g.t, err)
			got, err := g.AllocateProducerIDs(g.ctx, p.Broker)
			if err != nil || got != p {
				g.t.Error(got, err)
			}
		}
	}},
	{trace: "log-dir-failed", run: func(g golden, want []request) {
		g.fence = ControllerFence(5)
		g.givenController(5)
		must(g.t, g.s.ensure(g.ctx, logDirEventsPath))
		g.tap.taken()
		for _, r := range want {
			g.play(r)
		}
	}},
	{trace: "isr-change", run: func(g golden, want []request) {
		g.givenController(1)
		must(g.t, g.s.ensure(g.ctx, isrChangesPath))
		g.given(want[0].Path, nil, 0)
		g.tap.taken()
		controller := g.fence
		g.fence = Unfenced() // the leader writes the state itself
		g.play(want[0])
		g.play(want[1])
		g.fence = controller
		g.play(want[2])
	}},
	{trace: "preferred", run: func(g golden, want []request) {
		g.fence = ControllerFence(5)
		g.givenController(5)
		for _, r := range want {
			if r.at() == preferredElectionPath {
				g.given(r.at(), nil, 0)
			} else {
				g.given(r.at(), nil, *r.Ops[1].Version)
			}
		}
		g.tap.taken()
		for _, r := range want {
			g.play(r)
		}
	}},
}

func resourceAt(at string) (ACLResource, bool) {
	rest, prefixed := strings.CutPrefix(at, prefixedACLPath+"/")
	if !prefixed {
		var literal bool
		if rest, literal = strings.CutPrefix(at, literalACLPath+"/"); !literal {
			return ACLResource{}, false
		}
	}
	kind, name, _ := strings.Cut(rest, "/")
	return ACLResource{Type: kind, Name: name, Prefixed: prefixed}, true
}

func TestGoldenTraces(t *testing.T) {
	for _, s := range goldenScenarios {
		t.Run(s.trace, func(t *testing.T) {
			// A server each: versions and sequence numbers must be those of the trace, and paths without a chroot.
			server := zktest.Start(t)
			p := newTap(t, server.Addr())
			g := golden{Store: openAt(t, p.addr()), t: t, ctx: testContext(t), tap: p, fence: ControllerFence(1)}
			want := trace(t, s.trace)
			s.run(g, want)
			compare(t, p.taken(), want, s.unordered)
		})
	}
}

func compare(t *testing.T, got, want []request, unordered bool) {
	t.Helper()
	if unordered {
		byPath := func(a, b request) int { return strings.Compare(a.at(), b.at()) }
		slices.SortStableFunc(got, byPath)
		slices.SortStableFunc(want, byPath)
	}
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i].text()
		}
		if i < len(want) {
			w = want[i].text()
		}
		if g != w {
			t.Errorf("write %d:\n got %s\nwant %s", i, g, w)
		}
	}
}
