package partitions

import (
	"maps"
	"testing"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

func TestMoves(t *testing.T) {
	at := func(broker int32) replica { return replica{tp("orders", 0), broker} }
	targets := map[replica]string{at(1): "/x", at(2): "/x", at(3): "/x", at(4): "/x", at(10): "/x"}
	places := map[replica]place{
		at(1):  {current: "/x"},
		at(2):  {current: "/y", future: "/x"},
		at(3):  {current: "/y", future: "/z"},
		at(10): {current: "/y"},
	}
	want := `Reassignment of replica orders-0-1 completed successfully.
Reassignment of replica orders-0-2 is still in progress.
Partition orders-0 on broker 3 is being moved to log dir /z instead of /x.
Partition orders-0 is not found in any live log dir on broker 4. There is likely an offline log directory on the broker.
Partition orders-0 on broker 10 is not being moved from log dir /y to /x.`
	if got := describeMoves(targets, places); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := underWay(targets, places), map[replica]string{at(2): "/y", at(3): "/y"}; !maps.Equal(got, want) {
		t.Errorf("under way %v, want %v", got, want)
	}
	if describeMoves(nil, places) != "" {
		t.Error("no targets, and yet something to say")
	}
}

func TestMovesOver(t *testing.T) {
	r := replica{tp("orders", 0), 1}
	hosted := map[meta.TopicPartition]state{r.TopicPartition: {current: []int32{2, 1}}}
	elsewhere := map[meta.TopicPartition]state{r.TopicPartition: {current: []int32{2}}}
	for _, c := range []struct {
		what   string
		at     place
		states map[meta.TopicPartition]state
		want   bool
	}{
		{"arrived", place{current: "/x"}, hosted, true},
		{"somewhere else for good", place{current: "/y"}, hosted, true},
		{"on its way", place{current: "/y", future: "/x"}, hosted, false},
		{"on its way to somewhere else", place{current: "/y", future: "/z"}, hosted, false},
		{"in an offline directory", place{}, hosted, false},
		{"not the broker's any more", place{}, elsewhere, true},
		{"its topic is gone", place{}, nil, true},
	} {
		if got := movesOver(map[replica]string{r: "/x"}, map[replica]place{r: c.at}, c.states); got != c.want {
			t.Errorf("%s: over %v", c.what, got)
		}
	}
}

func TestDescribeStates(t *testing.T) {
	states := map[meta.TopicPartition]state{
		tp("orders", 0): {current: []int32{1, 2}, target: []int32{1, 2}},
		tp("orders", 1): {current: []int32{1, 2}, target: []int32{2, 1}},
		tp("orders", 2): {moving: true, current: []int32{1, 2}, target: []int32{1, 2}},
		tp("gone", 0):   {target: []int32{1}},
	}
	want := `Status of partition reassignment:
There is no active reassignment of partition gone-0, but replica set is  rather than 1.
Reassignment of partition orders-0 is completed.
There is no active reassignment of partition orders-1, but replica set is 1,2 rather than 2,1.
Reassignment of partition orders-2 is still in progress.`
	partitions := []meta.TopicPartition{tp("gone", 0), tp("orders", 0), tp("orders", 1), tp("orders", 2)}
	if got := describeStates(partitions, states); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDescribeRunning(t *testing.T) {
	got := describeRunning(map[meta.TopicPartition]running{
		tp("orders", 10): {replicas: []int32{1, 2, 3}, adding: []int32{3}},
		tp("orders", 9):  {replicas: []int32{1, 2, 3}, adding: []int32{3}, removing: []int32{1}},
		tp("pay", 0):     {replicas: []int32{1, 2}, removing: []int32{2}},
	})
	want := `Current partition reassignments:
orders-9: replicas: 1,2,3. adding: 3. removing: 1.
orders-10: replicas: 1,2,3. adding: 3.
pay-0: replicas: 1,2. removing: 2.`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := describeRunning(nil), "No partition reassignments found."; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
