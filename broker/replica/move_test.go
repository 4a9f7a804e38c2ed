package replica

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/quota"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// One test per rule of how replicas move between the log directories of a broker (KIP-113). The rules are those of Kafka's
// ReplicaManager.alterReplicaLogDirs and ReplicaAlterLogDirsThread.

// inMovingFleet has brokers with three log directories and small pieces, so that a move can be held halfway by its throttle.
func inMovingFleet(t *testing.T, n int, test func(t *testing.T, f *fleet)) {
	t.Helper()
	cfg := testConfig()
	cfg.FetchMaxBytes, cfg.Movers = 400, 2
	inFleet(t, n, cfg, func(t *testing.T, f *fleet) {
		for id := range f.nodes {
			f.nodes[id].dirs, f.nodes[id].hearsOfDirs = []string{"/a", "/b", "/c"}, true
			f.nodes[id].bounce()
		}
		test(t, f)
	})
}

// createIn makes a topic whose replica on broker 1 is in /a, with some committed batches.
func (f *fleet) createIn(topic string, batches int, replicas ...meta.BrokerID) meta.TopicPartition {
	f.t.Helper()
	f.nodes[1].logs.PreferDir(meta.TopicPartition{Topic: topic}, "/a")
	tp := f.create(topic, replicas...)
	for range batches {
		check(f.t, f.commit(tp, 3))
	}
	return tp
}

func (n *node) alter(tp meta.TopicPartition, dir string) error {
	return n.m.AlterLogDirs([]DirChange{{tp, dir}})[0]
}

// halfway begins to move broker 1's replica to /b and returns when a part of it is copied and the throttle holds the rest.
func (f *fleet) halfway(tp meta.TopicPartition) *storage.Log {
	f.t.Helper()
	n := f.nodes[1]
	n.moves.SetLimit(1)
	check(f.t, n.alter(tp, "/b"))
	synctest.Wait()
	future, ok := n.logs.FutureLog(tp)
	if leo := f.log(1, tp).LogEndOffset(); !ok || future.Dir() != "/b" || future.LogEndOffset() == 0 || future.LogEndOffset() >= leo {
		f.t.Fatalf("not halfway: %v %v", future, ok)
	}
	return future
}

// wantMoved waits until broker 1's replica is in a directory and nowhere else, and compares it with what it was.
func (f *fleet) wantMoved(tp meta.TopicPartition, dir string, content []byte) {
	f.t.Helper()
	f.nodes[1].moves.SetLimit(quota.NoLimit)
	time.Sleep(2 * time.Second)
	log := f.log(1, tp)
	if _, moving := f.nodes[1].logs.FutureLog(tp); moving || log.Dir() != dir {
		f.t.Fatalf("the replica is in %s, moving: %v", log.Dir(), moving)
	}
	if got := f.content(1, tp); content != nil && string(got) != string(content) {
		f.t.Errorf("the replica holds %d bytes, and had %d", len(got), len(content))
	}
	for _, d := range []string{"/a", "/b", "/c"} {
		entries, err := f.nodes[1].disc.ReadDir(d)
		check(f.t, err)
		for _, e := range entries {
			if name := e.Name(); strings.HasPrefix(name, tp.String()) && !strings.HasSuffix(name, "-delete") && (d != dir || name != tp.String()) {
				f.t.Errorf("%s/%s is left", d, name)
			}
		}
	}
}

func TestLeaderMoves(t *testing.T) {
	inMovingFleet(t, 2, func(t *testing.T, f *fleet) {
		tp := f.createIn("orders", 20, 1, 2)
		f.halfway(tp)
		if d := f.nodes[1].m.DescribeDir("/b", nil); len(d) != 1 || !d[0].Future || d[0].Lag <= 0 || d[0].Size == 0 {
			t.Errorf("the future replica is described as %+v", d)
		}
		if d := f.nodes[1].m.DescribeDir("/a", nil); len(d) != 1 || d[0].Future || d[0].Lag != 0 {
			t.Errorf("the current replica is described as %+v", d)
		}
		const lag, failed = "maxlag{clientId=ReplicaAlterLogDirs}", "failedpartitionscount{clientId=ReplicaAlterLogDirs}"
		if got := f.nodes[1].scrape("kafka_server_replicaalterlogdirsmanager_"); got[lag] <= 0 || got[failed] != 0 || len(got) != 2 {
			t.Errorf("metrics of the move: %v", got)
		}
		check(t, f.commit(tp, 5))
		before := f.state(1, tp)
		f.wantMoved(tp, "/b", f.content(1, tp))
		f.nodes[1].wantSeries("kafka_server_replicaalterlogdirsmanager_", map[string]float64{lag: 0, failed: 0})
		f.wantState(1, tp, before)
		check(t, f.commit(tp, 1))
		synctest.Wait()
		f.wantSame(tp)
	})
}

