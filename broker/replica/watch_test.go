package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// A watch must be indistinguishable from reading everything in every poll. Two leaders are put through the same random
// life, one polled through a watch, one with complete fetches; what their followers are told and what the leaders
// believe of them has to agree after every step.
func TestAWatchEqualsCompleteFetches(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			newLockstep(t, seed).run(400)
		})
	}
}

// lockstep is the two leaders and their common follower, broker 2; broker 3 follows as well, completely in both.
type lockstep struct {
	t     *testing.T
	rng   *rand.Rand
	now   time.Time
	sides [2]*side
	parts []*lockstepPart
}

// lockstepPart is a partition as the controller and the follower see it.
type lockstepPart struct {
	tp    meta.TopicPartition
	state meta.LeaderAndISR
	asked bool
	ask   FetchPartition
	third FetchPartition // broker 3's
}

type side struct {
	m         *Manager
	w         *FetchWatch
	proposals []heldProposal
	told      map[int]string
}

// Propose implements [ISRProposer].
func (s *side) Propose(p ISRProposal, decide func(ISRDecision)) {
	s.proposals = append(s.proposals, heldProposal{p, decide})
}

func newLockstep(t *testing.T, seed uint64) *lockstep {
	l := &lockstep{t: t, rng: rand.New(rand.NewPCG(seed, 1)), now: time.Unix(1e9, 0)}
	topic := storage.DefaultLogConfig()
	topic.MaxIndexBytes = 4096
	topic.MinInSyncReplicas = int32(1 + seed%2)
	for i := range l.sides {
		logs, err := storage.OpenManager(context.Background(), storage.ManagerOptions{Dirs: []string{"/logs"}, FS: vfs.NewMem(),
			TopicConfig: func(string) *storage.LogConfig { return &topic }})
		check(t, err)
		s := &side{told: map[int]string{}}
		cache := metadata.NewCache()
		cache.Apply(liveBrokers(1, 2, 3))
		s.m = New(Options{BrokerID: 1, Config: testConfig(), Logs: logs, Metadata: cache, Proposer: s, Logger: zap.NewNop(),
			Now: func() time.Time { return l.now }})
		s.w = s.m.NewWatch(2)
		l.sides[i] = s
	}
	for i := range 6 {
		p := &lockstepPart{tp: meta.TopicPartition{Topic: "t", Partition: int32(i)}}
		p.state = meta.LeaderAndISR{Leader: 1, ISR: []meta.BrokerID{1, 2, 3}}
		l.parts = append(l.parts, p)
		l.tell(p)
	}
	return l
}

func (l *lockstep) tell(p *lockstepPart) {
	l.t.Helper()
	for _, s := range l.sides {
		state := p.state
		state.ISR = slices.Clone(state.ISR)
		results, err := s.m.LeaderAndISR(Sender{BrokerEpoch: meta.NoBrokerEpoch}, []Assigned{{Partition: p.tp, LeaderAndISR: state,
			Assignment: meta.Assignment{Replicas: []meta.BrokerID{1, 2, 3}}, IsNew: true}})
		check(l.t, errors.Join(append(results, err)...))
	}
}

func (l *lockstep) run(steps int) {
	for range steps {
		p := l.parts[l.rng.IntN(len(l.parts))]
		switch l.rng.IntN(12) {
		case 0, 1, 2:
			l.append(p)
		case 3:
			l.now = l.now.Add(time.Duration(l.rng.IntN(20000)) * time.Millisecond)
		case 4: // a new epoch, of this leader or for a while another one
			p.state.LeaderEpoch++
			p.state.PartitionEpoch++
			p.state.Leader = 1
			if l.rng.IntN(3) == 0 {
				p.state.Leader = 2
			}
			p.state.ISR = []meta.BrokerID{1, 2, 3}[:1+l.rng.IntN(3)]
			l.tell(p)
		case 5:
			l.fetchThird(p)
		case 6:
			for i := range l.sides {
				l.part(i, p).checkISR(meta.NoBroker)
			}
		case 7:
			l.decide()
		case 8:
			l.deleteRecords(p)
		default:
			l.poll()
		}
		l.compare()
	}
}

