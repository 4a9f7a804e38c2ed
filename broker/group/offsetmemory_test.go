package group

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// offsetsPartition is one of the partitions whose leaders coordinate groups.
func offsetsPartition(p int32) meta.TopicPartition {
	return meta.TopicPartition{Topic: "__consumer_offsets", Partition: p}
}

// memory is the tree of a fleet: what ZooKeeper would hold. Brokers see it through memoryStore.
type memory struct {
	mu      sync.Mutex
	states  map[meta.TopicPartition]meta.LeaderAndISR // PartitionEpoch is the version
	offsets map[slotKey]zkstore.CommittedOffset
	order   map[slotKey]int // counts what was written to a partition
	members map[string]bool // groups that old consumers are members of
	// wrote is told of every write that was carried out, under mu.
	wrote func(fences []meta.TopicPartition, w zkstore.OffsetWrite)
	// unfenced is a mistake to be found: fences are not looked at.
	unfenced bool
}

func newMemory() *memory {
	return &memory{states: map[meta.TopicPartition]meta.LeaderAndISR{}, offsets: map[slotKey]zkstore.CommittedOffset{}, order: map[slotKey]int{}, members: map[string]bool{}}
}

// lead makes a broker the leader in the next epoch.
func (m *memory) lead(p int32, broker meta.BrokerID) meta.LeaderEpoch {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, seen := m.states[offsetsPartition(p)]
	if seen {
		s.LeaderEpoch++
		s.PartitionEpoch++
	}
	s.Leader = broker
	m.states[offsetsPartition(p)] = s
	return s.LeaderEpoch
}

// touch changes a partition's state without changing its leader, as a change of the ISR does.
func (m *memory) touch(p int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.states[offsetsPartition(p)]
	s.PartitionEpoch++
	m.states[offsetsPartition(p)] = s
}

func (m *memory) state(p int32) meta.LeaderAndISR {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.states[offsetsPartition(p)]
}

func (m *memory) offset(group string, tp meta.TopicPartition) (zkstore.CommittedOffset, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.offsets[slotKey{group, tp}]
	return o, ok
}

// set writes as an old consumer does.
func (m *memory) set(group string, tp meta.TopicPartition, offset int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.offsets[slotKey{group, tp}]
	if !ok {
		o.Details = zkstore.NoOffsetDetails()
	}
	o.Offset, o.Modified = offset, time.Now()
	m.offsets[slotKey{group, tp}] = o
}

// setMembers says whether old consumers are members of a group.
func (m *memory) setMembers(group string, some bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.members[group] = some
}

// apply carries a multi out, or says what refuses it.
func (m *memory) apply(fences []zkstore.Fence, writes []zkstore.OffsetWrite) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	held := make([]meta.TopicPartition, 0, len(fences))
	for i, f := range fences {
		tp, ok := m.fenced(f)
		if !ok && !m.unfenced {
			return &zkstore.RefusedWrite{Fence: i, Write: -1, Err: zkstore.ErrFenced}
		}
		held = append(held, tp)
	}
	seen := map[slotKey]bool{}
	for i, w := range writes {
		k := slotKey{w.Group, w.TopicPartition}
		if seen[k] {
			panic(fmt.Sprint(k, " twice in a multi"))
		}
		seen[k] = true
		if w.Topic == "forbidden" {
			return &zkstore.RefusedWrite{Fence: -1, Write: i, Err: zkstore.ErrNoAuth}
		}
	}
	for _, w := range writes {
		k := slotKey{w.Group, w.TopicPartition}
		m.order[k]++
		if m.wrote != nil {
			m.wrote(held, w)
		}
		o, ok := m.offsets[k]
		if !ok {
			o.Details = zkstore.NoOffsetDetails()
		}
		if w.Delete {
			if w.Exists || w.Unknown { // what is believed gone is not looked for
				delete(m.offsets, k)
			}
			continue
		}
		o.Offset, o.Modified = w.Offset, time.Now()
		switch none := zkstore.NoOffsetDetails(); {
		case w.Details == nil, *w.Details == none && !w.DetailsExist && !w.Unknown:
		default:
			o.Details = *w.Details
			o.HasDetails = o.Details != none
		}
		m.offsets[k] = o
	}
	return nil
}

// fenced finds the partition of a fence that holds.
func (m *memory) fenced(f zkstore.Fence) (meta.TopicPartition, bool) {
	for tp, s := range m.states {
		if zkstore.PartitionFence(tp, s.PartitionEpoch) == f {
			return tp, true
		}
	}
	return meta.TopicPartition{}, false
}

