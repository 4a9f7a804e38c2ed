package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// fakeStore is ZooKeeper in memory, as far as the controller looks at it: versions, the fence, one-shot watches armed by
// reads. It writes down what is written. Not for concurrent use.
type fakeStore struct {
	log   func(format string, args ...any)
	fired func(event)      // hears of watches
	armed map[string]bool  // by what is watched
	fail  map[string]error // by operation: what its next call ends with
	calls map[string]int   // by operation
	hook  func(op string)  // called by each operation; may be nil

	controller   meta.BrokerID // -1: nobody
	epoch        meta.ControllerEpoch
	epochVersion int32
	feature      *zkstore.Feature

	brokers       map[meta.BrokerID]meta.Broker
	brokenBrokers map[meta.BrokerID]bool
	zxid          meta.BrokerEpoch
	topics        map[string]meta.TopicAssignment
	brokenTopics  map[string]bool
	configs       map[string]map[string]string // of topics
	states        map[meta.TopicPartition]meta.LeaderAndISR
	brokenStates  map[meta.TopicPartition]bool
	deletions     map[string]bool
	moves         []zkstore.Reassignment
	movesExist    bool
	preferred     []meta.TopicPartition
	preferredSet  bool
	isrChanges    []zkstore.ISRChange
	logDirEvents  []zkstore.LogDirEvent
	nextBlock     int64
}

func newFakeStore() *fakeStore {
	return &fakeStore{
		log:           func(string, ...any) {},
		fired:         func(event) {},
		armed:         map[string]bool{},
		fail:          map[string]error{},
		calls:         map[string]int{},
		controller:    meta.NoBroker,
		zxid:          100,
		brokers:       map[meta.BrokerID]meta.Broker{},
		brokenBrokers: map[meta.BrokerID]bool{},
		topics:        map[string]meta.TopicAssignment{},
		brokenTopics:  map[string]bool{},
		configs:       map[string]map[string]string{},
		states:        map[meta.TopicPartition]meta.LeaderAndISR{},
		brokenStates:  map[meta.TopicPartition]bool{},
		deletions:     map[string]bool{},
	}
}

// fire fires a watch if it is armed.
func (z *fakeStore) fire(what string, e event) {
	if z.armed[what] {
		z.armed[what] = false
		z.fired(e)
	}
}

