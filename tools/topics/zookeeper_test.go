package topics

import (
	"strings"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/tools/testkit"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// The command with --zookeeper, in a world of three brokers of which one is controller but does not act.
func TestTopicsAgainstZooKeeper(t *testing.T) {
	server := zktest.Start(t)
	connect := server.Addr() + "/fleet"
	session, err := zkstore.Connect(t.Context(), zkstore.Options{Connect: connect})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	store := zkstore.New(session)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(store.EnsurePersistentPaths(t.Context()))
	for id := range meta.BrokerID(3) {
		_, err := store.RegisterBroker(t.Context(), zkstore.BrokerRegistration{
			ID: id + 1, Rack: []string{"a", "b", ""}[id], JMXPort: -1,
			Endpoints: []meta.Endpoint{{Listener: "PLAINTEXT", Protocol: "PLAINTEXT", Host: "localhost", Port: 9092 + int32(id)}},
		}, 0)
		must(err)
	}
	_, err = store.Elect(t.Context(), 1, time.UnixMilli(1))
	must(err)
	must(store.CreateTopic(t.Context(), "__consumer_offsets", nil, meta.TopicAssignment{
		Partitions: map[int32]meta.Assignment{0: {Replicas: []meta.BrokerID{1}}},
	}))

	var script strings.Builder
	for _, line := range []string{
		"--list --exclude-internal",
		"--create --topic laid --replica-assignment 1:2,2:3 --config retention.ms=5",
		"--create --topic laid --partitions 1 --replication-factor 1 --disable-rack-aware",
		"--create --topic laid --partitions 1 --replication-factor 1 --disable-rack-aware --if-not-exists",
		"--create --topic racks --partitions 1 --replication-factor 1",
		"--create --topic big --partitions 1 --replication-factor 4 --disable-rack-aware",
		"--create --topic zero --partitions 0 --replication-factor 1 --disable-rack-aware",
		"--create --topic conf --replica-assignment 1 --config no.such=1",
		"--create --topic pay.ments --replica-assignment 1",
		"--create --topic pay_ments --replica-assignment 1",
		"--list",
		"--describe --exclude-internal",
		"--describe --topics-with-overrides",
		"--describe --topic nope",
		"--describe --topic nope --if-exists",
		"--alter --topic laid --config retention.ms=6 --config flush.ms=7 --delete-config retention.ms",
		"--alter --topic laid --config flush.ms=x",
		"--alter --topic laid --partitions 4 --replica-assignment 1:2,2:3,3:1,1:3 --disable-rack-aware",
		"--alter --topic laid --partitions 5 --disable-rack-aware --replica-assignment 1:2,2:3,3:1,1:3,1:9",
		"--alter --topic laid --partitions 5 --disable-rack-aware",
		"--alter --topic laid --partitions 2",
		"--alter --topic __consumer_offsets --partitions 2",
		"--describe --topic laid",
		"--delete --topic pay.*",
		"--delete --topic pay.*",
		"--delete --topic __consumer_offsets",
		"--describe --topic pay.*",
		"--list",
	} {
		stdout, stderr, code := testkit.Run(t.Context(), Command(), append([]string{"--zookeeper", connect}, strings.Fields(line)...)...)
		if (code == 0) != (stderr == "") {
			t.Errorf("%s: exit code %d, stderr %q", line, code, stderr)
		}
		script.WriteString("$ " + line + "\n" + stdout + "exit " + string(rune('0'+code)) + "\n\n")
	}
	testkit.Golden(t, "zookeeper.txt", []byte(script.String()))

	topic, err := store.Topic(t.Context(), "laid")
	must(err)
	if len(topic.Partitions) != 5 || len(topic.Partitions[4].Replicas) != 2 {
		t.Errorf("laid is %+v", topic)
	}
}
