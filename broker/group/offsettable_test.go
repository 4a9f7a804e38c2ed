package group

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// offsetModes are the ways to keep offsets.
var offsetModes = map[string]OffsetConfig{
	"zookeeper":           {InTree: true},
	"kafka":               {},
	"zookeeper and kafka": {InTree: true, Both: true},
	"kafka and zookeeper": {Both: true},
}

func withDefaults(c OffsetConfig) OffsetConfig {
	c.MetadataMax, c.Retention, c.RecordVersion = 10, 7*24*time.Hour, 3
	return c
}

// inModes runs a test with two brokers, of which the first coordinates, in each mode picked.
func inModes(t *testing.T, picked func(OffsetConfig) bool, test func(t *testing.T, f *offsetFleet)) {
	for name, c := range offsetModes {
		if picked != nil && !picked(c) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				f := newOffsetFleet(ctx, withDefaults(c), 2)
				f.lead(f.brokers[0], 0)
				time.Sleep(time.Second)
				test(t, f)
				f.stop()
			})
		})
	}
}

func inTree(c OffsetConfig) bool { return c.InTree }

func (f *offsetFleet) wants(t *testing.T, group, want string) {
	t.Helper()
	time.Sleep(2 * time.Second) // a reading is stale then
	if got := f.shown(group); got != want {
		t.Errorf("%s has %q, want %q", group, got, want)
	}
}