func (l *lockstep) part(i int, p *lockstepPart) *Partition {
	hosted, err := l.sides[i].m.partition(p.tp)
	check(l.t, err)
	return hosted
}

func (l *lockstep) append(p *lockstepPart) {
	batch := testBatch(1+l.rng.IntN(3), "x")
	for _, s := range l.sides {
		_ = s.m.Append(AppendRequest{Partition: p.tp, Acks: 1, Records: slices.Clone(batch)}) // refused on both or on none
	}
}

func (l *lockstep) deleteRecords(p *lockstepPart) {
	for i, s := range l.sides {
		log := l.part(i, p).mu.log
		d := []Deletion{{Partition: p.tp, Before: (log.LogStartOffset() + log.HighWatermark()) / 2}}
		s.m.DeleteRecords(context.Background(), 0, d)
	}
}

func (l *lockstep) fetchThird(p *lockstepPart) {
	p.third.Partition, p.third.MaxBytes = p.tp, 1<<20
	p.third.CurrentLeaderEpoch, p.third.LastFetchedEpoch = meta.NoLeaderEpoch, meta.NoLeaderEpoch
	p.third.Offset = l.part(0, p).mu.log.LogEndOffset() - int64(l.rng.IntN(2))
	if p.third.Offset < 0 {
		return
	}
	for _, s := range l.sides {
		releaseAll(s.m.Fetch(context.Background(), &FetchParams{Replica: 3, MaxBytes: 1 << 20}, []FetchPartition{p.third}))
	}
}

// decide answers the oldest proposal of both sides alike.
func (l *lockstep) decide() {
	d, found := ISRDecision{}, false
	for _, s := range l.sides {
		slices.SortFunc(s.proposals, func(a, b heldProposal) int {
			return cmp.Or(cmp.Compare(a.Partition.Partition, b.Partition.Partition), cmp.Compare(a.LeaderEpoch, b.LeaderEpoch), cmp.Compare(a.PartitionEpoch, b.PartitionEpoch))
		})
	}
	if len(l.sides[0].proposals) == 0 {
		return
	}
	q := l.sides[0].proposals[0]
	p := l.parts[q.Partition.Partition]
	found = q.LeaderEpoch == p.state.LeaderEpoch && q.PartitionEpoch == p.state.PartitionEpoch
	switch {
	case !found:
		d.Err = ErrProposalOutdated
	case l.rng.IntN(3) == 0:
		d.Err = ErrProposalRefused
	default:
		p.state.ISR = q.ISR
		p.state.PartitionEpoch++
		d.State = p.state
	}
	for _, s := range l.sides {
		answered := s.proposals[0]
		s.proposals = s.proposals[1:]
		answered.decide(d)
	}
}

// poll lets the follower ask for something else here and there, and fetch.
func (l *lockstep) poll() {
	var asks []WatchAsk
	var gone []int
	for slot, p := range l.parts {
		log := l.part(0, p).mu.log
		if p.asked && l.rng.IntN(10) == 0 {
			p.asked = false
			gone = append(gone, slot)
			for _, s := range l.sides {
				delete(s.told, slot)
			}
			continue
		}
		if p.asked && l.rng.IntN(2) == 0 {
			continue
		}
		old := p.ask
		p.ask = FetchPartition{Partition: p.tp, MaxBytes: 1 << 20, CurrentLeaderEpoch: p.state.LeaderEpoch, LastFetchedEpoch: meta.NoLeaderEpoch,
			Offset: log.LogEndOffset(), LogStart: log.LogStartOffset()}
		if l.rng.IntN(3) == 0 {
			p.ask.Offset = max(0, p.ask.Offset-1)
		}
		if !p.asked || old != p.ask {
			asks = append(asks, WatchAsk{slot, p.ask})
		}
		p.asked = true
	}
	params := &FetchParams{Replica: 2, MinBytes: 1, MaxBytes: 1 << 30, WholeBatch: true}
	polled := l.sides[0].w.Poll(context.Background(), params, asks, gone)
	data := [2]map[int]int{{}, {}}
	for i := range polled {
		l.note(0, polled[i].Slot, &polled[i].Fetched, data[0])
	}
	var slots []int
	var parts []FetchPartition
	for slot, p := range l.parts {
		if p.asked {
			slots, parts = append(slots, slot), append(parts, p.ask)
		}
	}
	for i, r := range l.sides[1].m.Fetch(context.Background(), params, parts) {
		l.note(1, slots[i], &r, data[1])
	}
	for slot := range l.parts {
		if l.sides[0].told[slot] != l.sides[1].told[slot] || data[0][slot] != data[1][slot] {
			l.t.Fatalf("partition %d: the watch told %s and %d bytes, a fetch tells %s and %d", slot, l.sides[0].told[slot], data[0][slot], l.sides[1].told[slot], data[1][slot])
		}
	}
}

