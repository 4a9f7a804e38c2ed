package zkstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// coordinator is the partition whose state guards the offsets of these tests.
var coordinator = meta.TopicPartition{Topic: "__consumer_offsets", Partition: 3}

// offsetsTree has a coordinator's partition at epoch 0 and nothing else.
func offsetsTree(t testing.TB, z *Store) Fence {
	t.Helper()
	ctx := t.Context()
	must(t, z.EnsurePersistentPaths(ctx))
	must(t, z.s.createDeep(ctx, PartitionStatePath(coordinator), encodePartitionState(meta.LeaderAndISR{Leader: 1, ISR: []meta.BrokerID{1}})))
	return PartitionFence(coordinator, 0)
}

// depose makes the fence's partition change hands.
func depose(t testing.TB, z *Store) {
	t.Helper()
	_, err := z.s.set(t.Context(), PartitionStatePath(coordinator), encodePartitionState(meta.LeaderAndISR{Leader: 2, LeaderEpoch: 1, ISR: []meta.BrokerID{2}}), anyVersion)
	must(t, err)
}

func on(topic string, partition int32) meta.TopicPartition {
	return meta.TopicPartition{Topic: topic, Partition: partition}
}

func detailsOf(metadata string) *OffsetDetails {
	d := NoOffsetDetails()
	d.Metadata, d.LeaderEpoch = metadata, 4
	return &d
}

// wantOffsets compares all of a group, times apart.
func wantOffsets(t *testing.T, z *Store, group string, want map[meta.TopicPartition]CommittedOffset) {
	t.Helper()
	got, broken, err := z.GroupOffsets(t.Context(), group)
	if err != nil || len(broken) > 0 {
		t.Fatal(broken, err)
	}
	for tp, o := range got {
		if age := time.Since(o.Modified); age < -patience || age > patience {
			t.Errorf("%v was written %v ago", tp, age)
		}
		o.Modified = time.Time{}
		got[tp] = o
	}
	if !maps.Equal(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", group, got, want)
	}
}

func plain(offset int64) CommittedOffset {
	return CommittedOffset{Offset: offset, Details: NoOffsetDetails()}
}

func detailed(offset int64, d *OffsetDetails) CommittedOffset {
	return CommittedOffset{Offset: offset, Details: *d, HasDetails: true}
}

