package partitions

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// render writes settings as lines: resource, key, value.
func (s settings) render() string {
	var b strings.Builder
	for _, r := range s.resources() {
		for _, key := range []string{leaderReplicas, followerReplicas, leaderRate, followerRate, logDirRate} {
			if value, ok := s[r][key]; ok && value == nil {
				fmt.Fprintf(&b, "%s %s removed\n", r.name, key)
			} else if ok {
				fmt.Fprintf(&b, "%s %s=%s\n", r.name, key, *value)
			}
		}
	}
	return b.String()
}

func TestReplicationThrottle(t *testing.T) {
	moving := map[meta.TopicPartition]running{
		tp("under-way", 0): {replicas: []int32{4, 1, 2}, adding: []int32{4}, removing: []int32{1}},
		tp("orders", 1):    {replicas: []int32{3, 2, 1}, adding: []int32{3}, removing: []int32{1}},
	}
	targets := map[meta.TopicPartition][]int32{
		tp("orders", 0):  {3, 2}, // away from 1
		tp("orders", 1):  {2, 4}, // moving to 3 already: 3 is no source, and now 4 is the destination
		tp("orders", 10): {1, 2}, // only the order changes
		tp("pay", 0):     {1},    // loses 2
	}
	current := map[meta.TopicPartition][]int32{
		tp("orders", 0): {1, 2}, tp("orders", 1): {3, 2, 1}, tp("orders", 10): {2, 1}, tp("pay", 0): {1, 2},
	}
	got := replicationThrottle(flows(moving, targets, current), 1000).render()
	want := `orders leader.replication.throttled.replicas=0:1,0:2,10:1,10:2,1:1,1:2
orders follower.replication.throttled.replicas=0:3,1:4
pay leader.replication.throttled.replicas=0:1,0:2
pay follower.replication.throttled.replicas=
under-way leader.replication.throttled.replicas=0:1,0:2
under-way follower.replication.throttled.replicas=0:4
`
	for id := 1; id <= 4; id++ {
		want += fmt.Sprintf("%d leader.replication.throttled.rate=1000\n%d follower.replication.throttled.rate=1000\n", id, id)
	}
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestOtherThrottles(t *testing.T) {
	got := logDirThrottle(map[replica]string{{tp("a", 0), 2}: "/x", {tp("a", 1), 2}: "/y", {tp("a", 0), 10}: "/x"}, 5).render()
	want := "2 replica.alter.log.dirs.io.max.bytes.per.second=5\n10 replica.alter.log.dirs.io.max.bytes.per.second=5\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	s := noThrottle([]int32{7}, []string{"a"})
	want = `a leader.replication.throttled.replicas removed
a follower.replication.throttled.replicas removed
7 leader.replication.throttled.rate removed
7 follower.replication.throttled.rate removed
7 replica.alter.log.dirs.io.max.bytes.per.second removed
`
	if got := s.render(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := s.ofKind(kmsg.ConfigResourceTypeTopic).render(); got != want[:strings.Index(want, "7 ")] {
		t.Errorf("of topics\n%s", got)
	}
}
