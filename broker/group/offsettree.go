package group

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// OffsetStore is ZooKeeper as offsets need it. Met in package broker, over the zkstore.Store of the present session.
type OffsetStore interface {
	// PartitionState fails with zkstore.ErrNoNode when there is none.
	PartitionState(ctx context.Context, tp meta.TopicPartition) (meta.LeaderAndISR, error)
	// WriteOffsets is zkstore.Store's: all or nothing, behind all fences.
	WriteOffsets(ctx context.Context, fences []zkstore.Fence, writes []zkstore.OffsetWrite) error
	PruneOffsets(ctx context.Context, f zkstore.Fence, group string, topics []string) error
	GroupOffsets(ctx context.Context, group string) (map[meta.TopicPartition]zkstore.CommittedOffset, map[meta.TopicPartition]error, error)
	// HasMembers reports whether somebody is registered as a member of a group.
	HasMembers(ctx context.Context, group string) (bool, error)
	// OffsetGroups lists every group that has a znode.
	OffsetGroups(ctx context.Context) ([]string, error)
}

// TreeOptions is what an OffsetTree is made of.
type TreeOptions struct {
	BrokerID meta.BrokerID
	Topic    string // whose partitions' leaders coordinate groups
	Store    OffsetStore
	Metrics  *TreeMetrics
	Logger   *zap.Logger
}

// OffsetTree is the offsets in ZooKeeper as the shards of one broker share them: all write through a few requests under way at a
// time, each with what has gathered since the last. Its guarantees:
//
//   - A write is answered when it, or a newer one of the same partition, is durable, and not before.
//   - Of one partition at most one value is under way, and what waits behind it is the newest: nothing older ever replaces
//     something newer.
//   - Every request checks, for all coordinators concerned, that the partition they lead has not changed hands: the write of
//     one that was deposed changes nothing, however late it arrives.
//   - A request whose outcome is unknown is followed by one with the same partitions; it may say the same again.
//
// What one coordinator is refused does not hold others up: the rest is sent again without it.
type OffsetTree struct {
	o TreeOptions

	mu struct {
		sync.Mutex
		toWrite sync.Cond // checks or queue grew, or stopped
		toRead  sync.Cond // reads grew, or stopped
		stopped bool
		lanes   map[int32]*OffsetLane // the latest of each partition
		checks  []*OffsetLane         // whose fence is to be looked at
		queue   []*slot               // with something to send, oldest first
		reads   []func(context.Context)
	}
}

// How many requests are under way at a time. While they are, the rest gathers; more would make them smaller, not faster.
const (
	treeWriters = 3
	treeReaders = 4
)

// NewOffsetTree returns a tree that does nothing until Run.
func NewOffsetTree(o TreeOptions) *OffsetTree {
	t := &OffsetTree{o: o}
	t.mu.toWrite.L, t.mu.toRead.L = &t.mu.Mutex, &t.mu.Mutex
	t.mu.lanes = map[int32]*OffsetLane{}
	return t
}

// Run writes and reads until ctx ends. What is then under way is left to its fate, and nobody is told that it succeeded.
func (t *OffsetTree) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	for range treeWriters {
		workers.Go(func() { t.write(ctx) })
	}
	for range treeReaders {
		workers.Go(func() { t.read(ctx) })
	}
	<-ctx.Done()
	t.mu.Lock()
	t.mu.stopped = true
	t.mu.toWrite.Broadcast()
	t.mu.toRead.Broadcast()
	t.mu.Unlock()
	workers.Wait()
	return nil
}

// Open gives the coordinator of a partition its way to the tree. post runs a function on the shard's goroutine, where all callbacks
// run. Nothing is written before the tree has confirmed that this broker leads the partition.
func (t *OffsetTree) Open(partition int32, epoch meta.LeaderEpoch, post func(func())) *OffsetLane {
	l := &OffsetLane{tree: t, tp: meta.TopicPartition{Topic: t.o.Topic, Partition: partition}, post: post}
	l.logger = t.o.Logger.With(zap.String("topic", t.o.Topic), zap.Int32("partition", partition))
	l.mu.epoch = epoch
	l.mu.slots = map[slotKey]*slot{}
	t.mu.Lock()
	defer t.mu.Unlock()
	if before := t.mu.lanes[partition]; before != nil { // its last request must have landed, or been refused, before ours is sent
		if l.mu.after = before.mu.after; before.mu.underWay > 0 {
			l.mu.after = before
		}
	}
	t.mu.lanes[partition] = l
	l.checkLocked()
	return l
}

// pauses between attempts that ZooKeeper left without an answer, as when there is no session.
const (
	firstTreePause = 20 * time.Millisecond
	lastTreePause  = time.Second
)

// backoff waits longer each time.
type backoff struct{ last time.Duration }

func (b *backoff) reset() { b.last = 0 }

func (b *backoff) wait(ctx context.Context) {
	b.last = min(max(2*b.last, firstTreePause), lastTreePause)
	select {
	case <-ctx.Done():
	case <-time.After(b.last):
	}
}