func TestWriteOffsets(t *testing.T) {
	z := open(t, zktest.Start(t))
	fence := offsetsTree(t, z)
	ctx := testContext(t)
	write := func(writes ...OffsetWrite) {
		t.Helper()
		must(t, z.WriteOffsets(ctx, []Fence{fence}, writes))
	}
	// Nothing is there, and the writes know it or do not.
	write(OffsetWrite{Group: "g", TopicPartition: on("t", 0), Offset: 7},
		OffsetWrite{Group: "g", TopicPartition: on("t", 1), Offset: -1, Details: detailsOf("m"), Exists: true, DetailsExist: true},
		OffsetWrite{Group: "g", TopicPartition: on("u", 10), Offset: 9, Delete: true, Exists: true},
		OffsetWrite{Group: "a/b", TopicPartition: on("u", 1<<31-1), Offset: 1 << 62, Details: detailsOf("\"é\n\x01")})
	wantOffsets(t, z, "g", map[meta.TopicPartition]CommittedOffset{on("t", 0): plain(7), on("t", 1): detailed(-1, detailsOf("m"))})
	wantOffsets(t, z, "a/b", map[meta.TopicPartition]CommittedOffset{on("u", 1<<31-1): detailed(1<<62, detailsOf("\"é\n\x01"))})
	if n, err := z.s.get(ctx, "/consumers/g/offsets/t/0"); err != nil || string(n.data) != "7" {
		t.Error(string(n.data), err)
	}
	// Everything is there, and the writes know it or do not.
	write(OffsetWrite{Group: "g", TopicPartition: on("t", 0), Offset: 8, Exists: true},
		OffsetWrite{Group: "g", TopicPartition: on("t", 1), Offset: 3, Details: detailsOf("n")},
		OffsetWrite{Group: "g", TopicPartition: on("t", 2), Offset: 4})
	wantOffsets(t, z, "g", map[meta.TopicPartition]CommittedOffset{on("t", 0): plain(8), on("t", 1): detailed(3, detailsOf("n")), on("t", 2): plain(4)})
	// Details are left alone, or go.
	none := NoOffsetDetails()
	write(OffsetWrite{Group: "g", TopicPartition: on("t", 1), Offset: 5, Exists: true, DetailsExist: true},
		OffsetWrite{Group: "g", TopicPartition: on("t", 2), Offset: 5, Exists: true, Details: &none})
	wantOffsets(t, z, "g", map[meta.TopicPartition]CommittedOffset{on("t", 0): plain(8), on("t", 1): detailed(5, detailsOf("n")), on("t", 2): plain(5)})
	write(OffsetWrite{Group: "g", TopicPartition: on("t", 1), Offset: 6, Exists: true, DetailsExist: true, Details: &none})
	wantOffsets(t, z, "g", map[meta.TopicPartition]CommittedOffset{on("t", 0): plain(8), on("t", 1): plain(6), on("t", 2): plain(5)})

	// What is there and nobody knows of goes, too.
	write(OffsetWrite{Group: "g", TopicPartition: on("t", 0), Offset: 8, Details: detailsOf("m")}, OffsetWrite{Group: "g", TopicPartition: on("t", 3), Offset: 8})
	write(OffsetWrite{Group: "g", TopicPartition: on("t", 0), Offset: 8, Details: &none, Unknown: true}, OffsetWrite{Group: "g", TopicPartition: on("t", 3), Delete: true, Unknown: true})
	wantOffsets(t, z, "g", map[meta.TopicPartition]CommittedOffset{on("t", 0): plain(8), on("t", 1): plain(6), on("t", 2): plain(5)})

	if groups, err := z.OffsetGroups(ctx); err != nil || !slices.Equal(groups, []string{"a/b", "g"}) {
		t.Errorf("%q %v", groups, err)
	}
	write(OffsetWrite{Group: "g", TopicPartition: on("t", 0), Delete: true},
		OffsetWrite{Group: "g", TopicPartition: on("t", 1), Delete: true, Exists: true, DetailsExist: true},
		OffsetWrite{Group: "a/b", TopicPartition: on("u", 1<<31-1), Delete: true, Exists: true})
	must(t, z.PruneOffsets(ctx, fence, "g", []string{"t"}))
	wantOffsets(t, z, "g", map[meta.TopicPartition]CommittedOffset{on("t", 2): plain(5)})
	write(OffsetWrite{Group: "g", TopicPartition: on("t", 0), Delete: true, Exists: true, DetailsExist: true},
		OffsetWrite{Group: "g", TopicPartition: on("t", 2), Delete: true, Exists: true})
	must(t, z.PruneOffsets(ctx, fence, "g", []string{"t"}))
	must(t, z.PruneOffsets(ctx, fence, "a/b", []string{"u"}))
	if groups, err := z.OffsetGroups(ctx); err != nil || len(groups) > 0 {
		t.Error(groups, err)
	}
}

