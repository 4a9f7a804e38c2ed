package replica

import (
	"errors"
	"fmt"
	"slices"

	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Logs may lie here of partitions that do not: their topics were deleted, or they were moved to other brokers, while this one
// was away, and nobody told it to delete them. They are looked for when a controller says all that there is for this broker
// (a LeaderAndIsr of type FULL), and set aside only if ZooKeeper agrees, which the caller asks in between. While a log
// directory is offline nothing is: the picture is not complete.

// Stray is a log that the controller's picture has no place for.
type Stray struct {
	Partition meta.TopicPartition
	TopicID   meta.TopicID // zero: none
}

// Strays lists the logs that all, everything the sender knows of for this broker, leaves out or has with another topic id.
func (m *Manager) Strays(s Sender, all []Assigned) ([]Stray, error) {
	var strays []Stray
	err := m.Admit(s, func() {
		if len(m.logs.LiveDirs()) < len(m.logs.Dirs()) {
			m.logger.Info("not looking for replicas that do not belong here, because a log directory is offline")
			return
		}
		told := make(map[meta.TopicPartition]meta.TopicID, len(all))
		for i := range all {
			told[all[i].Partition] = all[i].TopicID
		}
		seen := map[meta.TopicPartition]bool{}
		for _, logs := range []func(func(*storage.Log) bool){m.logs.Logs(), m.logs.FutureLogs()} {
			for log := range logs {
				tp, id := log.TopicPartition(), log.TopicID()
				want, ok := told[tp]
				if seen[tp] || ok && (want.IsZero() || id.IsZero() || want == id) {
					continue
				}
				seen[tp] = true
				strays = append(strays, Stray{tp, id})
			}
		}
	})
	slices.SortFunc(strays, func(a, b Stray) int { return a.Partition.Compare(b.Partition) })
	return strays, err
}

// Belongs says whether a log is of a replica that ZooKeeper has assigned to this broker. topic is nil if there is none of that name.
func (m *Manager) Belongs(s Stray, topic *meta.TopicAssignment) (belongs bool, why string) {
	if topic == nil {
		return false, "there is no such topic"
	}
	if !topic.ID.IsZero() && !s.TopicID.IsZero() && topic.ID != s.TopicID {
		return false, fmt.Sprintf("the topic of that name is %s, this is of %s", topic.ID, s.TopicID)
	}
	a, ok := topic.Partitions[s.Partition.Partition]
	if !ok {
		return false, "the topic has no such partition"
	}
	if !slices.Contains(a.Replicas, m.id) {
		return false, fmt.Sprintf("its replicas are on brokers %v", a.Replicas)
	}
	return true, ""
}

// SetAside ends the role of a replica, if it has one still, and puts its log aside.
func (m *Manager) SetAside(s Sender, stray Stray, why string) error {
	m.control.Lock()
	defer m.control.Unlock()
	if err := m.admitLocked(s); err != nil {
		return err
	}
	if log, ok := m.logs.Log(stray.Partition); ok && log.TopicID() != stray.TopicID {
		return nil // another one by now
	}
	m.mu.RLock()
	p := m.mu.partitions[stray.Partition]
	m.mu.RUnlock()
	led := false
	if p != nil {
		p.mu.Lock()
		led = p.mu.role == leading
		p.unfetchLocked()
		p.mu.move, p.mu.role = nil, idle
		p.mu.Unlock()
		m.mu.Lock()
		delete(m.mu.partitions, stray.Partition)
		m.mu.Unlock()
	}
	err := m.logs.SetAside(stray.Partition, why)
	m.moveFetchesLocked()
	if p != nil {
		p.roleChanged()
	}
	if led {
		m.onRoles([]RoleChange{{Partition: stray.Partition, LeaderEpoch: meta.NoLeaderEpoch}})
	}
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}
