//go:build interop

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/tools/testkit"
	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// fleetProperties are those of three brokers of either program.
const fleetProperties = `default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
auto.leader.rebalance.enable=false
replica.lag.time.max.ms=3000
controlled.shutdown.retry.backoff.ms=500
`

// patience is how long anything may take. Machines that run tests are busy, and JVMs are slow to start.
const patience = 2 * time.Minute

// cluster is three places with programs in them, and its memory.
type cluster struct {
	t       *testing.T
	jars    string
	members []*member // with the ids 1, 2, 3
	znodes  *brokertest.Znodes
	admin   *kadm.Client
	load    *load
}

// startCluster starts a program in each place, and the load.
func startCluster(t *testing.T, programs ...string) *cluster {
	t.Helper()
	if os.Getenv("KRAAL_MIXED") == "" {
		t.Skip("KRAAL_MIXED is not set; see make mixed")
	}
	zk := zktest.Start(t).Addr()
	c := &cluster{t: t, jars: filepath.Join(os.Getenv("KRAAL_INTEROP_TOOLS"), "kafka-3.9.1"), znodes: brokertest.OpenZnodes(t, zk)}
	var seeds []string
	for i, program := range programs {
		m := newMember(t, zk, c.jars, meta.BrokerID(i+1), fleetProperties)
		m.launch(program)
		c.members = append(c.members, m)
		seeds = append(seeds, m.addr)
	}
	for _, m := range c.members {
		m.await()
	}
	c.load = newLoad(t, seeds)
	client := c.load.client()
	t.Cleanup(client.Close)
	c.admin = kadm.NewClient(client)
	for _, m := range c.members {
		m.await(loadTopic)
	}
	c.eventually("every leader has taken up its partitions", func() bool {
		ends, err := c.admin.ListEndOffsets(t.Context(), loadTopic)
		return err == nil && ends.Error() == nil && len(ends[loadTopic]) == loadPartitions
	})
	c.load.start()
	c.load.awaitProgress("at first")
	return c
}

func (c *cluster) eventually(what string, ok func() bool) {
	c.t.Helper()
	testkit.Eventually(c.t, patience, what, ok)
}

// states calls look with the state of every partition of a topic until it is satisfied with each.
func (c *cluster) awaitStates(what, topic string, partitions int, ok func(s brokertest.PartitionState) bool) {
	c.t.Helper()
	c.eventually(what, func() bool {
		for p := range partitions {
			if s, exists := c.znodes.State(topic, p); !exists || !ok(s) {
				return false
			}
		}
		return true
	})
}

func whole(s brokertest.PartitionState) bool { return s.Leader > 0 && len(s.ISR) == 3 }

// elect has a broker become the controller, by taking it from whoever else is.
func (c *cluster) elect(id int) {
	c.t.Helper()
	c.eventually(fmt.Sprintf("broker %d is the controller", id), func() bool {
		now, elected := c.znodes.Controller()
		if elected && now != id {
			c.znodes.Delete("/controller")
		}
		return now == id
	})
}

// TestMixedFleet has two kraal brokers and one of Apache Kafka 3.9.1 serve one cluster, with each in turn as the controller, and each
// leading and following. Whatever a controller does has to go through, with producers and consumers at work all the time.
func TestMixedFleet(t *testing.T) {
	c := startCluster(t, "kraal", "apache", "kraal")
	for _, id := range []int{2, 1, 3} {
		t.Logf("%s: broker %d (%s) is to be the controller", time.Now().Format(time.TimeOnly), id, c.members[id-1].name)
		c.elect(id)
		c.work(id)
	}
	c.end()
}

// work goes through all that a controller does.
func (c *cluster) work(controller int) {
	c.t.Helper()
	topic := fmt.Sprint("work-", controller)
	c.createAndMove(topic)
	for _, m := range c.members {
		if int(m.id) != controller {
			c.comeBack(m, m.name)
		}
	}
	if now, _ := c.znodes.Controller(); now != controller {
		c.t.Errorf("broker %d is the controller instead of %d", now, controller)
	}
	c.electPreferred()
	c.shrink(controller)
	c.delete(topic)
	c.load.awaitProgress(fmt.Sprintf("with broker %d as the controller", controller))
}

// createAndMove makes a topic on two brokers and moves it to two others, partition by partition.
func (c *cluster) createAndMove(topic string) {
	c.t.Helper()
	const partitions = 6
	if _, err := c.admin.CreateTopic(c.t.Context(), partitions, 2, nil, topic); err != nil {
		c.t.Fatal(err)
	}
	c.awaitStates(topic+" is led", topic, partitions, func(s brokertest.PartitionState) bool { return s.Leader > 0 && len(s.ISR) == 2 })
	var moves kadm.AlterPartitionAssignmentsReq
	wanted, left := map[int][]int{}, map[int]*member{}
	for p := range partitions {
		s, _ := c.znodes.State(topic, p)
		third := 6 - s.ISR[0] - s.ISR[1]
		wanted[p], left[p] = []int{third, s.ISR[1]}, c.members[s.ISR[0]-1]
		moves.Assign(topic, int32(p), []int32{int32(third), int32(s.ISR[1])})
	}
	answers, err := c.admin.AlterPartitionAssignments(c.t.Context(), moves)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		c.t.Fatalf("move %s: %v", topic, err)
	}
	c.eventually(topic+" has moved", func() bool {
		for p, want := range wanted {
			s, _ := c.znodes.State(topic, p)
			isr := slices.Clone(s.ISR)
			slices.Sort(isr)
			slices.Sort(want)
			if !slices.Equal(isr, want) || !slices.Contains(want, s.Leader) {
				return false
			}
		}
		return !c.znodes.Exists("/admin/reassign_partitions")
	})
	// Apache's broker keeps for ever what it was told to delete while it was away.
	for p, m := range left {
		c.awaitAside(m, fmt.Sprintf("%s-%d", topic, p))
	}
}

