package partitions

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// place is where a replica lies: its log directory, and the one that a move to another is filling. Empty: none.
type place struct{ current, future string }

// describeMoves is a line for each replica that should be in a certain log directory, about how far it has got there.
func describeMoves(targets map[replica]string, places map[replica]place) string {
	var lines []string
	for _, r := range slices.SortedFunc(maps.Keys(targets), compareReplicas) {
		lines = append(lines, describeMove(r, targets[r], places[r]))
	}
	return strings.Join(lines, "\n")
}

func describeMove(r replica, target string, p place) string {
	switch {
	case p.current == "":
		return fmt.Sprintf("Partition %s is not found in any live log dir on broker %d. There is likely an offline log directory on the broker.",
			r.TopicPartition, r.broker)
	case p.future == target:
		return fmt.Sprintf("Reassignment of replica %s is still in progress.", r)
	case p.future != "":
		return fmt.Sprintf("Partition %s on broker %d is being moved to log dir %s instead of %s.", r.TopicPartition, r.broker, p.future, target)
	case p.current == target:
		return fmt.Sprintf("Reassignment of replica %s completed successfully.", r)
	}
	return fmt.Sprintf("Partition %s on broker %d is not being moved from log dir %s to %s.", r.TopicPartition, r.broker, p.current, target)
}

// underWay returns the replicas that are moving to any other log directory, with the one they are in.
func underWay(targets map[replica]string, places map[replica]place) map[replica]string {
	moving := map[replica]string{}
	for r := range targets {
		if p := places[r]; p.current != "" && p.future != "" {
			moving[r] = p.current
		}
	}
	return moving
}