func (l *lockstep) note(side, slot int, r *Fetched, data map[int]int) {
	err := "ok"
	for _, known := range []error{ErrNotLeader, ErrFencedLeaderEpoch, ErrUnknownLeaderEpoch, storage.ErrOffsetOutOfRange} {
		if errors.Is(r.Err, known) {
			err = known.Error()
		}
	}
	l.sides[side].told[slot] = fmt.Sprintf("%s hw %d start %d", err, r.HighWatermark, r.LogStartOffset)
	data[slot] = r.Bytes()
	r.Release()
}

// compare looks at what the two leaders believe.
func (l *lockstep) compare() {
	l.t.Helper()
	var beliefs [2][]string
	for i, s := range l.sides {
		for done := false; !done; {
			select {
			case c := <-s.m.isrChecks:
				c.p.checkISR(c.follower)
			default:
				done = true
			}
		}
		for _, p := range l.parts {
			hosted := l.part(i, p)
			log := hosted.mu.log
			line := fmt.Sprintf("%s: %s hw %d leo %d start %d isr %v proposed %v", p.tp, hosted.mu.role, log.HighWatermark(), log.LogEndOffset(), log.LogStartOffset(), hosted.mu.isr, hosted.mu.proposed)
			for _, id := range []meta.BrokerID{2, 3} {
				if f := hosted.followers.progress[id]; f != nil {
					line += fmt.Sprintf(" %d: leo %d start %d caught up %v;", id, f.leo, f.logStart, f.lastCaughtUp().Sub(l.now))
				}
			}
			beliefs[i] = append(beliefs[i], line)
		}
	}
	for i := range beliefs[0] {
		if beliefs[0][i] != beliefs[1][i] {
			l.t.Fatalf("with a watch:   %s\nwithout a watch: %s", beliefs[0][i], beliefs[1][i])
		}
	}
}

// A watch that nobody uses lets go of its partitions, and is as good as new when it is used after all.
func TestAnUnusedWatchLetsGo(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		time.Sleep(1100 * time.Millisecond)
		p, m := f.part(1, tp), f.nodes[1].m
		if p.watchers.entries.Load() == nil || len(m.watches.mu.all) != 1 {
			t.Fatal("no watch while there is a follower")
		}
		f.setDeaf(1, 2, true)
		time.Sleep(sleepAfter + f.cfg.HighWatermarkCheckpointInterval + time.Second)
		if p.watchers.entries.Load() != nil || len(m.watches.mu.all) != 0 {
			t.Error("a watch of a follower that is gone stays registered")
		}
		f.write(tp, 1)
		f.setDeaf(1, 2, false)
		time.Sleep(2 * time.Second)
		f.wantSame(tp)
	})
}

