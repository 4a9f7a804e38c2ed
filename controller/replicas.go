package controller

import (
	"cmp"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// moveReplicas takes replicas to a state, with all that belongs to it (Kafka's ReplicaStateMachine):
//
//	New                 LeaderAndISR to its broker, if there is a leader; the leader itself is refused
//	Online              from New: nothing, it knows; else LeaderAndISR to its broker
//	Offline             StopReplica; out of the ISR; LeaderAndISR to the other replicas
//	DeletionStarted     StopReplica with delete
//	the others          nothing but memory
//
// One call is one batch. Replicas that may not go there are logged and left alone. An error puts the term in doubt.
func (t *term) moveReplicas(rs []partitionReplica, to replicaState) error {
	return t.moveReplicasIn(newBatch(), rs, to)
}

// startReplicasOf is moveReplicas to Online for all the replicas that some brokers have.
func (t *term) startReplicasOf(rs []partitionReplica) error {
	b := newBatch()
	b.whole = true
	return t.moveReplicasIn(b, rs, replicaOnline)
}

func (t *term) moveReplicasIn(b *batch, rs []partitionReplica, to replicaState) error {
	if len(rs) == 0 {
		return nil
	}
	defer t.send(b) // also what was written before an error
	for _, group := range byBroker(rs) {
		id, ps := group.broker, t.legalReplicas(group, to)
		switch to {
		case replicaNew:
			ps = slices.DeleteFunc(ps, func(p *partition) bool {
				if !p.known {
					return false
				}
				if p.info.Leader == id {
					t.log.Error("the leader cannot become a new replica", zap.String("topic", p.topic.name), zap.Int32("partition", p.id), zap.Int32("broker", int32(id)))
					return true
				}
				b.tellLeadership(t.state, []meta.BrokerID{id}, p, true)
				return false
			})
		case replicaOnline:
			for _, p := range ps {
				if p.replicaState(id) == replicaNew {
					if !slices.Contains(p.assignment.Replicas, id) {
						p.assignment.Replicas = append(slices.Clone(p.assignment.Replicas), id)
					}
				} else if p.known {
					b.tellLeadership(t.state, []meta.BrokerID{id}, p, false)
				}
			}
		case replicaOffline:
			kept, err := t.takeOffline(b, id, ps)
			if err != nil {
				return err
			}
			ps = kept
		case replicaDeletionStarted:
			for _, p := range ps {
				b.stopReplica(id, p, true)
			}
		case replicaNonExistent:
			for _, p := range ps {
				p.assignment.Replicas = without(p.assignment.Replicas, []meta.BrokerID{id})
			}
		}
		for _, p := range ps {
			p.setReplicaState(id, to)
		}
	}
	return nil
}

// takeOffline stops replicas on one broker and takes them out of their ISRs. It returns those for which that worked.
func (t *term) takeOffline(b *batch, id meta.BrokerID, ps []*partition) ([]*partition, error) {
	var led, done []*partition
	for _, p := range ps {
		b.stopReplica(id, p, false) // with the leader epoch from before the shrink, so that the broker accepts it
		if p.known {
			led = append(led, p)
		} else {
			done = append(done, p)
			b.readAll(t.state)
		}
	}
	changed, failed, err := t.update(led, func(ps []*partition, now func(*partition) meta.LeaderAndISR) ([]verdict, error) {
		verdicts := make([]verdict, len(ps))
		for i, p := range ps {
			next, shrunk := shrink(now(p), id)
			verdicts[i] = verdict{next: next, keep: !shrunk}
		}
		return verdicts, nil
	})
	for _, p := range changed {
		// All others are told, not only the leader: each has to adopt the new leader epoch.
		if p.info.Leader == meta.NoBroker && p.state == partitionOnline {
			p.state = partitionOffline
		}
		if !p.topic.queued {
			b.tellLeadership(t.state, without(p.assignment.Replicas, []meta.BrokerID{id}), p, false)
		}
	}
	for p, cause := range failed {
		t.log.Error("cannot take a replica out of the ISR", zap.String("topic", p.topic.name), zap.Int32("partition", p.id),
			zap.Int32("broker", int32(id)), zap.Error(cause))
	}
	if err != nil {
		return nil, fmt.Errorf("take replicas on broker %d offline: %w", id, err)
	}
	return append(done, changed...), nil
}

// brokerReplicas are replicas on one broker.
type brokerReplicas struct {
	broker     meta.BrokerID
	partitions []*partition
}

// byBroker groups replicas by broker, in ascending order, keeping the order of the partitions.
func byBroker(rs []partitionReplica) []brokerReplicas {
	at := make(map[meta.BrokerID]int)
	var groups []brokerReplicas
	for _, r := range rs {
		i, ok := at[r.broker]
		if !ok {
			i = len(groups)
			at[r.broker] = i
			groups = append(groups, brokerReplicas{broker: r.broker})
		}
		groups[i].partitions = append(groups[i].partitions, r.partition)
	}
	slices.SortFunc(groups, func(a, b brokerReplicas) int { return cmp.Compare(a.broker, b.broker) })
	return groups
}

// legalReplicas returns the partitions whose replica may go to a state, and logs those whose may not.
func (t *term) legalReplicas(group brokerReplicas, to replicaState) []*partition {
	ok := make([]*partition, 0, len(group.partitions))
	for _, p := range group.partitions {
		if from := p.replicaState(group.broker); from.may(to) {
			ok = append(ok, p)
		} else {
			t.log.Error("illegal replica transition", zap.String("topic", p.topic.name), zap.Int32("partition", p.id),
				zap.Int32("broker", int32(group.broker)), zap.Stringer("from", from), zap.Stringer("to", to))
		}
	}
	return ok
}