func TestWriteOffsetsIsFenced(t *testing.T) {
	z := open(t, zktest.Start(t))
	fence := offsetsTree(t, z)
	ctx := testContext(t)
	other := PartitionFence(on("__consumer_offsets", 4), 0)
	must(t, z.s.createDeep(ctx, other.path, nil))
	both := []OffsetWrite{{Group: "g", TopicPartition: on("t", 0), Offset: 1}, {Group: "h", TopicPartition: on("t", 0), Offset: 1}}
	must(t, z.WriteOffsets(ctx, []Fence{other, fence}, both))
	must(t, z.WriteOffsets(ctx, []Fence{other, fence}, nil))

	depose(t, z)
	both[0].Offset, both[1].Offset = 2, 2
	refusedBy := func(fences []Fence, want int) {
		t.Helper()
		for _, writes := range [][]OffsetWrite{both, nil} {
			var refused *RefusedWrite
			if err := z.WriteOffsets(ctx, fences, writes); !errors.Is(err, ErrFenced) || !errors.As(err, &refused) || refused.Fence != want || refused.Write != -1 {
				t.Errorf("%v, want fence %d to refuse", err, want)
			}
		}
	}
	refusedBy([]Fence{other, fence}, 1)
	refusedBy([]Fence{fence, other}, 0)
	refusedBy([]Fence{other, PartitionFence(on("gone", 0), 0)}, 1)
	for _, group := range []string{"g", "h"} {
		wantOffsets(t, z, group, map[meta.TopicPartition]CommittedOffset{on("t", 0): plain(1)})
	}
	for _, fences := range [][]Fence{nil, {{}}, {other, {}}} {
		if err := z.WriteOffsets(ctx, fences, both); err == nil {
			t.Error("written without a fence")
		}
	}
}

// TestWriteOffsetsRefused: what cannot be written is named, and the others are not done either.
func TestWriteOffsetsRefused(t *testing.T) {
	z := open(t, zktest.Start(t))
	fence := offsetsTree(t, z)
	ctx := testContext(t)
	must(t, z.s.createDeep(ctx, OffsetPath("g", on("t", 1))+"/odd", nil))
	must(t, z.s.createDeep(ctx, OffsetPath("g", on("t", 2)), []byte("2")))
	huge := detailsOf(strings.Repeat("m", MaxOffsetsSize/6))
	for want, w := range []OffsetWrite{
		{Group: "g", TopicPartition: on("t", 1), Delete: true, Exists: true}, // has a child
		{Group: "g", TopicPartition: on("t", 1), Details: huge, Exists: true},
	} {
		writes := []OffsetWrite{{Group: "g", TopicPartition: on("t", 2), Offset: 9, Exists: true}, {Group: "g", TopicPartition: on("t", 3), Offset: 9}}
		at := want % len(writes)
		writes = slices.Insert(writes, at, w)
		var refused *RefusedWrite
		err := z.WriteOffsets(ctx, []Fence{fence}, writes)
		if !errors.As(err, &refused) || refused.Write != at || refused.Fence != -1 || !errors.Is(err, ErrNotEmpty) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v, want write %d to be refused", err, at)
		}
	}
	if n, err := z.s.get(ctx, OffsetPath("g", on("t", 2))); err != nil || string(n.data) != "2" {
		t.Error(string(n.data), err)
	}
}

// TestWriteOffsetsLostAnswer: whether it was done or not, it is done in the end, and an ended session leaves it open.
func TestWriteOffsetsLostAnswer(t *testing.T) {
	server := zktest.Start(t)
	fence := offsetsTree(t, openAt(t, server.Addr()))
	tap := newTap(t, server.Addr())
	z := openAt(t, tap.addr())
	ctx := testContext(t)
	multi := func(r request) bool { return len(r.Ops) > 0 }
	write := func(offset int64, exists bool) []OffsetWrite {
		return []OffsetWrite{{Group: "g", TopicPartition: on("t", 0), Offset: offset, Details: detailsOf(fmt.Sprint(offset)), Exists: exists, DetailsExist: exists},
			{Group: "g", TopicPartition: on("t", 1), Offset: offset, Exists: exists}}
	}
	want := func(offset int64) map[meta.TopicPartition]CommittedOffset {
		return map[meta.TopicPartition]CommittedOffset{on("t", 0): detailed(offset, detailsOf(fmt.Sprint(offset))), on("t", 1): plain(offset)}
	}
	for i, exists := range []bool{false, true} {
		tap.loseNext(multi)
		must(t, z.WriteOffsets(ctx, []Fence{fence}, write(int64(i), exists)))
		wantOffsets(t, z, "g", want(int64(i)))
	}
	tap.loseNext(func(r request) bool { return len(r.Ops) > 0 && r.Ops[1].Op == "delete" })
	must(t, z.WriteOffsets(ctx, []Fence{fence}, []OffsetWrite{{Group: "g", TopicPartition: on("t", 1), Delete: true, Exists: true}}))
	wantOffsets(t, z, "g", map[meta.TopicPartition]CommittedOffset{on("t", 0): want(1)[on("t", 0)]})

	short, cancel := context.WithCancel(ctx)
	defer cancel()
	tap.loseNext(func(r request) bool {
		if multi(r) {
			tap.mu.deaf = true // asked under its lock
			cancel()
		}
		return multi(r)
	})
	if err := z.WriteOffsets(short, []Fence{fence}, write(5, true)); !errors.Is(err, ErrUnknownOutcome) {
		t.Error(err)
	}
}

