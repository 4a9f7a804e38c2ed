package storage

import (
	"errors"
	"strings"
	"syscall"

	"github.com/kraal-mq/kraal/broker/storage/vfs"
)

// fullDisk lets a few things go on while the disk is full, or becomes so in the middle of something. What is refused for that
// reason has not happened, the directory stays online, and everything goes on when there is room again.
func (r *model) fullDisk() {
	room := r.rng.IntN(4)
	r.note("%d more writes find room", room)
	r.fail = func(op vfs.Op, name string) error {
		switch op {
		case vfs.OpWrite:
		case vfs.OpCreate:
			if _, err := r.mem.Stat(name); err == nil {
				return nil // only opened
			}
		default:
			return nil
		}
		if room--; room >= 0 {
			return nil
		}
		if op == vfs.OpWrite && r.rng.IntN(2) == 0 {
			return &vfs.ShortWrite{N: r.rng.IntN(300), Err: syscall.ENOSPC}
		}
		return syscall.ENOSPC
	}
	r.full, r.failed = true, 0
	actions := []func(){r.appendLeader, r.appendLeader, r.appendFollower, r.appendIdempotent, r.appendTxn, r.endTxn, r.truncate, r.newEpoch, r.retain,
		r.read, r.setHW,
		func() {
			r.note("background flush, full")
			r.mustOrNoRoom(r.l.flushSealed())
		}, func() {
			r.note("flush, full")
			r.mustOrNoRoom(r.l.Flush())
		}, func() {
			r.note("close idle files, full")
			r.mustOrNoRoom(r.l.closeIdle())
			r.mustOrNoRoom(r.l.closeIdle())
		}, func() {
			r.note("checkpoints, full")
			r.mustOrNoRoom(r.m.CheckpointRecoveryPoints())
			r.mustOrNoRoom(r.m.CheckpointHighWatermarks())
		}}
	for range 1 + r.rng.IntN(8) {
		actions[r.rng.IntN(len(actions))]()
		if err := r.l.Err(); err != nil && strings.Contains(err.Error(), "take the recovery point back") {
			// The one thing that cannot be refused: a gap in the offsets was to be at the end of a segment, there was room to note
			// that, none for the next segment, and none any more for taking the note back.
			r.full = false
			r.kill()
			return
		}
		r.checkOffsets()
	}
	r.full, r.fail = false, nil
	if r.failed > 0 || r.l.Err() != nil {
		r.t.Errorf("a full disk took the directory offline: %v", r.l.Err())
	}
	r.note("room again")
}

func (r *model) noRoom(err error) bool {
	return r.full && (errors.Is(err, ErrDiskFull) || err != nil && strings.Contains(err.Error(), "take the recovery point back"))
}

func (r *model) mustOrNoRoom(err error) {
	r.t.Helper()
	if !r.noRoom(err) {
		r.must(err)
	}
}

// refused notes an append that found no room. With flush.messages it may be only the flush that did not.
func (r *model) refused(buf []byte) {
	if r.l.LogEndOffset() > r.leo {
		r.note("it was written all the same")
		r.added(buf)
		return
	}
	r.note("refused")
	r.dropUnusedEpoch()
	for id := range r.sequence {
		if _, known := r.lastBatch[id]; !known {
			delete(r.sequence, id) // it was to be its first
		}
	}
}
