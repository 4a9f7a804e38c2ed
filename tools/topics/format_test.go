package topics

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/kraal-mq/kraal/tools/testkit"
)

// fleet is what the recording of Apache Kafka 3.9.1 had after broker 3 of 3 was stopped, and one topic being moved.
var fleet = []topicDescription{
	{
		name: "laid", id: "0HWZ7C1iRdGTSPo-MRc3aA", minISR: 1,
		partitions: []partitionDescription{
			{id: 1, leader: 2, replicas: []int32{2, 3}, isr: []int32{2}},
			{id: 0, leader: 1, replicas: []int32{1, 2}, isr: []int32{1, 2}},
		},
	},
	{
		name: "pay.ments", id: "jy97PMmgTqe9vmNSMrzWNg", minISR: 2, configs: []string{"min.insync.replicas=2", "retention.ms=86400000"},
		partitions: []partitionDescription{{leader: 2, replicas: []int32{2, 3}, isr: []int32{2}}},
	},
	{name: "one", minISR: 1, configs: []string{"min.insync.replicas=1"}, partitions: []partitionDescription{{leader: -1, replicas: []int32{3}, isr: []int32{3}}}},
	{name: "stale", minISR: 1, partitions: []partitionDescription{{leader: 3, replicas: []int32{3, 1}, isr: []int32{3, 1}}}},
	{
		name: "moving", minISR: 1,
		partitions: []partitionDescription{{leader: 1, replicas: []int32{1, 2, 3}, isr: []int32{1, 2}, moving: &reassignment{[]int32{1, 2, 3}, []int32{3}, []int32{1}}}},
	},
	{name: "going", deleting: true, minISR: 1, partitions: []partitionDescription{{leader: -1, replicas: []int32{1}}}},
}

func TestDescribe(t *testing.T) {
	var out bytes.Buffer
	for _, c := range []struct {
		title  string
		report report
	}{
		{"everything", report{elr: true}},
		{"as before Kafka 3.8", report{}},
		{"with overrides", report{overridden: true}},
		{"under replicated", report{underReplicated: true}},
		{"unavailable", report{unavailable: true}},
		{"under min ISR", report{underMin: true}},
		{"at min ISR", report{atMin: true}},
		{"under replicated or at min ISR", report{underReplicated: true, atMin: true}},
	} {
		fmt.Fprintf(&out, "== %s\n", c.title)
		c.report.live = []int32{1, 2}
		for _, topic := range fleet {
			c.report.print(&out, topic)
		}
	}
	testkit.Golden(t, "describe.txt", out.Bytes())
}
