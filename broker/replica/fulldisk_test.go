package replica

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/broker/storage/vfs"
)

// fills lets a directory of broker 1 be full for as long as the switch says.
func (n *node) fills(dir string) *atomic.Bool {
	full := &atomic.Bool{}
	n.fault = func(op vfs.Op, name string) error {
		if full.Load() && op == vfs.OpWrite && strings.HasPrefix(name, dir) {
			return syscall.ENOSPC
		}
		return nil
	}
	n.bounce()
	return full
}

// A follower without room waits for some, and goes on where it was; the leader does without it meanwhile.
func TestFollowerWithAFullDiskWaits(t *testing.T) {
	cfg := testConfig()
	cfg.ReplicaLagTimeMax = 4 * time.Second
	inFleet(t, 2, cfg, func(t *testing.T, f *fleet) {
		full := f.nodes[1].fills("/")
		tp := f.create("orders", 2, 1)
		check(t, f.commit(tp, 5))
		full.Store(true)
		f.write(tp, 5)
		time.Sleep(10 * time.Second)
		if isr := f.isr(2, tp); len(isr) != 1 {
			t.Errorf("ISR %v while a follower cannot write", isr)
		}
		check(t, f.commit(tp, 5))
		if leo := f.log(1, tp).LogEndOffset(); leo != 5 || f.log(1, tp).Err() != nil {
			t.Errorf("the follower ends at %d, %v", leo, f.log(1, tp).Err())
		}
		full.Store(false)
		time.Sleep(3 * time.Second)
		f.wantSame(tp)
		if isr := f.isr(2, tp); len(isr) != 2 {
			t.Errorf("ISR %v when there was room again", isr)
		}
	})
}

// A leader without room refuses what is to be written and serves what there is.
func TestLeaderWithAFullDiskRefuses(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		full := f.nodes[1].fills("/")
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 5))
		content := f.content(1, tp)
		full.Store(true)
		for range 5 {
			if a := f.append(1, tp, 3, 1); !errors.Is(a.Err, storage.ErrDiskFull) || a.LastOffset != -1 {
				t.Fatalf("append: %+v", a)
			}
		}
		if string(f.content(1, tp)) != string(content) {
			t.Error("something was written")
		}
		f.nodes[1].m.CheckpointHighWatermarks()
		full.Store(false)
		check(t, f.commit(tp, 5))
		time.Sleep(time.Second)
		f.wantSame(tp)
		f.wantState(1, tp, "start 0 hw 10 leo 10 epochs 0@0")
	})
}

// A move to a directory without room rests, and ends when there is some.
func TestMoveToAFullDiskRests(t *testing.T) {
	inMovingFleet(t, 1, func(t *testing.T, f *fleet) {
		full := f.nodes[1].fills("/b")
		tp := f.createIn("orders", 20, 1)
		f.halfway(tp)
		full.Store(true)
		f.nodes[1].moves.SetLimit(1 << 40)
		time.Sleep(time.Minute)
		check(t, f.commit(tp, 3))
		if future, ok := f.nodes[1].logs.FutureLog(tp); !ok || future.Err() != nil {
			t.Fatal("the move was given up")
		}
		full.Store(false)
		time.Sleep(2 * fullDiskRetry)
		f.wantMoved(tp, "/b", f.content(1, tp))
	})
}
