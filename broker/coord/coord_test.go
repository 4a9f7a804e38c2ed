package coord_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/broker/coord/coordtest"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

const topic = "__test_state"

var tp0 = meta.TopicPartition{Topic: topic, Partition: 0}

// recorder is a machine that writes down what happens to it.
type recorder struct {
	env    *coord.Env
	mu     sync.Mutex
	events []string // guarded by mu
	epochs []meta.LeaderEpoch
	ended  bool
	onEnd  func()
	onLoad func(r *recorder)
}

func (r *recorder) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, fmt.Sprintf(format, args...))
}

func (r *recorder) Replay(rec coord.Record, at coord.Position, id int64, epoch int16, txn bool) {
	r.note("replay %s=%s at %d/%d producer %d txn %t", rec.Key, rec.Value, at.LeaderEpoch, at.Offset, id, txn)
}

func (r *recorder) ReplayMarker(id int64, epoch int16, committed bool) {
	r.note("marker %d/%d %t", id, epoch, committed)
}

func (r *recorder) Loaded() {
	r.note("loaded")
	if r.onLoad != nil {
		r.onLoad(r)
	}
}

func (r *recorder) Unloaded() {
	r.note("unloaded")
	r.ended = true
	if r.onEnd != nil {
		r.onEnd()
	}
}

func (r *recorder) EpochRaised() { r.epochs = append(r.epochs, r.env.LeaderEpoch) }

func (r *recorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := strings.Join(r.events, "; ")
	r.events = nil
	return s
}

// bench is a runtime over a journal in memory, within a synctest bubble.
type bench struct {
	t        *testing.T
	journal  *coordtest.Journal
	runtime  *coord.Runtime[*recorder]
	machines []*recorder
	prepare  func(*recorder)
	stop     func()
	settled  bool
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, journal: coordtest.New()}
	b.start()
	return b
}

// start makes another runtime over the same journal, as another broker would have it.
func (b *bench) start() {
	b.runtime = coord.New(coord.Options[*recorder]{Topic: topic, Journal: b.journal, LoadBufferBytes: 1, Settled: b.settled,
		New: func(e *coord.Env) *recorder {
			r := &recorder{env: e}
			if b.prepare != nil {
				b.prepare(r)
			}
			b.machines = append(b.machines, r)
			return r
		},
		Partitions:    func() (int32, bool) { return 1, true },
		MaxBatchBytes: func() int { return 1000 },
		AppendTimeout: func() time.Duration { return 5 * time.Second },
		Logger:        zap.NewNop()})
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- b.runtime.Run(ctx) }()
	b.stop = func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	}
	synctest.Wait()
}

func (b *bench) lead(epoch meta.LeaderEpoch) *recorder {
	b.journal.Lead(tp0, epoch)
	b.runtime.Roles([]coord.Role{{Partition: 0, LeaderEpoch: epoch, Leads: true}})
	synctest.Wait()
	if len(b.machines) == 0 {
		return nil
	}
	return b.machines[len(b.machines)-1]
}

func (b *bench) resign(epoch meta.LeaderEpoch) {
	b.journal.Resign(tp0)
	b.runtime.Roles([]coord.Role{{Partition: 0, LeaderEpoch: epoch}})
	synctest.Wait()
}

func (b *bench) do(event func(*recorder)) error { return b.runtime.Do(b.t.Context(), "k", event) }

func (b *bench) must(event func(*recorder)) {
	b.t.Helper()
	if err := b.do(event); err != nil {
		b.t.Fatalf("Do: %v", err)
	}
	synctest.Wait() // what was appended is in the log
}

// write appends one plain record and notes its outcome.
func (r *recorder) write(key, value string) {
	r.env.Append(coord.Plain(coord.Record{Key: []byte(key), Value: []byte(value)}), func(at coord.Position, err error) {
		if err != nil {
			r.note("%s failed: %v", key, errors.Is(err, coord.ErrNotCoordinator))
			return
		}
		r.note("%s at %d/%d", key, at.LeaderEpoch, at.Offset)
	})
}

func (b *bench) expect(r *recorder, want ...string) {
	b.t.Helper()
	synctest.Wait()
	if got := r.take(); got != strings.Join(want, "; ") {
		b.t.Errorf("got  %s\nwant %s", got, strings.Join(want, "; "))
	}
}

func inBubble(t *testing.T, f func(t *testing.T, b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		defer func() { b.stop() }()
		f(t, b)
	})
}

func TestDecideAppendAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		r := b.lead(3)
		b.expect(r, "loaded")
		b.journal.Hold(tp0)
		b.must(func(m *recorder) { m.write("a", "1") })
		b.must(func(m *recorder) { m.write("b", "2") })
		b.expect(r) // nothing is answered before it is replicated
		b.journal.Release(tp0)
		b.expect(r, "a at 3/0", "b at 3/1")
	})
}