// A second poll on a watch ends the first, whose client has given it up, and what the first had found is told again if its
// answer was not sent.
func TestASecondPollEndsTheFirst(t *testing.T) {
	inFleet(t, 1, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		m := f.nodes[1].m
		w := m.NewWatch(2)
		params := &FetchParams{Replica: 2, MaxWait: time.Hour, MinBytes: 1, MaxBytes: 1 << 20, WholeBatch: true}
		ask := FetchPartition{Partition: tp, MaxBytes: 1 << 20, CurrentLeaderEpoch: 0, LastFetchedEpoch: meta.NoLeaderEpoch}
		first := make(chan int, 1)
		go func() { first <- len(w.Poll(context.Background(), params, []WatchAsk{{0, ask}}, nil)) }()
		synctest.Wait()
		second := make(chan int, 1)
		go func() {
			polled := w.Poll(context.Background(), params, nil, nil)
			n := polled[0].Bytes()
			for i := range polled {
				polled[i].Release()
			}
			second <- n
		}()
		<-first
		f.write(tp, 1)
		if n := <-second; n == 0 {
			t.Fatal("the second poll got nothing")
		}
		w.Forfeit()
		params.MaxWait = 0
		if polled := w.Poll(context.Background(), params, nil, nil); len(polled) != 1 || polled[0].Bytes() == 0 {
			t.Errorf("what was not delivered is not told again: %+v", polled)
		}
		w.Poll(context.Background(), params, nil, []int{0})
		if f.part(1, tp).watchers.entries.Load() != nil {
			t.Error("a forgotten partition stays registered")
		}
	})
}

// A partition that is deleted and made anew is another one.
func TestAWatchSeesDeletion(t *testing.T) {
	inFleet(t, 1, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		f.write(tp, 3)
		m := f.nodes[1].m
		w := m.NewWatch(2)
		params := &FetchParams{Replica: 2, MinBytes: 1, MaxBytes: 1 << 20, WholeBatch: true}
		ask := FetchPartition{Partition: tp, Offset: 3, MaxBytes: 1 << 20, CurrentLeaderEpoch: 0, LastFetchedEpoch: meta.NoLeaderEpoch}
		w.Poll(context.Background(), params, []WatchAsk{{0, ask}}, nil)
		w.Poll(context.Background(), params, nil, nil) // the high watermark has moved by the first
		if polled := w.Poll(context.Background(), params, nil, nil); len(polled) != 0 {
			t.Fatalf("told again: %+v", polled)
		}
		results, err := m.StopReplicas(Sender{ControllerEpoch: 1, BrokerEpoch: meta.NoBrokerEpoch}, []Stopped{{Partition: tp, LeaderEpoch: deletedEpoch, Delete: true}})
		check(t, errors.Join(append(results, err)...))
		if polled := w.Poll(context.Background(), params, nil, nil); len(polled) != 1 || polled[0].Err == nil {
			t.Errorf("after deletion: %+v", polled)
		}
		f.create("orders", 1, 2)
		if polled := w.Poll(context.Background(), params, nil, nil); len(polled) != 1 || !errors.Is(polled[0].Err, storage.ErrOffsetOutOfRange) {
			t.Errorf("made anew: %+v", polled)
		}
	})
}

// What is read while a poll waits is no fetch: in a new reign of the leader the follower counts from its next poll on.
func TestAWatchCountsFetchesOfANewReign(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		f.setDeaf(1, 2, true)
		time.Sleep(600 * time.Millisecond)
		m := f.nodes[1].m
		w := m.NewWatch(2)
		params := &FetchParams{Replica: 2, MaxWait: time.Minute, MinBytes: 1, MaxBytes: 1 << 20, WholeBatch: true}
		ask := FetchPartition{Partition: tp, Offset: 1, MaxBytes: 1 << 20, CurrentLeaderEpoch: meta.NoLeaderEpoch, LastFetchedEpoch: meta.NoLeaderEpoch}
		polled := make(chan int, 1)
		go func() { polled <- len(w.Poll(context.Background(), params, []WatchAsk{{0, ask}}, nil)) }()
		synctest.Wait()
		p := f.parts[tp]
		p.state.LeaderEpoch, p.state.PartitionEpoch = 1, 1
		p.state.Leader = 2
		f.tell(tp, 1)
		p.state.LeaderEpoch, p.state.PartitionEpoch, p.state.Leader = 2, 2, 1
		f.tell(tp, 1)
		<-polled
		params.MaxWait = 0
		w.Poll(context.Background(), params, nil, nil)
		progress := f.part(1, tp).followers.progress[2]
		if progress.leo != 1 {
			t.Errorf("after a poll in the new reign the leader believes the follower to be at %d", progress.leo)
		}
	})
}
