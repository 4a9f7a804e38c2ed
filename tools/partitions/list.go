package partitions

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

func (t *tool) list() error {
	moving, err := t.reassignments(nil)
	if err != nil {
		return err
	}
	t.print("%s\n", describeRunning(moving))
	return nil
}

func describeRunning(moving map[meta.TopicPartition]running) string {
	if len(moving) == 0 {
		return "No partition reassignments found."
	}
	lines := []string{"Current partition reassignments:"}
	for _, tp := range slices.SortedFunc(maps.Keys(moving), meta.TopicPartition.Compare) {
		r := moving[tp]
		line := fmt.Sprintf("%s: replicas: %s.", tp, join(r.replicas, ","))
		if len(r.adding) > 0 {
			line += " adding: " + join(r.adding, ",") + "."
		}
		if len(r.removing) > 0 {
			line += " removing: " + join(r.removing, ",") + "."
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}
