package controller

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Deleting a topic (Kafka's TopicDeletionManager):
//
//  1. /admin/delete_topics/<topic> appears: the topic is queued. From here on it is out of elections, rebalancing and
//     reassignment.
//  2. Start: its partitions go Offline and NonExistent, brokers are told leader -2, so that clients cannot find it any
//     more; replicas go Offline, then DeletionStarted.
//  3. Brokers answer: DeletionSuccessful, or DeletionIneligible. A replica out of reach makes the whole topic ineligible
//     until its broker comes back; then deletion starts over for what is left.
//  4. When all replicas are DeletionSuccessful the znodes go: tree, config, marker.
//
// Deletion wins over reassignment: Kafka waits for a running reassignment to finish, which a dead target broker can put off
// for ever. Here the reassignment is forgotten, and every replica, those being added and removed included, is deleted;
// only one that was to be added on a broker that is gone is given up (see abandon).

// handle finds out which topics are marked.
func (e *deletionsChanged) handle(t *term) error {
	marked, err := t.store.TopicDeletions(t.ctx)
	if err != nil {
		return harmless{fmt.Errorf("list topic deletions: %w", err)}
	}
	queued, err := t.queueDeletions(marked)
	if err != nil || len(queued) == 0 {
		return err
	}
	if err := t.forgetReassignments(queued); err != nil {
		return err
	}
	return t.resumeDeletions()
}

// learnDeletions queues the topics marked when the term began. Those with a replica out of reach have to wait.
func (t *term) learnDeletions() error {
	marked, err := t.store.TopicDeletions(t.ctx)
	if err != nil {
		return fmt.Errorf("list topic deletions: %w", err)
	}
	queued, err := t.queueDeletions(marked)
	if err != nil {
		return err
	}
	for _, of := range queued {
		for _, p := range of.partitions {
			for _, r := range replicasOf([]*partition{p}, nil) {
				if !t.abandon(r) && !t.state.online(p, r.broker) {
					of.ineligible = true
				}
			}
		}
	}
	return t.forgetReassignments(queued)
}

// queueDeletions queues topics and returns those that were not queued before. Markers of topics that do not exist, and
// with delete.topic.enable=false all markers, are removed instead.
func (t *term) queueDeletions(marked []string) (queued []*topic, err error) {
	var idle []string
	for _, name := range marked {
		of := t.state.topics[name]
		switch {
		case !t.config().DeleteTopicEnable:
			idle = append(idle, name)
		case of == nil && t.state.unreadable[name]:
			// Nobody knows where its replicas are; what is left of it can go.
			if err := t.store.DeleteTopic(t.ctx, t.fence, name); err != nil {
				return nil, fmt.Errorf("delete unreadable topic %s: %w", name, err)
			}
		case of == nil:
			idle = append(idle, name)
		case !of.queued:
			t.log.Info("topic is to be deleted", zap.String("topic", name))
			of.queued = true
			queued = append(queued, of)
		}
	}
	t.publishDeleting()
	if len(idle) > 0 {
		t.log.Warn("removing deletion markers of topics that do not exist or must not be deleted", zap.Strings("topics", idle))
		if err := t.store.UnmarkTopicDeletions(t.ctx, t.fence, idle); err != nil {
			return nil, fmt.Errorf("remove deletion markers: %w", err)
		}
	}
	return queued, nil
}

// publishDeleting lets brokers know which topics are queued.
func (t *term) publishDeleting() {
	names := make(map[string]struct{})
	for name, of := range t.state.topics {
		if of.queued {
			names[name] = struct{}{}
		}
	}
	t.l.c.deleting.Store(&names)
}

// forgetReassignments drops the running reassignments of topics that are being deleted.
func (t *term) forgetReassignments(topics []*topic) error {
	dropped := make(map[*partition]struct{})
	for _, of := range topics {
		for _, p := range of.partitions {
			if _, running := t.state.reassigning[p]; running {
				t.log.Info("reassignment ends with the deletion of its topic", zap.String("topic", of.name), zap.Int32("partition", p.id))
				delete(t.state.reassigning, p)
				dropped[p] = struct{}{}
			}
		}
	}
	if len(dropped) == 0 {
		return nil
	}
	return t.unlistReassignments(func(r zkstore.Reassignment) bool {
		_, is := dropped[t.state.partition(r.TopicPartition)]
		return is
	})
}

// resumeDeletionsOf tries again to delete topics that had to wait.
func (t *term) resumeDeletionsOf(topics map[*topic]struct{}) error {
	for of := range topics {
		of.ineligible = false
	}
	if len(topics) == 0 {
		return nil
	}
	return t.resumeDeletions()
}

// resumeDeletions takes every queued topic one step further. Run after whatever may have brought one on.
func (t *term) resumeDeletions() error {
	var done, eligible []*topic
	var retry []partitionReplica
	for _, of := range t.queuedTopics() {
		count := of.countReplicas()
		switch {
		case count[replicaDeletionSuccessful] == count.all():
			done = append(done, of)
			continue
		case count[replicaDeletionStarted] > 0:
			continue // in progress
		}
		if count[replicaDeletionIneligible] > 0 {
			retry = append(retry, replicasOf(of.sorted(nil), func(p *partition, id meta.BrokerID) bool {
				return p.replicaState(id) == replicaDeletionIneligible
			})...)
		}
		if !of.ineligible {
			eligible = append(eligible, of)
		}
	}
	if err := t.finishDeletions(done); err != nil {
		return err
	}
	if err := t.moveReplicas(retry, replicaOffline); err != nil {
		return err
	}
	return t.startDeletions(eligible)
}

// queuedTopics returns the topics queued for deletion, by name.
func (t *term) queuedTopics() []*topic {
	var queued []*topic
	for _, of := range t.state.topics {
		if of.queued {
			queued = append(queued, of)
		}
	}
	slices.SortFunc(queued, func(a, b *topic) int { return cmp.Compare(a.name, b.name) })
	return queued
}

// replicaCount counts replicas by state.
type replicaCount [replicaDeletionIneligible + 1]int

func (c replicaCount) all() int {
	n := 0
	for _, of := range c {
		n += of
	}
	return n
}

func (of *topic) countReplicas() replicaCount {
	var c replicaCount
	for _, p := range of.partitions {
		for _, id := range p.assignment.Replicas {
			c[p.replicaState(id)]++
		}
	}
	return c
}

// startDeletions starts, or starts over, to delete topics.
func (t *term) startDeletions(topics []*topic) error {
	if len(topics) == 0 {
		return nil
	}
	b := newBatch()
	b.readAll(t.state)
	var all []*partition
	for _, of := range topics {
		ps := of.sorted(nil)
		if !of.started {
			t.log.Debug("deleting topic", zap.String("topic", of.name))
			t.movePartitions(ps, partitionOffline)
			t.movePartitions(ps, partitionNonExistent)
			of.started = true
		}
		all = append(all, ps...)
	}
	b.tellMetadata(nil, all)
	t.send(b)

	var dead, live []partitionReplica
	for _, r := range replicasOf(all, nil) {
		switch {
		case r.replicaState(r.broker) == replicaDeletionSuccessful: // wherever its broker is by now
		case t.abandon(r):
		case !t.state.online(r.partition, r.broker):
			if r.replicaState(r.broker).may(replicaDeletionIneligible) { // not so while it is shutting down
				dead = append(dead, r)
			}
			if !r.topic.ineligible {
				t.log.Info("deletion has to wait for a replica", zap.String("topic", r.topic.name), zap.Int32("partition", r.id), zap.Int32("broker", int32(r.broker)))
			}
			r.topic.ineligible = true
		default:
			live = append(live, r)
		}
	}
	if err := t.moveReplicas(dead, replicaDeletionIneligible); err != nil {
		return err
	}
	if err := t.moveReplicas(live, replicaOffline); err != nil {
		return err
	}
	return t.moveReplicas(live, replicaDeletionStarted)
}

// deletionFailed remembers replicas that cannot be deleted now, and their topics with them.
func (t *term) deletionFailed(rs []partitionReplica) error {
	var failed []partitionReplica
	for _, r := range rs {
		if r.topic.queued && r.replicaState(r.broker) != replicaDeletionSuccessful && !t.abandon(r) {
			failed = append(failed, r)
			r.topic.ineligible = true
		}
	}
	if len(rs) == 0 {
		return nil
	}
	if err := t.moveReplicas(failed, replicaDeletionIneligible); err != nil {
		return err
	}
	return t.resumeDeletions()
}

// abandon forgets a replica of a topic being deleted that a reassignment was only about to add, if its broker is gone. It
// may never come: the target of a move need not even exist. What it has copied already, if anything, stays on its disk.
func (t *term) abandon(r partitionReplica) bool {
	if !slices.Contains(r.assignment.Adding, r.broker) || t.state.brokers[r.broker] != nil {
		return false
	}
	t.log.Warn("deletion leaves a replica behind that was being added", zap.String("topic", r.topic.name), zap.Int32("partition", r.id), zap.Int32("broker", int32(r.broker)))
	gone := []meta.BrokerID{r.broker}
	r.assignment.Replicas = without(r.assignment.Replicas, gone)
	r.assignment.Adding = without(r.assignment.Adding, gone)
	r.setReplicaState(r.broker, replicaNonExistent)
	return true
}

// retryDeletionAfter is the pause before a live broker that failed to delete a replica is asked again.
const retryDeletionAfter = 30 * time.Second

// replicasDeleted takes note of a broker's answer to StopReplica with delete. Kafka tries a failed one again only when the
// broker restarts, so that one bad moment can leave a topic half deleted for weeks.
func (t *term) replicasDeleted(deleted, failed []partitionReplica) error {
	if err := t.deletionFailed(failed); err != nil {
		return err
	}
	if len(failed) > 0 {
		again := &deletionRetryDue{term: t, topics: make(map[*topic]struct{})}
		for _, r := range failed {
			again.topics[r.topic] = struct{}{}
		}
		t.l.after(retryDeletionAfter, again)
	}
	if len(deleted) == 0 {
		return nil
	}
	if err := t.moveReplicas(deleted, replicaDeletionSuccessful); err != nil {
		return err
	}
	return t.resumeDeletions()
}

func (e *deletionRetryDue) handle(t *term) error {
	if e.term != t {
		return nil
	}
	for of := range e.topics {
		if t.state.topics[of.name] != of { // gone by now
			delete(e.topics, of)
		}
	}
	return t.resumeDeletionsOf(e.topics)
}

// finishDeletions removes what is left of topics whose replicas are all gone. No broker is told: leader -2 did that.
func (t *term) finishDeletions(topics []*topic) error {
	if len(topics) == 0 {
		return nil
	}
	errs := each(t.l.atOnce, topics, func(of *topic) error { return t.store.DeleteTopic(t.ctx, t.fence, of.name) })
	for i, of := range topics {
		if err := errs[i]; err != nil && !errors.Is(err, zkstore.ErrNoNode) {
			if t.fatal(err) {
				return fmt.Errorf("delete topic %s: %w", of.name, err)
			}
			// Still marked and all replicas gone: the next resumption tries again.
			t.log.Error("cannot delete a topic", zap.String("topic", of.name), zap.Error(err))
			t.l.after(retryDeletionAfter, &deletionRetryDue{term: t, topics: map[*topic]struct{}{of: {}}})
			continue
		}
		t.log.Info("topic deleted", zap.String("topic", of.name))
		t.state.dropTopic(of)
	}
	t.publishDeleting()
	return nil
}
