//go:build unix

package partitions

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/configs"
	"github.com/kraal-mq/kraal/tools/produce"
	"github.com/kraal-mq/kraal/tools/testkit"
	"github.com/kraal-mq/kraal/tools/topics"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// The recordings are of Apache Kafka 3.9.1's tools on brokers of that version in ZooKeeper mode.

func TestReassignPartitionsAsInKafka(t *testing.T) { replay(t, "reassign-partitions.jsonl") }

func TestLeaderElectionAsInKafka(t *testing.T) { replay(t, "leader-election.jsonl") }

// Reassignments that cannot end, because the broker they go to hears nothing from the others.
func TestReassignmentsInFlightAsInKafka(t *testing.T) { replay(t, "in-flight.jsonl") }

// kafka-topics --describe with everything it can be reduced to, with all brokers and without some; unclean elections.
func TestDescribeFiltersAsInKafka(t *testing.T) { replay(t, "filters.jsonl") }

func replay(t *testing.T, recording string) {
	data := t.TempDir()
	fleet := brokertest.StartProcFleet(t, zktest.Start(t).Addr(), 3, map[string]string{
		"default.replication.factor": "", "min.insync.replicas": "",
		"log.dirs": filepath.Join(data, "{id}", "x") + "," + filepath.Join(data, "{id}", "y"),
	})
	places := map[string]string{"{down}": fmt.Sprintf("127.0.0.1:%d", brokertest.FreePort(t))}
	for id := 1; id <= 3; id++ {
		places[fmt.Sprintf("{b%d}", id)] = fleet.Proc(id).Addr()
		places[fmt.Sprintf("{data%d}", id)] = filepath.Join(data, fmt.Sprint(id))
	}
	moves := serves(t, fleet.Proc(1).Addr(), kmsg.AlterReplicaLogDirs)
	testkit.Session{
		Tools: map[string]func() *cli.Command{
			"kafka-reassign-partitions": ReassignCommand, "kafka-leader-election": ElectCommand, "kafka-topics": topics.Command,
			"kafka-configs": configs.Command, "kafka-console-producer": produce.Command,
		},
		Places: places,
		Fleet: func(verb string, broker int) {
			switch verb {
			case "stop":
				fleet.Proc(broker).Stop()
			case "start":
				fleet.Proc(broker).Start()
			case "hold":
				fleet.CutFromBrokers(broker)
			case "release":
				fleet.Heal()
			default:
				t.Fatalf("nobody knows how to %s a broker", verb)
			}
		},
		Same: same,
		// Brokers that cannot move replicas between their log directories answer those commands differently.
		Skip: func(command []string) bool {
			return !moves && (slices.Contains(command, "dirs.json") || slices.Contains(command, "baddir.json"))
		},
	}.Replay(t, recording)
}

// serves reports whether a broker serves an API.
func serves(t *testing.T, address string, api kmsg.Key) (served bool) {
	t.Helper()
	cluster, err := client.Open(address, client.Properties{}, client.Options{ClientID: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	err = cluster.Call(t.Context(), "apiVersions", client.Any, func(n *client.Node) error {
		_, served, err = n.Supports(api.Int16(), 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return served
}

var (
	topicID = regexp.MustCompile(`TopicId: \S+`)
	inSync  = regexp.MustCompile(`Isr: \S+`)
	cleared = regexp.MustCompile(`throttles on topics \S+`)
	elected = regexp.MustCompile(`for partitions .*`)
)

// same makes texts alike that differ in what Kafka takes from a hash map, in ids, and in the mistakes of Kafka 3.9's tools
// that are not repeated here.
func same(command []string, text string) string {
	text = strings.NewReplacer(
		"'Optional[", "'", "]' does not exist", "' does not exist",
		"moves are active.Clearing", "moves are active.\nClearing",
	).Replace(text)
	if strings.HasSuffix(text, "moves are active.") {
		text += "\n"
	}
	text = topicID.ReplaceAllString(text, "TopicId: ?")
	text = inSync.ReplaceAllStringFunc(text, func(s string) string { return sortedList(s, ",") })
	text = cleared.ReplaceAllStringFunc(text, func(s string) string { return sortedList(s, ",") })
	text = elected.ReplaceAllStringFunc(text, func(s string) string { return sortedList(s, ", ") })
	if command[0] == "kafka-leader-election" || slices.Contains(command, "--describe") {
		lines := strings.SplitAfter(text, "\n")
		slices.Sort(lines)
		text = strings.Join(lines, "")
	}
	return text
}

// sortedList sorts the list behind the last blanks of a text.
func sortedList(text, separator string) string {
	head, first, _ := strings.Cut(text, separator)
	at := strings.LastIndex(head, " ") + 1
	list := strings.Split(head[at:]+separator+first, separator)
	if first == "" {
		list = list[:1]
	}
	slices.Sort(list)
	return head[:at] + strings.Join(list, separator)
}
