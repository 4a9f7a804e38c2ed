//go:build unix

package broker_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/tools/testkit"
)

// faultKind is something that happens to a fleet. begin makes it happen and says what it was; end, if there is one, is called after a
// while and makes up for it.
type faultKind struct {
	name  string
	begin func(r *faultRun, victim int) (what string, end func())
	// lasts is the shortest and the longest time from begin to end.
	lasts [2]time.Duration
	// alone: nothing else happens at the same time.
	alone bool
	// ofZooKeeper: other faults cannot end while this one lasts.
	ofZooKeeper bool
}

var faultKinds = []faultKind{
	{name: "kill -9 a broker", begin: (*faultRun).kill, lasts: [2]time.Duration{0, 2 * faultSession}},
	{name: "pause a broker beyond its session", begin: (*faultRun).pause, lasts: [2]time.Duration{faultSession + faultSession/4, 3 * faultSession}},
	{name: "kill the controller", begin: (*faultRun).killController, lasts: [2]time.Duration{0, 2 * faultSession}, alone: true},
	{name: "stop the ZooKeeper leader", begin: (*faultRun).stopZooKeeperLeader, lasts: [2]time.Duration{0, 2 * faultSession}, ofZooKeeper: true},
	{name: "expire a session", begin: (*faultRun).expire},
	{name: "cut a broker from the others", begin: (*faultRun).cutFromBrokers, lasts: [2]time.Duration{faultSession / 4, 3 * faultSession}},
	{name: "cut a broker from ZooKeeper", begin: (*faultRun).cutFromZooKeeper, lasts: [2]time.Duration{faultSession / 4, 3 * faultSession}},
	{name: "stop a broker", begin: (*faultRun).stop, lasts: [2]time.Duration{0, faultSession}},
	{name: "restart everything", begin: (*faultRun).restartEverything, alone: true},
}

// faultPlan is one or two faults that happen at the same time to different brokers.
type faultPlan []plannedFault

type plannedFault struct {
	faultKind
	victim int
	lasts  time.Duration
}

// name is the plan's kind; two at a time are one kind.
func (p faultPlan) name() string {
	if len(p) > 1 {
		return "two at a time"
	}
	return p[0].name
}

func (p faultPlan) String() string {
	names := make([]string, len(p))
	for i, f := range p {
		names[i] = f.name
	}
	return strings.Join(names, " and ")
}

// faultSchedule deals faults: every kind comes once before one comes again. From the second round on some come in pairs.
type faultSchedule struct {
	random *rand.Rand
	deck   []faultKind
	round  int
}

func newFaultSchedule(random *rand.Rand) *faultSchedule { return &faultSchedule{random: random} }

func (s *faultSchedule) next() faultPlan {
	if len(s.deck) == 0 {
		s.deck = slices.Clone(faultKinds)
		s.random.Shuffle(len(s.deck), func(i, j int) { s.deck[i], s.deck[j] = s.deck[j], s.deck[i] })
		s.round++
	}
	f := s.deck[0]
	s.deck = s.deck[1:]
	plan := faultPlan{s.plan(f, 1+s.random.IntN(3))}
	if s.round > 1 && !f.alone && s.random.IntN(3) == 0 {
		second := faultKinds[s.random.IntN(len(faultKinds))]
		if !second.alone && !(f.ofZooKeeper && second.ofZooKeeper) {
			plan = append(plan, s.plan(second, 1+(plan[0].victim+s.random.IntN(2))%3))
		}
	}
	return plan
}

func (s *faultSchedule) plan(f faultKind, victim int) plannedFault {
	lasts := f.lasts[0]
	if more := f.lasts[1] - f.lasts[0]; more > 0 {
		lasts += time.Duration(s.random.Int64N(int64(more)))
	}
	return plannedFault{f, victim, lasts}
}

