package coord

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Options is what a Runtime is made of.
type Options[M Machine] struct {
	Topic   string
	Journal Journal
	// New makes the machine of a shard. It is called under the Runtime's lock and must only construct.
	New func(*Env) M
	// Partitions is how many partitions the topic has. While that is not known, n is how many it will have if it is created,
	// and nothing is coordinated. It must not change while the topic exists: keys would move away from their state.
	Partitions func() (n int32, known bool)
	// Settled: nothing is coordinated before all that was replayed is on all in-sync replicas, so that no other leader can come
	// who does not have it.
	Settled bool
	// LoadBufferBytes is how much of a log is read at a time while loading.
	LoadBufferBytes int
	// MaxBatchBytes is how large a batch may be that is put together from several appends.
	MaxBatchBytes func() int
	// AppendTimeout is how long replication of an append is waited for.
	AppendTimeout func() time.Duration
	Logger        *zap.Logger
}

// Role says that this broker leads a partition of the topic, or ceased to.
type Role struct {
	Partition int32
	// LeaderEpoch is meta.NoLeaderEpoch when the replica was stopped, because the topic is deleted.
	LeaderEpoch meta.LeaderEpoch
	Leads       bool
}

// Runtime keeps a machine for each partition of one internal topic that this broker leads.
type Runtime[M Machine] struct {
	o     Options[M]
	turns chan struct{} // a slot for each shard that may load at a time

	mu struct {
		sync.Mutex
		state  runState
		ctx    context.Context // of Run
		shards map[int32]*shard[M]
		epochs map[int32]meta.LeaderEpoch // highest heard of
	}
	running sync.WaitGroup
}

type runState int8

const (
	notStarted runState = iota
	started
	stopped
)

// concurrentLoads bounds the memory for reading logs: a broker may begin to lead all partitions at once.
const concurrentLoads = 4

// New returns a runtime that coordinates nothing yet.
func New[M Machine](o Options[M]) *Runtime[M] {
	r := &Runtime[M]{o: o, turns: make(chan struct{}, concurrentLoads)}
	r.mu.shards = make(map[int32]*shard[M])
	r.mu.epochs = make(map[int32]meta.LeaderEpoch)
	return r
}

// Run coordinates until ctx ends and all machines are unloaded.
func (r *Runtime[M]) Run(ctx context.Context) error {
	r.mu.Lock()
	r.mu.state, r.mu.ctx = started, ctx
	for _, s := range r.mu.shards {
		r.startLocked(s)
	}
	r.mu.Unlock()
	<-ctx.Done()
	r.mu.Lock()
	r.mu.state = stopped
	r.mu.Unlock()
	r.running.Wait()
	return nil
}

// Roles takes news of what this broker leads, and returns without waiting for anything. News older than what is known is
// passed over.
func (r *Runtime[M]) Roles(roles []Role) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, role := range roles {
		known, seen := r.mu.epochs[role.Partition]
		switch {
		case role.LeaderEpoch == meta.NoLeaderEpoch:
			// Epochs begin anew if the topic is created again.
			delete(r.mu.epochs, role.Partition)
			r.resignLocked(role.Partition)
			continue
		case seen && role.LeaderEpoch < known:
			continue
		}
		r.mu.epochs[role.Partition] = role.LeaderEpoch
		if role.Leads {
			r.leadLocked(role)
		} else {
			r.resignLocked(role.Partition)
		}
	}
}

func (r *Runtime[M]) leadLocked(role Role) {
	if s := r.mu.shards[role.Partition]; s != nil {
		switch role.LeaderEpoch {
		case s.epoch():
			return
		case s.epoch() + 1:
			s.raise(role.LeaderEpoch)
			return
		}
		r.resignLocked(role.Partition)
	}
	if r.mu.state == stopped {
		return
	}
	s := newShard(r, role.Partition, role.LeaderEpoch)
	r.mu.shards[role.Partition] = s
	if r.mu.state == started {
		r.startLocked(s)
	}
}

