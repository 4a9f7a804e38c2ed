package txn

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Marker says how a producer's transaction ended.
type Marker struct {
	ProducerID       int64
	ProducerEpoch    int16
	Committed        bool
	CoordinatorEpoch int32
}

// MarkerBatch is a marker for some of its partitions.
type MarkerBatch struct {
	Marker
	Partitions []meta.TopicPartition
}

// Sender writes markers into the logs of partitions that a broker leads. It returns a code for each partition of each batch,
// or an error if it is not known what happened. Met in package broker.
type Sender interface {
	WriteMarkers(ctx context.Context, to meta.BrokerID, batches []MarkerBatch) ([][]wire.Code, error)
}

// ending is a prepared transaction whose markers are being sent.
type ending struct {
	Marker
	id string
	// written is told which partitions have the marker, or are gone. Any goroutine may call it.
	written   func(tps []meta.TopicPartition)
	cancelled atomic.Bool // another coordinator takes care of it
}

// share is some partitions of an ending.
type share struct {
	*ending
	tps []meta.TopicPartition
}

// markers sends markers to the leaders of partitions until every one is written.
type markers struct {
	fleet  *metadata.Cache
	sender Sender
	exists func(ctx context.Context, tp meta.TopicPartition) (bool, error)
	log    *zap.Logger

	homeless atomic.Int64 // transactions with markers that there is no leader for; read by metrics

	mu struct {
		sync.Mutex
		unrouted []share
		outboxes map[meta.BrokerID]*outbox
	}
	// wake says that there are unrouted shares. Sent to by send, received by run, never closed; capacity 1, it says "look".
	wake    chan struct{}
	running sync.WaitGroup
}

// outbox holds what waits to be sent to one broker.
type outbox struct {
	mu struct {
		sync.Mutex
		shares []share
	}
	// wake says that there are shares. Sent to by put, received by the goroutines of the outbox, never closed; capacity 1.
	wake chan struct{}
}

const (
	// inFlight is how many requests may be under way to one broker, so that a partition that replicates slowly does not hold
	// up all transactions.
	inFlight = 5
	// markerRetry is the pause before a marker is sent again, unless the news of another leader comes first.
	markerRetry = 100 * time.Millisecond
	// unheardRetry is the pause before a partition is looked for again that exists, but has not been heard of here.
	unheardRetry = time.Second
	// existsTimeout bounds a question to ZooKeeper.
	existsTimeout = 5 * time.Second
)

func newMarkers(o *Options) *markers {
	m := &markers{fleet: o.Fleet, sender: o.Sender, exists: o.Exists, log: o.Logger, wake: make(chan struct{}, 1)}
	m.mu.outboxes = make(map[meta.BrokerID]*outbox)
	return m
}

// send has markers written to partitions.
func (m *markers) send(e *ending, tps []meta.TopicPartition) { m.route([]share{{e, tps}}) }

func (m *markers) route(shares []share) {
	m.mu.Lock()
	m.mu.unrouted = append(m.mu.unrouted, shares...)
	m.mu.Unlock()
	wake(m.wake)
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run finds the brokers that markers go to, until ctx ends. What has no leader waits for news of one.
func (m *markers) run(ctx context.Context) {
	defer m.running.Wait()
	var homeless []share
	for {
		var news <-chan struct{}
		var again <-chan time.Time
		if len(homeless) > 0 {
			news, again = m.fleet.Load().Superseded(), time.After(markerRetry)
		}
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
		case <-news:
		case <-again:
		}
		m.mu.Lock()
		shares := append(homeless, m.mu.unrouted...)
		m.mu.unrouted = nil
		m.mu.Unlock()
		homeless = m.place(ctx, shares)
		m.homeless.Store(int64(len(homeless)))
	}
}

// place gives shares to the outboxes of the leaders. It returns what there is no leader for.
func (m *markers) place(ctx context.Context, shares []share) (homeless []share) {
	snapshot := m.fleet.Load()
	for _, s := range shares {
		if s.cancelled.Load() {
			continue
		}
		byLeader := make(map[meta.BrokerID][]meta.TopicPartition)
		var unknown []meta.TopicPartition
		for _, tp := range s.tps {
			p := snapshot.Partition(tp.Topic, tp.Partition)
			switch {
			case p == nil && len(snapshot.Brokers()) > 0:
				unknown = append(unknown, tp)
			case p == nil || !snapshot.Alive(p.Leader):
				byLeader[meta.NoBroker] = append(byLeader[meta.NoBroker], tp)
			default:
				byLeader[p.Leader] = append(byLeader[p.Leader], tp)
			}
		}
		for leader, tps := range byLeader {
			if leader == meta.NoBroker {
				homeless = append(homeless, share{s.ending, tps})
				continue
			}
			m.outbox(ctx, leader).put(share{s.ending, tps})
		}
		if len(unknown) > 0 {
			m.running.Go(func() { m.whetherGone(ctx, share{s.ending, unknown}) })
		}
	}
	return homeless
}