func TestCommitAndFetch(t *testing.T) {
	inModes(t, nil, func(t *testing.T, f *offsetFleet) {
		f.wants(t, "g", "")
		check(t, f.commit("g", map[string]int64{"a": 1, "b": 2}))
		check(t, f.commit("g", map[string]int64{"a": 7}))
		f.wants(t, "g", "a=7, b=2")
		f.lead(f.brokers[1], time.Second)
		f.wants(t, "g", "a=7, b=2")
		check(t, f.commit("g", map[string]int64{"b": 3}))
		f.die()
		f.wants(t, "g", "a=7, b=3")
		if f.config.InTree || f.config.Both {
			if got := f.inTree("g", "a", "b"); got != "a=7, b=3" {
				t.Errorf("the tree has %s", got)
			}
		}
		got, err := f.leader.coordinator.Fetch(f.ctx, "g", []meta.TopicPartition{partitionOf("none", 0), partitionOf("a", 0)}, false, true)
		if err != nil || len(got) != 2 || got[0].Offset != -1 || got[0].Err != nil || got[1].Offset != 7 {
			t.Errorf("%+v %v", got, err)
		}
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestCommitDetails: all that goes with an offset survives the coordinator.
func TestCommitDetails(t *testing.T) {
	inModes(t, nil, func(t *testing.T, f *offsetFleet) {
		commit := func(metadata string, epoch meta.LeaderEpoch) error {
			return first(f.leader.coordinator.Commit(f.ctx, CommitRequest{Group: "g", Generation: -1, Offsets: []OffsetToCommit{
				{TopicPartition: partitionOf("a", 0), Offset: 5, LeaderEpoch: epoch, Metadata: metadata, Timestamp: -1, Retention: -1}}}))
		}
		wants := func(metadata string, epoch meta.LeaderEpoch) {
			t.Helper()
			for range 2 {
				got, err := f.leader.coordinator.Fetch(f.ctx, "g", nil, true, false)
				if err != nil || len(got) != 1 || got[0].Metadata != metadata || got[0].LeaderEpoch != epoch {
					t.Errorf("%+v %v, want %q %d", got, err, metadata, epoch)
				}
				f.lead(f.brokers[(int(f.leader.id)+1)%2], 0)
				time.Sleep(2 * time.Second)
			}
		}
		check(t, commit("m", 3))
		wants("m", 3)
		check(t, commit("m", 4))
		wants("m", 4)
		check(t, commit("", -1))
		wants("", -1)
		if err := commit("0123456789x", 1); !errors.Is(err, ErrOffsetMetadataTooLarge) {
			t.Error(err)
		}
		check(t, commit("0123456\U0001F600x", 1)) // ten units of UTF-16
		wants("0123456\U0001F600x", 1)
	})
}

// TestTransactionalCommit: pending until the marker, and then there, wherever the coordinator is.
func TestTransactionalCommit(t *testing.T) {
	inModes(t, nil, func(t *testing.T, f *offsetFleet) {
		check(t, f.commit("g", map[string]int64{"a": 1}))
		check(t, f.commitTxn("g", 9, "a", 10))
		check(t, f.commitTxn("g", 8, "b", 20))
		f.wants(t, "g", "a=1 unstable")
		f.lead(f.brokers[1], time.Second)
		f.wants(t, "g", "a=1 unstable")
		f.mark(9, true, true)
		f.mark(8, false, true)
		f.wants(t, "g", "a=10")
		f.die()
		f.wants(t, "g", "a=10")
		// What is committed outside after a transaction's record is newer than it.
		check(t, f.commitTxn("g", 9, "a", 11))
		check(t, f.commit("g", map[string]int64{"a": 12}))
		f.mark(9, true, true)
		f.wants(t, "g", "a=12")
		f.die()
		f.wants(t, "g", "a=12")
	})
}

// TestCoordinatorDiesInATransaction: between any two steps of a transactional commit, and the next coordinator shows exactly what was
// committed, and has it in the tree.
func TestCoordinatorDiesInATransaction(t *testing.T) {
	inModes(t, inTree, func(t *testing.T, f *offsetFleet) {
		check(t, f.commit("g", map[string]int64{"a": 1, "b": 1}))
		offset := int64(10)
		settled := func(want string) {
			t.Helper()
			f.wants(t, "g", want)
			if got := f.inTree("g", "a", "b"); got != want {
				t.Errorf("the tree has %q, want %q", got, want)
			}
		}
		settled("a=1, b=1")
		for _, c := range []struct {
			dies string
			txn  func()
		}{
			{"after the record", func() { f.die(); f.mark(9, true, true) }},
			{"after the marker, before it hears of it", func() { f.mark(9, true, false); f.die() }},
			{"after the marker, before it is in the tree", func() {
				f.leader.store.setDown(true)
				f.mark(9, true, true)
				f.die()
			}},
			{"in the tree, of which it does not hear", func() {
				f.mark(9, true, true)
				time.Sleep(25 * time.Millisecond)
				f.die()
			}},
			{"after a later commit outside was answered", func() {
				f.mark(9, true, true)
				offset++
				check(t, f.commit("g", map[string]int64{"a": offset}))
				f.die()
			}},
		} {
			offset += 10
			check(t, f.commitTxn("g", 9, "a", offset))
			c.txn()
			t.Logf("it died %s", c.dies)
			settled("a=" + itoa(offset) + ", b=1")
		}
		// Aborted: nothing of it, whoever hears of the marker.
		for _, tell := range []bool{true, false} {
			check(t, f.commitTxn("g", 9, "b", 99))
			f.mark(9, false, tell)
			f.die()
			settled("a=" + itoa(offset) + ", b=1")
		}
	})
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// TestUnstableUntilInTheTree: a transaction's offset can be seen when its marker is there, and counts as stable when it is in the tree.
func TestUnstableUntilInTheTree(t *testing.T) {
	inModes(t, inTree, func(t *testing.T, f *offsetFleet) {
		check(t, f.commit("g", map[string]int64{"a": 1}))
		check(t, f.commitTxn("g", 9, "a", 10))
		f.leader.store.setDown(true)
		f.mark(9, true, true)
		if got := f.shown("g"); got != "a=10 unstable" {
			t.Error(got)
		}
		f.leader.store.setDown(false)
		f.wants(t, "g", "a=10")
	})
}

// TestFetchRequiresStable: neither what is on its way in a transaction nor outside of it.
func TestFetchRequiresStable(t *testing.T) {
	inModes(t, nil, func(t *testing.T, f *offsetFleet) {
		check(t, f.commit("g", map[string]int64{"a": 1}))
		f.leader.store.setDown(true)
		f.journal.Hold(offsetsPartition(0))
		done := make(chan error, 1)
		go func() { done <- f.commit("g", map[string]int64{"a": 2}) }()
		synctest.Wait()
		if got := f.shown("g"); got != "a=1 unstable" {
			t.Error(got)
		}
		f.leader.store.setDown(false)
		f.journal.Release(offsetsPartition(0))
		check(t, <-done)
		f.wants(t, "g", "a=2")
	})
}

// TestOldConsumersOffsets: what others write to the tree is picked up, while the group has no members here.
func TestOldConsumersOffsets(t *testing.T) {
	inModes(t, inTree, func(t *testing.T, f *offsetFleet) {
		f.set("old", partitionOf("a", 0), 5)
		f.wants(t, "old", "a=5")
		f.set("old", partitionOf("a", 0), 6)
		f.wants(t, "old", "a=6")
		v := OffsetToCommit{TopicPartition: partitionOf("a", 0), Offset: 7, LeaderEpoch: 2, Metadata: "m", Timestamp: -1, Retention: -1}
		check(t, first(f.leader.coordinator.Commit(f.ctx, CommitRequest{Group: "old", Generation: -1, Offsets: []OffsetToCommit{v}})))
		f.set("old", partitionOf("a", 0), 8)
		time.Sleep(2 * time.Second)
		got, err := f.leader.coordinator.Fetch(f.ctx, "old", nil, true, false)
		if err != nil || len(got) != 1 || got[0].Offset != 8 || got[0].LeaderEpoch != -1 || got[0].Metadata != "" {
			t.Errorf("%+v %v: the details were another offset's", got, err)
		}
		// Somebody deletes it: it is gone for good, although the log may have older ones.
		check(t, f.commitTxn("old", 9, "a", 9))
		f.mark(9, true, true)
		f.wants(t, "old", "a=9")
		f.memory.mu.Lock()
		delete(f.offsets, slotKey{"old", partitionOf("a", 0)})
		f.memory.mu.Unlock()
		f.wants(t, "old", "")
		f.die()
		f.wants(t, "old", "")
	})
}

func TestDeleteOffsets(t *testing.T) {
	inModes(t, nil, func(t *testing.T, f *offsetFleet) {
		check(t, f.commit("g", map[string]int64{"a": 1, "b": 2, "c": 3}))
		check(t, f.commitTxn("g", 9, "c", 4))
		f.mark(9, true, true)
		outcomes, err := f.leader.coordinator.DeleteOffsets(f.ctx, "g", []meta.TopicPartition{partitionOf("a", 0), partitionOf("none", 0), partitionOf("c", 0)})
		if err != nil || first(outcomes) != nil || len(outcomes) != 3 {
			t.Error(outcomes, err)
		}
		f.wants(t, "g", "b=2")
		f.die()
		f.wants(t, "g", "b=2")
		// With the last offset goes the group, and so it does when it is deleted.
		_, err = f.leader.coordinator.DeleteOffsets(f.ctx, "g", []meta.TopicPartition{partitionOf("b", 0)})
		check(t, err)
		if _, err := f.leader.coordinator.DeleteOffsets(f.ctx, "g", nil); !errors.Is(err, ErrGroupIDNotFound) {
			t.Error(err)
		}
		check(t, f.commit("g", map[string]int64{"a": 1}))
		check(t, f.leader.coordinator.Delete(f.ctx, "g"))
		f.wants(t, "g", "")
		f.die()
		f.wants(t, "g", "")
		if got := f.inTree("g", "a", "b", "c"); got != "" {
			t.Errorf("the tree has %s", got)
		}
		list, err := f.leader.coordinator.List(f.ctx)
		if err != nil || len(list) > 0 {
			t.Error(list, err)
		}
	})
}

// TestDeletionThatIsLost: what was committed after a deletion counts, although the deletion's tombstone was never replicated and the
// log has an older offset.
func TestDeletionThatIsLost(t *testing.T) {
	inModes(t, func(c OffsetConfig) bool { return c.InTree && !c.Both }, func(t *testing.T, f *offsetFleet) {
		check(t, f.commitTxn("g", 9, "a", 1))
		f.mark(9, true, true)
		f.wants(t, "g", "a=1")
		end := int64(len(f.journal.Log(offsetsPartition(0))))
		f.journal.Hold(offsetsPartition(0))
		go f.leader.coordinator.DeleteOffsets(f.ctx, "g", []meta.TopicPartition{partitionOf("a", 0)})
		time.Sleep(time.Second)
		check(t, f.commit("g", map[string]int64{"a": 2}))
		f.journal.Truncate(offsetsPartition(0), end)
		f.journal.Release(offsetsPartition(0))
		f.die()
		f.wants(t, "g", "a=2")
	})
}

// TestCommitOvertakesATransaction: a commit outside that comes while a transaction's record is being replicated is newer than it.
func TestCommitOvertakesATransaction(t *testing.T) {
	inModes(t, func(c OffsetConfig) bool { return c.InTree && !c.Both }, func(t *testing.T, f *offsetFleet) {
		check(t, f.commit("g", map[string]int64{"a": 1}))
		f.journal.Hold(offsetsPartition(0))
		done := make(chan error, 1)
		go func() { done <- f.commitTxn("g", 9, "a", 2) }()
		synctest.Wait()
		check(t, f.commit("g", map[string]int64{"a": 3}))
		f.journal.Release(offsetsPartition(0))
		check(t, <-done)
		f.mark(9, true, true)
		f.wants(t, "g", "a=3")
		f.die()
		f.wants(t, "g", "a=3")
	})
}

// TestOffsetsOfDeletedTopics go from all groups, also of those nobody asked for.
func TestOffsetsOfDeletedTopics(t *testing.T) {
	inModes(t, nil, func(t *testing.T, f *offsetFleet) {
		check(t, f.commit("g", map[string]int64{"a": 1, "b": 2}))
		check(t, f.commit("h", map[string]int64{"a": 1}))
		f.die()
		time.Sleep(2 * time.Second)
		check(t, f.leader.coordinator.PartitionsDeleted(f.ctx, []meta.TopicPartition{partitionOf("a", 0)}))
		time.Sleep(2 * time.Second)
		f.die()
		f.wants(t, "g", "b=2")
		f.wants(t, "h", "")
	})
}

// TestOffsetsExpire by KIP-211.
func TestOffsetsExpire(t *testing.T) {
	inModes(t, nil, func(t *testing.T, f *offsetFleet) {
		day := 24 * time.Hour
		check(t, f.commit("g", map[string]int64{"a": 1}))
		v := OffsetToCommit{TopicPartition: partitionOf("short", 0), Offset: 7, LeaderEpoch: -1, Timestamp: -1, Retention: (2 * day).Milliseconds()}
		check(t, first(f.leader.coordinator.Commit(f.ctx, CommitRequest{Group: "g", Generation: -1, Offsets: []OffsetToCommit{v}})))
		f.setMembers("old", true)
		f.set("old", partitionOf("a", 0), 5)
		time.Sleep(day)
		f.wants(t, "g", "a=1, short=7")
		f.die()
		time.Sleep(day + time.Hour)
		f.wants(t, "g", "a=1")
		check(t, f.commit("g", map[string]int64{"b": 1}))
		f.die()
		time.Sleep(5*day + time.Hour)
		f.wants(t, "g", "b=1")
		time.Sleep(3 * day)
		f.wants(t, "g", "")
		if f.config.InTree {
			f.wants(t, "old", "a=5") // its consumers are there
		}
		f.setMembers("old", false)
		time.Sleep(day)
		f.wants(t, "old", "")
	})
}

// TestCommitRefusals: GroupCoordinator.validateOffsetCommit.
func TestCommitRefusals(t *testing.T) {
	inModes(t, nil, func(t *testing.T, f *offsetFleet) {
		commit := func(q CommitRequest) error {
			q.Offsets = []OffsetToCommit{{TopicPartition: partitionOf("a", 0), Offset: 1, LeaderEpoch: -1, Timestamp: -1, Retention: -1}}
			return first(f.leader.coordinator.Commit(f.ctx, q))
		}
		for _, c := range []struct {
			q    CommitRequest
			want error
		}{
			{CommitRequest{Group: "new", Generation: 0, MemberID: "m"}, ErrIllegalGeneration},
			{CommitRequest{Group: "new", Generation: -1, MemberID: "anybody"}, nil},
			{CommitRequest{Group: "new", Generation: 3, MemberID: "m"}, ErrUnknownMember},
			{CommitRequest{Group: "txn", Generation: 3, MemberID: "m", Txn: true, ProducerID: 1}, ErrUnknownMember},
			{CommitRequest{Group: "", Generation: -1}, nil},
			{CommitRequest{Group: "", Generation: -1, Txn: true, ProducerID: 1}, ErrInvalidGroupID},
		} {
			if err := commit(c.q); !errors.Is(err, c.want) {
				t.Errorf("%+v: %v, want %v", c.q, err, c.want)
			}
		}
		f.journal.Resign(offsetsPartition(0))
		if err := commit(CommitRequest{Group: "new", Generation: -1}); !errors.Is(err, coord.ErrNotCoordinator) {
			t.Error(err)
		}
	})
}

// TestCommitTimesOut while nothing can be made durable; it may be made so yet.
func TestCommitTimesOut(t *testing.T) {
	inModes(t, nil, func(t *testing.T, f *offsetFleet) {
		check(t, f.commit("g", map[string]int64{"a": 1}))
		f.leader.store.setDown(true)
		f.journal.Hold(offsetsPartition(0))
		began := time.Now()
		if err := f.commit("g", map[string]int64{"a": 2}); !errors.Is(err, coord.ErrTimedOut) || time.Since(began) > 6*time.Second {
			t.Error(err, time.Since(began))
		}
		f.leader.store.setDown(false)
		f.journal.Release(offsetsPartition(0))
		if f.config.InTree && !f.config.Both {
			f.wants(t, "g", "a=2")
		}
	})
}
