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

// handle starts, replaces and cancels moves that a client asked for.
func (e *alterReassignments) handle(t *term) error {
	errs := make([]error, len(e.reassignments))
	moves := make(map[*partition]meta.Assignment)
	for i, r := range e.reassignments {
		p := t.state.partition(r.TopicPartition)
		a, err := t.planMove(p, r.Replicas)
		if errs[i] = err; err == nil {
			moves[p] = a
		}
	}
	// The latest request wins, so these are no longer the business of /admin/reassign_partitions.
	if len(moves) > 0 {
		err := t.unlistReassignments(func(r zkstore.Reassignment) bool {
			_, taken := moves[t.state.partition(r.TopicPartition)]
			return taken
		})
		if err != nil {
			return err
		}
	}
	failed, err := t.reassign(moves)
	if err != nil {
		return err
	}
	for i, r := range e.reassignments {
		if cause := failed[t.state.partition(r.TopicPartition)]; errs[i] == nil && cause != nil {
			errs[i] = fmt.Errorf("%w: %w", ErrServer, cause)
		}
	}
	e.answer.give(errs)
	return nil
}

// planMove checks a client's wish. Nil replicas cancel, that is, move back to the origin. p is nil if unknown.
func (t *term) planMove(p *partition, target []meta.BrokerID) (meta.Assignment, error) {
	var now meta.Assignment
	if p != nil {
		now = p.assignment
	}
	if target == nil {
		if !now.Reassigning() || p.topic.queued {
			return meta.Assignment{}, ErrNoReassignmentInProgress
		}
		return reassignTo(now, now.Origin()), nil
	}
	if len(target) == 0 {
		return meta.Assignment{}, fmt.Errorf("%w: no replicas", ErrInvalidReplicaAssignment)
	}
	for i, id := range target {
		if id < 0 || slices.Contains(target[:i], id) {
			return meta.Assignment{}, fmt.Errorf("%w: %v has negative or repeated brokers", ErrInvalidReplicaAssignment, target)
		}
	}
	next := reassignTo(now, target)
	for _, id := range next.Adding {
		if !t.state.live(id) {
			return meta.Assignment{}, fmt.Errorf("%w: broker %d is not alive", ErrInvalidReplicaAssignment, id)
		}
	}
	if p == nil || p.topic.queued {
		return meta.Assignment{}, ErrUnknownTopicOrPartition
	}
	return next, nil
}

func (e *listReassignments) handle(t *term) error {
	running := make(map[meta.TopicPartition]meta.Assignment)
	if e.partitions == nil {
		for p := range t.state.reassigning {
			running[p.tp()] = p.assignment
		}
	}
	for _, tp := range e.partitions {
		p := t.state.partition(tp)
		if _, moving := t.state.reassigning[p]; moving {
			running[tp] = p.assignment
		}
	}
	for tp, a := range running {
		if !a.Reassigning() {
			delete(running, tp)
		}
	}
	e.answer.give(running)
	return nil
}

// handle starts the moves listed in /admin/reassign_partitions.
func (e *reassignmentsChanged) handle(t *term) error {
	_, err := t.startListed()
	return err
}

// startListed starts the moves listed in /admin/reassign_partitions that are not running yet and returns the partitions
// it started. What cannot be started is taken off the list. Targets are not checked: Kafka does not, either.
func (t *term) startListed() (started map[*partition]meta.Assignment, err error) {
	listed, exists, err := t.store.Reassignments(t.ctx)
	if err != nil {
		return nil, fmt.Errorf("read reassignments: %w", err)
	}
	if !exists {
		return nil, nil
	}
	moves := make(map[*partition]meta.Assignment)
	bad := make(map[meta.TopicPartition]bool)
	for _, r := range listed {
		p := t.state.partition(r.TopicPartition)
		if p == nil || p.topic.queued || len(r.Replicas) == 0 {
			t.log.Warn("cannot start a listed reassignment", zap.Stringer("partition", r.TopicPartition))
			bad[r.TopicPartition] = true
			continue
		}
		next := reassignTo(p.assignment, r.Replicas)
		if _, running := t.state.reassigning[p]; running && sameAssignment(next, p.assignment) {
			continue // our own rewriting of the list leads here, too
		}
		moves[p] = next
	}
	failed, err := t.reassign(moves)
	if err != nil {
		return nil, err
	}
	for p := range failed {
		bad[p.tp()] = true
	}
	if len(bad) > 0 || len(listed) == 0 {
		err = t.unlistReassignments(func(r zkstore.Reassignment) bool { return bad[r.TopicPartition] })
	}
	return moves, err
}

// unlistReassignments takes moves off /admin/reassign_partitions; an emptied list deletes the znode.
func (t *term) unlistReassignments(drop func(zkstore.Reassignment) bool) error {
	listed, exists, err := t.store.Reassignments(t.ctx)
	if err != nil {
		return fmt.Errorf("read reassignments: %w", err)
	}
	if !exists {
		return nil
	}
	rest := slices.DeleteFunc(slices.Clone(listed), drop)
	if len(rest) == len(listed) && len(rest) > 0 {
		return nil
	}
	if err := t.store.SetReassignments(t.ctx, t.fence, rest); err != nil {
		return fmt.Errorf("write reassignments: %w", err)
	}
	return nil
}

// resumeReassignments goes on with the moves found by a new controller: first those in the legacy znode, then the others.
func (t *term) resumeReassignments() error {
	found := t.state.reassigning
	t.state.reassigning = make(map[*partition]struct{}) // so that listed ones are started again, too
	started, err := t.startListed()
	if err != nil {
		return err
	}
	rest := make(map[*partition]meta.Assignment)
	for p := range found {
		if _, ok := started[p]; !ok {
			rest[p] = p.assignment
		}
	}
	_, err = t.reassign(rest)
	return err
}

// resumeReassignmentsTo goes on with moves that may have waited for one of these brokers.
func (t *term) resumeReassignmentsTo(ids []meta.BrokerID) error {
	waiting := make(map[*partition]meta.Assignment)
	for p := range t.state.reassigning {
		if slices.ContainsFunc(p.assignment.Target(), func(id meta.BrokerID) bool { return slices.Contains(ids, id) }) {
			waiting[p] = p.assignment
		}
	}
	_, err := t.reassign(waiting)
	return err
}

// completeReassignments finishes those moves among the partitions whose target is in sync by now.
func (t *term) completeReassignments(ps []*partition) error {
	complete := make(map[*partition]meta.Assignment)
	for _, p := range ps {
		if _, moving := t.state.reassigning[p]; moving && t.targetInSync(p) {
			complete[p] = p.assignment
		}
	}
	_, err := t.reassign(complete)
	return err
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
	var topics []*topic
	before := make(map[*partition]meta.Assignment)
	for _, p := range ps {
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
	return failed, t.discard(unneeded)
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
			// Memory has the outcome; the next write of this topic, or the next controller, brings it to ZooKeeper.
			t.log.Error("cannot write a finished reassignment", zap.String("topic", topics[i].name), zap.Error(err))
			if t.fatal(err) {
				return err
			}
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