// memoryStore is one broker's session. Its faults are drawn from rand, if there is one; answers take up to slow.
type memoryStore struct {
	*memory
	slow time.Duration

	faults struct {
		sync.Mutex
		rand    *rand.Rand // nil: none
		unknown float64    // how often the outcome of a write is not told
		down    bool       // no session: nothing is carried out
		// A mistake to be found: writes are acknowledged and not carried out.
		liar bool
		// A mistake to be found: a write of unknown outcome is carried out later than what follows it.
		late time.Duration
	}
	// linger, if not nil, says how long a write takes and whether its outcome is then unknown, and it was not carried out.
	linger func([]zkstore.OffsetWrite) (time.Duration, bool)
	multis int // counted under faults
}

// sent is how many multis there were.
func (s *memoryStore) sent() int {
	s.faults.Lock()
	defer s.faults.Unlock()
	return s.multis
}

func (s *memoryStore) roll() float64 {
	s.faults.Lock()
	defer s.faults.Unlock()
	if s.faults.rand == nil {
		return 1
	}
	return s.faults.rand.Float64()
}

func (s *memoryStore) setDown(down bool) {
	s.faults.Lock()
	defer s.faults.Unlock()
	s.faults.down = down
}

func (s *memoryStore) delay(ctx context.Context) error {
	wait := time.Duration(0)
	if s.slow > 0 {
		wait = time.Duration(s.roll() * float64(s.slow))
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
	}
	s.faults.Lock()
	defer s.faults.Unlock()
	if s.faults.down {
		return zkstore.ErrExpired
	}
	return nil
}

func (s *memoryStore) PartitionState(ctx context.Context, tp meta.TopicPartition) (meta.LeaderAndISR, error) {
	if err := s.delay(ctx); err != nil {
		return meta.LeaderAndISR{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if state, ok := s.states[tp]; ok {
		return state, nil
	}
	return meta.LeaderAndISR{}, zkstore.ErrNoNode
}

func (s *memoryStore) WriteOffsets(ctx context.Context, fences []zkstore.Fence, writes []zkstore.OffsetWrite) error {
	writes = slices.Clone(writes)
	for i := range writes {
		if d := writes[i].Details; d != nil {
			writes[i].Details = new(*d)
		}
	}
	if err := s.delay(ctx); err != nil {
		return err
	}
	if s.linger != nil {
		long, lost := s.linger(writes)
		if time.Sleep(long); lost {
			return zkstore.ErrUnknownOutcome
		}
	}
	s.faults.Lock()
	liar, late, unknown := s.faults.liar, s.faults.late, s.faults.unknown
	s.multis++
	s.faults.Unlock()
	switch fate := s.roll(); {
	case liar && len(writes) > 0 && fate < unknown:
		return nil
	case late > 0 && len(writes) > 0 && fate < unknown:
		time.AfterFunc(late, func() { _ = s.apply(fences, writes) })
		return zkstore.ErrUnknownOutcome
	case fate < unknown/2: // lost before it arrived
		return zkstore.ErrUnknownOutcome
	case fate < unknown: // the answer was lost
		_ = s.apply(fences, writes)
		return zkstore.ErrUnknownOutcome
	}
	err := s.apply(fences, writes)
	if slow := s.delay(ctx); slow != nil && err == nil {
		return fmt.Errorf("%w: %w", zkstore.ErrUnknownOutcome, slow)
	}
	return err
}

func (s *memoryStore) PruneOffsets(context.Context, zkstore.Fence, string, []string) error {
	return nil
}

func (s *memoryStore) GroupOffsets(ctx context.Context, group string) (map[meta.TopicPartition]zkstore.CommittedOffset, map[meta.TopicPartition]error, error) {
	if err := s.delay(ctx); err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	found := map[meta.TopicPartition]zkstore.CommittedOffset{}
	for k, o := range s.offsets {
		if k.group == group {
			found[k.tp] = o
		}
	}
	s.mu.Unlock()
	return found, nil, s.delay(ctx) // the answer takes its time, too
}

func (s *memoryStore) HasMembers(ctx context.Context, group string) (bool, error) {
	if err := s.delay(ctx); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.members[group], nil
}

func (s *memoryStore) OffsetGroups(ctx context.Context) ([]string, error) {
	if err := s.delay(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	groups := map[string]bool{}
	for k := range s.offsets {
		groups[k.group] = true
	}
	return slices.Sorted(maps.Keys(groups)), nil
}
