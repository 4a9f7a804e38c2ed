package group

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// model is a fleet of brokers that commit to one tree through all kinds of trouble, and what must be true of it. A value's
// place in the order of all values of its partition is (leader epoch of its coordinator, offset): the offset counts up.
type model struct {
	*memory
	rand    *rand.Rand
	brokers []*modelBroker
	leads   map[int32]meta.BrokerID
	// applied is the place of what the tree has, and acked of the newest that was acknowledged.
	applied, acked map[slotKey]place
	answers        int
	reports        struct {
		sync.Mutex
		wrong []string
	}
	// one at a time may touch any of it. memory.mu comes after it.
	one sync.Mutex
}

type place struct {
	epoch  meta.LeaderEpoch
	offset int64
}

func (p place) before(o place) bool {
	return p.epoch < o.epoch || p.epoch == o.epoch && p.offset < o.offset
}

// modelBroker coordinates with a tree of its own.
type modelBroker struct {
	m      *model
	id     meta.BrokerID
	store  *memoryStore
	tree   *OffsetTree
	shards map[int32]*modelShard
}

// modelShard stands for a coordinator's shard.
type modelShard struct {
	b      *modelBroker
	p      int32
	epoch  meta.LeaderEpoch
	loop   *shardLoop
	lane   *OffsetLane
	known  map[slotKey]TreeOffset
	unread int // groups
	next   int64
}

const (
	modelPartitions = 3
	modelGroups     = 4
	modelTopics     = 3
)

func (m *model) violated(format string, args ...any) {
	m.reports.Lock()
	defer m.reports.Unlock()
	m.reports.wrong = append(m.reports.wrong, fmt.Sprintf(format, args...))
}

// wroteOne checks a write that was carried out.
func (m *model) wroteOne(fences []meta.TopicPartition, w zkstore.OffsetWrite) {
	k := slotKey{w.Group, w.TopicPartition}
	var p int32
	fmt.Sscanf(w.Group, "p%d-", &p)
	here := place{meta.LeaderEpoch(w.Offset >> 32), w.Offset}
	if now := m.states[offsetsPartition(p)].LeaderEpoch; here.epoch != now { // every epoch of the model is another broker's
		m.violated("a coordinator of epoch %d wrote %v in epoch %d", here.epoch, k, now)
	}
	if here.before(m.applied[k]) {
		m.violated("%v: %v was overwritten by %v", k, m.applied[k], here)
	}
	m.applied[k] = here
}

// start makes a broker a partition's coordinator once it has heard of it.
func (b *modelBroker) start(ctx context.Context, p int32, epoch meta.LeaderEpoch) {
	if old := b.shards[p]; old != nil {
		if old.epoch >= epoch {
			return
		}
		old.stop()
	}
	s := &modelShard{b: b, p: p, epoch: epoch, loop: newShardLoop(ctx), known: map[slotKey]TreeOffset{}, unread: modelGroups, next: int64(epoch) << 32}
	b.shards[p] = s
	s.lane = b.tree.Open(p, epoch, s.loop.post)
	for g := range modelGroups {
		group := fmt.Sprintf("p%d-%d", p, g)
		s.lane.Read(group, func(r GroupReading, err error) {
			b.m.one.Lock()
			defer b.m.one.Unlock()
			if err != nil {
				return
			}
			for tp, o := range r.Offsets {
				s.known[slotKey{group, tp}] = TreeOffset{Exists: true, HasDetails: o.HasDetails, Details: o.Details}
			}
			s.unread--
			// Whatever was acknowledged by earlier coordinators is seen.
			for k, acked := range b.m.acked {
				if k.group == group && acked.epoch < s.epoch && (place{meta.LeaderEpoch(r.Offsets[k.tp].Offset >> 32), r.Offsets[k.tp].Offset}).before(acked) {
					b.m.violated("the coordinator of epoch %d reads %v of %v, but %v was acknowledged", s.epoch, r.Offsets[k.tp].Offset, k, acked)
				}
			}
		})
	}
}

func (s *modelShard) stop() {
	s.loop.unload(s.lane)
	delete(s.b.shards, s.p)
}

// commit puts the next value of some partition.
func (s *modelShard) commit() {
	m := s.b.m
	group, tp := fmt.Sprintf("p%d-%d", s.p, m.rand.IntN(modelGroups)), partitionOf(fmt.Sprint("t", m.rand.IntN(modelTopics)), 0)
	k := slotKey{group, tp}
	s.next++
	v := offsetValue(s.next)
	if m.rand.IntN(3) == 0 {
		v.Details.Metadata = fmt.Sprint("m", m.rand.IntN(2))
	}
	known, written := s.known[k]
	if !written {
		known = nothingKnown()
	}
	mine := place{s.epoch, v.Offset}
	s.lane.Put(group, tp, v, known, func(err error) {
		m.one.Lock()
		defer m.one.Unlock()
		m.answers++
		if err != nil {
			return
		}
		s.known[k] = after(v)
		m.memory.mu.Lock()
		defer m.memory.mu.Unlock()
		if m.applied[k].before(mine) {
			m.violated("%v of %v was acknowledged, but the tree has %v", mine, k, m.applied[k])
		}
		if has := m.offsets[k]; has.Offset == v.Offset && has.Details != v.Details {
			m.violated("%v of %v was acknowledged with %v, but the tree has %v", mine, k, v.Details, has.Details)
		}
		if m.acked[k].before(mine) {
			m.acked[k] = mine
		}
	})
}