func (r *Runtime[M]) startLocked(s *shard[M]) {
	ctx, cancel := context.WithCancel(r.mu.ctx)
	s.cancel = cancel
	r.running.Go(func() {
		defer cancel()
		s.run(ctx, r.turns, r.o.LoadBufferBytes, r.o.Settled)
	})
}

func (r *Runtime[M]) resignLocked(partition int32) {
	s := r.mu.shards[partition]
	if s == nil {
		return
	}
	delete(r.mu.shards, partition)
	if s.cancel != nil {
		s.cancel()
	}
}

// PartitionFor says which partition's leader coordinates a key.
func (r *Runtime[M]) PartitionFor(key string) int32 {
	n, _ := r.o.Partitions()
	return PartitionOf(key, n)
}

// Do runs event on the machine that coordinates key, and returns when it has run. The errors are ErrNotCoordinator, ErrLoading,
// ErrNotAvailable while this broker starts or stops, and ctx's; with ctx's the event may still run.
func (r *Runtime[M]) Do(ctx context.Context, key string, event func(M)) error {
	n, known := r.o.Partitions()
	if !known {
		return ErrNotCoordinator
	}
	return r.DoPartition(ctx, PartitionOf(key, n), event)
}

// DoPartition is Do for the machine of a partition.
func (r *Runtime[M]) DoPartition(ctx context.Context, partition int32, event func(M)) error {
	s, err := r.shard(partition)
	if err != nil {
		return err
	}
	if _, _, err := s.journal.Bounds(s.tp, s.epoch()); err != nil {
		return ErrNotCoordinator // deposed, and about to hear of it; or in doubt
	}
	return s.do(ctx, event)
}

func (s *shard[M]) do(ctx context.Context, event func(M)) error {
	ran := make(chan struct{}) // closed by the shard when the event has run
	if !s.mail.put(func() { event(s.machine); close(ran) }) {
		return ErrNotCoordinator
	}
	select {
	case <-ran:
		return nil
	case <-ctx.Done():
	case <-s.gone:
	}
	select {
	case <-ran:
		return nil
	default:
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return ErrNotCoordinator
}

// shard returns a loaded shard.
func (r *Runtime[M]) shard(partition int32) (*shard[M], error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.mu.shards[partition]
	switch {
	case r.mu.state != started:
		return nil, ErrNotAvailable
	case s == nil:
		return nil, ErrNotCoordinator
	case !s.loaded.Load():
		return nil, ErrLoading
	}
	return s, nil
}

// Each runs event on every loaded machine, one after the other, and returns ErrLoading if there are some that are not loaded yet.
func (r *Runtime[M]) Each(ctx context.Context, event func(partition int32, m M)) error {
	r.mu.Lock()
	state := r.mu.state
	shards := make([]*shard[M], 0, len(r.mu.shards))
	for _, s := range r.mu.shards {
		shards = append(shards, s)
	}
	r.mu.Unlock()
	if state != started {
		return ErrNotAvailable
	}
	var loading error
	for _, s := range shards {
		if !s.loaded.Load() {
			loading = ErrLoading
			continue
		}
		if err := s.do(ctx, func(m M) { event(s.env.Partition, m) }); err != nil && ctx.Err() != nil {
			return err
		}
	}
	return loading
}

// Marker says that a transaction's marker was appended at an offset of a partition of the topic. It returns a channel that is closed
// when the machine has been given it, which is when it is on all in-sync replicas; nil if there is no machine here. Who lets
// the producer begin its next transaction waits for that: the machine must not take what comes then for part of this one.
//
// If there is a machine, and it ends before, ended is closed instead: the next one will read the marker.
func (r *Runtime[M]) Marker(partition int32, offset, producerID int64, producerEpoch int16, committed bool) (applied, ended <-chan struct{}) {
	r.mu.Lock()
	s := r.mu.shards[partition]
	r.mu.Unlock()
	if s == nil {
		return nil, nil
	}
	m := &marker{at: offset, id: producerID, epoch: producerEpoch, committed: committed, applied: make(chan struct{})}
	if !s.mail.put(func() { s.marked(m) }) {
		return nil, nil
	}
	return m.applied, s.gone
}
