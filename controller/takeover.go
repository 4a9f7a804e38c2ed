package controller

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// firstRebalanceAfter is when a new controller first looks for leaders that are not the preferred ones.
const firstRebalanceAfter = 5 * time.Second

// takeOver learns the cluster and brings it in order, in the order of Kafka's onControllerFailover.
func (t *term) takeOver() error {
	if err := t.enableFeatures(); err != nil {
		return err
	}
	t.l.follow(t) // before anything is read, so that nothing is missed
	if err := t.dropNotices(); err != nil {
		return err
	}
	if err := t.learn(); err != nil {
		return err
	}
	if err := t.learnDeletions(); err != nil {
		return err
	}

	// Brokers have to know who is alive before they can follow a leader.
	b := newBatch()
	b.readAll(t.state)
	t.send(b)

	if err := t.startReplicas(); err != nil {
		return err
	}
	if err := t.startPartitions(); err != nil {
		return err
	}
	if err := t.discardStrays(); err != nil {
		return err
	}
	if err := t.resumeReassignments(); err != nil {
		return err
	}
	if err := t.resumeDeletions(); err != nil {
		return err
	}
	if err := (&preferredElectionChanged{}).handle(t); err != nil {
		return err
	}
	if t.config().AutoLeaderRebalanceEnable {
		t.rebalance = t.l.after(firstRebalanceAfter, &rebalanceDue{term: t})
	}
	return nil
}

// enableFeatures sets up /feature (KIP-584). No broker in ZooKeeper mode supports a feature, so there is never one in it.
func (t *term) enableFeatures() error {
	want := zkstore.Feature{Version: 1, Enabled: t.config().Protocol.FeatureVersions}
	if t.config().Protocol.FeatureLevels {
		want.Version = 2
	}
	have, err := t.store.Feature(t.ctx)
	var unreadable *zkstore.UnreadableError
	switch {
	case errors.Is(err, zkstore.ErrNoNode):
	case errors.As(err, &unreadable):
		t.log.Error("rewriting an unreadable znode", zap.Error(err))
	case err != nil:
		return fmt.Errorf("read features: %w", err)
	case have.Enabled == want.Enabled && have.Version == want.Version && (want.Enabled || len(have.Levels) == 0):
		return nil
	case have.Enabled && want.Enabled:
		want.Levels = have.Levels // only the format is old
	}
	if _, err := t.store.SetFeature(t.ctx, want); err != nil {
		return fmt.Errorf("write features: %w", err)
	}
	return nil
}

// dropNotices deletes what was published to the last controller: everything is read anew anyway. Reading arms the watches.
func (t *term) dropNotices() error {
	events, err := t.store.LogDirEvents(t.ctx)
	if err != nil {
		return fmt.Errorf("read log directory events: %w", err)
	}
	if err := t.deleteLogDirEvents(events); err != nil {
		return err
	}
	changes, err := t.store.ISRChanges(t.ctx)
	if err != nil {
		return fmt.Errorf("read ISR change notices: %w", err)
	}
	return t.deleteISRChanges(changes)
}

// learn reads brokers, topics and partition states. What cannot be read is logged by name and left out.
func (t *term) learn() error {
	live, _, err := t.readBrokers()
	if err != nil {
		return err
	}
	for _, b := range live {
		t.addBroker(b)
	}
	names, err := t.store.TopicNames(t.ctx)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	topics, err := t.readTopics(names)
	if err != nil {
		return err
	}
	var ps []*partition
	var tps []meta.TopicPartition
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		a := topics[name]
		of := t.state.addTopic(name, a.ID)
		for id, assignment := range a.Partitions {
			p := t.state.addPartition(of, id, assignment)
			if assignment.Reassigning() {
				t.state.reassigning[p] = struct{}{}
			}
			ps = append(ps, p)
			tps = append(tps, p.tp())
		}
	}
	states, broken, err := t.store.PartitionStates(t.ctx, tps)
	if err != nil {
		return fmt.Errorf("read partition states: %w", err)
	}
	for tp, cause := range broken {
		t.log.Error("unreadable partition state", zap.String("topic", tp.Topic), zap.Int32("partition", tp.Partition), zap.Error(cause))
	}
	for i, p := range ps {
		p.info, p.known = states[tps[i]]
	}
	return nil
}

// startReplicas sets replicas to what they are, then tells brokers: each broker gets everything it has a replica of.
// Current leader epochs are repeated, so brokers that know answer STALE_CONTROLLER_EPOCH per partition; the point is that
// they learn this controller's epoch, and that restarted ones get their partitions.
func (t *term) startReplicas() error {
	online := t.state.replicas(t.state.online)
	offline := t.state.replicas(func(p *partition, id meta.BrokerID) bool { return !t.state.online(p, id) })
	for _, r := range online {
		r.setReplicaState(r.broker, replicaOnline)
	}
	for _, r := range offline {
		r.setReplicaState(r.broker, replicaDeletionIneligible)
	}
	if err := t.startReplicasOf(online); err != nil {
		return err
	}
	return t.moveReplicas(offline, replicaOffline)
}

// startPartitions sets partitions to what they are and elects leaders where there is none.
func (t *term) startPartitions() error {
	for _, p := range t.state.partitions(nil) {
		switch {
		case !p.known:
			p.state = partitionNew
		case t.state.online(p, p.info.Leader):
			p.state = partitionOnline
		default:
			p.state = partitionOffline
		}
	}
	_, err := t.bringAllOnline(nil)
	return err
}

// discardStrays gets rid of replicas that are in an ISR but no longer assigned. They are left when a controller goes between
// writing the assignment of a cancelled or replaced reassignment and the new ISR. Nobody would look after them, but if the
// assigned replicas died first they would be all that is in sync: a partition that can never be led again.
func (t *term) discardStrays() error {
	var strays []partitionReplica
	for _, p := range t.state.partitions(func(p *partition) bool { return p.known && !p.topic.queued }) {
		stray := without(p.info.ISR, p.assignment.Replicas)
		if len(stray) == len(p.info.ISR) {
			continue // the last data there is
		}
		for _, id := range stray {
			t.log.Warn("discarding a replica that is no longer assigned", zap.String("topic", p.topic.name), zap.Int32("partition", p.id), zap.Int32("broker", int32(id)))
			p.setReplicaState(id, replicaOnline)
			strays = append(strays, partitionReplica{p, id})
		}
	}
	return t.discard(strays)
}

// each calls do for every item, up to atOnce at a time, since each call is a round trip to ZooKeeper. It waits for all of
// them and returns the errors by index.
func each[T any](atOnce int, items []T, do func(T) error) []error {
	errs := make([]error, len(items))
	if len(items) == 1 || atOnce == 1 {
		for i, item := range items {
			errs[i] = do(item)
		}
		return errs
	}
	var running sync.WaitGroup
	next := make(chan int) // sender: this function; receivers: the workers; closed when all is handed out; unbuffered
	for range min(atOnce, len(items)) {
		running.Go(func() {
			for i := range next {
				errs[i] = do(items[i])
			}
		})
	}
	for i := range items {
		next <- i
	}
	close(next)
	running.Wait()
	return errs
}

// fatal reports whether an error puts the term in doubt, rather than the one thing that was tried.
func (t *term) fatal(err error) bool {
	return errors.Is(err, zkstore.ErrFenced) || errors.Is(err, zkstore.ErrExpired) || errors.Is(err, zkstore.ErrClosed) || t.ctx.Err() != nil
}
