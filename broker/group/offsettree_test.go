package group

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
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

func partitionOf(topic string, p int32) meta.TopicPartition {
	return meta.TopicPartition{Topic: topic, Partition: p}
}

// shardLoop stands for a shard's goroutine: what is posted to it runs there, in order, until it is ended.
type shardLoop struct {
	mu    sync.Mutex
	ended bool
	queue []func()
	wake  chan struct{} // from post to run; capacity 1: "look"
}

func newShardLoop(ctx context.Context) *shardLoop {
	l := &shardLoop{wake: make(chan struct{}, 1)}
	go func() { // ends with ctx
		for {
			select {
			case <-ctx.Done():
				return
			case <-l.wake:
			}
			for {
				l.mu.Lock()
				var f func()
				if len(l.queue) > 0 && !l.ended {
					f, l.queue = l.queue[0], l.queue[1:]
				}
				l.mu.Unlock()
				if f == nil {
					break
				}
				f()
			}
		}
	}()
	return l
}

func (l *shardLoop) post(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, f)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// unload closes a lane and drops what is still posted, as a shard does that is unloaded.
func (l *shardLoop) unload(lane *OffsetLane) {
	l.post(func() {
		lane.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.ended = true
	})
}

// treeBench is a tree of broker 1 over a memory, in a synctest bubble. Partition 0 is led by it.
type treeBench struct {
	*memory
	store *memoryStore
	tree  *OffsetTree
	loop  *shardLoop
	lane  *OffsetLane

	answers sync.Mutex // guards log
	log     []string
}

// close closes a lane as its shard would.
func (b *treeBench) close(l *OffsetLane) {
	closed := make(chan struct{})
	b.loop.post(func() { l.Close(); close(closed) })
	<-closed
}

func benchTree(t *testing.T, f func(b *treeBench)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := &treeBench{memory: newMemory()}
		b.store = &memoryStore{memory: b.memory, slow: 10 * time.Millisecond}
		b.tree = NewOffsetTree(TreeOptions{BrokerID: 1, Topic: "__consumer_offsets", Store: b.store, Logger: zap.NewNop()})
		ended := make(chan struct{})
		go func() { b.tree.Run(ctx); close(ended) }()
		b.loop = newShardLoop(ctx)
		b.lane = b.tree.Open(0, b.lead(0, 1), b.loop.post)
		f(b)
		cancel()
		<-ended
	})
}

func offsetValue(offset int64) OffsetValue {
	return OffsetValue{Offset: offset, Details: zkstore.NoOffsetDetails()}
}

func nothingKnown() TreeOffset { return TreeOffset{Details: zkstore.NoOffsetDetails()} }

func (b *treeBench) put(l *OffsetLane, tp meta.TopicPartition, v OffsetValue) {
	l.Put("g", tp, v, nothingKnown(), func(err error) {
		at, _ := b.offset("g", tp)
		what := "durable"
		switch {
		case errors.Is(err, coord.ErrNotCoordinator):
			what = "not coordinator"
		case err != nil:
			what = err.Error()
		}
		b.answers.Lock()
		defer b.answers.Unlock()
		b.log = append(b.log, fmt.Sprintf("%v=%d %s at %d", tp, v.Offset, what, at.Offset))
	})
}

// told returns what was answered since, once nothing moves any more, by partition.
func (b *treeBench) told(after time.Duration) string {
	time.Sleep(after) // in the bubble's time
	synctest.Wait()
	b.answers.Lock()
	defer b.answers.Unlock()
	slices.SortStableFunc(b.log, func(x, y string) int {
		px, _, _ := strings.Cut(x, "=")
		py, _, _ := strings.Cut(y, "=")
		return strings.Compare(px, py)
	})
	log := strings.Join(b.log, "; ")
	b.log = nil
	return log
}

