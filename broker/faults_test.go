//go:build unix

package broker_test

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/tools/testkit"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

type faultTopic struct {
	name       string
	partitions int
	replicas   int16
	minISR     string
}

// faultTopics are written to and read while the fleet suffers.
var faultTopics = []faultTopic{
	{"safe", 6, 3, "2"},
	{"alone", 3, 3, "1"}, // its leaders go on when nobody follows
	{movingTopic, 3, 2, "1"},
}

// movingTopic is the one whose replicas are moved.
const movingTopic = "moving"

// faultPartitions are the partitions of all these topics.
var faultPartitions = func() (all []testkit.HistoryPartition) {
	for _, topic := range faultTopics {
		for p := range topic.partitions {
			all = append(all, testkit.HistoryPartition{Topic: topic.name, Partition: int32(p)})
		}
	}
	return all
}()

const (
	// faultSession is the brokers' ZooKeeper session timeout.
	faultSession = 2 * time.Second
	// recovery is how long a fleet may take to accept records in every partition again once a fault is over. Machines that run
	// tests are busy; what is usual is in the summary.
	recovery = 90 * time.Second
)

// faultTopicOf returns the topic of a name, which is one of faultTopics.
func faultTopicOf(name string) (t faultTopic) {
	for _, t := range faultTopics {
		if t.name == name {
			return t
		}
	}
	return t
}

// number reads an environment variable.
func number(t *testing.T, variable string, otherwise uint64) uint64 {
	t.Helper()
	s := os.Getenv(variable)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// TestFaults lets producers, consumers and observers work with three brokers and three ZooKeeper servers to which one thing
// after another happens, at random: see faultkinds_test.go. Afterwards the history of what they did and saw is checked, and
// the three copies of every partition are compared. In the gate every kind of fault happens once; `make faults` has many more.
// KRAAL_FAULTS is their number, KRAAL_SEED what decides on them.
func TestFaults(t *testing.T) {
	t.Parallel()
	seed := number(t, "KRAAL_SEED", uint64(time.Now().UnixNano()))
	count := number(t, "KRAAL_FAULTS", uint64(len(faultKinds)))
	t.Logf("KRAAL_SEED=%d KRAAL_FAULTS=%d", seed, count)
	r := startFaultRun(t, seed)
	load := r.startLoad()
	load.awaitProgress("before the first fault")
	schedule := newFaultSchedule(r.random)
	for n := range count {
		plan := schedule.next()
		began := time.Now()
		for _, what := range r.suffer(plan) {
			t.Logf("%s fault %d: %s", began.Format(time.TimeOnly), n+1, what)
		}
		r.checkAlive()
		took := load.awaitProgress(fmt.Sprintf("after fault %d (%s)", n+1, plan))
		r.outages[plan.name()] = append(r.outages[plan.name()], took)
		t.Logf("%s every partition accepts records %v after the end of fault %d", time.Now().Format(time.TimeOnly), took.Round(time.Millisecond), n+1)
	}
	load.stopProducing()
	load.admin.settle()
	r.awaitWhole()
	load.stop()
	final, ends := r.readAll()
	t.Logf("%d records acknowledged, %d in the partitions", r.history.Acknowledged(), len(final))
	violations := r.history.Check(final, ends)
	told := map[testkit.ViolationKind]int{}
	for _, v := range violations {
		if told[v.Kind]++; told[v.Kind] <= 10 {
			t.Error(v)
		}
	}
	if len(violations) > 0 {
		t.Errorf("violations by kind: %v", told)
	}
	r.compareCopies()
	r.summary()
	if t.Failed() {
		t.Logf("to repeat this: KRAAL_SEED=%d KRAAL_FAULTS=%d", seed, count)
	}
}

// faultRun is a fleet that suffers.
type faultRun struct {
	t       *testing.T
	seed    uint64
	random  *rand.Rand
	zk      *zktest.Ensemble
	fleet   *brokertest.ProcFleet
	znodes  *brokertest.Znodes
	history *testkit.History
	outages map[string][]time.Duration // by kind: how long after a fault's end the last partition accepted records again
}

func startFaultRun(t *testing.T, seed uint64) *faultRun {
	t.Helper()
	r := &faultRun{t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 3)), history: testkit.NewHistory(), outages: map[string][]time.Duration{}}
	r.zk = zktest.StartEnsemble(t, 3)
	r.fleet = brokertest.StartProcFleet(t, r.zk.Connect(), 3, map[string]string{
		"zookeeper.session.timeout.ms": fmt.Sprint(faultSession.Milliseconds()), "replica.lag.time.max.ms": "3000",
		"controlled.shutdown.retry.backoff.ms": "200", "log.segment.bytes": "1048576", "log.segment.delete.delay.ms": "500", "kraal.stray.delete.delay.ms": "500",
		"auto.leader.rebalance.enable": "true", "leader.imbalance.check.interval.seconds": "5",
	})
	r.znodes = brokertest.OpenZnodes(t, r.zk.Connect())
	adm := kadm.NewClient(fleetClient(t, r.fleet.Addrs()))
	for _, topic := range faultTopics {
		if _, err := adm.CreateTopic(within(t), int32(topic.partitions), topic.replicas, map[string]*string{"min.insync.replicas": &topic.minISR}, topic.name); err != nil {
			t.Fatalf("create %s: %v", topic.name, err)
		}
	}
	r.awaitKnown()
	return r
}

