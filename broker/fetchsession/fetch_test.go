package fetchsession

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// fixture is a cache with a clock of its own.
type fixture struct {
	*Cache
	t     *testing.T
	clock time.Time
	names map[meta.TopicID]string
}

func newFixture(t *testing.T, slots int) *fixture {
	f := &fixture{t: t, clock: time.Unix(1_700_000_000, 0), names: map[meta.TopicID]string{}}
	f.Cache = NewCache(Options{Slots: slots, Clock: func() time.Time { return f.clock }})
	return f
}

func (f *fixture) resolve(id meta.TopicID) (string, bool) {
	name, ok := f.names[id]
	return name, ok
}

// request builds a fetch of version 12 out of "topic" and partition pairs.
func request(id, epoch int32, topic string, partitions ...int32) *kmsg.FetchRequest {
	r := kmsg.NewPtrFetchRequest()
	r.SetVersion(12)
	r.SessionID, r.SessionEpoch = id, epoch
	if len(partitions) == 0 {
		return r
	}
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	for _, p := range partitions {
		fp := kmsg.NewFetchRequestTopicPartition()
		fp.Partition, fp.FetchOffset, fp.PartitionMaxBytes = p, int64(100+p), 1000
		t.Partitions = append(t.Partitions, fp)
	}
	r.Topics = append(r.Topics, t)
	return r
}

func forget(r *kmsg.FetchRequest, topic string, partitions ...int32) *kmsg.FetchRequest {
	r.ForgottenTopics = append(r.ForgottenTopics, kmsg.FetchRequestForgottenTopic{Topic: topic, Partitions: partitions})
	return r
}

func (f *fixture) begin(r *kmsg.FetchRequest) *Fetch {
	f.t.Helper()
	fetch, code := f.Begin(r, false, f.resolve)
	if code != wire.None {
		f.t.Fatalf("begin (%d, %d): %v", r.SessionID, r.SessionEpoch, code)
	}
	return fetch
}

func (f *fixture) refused(r *kmsg.FetchRequest, want wire.Code) {
	f.t.Helper()
	if fetch, code := f.Begin(r, false, f.resolve); code != want || fetch != nil {
		f.t.Errorf("begin (%d, %d): %v, want %v", r.SessionID, r.SessionEpoch, code, want)
	}
}

// read returns the results of an empty log whose high watermark is the same everywhere.
func read(f *Fetch, hw int64) []Result {
	results := make([]Result, len(f.Partitions()))
	for i := range results {
		results[i].HighWatermark = hw
	}
	return results
}

// open makes a session over partitions of topic t whose high watermark is 10.
func (f *fixture) open(partitions ...int32) int32 {
	f.t.Helper()
	fetch := f.begin(request(0, 0, "t", partitions...))
	id, include, code := fetch.Finish(read(fetch, 10))
	if code != wire.None || id <= 0 || slices.Contains(include, false) || fetch.Incremental() {
		f.t.Fatalf("creation: id %d, include %v, %v", id, include, code)
	}
	return id
}

func ids(f *Fetch) []int32 {
	var ids []int32
	for _, p := range f.Partitions() {
		ids = append(ids, p.Partition)
	}
	return ids
}

// TestSessionless: (0, -1), and everything below version 7, reads what is named and remembers nothing.
func TestSessionless(t *testing.T) {
	f := newFixture(t, 80)
	old := request(0, 0, "t", 1)
	old.SetVersion(6)
	for _, r := range []*kmsg.FetchRequest{request(0, -1, "t", 3, 1), old} {
		fetch := f.begin(r)
		if len(fetch.Partitions()) == 0 || fetch.Incremental() {
			t.Errorf("partitions %v", fetch.Partitions())
		}
		id, include, code := fetch.Finish(read(fetch, 10))
		if id != 0 || slices.Contains(include, false) || code != wire.None {
			t.Errorf("id %d include %v code %v", id, include, code)
		}
	}
	if f.Len() != 0 {
		t.Error("a session was made")
	}
}

// TestPartitionNamedTwice keeps its first place and takes on what is said last.
func TestPartitionNamedTwice(t *testing.T) {
	f := newFixture(t, 80)
	r := request(0, -1, "t", 1, 2, 1)
	r.Topics[0].Partitions[2].FetchOffset = 777
	fetch := f.begin(r)
	if got := ids(fetch); !slices.Equal(got, []int32{1, 2}) || fetch.Partitions()[0].FetchOffset != 777 {
		t.Errorf("partitions %+v", fetch.Partitions())
	}
}