func (z *fakeStore) enter(ctx context.Context, op string) error {
	z.calls[op]++
	if z.hook != nil {
		z.hook(op)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err := z.fail[op]
	delete(z.fail, op)
	return err
}

func (z *fakeStore) write(ctx context.Context, f zkstore.Fence, op string) error {
	if err := z.enter(ctx, op); err != nil {
		return err
	}
	if f != zkstore.ControllerFence(z.epochVersion) {
		return fmt.Errorf("%s: %w", op, zkstore.ErrFenced)
	}
	return nil
}

func (z *fakeStore) Controller(ctx context.Context) (zkstore.ControllerInfo, error) {
	if err := z.enter(ctx, "Controller"); err != nil {
		return zkstore.ControllerInfo{}, err
	}
	z.armed["controller"] = true
	if z.controller == meta.NoBroker {
		return zkstore.ControllerInfo{}, zkstore.ErrNoNode
	}
	return zkstore.ControllerInfo{ID: z.controller, KRaftEpoch: -1}, nil
}

func (z *fakeStore) Elect(ctx context.Context, id meta.BrokerID, now time.Time) (zkstore.Controllership, error) {
	if err := z.enter(ctx, "Elect"); err != nil {
		return zkstore.Controllership{}, err
	}
	if z.controller != meta.NoBroker {
		return zkstore.Controllership{}, zkstore.ErrElectionLost
	}
	z.controller = id
	z.epoch++
	z.epochVersion++
	z.log("zk elect %d epoch=%d", id, z.epoch)
	z.fire("controller", &controllerChanged{})
	return zkstore.Controllership{ID: id, Epoch: z.epoch, EpochVersion: z.epochVersion}, nil
}

func (z *fakeStore) Resign(ctx context.Context, f zkstore.Fence) error {
	if err := z.write(ctx, f, "Resign"); err != nil {
		return err
	}
	z.controller = meta.NoBroker
	z.log("zk delete /controller")
	z.fire("controller", &controllerChanged{})
	return nil
}

func (z *fakeStore) Feature(ctx context.Context) (zkstore.Feature, error) {
	if err := z.enter(ctx, "Feature"); err != nil {
		return zkstore.Feature{}, err
	}
	if z.feature == nil {
		return zkstore.Feature{}, zkstore.ErrNoNode
	}
	return *z.feature, nil
}

func (z *fakeStore) SetFeature(ctx context.Context, f zkstore.Feature) (int32, error) {
	if err := z.enter(ctx, "SetFeature"); err != nil {
		return 0, err
	}
	z.feature = &f
	z.log("zk feature version=%d enabled=%v", f.Version, f.Enabled)
	return 0, nil
}

func (z *fakeStore) Brokers(ctx context.Context) (map[meta.BrokerID]meta.Broker, map[meta.BrokerID]error, error) {
	if err := z.enter(ctx, "Brokers"); err != nil {
		return nil, nil, err
	}
	z.armed["brokers"] = true
	live, broken := map[meta.BrokerID]meta.Broker{}, map[meta.BrokerID]error{}
	for id, b := range z.brokers {
		if z.brokenBrokers[id] {
			broken[id] = errors.New("not JSON")
			continue
		}
		z.armed["broker "+strconv.Itoa(int(id))] = true
		live[id] = b
	}
	return live, broken, nil
}

func (z *fakeStore) Broker(ctx context.Context, id meta.BrokerID) (meta.Broker, error) {
	if err := z.enter(ctx, "Broker"); err != nil {
		return meta.Broker{}, err
	}
	b, ok := z.brokers[id]
	switch {
	case !ok:
		return b, zkstore.ErrNoNode
	case z.brokenBrokers[id]:
		return b, &zkstore.UnreadableError{Path: "/brokers/ids/" + strconv.Itoa(int(id)), Err: errors.New("not JSON")}
	}
	z.armed["broker "+strconv.Itoa(int(id))] = true
	return b, nil
}

func (z *fakeStore) TopicNames(ctx context.Context) ([]string, error) {
	if err := z.enter(ctx, "TopicNames"); err != nil {
		return nil, err
	}
	z.armed["topics"] = true
	names := slices.Collect(maps.Keys(z.topics))
	for name := range z.brokenTopics {
		if _, ok := z.topics[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (z *fakeStore) Topics(ctx context.Context, names []string) (map[string]meta.TopicAssignment, map[string]error, error) {
	if err := z.enter(ctx, "Topics"); err != nil {
		return nil, nil, err
	}
	topics, broken := map[string]meta.TopicAssignment{}, map[string]error{}
	for _, name := range names {
		a, ok := z.topics[name]
		switch {
		case z.brokenTopics[name]:
			broken[name] = errors.New("not JSON")
		case !ok:
			continue
		default:
			topics[name] = meta.TopicAssignment{ID: a.ID, Partitions: maps.Clone(a.Partitions)}
		}
		z.armed["topic "+name] = true
	}
	return topics, broken, nil
}

func (z *fakeStore) SetTopic(ctx context.Context, f zkstore.Fence, name string, a meta.TopicAssignment) error {
	if err := z.write(ctx, f, "SetTopic"); err != nil {
		return err
	}
	z.topics[name] = a
	var parts []string
	for _, id := range slices.Sorted(maps.Keys(a.Partitions)) {
		parts = append(parts, fmt.Sprintf("%d:%s", id, assignmentText(a.Partitions[id])))
	}
	z.log("zk topic %s %s", name, strings.Join(parts, " "))
	z.fire("topic "+name, &topicNodesChanged{topics: []string{name}})
	return nil
}

func (z *fakeStore) DeleteTopic(ctx context.Context, f zkstore.Fence, name string) error {
	if err := z.write(ctx, f, "DeleteTopic"); err != nil {
		return err
	}
	for tp := range z.states {
		if tp.Topic == name {
			delete(z.states, tp)
		}
	}
	delete(z.topics, name)
	delete(z.brokenTopics, name)
	delete(z.deletions, name)
	z.log("zk delete topic %s", name)
	z.fire("topic "+name, &topicNodesChanged{topics: []string{name}})
	z.fire("topics", &topicsChanged{})
	z.fire("deletions", &deletionsChanged{})
	return nil
}

func (z *fakeStore) Configs(ctx context.Context, es []meta.Entity) (map[meta.Entity]map[string]string, map[meta.Entity]error, error) {
	if err := z.enter(ctx, "Configs"); err != nil {
		return nil, nil, err
	}
	configs := map[meta.Entity]map[string]string{}
	for _, e := range es {
		if c, ok := z.configs[e.Name]; ok {
			configs[e] = c
		}
	}
	return configs, nil, nil
}

func (z *fakeStore) PartitionStates(ctx context.Context, tps []meta.TopicPartition) (map[meta.TopicPartition]meta.LeaderAndISR, map[meta.TopicPartition]error, error) {
	if err := z.enter(ctx, "PartitionStates"); err != nil {
		return nil, nil, err
	}
	states, broken := map[meta.TopicPartition]meta.LeaderAndISR{}, map[meta.TopicPartition]error{}
	for _, tp := range tps {
		if z.brokenStates[tp] {
			broken[tp] = errors.New("not JSON")
		} else if s, ok := z.states[tp]; ok {
			states[tp] = s
		}
	}
	return states, broken, nil
}

func (z *fakeStore) CreatePartitionStates(ctx context.Context, f zkstore.Fence, states map[meta.TopicPartition]meta.LeaderAndISR) (map[meta.TopicPartition]meta.PartitionEpoch, map[meta.TopicPartition]error, error) {
	if err := z.write(ctx, f, "CreatePartitionStates"); err != nil {
		return nil, nil, err
	}
	created, failed := map[meta.TopicPartition]meta.PartitionEpoch{}, map[meta.TopicPartition]error{}
	for _, tp := range slices.SortedFunc(maps.Keys(states), meta.TopicPartition.Compare) {
		if _, ok := z.states[tp]; ok || z.brokenStates[tp] {
			failed[tp] = zkstore.ErrNodeExists
			continue
		}
		s := states[tp]
		s.PartitionEpoch = 0
		z.states[tp] = s
		created[tp] = 0
		z.log("zk create %s %s", tp, stateText(s))
	}
	return created, failed, nil
}

func (z *fakeStore) UpdatePartitionStates(ctx context.Context, f zkstore.Fence, states map[meta.TopicPartition]meta.LeaderAndISR) (map[meta.TopicPartition]meta.PartitionEpoch, map[meta.TopicPartition]error, error) {
	if err := z.write(ctx, f, "UpdatePartitionStates"); err != nil {
		return nil, nil, err
	}
	updated, failed := map[meta.TopicPartition]meta.PartitionEpoch{}, map[meta.TopicPartition]error{}
	for _, tp := range slices.SortedFunc(maps.Keys(states), meta.TopicPartition.Compare) {
		old, ok := z.states[tp]
		s := states[tp]
		switch {
		case !ok:
			failed[tp] = zkstore.ErrNoNode
		case old.PartitionEpoch != s.PartitionEpoch:
			failed[tp] = zkstore.ErrBadVersion
			z.log("zk conflict %s", tp)
		default:
			s.PartitionEpoch++
			z.states[tp] = s
			updated[tp] = s.PartitionEpoch
			z.log("zk set %s %s", tp, stateText(s))
		}
	}
	return updated, failed, nil
}

func (z *fakeStore) TopicDeletions(ctx context.Context) ([]string, error) {
	if err := z.enter(ctx, "TopicDeletions"); err != nil {
		return nil, err
	}
	z.armed["deletions"] = true
	return slices.Sorted(maps.Keys(z.deletions)), nil
}

func (z *fakeStore) UnmarkTopicDeletions(ctx context.Context, f zkstore.Fence, topics []string) error {
	if err := z.write(ctx, f, "UnmarkTopicDeletions"); err != nil {
		return err
	}
	for _, name := range topics {
		delete(z.deletions, name)
		z.log("zk unmark deletion of %s", name)
	}
	z.fire("deletions", &deletionsChanged{})
	return nil
}

func (z *fakeStore) Reassignments(ctx context.Context) ([]zkstore.Reassignment, bool, error) {
	if err := z.enter(ctx, "Reassignments"); err != nil {
		return nil, false, err
	}
	z.armed["moves"] = true
	return slices.Clone(z.moves), z.movesExist, nil
}

func (z *fakeStore) SetReassignments(ctx context.Context, f zkstore.Fence, rs []zkstore.Reassignment) error {
	if err := z.write(ctx, f, "SetReassignments"); err != nil {
		return err
	}
	z.moves, z.movesExist = rs, len(rs) > 0
	z.log("zk reassign_partitions %d left", len(rs))
	z.fire("moves", &reassignmentsChanged{})
	return nil
}

func (z *fakeStore) PreferredElection(ctx context.Context) ([]meta.TopicPartition, bool, error) {
	if err := z.enter(ctx, "PreferredElection"); err != nil {
		return nil, false, err
	}
	z.armed["preferred"] = true
	return z.preferred, z.preferredSet, nil
}

func (z *fakeStore) DeletePreferredElection(ctx context.Context, f zkstore.Fence) error {
	if err := z.write(ctx, f, "DeletePreferredElection"); err != nil {
		return err
	}
	z.preferred, z.preferredSet = nil, false
	z.log("zk delete preferred_replica_election")
	z.fire("preferred", &preferredElectionChanged{})
	return nil
}

func (z *fakeStore) ISRChanges(ctx context.Context) ([]zkstore.ISRChange, error) {
	if err := z.enter(ctx, "ISRChanges"); err != nil {
		return nil, err
	}
	z.armed["isr"] = true
	return slices.Clone(z.isrChanges), nil
}

func (z *fakeStore) DeleteISRChanges(ctx context.Context, f zkstore.Fence, nodes []string) error {
	if err := z.write(ctx, f, "DeleteISRChanges"); err != nil {
		return err
	}
	z.isrChanges = slices.DeleteFunc(z.isrChanges, func(c zkstore.ISRChange) bool { return slices.Contains(nodes, c.Node) })
	z.log("zk delete %s", strings.Join(nodes, " "))
	return nil
}

func (z *fakeStore) LogDirEvents(ctx context.Context) ([]zkstore.LogDirEvent, error) {
	if err := z.enter(ctx, "LogDirEvents"); err != nil {
		return nil, err
	}
	z.armed["logdirs"] = true
	return slices.Clone(z.logDirEvents), nil
}

func (z *fakeStore) DeleteLogDirEvents(ctx context.Context, f zkstore.Fence, nodes []string) error {
	if err := z.write(ctx, f, "DeleteLogDirEvents"); err != nil {
		return err
	}
	z.logDirEvents = slices.DeleteFunc(z.logDirEvents, func(e zkstore.LogDirEvent) bool { return slices.Contains(nodes, e.Node) })
	z.log("zk delete %s", strings.Join(nodes, " "))
	return nil
}

func (z *fakeStore) AllocateProducerIDs(ctx context.Context, broker meta.BrokerID) (zkstore.ProducerIDBlock, error) {
	if err := z.enter(ctx, "AllocateProducerIDs"); err != nil {
		return zkstore.ProducerIDBlock{}, err
	}
	first := z.nextBlock
	z.nextBlock += zkstore.ProducerIDBlockSize
	z.log("zk producer ids %d-%d broker=%d", first, z.nextBlock-1, broker)
	return zkstore.ProducerIDBlock{Broker: broker, First: first, Last: z.nextBlock - 1}, nil
}

func (z *fakeStore) WatchController() *zkstore.Watch        { return &zkstore.Watch{} }
func (z *fakeStore) WatchBrokers() *zkstore.Watch           { return &zkstore.Watch{} }
func (z *fakeStore) WatchBrokerNodes() *zkstore.Watch       { return &zkstore.Watch{} }
func (z *fakeStore) WatchTopics() *zkstore.Watch            { return &zkstore.Watch{} }
func (z *fakeStore) WatchTopicNodes() *zkstore.Watch        { return &zkstore.Watch{} }
func (z *fakeStore) WatchTopicDeletions() *zkstore.Watch    { return &zkstore.Watch{} }
func (z *fakeStore) WatchReassignments() *zkstore.Watch     { return &zkstore.Watch{} }
func (z *fakeStore) WatchPreferredElection() *zkstore.Watch { return &zkstore.Watch{} }
func (z *fakeStore) WatchISRChanges() *zkstore.Watch        { return &zkstore.Watch{} }
func (z *fakeStore) WatchLogDirEvents() *zkstore.Watch      { return &zkstore.Watch{} }

func stateText(s meta.LeaderAndISR) string {
	text := fmt.Sprintf("leader=%d isr=%s e=%d v=%d", s.Leader, idsText(s.ISR), s.LeaderEpoch, s.PartitionEpoch)
	if s.RecoveryState != meta.Recovered {
		text += " recovering"
	}
	if s.ControllerEpoch != 1 {
		text += fmt.Sprintf(" controller_epoch=%d", s.ControllerEpoch)
	}
	return text
}

func assignmentText(a meta.Assignment) string {
	text := idsText(a.Replicas)
	if len(a.Adding) > 0 {
		text += "+" + idsText(a.Adding)
	}
	if len(a.Removing) > 0 {
		text += "-" + idsText(a.Removing)
	}
	return text
}

func idsText[T ~int32](ids []T) string {
	if len(ids) == 0 {
		return "none"
	}
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.Itoa(int(id))
	}
	return strings.Join(texts, ",")
}