func TestFollowerMoves(t *testing.T) {
	for _, protocol := range []Protocol{testConfig().Protocol, {EpochLookup: true}} {
		inMovingFleet(t, 2, func(t *testing.T, f *fleet) {
			f.cfg.Protocol = protocol
			f.nodes[1].bounce()
			tp := f.createIn("orders", 20, 1, 2)
			f.elect(tp, 2, 1, 2)
			check(t, f.commit(tp, 1))
			f.halfway(tp)
			check(t, f.commit(tp, 5))
			f.wantMoved(tp, "/b", f.content(1, tp))
			check(t, f.commit(tp, 1))
			time.Sleep(time.Second)
			f.wantSame(tp)
		})
	}
}

// Several moves at a time, one after the other where there are more than workers, under traffic.
func TestManyMove(t *testing.T) {
	inMovingFleet(t, 2, func(t *testing.T, f *fleet) {
		var tps []meta.TopicPartition
		for i := range 8 {
			tps = append(tps, f.createIn(fmt.Sprintf("t%d", i), 15, 1, 2))
		}
		f.nodes[1].moves.SetLimit(2000)
		for i, tp := range tps {
			check(t, f.nodes[1].alter(tp, []string{"/b", "/c"}[i%2]))
		}
		for range 20 {
			for _, tp := range tps {
				check(t, f.commit(tp, 2))
			}
			time.Sleep(300 * time.Millisecond)
		}
		for i, tp := range tps {
			f.wantMoved(tp, []string{"/b", "/c"}[i%2], nil)
			f.wantSame(tp)
			if leo := f.log(1, tp).LogEndOffset(); leo != 15*3+20*2 {
				t.Errorf("%s ends at %d", tp, leo)
			}
		}
	})
}

// A new request changes where to, or ends the move.
func TestMoveChangesItsMind(t *testing.T) {
	inMovingFleet(t, 1, func(t *testing.T, f *fleet) {
		tp := f.createIn("orders", 20, 1)
		content := f.content(1, tp)
		future := f.halfway(tp)
		check(t, f.nodes[1].alter(tp, "/b")) // the same again
		if now, _ := f.nodes[1].logs.FutureLog(tp); now != future {
			t.Error("asked for the same again it began anew")
		}
		check(t, f.nodes[1].alter(tp, "/c"))
		if now, _ := f.nodes[1].logs.FutureLog(tp); now == nil || now.Dir() != "/c" || !errors.Is(future.Err(), storage.ErrDeleted) {
			t.Errorf("future %v, before %v", now, future.Err())
		}
		check(t, f.nodes[1].alter(tp, "/a"))
		f.wantMoved(tp, "/a", content)
		check(t, f.nodes[1].alter(tp, "/c"))
		f.wantMoved(tp, "/c", content)
	})
}