// awaitKnown waits until all brokers have heard of the new topics: from then on none may deny them.
func (r *faultRun) awaitKnown() {
	r.t.Helper()
	for id := 1; id <= 3; id++ {
		o := newObserver(r, id)
		testkit.Eventually(r.t, recovery, fmt.Sprintf("broker %d knows the topics", id), func() bool {
			answer, err := o.metadata(r.t.Context())
			partitions := 0
			for i := 0; err == nil && i < len(answer.Topics); i++ {
				partitions += len(answer.Topics[i].Partitions)
			}
			return partitions == len(faultPartitions)
		})
		o.close()
	}
}

// checkAlive ends the test if a broker has ended by itself.
func (r *faultRun) checkAlive() {
	r.t.Helper()
	for id := 1; id <= 3; id++ {
		if !r.fleet.Proc(id).Alive() {
			r.t.Fatalf("broker %d has ended by itself", id)
		}
	}
}

// awaitWhole waits until every replica is in sync.
func (r *faultRun) awaitWhole() {
	r.t.Helper()
	testkit.Eventually(r.t, recovery, "every replica is back in the ISR", func() bool {
		for _, topic := range faultTopics {
			for p := range topic.partitions {
				if s, _ := r.znodes.State(topic.name, p); len(s.ISR) != int(topic.replicas) {
					return false
				}
			}
		}
		return true
	})
}

// compareCopies stops the brokers in good order and compares their logs of each partition, byte by byte.
func (r *faultRun) compareCopies() {
	r.t.Helper()
	for id := 1; id <= 3; id++ {
		r.fleet.Proc(id).Stop()
	}
	for _, p := range faultPartitions {
		var copies []string
		for id := 1; id <= 3; id++ {
			dir := filepath.Join(r.fleet.Proc(id).Dir(), p.String())
			if _, err := os.Stat(dir); err == nil {
				copies = append(copies, r.logDigest(dir))
			}
		}
		if len(copies) != int(faultTopicOf(p.Topic).replicas) || len(slices.Compact(slices.Clone(copies))) != 1 {
			r.t.Errorf("the copies of %s differ, or are too many: %v", p, copies)
		}
	}
}

// logDigest is the size and a hash of a partition's log, over all its segments: where these begin is each broker's own affair.
func (r *faultRun) logDigest(dir string) string {
	r.t.Helper()
	segments, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(segments) == 0 {
		r.t.Fatalf("no segments in %s: %v", dir, err)
	}
	slices.Sort(segments)
	sum, size := sha256.New(), int64(0)
	for _, name := range segments {
		f, err := os.Open(name)
		if err != nil {
			r.t.Fatal(err)
		}
		n, err := io.Copy(sum, f)
		f.Close()
		if err != nil {
			r.t.Fatal(err)
		}
		size += n
	}
	return fmt.Sprintf("%d bytes %x", size, sum.Sum(nil)[:8])
}

// summary tells how long the fleet took to recover, by kind of fault.
func (r *faultRun) summary() {
	var lines []string
	for kind, took := range r.outages {
		slices.SortFunc(took, cmp.Compare)
		lines = append(lines, fmt.Sprintf("%-45s %4d times, partitions accepted records again after: median %v, longest %v", kind, len(took),
			took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond)))
	}
	slices.Sort(lines)
	elections := int32(0)
	for _, p := range faultPartitions {
		s, _ := r.znodes.State(p.Topic, int(p.Partition))
		elections += s.LeaderEpoch
	}
	r.t.Logf("%d leaders elected in %d partitions; recovered from:\n%s", elections, len(faultPartitions), strings.Join(lines, "\n"))
}
