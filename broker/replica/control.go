package replica

import (
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Sender is who sent a control request, and which life of this broker it is meant for.
type Sender struct {
	Controller      meta.BrokerID
	ControllerEpoch meta.ControllerEpoch
	BrokerEpoch     meta.BrokerEpoch // meta.NoBrokerEpoch: not said
}

// Assigned is one partition of a LeaderAndIsr.
type Assigned struct {
	Partition meta.TopicPartition
	TopicID   meta.TopicID
	meta.LeaderAndISR
	meta.Assignment
	IsNew bool
}

// admitLocked checks that a control request is from the newest controller and for this life of the broker; control is held.
func (m *Manager) admitLocked(s Sender) error {
	if own := m.BrokerEpoch(); s.BrokerEpoch != meta.NoBrokerEpoch && s.BrokerEpoch < own {
		return fmt.Errorf("broker epoch %d, this is %d: %w", s.BrokerEpoch, own, ErrStaleBrokerEpoch)
	}
	if s.ControllerEpoch < m.control.epoch {
		return fmt.Errorf("controller %d of epoch %d, newest is %d: %w", s.Controller, s.ControllerEpoch, m.control.epoch, ErrStaleController)
	}
	m.control.epoch = s.ControllerEpoch
	// A larger broker epoch than one's own is of a registration that this broker is about to hear of itself.
	m.control.life = max(s.BrokerEpoch, m.BrokerEpoch())
	return nil
}

// Admit runs f, which applies another kind of control request (UpdateMetadata), in order with the rest, if s may command.
func (m *Manager) Admit(s Sender, f func()) error {
	m.control.Lock()
	defer m.control.Unlock()
	if err := m.admitLocked(s); err != nil {
		return err
	}
	f()
	return nil
}

// LeaderAndISR gives partitions their roles. The error is for the request as a whole; the results are one per partition,
// in order, nil for success.
func (m *Manager) LeaderAndISR(s Sender, parts []Assigned) ([]error, error) {
	m.control.Lock()
	defer m.control.Unlock()
	if err := m.admitLocked(s); err != nil {
		return nil, err
	}
	results := make([]error, len(parts))
	changed := make([]*RoleChange, len(parts))
	sideBySide(parts, func(i int) { changed[i], results[i] = m.assign(&parts[i]) })
	var changes []RoleChange
	for _, change := range changed {
		if change != nil {
			changes = append(changes, *change)
		}
	}
	m.control.heeded = true
	m.moveFetchesLocked()
	if m.control.moves.led {
		m.control.moves.led = false
		m.leads.begin(m.clock())
	}
	if len(changes) > 0 {
		m.logRoles(changes)
		m.onRoles(changes)
	}
	return results, nil
}

// logRoles tells of leaderships that began, anew in each epoch, and ended: of many in one line.
func (m *Manager) logRoles(changes []RoleChange) {
	begun := 0
	for _, c := range changes {
		if c.Leads {
			begun++
		}
	}
	fields := []zap.Field{zap.Int("begun", begun), zap.Int("ended", len(changes)-begun)}
	if c := changes[0]; len(changes) == 1 {
		fields = append(fields, zap.String("topic", c.Partition.Topic), zap.Int32("partition", c.Partition.Partition), zap.Int32("leader_epoch", int32(c.LeaderEpoch)))
	}
	m.logger.Info("leaderships changed", fields...)
}

// assigners is how many partitions of a LeaderAndIsr are worked on at a time. What takes time is waiting for the disk,
// which makes as much durable for many at once as for one.
const assigners = 16

// sideBySide calls assign for all of parts: in order for each partition, at the same time for different ones.
func sideBySide(parts []Assigned, assign func(i int)) {
	if len(parts) == 1 {
		assign(0)
		return
	}
	seed := maphash.MakeSeed()
	var shares [assigners][]int
	for i := range parts {
		n := maphash.Comparable(seed, parts[i].Partition) % assigners
		shares[n] = append(shares[n], i)
	}
	var wg sync.WaitGroup
	for _, own := range shares {
		if len(own) > 0 {
			wg.Go(func() {
				for _, i := range own {
					assign(i)
				}
			})
		}
	}
	wg.Wait()
}

// moveFetchesLocked tells the fetchers what a control request has changed for them; control is held.
func (m *Manager) moveFetchesLocked() {
	moves := &m.control.moves
	m.fetchers.move(moves.stop, moves.start)
	moves.stop, moves.start = nil, nil
}

// assign applies one partition of a LeaderAndIsr; control is held, and no other call is about the same partition.
func (m *Manager) assign(a *Assigned) (*RoleChange, error) {
	m.mu.RLock()
	p := m.mu.partitions[a.Partition]
	m.mu.RUnlock()
	hosted := p != nil
	if !hosted {
		if !slices.Contains(a.Replicas, m.id) {
			return nil, fmt.Errorf("%s: broker %d is none of its replicas %v: %w", a.Partition, m.id, a.Replicas, ErrUnknownPartition)
		}
		p = newPartition(m, a.Partition)
	}
	change, err := p.assign(a)
	if hosted || p.mu.log == nil {
		return change, err
	}
	// Only now may requests find it: it has a log and a role.
	m.mu.Lock()
	m.mu.partitions[a.Partition] = p
	m.mu.Unlock()
	p.roleChanged()
	return change, err
}

// assign checks and takes one role.
func (p *Partition) assign(a *Assigned) (*RoleChange, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.offlineLocked(); err != nil {
		return nil, err
	}
	if !a.TopicID.IsZero() && !p.mu.topicID.IsZero() && a.TopicID != p.mu.topicID {
		return nil, fmt.Errorf("%s: assigned as %s, is %s: %w", p.tp, a.TopicID, p.mu.topicID, ErrInconsistentTopicID)
	}
	switch {
	case a.LeaderEpoch < p.mu.leaderEpoch:
		return nil, fmt.Errorf("%s: epoch %d, is %d: %w", p.tp, a.LeaderEpoch, p.mu.leaderEpoch, ErrStaleLeaderEpoch)
	case a.LeaderEpoch == p.mu.leaderEpoch:
		if a.Leader == p.mu.leader {
			p.mu.life = p.m.control.life
		}
		return nil, p.learnTopicIDLocked(a)
	case !slices.Contains(a.Replicas, p.m.id):
		return nil, fmt.Errorf("%s: broker %d is none of its replicas %v: %w", p.tp, p.m.id, a.Replicas, ErrUnknownPartition)
	}
	if a.PartitionEpoch < p.mu.partitionEpoch {
		return nil, nil // decided before an ISR change that this leader has made since
	}
	if err := p.openLocked(a); err != nil {
		return nil, err
	}
	p.resumeMoveLocked()
	if a.Leader == p.m.id {
		return p.leadLocked(a)
	}
	return p.followLocked(a), nil
}

// learnTopicIDLocked handles the one purpose a LeaderAndIsr without a new epoch may have: to name the topic's id.
func (p *Partition) learnTopicIDLocked(a *Assigned) error {
	if a.TopicID.IsZero() || !p.mu.topicID.IsZero() || p.mu.log == nil {
		return fmt.Errorf("%s: epoch %d again: %w", p.tp, a.LeaderEpoch, ErrStaleLeaderEpoch)
	}
	if err := p.mu.log.SetTopicID(a.TopicID); err != nil {
		return err
	}
	p.mu.topicID = a.TopicID
	if p.mu.fetch != nil {
		p.fetchLocked() // by id from now on
	}
	return nil
}

// fetchLocked begins to copy from the leader in place of what was copied before; mu and control are held.
func (p *Partition) fetchLocked() {
	p.unfetchLocked()
	p.mu.fetch = newFetchState(p, p.mu.log, p.mu.leader, p.mu.leaderEpoch, p.mu.topicID, p.m.cfg.Protocol)
	moves := &p.m.control.moves
	moves.Lock()
	moves.start = append(moves.start, p.mu.fetch)
	moves.Unlock()
}

// unfetchLocked ends the copying: from here on nothing is written for it, whatever is under way. mu and control are held.
func (p *Partition) unfetchLocked() {
	if p.mu.fetch != nil {
		moves := &p.m.control.moves
		moves.Lock()
		moves.stop = append(moves.stop, p.mu.fetch)
		moves.Unlock()
		p.mu.fetch = nil
	}
}

// openLocked opens or makes the log of a partition that has none yet.
func (p *Partition) openLocked(a *Assigned) error {
	if p.mu.log != nil {
		return nil
	}
	log, err := p.m.logs.GetOrCreate(p.tp, storage.CreateOptions{TopicID: a.TopicID, IsNew: a.IsNew})
	if err != nil {
		if errors.Is(err, storage.ErrTopicIDMismatch) {
			return fmt.Errorf("%s: %w (%w)", p.tp, ErrInconsistentTopicID, err)
		}
		return fmt.Errorf("open the log of %s: %w", p.tp, err)
	}
	log.SetHighWatermark(p.m.logs.ReadHighWatermark(p.tp))
	p.mu.log, p.mu.topicID = log, log.TopicID()
	return nil
}

// leadLocked makes this broker the leader in a new epoch.
func (p *Partition) leadLocked(a *Assigned) (*RoleChange, error) {
	led := p.mu.role == leading
	p.unfetchLocked()
	leo := p.mu.log.LogEndOffset()
	// On disk before anything is served: a follower that asks where the epoch began must get the same answer for ever.
	if err := p.mu.log.AssignEpochStart(a.LeaderEpoch, leo); err != nil {
		return nil, fmt.Errorf("begin epoch %d of %s: %w", a.LeaderEpoch, p.tp, err)
	}
	p.adoptLocked(a)
	p.mu.role, p.mu.isr, p.mu.epochStart = leading, a.ISR, leo
	if !led {
		p.mu.reign = a.LeaderEpoch
	}
	now := p.m.clock()
	p.followers.Lock()
	old := p.followers.progress
	p.followers.progress = make(map[meta.BrokerID]*progress, len(a.Replicas)-1)
	for _, id := range a.Replicas {
		if id == p.m.id {
			continue
		}
		f := old[id]
		inISR := slices.Contains(a.ISR, id)
		if f == nil || !led {
			f = &progress{}
			f.becameLeader(inISR, now)
		} else {
			f.newEpoch(inISR, leo, now)
		}
		p.followers.progress[id] = f
	}
	p.followers.Unlock()
	p.m.logger.Debug("leading", zap.String("topic", p.tp.Topic), zap.Int32("partition", p.tp.Partition),
		zap.Int32("leader_epoch", int32(a.LeaderEpoch)), zap.Any("isr", a.ISR), zap.Int64("leo", leo))
	p.advanceLocked(now)
	if !led {
		p.roleChanged()
	} else {
		p.watchers.mark(true) // those who fetch in the old epoch are to hear of the new one
	}
	if len(a.Replicas) > 1 {
		moves := &p.m.control.moves
		moves.Lock()
		moves.led = true
		moves.Unlock()
	}
	return &RoleChange{Partition: p.tp, Leads: true, LeaderEpoch: a.LeaderEpoch}, nil
}

// followLocked makes this broker a follower, if the new leader is alive. Otherwise the old role stays until a leader is named
// that is: a follower with nobody to follow would only forget whom it trusted.
func (p *Partition) followLocked(a *Assigned) *RoleChange {
	if !p.m.metadata.Load().Alive(a.Leader) {
		if a.Leader < 0 {
			p.m.logger.Info("the partition has no leader; keeping the role until one is named",
				zap.String("topic", p.tp.Topic), zap.Int32("partition", p.tp.Partition), zap.Int32("leader_epoch", int32(a.LeaderEpoch)))
			return nil
		}
		p.m.logger.Warn("told to follow a broker that is not alive; keeping the role until another leader is named",
			zap.String("topic", p.tp.Topic), zap.Int32("partition", p.tp.Partition),
			zap.Int32("leader", int32(a.Leader)), zap.Int32("leader_epoch", int32(a.LeaderEpoch)))
		return nil
	}
	led := p.mu.role == leading
	p.adoptLocked(a)
	p.mu.role, p.mu.isr = following, nil
	p.followers.Lock()
	p.followers.progress = nil
	p.followers.Unlock()
	p.fetchLocked()
	p.roleChanged()
	if !led {
		return nil
	}
	return &RoleChange{Partition: p.tp, Leads: false, LeaderEpoch: a.LeaderEpoch}
}

// adoptLocked takes over what leaders and followers alike are told.
func (p *Partition) adoptLocked(a *Assigned) {
	p.mu.leader, p.mu.leaderEpoch, p.mu.life = a.Leader, a.LeaderEpoch, p.m.control.life
	p.mu.partitionEpoch, p.mu.controllerEpoch = a.PartitionEpoch, a.ControllerEpoch
	p.mu.replicas, p.mu.adding, p.mu.removing = a.Replicas, a.Adding, a.Removing
	p.mu.proposed = nil
}

// Stopped is one partition of a StopReplica.
type Stopped struct {
	Partition   meta.TopicPartition
	LeaderEpoch meta.LeaderEpoch // noLeaderEpoch, deletedEpoch or one not older than the replica's
	Delete      bool
}

// deletedEpoch is the leader epoch of a StopReplica for a topic that is being deleted.
const deletedEpoch meta.LeaderEpoch = -2

// StopReplicas ends roles, and deletes logs where it says so. Results as in LeaderAndISR.
func (m *Manager) StopReplicas(s Sender, parts []Stopped) ([]error, error) {
	m.control.Lock()
	defer m.control.Unlock()
	if err := m.admitLocked(s); err != nil {
		return nil, err
	}
	results := make([]error, len(parts))
	var changes []RoleChange
	for i, stop := range parts {
		led, err := m.stop(stop)
		results[i] = err
		if led {
			changes = append(changes, RoleChange{Partition: stop.Partition, LeaderEpoch: meta.NoLeaderEpoch})
		}
	}
	m.moveFetchesLocked()
	if len(changes) > 0 {
		m.onRoles(changes)
	}
	return results, nil
}

func (m *Manager) stop(s Stopped) (led bool, err error) {
	m.mu.RLock()
	p := m.mu.partitions[s.Partition]
	m.mu.RUnlock()
	if p != nil {
		if led, err = p.stop(s); err != nil {
			return false, err
		}
		if s.Delete {
			m.mu.Lock()
			delete(m.mu.partitions, s.Partition)
			m.mu.Unlock()
		}
		p.roleChanged()
	}
	if !s.Delete {
		return led, nil
	}
	// Also without a hosted partition: a log may have stayed behind from an earlier life.
	if err := m.logs.Delete(s.Partition); err != nil && !errors.Is(err, storage.ErrNotFound) {
		return led, fmt.Errorf("delete the log of %s: %w", s.Partition, err)
	}
	return led, nil
}

func (p *Partition) stop(s Stopped) (led bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.offlineLocked(); err != nil && !s.Delete {
		return false, err
	}
	if s.LeaderEpoch != deletedEpoch && s.LeaderEpoch != meta.NoLeaderEpoch && s.LeaderEpoch < p.mu.leaderEpoch {
		return false, fmt.Errorf("stop %s: epoch %d, is %d: %w", p.tp, s.LeaderEpoch, p.mu.leaderEpoch, ErrFencedLeaderEpoch)
	}
	led = p.mu.role == leading
	p.unfetchLocked()
	p.mu.move = nil
	if s.Delete {
		p.mu.role = idle
	}
	return led, nil
}
