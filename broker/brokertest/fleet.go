package brokertest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/kraal-mq/kraal/broker"
)

// fleetDefaults are the properties by which a broker in a fleet differs from one that is alone.
func fleetDefaults(id int, props map[string]string) map[string]string {
	all := map[string]string{
		"broker.id": strconv.Itoa(id), "default.replication.factor": "3", "min.insync.replicas": "2",
		"offsets.topic.replication.factor": "3", "offsets.topic.num.partitions": "3",
		"transaction.state.log.replication.factor": "3", "transaction.state.log.num.partitions": "3", "transaction.state.log.min.isr": "2",
		"auto.leader.rebalance.enable": "false", "replica.lag.time.max.ms": "4000",
	}
	maps.Copy(all, forBroker(id, props))
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return all
}

// forBroker puts a broker's id where its properties hold {id}.
func forBroker(id int, props map[string]string) map[string]string {
	own := make(map[string]string, len(props))
	for key, value := range props {
		own[key] = strings.ReplaceAll(value, "{id}", strconv.Itoa(id))
	}
	return own
}

// Fleet is several brokers in this process, with the ids 1, 2 and so on.
type Fleet struct {
	Nodes []*Node
}

// StartFleet runs size brokers with the given properties over sensible ones for a test, and stops them when it ends. {id} in
// a value is the broker's id, and an empty value leaves a property out.
func StartFleet(t testing.TB, zookeeper string, size int, props map[string]string) *Fleet {
	t.Helper()
	f := &Fleet{}
	var ready []<-chan *broker.Broker
	for id := 1; id <= size; id++ {
		n := &Node{t: t, props: defaults(t, zookeeper, fleetDefaults(id, props))}
		t.Cleanup(n.Stop)
		f.Nodes = append(f.Nodes, n)
		ready = append(ready, n.launch())
	}
	for i, n := range f.Nodes {
		n.await(ready[i])
	}
	return f
}

// Node returns the broker of an id.
func (f *Fleet) Node(id int) *Node { return f.Nodes[id-1] }

// Addrs are where clients connect.
func (f *Fleet) Addrs() []string {
	var addrs []string
	for _, n := range f.Nodes {
		addrs = append(addrs, n.Addr())
	}
	return addrs
}

// brokerOf reads off the first request of an inter-broker connection which broker sends it. Fetchers call themselves
// broker-1-fetcher-0, and all else is sent in the name of the bare id.
func brokerOf(r *bufio.Reader) string {
	const sizeKeyVersionCorrelation, clientIDLength = 4 + 2 + 2 + 4, 2
	head, err := r.Peek(sizeKeyVersionCorrelation + clientIDLength)
	if err != nil {
		return ""
	}
	n := int(int16(binary.BigEndian.Uint16(head[sizeKeyVersionCorrelation:])))
	if n < 0 {
		return ""
	}
	all, err := r.Peek(len(head) + n)
	if err != nil {
		return ""
	}
	name := strings.TrimPrefix(string(all[len(head):]), "broker-")
	name, _, _ = strings.Cut(name, "-fetcher-")
	return name
}

// sourceName is what brokerOf returns for a broker.
func sourceName(id int) string { return fmt.Sprint(id) }