// suffer lets a plan happen, and returns when it is over. ZooKeeper is brought back before brokers, which need it to start.
func (r *faultRun) suffer(plan faultPlan) (what []string) {
	r.t.Helper()
	slices.SortStableFunc(plan, func(a, b plannedFault) int {
		switch {
		case a.ofZooKeeper == b.ofZooKeeper:
			return int(a.lasts - b.lasts)
		case a.ofZooKeeper:
			return -1
		}
		return 1
	})
	began := time.Now()
	ends := make([]func(), len(plan))
	for i, f := range plan {
		var did string
		did, ends[i] = f.begin(r, f.victim)
		what = append(what, fmt.Sprintf("%s, for %v", did, f.lasts.Round(time.Millisecond)))
	}
	for i, f := range plan {
		if ends[i] != nil {
			time.Sleep(time.Until(began.Add(f.lasts))) // the random moment at which it ends
			ends[i]()
		}
	}
	return what
}

func (r *faultRun) kill(id int) (string, func()) {
	p := r.fleet.Proc(id)
	p.Kill()
	return fmt.Sprintf("broker %d killed", id), p.Start
}

func (r *faultRun) stop(id int) (string, func()) {
	p := r.fleet.Proc(id)
	p.Terminate()
	// If it has not ended when it is to start again, the second signal makes it.
	return fmt.Sprintf("broker %d told to stop", id), func() { p.Stop(); p.Start() }
}

func (r *faultRun) pause(id int) (string, func()) {
	p := r.fleet.Proc(id)
	p.Pause()
	return fmt.Sprintf("broker %d paused", id), p.Resume
}

func (r *faultRun) killController(id int) (string, func()) {
	if controller, elected := r.znodes.Controller(); elected {
		id = controller
	}
	what, end := r.kill(id)
	return what + ", the controller", end
}

func (r *faultRun) expire(id int) (string, func()) {
	var session int64
	testkit.Eventually(r.t, recovery, fmt.Sprintf("broker %d has a session", id), func() (registered bool) {
		session, registered = r.znodes.SessionOf(id)
		return registered
	})
	if err := r.zk.Servers[id-1].EndSession(session); err != nil {
		return fmt.Sprintf("the session of broker %d was gone already: %v", id, err), nil
	}
	return fmt.Sprintf("session of broker %d expired", id), nil
}

func (r *faultRun) cutFromBrokers(id int) (string, func()) {
	r.fleet.CutFromBrokers(id)
	return fmt.Sprintf("broker %d cut from the others", id), r.fleet.Heal
}

func (r *faultRun) cutFromZooKeeper(id int) (string, func()) {
	r.fleet.CutFromZooKeeper(id)
	return fmt.Sprintf("broker %d cut from ZooKeeper", id), r.fleet.Heal
}

func (r *faultRun) stopZooKeeperLeader(int) (string, func()) {
	leader := r.zk.Leader()
	how := r.random.IntN(3)
	[]func(){leader.Stop, leader.Kill, leader.Pause}[how]()
	end := leader.Start
	if how == 2 {
		end = func() { leader.Resume(); r.zk.Start() }
	}
	return "ZooKeeper's leader " + []string{"stopped", "killed", "paused"}[how], end
}

// restartEverything stops all brokers, in good order or not, perhaps ZooKeeper too, and starts all again.
func (r *faultRun) restartEverything(int) (string, func()) {
	what, stop := "all brokers stopped", (*brokertest.Proc).Stop
	if r.random.IntN(2) == 0 {
		what, stop = "all brokers killed", (*brokertest.Proc).Kill
	}
	var stopping sync.WaitGroup
	for _, p := range r.fleet.Procs {
		stopping.Go(func() { stop(p) })
	}
	stopping.Wait()
	if r.random.IntN(2) == 0 {
		what += ", and ZooKeeper"
		for _, s := range r.zk.Servers {
			s.Stop()
		}
		r.zk.Start()
	}
	r.fleet.Start()
	return what, nil
}