// run lets the fleet live for a while and returns what was wrong.
func runModel(t *testing.T, seed uint64, plant func(*model)) (wrong []string, answers int) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := rand.New(rand.NewPCG(seed, 1))
		m := &model{memory: newMemory(), rand: r, leads: map[int32]meta.BrokerID{}, applied: map[slotKey]place{}, acked: map[slotKey]place{}}
		m.wrote = m.wroteOne
		var ended []chan struct{}
		for id := range meta.BrokerID(3) {
			b := &modelBroker{m: m, id: id, shards: map[int32]*modelShard{}, store: &memoryStore{memory: m.memory, slow: time.Duration(r.IntN(200)) * time.Millisecond}}
			b.store.faults.rand = rand.New(rand.NewPCG(seed, 2+uint64(id)))
			b.store.faults.unknown = r.Float64() / 2
			b.tree = NewOffsetTree(TreeOptions{BrokerID: id, Topic: "__consumer_offsets", Store: b.store, Logger: zap.NewNop()})
			m.brokers = append(m.brokers, b)
			done := make(chan struct{})
			ended = append(ended, done)
			go func() { b.tree.Run(ctx); close(done) }()
		}
		if plant != nil {
			plant(m)
		}
		for p := range int32(modelPartitions) {
			m.move(ctx, p)
		}
		for range 300 {
			time.Sleep(time.Duration(r.IntN(30)) * time.Millisecond)
			synctest.Wait()
			m.one.Lock()
			p := int32(r.IntN(modelPartitions))
			switch r.IntN(20) {
			case 0:
				m.move(ctx, p)
			case 1, 2:
				m.touch(p)
			case 3:
				store := m.brokers[r.IntN(3)].store
				store.setDown(true)
				time.AfterFunc(time.Duration(r.IntN(500))*time.Millisecond, func() { store.setDown(false) })
			default:
				for range r.IntN(20) {
					for _, b := range m.brokers { // the deposed, too: they have not heard of it
						if s := b.shards[p]; s != nil && s.unread == 0 {
							s.commit()
						}
					}
				}
			}
			m.one.Unlock()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		cancel()
		for _, done := range ended {
			<-done
		}
		wrong, answers = m.reports.wrong, m.answers
	})
	return wrong, answers
}

// move gives a partition another leader. Everybody hears of it later, the old one perhaps long after the new one.
func (m *model) move(ctx context.Context, p int32) {
	old, had := m.leads[p]
	next := meta.BrokerID(m.rand.IntN(3))
	if had && next == old {
		next = (next + 1) % 3
	}
	m.leads[p] = next
	epoch := m.lead(p, next)
	if had {
		time.AfterFunc(time.Duration(m.rand.IntN(2000))*time.Millisecond, func() {
			m.one.Lock()
			defer m.one.Unlock()
			if s := m.brokers[old].shards[p]; s != nil && s.epoch < epoch {
				s.stop()
			}
		})
	}
	time.AfterFunc(time.Duration(m.rand.IntN(300))*time.Millisecond, func() {
		m.one.Lock()
		defer m.one.Unlock()
		if m.state(p).LeaderEpoch == epoch {
			m.brokers[next].start(ctx, p, epoch)
		}
	})
}

// TestTreeModel: whatever happens, nobody is answered before what he wrote is durable, nothing older overwrites something newer, and
// a coordinator that was deposed writes nothing.
func TestTreeModel(t *testing.T) {
	answers := 0
	for seed := range uint64(100) {
		wrong, n := runModel(t, seed, nil)
		if answers += n; len(wrong) > 0 {
			t.Fatalf("seed %d: %s", seed, strings.Join(wrong, "\n"))
		}
	}
	if answers < 10_000 {
		t.Errorf("only %d commits were answered", answers)
	}
}

// TestTreeModelFinds: the model notices what it is there to notice.
func TestTreeModelFinds(t *testing.T) {
	for _, c := range []struct {
		mistake, symptom string
		plant            func(*model)
	}{
		{"nobody looks at fences", "a coordinator of epoch", func(m *model) { m.unfenced = true }},
		{"answered without being written", "was acknowledged, but the tree has", func(m *model) {
			for _, b := range m.brokers {
				b.store.faults.liar = true
			}
		}},
		{"a lost write lands late", "was overwritten by", func(m *model) {
			for _, b := range m.brokers {
				b.store.faults.late = 300 * time.Millisecond
			}
		}},
	} {
		found := 0
		for seed := range uint64(10) {
			wrong, _ := runModel(t, seed, c.plant)
			if strings.Contains(strings.Join(wrong, "\n"), c.symptom) {
				found++
			}
		}
		if found < 5 {
			t.Errorf("%s: noticed in %d of 10 runs", c.mistake, found)
		}
	}
}
