package controller

import (
	"slices"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// handle prepares a broker's departure (Kafka's doControlledShutdown): what it leads gets another leader out of the ISR,
// what it follows stops and leaves the ISR. Partitions with a single replica stay where they are.
func (e *controlledShutdown) handle(t *term) error {
	b := t.state.brokers[e.broker]
	switch {
	case b == nil && e.epoch == meta.NoBrokerEpoch:
		e.answer.refuse(ErrBrokerNotAvailable)
		return nil
	case b == nil:
		e.answer.refuse(ErrUnknownBroker)
		return nil
	case e.epoch != meta.NoBrokerEpoch && e.epoch < b.Epoch:
		e.answer.refuse(ErrStaleBrokerEpoch)
		return nil
	}
	t.log.Info("broker is about to stop", zap.Int32("broker", int32(e.broker)))
	b.shuttingDown = true
	b.outbox.leaving.Store(true)
	movable := func(p *partition) bool {
		return p.known && !p.topic.queued && len(p.assignment.Replicas) > 1 && slices.Contains(p.assignment.Replicas, e.broker)
	}
	var led []*partition
	var followed []partitionReplica
	stopping := newBatch()
	for _, p := range t.state.partitions(movable) {
		if p.info.Leader == e.broker {
			led = append(led, p)
			continue
		}
		followed = append(followed, partitionReplica{p, e.broker})
		stopping.stopReplica(e.broker, p, false)
	}
	if _, err := t.bringOnline(led, electForShutdown, false); err != nil {
		return err
	}
	// Stopping its fetchers first gives leaders a chance not to wait for it when the ISR shrinks.
	t.send(stopping)
	if err := t.moveReplicas(followed, replicaOffline); err != nil {
		return err
	}
	var left []meta.TopicPartition
	for _, p := range t.state.partitions(movable) {
		if p.info.Leader == e.broker {
			left = append(left, p.tp())
		}
	}
	e.answer.give(left)
	return nil
}
