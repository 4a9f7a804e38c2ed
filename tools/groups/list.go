package groups

import (
	"fmt"
	"slices"
	"strings"
)

// statesKnown is how Kafka's tool names the states that can be filtered by.
var statesKnown = []string{"PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "Empty", "Assigning", "Reconciling"}

var typesKnown = []string{"Consumer", "Classic"}

// filter reads a list of known words, in any case.
func filter(text, kind, plural string, known []string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	var chosen []string
	for word := range strings.SplitSeq(text, ",") {
		i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, strings.TrimSpace(word)) })
		if i < 0 {
			return nil, &usageError{fmt.Sprintf("Invalid %s list '%s'. Valid %s are: %s", kind, text, plural, strings.Join(known, ", "))}
		}
		chosen = append(chosen, known[i])
	}
	return chosen, nil
}

func (t *tool) list() error {
	states, err := filter(value(t.Context, "state"), "state", "states", statesKnown)
	if err != nil {
		return err
	}
	types, err := filter(value(t.Context, "type"), "types", "types", typesKnown)
	if err != nil {
		return err
	}
	all, err := t.listGroups(states, types)
	if err != nil {
		return runtimeExecution(err)
	}
	fmt.Fprint(t.App.Writer, listing(all, t.IsSet("type"), t.IsSet("state")))
	return nil
}

// listing prints groups, as a table if there is more to show than their names.
func listing(all []listed, withType, withState bool) string {
	var b strings.Builder
	if !withType && !withState {
		for _, g := range all {
			fmt.Fprintln(&b, g.id)
		}
		return b.String()
	}
	width := 15
	for _, g := range all {
		width = max(width, len(g.id))
	}
	row := func(group, kind, state string) {
		fmt.Fprintf(&b, "%-*s", width+10, group)
		if withType {
			fmt.Fprintf(&b, " %-20s", kind)
		}
		if withState {
			fmt.Fprintf(&b, " %-20s", state)
		}
		b.WriteByte('\n')
	}
	row("GROUP", "TYPE", "STATE")
	for _, g := range all {
		row(g.id, g.kind, g.state)
	}
	return b.String()
}
