package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// readBrokers reads the registrations, in order of id. Those that cannot be used are logged and left out; unusable has
// those of brokers that must not be taken for dead only because their znode is broken now.
func (t *term) readBrokers() (live []meta.Broker, unusable map[meta.BrokerID]bool, err error) {
	read, broken, err := t.store.Brokers(t.ctx)
	if err != nil {
		return nil, nil, harmless{fmt.Errorf("read brokers: %w", err)}
	}
	unusable = make(map[meta.BrokerID]bool)
	for id, cause := range broken {
		t.log.Error("unreadable broker registration", zap.Int32("broker", int32(id)), zap.Error(cause))
		unusable[id] = true
	}
	for _, id := range slices.Sorted(maps.Keys(read)) {
		if err := t.usable(read[id]); err != nil {
			t.log.Error("broker registration passed over", zap.Int32("broker", int32(id)), zap.Error(err))
			known := t.state.brokers[id]
			unusable[id] = known != nil && known.Epoch == read[id].Epoch
			continue
		}
		live = append(live, read[id])
	}
	return live, unusable, nil
}

// usable says why a broker cannot take part. Without the inter-broker listener nobody could follow it; in Kafka such a
// registration makes every controller resign.
func (t *term) usable(b meta.Broker) error {
	if _, ok := b.Endpoint(t.config().InterBrokerListener); !ok {
		return fmt.Errorf("it does not advertise the inter-broker listener %q", t.config().InterBrokerListener)
	}
	return nil
}

// addBroker makes a broker known and starts its sender.
func (t *term) addBroker(registered meta.Broker) *broker {
	b := &broker{Broker: registered, offline: make(map[*partition]struct{})}
	ctx, cancel := context.WithCancel(t.ctx)
	queue := t.l.c.queue
	b.outbox = &outbox{
		sender:  t.l.c.opts.Sender,
		mayAct:  t.l.c.opts.MayAct,
		backoff: t.config().RetryBackoff,
		log:     t.log,
		retries: t.l.c.metrics.retries.Inc,
		waited:  t.l.c.metrics.outbox(b.ID).Took,
		answered: func(l letter, answer kmsg.Response) {
			queue.put(&answered{term: t, broker: b, letter: l, answer: answer})
		},
		cancel: cancel,
		wake:   make(chan struct{}, 1),
	}
	b.outbox.to.Store(&registered)
	t.state.brokers[b.ID] = b
	t.l.start(t, ctx, b.outbox)
	return b
}

// dropBroker forgets a broker; requests it did not get are dropped, and so is what was known of its log directories.
func (t *term) dropBroker(id meta.BrokerID) {
	if b := t.state.brokers[id]; b != nil {
		b.outbox.cancel()
		delete(t.state.brokers, id)
		t.l.c.metrics.forgetOutbox(id)
	}
}

// handle finds out which brokers came, went, or came back under a new epoch.
func (e *brokersChanged) handle(t *term) error {
	live, unusable, err := t.readBrokers()
	if err != nil {
		return err
	}
	registered := make(map[meta.BrokerID]bool, len(live))
	var born, bounced []meta.Broker
	var died []meta.BrokerID
	for _, b := range live {
		registered[b.ID] = true
		switch known := t.state.brokers[b.ID]; {
		case known == nil:
			born = append(born, b)
		case known.Epoch < b.Epoch:
			bounced = append(bounced, b)
		}
	}
	for _, id := range t.state.brokerIDs() {
		if !registered[id] && !unusable[id] {
			died = append(died, id)
		}
	}
	if len(born)+len(bounced)+len(died) > 0 {
		t.log.Info("brokers changed", brokersField("came", idsOf(born)), brokersField("came_back", idsOf(bounced)), brokersField("gone", died))
	}
	if len(born) > 0 {
		if err := t.brokersBorn(born); err != nil {
			return err
		}
	}
	if len(bounced) > 0 {
		if err := t.brokersDied(idsOf(bounced)); err != nil {
			return err
		}
		if err := t.brokersBorn(bounced); err != nil {
			return err
		}
	}
	if len(died) > 0 {
		return t.brokersDied(died)
	}
	return nil
}

