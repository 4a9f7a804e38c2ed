package partitions

import (
	"maps"
	"slices"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

func (t *tool) cancel() error {
	p, err := readPlan(t.String(planFile))
	if err != nil {
		return err
	}
	if err := t.cancelReassignments(p); err != nil {
		return err
	}
	places, err := t.places(p.dirs)
	if err != nil {
		return err
	}
	if moving := underWay(p.dirs, places); len(moving) == 0 {
		t.print("None of the specified partition moves are active.\n")
	} else if _, err := t.startMoves(moving); err != nil { // a move to where the replica is already ends the one under way
		return err
	}
	if t.Bool("preserve-throttles") {
		return nil
	}
	return t.clearThrottles(p)
}

// cancelReassignments takes back what is under way of the plan. Kafka 3.9 forgets those that only add replicas
// (ReassignPartitionsCommand.java tests the emptiness of the wrong list), which its older tools did not.
func (t *tool) cancelReassignments(p plan) error {
	found, err := t.reassignments(p.partitions())
	if err != nil {
		return err
	}
	back := map[meta.TopicPartition][]int32{}
	for tp, r := range found {
		if len(r.adding)+len(r.removing) > 0 {
			back[tp] = nil
		}
	}
	if len(back) == 0 {
		t.print("None of the specified partition reassignments are active.\n")
		return nil
	}
	if s := t.submit(back); len(s.failures) > 0 {
		return &terse{"Error cancelling partition reassignment" + plural(len(s.failures)) + " for:\n" + s.lines()}
	}
	t.print("Successfully cancelled partition reassignment%s for: %s\n", plural(len(back)),
		joined(slices.SortedFunc(maps.Keys(back), meta.TopicPartition.Compare), ","))
	return nil
}
