package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/replica"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/controller"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// controllerLink carries this broker's requests to the active controller, which is this very broker or another. Who it is comes
// from the last UpdateMetadata.
type controllerLink struct {
	b   *Broker
	log *zap.Logger

	mu struct {
		sync.Mutex
		proposals []proposal // waiting to be sent
	}
	// wake tells Run that there are proposals. Sent to by Propose, received by Run, never closed; capacity 1, it says "look".
	wake chan struct{}

	versions sync.Map // meta.BrokerID to map[int16]int16: the highest version of each API, of those that were controller

	ids struct {
		sync.Mutex
		next, end int64 // what is left of the block: [next, end)
	}
}

type proposal struct {
	replica.ISRProposal
	decide func(replica.ISRDecision)
}

func newControllerLink(b *Broker) *controllerLink {
	return &controllerLink{b: b, log: b.o.Logging.Logger("controllerlink"), wake: make(chan struct{}, 1)}
}

// alterPartitionRetry is Kafka's pause after an answer that was an error for the whole request.
const alterPartitionRetry = 50 * time.Millisecond

// Propose implements [replica.ISRProposer].
func (l *controllerLink) Propose(p replica.ISRProposal, decide func(replica.ISRDecision)) {
	l.mu.Lock()
	l.mu.proposals = append(l.mu.proposals, proposal{p, decide})
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Run sends proposals, all that have come together in one request, one request at a time, until ctx ends.
func (l *controllerLink) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		}
		l.mu.Lock()
		batch := l.mu.proposals
		l.mu.proposals = nil
		l.mu.Unlock()
		if len(batch) > 0 {
			l.propose(ctx, batch)
		}
	}
}

// propose asks until there is an answer: an ISR change is never given up, only overtaken.
func (l *controllerLink) propose(ctx context.Context, batch []proposal) {
	for {
		decisions, err := l.alterPartition(ctx, batch)
		if err == nil {
			l.pass(ctx, batch, decisions)
			return
		}
		l.log.Debug("the controller could not be asked for ISR changes, trying again", zap.Error(err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(alterPartitionRetry):
		}
	}
}

// pass hands the decisions over. Those that are none lead to the same proposal at once: before that, there is a pause.
func (l *controllerLink) pass(ctx context.Context, batch []proposal, decisions []replica.ISRDecision) {
	for _, d := range decisions {
		if d.Err != nil && !errors.Is(d.Err, replica.ErrProposalRefused) && !errors.Is(d.Err, replica.ErrProposalOutdated) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(alterPartitionRetry):
			}
			break
		}
	}
	for i, p := range batch {
		p.decide(decisions[i])
	}
}

func (l *controllerLink) alterPartition(ctx context.Context, batch []proposal) ([]replica.ISRDecision, error) {
	if l.b.ctl.IsActive() {
		changes := make([]controller.PartitionChange, len(batch))
		for i, p := range batch {
			changes[i] = controller.PartitionChange{Topic: p.Partition.Topic, Partition: p.Partition.Partition,
				LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch, ISR: p.ISR}
		}
		results, err := l.b.ctl.AlterPartition(ctx, l.b.id, l.b.hosts.BrokerEpoch(), changes)
		if err != nil {
			return nil, err
		}
		decisions := make([]replica.ISRDecision, len(results))
		for i, r := range results {
			decisions[i] = replica.ISRDecision{State: r.State, Err: decided(r.Err)}
		}
		return decisions, nil
	}
	return l.alterPartitionRemotely(ctx, batch)
}

// decided sorts a controller's refusal into what a leader does about it.
func decided(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, controller.ErrIneligibleReplica), errors.Is(err, wire.ErrIneligibleReplica), errors.Is(err, wire.ErrOperationNotAttempted):
		return fmt.Errorf("%w: %w", replica.ErrProposalRefused, err)
	}
	for _, outdated := range []error{
		controller.ErrUnknownTopicOrPartition, controller.ErrUnknownTopicID, controller.ErrFencedLeaderEpoch, controller.ErrInvalidUpdateVersion,
		controller.ErrInvalidRequest, wire.ErrUnknownTopicOrPartition, wire.ErrUnknownTopicID, wire.ErrFencedLeaderEpoch,
		wire.ErrInvalidUpdateVersion, wire.ErrInvalidRequest, wire.ErrNewLeaderElected,
	} {
		if errors.Is(err, outdated) {
			return fmt.Errorf("%w: %w", replica.ErrProposalOutdated, err)
		}
	}
	return err
}