func (b *treeBench) expect(t *testing.T, after time.Duration, want string) {
	t.Helper()
	if got := b.told(after); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTreeAnswersWhenDurable(t *testing.T) {
	benchTree(t, func(b *treeBench) {
		t0 := partitionOf("t", 0)
		b.put(b.lane, t0, offsetValue(5))
		b.expect(t, 0, "")
		b.expect(t, time.Second, "t-0=5 durable at 5")
		// What waits behind a value under way is the newest; the older are answered with it.
		b.put(b.lane, t0, offsetValue(6))
		synctest.Wait()
		multis := b.store.sent()
		for offset := range int64(50) {
			b.put(b.lane, t0, offsetValue(10+offset))
		}
		want := []string{"t-0=6 durable at 6"}
		for offset := range int64(50) {
			want = append(want, fmt.Sprintf("t-0=%d durable at 59", 10+offset))
		}
		b.expect(t, time.Second, strings.Join(want, "; "))
		if n := b.store.sent() - multis; n != 2 {
			t.Errorf("%d requests", n)
		}
	})
}

// TestTreeGathers: what comes while requests are under way shares the next one.
func TestTreeGathers(t *testing.T) {
	benchTree(t, func(b *treeBench) {
		b.expect(t, time.Second, "")
		multis := b.store.sent()
		for p := range int32(1000) {
			b.put(b.lane, partitionOf("t", p), offsetValue(1))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(b.log) != 1000 {
			t.Errorf("%d answers", len(b.log))
		}
		if n := b.store.sent() - multis; n > treeWriters+1000/maxGathered+1 {
			t.Errorf("%d requests", n)
		}
	})
}

// TestTreeWritesDetailsWhenTheyChange: and when it is not sure.
func TestTreeWritesDetailsWhenTheyChange(t *testing.T) {
	benchTree(t, func(b *treeBench) {
		var details []string
		b.wrote = func(_ []meta.TopicPartition, w zkstore.OffsetWrite) {
			switch {
			case w.Details == nil:
				details = append(details, "-")
			default:
				details = append(details, w.Details.Metadata+"!")
			}
		}
		known := nothingKnown()
		put := func(metadata string) {
			t.Helper()
			v := offsetValue(1)
			v.Details.Metadata = metadata
			b.lane.Put("g", partitionOf("t", 0), v, known, func(err error) {
				if err != nil {
					t.Error(err)
				}
				known = after(v)
			})
			time.Sleep(5 * time.Second)
			synctest.Wait()
		}
		put("")
		put("a")
		put("a")
		put("b")
		b.store.setDown(true)
		go func() { time.Sleep(time.Second); b.store.setDown(false) }()
		put("b") // of unknown outcome at first
		put("")
		put("")
		if got, want := strings.Join(details, " "), "- a! - b! b! ! -"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestTreeIsFenced(t *testing.T) {
	benchTree(t, func(b *treeBench) {
		t0 := partitionOf("t", 0)
		other := b.tree.Open(1, b.lead(1, 1), b.lane.post)
		b.put(b.lane, t0, offsetValue(1))
		b.put(other, partitionOf("u", 0), offsetValue(1))
		b.expect(t, time.Second, "t-0=1 durable at 1; u-0=1 durable at 1")
		// A change of the ISR is no change of the leader.
		b.touch(0)
		b.put(b.lane, t0, offsetValue(2))
		b.expect(t, time.Second, "t-0=2 durable at 2")
		// The other coordinator goes on when this one is deposed, though both write together.
		b.lead(0, 2)
		b.put(b.lane, t0, offsetValue(3))
		b.put(other, partitionOf("u", 0), offsetValue(3))
		b.expect(t, time.Second, "t-0=3 not coordinator at 2; u-0=3 durable at 3")
		b.put(b.lane, t0, offsetValue(4))
		b.expect(t, time.Second, "t-0=4 not coordinator at 2")
		b.close(b.lane)
		b.put(b.lane, t0, offsetValue(4))
		b.expect(t, time.Second, "t-0=4 not coordinator at 2")
	})
}

// TestTreeFollowsItsLeadership: the state is known before the news of it.
func TestTreeFollowsItsLeadership(t *testing.T) {
	benchTree(t, func(b *treeBench) {
		t0 := partitionOf("t", 0)
		b.put(b.lane, t0, offsetValue(1))
		b.expect(t, time.Second, "t-0=1 durable at 1")
		b.lead(0, 1)
		b.put(b.lane, t0, offsetValue(2))
		b.expect(t, time.Second, "t-0=2 durable at 2")
		last := b.lead(0, 1)
		b.put(b.lane, t0, offsetValue(3)) // somebody may have led in between, for all we know
		b.expect(t, time.Second, "t-0=3 not coordinator at 2")
		b.lane.Raise(last - 1)
		b.lane.Raise(last)
		b.put(b.lane, t0, offsetValue(4))
		b.expect(t, time.Second, "t-0=4 durable at 4")
	})
}

// lingering makes the first write of an offset take a second.
func (b *treeBench) lingering(offset int64, lost bool) {
	seen := false
	b.store.linger = func(writes []zkstore.OffsetWrite) (time.Duration, bool) {
		if len(writes) > 0 && writes[0].Offset == offset && !seen {
			seen = true
			return time.Second, lost
		}
		return 0, false
	}
}

// TestTreeForgetsWhatItAnswered: what was under way when the lane was deposed is not sent again when it lives again.
func TestTreeForgetsWhatItAnswered(t *testing.T) {
	benchTree(t, func(b *treeBench) {
		t0 := partitionOf("t", 0)
		b.expect(t, time.Second, "")
		b.lingering(1, true)
		b.put(b.lane, t0, offsetValue(1))
		time.Sleep(100 * time.Millisecond)
		b.lead(0, 1)
		last := b.lead(0, 1)
		b.put(b.lane, partitionOf("t", 1), offsetValue(1000))
		b.expect(t, 200*time.Millisecond, "t-0=1 not coordinator at 0; t-1=1000 not coordinator at 0")
		b.lane.Raise(last - 1)
		b.lane.Raise(last)
		b.put(b.lane, t0, offsetValue(2))
		b.expect(t, 200*time.Millisecond, "t-0=2 durable at 2")
		b.expect(t, time.Minute, "")
		if at, _ := b.offset("g", t0); at.Offset != 2 {
			t.Errorf("%d was written again", at.Offset)
		}
	})
}

// TestTreeWaitsForItsPast: a partition's new lane sends nothing before all that the old one sent has landed.
func TestTreeWaitsForItsPast(t *testing.T) {
	benchTree(t, func(b *treeBench) {
		t0 := partitionOf("t", 0)
		b.expect(t, time.Second, "")
		b.lingering(1, false)
		b.put(b.lane, t0, offsetValue(1))
		time.Sleep(100 * time.Millisecond)
		b.close(b.lane)
		b.close(b.tree.Open(0, 0, b.lane.post))
		again := b.tree.Open(0, 0, b.lane.post)
		b.put(again, t0, offsetValue(2))
		b.expect(t, 200*time.Millisecond, "t-0=1 not coordinator at 0")
		b.expect(t, time.Minute, "t-0=2 durable at 2")
		if at, _ := b.offset("g", t0); at.Offset != 2 {
			t.Errorf("the tree has %d", at.Offset)
		}
	})
}

// TestTreeIsolatesTheUnwritable: one znode that cannot be written holds nobody up.
func TestTreeIsolatesTheUnwritable(t *testing.T) {
	benchTree(t, func(b *treeBench) {
		b.put(b.lane, partitionOf("t", 0), offsetValue(1))
		b.put(b.lane, partitionOf("forbidden", 0), offsetValue(1))
		b.put(b.lane, partitionOf("t", 1), offsetValue(1))
		b.expect(t, time.Second, "forbidden-0=1 "+zkstore.ErrNoAuth.Error()+" at 0; t-0=1 durable at 1; t-1=1 durable at 1")
	})
}

// TestTreeWithoutASession: what waits is written when there is one again, the newest of each partition.
func TestTreeWithoutASession(t *testing.T) {
	benchTree(t, func(b *treeBench) {
		t0 := partitionOf("t", 0)
		b.put(b.lane, t0, offsetValue(1))
		b.expect(t, time.Second, "t-0=1 durable at 1")
		b.store.setDown(true)
		for offset := range int64(3) {
			b.put(b.lane, t0, offsetValue(10+offset))
			b.expect(t, time.Minute, "")
		}
		b.store.setDown(false)
		b.expect(t, time.Minute, "t-0=10 durable at 12; t-0=11 durable at 12; t-0=12 durable at 12")
		// A lane that is closed meanwhile answers at once.
		b.store.setDown(true)
		b.put(b.lane, t0, offsetValue(20))
		b.expect(t, time.Minute, "")
		b.close(b.lane)
		b.expect(t, 0, "t-0=20 not coordinator at 12")
		b.store.setDown(false)
		b.expect(t, time.Minute, "")
	})
}

func TestTreeDeletesAndReads(t *testing.T) {
	benchTree(t, func(b *treeBench) {
		b.put(b.lane, partitionOf("t", 0), offsetValue(1))
		b.put(b.lane, partitionOf("t", 1), offsetValue(1))
		b.put(b.lane, partitionOf("t", 1), OffsetValue{Delete: true})
		b.told(time.Second)
		var got []string
		read := func(l *OffsetLane) {
			l.Read("g", func(r GroupReading, err error) {
				got = append(got, fmt.Sprintf("%d offsets, %v", len(r.Offsets), err))
			})
		}
		b.store.setDown(true)
		read(b.lane)
		b.told(time.Minute)
		if len(got) > 0 {
			t.Error(got)
		}
		b.store.setDown(false)
		b.lane.Groups(func(groups []string, err error) { got = append(got, fmt.Sprint(groups, err)) })
		b.told(time.Minute)
		unready := b.tree.Open(5, 7, b.lane.post) // it has no state: it is deposed before it was proven
		read(unready)
		b.told(time.Minute)
		read(unready)
		b.told(time.Minute)
		if got, want := strings.Join(got, "; "), "[g] <nil>; 1 offsets, <nil>; 0 offsets, not coordinator; 0 offsets, not coordinator"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}