// comeBack stops a broker in order, which has to leave no partition to it, and starts a program in its place.
func (c *cluster) comeBack(m *member, program string) {
	c.t.Helper()
	c.awaitStates("every replica is in sync", loadTopic, loadPartitions, whole)
	m.stop()
	for p := range loadPartitions {
		if s, _ := c.znodes.State(loadTopic, p); s.Leader == int(m.id) || s.Leader < 0 || slices.Contains(s.ISR, int(m.id)) {
			c.t.Errorf("broker %d (%s) has stopped, and partition %d is led by %d with the ISR %v", m.id, m.name, p, s.Leader, s.ISR)
		}
	}
	c.load.awaitProgress(fmt.Sprintf("without broker %d", m.id))
	m.start(program, loadTopic)
	c.awaitStates("every replica is in sync again", loadTopic, loadPartitions, whole)
}

// electPreferred gives every partition back to its first replica.
func (c *cluster) electPreferred() {
	c.t.Helper()
	answers, err := c.admin.ElectLeaders(c.t.Context(), kadm.ElectPreferredReplica, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	for topic, partitions := range answers {
		for p, a := range partitions {
			if a.Err != nil && !strings.Contains(a.Err.Error(), "ELECTION_NOT_NEEDED") {
				c.t.Errorf("preferred election of %s-%d: %v", topic, p, a.Err)
			}
		}
	}
	c.eventually("every broker leads its share", func() bool {
		led := map[int]int{}
		for p := range loadPartitions {
			s, _ := c.znodes.State(loadTopic, p)
			led[s.Leader]++
		}
		return led[1] == led[2] && led[2] == led[3]
	})
}

// shrink pauses a broker that is not the controller until the leaders have shrunk the ISR, and no longer than its session lasts.
func (c *cluster) shrink(controller int) {
	c.t.Helper()
	for _, m := range c.members {
		if int(m.id) == controller {
			continue
		}
		m.pause()
		c.awaitStates(fmt.Sprintf("broker %d is out of every ISR", m.id), loadTopic, loadPartitions, func(s brokertest.PartitionState) bool {
			return !slices.Contains(s.ISR, int(m.id))
		})
		m.resume()
		c.awaitStates(fmt.Sprintf("broker %d is in every ISR again", m.id), loadTopic, loadPartitions, whole)
	}
}

// delete removes a topic, of which nothing may stay: no znode, no directory.
func (c *cluster) delete(topic string) {
	c.t.Helper()
	if _, err := c.admin.DeleteTopic(c.t.Context(), topic); err != nil {
		c.t.Fatal(err)
	}
	c.eventually(topic+" is gone", func() bool {
		return !c.znodes.Exists("/brokers/topics/"+topic) && !c.znodes.Exists("/admin/delete_topics/"+topic)
	})
	for _, m := range c.members {
		c.awaitAside(m, topic+"-*")
	}
}

// awaitAside waits until a broker has set directories aside to be deleted.
func (c *cluster) awaitAside(m *member, pattern string) {
	c.t.Helper()
	var left []string
	defer func() {
		if len(left) > 0 {
			c.t.Logf("left: %v", left)
		}
	}()
	c.eventually(fmt.Sprintf("broker %d has set %s aside", m.id, pattern), func() bool {
		left, _ = filepath.Glob(filepath.Join(m.data(), pattern))
		left = slices.DeleteFunc(left, func(dir string) bool { return strings.HasSuffix(dir, "-delete") })
		return len(left) == 0
	})
}

// end stops the load, checks its history, and has Apache's own tool look at what every broker has on disk.
func (c *cluster) end() {
	c.t.Helper()
	c.load.finish()
	for _, m := range c.members {
		m.stop()
		c.t.Logf("broker %d (%s): %d batches valid", m.id, m.name, dump(c.t, c.jars, m.data(), loadTopic+"-*/*.log", loadTopic+"-*/*.index"))
	}
}

// TestRollingSwap turns a cluster of Apache Kafka 3.9.1 into one of kraal, one broker at a time on the same broker.id and log.dirs,
// and back, with producers and consumers at work all the time.
func TestRollingSwap(t *testing.T) {
	c := startCluster(t, "apache", "apache", "apache")
	for _, program := range []string{"kraal", "apache"} {
		for _, m := range c.members {
			c.comeBack(m, program)
			t.Logf("%s: broker %d is %s", time.Now().Format(time.TimeOnly), m.id, program)
		}
		c.electPreferred()
		c.load.awaitProgress("with " + program + " everywhere")
	}
	c.end()
}