func (l *controllerLink) alterPartitionRemotely(ctx context.Context, batch []proposal) ([]replica.ISRDecision, error) {
	req := kmsg.NewPtrAlterPartitionRequest()
	req.BrokerID, req.BrokerEpoch = int32(l.b.id), int64(l.b.hosts.BrokerEpoch())
	withIDs := true
	topics := make(map[string]int)
	for _, p := range batch {
		withIDs = withIDs && !p.TopicID.IsZero()
		at, seen := topics[p.Partition.Topic]
		if !seen {
			at = len(req.Topics)
			topics[p.Partition.Topic] = at
			t := kmsg.NewAlterPartitionRequestTopic()
			t.Topic, t.TopicID = p.Partition.Topic, p.TopicID
			req.Topics = append(req.Topics, t)
		}
		rp := kmsg.NewAlterPartitionRequestTopicPartition()
		rp.Partition, rp.LeaderEpoch, rp.PartitionEpoch = p.Partition.Partition, int32(p.LeaderEpoch), int32(p.PartitionEpoch)
		for _, id := range p.ISR {
			rp.NewISR = append(rp.NewISR, int32(id))
			member := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
			member.BrokerID, member.BrokerEpoch = int32(id), -1
			rp.NewEpochISR = append(rp.NewEpochISR, member)
		}
		req.Topics[at].Partitions = append(req.Topics[at].Partitions, rp)
	}
	highest := int16(3)
	if !withIDs {
		highest = 1
	}
	answer, err := l.ask(ctx, req, highest)
	if err != nil {
		return nil, err
	}
	resp, ok := answer.(*kmsg.AlterPartitionResponse)
	if !ok {
		return nil, fmt.Errorf("AlterPartition was answered with %T", answer)
	}
	if code := wire.Code(resp.ErrorCode); code != wire.None {
		return nil, code
	}
	return matchDecisions(batch, resp)
}

func matchDecisions(batch []proposal, resp *kmsg.AlterPartitionResponse) ([]replica.ISRDecision, error) {
	decisions := make([]replica.ISRDecision, len(batch))
	for i, p := range batch {
		found := false
		for _, t := range resp.Topics {
			if t.Topic != p.Partition.Topic && (t.TopidID == [16]byte{} || t.TopidID != [16]byte(p.TopicID)) {
				continue
			}
			for _, rp := range t.Partitions {
				if rp.Partition != p.Partition.Partition {
					continue
				}
				found = true
				isr := make([]meta.BrokerID, len(rp.ISR))
				for j, id := range rp.ISR {
					isr[j] = meta.BrokerID(id)
				}
				decisions[i] = replica.ISRDecision{Err: decided(wire.Code(rp.ErrorCode).Err()), State: meta.LeaderAndISR{
					Leader: meta.BrokerID(rp.LeaderID), LeaderEpoch: meta.LeaderEpoch(rp.LeaderEpoch), ISR: isr,
					RecoveryState: meta.RecoveryState(rp.LeaderRecoveryState), PartitionEpoch: meta.PartitionEpoch(rp.PartitionEpoch)}}
			}
		}
		if !found {
			return nil, fmt.Errorf("the answer to AlterPartition leaves out %s", p.Partition)
		}
	}
	return decisions, nil
}

var (
	// errNoController means that no active controller is known.
	errNoController = errors.New("no active controller is known")
	// errControllerChanged ends a request to a controller that has been succeeded: it may never answer.
	errControllerChanged = errors.New("another controller was elected")
)

// ask sends a request to another broker's controller, in the highest version both know.
func (l *controllerLink) ask(ctx context.Context, req kmsg.Request, highest int16) (kmsg.Response, error) {
	s := l.b.meta.Load()
	to, ok := s.Broker(s.ControllerID())
	if !ok {
		return nil, errNoController
	}
	ctx, end := l.whileController(ctx, s)
	defer end()
	answer, err := l.askIn(ctx, to, req, highest)
	if err != nil {
		l.versions.Delete(to.ID)
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
	}
	return answer, err
}

func (l *controllerLink) askIn(ctx context.Context, to meta.Broker, req kmsg.Request, highest int16) (kmsg.Response, error) {
	version, err := l.negotiate(ctx, to, req.Key(), highest)
	if err != nil {
		return nil, err
	}
	req.SetVersion(version)
	return l.b.asks.Send(ctx, to, req)
}

// whileController returns a context that ends when this broker hears of another controller than the one of s.
func (l *controllerLink) whileController(ctx context.Context, s *metadata.Snapshot) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		for now := s; ; now = l.b.meta.Load() {
			if now.ControllerID() != s.ControllerID() {
				cancel(errControllerChanged)
				return
			}
			select {
			case <-now.Superseded():
			case <-ctx.Done():
				return
			}
		}
	})
	return ctx, func() {
		cancel(nil)
		watching.Wait()
	}
}