func TestMoveErrors(t *testing.T) {
	inMovingFleet(t, 1, func(t *testing.T, f *fleet) {
		tp := f.createIn("orders", 1, 1)
		n := f.nodes[1]
		long := meta.TopicPartition{Topic: strings.Repeat("x", 230)}
		other := meta.TopicPartition{Topic: "later"}
		for _, c := range []struct {
			tp   meta.TopicPartition
			dir  string
			want error
		}{
			{tp, "/a", nil}, {tp, "/x", ErrUnknownDir}, {long, "/x", storage.ErrNameTooLong}, {other, "/b", ErrUnknownPartition},
		} {
			if err := n.alter(c.tp, c.dir); !errors.Is(err, c.want) {
				t.Errorf("%s to %s: %v, want %v", c.tp, c.dir, err, c.want)
			}
		}
		// Where it was wished to be before it was.
		f.create("later", 1)
		if dir := f.log(1, other).Dir(); dir != "/b" {
			t.Errorf("made in %s", dir)
		}
		n.logs.FailDir("/c", syscall.EIO)
		synctest.Wait()
		if err := n.alter(tp, "/c"); !errors.Is(err, storage.ErrDirOffline) {
			t.Errorf("into a failed directory: %v", err)
		}
		// The replica might be in the failed one as well.
		if err := n.alter(tp, "/b"); !errors.Is(err, storage.ErrDirOffline) {
			t.Errorf("beside a failed directory: %v", err)
		}
		check(t, n.alter(tp, "/a"))
		n.logs.FailDir("/a", syscall.EIO)
		synctest.Wait()
		if err := n.alter(tp, "/b"); !errors.Is(err, storage.ErrDirOffline) {
			t.Errorf("out of a failed directory: %v", err)
		}
	})
}

// What is cut off the replica is cut off its copy, and what takes its place is copied.
func TestMoveFollowsTruncation(t *testing.T) {
	inMovingFleet(t, 2, func(t *testing.T, f *fleet) {
		tp := f.createIn("orders", 10, 1, 2)
		f.setDeaf(1, 2, true)
		time.Sleep(600 * time.Millisecond)
		for range 20 {
			f.write(tp, 3) // on broker 1 alone
		}
		n := f.nodes[1]
		n.moves.SetLimit(500)
		check(t, n.alter(tp, "/b"))
		future, _ := n.logs.FutureLog(tp)
		for future.LogEndOffset() <= 45 {
			time.Sleep(100 * time.Millisecond)
		}
		n.moves.SetLimit(1)
		if leo := future.LogEndOffset(); leo == 90 || !future.IsFuture() {
			t.Fatalf("moved already, to %d", leo)
		}
		f.setDeaf(1, 2, false)
		f.elect(tp, 2, 2)
		time.Sleep(2 * time.Second)
		if leo := future.LogEndOffset(); leo != 30 {
			t.Errorf("the copy ends at %d, the replica was cut to 30", leo)
		}
		for range 10 {
			f.write(tp, 2)
		}
		time.Sleep(2 * time.Second)
		f.wantMoved(tp, "/b", nil)
		f.wantSame(tp)
		f.wantState(1, tp, f.state(1, tp))
	})
}

// A broker that dies goes on with the move when the partition's leader is named again. The copy may hold what the replica
// has lost in between.
func TestMoveGoesOnAfterARestart(t *testing.T) {
	inMovingFleet(t, 2, func(t *testing.T, f *fleet) {
		tp := f.createIn("orders", 20, 1, 2)
		copied := f.halfway(tp).LogEndOffset()
		f.elect(tp, 2, 2)
		f.nodes[1].kill()
		f.nodes[1].start()
		f.nodes[1].moves.SetLimit(1)
		f.tellBrokers()
		future, ok := f.nodes[1].logs.FutureLog(tp)
		if !ok || future.LogEndOffset() != copied {
			t.Fatalf("the copy ends at %v, want %d", future, copied)
		}
		time.Sleep(time.Second)
		if future.LogEndOffset() != copied {
			t.Error("copied before the leader was named")
		}
		f.elect(tp, 2, 2)
		check(t, f.commit(tp, 3))
		time.Sleep(time.Second)
		f.wantMoved(tp, "/b", nil)
		f.wantSame(tp)
	})
}

