package groups

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

const missing = "-"

func (t *tool) describe() error {
	groups, err := t.chosen()
	if err != nil {
		return runtime(err)
	}
	for _, group := range groups {
		d, err := t.describeGroup(group)
		if err != nil {
			return runtimeExecution(err)
		}
		t.remark(d)
		switch {
		case t.Bool("members"):
			fmt.Fprint(t.App.Writer, membersTable(d, t.Bool("verbose")))
		case t.IsSet("state"):
			if d.state != "Dead" {
				fmt.Fprint(t.App.Writer, stateTable(d, t.addressOf(d.coordinator)))
			}
		case d.state != "Dead":
			rows, err := t.lags(d)
			if err != nil {
				return runtime(err)
			}
			fmt.Fprint(t.App.Writer, offsetsTable(group, rows))
		}
	}
	return nil
}

// remark says what is to be known before the table.
func (t *tool) remark(d described) {
	switch d.state {
	case "Dead":
		fmt.Fprintf(t.App.Writer, "\nError: Consumer group '%s' does not exist.\n", d.id)
	case "Empty":
		fmt.Fprintf(t.App.ErrWriter, "\nConsumer group '%s' has no active members.\n", d.id)
	case "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling":
		fmt.Fprintf(t.App.ErrWriter, "\nWarning: Consumer group '%s' is rebalancing.\n", d.id)
	}
}

// addressOf is where a broker is, as the cluster last told.
func (t *tool) addressOf(id int32) string {
	metadata, err := t.cluster.Metadata(t.Context.Context, "describeCluster")
	if err != nil {
		return missing
	}
	for _, b := range metadata.Brokers {
		if b.ID() == id {
			return b.Addr()
		}
	}
	return missing
}

// lag is one row of the offsets table. Its numbers are texts, because any may be missing.
type lag struct {
	topic, partition, current, end, lag string
	member, host, clientID              string
}

// lags puts together who reads what, how far that is, and how far it could be.
func (t *tool) lags(d described) ([]lag, error) {
	committed, err := t.committed(d.id)
	if err != nil {
		return nil, client.Execution(err)
	}
	wanted := maps.Clone(committed)
	for _, m := range d.members {
		for _, tp := range m.assigned {
			wanted[tp] = 0
		}
	}
	ends, err := t.endings(slices.Collect(maps.Keys(wanted)), latest)
	if err != nil {
		return nil, err
	}
	return lagsOf(d.members, committed, ends), nil
}

// lagsOf makes the rows: those of members, the ones with most partitions first, then offsets that nobody reads on from.
func lagsOf(members []member, committed, ends map[meta.TopicPartition]int64) []lag {
	var rows []lag
	left := maps.Clone(committed)
	members = slices.Clone(members)
	slices.SortStableFunc(members, func(a, b member) int { return len(b.assigned) - len(a.assigned) })
	for _, m := range members {
		if len(m.assigned) == 0 {
			rows = append(rows, lag{missing, missing, missing, missing, missing, m.id, m.host, m.clientID})
		}
		for _, tp := range m.assigned {
			rows = append(rows, lagOf(tp, committed, ends, m))
			delete(left, tp)
		}
	}
	for _, tp := range slices.SortedFunc(maps.Keys(left), meta.TopicPartition.Compare) {
		rows = append(rows, lagOf(tp, committed, ends, member{id: missing, host: missing, clientID: missing}))
	}
	return rows
}

func lagOf(tp meta.TopicPartition, committed, ends map[meta.TopicPartition]int64, m member) lag {
	row := lag{tp.Topic, strconv.Itoa(int(tp.Partition)), missing, missing, missing, m.id, m.host, m.clientID}
	current, has := committed[tp]
	if has {
		row.current = strconv.FormatInt(current, 10)
	}
	if end, known := ends[tp]; known {
		row.end = strconv.FormatInt(end, 10)
		if has {
			row.lag = strconv.FormatInt(end-current, 10)
		}
	}
	return row
}

func offsetsTable(group string, rows []lag) string {
	const narrowest = 15
	groupWidth, topic, memberWidth, host := max(narrowest, len(group)), narrowest, narrowest, narrowest
	for _, r := range rows {
		topic, memberWidth, host = max(topic, len(r.topic)), max(memberWidth, len(r.member)), max(host, len(r.host))
	}
	var b strings.Builder
	b.WriteByte('\n')
	row := func(g string, r lag) {
		fmt.Fprintf(&b, "%-*s %-*s %-10s %-15s %-15s %-15s %-*s %-*s %s\n", groupWidth, g, topic, r.topic, r.partition, r.current, r.end, r.lag,
			memberWidth, r.member, host, r.host, r.clientID)
	}
	row("GROUP", lag{"TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST", "CLIENT-ID"})
	for _, r := range rows {
		row(group, r)
	}
	return b.String()
}

func membersTable(d described, verbose bool) string {
	const narrowest, instanceNarrowest = 15, 17
	group, id, instance, host, clientID := max(narrowest, len(d.id)), narrowest, instanceNarrowest, narrowest, narrowest
	static := false
	for _, m := range d.members {
		id, instance, host, clientID = max(id, len(m.id)), max(instance, len(m.instance)), max(host, len(m.host)), max(clientID, len(m.clientID))
		static = static || m.instance != ""
	}
	var b strings.Builder
	b.WriteByte('\n')
	row := func(g string, m member, partitions, assigned string) {
		fmt.Fprintf(&b, "%-*s %-*s ", group, g, id, m.id)
		if static {
			fmt.Fprintf(&b, "%-*s ", instance, m.instance)
		}
		fmt.Fprintf(&b, "%-*s %-*s %-15s ", host, m.host, clientID, m.clientID, partitions)
		if verbose {
			b.WriteString(assigned)
		}
		b.WriteByte('\n')
	}
	row("GROUP", member{id: "CONSUMER-ID", instance: "GROUP-INSTANCE-ID", host: "HOST", clientID: "CLIENT-ID"}, "#PARTITIONS", "ASSIGNMENT")
	for _, m := range d.members {
		row(d.id, m, strconv.Itoa(len(m.assigned)), assignmentText(m.assigned))
	}
	return b.String()
}

// assignmentText is orders(0,1), payments(2).
func assignmentText(assigned []meta.TopicPartition) string {
	if len(assigned) == 0 {
		return missing
	}
	topics := byTopic(assigned)
	var parts []string
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		ids := make([]string, len(topics[topic]))
		for i, id := range topics[topic] {
			ids[i] = strconv.Itoa(int(id))
		}
		parts = append(parts, topic+"("+strings.Join(ids, ",")+")")
	}
	return strings.Join(parts, ", ")
}

func stateTable(d described, address string) string {
	coordinator := fmt.Sprintf("%s  (%d)", address, d.coordinator)
	width := max(25, len(d.id))
	format := "%-*s %-25s %-20s %-15s %s\n"
	return "\n" + fmt.Sprintf(format, width, "GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE", "#MEMBERS") +
		fmt.Sprintf(format, width, d.id, coordinator, d.protocol, d.state, strconv.Itoa(len(d.members)))
}
