package controller

import (
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// handle changes ISRs as their leaders ask (KIP-497). The leader epoch stays, so no replica has to be told; everybody
// learns of the new state by UpdateMetadata, the leader by the answer.
func (e *alterPartition) handle(t *term) error {
	if b := t.state.brokers[e.from]; b == nil || b.Epoch != e.epoch {
		e.answer.refuse(ErrStaleBrokerEpoch)
		return nil
	}
	results := make([]PartitionChangeResult, len(e.changes))
	parts := make([]*partition, len(e.changes))
	writes := make(map[meta.TopicPartition]meta.LeaderAndISR)
	for i, c := range e.changes {
		r := &results[i]
		of := t.state.topics[c.Topic]
		if !c.TopicID.IsZero() {
			of = t.state.byID[c.TopicID]
		}
		r.Topic, r.TopicID = c.Topic, c.TopicID
		if of == nil {
			r.Err = ErrUnknownTopicOrPartition
			if !c.TopicID.IsZero() {
				r.Err = ErrUnknownTopicID
			}
			continue
		}
		r.Topic, r.TopicID = of.name, of.id
		p := of.partitions[c.Partition]
		if p == nil || !p.known {
			r.Err = ErrUnknownTopicOrPartition
			continue
		}
		parts[i] = p
		write, err := judgeChange(p, c, e.from, t.state.live)
		switch {
		case err != nil:
			r.Err = err
			t.log.Debug("ISR change refused", partitionField(p.tp()), zap.Int32("leader", int32(e.from)), zap.Any("isr", c.ISR), zap.Error(err))
		case !write:
			r.State = p.info
		default:
			if _, twice := writes[p.tp()]; twice {
				r.Err = ErrInvalidRequest
				continue
			}
			writes[p.tp()] = meta.LeaderAndISR{Leader: e.from, LeaderEpoch: c.LeaderEpoch, ISR: slices.Clone(c.ISR), RecoveryState: c.RecoveryState,
				ControllerEpoch: t.epoch, PartitionEpoch: c.PartitionEpoch}
		}
	}
	if len(writes) > 0 {
		if err := t.writeChanges(writes, parts, results); err != nil {
			return err
		}
	}
	b := newBatch()
	var succeeded []*partition
	for i, p := range parts {
		if p == nil {
			continue
		}
		b.tellEveryone(t.state, p)
		if results[i].Err == nil {
			succeeded = append(succeeded, p)
		}
	}
	t.send(b)
	e.answer.give(results)
	return t.completeReassignments(succeeded)
}

// judgeChange decides whether a leader's change is to be written; false without an error means that it is in force
// already. But for two more, the checks and their order are Kafka's (tryProcessAlterPartition).
func judgeChange(p *partition, c PartitionChange, from meta.BrokerID, live func(meta.BrokerID) bool) (write bool, err error) {
	now := p.info
	switch {
	case c.PartitionEpoch > now.PartitionEpoch || c.LeaderEpoch > now.LeaderEpoch:
		// The leader has heard of a state this controller has not: it is most likely deposed.
		return false, ErrNotController
	case c.LeaderEpoch < now.LeaderEpoch:
		return false, ErrFencedLeaderEpoch
	case from == now.Leader && slices.Equal(c.ISR, now.ISR) && c.RecoveryState == now.RecoveryState:
		return false, nil
	case c.PartitionEpoch < now.PartitionEpoch:
		return false, ErrInvalidUpdateVersion
	case c.RecoveryState == meta.Recovering && (len(c.ISR) > 1 || now.RecoveryState == meta.Recovered):
		return false, ErrInvalidRequest
	case len(c.ISR) == 0: // Kafka would write it, and the partition could never be led cleanly again
		return false, ErrInvalidRequest
	}
	for _, id := range c.ISR {
		// Kafka does not ask whether a new member has a replica at all.
		if !live(id) || !slices.Contains(p.assignment.Replicas, id) && !slices.Contains(now.ISR, id) {
			return false, fmt.Errorf("%w: broker %d", ErrIneligibleReplica, id)
		}
	}
	return true, nil
}

// writeChanges writes accepted changes and fills in what became of them. Conflicts are not decided again: the leader has
// to look at the newer state first.
func (t *term) writeChanges(writes map[meta.TopicPartition]meta.LeaderAndISR, parts []*partition, results []PartitionChangeResult) error {
	updated, failed, err := t.store.UpdatePartitionStates(t.ctx, t.fence, writes)
	conflict := make(map[*partition]bool)
	for i, p := range parts {
		if p == nil || results[i].Err != nil {
			continue
		}
		tp := p.tp()
		if _, written := writes[tp]; !written {
			continue
		}
		if epoch, ok := updated[tp]; ok {
			p.info = writes[tp]
			p.info.PartitionEpoch = epoch
			results[i].State = p.info
			continue
		}
		switch cause := failed[tp]; {
		case errors.Is(cause, zkstore.ErrBadVersion):
			results[i].Err = ErrInvalidUpdateVersion
			conflict[p] = true
		case cause == nil: // what ended the whole call
			results[i].Err = fmt.Errorf("%w: %w", ErrServer, err)
		default:
			results[i].Err = fmt.Errorf("%w: %w", ErrServer, cause)
		}
	}
	if err != nil {
		return fmt.Errorf("write partition states: %w", err)
	}
	return t.refresh(conflict)
}

// refresh reads partition states into memory that others have changed.
func (t *term) refresh(of map[*partition]bool) error {
	if len(of) == 0 {
		return nil
	}
	var tps []meta.TopicPartition
	for p := range of {
		tps = append(tps, p.tp())
	}
	states, broken, err := t.store.PartitionStates(t.ctx, tps)
	if err != nil {
		return fmt.Errorf("read partition states: %w", err)
	}
	for p := range of {
		if state, ok := states[p.tp()]; ok && state.ControllerEpoch <= t.epoch {
			p.known, p.info = true, state
		} else if cause := broken[p.tp()]; cause != nil {
			t.log.Error("unreadable partition state", zap.String("topic", p.topic.name), zap.Int32("partition", p.id), zap.Error(cause))
		}
	}
	return nil
}

// handle takes note of ISRs that leaders on inter.broker.protocol.version below 2.7 changed themselves.
func (e *isrChangesPublished) handle(t *term) error {
	changes, err := t.store.ISRChanges(t.ctx)
	if err != nil {
		return harmless{fmt.Errorf("read ISR change notices: %w", err)}
	}
	changed := make(map[*partition]bool)
	for _, c := range changes {
		if c.Err != nil {
			t.log.Error("unreadable ISR change notice", zap.String("znode", c.Node), zap.Error(c.Err))
		}
		for _, tp := range c.Partitions {
			if p := t.state.partition(tp); p != nil {
				changed[p] = true
			}
		}
	}
	if err := t.refresh(changed); err != nil {
		return err
	}
	if len(changed) > 0 {
		b := newBatch()
		var ps []*partition
		for p := range changed {
			b.tellEveryone(t.state, p)
			ps = append(ps, p)
		}
		t.send(b)
		if err := t.completeReassignments(ps); err != nil {
			return err
		}
	}
	return t.deleteISRChanges(changes)
}

func (t *term) deleteISRChanges(changes []zkstore.ISRChange) error {
	if len(changes) == 0 {
		return nil
	}
	nodes := make([]string, len(changes))
	for i, c := range changes {
		nodes[i] = c.Node
	}
	if err := t.store.DeleteISRChanges(t.ctx, t.fence, nodes); err != nil {
		return fmt.Errorf("delete ISR change notices: %w", err)
	}
	return nil
}