// A replica that is stopped moves no further until it is used again; one that is deleted takes its copy along.
func TestStoppedReplicaDoesNotMove(t *testing.T) {
	inMovingFleet(t, 1, func(t *testing.T, f *fleet) {
		tp := f.createIn("orders", 20, 1)
		n := f.nodes[1]
		copied := f.halfway(tp).LogEndOffset()
		stop := func(s Stopped) {
			t.Helper()
			results, err := n.m.StopReplicas(Sender{Controller: 1, ControllerEpoch: 1, BrokerEpoch: meta.NoBrokerEpoch}, []Stopped{s})
			check(t, err)
			check(t, results[0])
		}
		stop(Stopped{Partition: tp, LeaderEpoch: 0})
		n.moves.SetLimit(quota.NoLimit)
		time.Sleep(5 * time.Second)
		if future, ok := n.logs.FutureLog(tp); !ok || future.LogEndOffset() != copied {
			t.Errorf("the copy of a stopped replica: %v", future)
		}
		f.elect(tp, 1, 1)
		f.wantMoved(tp, "/b", f.content(1, tp))

		n.moves.SetLimit(1)
		time.Sleep(20 * time.Second)
		check(t, n.alter(tp, "/c"))
		synctest.Wait()
		stop(Stopped{Partition: tp, LeaderEpoch: deletedEpoch, Delete: true})
		if _, ok := n.logs.FutureLog(tp); ok {
			t.Error("the copy of a deleted replica is left")
		}
	})
}

// The failure of either directory ends the move. That of the copy's does no harm to the replica.
func TestDirFailsDuringMove(t *testing.T) {
	for _, broken := range []string{"/a", "/b"} {
		inMovingFleet(t, 2, func(t *testing.T, f *fleet) {
			var fails atomic.Bool
			n := f.nodes[1]
			n.fault = func(op vfs.Op, name string) error {
				if fails.Load() && strings.HasPrefix(name, broken) && op == vfs.OpWrite {
					return syscall.EIO
				}
				return nil
			}
			n.bounce()
			tp := f.createIn("orders", 20, 1, 2)
			f.halfway(tp)
			fails.Store(true)
			n.moves.SetLimit(quota.NoLimit)
			if broken == "/a" {
				_ = f.append(1, tp, 1, 1) // meets it
			}
			time.Sleep(2 * time.Second)
			if live := fmt.Sprint(n.logs.LiveDirs()); strings.Contains(live, broken) {
				t.Fatalf("live: %s", live)
			}
			p := f.part(1, tp)
			p.mu.RLock()
			move := p.mu.move
			p.mu.RUnlock()
			if move != nil {
				t.Error("the move goes on")
			}
			a := f.append(1, tp, 1, 1)
			if broken == "/a" && !errors.Is(a.Err, storage.ErrDirOffline) || broken == "/b" && a.Err != nil {
				t.Errorf("%s failed, append: %v", broken, a.Err)
			}
			// It comes back with a restart, and the move with it.
			fails.Store(false)
			n.kill()
			f.elect(tp, 2, 2)
			n.start()
			f.tellBrokers()
			f.elect(tp, 2, 2)
			check(t, f.commit(tp, 1))
			f.wantMoved(tp, "/b", nil)
			f.wantSame(tp)
		})
	}
}

// A partition that is written to without pause moves all the same: its writers wait for a moment.
func TestBusyPartitionMoves(t *testing.T) {
	inMovingFleet(t, 1, func(t *testing.T, f *fleet) {
		tp := f.createIn("orders", 10, 1)
		done := make(chan struct{})
		stop := make(chan struct{})
		written := 0
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				default:
				}
				if a := f.append(1, tp, 1, 1); a.Err != nil {
					t.Errorf("append during a move: %v", a.Err)
					return
				}
				written++
				time.Sleep(time.Microsecond)
			}
		}()
		check(t, f.nodes[1].alter(tp, "/b"))
		for f.log(1, tp).Dir() != "/b" {
			time.Sleep(time.Millisecond)
		}
		close(stop)
		<-done
		if leo := f.log(1, tp).LogEndOffset(); leo != int64(30+written) {
			t.Errorf("the log ends at %d after %d records", leo, 30+written)
		}
		f.content(1, tp)
	})
}

// Records that were deleted while their copy was being made do not come back with it.
func TestDeletedRecordsStayDeleted(t *testing.T) {
	inMovingFleet(t, 1, func(t *testing.T, f *fleet) {
		tp := f.createIn("orders", 20, 1)
		f.halfway(tp)
		d := []Deletion{{Partition: tp, Before: 50}}
		f.nodes[1].m.DeleteRecords(t.Context(), time.Second, d)
		check(t, d[0].Err)
		f.wantMoved(tp, "/b", nil)
		f.wantState(1, tp, "start 50 hw 60 leo 60 epochs 0@50")
	})
}
