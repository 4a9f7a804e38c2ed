package controller

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

var chaosSeed = flag.Uint64("chaos.seed", 0, "play only the life of this seed")

// TestChaos lives random lives: brokers come, go, bounce, lose directories and cannot be reached; topics are created, grown,
// moved and deleted; ZooKeeper changes behind the controller's back and refuses calls; controllers come and go. After
// every step what must never break is checked, and in the end, with all brokers alive, everything has to come to rest.
func TestChaos(t *testing.T) {
	if *chaosSeed != 0 {
		newChaos(t, *chaosSeed).live(true)
		return
	}
	for seed := range uint64(300) {
		newChaos(t, seed+1).live(false)
		if t.Failed() {
			t.Fatalf("seed %d: go test -run TestChaos -chaos.seed %d", seed+1, seed+1)
		}
	}
}

type chaos struct {
	*stage
	t      *testing.T
	r      *rand.Rand
	epochs map[meta.TopicPartition]meta.LeaderEpoch // highest seen
	topics int
}

const chaosBrokers = 5

func newChaos(t *testing.T, seed uint64) *chaos {
	return &chaos{stage: newStage(), t: t, r: rand.New(rand.NewPCG(seed, 0)), epochs: map[meta.TopicPartition]meta.LeaderEpoch{}}
}

func (c *chaos) live(verbose bool) {
	c.play("up 1 2 3 4 5")
	c.play("campaign")
	c.play("quiet")
	for range 60 {
		c.do(c.pick(), verbose)
	}
	c.rest(verbose)
}

// do plays a command and checks.
func (c *chaos) do(command string, verbose bool) {
	c.t.Helper()
	c.l.restUntil = time.Time{} // there is no clock here
	out := c.play(command)
	if verbose {
		c.t.Logf("%s\n%s", command, out)
	}
	c.check(command)
}

// pick draws the next command.
func (c *chaos) pick() string {
	broker := func() int { return 1 + c.r.IntN(chaosBrokers) }
	tp := func() string {
		tps := c.partitions()
		if len(tps) == 0 {
			return "none-0"
		}
		return tps[c.r.IntN(len(tps))].String()
	}
	replicas := func() string {
		all := c.r.Perm(chaosBrokers)
		var some []string
		for _, i := range all[:1+c.r.IntN(3)] {
			some = append(some, fmt.Sprint(i+1))
		}
		return strings.Join(some, ",")
	}
	switch c.r.IntN(24) {
	case 0, 1, 2:
		c.topics++
		return fmt.Sprintf("topic t%d 0:%s 1:%s", c.topics, replicas(), replicas())
	case 3:
		name, _, _ := strings.Cut(tp(), "-")
		return fmt.Sprintf("topic %s %d:%s", name, len(c.zk.topics[name].Partitions), replicas())
	case 4:
		name, _, _ := strings.Cut(tp(), "-")
		return "delete " + name
	case 5, 6:
		return fmt.Sprintf("up %d", broker())
	case 7, 8:
		return fmt.Sprintf("down %d", broker())
	case 9:
		return fmt.Sprintf("shutdown %d", broker())
	case 10:
		return fmt.Sprintf("hold %d", broker())
	case 11:
		return fmt.Sprintf("release %d", broker())
	case 12, 13:
		return fmt.Sprintf("move %s=%s %s=%s", tp(), replicas(), tp(), replicas())
	case 14:
		return fmt.Sprintf("move %s=cancel", tp())
	case 15:
		return fmt.Sprintf("zkmove %s=%s", tp(), replicas())
	case 16, 17, 18:
		return c.expandOne()
	case 19:
		return "elect " + []string{"preferred", "unclean"}[c.r.IntN(2)] + " " + tp()
	case 20:
		return fmt.Sprintf("storage %d %s", broker(), tp())
	case 21:
		return fmt.Sprintf("logdir %d", broker())
	case 22:
		return "fail " + []string{"SetTopic", "UpdatePartitionStates", "CreatePartitionStates", "PartitionStates", "Topics", "TopicNames", "Brokers", "Configs", "DeleteTopic", "Reassignments", "Elect"}[c.r.IntN(11)]
	default:
		return []string{"usurp 9", "abdicate", "abdicate", "expire", "campaign", "restart", "stopcode 3 1", "stopcode 3 0"}[c.r.IntN(8)]
	}
}

func (c *chaos) partitions() []meta.TopicPartition {
	var tps []meta.TopicPartition
	for name, a := range c.zk.topics {
		for id := range a.Partitions {
			tps = append(tps, meta.TopicPartition{Topic: name, Partition: id})
		}
	}
	slices.SortFunc(tps, meta.TopicPartition.Compare)
	return tps
}

// expandOne lets some leader take everybody alive into its ISR.
func (c *chaos) expandOne() string {
	for _, i := range c.r.Perm(len(c.partitions())) {
		if command := c.expansion(c.partitions()[i]); command != "" {
			return command
		}
	}
	return "state"
}