// negotiate says in which version to ask: the highest that the controller's broker serves, which in a rolling upgrade may be
// that of an older release. What it serves is asked once, until a request fails.
func (l *controllerLink) negotiate(ctx context.Context, to meta.Broker, key, highest int16) (int16, error) {
	served, err := l.served(ctx, to)
	if err != nil {
		return 0, err
	}
	version, ok := served[key]
	if !ok {
		return 0, fmt.Errorf("controller %d does not serve %s", to.ID, kmsg.NameForKey(key))
	}
	return min(highest, version), nil
}

// served returns the highest version of each API that a broker serves.
func (l *controllerLink) served(ctx context.Context, to meta.Broker) (map[int16]int16, error) {
	if known, ok := l.versions.Load(to.ID); ok {
		return known.(map[int16]int16), nil
	}
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 3, "kraal", "1"
	answer, err := l.b.asks.Send(ctx, to, req)
	if err != nil {
		return nil, err
	}
	resp, ok := answer.(*kmsg.ApiVersionsResponse)
	if !ok {
		return nil, fmt.Errorf("ApiVersions was answered with %T", answer)
	}
	served := make(map[int16]int16, len(resp.ApiKeys))
	for _, k := range resp.ApiKeys {
		served[k.ApiKey] = k.MaxVersion
	}
	l.versions.Store(to.ID, served)
	return served, nil
}

// NextProducerID implements api.ProducerIDs.
func (l *controllerLink) NextProducerID(ctx context.Context) (int64, error) {
	l.ids.Lock()
	defer l.ids.Unlock()
	if l.ids.next >= l.ids.end {
		first, length, err := l.allocate(ctx)
		if err != nil {
			// Kafka's answer while a block is being fetched; producers try again.
			l.log.Info("no block of producer ids could be had", zap.Error(err))
			return -1, wire.ErrCoordinatorLoadInProgress
		}
		l.ids.next, l.ids.end = first, first+int64(length)
	}
	id := l.ids.next
	l.ids.next++
	return id, nil
}

// allocateTimeout bounds how long producers queue behind a request for a block.
const allocateTimeout = 5 * time.Second

func (l *controllerLink) allocate(ctx context.Context) (first int64, length int32, err error) {
	ctx, cancel := context.WithTimeout(ctx, allocateTimeout)
	defer cancel()
	if l.b.dynamic.Current().Broker.InterBrokerProtocol < config.V3_0_IV0 {
		block, err := l.b.life.store().AllocateProducerIDs(ctx, l.b.id)
		return block.First, int32(block.Last - block.First + 1), err
	}
	if l.b.ctl.IsActive() {
		block, err := l.b.ctl.AllocateProducerIDs(ctx, l.b.id, l.b.hosts.BrokerEpoch())
		return block.Start, block.Length, err
	}
	req := kmsg.NewPtrAllocateProducerIDsRequest()
	req.BrokerID, req.BrokerEpoch = int32(l.b.id), int64(l.b.hosts.BrokerEpoch())
	answer, err := l.ask(ctx, req, 0)
	if err != nil {
		return 0, 0, err
	}
	resp, ok := answer.(*kmsg.AllocateProducerIDsResponse)
	if !ok {
		return 0, 0, fmt.Errorf("AllocateProducerIds was answered with %T", answer)
	}
	return resp.ProducerIDStart, resp.ProducerIDLen, wire.Code(resp.ErrorCode).Err()
}

// ControlledShutdown asks the controller to take leaderships away from this broker and returns those it could not move.
func (l *controllerLink) ControlledShutdown(ctx context.Context) ([]meta.TopicPartition, error) {
	epoch := l.b.hosts.BrokerEpoch()
	if l.b.ctl.IsActive() {
		return l.b.ctl.ControlledShutdown(ctx, l.b.id, epoch)
	}
	req := kmsg.NewPtrControlledShutdownRequest()
	req.BrokerID, req.BrokerEpoch = int32(l.b.id), int64(epoch)
	answer, err := l.ask(ctx, req, 3)
	if err != nil {
		return nil, err
	}
	resp, ok := answer.(*kmsg.ControlledShutdownResponse)
	if !ok {
		return nil, fmt.Errorf("ControlledShutdown was answered with %T", answer)
	}
	var left []meta.TopicPartition
	for _, p := range resp.PartitionsRemaining {
		left = append(left, meta.TopicPartition{Topic: p.Topic, Partition: p.Partition})
	}
	return left, wire.Code(resp.ErrorCode).Err()
}
