package controller

import (
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

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
		next := reassignTo(now, now.Origin())
		return next, keepsData(p, next)
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
	return next, keepsData(p, next)
}

// keepsData refuses a move that would delete every replica in sync at once. A move that replaces another, or cancels it,
// can do that when only replicas added by the first are in sync by now; Kafka lets it, and loses what was acknowledged.
func keepsData(p *partition, next meta.Assignment) error {
	if p.known && !slices.ContainsFunc(p.info.ISR, func(id meta.BrokerID) bool { return slices.Contains(next.Replicas, id) }) {
		return fmt.Errorf("%w: none of %v is in sync", ErrInvalidReplicaAssignment, next.Replicas)
	}
	return nil
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
	listed, exists, err := t.listed()
	if err != nil {
		return nil, harmless{err}
	}
	if !exists {
		return nil, nil
	}
	moves := make(map[*partition]meta.Assignment)
	bad := make(map[meta.TopicPartition]bool)
	for _, r := range listed {
		p := t.state.partition(r.TopicPartition)
		if p == nil || p.topic.queued || len(r.Replicas) == 0 {
			t.log.Warn("cannot start a listed reassignment", partitionField(r.TopicPartition))
			bad[r.TopicPartition] = true
			continue
		}
		next := reassignTo(p.assignment, r.Replicas)
		if _, running := t.state.reassigning[p]; running && sameAssignment(next, p.assignment) {
			continue // our own rewriting of the list leads here, too
		}
		if err := keepsData(p, next); err != nil {
			t.log.Warn("cannot start a listed reassignment", partitionField(r.TopicPartition), zap.Error(err))
			bad[r.TopicPartition] = true
			continue
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

// listed reads /admin/reassign_partitions. Of several entries for a partition the last one counts.
func (t *term) listed() (listed []zkstore.Reassignment, exists bool, err error) {
	all, exists, err := t.store.Reassignments(t.ctx)
	if err != nil {
		return nil, false, fmt.Errorf("read reassignments: %w", err)
	}
	last := make(map[meta.TopicPartition]int, len(all))
	for i, r := range all {
		last[r.TopicPartition] = i
	}
	for i, r := range all {
		if last[r.TopicPartition] == i {
			listed = append(listed, r)
		}
	}
	return listed, exists, nil
}

// unlistReassignments takes moves off /admin/reassign_partitions; an emptied list deletes the znode.
func (t *term) unlistReassignments(drop func(zkstore.Reassignment) bool) error {
	listed, exists, err := t.listed()
	if err != nil {
		return err
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