// whetherGone asks ZooKeeper about partitions that this broker has not heard of, and counts those as done that do not exist.
func (m *markers) whetherGone(ctx context.Context, s share) {
	var gone, rest []meta.TopicPartition
	for _, tp := range s.tps {
		limit, cancel := context.WithTimeout(ctx, existsTimeout)
		there, err := m.exists(limit, tp)
		cancel()
		if err == nil && !there {
			gone = append(gone, tp)
		} else {
			rest = append(rest, tp)
		}
	}
	if len(gone) > 0 {
		m.log.Info("partitions of a transaction do not exist any more", zap.String("txn_id", s.id), zap.Stringers("partitions", gone))
		s.written(gone)
	}
	m.again(ctx, unheardRetry, []share{{s.ending, rest}})
}

// again routes shares anew after a while, or when there is news of the fleet.
func (m *markers) again(ctx context.Context, after time.Duration, shares []share) {
	waiting := shares[:0]
	for _, s := range shares {
		if len(s.tps) > 0 {
			waiting = append(waiting, s)
		}
	}
	if len(waiting) == 0 {
		return
	}
	m.running.Go(func() {
		select {
		case <-ctx.Done():
			return
		case <-m.fleet.Load().Superseded():
		case <-time.After(after):
		}
		m.route(waiting)
	})
}

func (m *markers) outbox(ctx context.Context, id meta.BrokerID) *outbox {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.mu.outboxes[id]
	if o == nil {
		o = &outbox{wake: make(chan struct{}, 1)}
		m.mu.outboxes[id] = o
		for range inFlight {
			m.running.Go(func() { m.deliver(ctx, id, o) })
		}
	}
	return o
}

func (o *outbox) put(s share) {
	o.mu.Lock()
	o.mu.shares = append(o.mu.shares, s)
	o.mu.Unlock()
	wake(o.wake)
}

func (o *outbox) take() []share {
	o.mu.Lock()
	defer o.mu.Unlock()
	shares := o.mu.shares
	o.mu.shares = nil
	return shares
}

// deliver sends what is in an outbox, all that has come together in one request, until ctx ends.
func (m *markers) deliver(ctx context.Context, to meta.BrokerID, o *outbox) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		}
		var shares []share
		var batches []MarkerBatch
		for _, s := range o.take() {
			if !s.cancelled.Load() {
				shares = append(shares, s)
				batches = append(batches, MarkerBatch{s.Marker, s.tps})
			}
		}
		if len(shares) == 0 {
			continue
		}
		codes, err := m.sender.WriteMarkers(ctx, to, batches)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			m.log.Info("markers could not be written, trying again", zap.Int32("broker", int32(to)), zap.Int("transactions", len(shares)), zap.Error(err))
			m.again(ctx, markerRetry, shares)
			continue
		}
		var retry []share
		for i, s := range shares {
			var answered []wire.Code
			if i < len(codes) {
				answered = codes[i]
			}
			retry = append(retry, m.settle(to, s, answered))
		}
		m.again(ctx, markerRetry, retry)
	}
}

// settle draws the consequences of an answer and returns what is to be sent again.
func (m *markers) settle(to meta.BrokerID, s share, codes []wire.Code) share {
	var done, retry []meta.TopicPartition
	for i, tp := range s.tps {
		code := wire.ErrRequestTimedOut // a partition that the answer leaves out
		if i < len(codes) {
			code = codes[i]
		}
		switch verdictOf(code) {
		case markerWritten:
			done = append(done, tp)
		case markerFenced:
			// There is another coordinator, which takes care of the transaction and which this one is about to hear of.
			m.log.Warn("a transaction's markers were refused, because there was a later one", zap.String("txn_id", s.id),
				zap.Stringer("partition", tp), zap.Int32("broker", int32(to)), zap.Error(code))
			s.cancelled.Store(true)
			return share{}
		case markerUnforeseen:
			m.log.Error("a marker was refused for a reason nobody foresaw, trying again", zap.String("txn_id", s.id),
				zap.Stringer("partition", tp), zap.Int32("broker", int32(to)), zap.Error(code))
			retry = append(retry, tp)
		default:
			retry = append(retry, tp)
		}
	}
	if len(done) > 0 {
		s.written(done)
	}
	return share{s.ending, retry}
}

type verdict int8

const (
	markerRefused    verdict = iota // by a broker that cannot write it now, or is not the one
	markerWritten                   // or there is no sense in writing it
	markerFenced                    // this coordinator is deposed
	markerUnforeseen                // Kafka stops there; a decided transaction has to end
)

// verdictOf is Kafka's table (TransactionMarkerRequestCompletionHandler.scala).
func verdictOf(code wire.Code) verdict {
	switch code {
	case wire.None, wire.ErrUnsupportedForMessageFormat, wire.ErrUnsupportedVersion:
		return markerWritten
	case wire.ErrUnknownTopicOrPartition, wire.ErrNotLeaderOrFollower, wire.ErrNotEnoughReplicas, wire.ErrNotEnoughReplicasAfterAppend,
		wire.ErrRequestTimedOut, wire.ErrKafkaStorage:
		return markerRefused
	case wire.ErrInvalidProducerEpoch, wire.ErrTransactionCoordinatorFenced:
		return markerFenced
	}
	return markerUnforeseen
}
