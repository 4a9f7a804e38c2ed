package broker

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/broker/replica"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// The internal topics.
const (
	offsetsTopic = "__consumer_offsets"
	txnTopic     = "__transaction_state"
)

// coordinators connects what coordinates over internal topics with the rest of the broker: it passes on which partitions are
// led, knows how many there are, and has the topics made. It implements api.Placement.
type coordinators struct {
	b      *Broker
	log    *zap.Logger
	topics map[string]*coordinated
	beside []func(context.Context) error // what else runs as long as the coordinators do

	create struct {
		sync.Mutex
		wanted map[string]struct{} // topics to be made
	}
	// wake says that there are topics to be made. Sent to by EnsureTopic, received by Run, never closed; capacity 1, it says
	// "look".
	wake chan struct{}
	// make is told by Run to make a topic, one at a time.
	make func(ctx context.Context, topic string) error
}

// coordinated is one internal topic.
type coordinated struct {
	runtime runtime // nil: this broker coordinates nothing over it
	// partitions is how many the topic has, read from ZooKeeper when this broker hears of it, and kept as long as there is such
	// a topic: keys must not move away from their state. 0: not known.
	partitions atomic.Int32
	configured int32 // how many it will have
}

// runtime is a coord.Runtime of whatever machines.
type runtime interface {
	Run(ctx context.Context) error
	Roles(roles []coord.Role)
	PartitionFor(key string) int32
	Marker(partition int32, offset, producerID int64, producerEpoch int16, committed bool) (applied, ended <-chan struct{})
}

func newCoordinators(b *Broker) *coordinators {
	cfg := b.dynamic.Current()
	return &coordinators{
		b: b, log: b.o.Logging.Logger("coordlink"), wake: make(chan struct{}, 1),
		topics: map[string]*coordinated{
			offsetsTopic: {configured: cfg.Offsets.TopicPartitions},
			txnTopic:     {configured: cfg.Txn.TopicPartitions},
		},
	}
}

// rolesChanged is told by the replica manager under its control lock.
func (c *coordinators) rolesChanged(changes []replica.RoleChange) {
	for topic, t := range c.topics {
		if t.runtime == nil {
			continue
		}
		var roles []coord.Role
		for _, r := range changes {
			if r.Partition.Topic == topic {
				roles = append(roles, coord.Role{Partition: r.Partition.Partition, LeaderEpoch: r.LeaderEpoch, Leads: r.Leads})
			}
		}
		if len(roles) > 0 {
			t.runtime.Roles(roles)
		}
	}
}

// Marked implements api.Placement.
func (c *coordinators) Marked(tp meta.TopicPartition, offset, producerID int64, producerEpoch int16, committed bool) (applied, ended <-chan struct{}) {
	if t := c.topics[tp.Topic]; t != nil && t.runtime != nil {
		return t.runtime.Marker(tp.Partition, offset, producerID, producerEpoch, committed)
	}
	return nil, nil
}

// Run coordinates until ctx ends.
func (c *coordinators) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	failed := make(chan error, len(c.topics)+len(c.beside)) // one slot for each that runs; nobody closes it
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, t := range c.topics {
		if t.runtime == nil {
			continue
		}
		wg.Go(func() {
			if err := t.runtime.Run(ctx); err != nil {
				failed <- err
				cancel()
			}
		})
	}
	for _, run := range c.beside {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				failed <- err
				cancel()
			}
		})
	}
	wg.Go(func() { c.countPartitions(ctx) })
	wg.Go(func() { c.makeTopics(ctx) })
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// partitionsOf is how many partitions a topic has, if known, or will have.
func (t *coordinated) partitionsOf() (n int32, known bool) {
	if n := t.partitions.Load(); n > 0 {
		return n, true
	}
	return t.configured, false
}

// PartitionFor implements api.Placement.
func (c *coordinators) PartitionFor(topic, key string) (partition int32, known bool) {
	n, known := c.topics[topic].partitionsOf()
	return coord.PartitionOf(key, n), known
}

// countRetry is the pause after a failed reading of a topic's partitions.
const countRetry = 200 * time.Millisecond

// countPartitions reads how many partitions the internal topics have, each as soon as this broker hears of it. The picture
// that the controller gives is not enough: nothing says that it gives all partitions at once.
func (c *coordinators) countPartitions(ctx context.Context) {
	for {
		snapshot := c.b.meta.Load()
		var again <-chan time.Time
		for topic, t := range c.topics {
			switch known, there := t.partitions.Load() > 0, snapshot.Topic(topic) != nil; {
			case known && !there:
				t.partitions.Store(0) // deleted, and its state with it
			case there && !known:
				a, err := c.b.life.store().Topic(ctx, topic)
				if err != nil || len(a.Partitions) == 0 {
					c.log.Info("the partitions of an internal topic could not be counted, trying again", zap.String("topic", topic), zap.Error(err))
					again = time.After(countRetry)
					continue
				}
				t.partitions.Store(int32(len(a.Partitions)))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-snapshot.Superseded():
		case <-again:
		}
	}
}

// EnsureTopic implements api.Placement.
func (c *coordinators) EnsureTopic(topic string) {
	c.create.Lock()
	defer c.create.Unlock()
	if c.create.wanted == nil {
		c.create.wanted = make(map[string]struct{})
	}
	c.create.wanted[topic] = struct{}{}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *coordinators) makeTopics(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		c.create.Lock()
		wanted := c.create.wanted
		c.create.wanted = nil
		c.create.Unlock()
		for topic := range wanted {
			if c.b.meta.Load().Topic(topic) != nil {
				continue // was made meanwhile
			}
			limit, cancel := context.WithTimeout(ctx, c.b.dynamic.Current().Broker.RequestTimeout)
			err := c.make(limit, topic)
			cancel()
			if err != nil && ctx.Err() == nil {
				c.log.Warn("an internal topic could not be made", zap.String("topic", topic), zap.Error(err))
			}
		}
	}
}

// topicMaker is what makes topics when this broker is the controller, and knows how they are to be.
type topicMaker interface {
	CreateInternalTopic(ctx context.Context, name string) error
	InternalTopic(name string) *kmsg.CreateTopicsRequest
}

// makeBy returns a function for coordinators.make: the controller makes internal topics, as in Kafka (AutoTopicCreationManager).
func (c *coordinators) makeBy(h topicMaker) func(ctx context.Context, topic string) error {
	return func(ctx context.Context, topic string) error {
		if c.b.ctl.IsActive() {
			return expected(h.CreateInternalTopic(ctx, topic))
		}
		answer, err := c.b.link.ask(ctx, h.InternalTopic(topic), 7)
		if err != nil {
			return err
		}
		resp, ok := answer.(*kmsg.CreateTopicsResponse)
		if !ok {
			return fmt.Errorf("CreateTopics was answered with %T", answer)
		}
		for _, t := range resp.Topics {
			if err := expected(wire.Code(t.ErrorCode).Err()); err != nil {
				if t.ErrorMessage != nil && *t.ErrorMessage != "" {
					err = fmt.Errorf("%w (%s)", err, *t.ErrorMessage)
				}
				return err
			}
		}
		return nil
	}
}

// expected passes over what says that a topic exists, or is about to.
func expected(err error) error {
	switch err {
	case wire.ErrTopicAlreadyExists, wire.ErrLeaderNotAvailable, wire.ErrUnknownTopicOrPartition, wire.ErrRequestTimedOut:
		return nil
	}
	return err
}
