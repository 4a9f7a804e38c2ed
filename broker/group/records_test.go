package group

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/broker/record"
)

// recorded returns the records of testdata/log, which Apache Kafka 3.9.1 wrote to __consumer_offsets.
func recorded(t testing.TB) []coord.Record {
	files, err := filepath.Glob("testdata/log/*.log")
	if err != nil || len(files) == 0 {
		t.Fatalf("no logs: %v", err)
	}
	var all []coord.Record
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for len(b) > 0 {
			batch, rest, err := record.Next(b)
			if err != nil {
				t.Fatal(err)
			}
			b = rest
			for r, err := range batch.Records(nil) {
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, coord.Record{Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value), Timestamp: r.Timestamp})
			}
		}
	}
	return all
}

func testShard() *Shard {
	env := &scriptEnv{now: time.Now(), say: func(string, ...any) {}}
	return newShard(env, ShardOptions{Board: noBoard{}, Metrics: NewMetrics(nil), Logger: zap.NewNop(),
		Config: Config{RecordVersion: 3, MaxSize: 100, RetentionCheckInterval: time.Hour}})
}

type noBoard struct{}

func (noBoard) Show(string, []Shown) {}
func (noBoard) Clear(string)         {}
func (noBoard) Forget(string)        {}

// TestRecordsOfKafka: a group read from Apache Kafka's record is written as the same bytes.
func TestRecordsOfKafka(t *testing.T) {
	s := testShard()
	var groups int
	for _, r := range recorded(t) {
		kind, id, err := recordKind(r.Key)
		if err != nil {
			t.Fatal(err)
		}
		if kind != groupRecord {
			continue
		}
		groups++
		if !bytes.Equal(groupKey(id), r.Key) {
			t.Errorf("key of %s is %x, Kafka's is %x", id, groupKey(id), r.Key)
		}
		if r.Value == nil {
			continue
		}
		g, err := decodeGroup(id, r.Value)
		if err != nil {
			t.Errorf("group %s: %v", id, err)
			continue
		}
		if got := s.encode(g, g.assignments()); !bytes.Equal(got, r.Value) {
			t.Errorf("group %s is written\n%x, Kafka wrote\n%x", id, got, r.Value)
		}
	}
	if groups < 7 {
		t.Errorf("%d records of groups were found", groups)
	}
}

// TestLoadKafkasLog: what a coordinator makes of Kafka's log.
func TestLoadKafkasLog(t *testing.T) {
	s := testShard()
	for i, r := range recorded(t) {
		s.Replay(r, coord.Position{Offset: int64(i)}, coord.NoProducer, -1, false)
	}
	s.Loaded()
	got := map[string]string{}
	for _, g := range s.List() {
		got[g.ID] = g.State
	}
	want := map[string]string{"g-static": "Stable", "g-live": "Stable", "g-dynamic": "Empty"}
	for id, state := range want {
		if got[id] != state {
			t.Errorf("group %s is %q, should be %s", id, got[id], state)
		}
	}
	if _, there := got["g-emptied"]; there {
		t.Error("a group that was deleted is there")
	}
	if g := s.groups["g-static"]; g == nil || !g.wants("txn-two") || g.wants("epochs") || g.generation != 1 {
		t.Errorf("g-static was loaded as %+v", g)
	}
}

// TestRecordVersions: what older inter-broker protocols allow to be written is read again, without what they lack.
func TestRecordVersions(t *testing.T) {
	instance := "i"
	protocol := "range"
	for version := int16(0); version <= 3; version++ {
		s := testShard()
		s.config.RecordVersion = version
		g := newGroup("g", time.UnixMilli(1700000000000))
		g.generation, g.state, g.protocol = 7, Stable, &protocol
		g.add(&Member{id: "m", instanceID: &instance, clientID: "c", clientHost: "/::1", rebalanceTimeout: 3 * time.Second, sessionTimeout: 2 * time.Second,
			protocols: []Protocol{{"range", subscribe([]string{"t"})}}, assignment: []byte{1}}, consumerType, nil)
		got, err := decodeGroup("g", s.encode(g, g.assignments()))
		if err != nil {
			t.Fatal(version, err)
		}
		m := got.members["m"]
		if m == nil || got.generation != 7 || got.leader != "m" || !bytes.Equal(m.assignment, []byte{1}) || !got.wants("t") {
			t.Fatalf("version %d: %+v", version, got)
		}
		if has := m.instanceID != nil; has != (version >= 3) {
			t.Errorf("version %d: instance id %v", version, has)
		}
		if has := !got.stateSince.IsZero(); has != (version >= 2) {
			t.Errorf("version %d: state time %v", version, got.stateSince)
		}
		if want := map[bool]time.Duration{false: 2 * time.Second, true: 3 * time.Second}[version >= 1]; m.rebalanceTimeout != want {
			t.Errorf("version %d: rebalance timeout %s", version, m.rebalanceTimeout)
		}
	}
}

func FuzzGroupRecord(f *testing.F) {
	for _, r := range recorded(f) {
		f.Add(r.Key, r.Value)
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		_, _, _ = recordKind(key)
		g, err := decodeGroup("g", value)
		if err != nil {
			return
		}
		s := testShard()
		again, err := decodeGroup("g", s.encode(g, g.assignments()))
		if err != nil || again.generation != g.generation || again.leader != g.leader || len(again.members) != len(g.members) {
			t.Fatalf("%+v was read again as %+v: %v", g, again, err)
		}
		s.Replay(coord.Record{Key: groupKey("g"), Value: value}, coord.Position{}, coord.NoProducer, -1, false)
		s.Loaded()
		s.Describe("g")
		s.Unloaded()
	})
}

func FuzzMemberMetadata(f *testing.F) {
	f.Add(subscribe([]string{"a", "b"}))
	f.Add(assignTo("t-0+u-1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = subscribedTopics(b)
		_, _ = assignedPartitions(b)
	})
}
