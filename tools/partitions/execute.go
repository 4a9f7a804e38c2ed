package partitions

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

const existingReassignment = "Cannot execute because there is an existing partition assignment.  Use --additional to override this and " +
	"create a new partition assignment in addition to the existing one. The --additional flag can also be used to change the throttle " +
	"by resubmitting the current reassignment."

func (t *tool) execute() error {
	p, err := readPlan(t.String(planFile))
	if err != nil {
		return err
	}
	if err := p.check(); err != nil {
		return err
	}
	moving, err := t.reassignments(nil)
	if err != nil {
		return err
	}
	if len(moving) > 0 && !t.Bool("additional") {
		return &terse{existingReassignment}
	}
	if err := t.checkBrokers(p.brokers()); err != nil {
		return err
	}
	current, err := t.currentReplicas(p)
	if err != nil {
		return err
	}
	t.print("Current partition replica assignment\n\n%s\n\nSave this to use as the --reassignment-json-file option during rollback\n", formatPlan(current))
	if t.Bool(keepFactor) {
		if err := checkFactors(p, current, moving); err != nil {
			return err
		}
	}
	defer t.interruptible()()
	return t.start(p, flows(moving, p.targets(), current))
}

// start sets the throttles, submits the plan, and begins moves between log directories.
func (t *tool) start(p plan, flows map[meta.TopicPartition]flow) error {
	replication, dirs, err := t.throttle(p, flows)
	if err != nil {
		return err
	}
	if err := t.Context.Context.Err(); err != nil {
		t.putBack(replication, dirs)
		return err
	}
	targets := p.targets()
	s := t.submit(targets)
	if len(s.failures) > 0 {
		if s.refused {
			t.putBack(replication, dirs)
		} else if len(replication)+len(dirs) > 0 {
			t.warn("Some partitions may be moving: the throttles stay until --verify removes them.")
		}
		return &terse{"Error reassigning partition(s):\n" + s.lines()}
	}
	t.print("Successfully started partition reassignment%s for %s\n", plural(len(targets)), joined(p.partitions(), ","))
	if len(p.dirs) == 0 {
		return nil
	}
	begun, err := t.startMoves(p.dirs)
	if err != nil && begun == 0 {
		t.putBack(dirs)
	}
	return err
}

// throttle sets what --throttle and --replica-alter-log-dirs-throttle ask for, and returns what was configured before.
// When it fails that is configured again.
func (t *tool) throttle(p plan, flows map[meta.TopicPartition]flow) (replication, dirs settings, err error) {
	rate, dirRate := t.Int64("throttle"), t.Int64("replica-alter-log-dirs-throttle")
	if rate < 0 && dirRate < 0 {
		return nil, nil, nil
	}
	t.print("Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed.\n")
	if rate >= 0 {
		if replication, err = t.impose(replicationThrottle(flows, rate)); err != nil {
			return nil, nil, err
		}
		t.print("The inter-broker throttle limit was set to %d B/s\n", rate)
	}
	if dirRate >= 0 {
		if dirs, err = t.impose(logDirThrottle(p.dirs, dirRate)); err != nil {
			t.putBack(replication)
			return nil, nil, err
		}
		t.print("The replica-alter-dir throttle limit was set to %d B/s\n", dirRate)
	}
	return replication, dirs, nil
}

// impose configures s and returns what was configured before, which is configured again when it fails.
func (t *tool) impose(s settings) (before settings, err error) {
	if before, err = t.former(s); err != nil {
		return nil, err
	}
	if err = t.configure(s); err != nil {
		t.putBack(before)
		return nil, err
	}
	return before, nil
}

// putBack configures what was configured before, also when the tool has been told to stop.
func (t *tool) putBack(before ...settings) {
	interrupted := t.Context.Context
	t.Context.Context = context.WithoutCancel(interrupted)
	defer func() { t.Context.Context = interrupted }()
	for _, s := range before {
		if len(s) == 0 {
			continue
		}
		if err := t.configure(s); err != nil {
			t.warn("The throttles could not be removed: %s. Use --verify to remove them.", err)
			continue
		}
		t.warn("Nothing moves because of this command, so its throttles are removed again.")
	}
}

func (t *tool) checkBrokers(wanted []int32) error {
	_, live, err := t.cluster.Describe(t.Context.Context, "listNodes")
	if err != nil {
		return client.Execution(err)
	}
	if gone := without(wanted, live); len(gone) > 0 {
		return commandFailed("Unknown broker id %d", gone[0])
	}
	return nil
}

// checkFactors refuses to change how many replicas a partition has. Controllers before Kafka 4.1, ours among them, know no
// such condition (KIP-860), so the tool looks itself before it has done anything.
func checkFactors(p plan, current map[meta.TopicPartition][]int32, moving map[meta.TopicPartition]running) error {
	s := submission{failures: map[meta.TopicPartition]error{}}
	for tp, target := range p.targets() {
		now := current[tp]
		if r, ok := moving[tp]; ok {
			now = without(r.replicas, r.removing)
		}
		if len(target) != len(now) {
			s.failures[tp] = fmt.Errorf("The replication factor is changed from %d to %d", len(now), len(target))
		}
	}
	if len(s.failures) > 0 {
		return &terse{"Error reassigning partition(s):\n" + s.lines()}
	}
	return nil
}

// startMoves has replicas move to log directories and returns how many began to. A replica that is not on its broker yet
// cannot, so it asks again until --timeout is over.
func (t *tool) startMoves(dirs map[replica]string) (begun int, err error) {
	pending := maps.Clone(dirs)
	patience := newPatience(t.Int64("timeout"))
	for {
		started, err := t.alterLogDirs(pending)
		begun += len(started)
		if err != nil {
			return begun, err
		}
		slices.SortFunc(started, compareReplicas)
		for _, r := range started {
			t.print("Successfully started moving log directory to %s for replica %s with broker %d \n", pending[r], r.TopicPartition, r.broker)
			delete(pending, r)
		}
		if len(pending) == 0 {
			return begun, nil
		}
		if patience.over() {
			left := slices.SortedFunc(maps.Keys(pending), compareReplicas)
			return begun, &terse{fmt.Sprintf("Timed out before log directory move%s could be started for: %s", plural(len(left)), joined(left, ","))}
		}
		if err := patience.wait(t.Context.Context); err != nil {
			return begun, err
		}
	}
}
