package groups

import (
	"strings"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

func tp(topic string, partition int32) meta.TopicPartition {
	return meta.TopicPartition{Topic: topic, Partition: partition}
}

func TestOffsetsTable(t *testing.T) {
	members := []member{
		{id: "idle-1", host: "/10.0.0.9", clientID: "idle"},
		{id: "c-1-7f3a0f1e-1111-2222-3333-444455556666", host: "/127.0.0.1", clientID: "c-1", assigned: []meta.TopicPartition{tp("orders", 0), tp("orders", 1)}},
	}
	committed := map[meta.TopicPartition]int64{tp("orders", 0): 12, tp("payments", 0): 4}
	ends := map[meta.TopicPartition]int64{tp("orders", 0): 15, tp("orders", 1): 7, tp("payments", 0): 4}
	want := `
GROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID                              HOST            CLIENT-ID
app             orders          0          12              15              3               c-1-7f3a0f1e-1111-2222-3333-444455556666 /127.0.0.1      c-1
app             orders          1          -               7               -               c-1-7f3a0f1e-1111-2222-3333-444455556666 /127.0.0.1      c-1
app             -               -          -               -               -               idle-1                                   /10.0.0.9       idle
app             payments        0          4               4               0               -                                        -               -
`
	if got := offsetsTable("app", lagsOf(members, committed, ends)); got != want {
		t.Errorf("got:%s\nwant:%s", got, want)
	}
}

func TestMembersTable(t *testing.T) {
	d := described{id: "app", members: []member{{id: "c-1", host: "/127.0.0.1", clientID: "one", assigned: []meta.TopicPartition{tp("orders", 0), tp("orders", 1), tp("payments", 2)}}}}
	want := `
GROUP           CONSUMER-ID     HOST            CLIENT-ID       #PARTITIONS     ASSIGNMENT
app             c-1             /127.0.0.1      one             3               orders(0,1), payments(2)
`
	if got := membersTable(d, true); got != want {
		t.Errorf("got:%s\nwant:%s", got, want)
	}
	d.members[0].instance = "static-1"
	d.members[0].assigned = nil
	want = `
GROUP           CONSUMER-ID     GROUP-INSTANCE-ID HOST            CLIENT-ID       #PARTITIONS     
app             c-1             static-1          /127.0.0.1      one             0               
`
	if got := membersTable(d, false); got != want {
		t.Errorf("got:%s\nwant:%s", got, want)
	}
}

func TestStateTable(t *testing.T) {
	d := described{id: "app", state: "Stable", protocol: "range", coordinator: 1, members: make([]member, 1)}
	want := `
GROUP                     COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE           #MEMBERS
app                       broker1:9092  (1)         range                Stable          1
`
	if got := stateTable(d, "broker1:9092"); got != want {
		t.Errorf("got:%s\nwant:%s", got, want)
	}
}

func TestResetTable(t *testing.T) {
	p := plan{"g": {tp("t", 1): 7, tp("t", 0): 0}}
	want := `
GROUP                          TOPIC                          PARTITION  NEW-OFFSET     
g                              t                              0          0              
g                              t                              1          7              
`
	if got := p.table(); got != want {
		t.Errorf("got:%s\nwant:%s", got, want)
	}
}

func TestCSV(t *testing.T) {
	p := plan{"g": {tp("t", 1): 7, tp("t", 0): 0}, "h": {tp("with,comma", 0): 3}}
	text := csvOf(p, false)
	if want := "g,t,0,0\ng,t,1,7\nh,\"with,comma\",0,3\n"; text != want {
		t.Errorf("got %q, want %q", text, want)
	}
	back, err := parseCSV(text, "g", true)
	if err != nil || back["h"][tp("with,comma", 0)] != 3 || back["g"][tp("t", 1)] != 7 {
		t.Errorf("%v %v", back, err)
	}
	back, err = parseCSV("\"t\",0,5\nt,1,6\n\n", "g", true)
	if err != nil || back["g"][tp("t", 0)] != 5 || back["g"][tp("t", 1)] != 6 {
		t.Errorf("%v %v", back, err)
	}
	for _, bad := range []string{"t,0", "t,x,1", "t,0,x", "t,-1,0", "g,t,0,1,2", `"t,0,1`} {
		if _, err := parseCSV(bad, "g", true); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

func TestListing(t *testing.T) {
	all := []listed{{id: "app", state: "Empty", kind: "Classic"}}
	for _, c := range []struct {
		withType, withState bool
		want                string
	}{
		{false, false, "app\n"},
		{true, true, "GROUP                     TYPE                 STATE               \napp                       Classic              Empty               \n"},
		{false, true, "GROUP                     STATE               \napp                       Empty               \n"},
	} {
		if got := listing(all, c.withType, c.withState); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"P1D": 24 * time.Hour, "PT2H30M": 150 * time.Minute, "PT1.5S": 1500 * time.Millisecond,
		"P-1D": -24 * time.Hour, "-PT1M": -time.Minute, "pt1h": time.Hour, "P1DT1S": 24*time.Hour + time.Second} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v %v, want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "P", "PT", "1D", "P1H", "nonsense", "P1Y", "P99999999999999999999D", "P999999999D"} {
		if d, err := parseDuration(bad); err == nil {
			t.Errorf("%q passes as %v", bad, d)
		}
	}
}

func TestParseDateTime(t *testing.T) {
	want := time.Date(2024, 5, 6, 7, 8, 9, 123e6, time.UTC)
	for _, text := range []string{"2024-05-06T07:08:09.123", "2024-05-06T07:08:09.123Z", "2024-05-06T09:08:09.123+0200", "2024-05-06T09:08:09.123+02:00", "2024-05-06T09:08:09.123+02"} {
		if got, err := parseDateTime(text); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	for _, bad := range []string{"yesterday", "2024-05-06", "Tuesday", "2024-05-06T07", strings.Repeat("T", 9)} {
		if at, err := parseDateTime(bad); err == nil {
			t.Errorf("%q passes as %v", bad, at)
		}
	}
}
