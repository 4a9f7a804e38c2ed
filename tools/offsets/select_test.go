package offsets

import (
	"slices"
	"strings"
	"testing"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

var some = []meta.TopicPartition{{Topic: "a", Partition: 0}, {Topic: "a", Partition: 1}, {Topic: "a", Partition: 10}, {Topic: "ab", Partition: 1}, {Topic: "b", Partition: 0}}

func selected(s selector) string {
	var names []string
	for _, tp := range some {
		if s(tp) {
			names = append(names, tp.String())
		}
	}
	return strings.Join(names, " ")
}

func TestByTopic(t *testing.T) {
	for _, c := range []struct{ topic, partitions, want string }{
		{"", "", "a-0 a-1 a-10 ab-1 b-0"},
		{"a.*", "", "a-0 a-1 a-10 ab-1"},
		{"a,b", "0", "a-0 b-0"},
		{"", "1,10", "a-1 a-10 ab-1"},
		{"c", "", ""},
	} {
		s, err := byTopic(c.topic, c.partitions)
		if err != nil {
			t.Fatal(err)
		}
		if got := selected(s); got != c.want {
			t.Errorf("%q %q: %s, want %s", c.topic, c.partitions, got, c.want)
		}
	}
	if _, err := byTopic("a", "x"); err == nil {
		t.Error("partition x: no error")
	}
}

func TestByRules(t *testing.T) {
	for list, want := range map[string]string{
		"a":         "a-0 a-1 a-10",
		"a:1":       "a-1",
		"a.*:1":     "a-1 ab-1",
		"a:0-10":    "a-0 a-1",
		"a:1-":      "a-1 a-10",
		"a:-1":      "a-0",
		":0":        "a-0 b-0",
		"a:":        "a-0 a-1 a-10",
		"a:-":       "a-0 a-1 a-10",
		"a:1,b":     "a-1 b-0",
		"ab:1,.*:0": "a-0 ab-1 b-0",
		"":          "a-0 a-1 a-10 ab-1 b-0",
	} {
		s, err := byRules(list)
		if err != nil {
			t.Fatalf("%q: %v", list, err)
		}
		if got := selected(s); got != want {
			t.Errorf("%q: %s, want %s", list, got, want)
		}
	}
	for _, bad := range []string{"a:x", "a:1:2", "a:1-2-3", "a:99999999999", "a("} {
		if _, err := byRules(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func FuzzByRules(f *testing.F) {
	f.Add("topic1:1,topic2:0-3,topic3,topic4:5-,topic5:-3")
	f.Fuzz(func(_ *testing.T, list string) {
		if s, err := byRules(list); err == nil {
			selected(s)
		}
	})
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]int64{
		"latest": -1, "-1": -1, "earliest": -2, "max-timestamp": -3, "-3": -3, "earliest-local": -4, "latest-tiered": -5, "1700000000000": 1700000000000,
	} {
		if got, err := parseTime(text); got != want || err != nil {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, bad := range []string{"soon", "", "1e9"} {
		if _, err := parseTime(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestRequestGroupsByTopic(t *testing.T) {
	req := request(some, -3)
	var got []string
	for _, topic := range req.Topics {
		for _, p := range topic.Partitions {
			got = append(got, meta.TopicPartition{Topic: topic.Topic, Partition: p.Partition}.String())
			if p.Timestamp != -3 || p.CurrentLeaderEpoch != -1 {
				t.Errorf("%+v", p)
			}
		}
	}
	if len(req.Topics) != 3 || !slices.Equal(got, []string{"a-0", "a-1", "a-10", "ab-1", "b-0"}) {
		t.Errorf("%d topics: %v", len(req.Topics), got)
	}
}
