package partitions

import (
	"maps"
	"slices"
	"testing"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

func tp(topic string, partition int32) meta.TopicPartition {
	return meta.TopicPartition{Topic: topic, Partition: partition}
}

func TestParsePlan(t *testing.T) {
	p, err := parsePlan([]byte(`{"partitions":[
		{"topic":"pay","partition":0,"replicas":[2]},
		{"topic":"orders","partition":10,"replicas":[3,1],"log_dirs":["/x","any"]},
		{"topic":"orders","partition":2,"replicas":[1,2],"log_dirs":["any","/y"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.check(); err != nil {
		t.Error(err)
	}
	if got, want := p.partitions(), []meta.TopicPartition{tp("orders", 2), tp("orders", 10), tp("pay", 0)}; !slices.Equal(got, want) {
		t.Errorf("partitions %v, want %v", got, want)
	}
	if got := p.targets()[tp("orders", 10)]; !slices.Equal(got, []int32{3, 1}) {
		t.Errorf("target %v", got)
	}
	if want := map[replica]string{{tp("orders", 10), 3}: "/x", {tp("orders", 2), 2}: "/y"}; !maps.Equal(p.dirs, want) {
		t.Errorf("log directories %v, want %v", p.dirs, want)
	}
	if !slices.Equal(p.brokers(), []int32{1, 2, 3}) || !slices.Equal(p.topics(), []string{"orders", "pay"}) {
		t.Errorf("brokers %v, topics %v", p.brokers(), p.topics())
	}
	if p, err := parsePlan([]byte(`{"version":1}`)); err != nil || len(p.moves) != 0 {
		t.Errorf("no partitions: %v, %v", p, err)
	}
}

// The words are those of Apache Kafka 3.9.1.
func TestPlanMistakes(t *testing.T) {
	const operation, command, mapping = "org.apache.kafka.server.common.AdminOperationException: ",
		"org.apache.kafka.server.common.AdminCommandFailedException: ", "com.fasterxml.jackson.databind.JsonMappingException: "
	for text, want := range map[string]string{
		``:                               operation + "The input string shouldn't be empty",
		`[]`:                             mapping + "Expected JSON object, received []",
		`{"version":2}`:                  operation + "Not supported version field value 2",
		`{"partitions":{}}`:              mapping + "Expected JSON array, received {}",
		`{"partitions":[]}`:              command + "Partition reassignment list cannot be empty",
		`{"partitions":[1]}`:             mapping + "Expected JSON object, received 1",
		`{"partitions":[{}]}`:            mapping + "No such field exists: `topic`",
		`{"partitions":[{"topic":1}]}`:   mapping + "Expected `String` value, received 1",
		`{"partitions":[{"topic":"t"}]}`: mapping + "No such field exists: `partition`",
		`{"partitions":[{"topic":"t","partition":0}]}`:                                                           mapping + "No such field exists: `replicas`",
		`{"partitions":[{"topic":"t","partition":0,"replicas":["1"]}]}`:                                          mapping + "Expected `Integer` value, received \"1\"",
		`{"partitions":[{"topic":"t","partition":0,"replicas":[]}]}`:                                             command + "Partition replica list cannot be empty",
		`{"partitions":[{"topic":"t","partition":0,"replicas":[1,2],"log_dirs":["any"]}]}`:                       command + "Size of replicas list [1, 2] is different from size of log dirs list [any] for partition t-0",
		`{"partitions":[{"topic":"t","partition":0,"replicas":[1]},{"topic":"t","partition":0,"replicas":[2]}]}`: command + "Partition reassignment contains duplicate topic partitions: t-0",
		`{"partitions":[{"topic":"t","partition":0,"replicas":[2,2,1,1]},{"topic":"u","partition":0,"replicas":[3,3]}]}`: command +
			"Partition replica lists may not contain duplicate entries: t-0 contains multiple entries for 2,1. u-0 contains multiple entries for 3",
	} {
		p, err := parsePlan([]byte(text))
		if err == nil {
			err = p.check()
		}
		if err == nil || client.Describe(err) != want {
			t.Errorf("%s:\n%v\nwant\n%s", text, err, want)
		}
	}
}

func TestParseTopics(t *testing.T) {
	if topics, err := parseTopics([]byte(`{"topics":[{"topic":"b"},{"topic":"a"}],"version":1}`)); err != nil || !slices.Equal(topics, []string{"b", "a"}) {
		t.Errorf("%v, %v", topics, err)
	}
	for text, want := range map[string]string{
		`nonsense`:        "The input string is not a valid JSON",
		`{"version":3}`:   "Not supported version field value 3",
		`{"topics":1}`:    "Expected JSON array, received 1",
		`{"topics":[{}]}`: "No such field exists: `topic`",
		`{"topics":[{"topic":"a"},{"topic":"a"}]}`: "List of topics to reassign contains duplicate entries: [a]",
	} {
		if _, err := parseTopics([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestFormatPlan(t *testing.T) {
	got := formatPlan(map[meta.TopicPartition][]int32{tp("pay", 0): {1}, tp("a&b", 10): {2, 3}, tp("a&b", 9): {3, 2}})
	want := `{"version":1,"partitions":[{"topic":"a&b","partition":9,"replicas":[3,2],"log_dirs":["any","any"]},` +
		`{"topic":"a&b","partition":10,"replicas":[2,3],"log_dirs":["any","any"]},{"topic":"pay","partition":0,"replicas":[1],"log_dirs":["any"]}]}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if p, err := parsePlan([]byte(got)); err != nil || len(p.moves) != 3 || len(p.dirs) != 0 {
		t.Errorf("read back: %v, %v", p, err)
	}
	if got, want := formatPlan(nil), `{"version":1,"partitions":[]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestParseBrokers(t *testing.T) {
	for list, want := range map[string][]int32{"1": {1}, "3,1,2": {3, 1, 2}, "1,2,,": {1, 2}} {
		if got, err := parseBrokers(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", list, got, err)
		}
	}
	for list, want := range map[string]string{
		"":           `For input string: ""`,
		"1,x":        `For input string: "x"`,
		"1, 2":       `For input string: " 2"`,
		"2147483648": `For input string: "2147483648"`,
		"2,1,2,1":    "Broker list contains duplicate entries: [2, 1]",
	} {
		if _, err := parseBrokers(list); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", list, err, want)
		}
	}
}

func FuzzPlan(f *testing.F) {
	f.Add([]byte(`{"version":1,"partitions":[{"topic":"a","partition":0,"replicas":[1,2],"log_dirs":["any","/x"]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		parseTopics(text)
		parseElection(text)
		p, err := parsePlan(text)
		if err != nil || p.check() != nil {
			return
		}
		again, err := parsePlan([]byte(formatPlan(p.targets())))
		if err != nil || again.check() != nil || len(again.moves) != len(p.moves) {
			t.Errorf("%q: read back as %v: %v", text, again, err)
		}
	})
}
