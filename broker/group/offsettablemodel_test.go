package group

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// offsetStory is what happened to one partition's offset, in order. What was not answered may have happened or not.
type offsetStory struct {
	events  []storyEvent
	busy    bool // a request is under way
	joining bool // it is one of a transaction
}

type storyEvent struct {
	value int64 // -1: deleted
	fate  fate
	txn   int64 // its producer while it is open; 0: none
}

type fate int8

const (
	open fate = iota
	happened
	maybe
	never
)

// possible are the values there may be now.
func (s *offsetStory) possible() []int64 {
	var values []int64
	for _, e := range slices.Backward(s.events) {
		switch e.fate {
		case happened:
			return append(values, e.value)
		case maybe:
			values = append(values, e.value)
		}
	}
	return append(values, -1)
}

// settle notes what was seen, once nothing is on its way: what could be newer never happened.
func (s *offsetStory) settle(value int64) {
	var left []storyEvent
	for _, e := range s.events {
		if e.fate == open {
			left = append(left, e)
		}
	}
	// An open transaction's offset is newer or older than what was seen as it was before: keep the order.
	at := -1
	for i, e := range s.events {
		if e.value == value && e.fate != open && e.fate != never {
			at = i
		}
	}
	kept := make([]storyEvent, 0, len(left)+1)
	for i, e := range s.events {
		switch {
		case i == at:
			kept = append(kept, storyEvent{value: value, fate: happened})
		case e.fate == open:
			kept = append(kept, e)
		}
	}
	if at < 0 {
		kept = append([]storyEvent{{value: value, fate: happened}}, kept...)
	}
	s.events = kept
}

// tableModel drives an offsetFleet at random.
type tableModel struct {
	*offsetFleet
	rand    *rand.Rand
	stories map[slotKey]*offsetStory
	open    map[int64][]slotKey // of producers
	broken  map[int64]bool      // their transaction can only be aborted
	next    int64
	wrong   []string
	checked int

	answers struct {
		sync.Mutex
		given []func() // what requests came to, for the model's goroutine
	}
}

// ask makes a request elsewhere, to the leader of now, and has its outcome noted by the model's goroutine.
func (m *tableModel) ask(request func(b *offsetBroker) error, note func(error)) {
	leader := m.leader
	go func() {
		err := request(leader)
		m.answers.Lock()
		defer m.answers.Unlock()
		m.answers.given = append(m.answers.given, func() { note(err) })
	}()
}

// hear notes what requests have come to.
func (m *tableModel) hear() {
	synctest.Wait()
	m.answers.Lock()
	defer m.answers.Unlock()
	for _, f := range m.answers.given {
		f()
	}
	m.answers.given = nil
}

func (m *tableModel) pick() (slotKey, *offsetStory) {
	k := slotKey{fmt.Sprint("g", m.rand.IntN(3)), partitionOf(fmt.Sprint("t", m.rand.IntN(3)), 0)}
	if m.stories[k] == nil {
		m.stories[k] = &offsetStory{}
	}
	return k, m.stories[k]
}

// commit commits a partition's next value.
func (m *tableModel) commit(producer int64) {
	k, s := m.pick()
	if s.busy {
		return
	}
	s.busy = true
	m.next++
	value, at := m.next, len(s.events)
	s.events = append(s.events, storyEvent{value: value, fate: maybe})
	if producer == 0 {
		m.ask(func(b *offsetBroker) error { return b.commit(k.group, map[string]int64{k.tp.Topic: value}) }, func(err error) {
			if s.busy = false; err == nil {
				s.events[at].fate = happened
			}
		})
		return
	}
	s.joining = true
	s.events[at].fate, s.events[at].txn = open, producer
	m.open[producer] = append(m.open[producer], k)
	m.ask(func(b *offsetBroker) error { return b.commitTxn(k.group, producer, k.tp.Topic, value) }, func(err error) {
		if s.busy, s.joining = false, false; err != nil {
			m.broken[producer] = true
		}
	})
}

// endTxn ends a producer's transaction once its commits are answered.
func (m *tableModel) endTxn(producer int64) {
	for _, k := range m.open[producer] {
		if m.stories[k].joining {
			return
		}
	}
	committed := !m.broken[producer] && m.rand.IntN(3) > 0
	for _, k := range m.open[producer] {
		s := m.stories[k]
		for i := range s.events {
			if e := &s.events[i]; e.txn == producer && e.fate == open {
				e.txn = 0
				if e.fate = never; committed {
					e.fate = happened
				}
			}
		}
	}
	delete(m.open, producer)
	delete(m.broken, producer)
	tell := m.rand.IntN(4) > 0
	if m.mark(producer, committed, tell); !tell {
		m.die()
	}
}