func idsOf(bs []meta.Broker) []meta.BrokerID {
	ids := make([]meta.BrokerID, len(bs))
	for i, b := range bs {
		ids[i] = b.ID
	}
	return ids
}

// brokersBorn takes up new brokers: everybody learns of them, they learn everything, and what waited for them goes on.
func (t *term) brokersBorn(born []meta.Broker) error {
	others := t.state.brokerIDs()
	ids := idsOf(born)
	for _, b := range born {
		t.addBroker(b)
	}
	// The others only need the longer list of brokers; it must be there before partitions that the new ones lead.
	b := newBatch()
	b.tellMetadata(others, nil)
	t.send(b)
	b = newBatch()
	b.tellMetadata(ids, t.state.partitions(func(p *partition) bool { return p.known && !p.topic.queued }))
	t.send(b)

	theirs := t.state.replicas(func(p *partition, id meta.BrokerID) bool {
		return slices.Contains(ids, id) && p.replicaState(id) != replicaDeletionSuccessful
	})
	if err := t.startReplicasOf(theirs); err != nil {
		return err
	}
	if _, err := t.bringAllOnline(nil); err != nil {
		return err
	}
	if err := t.resumeReassignmentsTo(ids); err != nil {
		return err
	}
	waiting := make(map[*topic]struct{})
	for _, r := range theirs {
		if r.topic.queued {
			waiting[r.topic] = struct{}{}
		}
	}
	return t.resumeDeletionsOf(waiting)
}

// brokersDied lets go of brokers whose registration is gone.
func (t *term) brokersDied(ids []meta.BrokerID) error {
	for _, id := range ids {
		t.dropBroker(id)
	}
	return t.replicasLost(t.state.replicas(func(_ *partition, id meta.BrokerID) bool { return slices.Contains(ids, id) }))
}

// replicasLost deals with replicas that went offline together with their broker or log directory: new leaders where they
// led, out of the ISR where they followed.
func (t *term) replicasLost(lost []partitionReplica) error {
	t.movePartitions(t.state.partitions(func(p *partition) bool {
		return p.known && !p.topic.queued && !t.state.online(p, p.info.Leader)
	}), partitionOffline)
	elected, err := t.bringAllOnline(nil)
	if err != nil {
		return err
	}
	var kept, deleting []partitionReplica
	for _, r := range lost {
		if r.topic.queued {
			deleting = append(deleting, r)
		} else {
			kept = append(kept, r)
		}
	}
	if err := t.moveReplicas(kept, replicaOffline); err != nil {
		return err
	}
	if err := t.deletionFailed(deleting); err != nil {
		return err
	}
	if len(kept) > 0 {
		return nil
	}
	for _, cause := range elected {
		if cause == nil {
			return nil
		}
	}
	// Nothing was sent so far, but everybody has to learn of the shorter list of brokers.
	b := newBatch()
	b.readAll(t.state)
	t.send(b)
	return nil
}

// handle takes over rewritten registrations. Only endpoints matter; a new rack counts from the next registration on.
func (e *brokerNodesChanged) handle(t *term) error {
	changed := false
	for id, b := range t.state.brokers {
		if len(e.ids) > 0 && !slices.Contains(e.ids, strconv.Itoa(int(id))) {
			continue
		}
		now, err := t.store.Broker(t.ctx, id)
		var unreadable *zkstore.UnreadableError
		switch {
		case errors.Is(err, zkstore.ErrNoNode):
			continue // its death is another event
		case errors.As(err, &unreadable):
			t.log.Error("unreadable broker registration", zap.Int32("broker", int32(id)), zap.Error(err))
			continue
		case err != nil:
			return harmless{fmt.Errorf("read broker %d: %w", id, err)}
		}
		if now.Epoch != b.Epoch || slices.Equal(now.Endpoints, b.Endpoints) {
			continue
		}
		if err := t.usable(now); err != nil {
			t.log.Error("new endpoints of a broker passed over", zap.Int32("broker", int32(id)), zap.Error(err))
			continue
		}
		b.Endpoints = now.Endpoints
		registered := b.Broker
		b.outbox.to.Store(&registered)
		changed = true
	}
	if changed {
		b := newBatch()
		b.readAll(t.state)
		t.send(b)
	}
	return nil
}