func TestAppendsOfOneTurnShareABatch(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		r := b.lead(0)
		b.must(func(m *recorder) {
			m.write("a", "1")
			m.write("b", "2")
			m.env.Append(coord.Batch{Records: []coord.Record{{Key: []byte("t")}}, ProducerID: 7, Transactional: true},
				func(at coord.Position, err error) { m.note("t at %d %v", at.Offset, err) })
			m.write("c", "3")
			m.write("long", strings.Repeat("x", 990))
			m.write("d", "4")
		})
		b.expect(r, "loaded", "a at 0/0", "b at 0/1", "t at 2 <nil>", "c at 0/3", "long at 0/4", "d at 0/5")
		var batches []int
		for _, e := range b.journal.Log(tp0) {
			batches = append(batches, e.Batch)
		}
		if want := []int{0, 0, 1, 2, 3, 4}; !slices.Equal(batches, want) {
			t.Errorf("batches %v, want %v", batches, want)
		}
	})
}

func TestLogEndCountsWhatWasDecided(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.lead(2)
		b.must(func(m *recorder) {
			m.write("a", "1")
			if got, want := m.env.LogEnd(), (coord.Position{LeaderEpoch: 2, Offset: 1}); got != want {
				t.Errorf("log end %v, want %v", got, want)
			}
		})
	})
}

func TestFailedAppend(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		r := b.lead(0)
		b.journal.Hold(tp0)
		b.must(func(m *recorder) { m.write("a", "1") })
		b.journal.Fail(tp0, coord.ErrNotAvailable)
		b.must(func(m *recorder) { m.write("b", "2") })
		b.journal.Fail(tp0, nil)
		b.must(func(m *recorder) { m.write("c", "3") })
		b.expect(r, "loaded")
		b.journal.Release(tp0)
		b.expect(r, "a at 0/0", "b failed: false", "c at 0/1")
	})
}

func TestReplicationTimesOut(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.lead(0)
		b.journal.Hold(tp0)
		began, failed := time.Now(), time.Duration(0)
		b.must(func(m *recorder) {
			m.env.Append(coord.Plain(coord.Record{Key: []byte("a")}), func(_ coord.Position, err error) {
				if !errors.Is(err, coord.ErrTimedOut) {
					t.Errorf("got %v", err)
				}
				failed = time.Since(began)
			})
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		if failed != 5*time.Second {
			t.Errorf("failed after %v", failed)
		}
	})
}

func TestReplayInOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		r := b.lead(1)
		b.must(func(m *recorder) { m.write("a", "1"); m.write("b", "2") })
		b.must(func(m *recorder) {
			m.env.Append(coord.Batch{Records: []coord.Record{{Key: []byte("t"), Value: []byte("3")}}, ProducerID: 7, Transactional: true},
				func(coord.Position, error) {})
		})
		synctest.Wait()
		b.runtime.Marker(0, b.journal.Mark(tp0, 7, 2, true), 7, 2, true)
		b.expect(r, "loaded", "a at 1/0", "b at 1/1", "marker 7/2 true")
		b.resign(2)
		b.expect(r, "unloaded")
		next := b.lead(3)
		b.expect(next, "replay a=1 at 1/0 producer -1 txn false", "replay b=2 at 1/1 producer -1 txn false",
			"replay t=3 at 1/2 producer 7 txn true", "marker 7/2 true", "loaded")
		b.must(func(m *recorder) { m.write("c", "4") })
		b.expect(next, "c at 3/4")
	})
}

// A marker that was replayed while loading is not applied again, although the news of it comes when loading is over.
func TestMarkerWhileLoading(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.journal.Lead(tp0, 0)
		b.journal.Mark(tp0, 1, 0, true)
		b.journal.FailReads(tp0, errors.New("disk is slow"))
		r := b.lead(0)
		if err := b.do(func(*recorder) {}); !errors.Is(err, coord.ErrLoading) {
			t.Errorf("while loading: %v", err)
		}
		second := b.journal.Mark(tp0, 2, 0, false)
		applied, _ := b.runtime.Marker(0, second, 2, 0, false)
		if closed(applied) {
			t.Error("applied while loading")
		}
		b.journal.FailReads(tp0, nil)
		time.Sleep(time.Second)
		b.expect(r, "marker 1/0 true", "marker 2/0 false", "loaded")
		if !closed(applied) {
			t.Error("not told that it was applied")
		}
	})
}