// TestIncremental: only news is told, and the epoch moves on with every request.
func TestIncremental(t *testing.T) {
	f := newFixture(t, 80)
	id := f.open(0, 1, 2, 3, 4, 5)

	fetch := f.begin(request(id, 1, ""))
	if !slices.Equal(ids(fetch), []int32{0, 1, 2, 3, 4, 5}) || !fetch.Incremental() || fetch.Partitions()[2].FetchOffset != 102 {
		t.Fatalf("partitions %+v", fetch.Partitions())
	}
	results := read(fetch, 10)
	results[1].HighWatermark = 11
	results[2].LogStartOffset = 3
	results[3].Diverging = true
	results[4].PreferredRead = true
	results[5] = Result{Code: wire.ErrOffsetOutOfRange, HighWatermark: -1, LogStartOffset: -1}
	want := []bool{false, true, true, true, true, true}
	if got := fetch.Select(results); !slices.Equal(got, want) {
		t.Errorf("Select: %v", got)
	}
	if got := fetch.Select(results); !slices.Equal(got, want) {
		t.Errorf("Select, again: %v", got)
	}
	gotID, include, code := fetch.Finish(results)
	if gotID != id || code != wire.None || !slices.Equal(include, want) {
		t.Errorf("Finish: id %d of %d, %v, %v", gotID, id, include, code)
	}

	fetch = f.begin(request(id, 2, "t", 0)) // what was told is no news; what was wrong is
	results = read(fetch, 10)
	results[1].HighWatermark = 11
	results[2].LogStartOffset = 3
	if _, include, _ = fetch.Finish(results); !slices.Equal(include, []bool{false, false, false, false, false, true}) {
		t.Errorf("second: %v", include)
	}
	f.refused(request(id, 2, ""), wire.ErrInvalidFetchSessionEpoch)
	f.refused(request(id, 4, ""), wire.ErrInvalidFetchSessionEpoch)
	f.refused(request(id, -7, ""), wire.ErrInvalidFetchSessionEpoch)
	f.begin(request(id, 3, "")).Release()
	f.begin(request(id, 4, "")).Release()
}

// TestFairness: partitions that returned records are read last the next time.
func TestFairness(t *testing.T) {
	f := newFixture(t, 80)
	id := f.open(0, 1, 2, 3)
	fetch := f.begin(request(id, 1, ""))
	results := read(fetch, 10)
	results[0].RecordBytes, results[2].RecordBytes = 5, 5
	if _, include, _ := fetch.Finish(results); !slices.Equal(include, []bool{true, false, true, false}) {
		t.Errorf("include %v", include)
	}
	fetch = f.begin(request(id, 2, "t", 1))
	if got := ids(fetch); !slices.Equal(got, []int32{1, 3, 0, 2}) {
		t.Errorf("order %v", got)
	}
	fetch.Release()

	// The memory that was lent is used again, and only then.
	third := f.begin(request(id, 3, ""))
	parts := third.Partitions()
	third.Finish(read(third, 10))
	fourth := f.begin(request(id, 4, ""))
	if &fourth.Partitions()[0] == &parts[0] {
		t.Error("memory is shared that was not released")
	}
}

func TestAddUpdateForget(t *testing.T) {
	f := newFixture(t, 80)
	id := f.open(0, 1)
	r := forget(request(id, 1, "t", 1, 7), "t", 0, 99)
	r.Topics[0].Partitions[0].FetchOffset = 555
	fetch := f.begin(r)
	if got := fetch.Partitions(); !slices.Equal(ids(fetch), []int32{1, 7}) || got[0].FetchOffset != 555 || got[1].FetchOffset != 107 {
		t.Errorf("partitions %+v", got)
	}
	if _, include, _ := fetch.Finish(read(fetch, 10)); !slices.Equal(include, []bool{false, true}) {
		t.Errorf("include %v: the added one has to be told", include)
	}
	if n := f.partitions(); n != 2 {
		t.Errorf("%d partitions counted", n)
	}

	fetch = f.begin(forget(request(id, 2, ""), "t", 1, 7))
	if fetch.Incremental() || len(fetch.Partitions()) != 0 {
		t.Errorf("emptied session reads %v", fetch.Partitions())
	}
	if got, _, code := fetch.Finish(nil); got != 0 || code != wire.None {
		t.Errorf("emptied session answers id %d, %v", got, code)
	}
	f.refused(request(id, 3, ""), wire.ErrFetchSessionIDNotFound)
}

// TestFullRequestClosesItsSession, whether it wants another or not.
func TestFullRequestClosesItsSession(t *testing.T) {
	f := newFixture(t, 80)
	id := f.open(0)
	fetch := f.begin(request(id, 0, "t", 0))
	again, _, _ := fetch.Finish(read(fetch, 10))
	if again == 0 || f.Len() != 1 {
		t.Errorf("new session %d, %d sessions", again, f.Len())
	}
	f.refused(request(id, 1, ""), wire.ErrFetchSessionIDNotFound)
	fetch = f.begin(request(again, -1, "t", 0))
	if got, _, _ := fetch.Finish(read(fetch, 10)); got != 0 || f.Len() != 0 {
		t.Errorf("session %d after the end, %d sessions", got, f.Len())
	}
	for _, id := range []int32{-1, 1, 1<<31 - 1, -1 << 31} {
		f.refused(request(id, 5, ""), wire.ErrFetchSessionIDNotFound)
		f.begin(request(id, -1, "t", 0))
	}
}