// TestGroupOffsetsOfOthers: old consumers and tools write what they like.
func TestGroupOffsetsOfOthers(t *testing.T) {
	z := open(t, zktest.Start(t))
	offsetsTree(t, z)
	ctx := testContext(t)
	g := GroupPath("g")
	for at, data := range map[string]string{
		"/offsets/t/0": "12", "/offsets/t/1": "-1", "/offsets/t/2": "soon", "/offsets/t/3": "",
		"/offsets/t/x": "5", "/offsets/t/007": "5", "/offsets/t/99999999999": "5", "/offsets/u/0": "9223372036854775807",
		"/offsets/u/1": "9223372036854775808", "/offsets/u/2": "1", "/kraal/u/2": "no JSON", "/kraal/u/9": `{"version":1}`,
		"/offsets/u/3": "3", "/kraal/u/3": "", "/ids/g_host-1": "{}",
	} {
		must(t, z.s.createDeep(ctx, g+at, []byte(data)))
	}
	must(t, z.s.createDeep(ctx, g+"/offsets/u/5", nil)) // as a consumer that died between two steps left it
	must(t, z.s.createDeep(ctx, GroupPath("h"), nil))
	got, broken, err := z.GroupOffsets(ctx, "g")
	if err != nil {
		t.Fatal(err)
	}
	want := map[meta.TopicPartition]int64{on("t", 0): 12, on("t", 1): -1, on("u", 0): 1<<63 - 1, on("u", 2): 1, on("u", 3): 3}
	for tp, o := range got {
		if offset, known := want[tp]; !known || o.Offset != offset || o.Details != NoOffsetDetails() {
			t.Error(tp, o)
		}
	}
	if len(got) != len(want) {
		t.Error(got)
	}
	for _, tp := range []meta.TopicPartition{on("t", 2), on("t", 3), on("u", 1), on("u", 2)} {
		var unreadable *UnreadableError
		if !errors.As(broken[tp], &unreadable) {
			t.Error(tp, broken[tp])
		}
	}
	if len(broken) != 4 {
		t.Error(broken)
	}
	for _, group := range []string{"h", "none"} {
		if offsets, broken, err := z.GroupOffsets(ctx, group); err != nil || len(offsets)+len(broken) > 0 {
			t.Error(offsets, broken, err)
		}
	}
}

