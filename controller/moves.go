package controller

import (
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Moving replicas (KIP-455; Kafka's onPartitionReassignment). With ORS the original and TRS the target replicas, the
// assignment during the move is RS = TRS followed by the rest of ORS, AR = RS - ORS (adding), RR = RS - TRS (removing).
//
//	U  write RS, AR, RR; take up memory; stop what a replaced move had added in vain
//	A  as long as TRS is not within the ISR: raise the leader epoch, tell ORS and, as new replicas, AR
//	B  once it is: AR Online; RS = TRS in memory; a leader in TRS; RR out of the ISR and deleted; write RS = TRS
//
// The topic znode holds the move until the end of B, so the next controller can do B again.

// reassignTo returns the assignment that moves a partition to other replicas. A second move keeps the origin of the first.
func reassignTo(a meta.Assignment, target []meta.BrokerID) meta.Assignment {
	origin := a.Origin()
	replicas := append(slices.Clone(target), without(origin, target)...)
	return meta.Assignment{
		Replicas: replicas,
		Adding:   without(replicas, origin),
		Removing: without(replicas, target),
	}
}

func sameAssignment(a, b meta.Assignment) bool {
	return slices.Equal(a.Replicas, b.Replicas) && slices.Equal(a.Adding, b.Adding) && slices.Equal(a.Removing, b.Removing)
}

// targetInSync reports whether a move can be completed: the whole target is in the ISR (which may be larger), and one of
// it can lead. Kafka does without the latter and may take the only live leader away.
func (t *term) targetInSync(p *partition) bool {
	if !p.assignment.Reassigning() {
		return true
	}
	target := p.assignment.Target()
	return p.known && containsAll(p.info.ISR, target) &&
		slices.ContainsFunc(target, func(id meta.BrokerID) bool { return t.state.online(p, id) })
}

// reassign drives moves as far as they go now, all of them together. It returns those that could not be started.
func (t *term) reassign(moves map[*partition]meta.Assignment) (failed map[*partition]error, err error) {
	if len(moves) == 0 {
		return nil, nil
	}
	var ps []*partition
	for _, group := range byTopic(moves) {
		ps = append(ps, group...)
	}
	failed, err = t.takeUpMoves(ps, moves)
	if err != nil {
		return failed, err
	}
	// A partition that never had a leader has no data to move: it may begin its life on the target.
	var fresh, incomplete, complete []*partition
	for _, p := range ps {
		if failed[p] == nil && p.state == partitionNew {
			fresh = append(fresh, p)
		}
	}
	if err := t.moveReplicas(replicasOf(fresh, func(p *partition, id meta.BrokerID) bool { return p.replicaState(id).may(replicaNew) }), replicaNew); err != nil {
		return failed, err
	}
	if _, err := t.bringOnline(fresh, electOffline, false); err != nil {
		return failed, err
	}
	for _, p := range ps {
		switch {
		case failed[p] != nil:
		case t.targetInSync(p):
			complete = append(complete, p)
		default:
			incomplete = append(incomplete, p)
		}
	}
	if err := t.beginMoves(incomplete); err != nil {
		return failed, err
	}
	return failed, t.endMoves(complete)
}

// takeUpMoves is step U.
func (t *term) takeUpMoves(ps []*partition, moves map[*partition]meta.Assignment) (failed map[*partition]error, err error) {
	failed = make(map[*partition]error)
	if err := t.takeUpGrowth(ps, moves); err != nil {
		return failed, err
	}
	var topics []*topic
	before := make(map[*partition]meta.Assignment)
	for _, p := range ps {
		if t.state.topics[p.topic.name] != p.topic {
			failed[p] = errReplaced
			continue
		}
		if sameAssignment(p.assignment, moves[p]) {
			t.state.reassigning[p] = struct{}{}
			continue
		}
		before[p] = p.assignment
		p.assignment = moves[p]
		if n := len(topics); n == 0 || topics[n-1] != p.topic {
			topics = append(topics, p.topic)
		}
	}
	errs := t.writeAssignments(topics)
	for i, of := range topics {
		if errs[i] == nil {
			continue
		}
		for p, was := range before {
			if p.topic == of {
				p.assignment = was
				failed[p] = errs[i]
				delete(before, p)
			}
		}
		t.log.Error("cannot write an assignment", zap.String("topic", of.name), zap.Error(errs[i]))
		if t.fatal(errs[i]) {
			return failed, errs[i]
		}
	}
	var unneeded []partitionReplica
	for _, p := range ps {
		was, changed := before[p]
		if !changed {
			continue
		}
		t.log.Info("reassigning partition", zap.String("topic", p.topic.name), zap.Int32("partition", p.id),
			zap.Any("replicas", p.assignment.Replicas), zap.Any("adding", p.assignment.Adding), zap.Any("removing", p.assignment.Removing))
		t.state.reassigning[p] = struct{}{}
		for _, id := range without(was.Replicas, p.assignment.Replicas) {
			unneeded = append(unneeded, partitionReplica{p, id})
		}
	}
	// A replica that is needed no more may lead by now. Kafka leaves the partition without a leader then.
	var leaderless []*partition
	for _, r := range unneeded {
		if r.known && r.info.Leader == r.broker {
			leaderless = append(leaderless, r.partition)
		}
	}
	if _, err := t.bringOnline(leaderless, electOffline, false); err != nil {
		return failed, err
	}
	return failed, t.discard(unneeded)
}

// errReplaced says that a topic was removed, or replaced by another of its name, behind the controller's back.
var errReplaced = errors.New("the topic is no longer the same")

// takeUpGrowth looks for new partitions of topics that are about to be rewritten: what the controller has not heard of yet,
// its write would undo. (Kafka has this race.)
func (t *term) takeUpGrowth(ps []*partition, moves map[*partition]meta.Assignment) error {
	var names []string
	for _, p := range ps {
		if n := len(names); !sameAssignment(p.assignment, moves[p]) && (n == 0 || names[n-1] != p.topic.name) {
			names = append(names, p.topic.name)
		}
	}
	return (&topicNodesChanged{topics: names}).handle(t)
}

// beginMoves is step A: tell the old replicas of the plan and let the new ones start to follow.
func (t *term) beginMoves(ps []*partition) error {
	if err := t.bumpAndTell(ps); err != nil {
		return err
	}
	// A repetition, after a broker came back, finds them New or Online.
	return t.moveReplicas(replicasOf(ps, func(p *partition, id meta.BrokerID) bool {
		return slices.Contains(p.assignment.Adding, id) && p.replicaState(id).may(replicaNew)
	}), replicaNew)
}

// bumpAndTell raises the leader epoch, so that replicas take notice, and tells origin and new replicas of the assignment.
func (t *term) bumpAndTell(ps []*partition) error {
	if len(ps) == 0 {
		return nil
	}
	changed, failed, err := t.update(ps, func(ps []*partition, now func(*partition) meta.LeaderAndISR) ([]verdict, error) {
		verdicts := make([]verdict, len(ps))
		for i, p := range ps {
			verdicts[i].next = now(p)
			verdicts[i].next.LeaderEpoch++
		}
		return verdicts, nil
	})
	b := newBatch()
	for _, p := range changed {
		b.tellLeadership(t.state, p.assignment.Origin(), p, false)
		b.tellLeadership(t.state, p.assignment.Adding, p, true)
	}
	t.send(b)
	for p, cause := range failed {
		if !errors.Is(cause, errNoState) { // never led: nothing to tell yet
			t.log.Error("cannot raise the leader epoch", zap.String("topic", p.topic.name), zap.Int32("partition", p.id), zap.Error(cause))
		}
	}
	return err
}

// endMoves is step B.
func (t *term) endMoves(ps []*partition) error {
	if len(ps) == 0 {
		return nil
	}
	added := replicasOf(ps, func(p *partition, id meta.BrokerID) bool { return slices.Contains(p.assignment.Adding, id) })
	if err := t.moveReplicas(added, replicaOnline); err != nil {
		return err
	}
	before := make(map[*partition]meta.Assignment, len(ps))
	var stay, move []*partition
	for _, p := range ps {
		before[p] = p.assignment
		p.assignment = meta.Assignment{Replicas: p.assignment.Target()}
		if p.known && slices.Contains(p.assignment.Replicas, p.info.Leader) && t.state.online(p, p.info.Leader) {
			stay = append(stay, p)
		} else if p.known {
			move = append(move, p)
		}
	}
	if err := t.bumpAndTell(stay); err != nil {
		return err
	}
	outcome, err := t.bringOnline(move, electForReassign, false)
	if err != nil {
		return err
	}
	// A leader that nobody replaced must not be taken away: such a move goes on as if its target were not in sync.
	ps = slices.DeleteFunc(slices.Clone(ps), func(p *partition) bool {
		if outcome[p] != nil && before[p].Reassigning() {
			p.assignment = before[p]
			return true
		}
		return false
	})
	var removed []partitionReplica
	for _, p := range ps {
		for _, id := range before[p].Removing {
			removed = append(removed, partitionReplica{p, id})
		}
	}
	if err := t.discard(removed); err != nil {
		return err
	}
	return t.writeEnd(ps)
}

// writeEnd makes the end of moves known, to ZooKeeper last of all: until then another controller would end them again.
func (t *term) writeEnd(ps []*partition) error {
	var topics []*topic
	for _, p := range ps {
		if n := len(topics); n == 0 || topics[n-1] != p.topic {
			topics = append(topics, p.topic)
		}
	}
	for i, err := range t.writeAssignments(topics) {
		if err != nil {
			return fmt.Errorf("write the finished reassignment of %s: %w", topics[i].name, err)
		}
	}
	b := newBatch()
	done := make(map[meta.TopicPartition][]meta.BrokerID, len(ps))
	for _, p := range ps {
		t.log.Info("reassigned partition", zap.String("topic", p.topic.name), zap.Int32("partition", p.id), zap.Any("replicas", p.assignment.Replicas))
		delete(t.state.reassigning, p)
		done[p.tp()] = p.assignment.Replicas
		b.tellEveryone(t.state, p)
	}
	err := t.unlistReassignments(func(r zkstore.Reassignment) bool {
		replicas, is := done[r.TopicPartition]
		return is && slices.Equal(replicas, r.Replicas)
	})
	if err != nil {
		return err
	}
	t.send(b)
	return nil
}

// discard gets rid of replicas: out of the ISR, stopped, deleted, forgotten. Nobody waits for the answers; what a broker
// fails to delete, it is left with.
func (t *term) discard(rs []partitionReplica) error {
	for _, to := range []replicaState{replicaOffline, replicaDeletionStarted, replicaDeletionSuccessful, replicaNonExistent} {
		if err := t.moveReplicas(rs, to); err != nil {
			return err
		}
	}
	return nil
}