func TestThrottledLeavesTheSessionAlone(t *testing.T) {
	f := newFixture(t, 80)
	id := f.open(0, 1)
	fetch := f.begin(request(id, 1, ""))
	if got, code := fetch.Throttled(); got != id || code != wire.None {
		t.Errorf("throttled: %d, %v", got, code)
	}
	fetch = f.begin(request(id, 2, "")) // the epoch moves on all the same
	if _, include, _ := fetch.Finish(read(fetch, 11)); !slices.Equal(include, []bool{true, true}) {
		t.Errorf("include %v", include)
	}
	full := f.begin(request(0, 0, "t", 0))
	if got, code := full.Throttled(); got != 0 || code != wire.None || f.Len() != 1 {
		t.Errorf("throttled creation: %d, %v, %d sessions", got, code, f.Len())
	}
}

// TestRequestSentTwice: when the later one is begun the earlier one's answer is void.
func TestRequestSentTwice(t *testing.T) {
	f := newFixture(t, 80)
	id := f.open(0, 1)
	first := f.begin(request(id, 1, ""))
	second := f.begin(request(id, 2, ""))
	if slices.Contains(first.Select(read(first, 99)), true) {
		t.Error("the void fetch selects")
	}
	if got, include, code := first.Finish(read(first, 99)); got != id || slices.Contains(include, true) || code != wire.ErrInvalidFetchSessionEpoch {
		t.Errorf("first: %d, %v, %v", got, include, code)
	}
	if got, code := first.Throttled(); got != id || code != wire.ErrInvalidFetchSessionEpoch {
		t.Errorf("first, throttled: %d, %v", got, code)
	}
	if _, include, code := second.Finish(read(second, 10)); slices.Contains(include, true) || code != wire.None {
		t.Errorf("second: %v, %v", include, code)
	}
}

func TestEpochWraps(t *testing.T) {
	f := newFixture(t, 80)
	id := f.open(0)
	f.find(id).mu.epoch = 1<<31 - 1
	f.begin(request(id, 1<<31-1, "")).Release()
	f.begin(request(id, 1, "")).Release()
}

// TestTopicIDs: a session is of names or of ids, and a name is looked up until it is found.
func TestTopicIDs(t *testing.T) {
	f := newFixture(t, 80)
	id := f.open(0)
	byID := request(id, 1, "")
	byID.SetVersion(13)
	f.refused(byID, wire.ErrFetchSessionTopicID)

	known, unknown := meta.TopicID{1}, meta.TopicID{2}
	f.names[known] = "known"
	r := request(0, 0, "", 0)
	r.SetVersion(17)
	r.Topics[0].TopicID = known
	r.Topics = append(r.Topics, r.Topics[0])
	r.Topics[1].TopicID = unknown
	fetch := f.begin(r)
	if p := fetch.Partitions(); len(p) != 2 || p[0].Topic != "known" || p[1].Topic != "" || p[1].TopicID != unknown {
		t.Fatalf("partitions %+v", p)
	}
	results := read(fetch, 10)
	results[1] = Result{Code: wire.ErrUnknownTopicID, HighWatermark: -1, LogStartOffset: -1}
	id, _, _ = fetch.Finish(results)
	f.refused(request(id, 1, ""), wire.ErrFetchSessionTopicID)

	next := request(id, 1, "")
	next.SetVersion(17)
	fetch = f.begin(next)
	if p := fetch.Partitions(); p[1].Topic != "" {
		t.Errorf("resolved to %q", p[1].Topic)
	}
	if _, include, _ := fetch.Finish(results); !slices.Equal(include, []bool{false, true}) {
		t.Errorf("include %v: the error is told each time", include)
	}
	f.names[unknown] = "created"
	delete(f.names, known)
	next.SessionEpoch = 2
	fetch = f.begin(next)
	if p := fetch.Partitions(); p[0].Topic != "known" || p[1].Topic != "created" {
		t.Errorf("partitions %+v", p)
	}
	fetch.Finish(read(fetch, 10))
	next.SessionEpoch = 3
	next.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{TopicID: known, Partitions: []int32{0}}}
	fetch = f.begin(next)
	if p := fetch.Partitions(); len(p) != 1 || p[0].Topic != "created" {
		t.Errorf("partitions %+v", p)
	}
}

func TestResultsMustMatch(t *testing.T) {
	f := newFixture(t, 80)
	fetch := f.begin(request(0, -1, "t", 0, 1))
	defer func() {
		if recover() == nil {
			t.Error("a missing result goes unnoticed")
		}
	}()
	fetch.Finish(make([]Result, 1))
}