// expansion is the command that takes everybody alive into the ISR of a partition; empty if there is nothing to do.
func (c *chaos) expansion(tp meta.TopicPartition) string {
	state, ok := c.zk.states[tp]
	if _, alive := c.zk.brokers[state.Leader]; !ok || !alive {
		return ""
	}
	isr := slices.Clone(state.ISR)
	for _, id := range c.zk.topics[tp.Topic].Partitions[tp.Partition].Replicas {
		if _, alive := c.zk.brokers[id]; alive && !slices.Contains(isr, id) && !c.storage[id][tp.String()] {
			isr = append(isr, id)
		}
	}
	if len(isr) == len(state.ISR) && state.RecoveryState == meta.Recovered {
		return ""
	}
	return fmt.Sprintf("alter %d %s isr=%s e=%d v=%d", state.Leader, tp, idsText(isr), state.LeaderEpoch, state.PartitionEpoch)
}

// check checks what must hold at any time.
func (c *chaos) check(after string) {
	c.t.Helper()
	bad := func(tp meta.TopicPartition, format string, args ...any) {
		c.t.Errorf("after %q, %s: %s", after, tp, fmt.Sprintf(format, args...))
	}
	for tp := range c.epochs {
		if _, exists := c.zk.states[tp]; !exists {
			delete(c.epochs, tp)
		}
	}
	for tp, s := range c.zk.states {
		if s.LeaderEpoch < c.epochs[tp] {
			bad(tp, "the leader epoch went back from %d to %d", c.epochs[tp], s.LeaderEpoch)
		}
		c.epochs[tp] = s.LeaderEpoch
		if len(s.ISR) == 0 {
			bad(tp, "empty ISR")
		}
		if s.Leader != meta.NoBroker && !slices.Contains(s.ISR, s.Leader) {
			bad(tp, "leader %d is not in the ISR %v", s.Leader, s.ISR)
		}
	}
	t := c.l.term
	if t == nil || c.zk.controller != 0 || c.zk.epoch != t.epoch {
		return // deposed, and does not know yet
	}
	for p := range t.state.reassigning {
		if t.state.partition(p.tp()) != p || p.topic.queued {
			bad(p.tp(), "reassigning, but gone")
		}
	}
	for _, p := range t.state.partitions(nil) {
		s, exists := c.zk.states[p.tp()]
		if p.known != exists {
			bad(p.tp(), "state known %v, in ZooKeeper %v", p.known, exists)
		}
		s.ControllerEpoch = p.info.ControllerEpoch
		if p.known && stateText(s) != stateText(p.info) {
			bad(p.tp(), "in memory %s, in ZooKeeper %s", stateText(p.info), stateText(s))
		}
		for _, r := range p.replicas {
			if r.state != replicaNonExistent && !slices.Contains(p.assignment.Replicas, r.broker) {
				bad(p.tp(), "%s on broker %d, which it is not assigned to: %s", r.state, r.broker, assignmentText(p.assignment))
			}
		}
		if p.state == partitionOnline && (!p.known || p.info.Leader == meta.NoBroker) {
			bad(p.tp(), "Online without a leader: %s", stateText(p.info))
		}
	}
}

// rest brings all brokers back and waits for everything to be done.
func (c *chaos) rest(verbose bool) {
	c.t.Helper()
	clear(c.zk.fail)
	clear(c.storage)
	clear(c.stopCode)
	for _, command := range []string{"release 1 2 3 4 5", "expire", "usurp 9", "abdicate", "campaign", "down 1 2 3 4 5", "up 1 2 3 4 5"} {
		if command == "expire" && c.l.session == nil {
			continue
		}
		c.do(command, verbose)
	}
	for round := 0; ; round++ {
		busy := false
		for _, tp := range c.partitions() {
			if command := c.expansion(tp); command != "" {
				busy = true
				c.do(command, verbose)
			}
		}
		if !busy {
			break
		}
		if round > 20 {
			c.t.Error("never comes to rest")
			break
		}
	}
	t := c.l.term
	if t == nil {
		c.t.Fatal("no controller in the end")
	}
	if len(t.state.reassigning) > 0 || c.zk.movesExist {
		c.t.Errorf("%d reassignments are never finished, %d listed\n%s", len(t.state.reassigning), len(c.zk.moves), c.play("state"))
	}
	if len(c.zk.deletions) > 0 {
		c.t.Errorf("deletions %v are never finished\n%s", c.zk.deletions, c.play("state"))
	}
	for _, p := range t.state.partitions(nil) {
		a := c.zk.topics[p.topic.name].Partitions[p.id]
		if !sameAssignment(a, p.assignment) {
			c.t.Errorf("%s: assigned %s, in ZooKeeper %s", p.tp(), assignmentText(p.assignment), assignmentText(a))
		}
		if p.state != partitionOnline || len(p.info.ISR) != len(p.assignment.Replicas) {
			c.t.Errorf("%s %s: %s, assigned %s", p.tp(), p.state, stateText(p.info), assignmentText(p.assignment))
		}
		for _, id := range p.assignment.Replicas {
			if p.replicaState(id) != replicaOnline {
				c.t.Errorf("%s: replica on %d is %s", p.tp(), id, p.replicaState(id))
			}
		}
	}
}
