package replica

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/quota"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Config holds the broker settings the manager goes by.
type Config struct {
	ReplicaLagTimeMax               time.Duration // replica.lag.time.max.ms
	HighWatermarkCheckpointInterval time.Duration // replica.high.watermark.checkpoint.interval.ms
	// RackAwareReads says that replica.selector.class is Kafka's RackAwareReplicaSelector.
	RackAwareReads bool

	Fetchers              int           // num.replica.fetchers, to begin with; see Manager.SetFetchers
	FetchWaitMax          time.Duration // replica.fetch.wait.max.ms
	FetchMinBytes         int           // replica.fetch.min.bytes
	FetchMaxBytes         int           // replica.fetch.max.bytes, of one partition
	FetchResponseMaxBytes int           // replica.fetch.response.max.bytes
	FetchBackoff          time.Duration // replica.fetch.backoff.ms
	Movers                int           // num.replica.alter.log.dirs.threads
	// LateTransaction is how long a transaction may be open before it counts as late; 0: none is. Kafka's is 5 minutes more
	// than transaction.max.timeout.ms.
	LateTransaction time.Duration
	Protocol        Protocol
	// Backing is how recently all others in the ISR must have fetched for a leader to outlive doubts; 0: none does.
	Backing time.Duration
}

// Protocol is what inter.broker.protocol.version lets a follower rely on in leaders.
type Protocol struct {
	EpochLookup     bool // 0.11-IV2: OffsetForLeaderEpoch (KIP-101)
	FetchSessions   bool // 1.1: incremental fetches (KIP-227)
	TruncateOnFetch bool // 2.7-IV1: fetches carry the last epoch and are told where logs diverge (KIP-595)
}

// Options is what a Manager is made of.
type Options struct {
	BrokerID meta.BrokerID
	Config   Config
	Logs     *storage.Manager
	Metadata *metadata.Cache
	Proposer ISRProposer
	// OnRoles is told, after each control request, which partitions of internal topics this broker began or ceased to lead,
	// for the coordinators that live there. It may be nil.
	OnRoles func(changes []RoleChange)
	// Follow makes the connection that one fetcher copies from one broker through. It must not block. nil: this broker
	// follows nobody.
	Follow func(leader meta.BrokerID, fetcher int) Leader
	// MayLead says whether this broker may still believe in the leaderships it was given: it may not once its ZooKeeper
	// session may be gone, because others may have been elected. Asked before every act as a leader; nil: always. See doubt.go.
	MayLead func() bool
	// LeaderQuota and FollowerQuota hold the copying of throttled replicas from and to this broker to rates; nil: none is throttled.
	LeaderQuota, FollowerQuota *quota.Replication
	// MoveQuota holds copying between log directories to a rate; nil: as fast as it goes.
	MoveQuota *quota.Replication
	Logger    *zap.Logger
	Metrics   prometheus.Registerer // may be nil
	Now       func() time.Time      // nil: time.Now
}

// RoleChange says that this broker began (Leads) or ceased to lead a partition.
type RoleChange struct {
	Partition   meta.TopicPartition
	Leads       bool
	LeaderEpoch meta.LeaderEpoch // meta.NoLeaderEpoch when the replica was stopped
}

// Manager holds the replicas hosted by this broker and applies what the controller says of them.
type Manager struct {
	id       meta.BrokerID
	cfg      Config
	logs     *storage.Manager
	metadata *metadata.Cache
	proposer ISRProposer
	onRoles  func([]RoleChange)
	mayLead  func() bool
	logger   *zap.Logger
	now      func() time.Time
	metrics  *metrics
	fetchers *fetchers
	movers   *movers
	// What holds copying back, see [Options].
	leaderQuota, followerQuota, moveQuota *quota.Replication
	leads                                 leaderships
	watches                               watchSet

	// control serialises LeaderAndIsr, StopReplica and UpdateMetadata, which must not overtake each other.
	// Taken before mu.
	control struct {
		sync.Mutex
		epoch  meta.ControllerEpoch // highest seen; in memory only, as in Kafka
		life   meta.BrokerEpoch     // the life of this broker that the request being applied is meant for
		heeded bool                 // a LeaderAndIsr was applied: high watermarks may be checkpointed
		// moves is what the request being applied changes about who follows whom. Its mutex is a leaf: the partitions of a
		// request are worked on side by side.
		moves struct {
			sync.Mutex
			stop, start []*fetchState
			led         bool // it began leaderships that others have to follow
		}
	}

	mu struct {
		sync.RWMutex
		partitions map[meta.TopicPartition]*Partition
	}

	brokerEpoch atomic.Int64
	awake       wakefulness
	// stopping is closed by Stop: nobody sends; every long poll receives.
	stopping chan struct{}
	stopOnce sync.Once
	// lowWatermarkWaiters counts DeleteRecords requests that wait for followers, so that fetches wake them only then.
	lowWatermarkWaiters atomic.Int32
	// isrChecks is sent to by fetches that found a follower caught up, received by runISRChecks, never closed. A full queue loses
	// nothing: the follower's next fetch asks again.
	isrChecks chan isrCheck
}

