package txn

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Topic is where transactions are kept.
const Topic = "__transaction_state"

// Config is what of the broker's settings concerns transactions.
type Config struct {
	MaxTimeout      time.Duration // transaction.max.timeout.ms
	IDExpiration    time.Duration // transactional.id.expiration.ms
	AbortInterval   time.Duration // transaction.abort.timed.out.transaction.cleanup.interval.ms
	RemoveInterval  time.Duration // transaction.remove.expired.transaction.cleanup.interval.ms
	LoadBufferBytes int           // transaction.state.log.load.buffer.size
	AppendTimeout   time.Duration // for the replication of a transition
	MaxBatchBytes   func() int    // max.message.bytes of the topic
}

// Options is what a Coordinator is made of.
type Options struct {
	Config  Config
	Journal coord.Journal
	// Partitions is as in coord.Options.
	Partitions func() (n int32, known bool)
	IDs        ProducerIDs
	Sender     Sender
	Fleet      *metadata.Cache
	// Exists says whether a partition exists according to ZooKeeper.
	Exists func(ctx context.Context, tp meta.TopicPartition) (bool, error)
	Logger *zap.Logger
	// Metrics may be nil.
	Metrics prometheus.Registerer
}

// ProducerIDs hands out producer ids that no other producer of the fleet has.
type ProducerIDs interface {
	NextProducerID(ctx context.Context) (int64, error)
}

// Coordinator coordinates the transactional ids whose partition of __transaction_state this broker leads.
type Coordinator struct {
	o       Options
	runtime *coord.Runtime[*shard]
	markers *markers
	metrics *metrics
}

// New returns a coordinator that does nothing until Run.
func New(o Options) *Coordinator {
	c := &Coordinator{o: o, markers: newMarkers(&o)}
	c.metrics = newMetrics(c.markers, o.Metrics)
	c.runtime = coord.New(coord.Options[*shard]{
		Topic: Topic, Journal: o.Journal, Partitions: o.Partitions, Settled: true, LoadBufferBytes: o.Config.LoadBufferBytes,
		New:           func(e *coord.Env) *shard { return newShard(c, e) },
		MaxBatchBytes: o.Config.MaxBatchBytes,
		AppendTimeout: func() time.Duration { return o.Config.AppendTimeout },
		Logger:        o.Logger,
	})
	return c
}

// Run coordinates until ctx ends.
func (c *Coordinator) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { c.markers.run(ctx) })
	err := c.runtime.Run(ctx)
	cancel()
	wg.Wait()
	return err
}

// Roles passes on what this broker leads; see [coord.Runtime.Roles].
func (c *Coordinator) Roles(roles []coord.Role) { c.runtime.Roles(roles) }

// PartitionFor is where a transactional id is coordinated; see [coord.Runtime.PartitionFor].
func (c *Coordinator) PartitionFor(id string) int32 { return c.runtime.PartitionFor(id) }

// Marker is for topics that transactions write to, which this one is not.
func (c *Coordinator) Marker(int32, int64, int64, int16, bool) (applied, ended <-chan struct{}) {
	return nil, nil
}

// InitRequest is an InitProducerId with a transactional id.
type InitRequest struct {
	TransactionalID string
	TimeoutMs       int32
	// ProducerID and ProducerEpoch are -1, or those of a producer that goes on after an error (KIP-360).
	ProducerID    int64
	ProducerEpoch int16
}

// InitProducerID gives a producer its id and an epoch that fences all before it.
func (c *Coordinator) InitProducerID(ctx context.Context, r InitRequest) (id int64, epoch int16, err error) {
	switch {
	case r.TransactionalID == "":
		return noProducerID, noProducerEpoch, ErrInvalidRequest
	case r.TimeoutMs <= 0 || int64(r.TimeoutMs) > c.o.Config.MaxTimeout.Milliseconds():
		return noProducerID, noProducerEpoch, ErrInvalidTimeout
	}
	fresh := noProducerID
	for {
		p, err := ask(ctx, c, r.TransactionalID, func(s *shard, reply func(producer, error)) { s.initProducerID(&r, fresh, true, reply) })
		switch {
		case err == nil:
			return p.id, p.epoch, nil
		case err != errNeedsProducerID:
			return noProducerID, noProducerEpoch, err
		}
		if fresh, err = c.o.IDs.NextProducerID(ctx); err != nil {
			return noProducerID, noProducerEpoch, err
		}
	}
}

