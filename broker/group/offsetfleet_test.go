package group

import (
	"context"
	"fmt"
	"strings"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/broker/coord/coordtest"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// offsetFleet is brokers that take turns as the coordinator of partition 0, over one log and one tree, in a synctest bubble.
type offsetFleet struct {
	*memory
	ctx     context.Context
	config  OffsetConfig
	journal *coordtest.Journal
	brokers []*offsetBroker
	leader  *offsetBroker
	epoch   meta.LeaderEpoch
}

// offsetBroker is one of them.
type offsetBroker struct {
	f           *offsetFleet
	id          meta.BrokerID
	store       *memoryStore
	runtime     *coord.Runtime[*Shard]
	coordinator *Coordinator
	end         func() // returns when everything has ended
}

func newOffsetFleet(ctx context.Context, c OffsetConfig, brokers int) *offsetFleet {
	f := &offsetFleet{memory: newMemory(), ctx: ctx, config: c, journal: coordtest.New()}
	for id := range brokers {
		b := &offsetBroker{f: f, id: meta.BrokerID(id)}
		f.brokers = append(f.brokers, b)
		b.start()
	}
	return f
}

func (b *offsetBroker) start() {
	b.store = &memoryStore{memory: b.f.memory, slow: 20 * time.Millisecond}
	tree := NewOffsetTree(TreeOptions{BrokerID: b.id, Topic: "__consumer_offsets", Store: b.store, Logger: zap.NewNop()})
	options := ShardOptions{
		Config:  Config{MinSessionTimeout: time.Second, MaxSessionTimeout: time.Hour, MaxSize: 10, RetentionCheckInterval: 10 * time.Minute, RecordVersion: 3},
		Offsets: OffsetOptions{Config: b.f.config, Tree: tree, PartitionFor: func(string) (int32, bool) { return 0, true }},
		Board:   noBoard{}, NewID: func() string { return "id" }, Metrics: NewMetrics(nil), Logger: zap.NewNop(),
	}
	b.runtime = coord.New(coord.Options[*Shard]{Topic: "__consumer_offsets", Journal: b.f.journal, LoadBufferBytes: 1000,
		New: func(e *coord.Env) *Shard { return NewShard(e, options) }, Partitions: func() (int32, bool) { return 1, true },
		MaxBatchBytes: func() int { return 1 << 20 }, AppendTimeout: func() time.Duration { return 5 * time.Second }, Logger: zap.NewNop()})
	b.coordinator = NewCoordinator(b.runtime, 5*time.Second)
	ctx, cancel := context.WithCancel(b.f.ctx)
	ended := make(chan struct{}, 2)
	go func() { _ = b.runtime.Run(ctx); ended <- struct{}{} }()
	go func() { _ = tree.Run(ctx); ended <- struct{}{} }()
	b.end = func() { cancel(); <-ended; <-ended }
	synctest.Wait()
}

// lead makes a broker the leader. The one before hears of it when told says so.
func (f *offsetFleet) lead(b *offsetBroker, told time.Duration) {
	before := f.leader
	f.leader = b
	f.epoch = f.memory.lead(0, b.id)
	tp := offsetsPartition(0)
	f.journal.Resign(tp)
	f.journal.Lead(tp, f.epoch)
	epoch := f.epoch
	if before != nil && before != b {
		runtime := before.runtime
		time.AfterFunc(told, func() { runtime.Roles([]coord.Role{{Partition: 0, LeaderEpoch: epoch}}) })
	}
	if before == b {
		b.runtime.Roles([]coord.Role{{Partition: 0, LeaderEpoch: epoch}})
	}
	b.runtime.Roles([]coord.Role{{Partition: 0, LeaderEpoch: epoch, Leads: true}})
}

// die ends the leader's process between two of its steps; another broker is leader then.
func (f *offsetFleet) die() {
	old := f.leader
	old.end()
	f.lead(f.brokers[(int(old.id)+1)%len(f.brokers)], 0)
	old.start()
}

// commit commits offsets outside of transactions, by topic.
func (f *offsetFleet) commit(group string, offsets map[string]int64) error {
	return f.leader.commit(group, offsets)
}

func (b *offsetBroker) commit(group string, offsets map[string]int64) error {
	q := CommitRequest{Group: group, Generation: -1}
	for topic, offset := range offsets {
		q.Offsets = append(q.Offsets, OffsetToCommit{TopicPartition: partitionOf(topic, 0), Offset: offset, LeaderEpoch: -1, Timestamp: -1, Retention: -1})
	}
	return first(b.coordinator.Commit(b.f.ctx, q))
}

// commitTxn commits one in the transaction of a producer.
func (f *offsetFleet) commitTxn(group string, producer int64, topic string, offset int64) error {
	return f.leader.commitTxn(group, producer, topic, offset)
}

func (b *offsetBroker) commitTxn(group string, producer int64, topic string, offset int64) error {
	return first(b.coordinator.Commit(b.f.ctx, CommitRequest{Group: group, Generation: -1, Txn: true, ProducerID: producer,
		Offsets: []OffsetToCommit{{TopicPartition: partitionOf(topic, 0), Offset: offset, LeaderEpoch: -1, Timestamp: -1, Retention: -1}}}))
}

func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// mark ends a producer's transaction. tell: the coordinator hears of the marker.
func (f *offsetFleet) mark(producer int64, committed, tell bool) {
	at := f.journal.Mark(offsetsPartition(0), producer, 0, committed)
	if !tell {
		return
	}
	applied, ended := f.leader.runtime.Marker(0, at, producer, 0, committed)
	if applied != nil {
		select {
		case <-applied:
		case <-ended:
		}
	}
}

// shown is what a group has committed, as the coordinator tells, and what of it is unstable.
func (f *offsetFleet) shown(group string) string {
	plain, err := f.leader.coordinator.Fetch(f.ctx, group, nil, true, false)
	if err != nil {
		return err.Error()
	}
	var parts []string
	for _, o := range plain {
		stable, err := f.leader.coordinator.Fetch(f.ctx, group, []meta.TopicPartition{o.TopicPartition}, false, true)
		text := fmt.Sprintf("%s=%d", o.Topic, o.Offset)
		if err != nil {
			text += " " + err.Error()
		} else if stable[0].Err != nil {
			text += " unstable"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// inTree is what the tree has of a group.
func (f *offsetFleet) inTree(group string, topics ...string) string {
	var parts []string
	for _, topic := range topics {
		if o, ok := f.offset(group, partitionOf(topic, 0)); ok {
			parts = append(parts, fmt.Sprintf("%s=%d", topic, o.Offset))
		}
	}
	return strings.Join(parts, ", ")
}

func (f *offsetFleet) stop() {
	for _, b := range f.brokers {
		b.end()
	}
}

var _ OffsetStore = (*memoryStore)(nil)
