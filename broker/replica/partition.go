package replica

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

type role int8

const (
	// idle: told of by no controller yet, or leaderless since; serves nothing.
	idle role = iota
	// following: copies from the leader and answers consumers that may read from followers.
	following
	// leading: takes appends and decides what is committed.
	leading
)

func (r role) String() string { return [...]string{"idle", "follower", "leader"}[r] }

// Partition is one replica hosted by this broker: its log, its role, and, while it leads, what it knows of the others.
type Partition struct {
	tp meta.TopicPartition
	m  *Manager

	// mu guards the role. Appends and reads hold it for reading from check to effect, so a change of role waits for
	// those under way and nothing is appended in an epoch that is over. Taken before followers and storage.Log's own lock.
	mu struct {
		sync.RWMutex
		state
	}

	// followers guards what the leader knows of the other replicas, and orders moves of the high watermark.
	followers struct {
		sync.Mutex
		progress map[meta.BrokerID]*progress
	}

	// Who waits for the log end, the high watermark, the last stable offset to get somewhere.
	leoWaiters, hwWaiters, lsoWaiters waitlist
	// The fetch sessions of followers that have this partition.
	watchers watchers
}

// state is a partition's role and what the controller said of it.
type state struct {
	log     *storage.Log
	topicID meta.TopicID
	role    role

	leader          meta.BrokerID
	leaderEpoch     meta.LeaderEpoch     // Invariant: never goes back.
	life            meta.BrokerEpoch     // this broker's life in which it was last told so
	partitionEpoch  meta.PartitionEpoch  // version of the state znode that isr was read from or written to
	controllerEpoch meta.ControllerEpoch // of the controller that decided it

	replicas, adding, removing []meta.BrokerID

	// isr is the committed one. Empty while following.
	isr []meta.BrokerID
	// proposed is the ISR asked of the controller and not answered yet; nil: none.
	proposed []meta.BrokerID

	// epochStart is the log end offset at which this broker began to lead in leaderEpoch: until the high watermark is
	// there, nobody can say what earlier leaders had committed.
	epochStart int64
	// fetch is what a fetcher copies into this replica; nil: nothing. Whoever writes as a follower compares it first.
	fetch *fetchState
	// move is how the log gets to another log directory; nil: it stays. Whoever cuts the log cuts the future one with it.
	move *move
	// reign is the leader epoch in which this broker, not leading before, took over. Acknowledgements that were
	// waited for in an earlier reign are void, because the log may have been truncated in between.
	reign meta.LeaderEpoch
}

func newPartition(m *Manager, tp meta.TopicPartition) *Partition {
	p := &Partition{tp: tp, m: m}
	p.mu.leaderEpoch, p.mu.leader, p.mu.reign = meta.NoLeaderEpoch, meta.NoBroker, meta.NoLeaderEpoch
	p.mu.life = meta.NoBrokerEpoch
	p.mu.partitionEpoch = -1
	for _, l := range []*waitlist{&p.leoWaiters, &p.hwWaiters, &p.lsoWaiters} {
		l.init()
	}
	return p
}