// Producer says in whose name something is done.
type Producer struct {
	TransactionalID string
	ID              int64
	Epoch           int16
}

func (p Producer) short() producer { return producer{p.ID, p.Epoch} }

// AddPartitions makes partitions part of a producer's transaction: all or none.
func (c *Coordinator) AddPartitions(ctx context.Context, p Producer, tps []meta.TopicPartition) error {
	if p.TransactionalID == "" {
		return ErrInvalidRequest
	}
	return c.do(ctx, p.TransactionalID, func(s *shard, reply func(error)) { s.add(p.TransactionalID, p.short(), tps, true, reply) })
}

// VerifyPartitions says of each partition whether it is part of a producer's transaction.
func (c *Coordinator) VerifyPartitions(ctx context.Context, p Producer, tps []meta.TopicPartition) []error {
	err := ErrInvalidRequest
	var errs []error
	if p.TransactionalID != "" {
		errs, err = ask(ctx, c, p.TransactionalID, func(s *shard, reply func([]error, error)) {
			reply(s.verify(p.TransactionalID, p.short(), tps), nil)
		})
	}
	if err != nil {
		errs = slices.Repeat([]error{err}, len(tps))
	}
	return errs
}

// EndTxn commits or aborts a producer's transaction. It returns when that is decided.
func (c *Coordinator) EndTxn(ctx context.Context, p Producer, commit bool) error {
	if p.TransactionalID == "" {
		return ErrInvalidRequest
	}
	return c.do(ctx, p.TransactionalID, func(s *shard, reply func(error)) { s.end(p.TransactionalID, p.short(), commit, reply) })
}

// Description is what is told of a transactional id.
type Description struct {
	TransactionalID string
	State           State
	ProducerID      int64
	ProducerEpoch   int16
	TimeoutMs       int32
	StartMs         int64 // -1: none
	Partitions      []meta.TopicPartition
}

func (t *transaction) describe() Description {
	return Description{TransactionalID: t.id, State: t.state, ProducerID: t.producerID, ProducerEpoch: t.producerEpoch,
		TimeoutMs: t.timeoutMs, StartMs: t.startMs, Partitions: t.partitions.sorted()}
}

// Describe tells of a transactional id that is coordinated here.
func (c *Coordinator) Describe(ctx context.Context, id string) (Description, error) {
	if id == "" {
		return Description{}, ErrInvalidRequest
	}
	return ask(ctx, c, id, func(s *shard, reply func(Description, error)) {
		if t := s.ids[id]; t != nil {
			reply(t.describe(), nil)
		} else {
			reply(Description{}, ErrNotFound)
		}
	})
}

// List tells of all transactional ids that are coordinated here. coord.ErrLoading if not all are known yet.
func (c *Coordinator) List(ctx context.Context) ([]Description, error) {
	var all []Description
	err := c.runtime.Each(ctx, func(_ int32, s *shard) {
		for _, t := range s.ids {
			if t.pending != Dead {
				all = append(all, t.describe())
			}
		}
	})
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	return all, nil
}

func (c *Coordinator) do(ctx context.Context, id string, event func(s *shard, reply func(error))) error {
	_, err := ask(ctx, c, id, func(s *shard, reply func(struct{}, error)) {
		event(s, func(err error) { reply(struct{}{}, err) })
	})
	return err
}

// ask runs an event on the shard of a transactional id and waits for its reply.
func ask[A any](ctx context.Context, c *Coordinator, id string, event func(s *shard, reply func(A, error))) (A, error) {
	type answer struct {
		a   A
		err error
	}
	answers := make(chan answer, 1) // sent to by the shard, once; it does not wait for a caller that has gone
	err := c.runtime.Do(ctx, id, func(s *shard) {
		event(s, func(a A, err error) { answers <- answer{a, err} })
	})
	if err != nil {
		var none A
		return none, unavailable(ctx, err)
	}
	select {
	case a := <-answers:
		return a.a, a.err
	case <-ctx.Done():
		var none A
		return none, unavailable(ctx, ctx.Err())
	}
}

// unavailable turns the end of a caller's patience into what clients try again after.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", coord.ErrNotAvailable, err)
	}
	return err
}
