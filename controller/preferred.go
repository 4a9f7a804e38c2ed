package controller

import (
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// handle brings leadership back to preferred replicas on brokers that lead too little of what is theirs by preference.
func (e *rebalanceDue) handle(t *term) error {
	if e.term != t {
		return nil
	}
	t.rebalance = t.l.after(t.config().LeaderImbalanceCheckInterval, e)
	type share struct {
		preferred int
		elsewhere []*partition
	}
	byBroker := make(map[meta.BrokerID]*share)
	for _, p := range t.state.partitions(func(p *partition) bool { return !p.topic.queued && len(p.assignment.Replicas) > 0 }) {
		id := p.assignment.Replicas[0]
		of := byBroker[id]
		if of == nil {
			of = &share{}
			byBroker[id] = of
		}
		of.preferred++
		if p.known && p.info.Leader != id {
			of.elsewhere = append(of.elsewhere, p)
		}
	}
	var candidates []*partition
	for _, id := range sortedKeys(byBroker) {
		of := byBroker[id]
		if len(of.elsewhere)*100 <= of.preferred*t.config().LeaderImbalancePerBrokerPercentage {
			continue
		}
		for _, p := range of.elsewhere {
			if t.state.online(p, id) && slices.Contains(p.info.ISR, id) && p.state.may(partitionOnline) {
				candidates = append(candidates, p)
			}
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	t.log.Info("moving leadership back to preferred replicas", zap.Int("partitions", len(candidates)))
	_, err := t.bringOnline(candidates, electPreferred, false)
	return err
}

// handle elects leaders at a client's request.
func (e *electLeaders) handle(t *term) error {
	results, err := t.electRequested(e.kind, e.partitions)
	if err != nil {
		return err
	}
	e.answer.give(results)
	return nil
}

// handle runs the election listed in /admin/preferred_replica_election and removes the znode, whatever came of it.
func (e *preferredElectionChanged) handle(t *term) error {
	listed, exists, err := t.store.PreferredElection(t.ctx)
	if err != nil {
		return harmless{fmt.Errorf("read preferred election: %w", err)}
	}
	if !exists {
		return nil
	}
	results, err := t.electRequested(PreferredElection, listed)
	if err != nil {
		return err
	}
	for i, r := range results {
		if r.Err != nil && !errors.Is(r.Err, ErrElectionNotNeeded) {
			t.log.Warn("preferred election failed", partitionField(listed[i]), zap.Error(r.Err))
		}
	}
	if err := t.store.DeletePreferredElection(t.ctx, t.fence); err != nil {
		return fmt.Errorf("delete preferred election: %w", err)
	}
	return (&preferredElectionChanged{}).rearm(t)
}

// rearm reads the znode once more: it may have been created again, and only a read arms the watch.
func (e *preferredElectionChanged) rearm(t *term) error {
	_, exists, err := t.store.PreferredElection(t.ctx)
	if err != nil {
		return fmt.Errorf("read preferred election: %w", err)
	}
	if exists {
		t.l.c.queue.put(e)
	}
	return nil
}

// electRequested elects where that is possible and needed; the results are in the order of the partitions.
func (t *term) electRequested(kind ElectionType, tps []meta.TopicPartition) ([]ElectionResult, error) {
	results := make([]ElectionResult, len(tps))
	var electable []*partition
	for i, tp := range tps {
		p := t.state.partition(tp)
		results[i].Leader = meta.NoBroker
		switch {
		case p == nil:
			results[i].Err = ErrUnknownTopicOrPartition
		case p.topic.queued:
			results[i].Err = ErrInvalidTopic
		case p.known && kind == PreferredElection && len(p.assignment.Replicas) > 0 && p.info.Leader == p.assignment.Replicas[0],
			p.known && kind == UncleanElection && t.state.live(p.info.Leader):
			results[i].Err = ErrElectionNotNeeded
		case !p.known: // Kafka never answers here
			results[i].Err = unelected(kind)
		default:
			electable = append(electable, p)
		}
	}
	slices.SortFunc(electable, comparePartitions)
	electable = slices.Compact(electable)
	how := electPreferred
	if kind == UncleanElection {
		how = electOffline
	}
	outcome, err := t.bringOnline(electable, how, kind == UncleanElection)
	if err != nil {
		return nil, err
	}
	for i, tp := range tps {
		if results[i].Err != nil {
			continue
		}
		p := t.state.partition(tp)
		if cause := outcome[p]; cause != nil {
			results[i].Err = fmt.Errorf("%w: %w", unelected(kind), cause)
		} else {
			results[i].Leader = p.info.Leader
		}
	}
	return results, nil
}

func unelected(kind ElectionType) error {
	if kind == UncleanElection {
		return ErrEligibleLeadersNotAvailable
	}
	return ErrPreferredLeaderNotAvailable
}

// handle tries leaderless partitions again, now that a leader outside of the ISR may be acceptable.
func (e *uncleanElectionEnabled) handle(t *term) error {
	var only *topic
	if e.topic != "" {
		if only = t.state.topics[e.topic]; only == nil {
			return nil
		}
	}
	_, err := t.bringAllOnline(only)
	return err
}
