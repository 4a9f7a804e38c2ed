package partitions

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/jsonfile"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// replica is a partition on a broker.
type replica struct {
	meta.TopicPartition
	broker int32
}

func (r replica) String() string { return fmt.Sprintf("%s-%d", r.TopicPartition, r.broker) }

// compareReplicas orders by broker first, as Kafka's tool lists them.
func compareReplicas(a, b replica) int {
	return cmp.Or(cmp.Compare(a.broker, b.broker), a.TopicPartition.Compare(b.TopicPartition))
}

// move is where the replicas of one partition should be.
type move struct {
	meta.TopicPartition
	replicas []int32
}

// plan is the content of a --reassignment-json-file.
type plan struct {
	moves []move             // in the order of the file; of a file that was not checked a partition may be there twice
	dirs  map[replica]string // replicas that should be in a certain log directory
}

const anyLogDir = "any"

func readPlan(file string) (plan, error) {
	text, err := jsonfile.Read(file)
	if err != nil {
		return plan{}, err
	}
	return parsePlan(text)
}

// parsePlan reads {"version":1,"partitions":[{"topic":"foo","partition":1,"replicas":[1,2],"log_dirs":["any","/x"]}]}.
func parsePlan(text []byte) (plan, error) {
	p := plan{dirs: map[replica]string{}}
	document, err := jsonfile.Parse(text)
	if err != nil {
		return p, &client.Error{Class: jsonfile.OperationException, Message: err.Error(), Cause: err}
	}
	fields, err := document.Object()
	if err != nil {
		return p, err
	}
	if err := fields.Version(); err != nil {
		return p, err
	}
	partitions, ok := fields.Get("partitions")
	if !ok {
		return p, nil
	}
	entries, err := partitions.Array()
	if err != nil {
		return p, err
	}
	for _, entry := range entries {
		if err := p.add(entry); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (p *plan) add(entry jsonfile.Value) error {
	fields, err := entry.Object()
	if err != nil {
		return err
	}
	tp, err := partitionOf(fields)
	if err != nil {
		return err
	}
	field, err := fields.Field("replicas")
	if err != nil {
		return err
	}
	replicas, err := field.Ints()
	if err != nil {
		return err
	}
	p.moves = append(p.moves, move{tp, replicas})
	field, ok := fields.Get("log_dirs")
	if !ok {
		return nil
	}
	dirs, err := field.Texts()
	if err != nil {
		return err
	}
	if len(dirs) != len(replicas) {
		return commandFailed("Size of replicas list [%s] is different from size of log dirs list [%s] for partition %s",
			join(replicas, ", "), strings.Join(dirs, ", "), tp)
	}
	for i, dir := range dirs {
		if dir != anyLogDir {
			p.dirs[replica{tp, replicas[i]}] = dir
		}
	}
	return nil
}

// partitionOf reads the fields topic and partition.
func partitionOf(fields jsonfile.Object) (tp meta.TopicPartition, err error) {
	field, err := fields.Field("topic")
	if err != nil {
		return tp, err
	}
	if tp.Topic, err = field.Text(); err != nil {
		return tp, err
	}
	if field, err = fields.Field("partition"); err != nil {
		return tp, err
	}
	tp.Partition, err = field.Int()
	return tp, err
}

// check refuses what cannot be executed.
func (p plan) check() error {
	if len(p.moves) == 0 {
		return commandFailed("Partition reassignment list cannot be empty")
	}
	for _, m := range p.moves {
		if len(m.replicas) == 0 {
			return commandFailed("Partition replica list cannot be empty")
		}
	}
	partitions := make([]meta.TopicPartition, len(p.moves))
	for i, m := range p.moves {
		partitions[i] = m.TopicPartition
	}
	if again := duplicates(partitions); len(again) > 0 {
		return commandFailed("Partition reassignment contains duplicate topic partitions: %s", joined(again, ","))
	}
	var wrong []string
	for _, m := range p.moves {
		if again := duplicates(m.replicas); len(again) > 0 {
			wrong = append(wrong, fmt.Sprintf("%s contains multiple entries for %s", m.TopicPartition, join(again, ",")))
		}
	}
	if len(wrong) > 0 {
		return commandFailed("Partition replica lists may not contain duplicate entries: %s", strings.Join(wrong, ". "))
	}
	return nil
}

// partitions returns the partitions of the plan, each once, sorted.
func (p plan) partitions() []meta.TopicPartition {
	return slices.SortedFunc(maps.Keys(p.targets()), meta.TopicPartition.Compare)
}

// targets maps partitions to where their replicas should be. Of entries for the same partition the last counts.
func (p plan) targets() map[meta.TopicPartition][]int32 {
	targets := make(map[meta.TopicPartition][]int32, len(p.moves))
	for _, m := range p.moves {
		targets[m.TopicPartition] = m.replicas
	}
	return targets
}

// topics returns the topics of the plan, sorted.
func (p plan) topics() []string { return topicsOf(p.partitions()) }

// brokers returns the brokers that should have replicas, sorted.
func (p plan) brokers() []int32 {
	var ids []int32
	for _, m := range p.moves {
		ids = append(ids, m.replicas...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// replicas returns the replicas for which a log directory is named, in Kafka's order.
func (p plan) replicas() []replica { return slices.SortedFunc(maps.Keys(p.dirs), compareReplicas) }

// parseTopics reads {"version":1,"topics":[{"topic":"foo"}]}.
func parseTopics(text []byte) ([]string, error) {
	document, err := jsonfile.Parse(text)
	if err != nil {
		return nil, &client.Error{Class: jsonfile.OperationException, Message: "The input string is not a valid JSON"}
	}
	fields, err := document.Object()
	if err != nil {
		return nil, err
	}
	if err := fields.Version(); err != nil {
		return nil, err
	}
	list, ok := fields.Get("topics")
	if !ok {
		return nil, nil
	}
	entries, err := list.Array()
	if err != nil {
		return nil, err
	}
	topics := make([]string, len(entries))
	for i, entry := range entries {
		fields, err := entry.Object()
		if err != nil {
			return nil, err
		}
		field, err := fields.Field("topic")
		if err != nil {
			return nil, err
		}
		if topics[i], err = field.Text(); err != nil {
			return nil, err
		}
	}
	if again := duplicates(topics); len(again) > 0 {
		return nil, commandFailed("List of topics to reassign contains duplicate entries: [%s]", strings.Join(again, ", "))
	}
	return topics, nil
}

// formatPlan is an assignment as a --reassignment-json-file: keys in Kafka's order, partitions sorted.
func formatPlan(assignment map[meta.TopicPartition][]int32) string {
	type entry struct {
		Topic     string   `json:"topic"`
		Partition int32    `json:"partition"`
		Replicas  []int32  `json:"replicas"`
		LogDirs   []string `json:"log_dirs"`
	}
	document := struct {
		Version    int     `json:"version"`
		Partitions []entry `json:"partitions"`
	}{1, []entry{}}
	for _, tp := range slices.SortedFunc(maps.Keys(assignment), meta.TopicPartition.Compare) {
		e := entry{tp.Topic, tp.Partition, assignment[tp], make([]string, len(assignment[tp]))}
		for i := range e.LogDirs {
			e.LogDirs[i] = anyLogDir
		}
		document.Partitions = append(document.Partitions, e)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(document); err != nil {
		panic(err) // names and numbers always have a text
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func commandFailed(format string, args ...any) error {
	return &client.Error{Class: jsonfile.CommandFailedException, Message: fmt.Sprintf(format, args...)}
}

// duplicates returns what is in a list more than once, each once, in order of its second appearance.
func duplicates[E comparable](list []E) []E {
	seen := map[E]int{}
	var again []E
	for _, e := range list {
		if seen[e]++; seen[e] == 2 {
			again = append(again, e)
		}
	}
	return again
}

func topicsOf(partitions []meta.TopicPartition) []string {
	var topics []string
	for _, tp := range partitions {
		topics = append(topics, tp.Topic)
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

func join(ids []int32, separator string) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.Itoa(int(id))
	}
	return strings.Join(texts, separator)
}

func joined[E fmt.Stringer](list []E, separator string) string {
	texts := make([]string, len(list))
	for i, e := range list {
		texts[i] = e.String()
	}
	return strings.Join(texts, separator)
}

// plural is the s behind a word that counts n things.
func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}
