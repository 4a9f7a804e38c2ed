package controller

import (
	"errors"
	"fmt"

	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// verdict is what is to become of one partition's state.
type verdict struct {
	next meta.LeaderAndISR
	keep bool  // it is as it should be: nothing to write
	err  error // it cannot be changed
}

// update changes partition states in ZooKeeper: decide is asked about what is there, the outcome is written on condition
// that it is still there, and partitions that somebody else changed meanwhile are read and decided again. What memory
// holds is taken for what is there, since the condition finds out; only unknown partitions are read first.
//
// Changed (and kept) partitions have their new state in memory, with this controller's epoch. An error means that the whole
// term is in doubt; what was changed until then is in memory all the same.
func (t *term) update(ps []*partition, decide func(ps []*partition, now func(*partition) meta.LeaderAndISR) ([]verdict, error)) (changed []*partition, failed map[*partition]error, err error) {
	failed = make(map[*partition]error)
	current := make(map[*partition]meta.LeaderAndISR, len(ps))
	now := func(p *partition) meta.LeaderAndISR { return current[p] }
	todo := ps
	for again := false; len(todo) > 0; again = true {
		readable, err := t.current(todo, again, current, failed)
		if err != nil {
			return changed, failed, err
		}
		verdicts, err := decide(readable, now)
		if err != nil {
			return changed, failed, err
		}
		writes := make(map[meta.TopicPartition]meta.LeaderAndISR, len(readable))
		var writing []*partition
		for i, p := range readable {
			v := verdicts[i]
			v.next.ControllerEpoch = t.epoch
			switch {
			case v.err != nil:
				failed[p] = v.err
			case v.keep:
				p.known, p.info = true, v.next
				changed = append(changed, p)
			default:
				v.next.PartitionEpoch = current[p].PartitionEpoch
				writes[p.tp()] = v.next
				writing = append(writing, p)
			}
		}
		todo = nil
		if len(writes) == 0 {
			break
		}
		updated, unwritten, err := t.store.UpdatePartitionStates(t.ctx, t.fence, writes)
		for _, p := range writing {
			tp := p.tp()
			if epoch, ok := updated[tp]; ok {
				p.known, p.info = true, writes[tp]
				p.info.PartitionEpoch = epoch
				changed = append(changed, p)
			} else if cause := unwritten[tp]; errors.Is(cause, zkstore.ErrBadVersion) {
				todo = append(todo, p)
			} else if cause == nil {
				failed[p] = fmt.Errorf("write state of %s: %w", tp, err) // what ended the whole call
			} else {
				failed[p] = fmt.Errorf("write state of %s: %w", tp, cause)
			}
		}
		if err != nil {
			return changed, failed, fmt.Errorf("write partition states: %w", err)
		}
	}
	return changed, failed, nil
}

// current fills in what is known of the partitions' states, reading those that are not known or, when again is set, all.
// It returns the partitions that have a state this controller may change.
func (t *term) current(ps []*partition, again bool, current map[*partition]meta.LeaderAndISR, failed map[*partition]error) ([]*partition, error) {
	var unread []meta.TopicPartition
	for _, p := range ps {
		if again || !p.known {
			unread = append(unread, p.tp())
		}
	}
	var states map[meta.TopicPartition]meta.LeaderAndISR
	var broken map[meta.TopicPartition]error
	if len(unread) > 0 {
		var err error
		if states, broken, err = t.store.PartitionStates(t.ctx, unread); err != nil {
			return nil, fmt.Errorf("read partition states: %w", err)
		}
	}
	readable := ps[:0:0]
	for _, p := range ps {
		state, ok := p.info, p.known
		if again || !p.known {
			state, ok = states[p.tp()]
		}
		switch {
		case !ok && broken[p.tp()] != nil:
			failed[p] = broken[p.tp()]
		case !ok:
			failed[p] = errNoState
		case state.ControllerEpoch > t.epoch:
			failed[p] = errNewerController
		default:
			current[p] = state
			readable = append(readable, p)
		}
	}
	return readable, nil
}
