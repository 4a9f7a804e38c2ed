package controller

import (
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Why a partition could not be changed. They end up in the log, and in answers as something a client knows.
var (
	errNoState         = errors.New("partition has no state in ZooKeeper")
	errNewerController = errors.New("partition state was written by a newer controller")
	errNoLeader        = errors.New("no replica can lead")
	errTransition      = errors.New("not a legal transition")
)

// legal returns the partitions that may go to a state, and logs those that may not.
func (t *term) legal(ps []*partition, to partitionState) []*partition {
	ok := make([]*partition, 0, len(ps))
	for _, p := range ps {
		if p.state.may(to) {
			ok = append(ok, p)
		} else {
			t.log.Error("illegal partition transition", zap.String("topic", p.topic.name), zap.Int32("partition", p.id),
				zap.Stringer("from", p.state), zap.Stringer("to", to))
		}
	}
	return ok
}

// movePartitions makes partitions New, Offline or NonExistent, which is a matter of memory only.
func (t *term) movePartitions(ps []*partition, to partitionState) {
	for _, p := range t.legal(ps, to) {
		p.state = to
	}
}

// bringOnline elects leaders: New partitions get their first one, the others by the strategy. It sends what is to be
// told. The outcome of elections is in the map, first leaders are not.
func (t *term) bringOnline(ps []*partition, how strategy, unclean bool) (map[*partition]error, error) {
	outcome := make(map[*partition]error)
	var fresh, led []*partition
	for _, p := range ps {
		switch {
		case !p.state.may(partitionOnline):
			outcome[p] = fmt.Errorf("%w: partition is %s", errTransition, p.state)
			t.log.Error("illegal partition transition", zap.String("topic", p.topic.name), zap.Int32("partition", p.id),
				zap.Stringer("from", p.state), zap.Stringer("to", partitionOnline))
		case p.state == partitionNew:
			fresh = append(fresh, p)
		default:
			led = append(led, p)
		}
	}
	b := newBatch()
	adopted, err := t.firstLeaders(b, fresh)
	if err == nil {
		led = append(led, adopted...)
		err = t.electAll(b, led, how, unclean, outcome)
	}
	t.send(b) // also what was written before an error
	return outcome, err
}

// firstLeaders gives New partitions their first leader and their state znode. Those that turn out to have a state already
// are returned, Offline, to be treated like partitions that had a leader before: Kafka leaves them New until the next
// controller takes over (a lost reply to the create is enough to get there).
func (t *term) firstLeaders(b *batch, ps []*partition) (adopted []*partition, err error) {
	states := make(map[meta.TopicPartition]meta.LeaderAndISR, len(ps))
	var creating []*partition
	for _, p := range ps {
		first, ok := firstLeader(p.assignment, func(id meta.BrokerID) bool { return t.state.online(p, id) })
		if !ok {
			t.log.Warn("no replica of a new partition is alive", zap.String("topic", p.topic.name), zap.Int32("partition", p.id))
			continue
		}
		first.ControllerEpoch = t.epoch
		states[p.tp()] = first
		creating = append(creating, p)
	}
	if len(creating) == 0 {
		return nil, nil
	}
	created, failed, err := t.store.CreatePartitionStates(t.ctx, t.fence, states)
	for _, p := range creating {
		tp := p.tp()
		epoch, ok := created[tp]
		if !ok {
			if errors.Is(failed[tp], zkstore.ErrNodeExists) {
				adopted = append(adopted, p)
			} else if err == nil {
				t.log.Error("cannot create the state of a partition", partitionField(tp), zap.Error(failed[tp]))
			}
			continue
		}
		p.state, p.known, p.info = partitionOnline, true, states[tp]
		p.info.PartitionEpoch = epoch
		b.tellLeadership(t.state, p.info.ISR, p, true)
	}
	if err != nil {
		return nil, fmt.Errorf("create partition states: %w", err)
	}
	t.movePartitions(adopted, partitionOffline)
	return adopted, nil
}

// electAll elects leaders of partitions that had one before.
func (t *term) electAll(b *batch, ps []*partition, how strategy, unclean bool, outcome map[*partition]error) error {
	recipients := make(map[*partition][]meta.BrokerID, len(ps))
	changed, failed, err := t.update(ps, func(ps []*partition, now func(*partition) meta.LeaderAndISR) ([]verdict, error) {
		refused, err := t.uncleanRefused(ps, now, how, unclean)
		if err != nil {
			return nil, err
		}
		verdicts := make([]verdict, len(ps))
		for i, p := range ps {
			next, to, dirty, ok := elect(how, electorate{
				assignment: p.assignment,
				current:    now(p),
				online:     func(id meta.BrokerID) bool { return t.state.online(p, id) },
				leaving:    t.leaving,
				unclean:    refused[p.topic] == nil,
				recovering: t.config().Protocol.LeaderRecovery,
			})
			if !ok {
				verdicts[i].err = errNoLeader
				if cause := refused[p.topic]; cause != nil && !errors.Is(cause, errCleanOnly) {
					verdicts[i].err = cause
				}
				continue
			}
			verdicts[i].next = next
			recipients[p] = to
			if dirty {
				t.l.c.metrics.unclean.Inc()
				t.log.Warn("unclean leader election", zap.String("topic", p.topic.name), zap.Int32("partition", p.id),
					zap.Int32("leader", int32(next.Leader)), zap.Any("was_in_sync", now(p).ISR))
			}
		}
		return verdicts, nil
	})
	for _, p := range changed {
		p.state = partitionOnline
		b.tellLeadership(t.state, recipients[p], p, false)
		outcome[p] = nil
	}
	if len(changed) > 0 {
		t.log.Info("leaders elected", zap.Int("partitions", len(changed)), zap.Stringer("strategy", how))
	}
	for p, cause := range failed {
		outcome[p] = cause
		t.log.Debug("no leader elected", partitionField(p.tp()), zap.Stringer("strategy", how), zap.Error(cause))
	}
	t.logLeaderless(failed, how)
	return err
}

// logLeaderless tells of partitions that nobody could be elected for: of many in one line.
func (t *term) logLeaderless(failed map[*partition]error, how strategy) {
	for p, cause := range failed {
		log := t.log.Info // the leader of before goes on
		if how == electOffline {
			log = t.log.Warn
		}
		log("no leader could be elected", zap.Int("partitions", len(failed)), zap.Stringer("strategy", how),
			zap.Stringer("for_example", p.tp()), zap.NamedError("because", cause))
		return
	}
}

func (t *term) leaving(id meta.BrokerID) bool {
	b := t.state.brokers[id]
	return b != nil && b.shuttingDown
}

// errCleanOnly says that a topic's leaders must come from the ISR.
var errCleanOnly = errors.New("unclean election is not allowed")

// uncleanRefused returns, for topics with a partition that nobody of its ISR can lead but another replica could, why that
// must not be; a topic that is not in it, or with nil, may. Only such topics' configs are read.
func (t *term) uncleanRefused(ps []*partition, now func(*partition) meta.LeaderAndISR, how strategy, unclean bool) (map[*topic]error, error) {
	if how != electOffline || unclean {
		return nil, nil
	}
	refused := make(map[*topic]error)
	var entities []meta.Entity
	for _, p := range ps {
		inSync := func(id meta.BrokerID) bool { return t.state.online(p, id) }
		if _, asked := refused[p.topic]; asked || first(now(p).ISR, inSync) != meta.NoBroker || first(p.assignment.Replicas, inSync) == meta.NoBroker {
			continue
		}
		refused[p.topic] = errCleanOnly
		entities = append(entities, meta.Entity{Type: meta.TopicEntity, Name: p.topic.name})
	}
	if len(entities) == 0 {
		return refused, nil
	}
	configs, broken, err := t.store.Configs(t.ctx, entities)
	if err != nil {
		return nil, fmt.Errorf("read topic configs: %w", err)
	}
	byDefault := t.config().UncleanLeaderElectionEnable()
	for topic := range refused {
		entity := meta.Entity{Type: meta.TopicEntity, Name: topic.name}
		if cause := broken[entity]; cause != nil {
			refused[topic] = cause
			continue
		}
		if isTrue(configs[entity]["unclean.leader.election.enable"], byDefault) {
			refused[topic] = nil
		}
	}
	return refused, nil
}

// isTrue reads a boolean config as Kafka does.
func isTrue(override string, byDefault bool) bool {
	if override == "" {
		return byDefault
	}
	return strings.EqualFold(strings.TrimSpace(override), "true")
}

// bringAllOnline tries every partition without a leader, of one topic or of all, that is not queued for deletion.
func (t *term) bringAllOnline(only *topic) (map[*partition]error, error) {
	waiting := func(p *partition) bool {
		return (p.state == partitionOffline || p.state == partitionNew) && !p.topic.queued
	}
	if only != nil {
		return t.bringOnline(only.sorted(waiting), electOffline, false)
	}
	return t.bringOnline(t.state.partitions(waiting), electOffline, false)
}