// TestOffsetsOfVersionZero: any broker writes them, and no details of another offset stay behind.
func TestOffsetsOfVersionZero(t *testing.T) {
	z := open(t, zktest.Start(t))
	fence := offsetsTree(t, z)
	ctx := testContext(t)
	offsets := map[meta.TopicPartition]int64{}
	for i := range int32(50) {
		offsets[on(fmt.Sprint("t", i%3), i)] = int64(i) << 40
	}
	placed, position := detailsOf("m"), NoOffsetDetails()
	placed.Position = OffsetPosition{LeaderEpoch: 2, Offset: 9}
	position.Position = placed.Position
	must(t, z.WriteOffsets(ctx, []Fence{fence}, []OffsetWrite{{Group: "g", TopicPartition: on("t0", 0), Offset: 1, Details: detailsOf("m")},
		{Group: "g", TopicPartition: on("t1", 1), Offset: 1, Details: placed}}))
	failed, err := z.SetOffsets(ctx, "g", offsets)
	if err != nil || len(failed) > 0 {
		t.Fatal(failed, err)
	}
	want := map[meta.TopicPartition]CommittedOffset{}
	for tp, offset := range offsets {
		want[tp] = plain(offset)
	}
	want[on("t1", 1)] = detailed(1<<40, &position)
	wantOffsets(t, z, "g", want)

	must(t, z.s.create(ctx, OffsetPath("g", on("t0", 100)), nil))
	must(t, z.s.create(ctx, OffsetPath("g", on("t0", 101)), []byte{}))
	tps := append(sortedPartitions(offsets), on("t0", 100), on("t0", 101), on("none", 1))
	got, broken, err := z.Offsets(ctx, "g", tps)
	if err != nil || !maps.Equal(got, offsets) || len(broken) != 1 || broken[on("t0", 101)] == nil {
		t.Error(got, broken, err)
	}
	if _, err := z.Offset(ctx, "g", on("t0", 100)); !errors.Is(err, ErrNoNode) {
		t.Error(err)
	}
	if offset, err := z.Offset(ctx, "g", on("t0", 3)); err != nil || offset != 3<<40 {
		t.Error(offset, err)
	}
}

func TestOffsetDetailsText(t *testing.T) {
	d := OffsetDetails{LeaderEpoch: 0, Metadata: "\"\x00é", CommitTimestamp: 1700000000000, Retention: 0, Position: OffsetPosition{LeaderEpoch: 7, Offset: 0}}
	text := `{"version":1,"leader_epoch":0,"metadata":"\"\u0000é","commit_timestamp":1700000000000,"retention_ms":0,"position":{"leader_epoch":7,"offset":0}}`
	if got := string(encodeOffsetDetails(d)); got != text {
		t.Error(got)
	}
	for data, want := range map[string]OffsetDetails{text: d, "": NoOffsetDetails(), `{"version":1}`: NoOffsetDetails(), `{"version":2,"later":[]}`: NoOffsetDetails()} {
		if got, err := decodeOffsetDetails([]byte(data)); err != nil || got != want {
			t.Errorf("%s: %v %v", data, got, err)
		}
	}
	for _, data := range []string{"7", `{"leader_epoch":"1"}`, `{"leader_epoch":99999999999}`, `{"metadata":1}`, `{"position":7}`, `{"position":{}}`, `{"position":{"leader_epoch":1,"offset":"2"}}`} {
		if got, err := decodeOffsetDetails([]byte(data)); err == nil || got != NoOffsetDetails() {
			t.Errorf("%s: %v", data, got)
		}
	}
}

func FuzzOffsetDetails(f *testing.F) {
	f.Add([]byte(`{"version":1,"leader_epoch":0,"metadata":"\"","commit_timestamp":1,"retention_ms":0,"position":{"leader_epoch":7,"offset":0}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := decodeOffsetDetails(data)
		if err != nil {
			return
		}
		again, err := decodeOffsetDetails(encodeOffsetDetails(d))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []*OffsetDetails{&d, &again} { // what is below zero says nothing
			d.LeaderEpoch, d.CommitTimestamp, d.Retention = max(d.LeaderEpoch, -1), max(d.CommitTimestamp, -1), max(d.Retention, -1)
			if d.Position.Offset < 0 {
				d.Position = NoOffsetPosition()
			}
		}
		if d != again {
			t.Errorf("%v reads %v", d, again)
		}
	})
}