func closed(c <-chan struct{}) bool {
	synctest.Wait()
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A marker waits for the callbacks of what lies below it in the log, and for its own replication.
func TestMarkerAfterAppends(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		r := b.lead(0)
		b.expect(r, "loaded")
		b.journal.Hold(tp0)
		b.must(func(m *recorder) { m.write("a", "1") })
		first, _ := b.runtime.Marker(0, b.journal.Mark(tp0, 1, 0, true), 1, 0, true)
		b.must(func(m *recorder) { m.write("b", "2") })
		second, _ := b.runtime.Marker(0, b.journal.Mark(tp0, 2, 0, true), 2, 0, true)
		b.expect(r)
		if closed(first) || closed(second) {
			t.Error("applied before it was replicated")
		}
		b.journal.Release(tp0)
		b.expect(r, "a at 0/0", "marker 1/0 true", "b at 0/2", "marker 2/0 true")
		if !closed(first) || !closed(second) {
			t.Error("not told that it was applied")
		}
	})
}

// A marker that replicates slowly is waited for as long as it takes.
func TestMarkerIsNotGivenUp(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		r := b.lead(0)
		b.expect(r, "loaded")
		b.journal.Hold(tp0)
		applied, _ := b.runtime.Marker(0, b.journal.Mark(tp0, 1, 0, true), 1, 0, true)
		time.Sleep(time.Minute)
		b.must(func(m *recorder) { m.write("a", "1") })
		time.Sleep(time.Minute)
		b.expect(r, "a failed: false")
		b.journal.Release(tp0)
		time.Sleep(time.Second)
		b.expect(r, "marker 1/0 true")
		if !closed(applied) {
			t.Error("not told that it was applied")
		}
	})
}

func TestMarkerOfAnEndedMachine(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.lead(0)
		b.journal.Hold(tp0)
		_, ended := b.runtime.Marker(0, b.journal.Mark(tp0, 1, 0, true), 1, 0, true)
		b.resign(1)
		if !closed(ended) {
			t.Error("the end of the machine is not told")
		}
		r := b.lead(2)
		b.expect(r, "marker 1/0 true", "loaded")
	})
}

func TestUnloadAnswersWhoWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		r := b.lead(0)
		b.journal.Hold(tp0)
		b.must(func(m *recorder) { m.write("a", "1"); m.env.After(time.Hour, func() { m.note("too late") }) })
		b.must(func(m *recorder) {
			m.env.Append(coord.Plain(coord.Record{Key: []byte("b")}), func(at coord.Position, err error) {
				m.note("b failed: %v", errors.Is(err, coord.ErrNotCoordinator))
				m.write("c", "nobody writes this")
			})
		})
		b.resign(1)
		b.expect(r, "loaded", "a failed: true", "b failed: true", "unloaded")
		if err := b.do(func(*recorder) {}); !errors.Is(err, coord.ErrNotCoordinator) {
			t.Errorf("after the resignation: %v", err)
		}
		time.Sleep(2 * time.Hour)
		b.expect(r)
	})
}

// Whoever is deposed and has not heard of it yet neither writes nor answers.
func TestDeposedIsFenced(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		r := b.lead(0)
		b.journal.Resign(tp0)
		if err := b.do(func(m *recorder) { t.Error("ran") }); !errors.Is(err, coord.ErrNotCoordinator) {
			t.Errorf("got %v", err)
		}
		b.journal.Lead(tp0, 5) // again, after others: the old machine is out of date
		if err := b.do(func(m *recorder) { t.Error("ran") }); !errors.Is(err, coord.ErrNotCoordinator) {
			t.Errorf("got %v", err)
		}
		r.env.Post(func() { r.write("a", "1") })
		b.expect(r, "loaded", "a failed: true")
	})
}

func TestLeadershipGoesOn(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		r := b.lead(4)
		b.journal.Hold(tp0)
		b.must(func(m *recorder) { m.write("a", "1") })
		if again := b.lead(5); again != r {
			t.Fatal("the next epoch of the same leader made a new machine")
		}
		b.journal.Release(tp0)
		b.must(func(m *recorder) { m.write("b", "2") })
		b.expect(r, "loaded", "a at 4/0", "b at 5/1")
		if !slices.Equal(r.epochs, []meta.LeaderEpoch{5}) {
			t.Errorf("epochs %v", r.epochs)
		}
		// Somebody else may have led in epoch 6.
		next := b.lead(7)
		if next == r || !r.ended {
			t.Error("a gap in the epochs was not taken for another leader")
		}
		b.expect(next, "replay a=1 at 4/0 producer -1 txn false", "replay b=2 at 5/1 producer -1 txn false", "loaded")
	})
}

func TestOldNewsIsPassedOver(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		r := b.lead(4)
		b.runtime.Roles([]coord.Role{{Partition: 0, LeaderEpoch: 3}, {Partition: 0, LeaderEpoch: 3, Leads: true}, {Partition: 0, LeaderEpoch: 4, Leads: true}})
		b.must(func(m *recorder) {
			if m != r {
				t.Error("old news made a new machine")
			}
		})
		// The topic is deleted and made again: epochs begin anew.
		b.runtime.Roles([]coord.Role{{Partition: 0, LeaderEpoch: meta.NoLeaderEpoch}})
		b.journal.Resign(tp0)
		if next := b.lead(0); next == r {
			t.Error("no new machine after the topic was made again")
		}
		b.must(func(*recorder) {})
	})
}

func TestLoadingIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.lead(0)
		b.must(func(m *recorder) { m.write("a", "1") })
		b.resign(1)
		b.journal.FailReads(tp0, errors.New("bad sector"))
		r := b.lead(2)
		time.Sleep(time.Minute)
		b.expect(r)
		if err := b.runtime.Each(t.Context(), func(int32, *recorder) { t.Error("ran") }); !errors.Is(err, coord.ErrLoading) {
			t.Errorf("Each: %v", err)
		}
		b.journal.FailReads(tp0, nil)
		time.Sleep(time.Minute)
		b.expect(r, "replay a=1 at 0/0 producer -1 txn false", "loaded")
		n := 0
		if err := b.runtime.Each(t.Context(), func(p int32, m *recorder) { n++ }); err != nil || n != 1 {
			t.Errorf("Each: %v, %d", err, n)
		}
	})
}

func TestBarrier(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.prepare = func(r *recorder) {
			r.onLoad = func(r *recorder) {
				r.env.Append(coord.Batch{}, func(_ coord.Position, err error) { r.note("settled %v", err) })
			}
		}
		b.lead(0)
		b.journal.Hold(tp0)
		b.must(func(m *recorder) { m.write("a", "1") })
		b.resign(1)
		r := b.lead(2)
		b.expect(r, "replay a=1 at 0/0 producer -1 txn false", "loaded")
		b.journal.Release(tp0)
		b.expect(r, "settled <nil>")
	})
}

func TestTimers(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		r := b.lead(0)
		b.expect(r, "loaded")
		began := time.Now()
		var timer, stopped *coord.Timer
		b.must(func(m *recorder) {
			timer = m.env.After(10*time.Second, func() { m.note("fired after %v", time.Since(began)) })
			stopped = m.env.After(6*time.Second, func() { m.note("stopped, but fired") })
		})
		for range 6 {
			time.Sleep(5 * time.Second)
			b.must(func(m *recorder) { timer.Reset(10 * time.Second); stopped.Stop() })
		}
		b.expect(r)
		time.Sleep(time.Hour)
		b.expect(r, "fired after 40s")
		b.must(func(m *recorder) { began = time.Now(); timer.Reset(time.Hour); timer.Reset(time.Second) })
		time.Sleep(2 * time.Hour)
		b.expect(r, "fired after 1s")
		b.must(func(m *recorder) {
			began = time.Now()
			timer.Reset(time.Second)
			timer.Stop()
			timer.Stop()
			timer.Reset(3 * time.Second)
		})
		time.Sleep(time.Hour)
		b.expect(r, "fired after 3s")
	})
}

func TestStartsAndStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, journal: coordtest.New()}
		b.start()
		b.lead(0)
		b.stop()
		if r := b.machines[0]; !r.ended {
			t.Error("the machine was not ended")
		}
		if err := b.do(func(*recorder) {}); !errors.Is(err, coord.ErrNotAvailable) {
			t.Errorf("after the end: %v", err)
		}
		if again := b.lead(1); len(b.machines) != 1 {
			t.Errorf("began to coordinate after the end: %v", again)
		}
	})
}

func TestCallerGivesUp(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		r := b.lead(0)
		block := make(chan struct{})
		r.env.Post(func() { <-block })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.runtime.Do(ctx, "k", func(*recorder) {}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		close(block)
		b.must(func(*recorder) {})
	})
}

func TestPositions(t *testing.T) {
	order := []coord.Position{coord.NoPosition, {LeaderEpoch: 0, Offset: 0}, {LeaderEpoch: 0, Offset: 7}, {LeaderEpoch: 1, Offset: 3}}
	for i, a := range order {
		for j, b := range order {
			if got, want := a.Compare(b) < 0, i < j; got != want {
				t.Errorf("%v before %v: %t", a, b, got)
			}
		}
	}
}

// Where that was asked for, nothing is coordinated before all that was read is on all in-sync replicas.
func TestSettled(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.stop()
		b.settled = true
		b.start()
		b.lead(0)
		b.journal.Hold(tp0)
		b.must(func(m *recorder) { m.write("a", "1") })
		b.resign(1)
		r := b.lead(2)
		b.expect(r, "replay a=1 at 0/0 producer -1 txn false")
		if err := b.do(func(*recorder) {}); !errors.Is(err, coord.ErrLoading) {
			t.Errorf("before the log is replicated: %v", err)
		}
		b.journal.Release(tp0)
		b.expect(r, "loaded")
		b.must(func(*recorder) {})
	})
}