// New returns a manager that hosts nothing yet.
func New(o Options) *Manager {
	m := &Manager{
		id: o.BrokerID, cfg: o.Config, logs: o.Logs, metadata: o.Metadata, proposer: o.Proposer, onRoles: o.OnRoles, mayLead: o.MayLead,
		logger: o.Logger, now: o.Now, isrChecks: make(chan isrCheck, 1024), stopping: make(chan struct{}),
	}
	if m.now == nil {
		m.now = time.Now
	}
	if m.onRoles == nil {
		m.onRoles = func([]RoleChange) {}
	}
	m.mu.partitions = make(map[meta.TopicPartition]*Partition)
	m.brokerEpoch.Store(int64(meta.NoBrokerEpoch))
	m.awake.gap = o.Config.Backing / 2
	if m.mayLead == nil {
		m.mayLead = func() bool { return true }
	}
	m.fetchers = newFetchers(m, o.Follow)
	m.leaderQuota, m.followerQuota, m.moveQuota = orNone(o.LeaderQuota), orNone(o.FollowerQuota), orNone(o.MoveQuota)
	m.movers = newMovers(m)
	m.metrics = newMetrics(m, o.Metrics)
	return m
}

// Run copies what is followed, checks ISRs and checkpoints high watermarks until ctx ends.
func (m *Manager) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { m.runISRChecks(ctx) })
	wg.Go(func() { m.runCheckpoints(ctx) })
	wg.Go(func() { m.fetchers.run(ctx) })
	wg.Go(func() { m.movers.run(ctx) })
	if m.cfg.Backing > 0 {
		wg.Go(func() { m.awake.run(ctx, m.clock) })
	}
	wg.Wait()
	return nil
}

func (m *Manager) runCheckpoints(ctx context.Context) {
	ticker := time.NewTicker(m.cfg.HighWatermarkCheckpointInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			m.CheckpointHighWatermarks()
			m.watches.expire(m.clock())
		}
	}
}

// CheckpointHighWatermarks writes the replication-offset-checkpoint files, unless no controller has spoken yet and the logs do
// not know their high watermarks. A failure takes the directory offline and is reported there.
func (m *Manager) CheckpointHighWatermarks() {
	m.control.Lock()
	heeded := m.control.heeded
	m.control.Unlock()
	if !heeded {
		return
	}
	if err := m.logs.CheckpointHighWatermarks(); err != nil {
		m.logger.Error("high watermarks could not be checkpointed", zap.Error(err))
	}
}

// Stop ends all long polls, now and from now on, so that connections become quiet. Reads and appends go on.
func (m *Manager) Stop() { m.stopOnce.Do(func() { close(m.stopping) }) }

// SetBrokerEpoch tells the manager which life of the broker control requests must be meant for. Leaderships of an earlier
// life are in doubt.
func (m *Manager) SetBrokerEpoch(e meta.BrokerEpoch) {
	if m.brokerEpoch.Swap(int64(e)) == int64(e) {
		return
	}
	for _, p := range m.hosted() {
		p.roleChanged() // who waits for a leader looks again whether it is one
	}
}

// BrokerEpoch is the epoch last set.
func (m *Manager) BrokerEpoch() meta.BrokerEpoch { return meta.BrokerEpoch(m.brokerEpoch.Load()) }

func (m *Manager) clock() time.Time { return m.now() }

// partition returns a hosted partition. The error tells apart what the fleet does not know and what is merely elsewhere.
func (m *Manager) partition(tp meta.TopicPartition) (*Partition, error) {
	m.mu.RLock()
	p := m.mu.partitions[tp]
	m.mu.RUnlock()
	if p != nil {
		return p, nil
	}
	if st := m.metadata.Load().Partition(tp.Topic, tp.Partition); st != nil {
		return nil, &LeaderError{Err: ErrNotLeader, Partition: tp, Leader: st.Leader, LeaderEpoch: st.LeaderEpoch}
	}
	return nil, fmt.Errorf("%s: %w", tp, ErrUnknownPartition)
}

// Hosts reports whether this broker has a replica of a partition.
func (m *Manager) Hosts(tp meta.TopicPartition) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.partitions[tp] != nil
}

// hosted returns the partitions in a fixed order.
func (m *Manager) hosted() []*Partition {
	m.mu.RLock()
	all := make([]*Partition, 0, len(m.mu.partitions))
	for _, p := range m.mu.partitions {
		all = append(all, p)
	}
	m.mu.RUnlock()
	slices.SortFunc(all, func(a, b *Partition) int { return a.tp.Compare(b.tp) })
	return all
}

// SetFetchers changes num.replica.fetchers.
func (m *Manager) SetFetchers(n int) { m.fetchers.resize(n) }

// DirFailed makes the partitions of a failed directory answer so, ends the copying into them, and wakes who waits for them.
func (m *Manager) DirFailed(dir string) {
	var stop []*fetchState
	for _, p := range m.hosted() {
		p.mu.Lock()
		failed := p.mu.log != nil && p.mu.log.Dir() == dir
		if mv := p.mu.move; mv != nil && (failed || mv.to.Dir() == dir) {
			p.mu.move = nil // a future log goes on after a restart
		}
		if failed && p.mu.fetch != nil {
			stop = append(stop, p.mu.fetch)
			p.mu.fetch = nil
		}
		p.mu.Unlock()
		if failed {
			p.roleChanged()
		}
	}
	m.fetchers.move(stop, nil)
}
