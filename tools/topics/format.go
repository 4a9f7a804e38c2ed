package topics

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// topicDescription is what describe prints of a topic.
type topicDescription struct {
	name       string
	id         string // empty: the topic has none
	configs    []string
	minISR     int
	deleting   bool
	partitions []partitionDescription
}

// partitionDescription is what describe prints of a partition.
type partitionDescription struct {
	id            int32
	leader        int32 // -1: none
	replicas, isr []int32
	moving        *reassignment // nil: it is not
}

// reassignment is what the controller says of a partition that is moving. The broker that describes the partition may not
// have heard of the move yet, or not of its end.
type reassignment struct{ replicas, adding, removing []int32 }

// replicationFactor does not count replicas that a reassignment is adding.
func (p partitionDescription) replicationFactor() int {
	if p.moving != nil && overlaps(p.replicas, p.moving.adding, p.moving.removing) {
		return len(p.moving.replicas) - len(p.moving.adding)
	}
	return len(p.replicas)
}

func overlaps(replicas []int32, others ...[]int32) bool {
	return slices.ContainsFunc(replicas, func(id int32) bool { return slices.Contains(slices.Concat(others...), id) })
}

// report says what describe is to print.
type report struct {
	overridden                                    bool // only headers of topics with configs
	underReplicated, unavailable, underMin, atMin bool // only partitions that are any of the chosen
	live                                          []int32
	elr                                           bool // end partitions with the columns of KIP-966, new in Kafka 3.8
}

func (r report) filtered() bool { return r.underReplicated || r.unavailable || r.underMin || r.atMin }

func (r report) wants(t topicDescription, p partitionDescription) bool {
	leaderless := p.leader < 0
	return !r.filtered() ||
		r.underReplicated && len(p.isr) < p.replicationFactor() ||
		r.unavailable && (leaderless || !slices.Contains(r.live, p.leader)) ||
		r.underMin && (leaderless || len(p.isr) < t.minISR) ||
		r.atMin && len(p.isr) == t.minISR
}

func (r report) print(w io.Writer, t topicDescription) {
	slices.SortFunc(t.partitions, func(a, b partitionDescription) int { return int(a.id) - int(b.id) })
	if !r.filtered() && (!r.overridden || len(t.configs) > 0) {
		r.printTopic(w, t)
	}
	if r.overridden {
		return
	}
	for _, p := range t.partitions {
		if r.wants(t, p) {
			r.printPartition(w, t, p)
		}
	}
}

func (r report) printTopic(w io.Writer, t topicDescription) {
	fields := []string{"Topic: " + t.name}
	if t.id != "" {
		fields = append(fields, "TopicId: "+t.id)
	}
	factor := 0
	if len(t.partitions) > 0 {
		factor = t.partitions[0].replicationFactor()
	}
	fields = append(fields,
		fmt.Sprintf("PartitionCount: %d", len(t.partitions)),
		fmt.Sprintf("ReplicationFactor: %d", factor),
		"Configs: "+strings.Join(t.configs, ","))
	if t.deleting {
		fields = append(fields, "MarkedForDeletion: true")
	}
	fmt.Fprintln(w, strings.Join(fields, "\t"))
}

func (r report) printPartition(w io.Writer, t topicDescription, p partitionDescription) {
	leader := "none"
	if p.leader >= 0 {
		leader = fmt.Sprint(p.leader)
	}
	fields := []string{"",
		"Topic: " + t.name,
		fmt.Sprintf("Partition: %d", p.id),
		"Leader: " + leader,
		"Replicas: " + join(p.replicas, ","),
		"Isr: " + join(p.isr, ","),
	}
	if p.moving != nil {
		fields = append(fields, "Adding Replicas: "+join(p.moving.adding, ","), "Removing Replicas: "+join(p.moving.removing, ","))
	}
	if r.elr {
		fields = append(fields, "Elr: N/A", "LastKnownElr: N/A")
	}
	if t.deleting {
		fields = append(fields, "MarkedForDeletion: true")
	}
	fmt.Fprintln(w, strings.Join(fields, "\t"))
}