// maximalISR is the largest ISR that may be in force: the committed one and whatever a pending proposal would add.
// Pending removals still count (KIP-497).
func (s *state) maximalISR() []meta.BrokerID {
	if s.proposed == nil {
		return s.isr
	}
	all := slices.Clone(s.isr)
	for _, id := range s.proposed {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// leaderError says that this replica is not the one to ask, and who is.
func (p *Partition) leaderErrorLocked(err error) error {
	return &LeaderError{Err: err, Partition: p.tp, Leader: p.mu.leader, LeaderEpoch: p.mu.leaderEpoch}
}

// checkEpochLocked compares the leader epoch a sender believes in with the one here; mu is held. -1 matches any.
// This comes before the check of the role, as in Kafka: a sender that is ahead must not be told "not leader".
func (p *Partition) checkEpochLocked(epoch meta.LeaderEpoch) error {
	switch {
	case epoch == meta.NoLeaderEpoch || epoch == p.mu.leaderEpoch:
		return nil
	case epoch < p.mu.leaderEpoch:
		return p.leaderErrorLocked(ErrFencedLeaderEpoch)
	default:
		return fmt.Errorf("%s: epoch %d: %w", p.tp, epoch, ErrUnknownLeaderEpoch)
	}
}

// leaderLogLocked returns the log if this replica leads beyond doubt and its log directory works; mu is held.
func (p *Partition) leaderLogLocked() (*storage.Log, error) {
	log, err := p.ledLogLocked()
	if err == nil && p.inDoubtLocked() && !p.backedLocked() {
		// Who leads now, if not this broker, is not known here: no hint for the client.
		return nil, fmt.Errorf("%s: leadership of epoch %d is in doubt: %w", p.tp, p.mu.leaderEpoch, ErrNotLeader)
	}
	return log, err
}

// ledLogLocked returns the log if this replica leads, as far as it knows, and its log directory works; mu is held.
func (p *Partition) ledLogLocked() (*storage.Log, error) {
	if err := p.offlineLocked(); err != nil {
		return nil, err
	}
	if p.mu.role != leading {
		return nil, p.leaderErrorLocked(ErrNotLeader)
	}
	return p.mu.log, nil
}

// logLocked returns the log whatever the role, for those who may read from followers; mu is held.
func (p *Partition) logLocked() (*storage.Log, error) {
	if err := p.offlineLocked(); err != nil {
		return nil, err
	}
	if p.mu.log == nil || p.mu.role == idle {
		return nil, p.leaderErrorLocked(ErrNotLeader)
	}
	return p.mu.log, nil
}

func (p *Partition) offlineLocked() error {
	if p.mu.log == nil {
		return nil
	}
	return p.mu.log.Err()
}

// advance recomputes the high watermark of a leader and wakes who waited for it; mu is held for reading at least.
func (p *Partition) advanceLocked(now time.Time) {
	if p.mu.role != leading {
		return
	}
	log := p.mu.log
	p.followers.Lock()
	old := log.HighWatermark()
	hw := nextWatermark(old, log.LogEndOffset(), len(p.mu.isr),
		effectiveMinISR(int(log.Config().MinInSyncReplicas), len(p.mu.replicas)), p.remoteEndsLocked(now))
	if hw > old {
		log.SetHighWatermark(hw)
	}
	p.followers.Unlock()
	if hw > old {
		p.visibleMoved(log)
	}
}

// remoteEndsLocked tells where the other replicas stand; mu and followers are held.
func (p *Partition) remoteEndsLocked(now time.Time) []remoteEnd {
	if len(p.followers.progress) == 0 {
		return nil
	}
	isr := p.mu.maximalISR()
	leo := p.mu.log.LogEndOffset()
	ends := make([]remoteEnd, 0, len(p.followers.progress))
	for id, f := range p.followers.progress {
		holds := slices.Contains(isr, id) ||
			f.isCaughtUp(leo, now, p.m.cfg.ReplicaLagTimeMax) && p.m.metadata.Load().Alive(id)
		ends = append(ends, remoteEnd{leo: f.leo, holds: holds})
	}
	return ends
}

// visibleMoved wakes those who wait for committed records.
func (p *Partition) visibleMoved(log *storage.Log) {
	p.hwWaiters.reached(log.HighWatermark())
	p.lsoWaiters.reached(log.LastStableOffset())
	p.watchers.mark(false) // told with the next answer
}

// roleChanged wakes everybody: whoever waited must see that the role is another one now.
func (p *Partition) roleChanged() {
	p.leoWaiters.wakeAll()
	p.hwWaiters.wakeAll()
	p.lsoWaiters.wakeAll()
	p.watchers.mark(true)
}