// remove deletes a partition's offset, unless a transaction is about to commit another.
func (m *tableModel) remove() {
	k, s := m.pick()
	if s.busy || slices.ContainsFunc(s.events, func(e storyEvent) bool { return e.fate == open }) {
		return
	}
	s.busy = true
	at := len(s.events)
	s.events = append(s.events, storyEvent{value: -1, fate: maybe})
	m.ask(func(b *offsetBroker) error {
		outcomes, err := b.coordinator.DeleteOffsets(m.ctx, k.group, []meta.TopicPartition{k.tp})
		return errors.Join(err, first(outcomes))
	}, func(err error) {
		if s.busy = false; err == nil {
			s.events[at].fate = happened
		}
	})
}

// check compares what the coordinator and the tree have with what may be.
func (m *tableModel) check() {
	for _, b := range m.brokers {
		b.store.setDown(false)
		b.store.faults.Lock()
		b.store.faults.unknown = 0
		b.store.faults.Unlock()
	}
	time.Sleep(time.Minute)
	m.hear()
	for k, s := range m.stories {
		if s.busy {
			m.wrong = append(m.wrong, fmt.Sprint(k, ": a request was never answered"))
			continue
		}
		found, err := m.leader.coordinator.Fetch(m.ctx, k.group, []meta.TopicPartition{k.tp}, false, false)
		if err != nil {
			m.wrong = append(m.wrong, fmt.Sprint(k, ": ", err))
			continue
		}
		m.checked++
		if got := found[0].Offset; !slices.Contains(s.possible(), got) {
			m.wrong = append(m.wrong, fmt.Sprintf("%v: %d is shown, of %v", k, got, s.events))
		}
		stable, err := m.leader.coordinator.Fetch(m.ctx, k.group, []meta.TopicPartition{k.tp}, false, true)
		hasOpen := slices.ContainsFunc(s.events, func(e storyEvent) bool { return e.fate == open })
		if err != nil || stable[0].Err != nil && !hasOpen || stable[0].Err == nil && hasOpen && !m.broken[s.openBy()] {
			m.wrong = append(m.wrong, fmt.Sprintf("%v: unstable %v %v, of %v", k, stable[0].Err, err, s.events))
		}
		if m.config.InTree {
			o, exists := m.offset(k.group, k.tp)
			if exists && o.Offset != found[0].Offset || !exists && found[0].Offset != -1 {
				m.wrong = append(m.wrong, fmt.Sprintf("%v: %d is shown, and %d in the tree", k, found[0].Offset, o.Offset))
			}
		}
		s.settle(found[0].Offset)
	}
}

func (s *offsetStory) openBy() int64 {
	for _, e := range s.events {
		if e.fate == open {
			return e.txn
		}
	}
	return 0
}

func runTableModel(t *testing.T, c OffsetConfig, seed uint64) (wrong []string, checked int) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := rand.New(rand.NewPCG(seed, 2))
		m := &tableModel{offsetFleet: newOffsetFleet(ctx, withDefaults(c), 3), rand: r, stories: map[slotKey]*offsetStory{},
			open: map[int64][]slotKey{}, broken: map[int64]bool{}, next: 1000}
		m.lead(m.brokers[0], 0)
		for step := range 400 {
			time.Sleep(time.Duration(r.IntN(40)) * time.Millisecond)
			m.hear()
			switch n := r.IntN(40); {
			case n < 15:
				m.offsetFleet.leader.store.faults.Lock()
				m.offsetFleet.leader.store.faults.rand = rand.New(rand.NewPCG(seed, uint64(step)))
				m.offsetFleet.leader.store.faults.unknown = r.Float64() / 3
				m.offsetFleet.leader.store.faults.Unlock()
				m.commit(0)
			case n < 25:
				m.commit(1 + r.Int64N(3))
			case n < 32:
				m.endTxn(1 + r.Int64N(3))
			case n == 32:
				m.remove()
			case n == 33:
				m.lead(m.brokers[r.IntN(3)], time.Duration(r.IntN(3000))*time.Millisecond)
			case n == 34:
				m.die()
			case n == 35:
				store := m.leader.store
				store.setDown(true)
				time.AfterFunc(time.Duration(r.IntN(300))*time.Millisecond, func() { store.setDown(false) })
			case n == 36:
				m.touch(0)
			case n == 37:
				m.check()
			case n == 38: // a fetch a while after the last has the tree read again
				time.Sleep(1100 * time.Millisecond)
				k, _ := m.pick()
				m.ask(func(b *offsetBroker) error {
					_, err := b.coordinator.Fetch(m.ctx, k.group, nil, true, false)
					return err
				}, func(error) {})
			}
		}
		m.check()
		m.stop()
		wrong, checked = m.wrong, m.checked
	})
	return wrong, checked
}

// TestOffsetTableModel: whatever happens, every coordinator shows what was committed last, in a transaction or not, and what was not
// answered was committed or was not.
func TestOffsetTableModel(t *testing.T) {
	for name, c := range offsetModes {
		t.Run(name, func(t *testing.T) {
			checked := 0
			for seed := range uint64(20) {
				wrong, n := runTableModel(t, c, seed)
				if checked += n; len(wrong) > 0 {
					t.Fatalf("seed %d: %s", seed, strings.Join(wrong, "\n"))
				}
			}
			if checked < 300 {
				t.Errorf("only %d offsets were looked at", checked)
			}
		})
	}
}
