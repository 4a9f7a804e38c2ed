package controller

import (
	"fmt"
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// readTopics reads topic znodes and sees to it that every topic has an id. Unreadable ones are logged and left out.
func (t *term) readTopics(names []string) (map[string]meta.TopicAssignment, error) {
	topics, broken, err := t.store.Topics(t.ctx, names)
	if err != nil {
		return nil, harmless{fmt.Errorf("read topics: %w", err)}
	}
	for _, name := range names {
		cause, unreadable := broken[name]
		if unreadable {
			t.log.Error("unreadable topic", zap.String("topic", name), zap.Error(cause))
			t.state.unreadable[name] = true
		} else {
			delete(t.state.unreadable, name)
		}
	}
	if !t.config().Protocol.TopicIDs {
		return topics, nil
	}
	var nameless []string // without an id
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		if a := topics[name]; a.ID.IsZero() {
			a.ID = meta.NewTopicID()
			topics[name] = a
			nameless = append(nameless, name)
		}
	}
	for i, err := range each(t.l.atOnce, nameless, func(name string) error { return t.store.SetTopic(t.ctx, t.fence, name, topics[name]) }) {
		if err == nil {
			continue
		}
		if t.fatal(err) {
			return nil, fmt.Errorf("give topics ids: %w", err)
		}
		// Brokers must not learn of an id that the next controller would not find again.
		t.log.Error("cannot give a topic an id", zap.String("topic", nameless[i]), zap.Error(err))
		a := topics[nameless[i]]
		a.ID = meta.TopicID{}
		topics[nameless[i]] = a
	}
	return topics, nil
}

// handle finds out which topics appeared and vanished. Any broker may create one (auto-creation does), so /brokers/topics
// is the only truth about what exists.
func (e *topicsChanged) handle(t *term) error {
	names, err := t.store.TopicNames(t.ctx)
	if err != nil {
		return harmless{fmt.Errorf("list topics: %w", err)}
	}
	exists := make(map[string]bool, len(names))
	var unknown []string
	for _, name := range names {
		exists[name] = true
		if t.state.topics[name] == nil {
			unknown = append(unknown, name)
		}
	}
	for name, known := range t.state.topics {
		if !exists[name] {
			// Removed by hand: its logs stay where they are.
			t.log.Warn("topic vanished from ZooKeeper", zap.String("topic", name))
			t.state.dropTopic(known)
			if known.queued {
				t.publishDeleting()
				t.l.c.queue.put(&deletionsChanged{}) // its marker is that of an unknown topic now
			}
		}
	}
	for name := range t.state.unreadable {
		if !exists[name] {
			delete(t.state.unreadable, name)
		}
	}
	return t.takeUp(unknown)
}

// takeUp makes new topics known and their partitions live.
func (t *term) takeUp(names []string) error {
	if len(names) == 0 {
		return nil
	}
	topics, err := t.readTopics(names)
	if err != nil {
		return err
	}
	var ps []*partition
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		a := topics[name]
		of := t.state.addTopic(name, a.ID)
		for id, assignment := range a.Partitions {
			t.state.addPartition(of, id, assignment)
		}
		ps = append(ps, of.sorted(nil)...)
		t.log.Info("new topic", zap.String("topic", name), zap.Stringer("topic_id", a.ID), zap.Int("partitions", len(a.Partitions)))
	}
	return t.createPartitions(ps)
}

// createPartitions brings partitions that never had a leader to life. Replicas on dead brokers follow when those come back.
func (t *term) createPartitions(ps []*partition) error {
	if len(ps) == 0 {
		return nil
	}
	t.movePartitions(ps, partitionNew)
	rs := replicasOf(ps, nil)
	if err := t.moveReplicas(rs, replicaNew); err != nil {
		return err
	}
	if _, err := t.bringOnline(ps, electOffline, false); err != nil {
		return err
	}
	return t.moveReplicas(rs, replicaOnline)
}

// handle finds out which topics grew. Other differences to what is known are ignored: the controller's own writes lead
// here too, and its memory is authoritative for partitions that exist.
func (e *topicNodesChanged) handle(t *term) error {
	names := e.topics
	if len(names) == 0 {
		return nil
	}
	topics, broken, err := t.store.Topics(t.ctx, names)
	if err != nil {
		return harmless{fmt.Errorf("read topics: %w", err)}
	}
	for name, cause := range broken {
		t.log.Error("unreadable topic", zap.String("topic", name), zap.Error(cause))
	}
	var grown []*partition
	var restore []*topic
	again := false // whether there are topics to be taken up
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		a, known := topics[name], t.state.topics[name]
		switch {
		case known == nil:
			if t.state.unreadable[name] { // mended; otherwise its creation is another event
				again = true
			}
			continue
		case !a.ID.IsZero() && !known.id.IsZero() && a.ID != known.id && !known.queued:
			// Deleted and created again by hand, faster than we looked.
			t.log.Error("topic has another id", zap.String("topic", name), zap.Stringer("topic_id", a.ID), zap.Stringer("known_topic_id", known.id))
			t.state.dropTopic(known)
			again = true
			continue
		}
		var added []int32
		for id := range a.Partitions {
			if known.partitions[id] == nil {
				added = append(added, id)
			}
		}
		if len(added) == 0 {
			continue
		}
		slices.Sort(added)
		if known.queued {
			t.log.Warn("partitions added to a topic that is being deleted", zap.String("topic", name))
			restore = append(restore, known)
			continue
		}
		t.log.Info("new partitions", zap.String("topic", name), zap.Int32s("partitions", added))
		for _, id := range added {
			grown = append(grown, t.state.addPartition(known, id, a.Partitions[id]))
		}
	}
	for i, err := range t.writeAssignments(restore) {
		if err != nil {
			t.log.Error("cannot restore the assignment of a topic", zap.String("topic", restore[i].name), zap.Error(err))
			if t.fatal(err) {
				return err
			}
		}
	}
	if again {
		t.l.c.queue.put(&topicsChanged{})
	}
	return t.createPartitions(grown)
}

// writeAssignments writes the assignments in memory to the topics' znodes and returns the errors by index.
func (t *term) writeAssignments(topics []*topic) []error {
	assignments := make(map[*topic]meta.TopicAssignment, len(topics))
	for _, of := range topics {
		a := meta.TopicAssignment{ID: of.id, Partitions: make(map[int32]meta.Assignment, len(of.partitions))}
		for id, p := range of.partitions {
			a.Partitions[id] = p.assignment
		}
		assignments[of] = a
	}
	return each(t.l.atOnce, topics, func(of *topic) error { return t.store.SetTopic(t.ctx, t.fence, of.name, assignments[of]) })
}
