package storage

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Logs made side by side are made once each and spread evenly over the directories, and survive a power failure with their
// topic ids as soon as a leader epoch was assigned.
func TestLogsMadeSideBySide(t *testing.T) {
	mem := vfs.NewMem()
	options := ManagerOptions{Dirs: []string{"/a", "/b", "/c"}, FS: mem}
	m := openTestManager(t, options)
	id := meta.NewTopicID()
	const partitions, callers = 60, 3
	var made [partitions][callers]*Log
	var wg sync.WaitGroup
	for p := range partitions {
		for c := range callers {
			wg.Go(func() {
				l, err := m.GetOrCreate(meta.TopicPartition{Topic: "t", Partition: int32(p)}, CreateOptions{IsNew: true, TopicID: id})
				if err == nil {
					err = l.AssignEpochStart(4, 0)
				}
				if err != nil {
					t.Error(err)
				}
				made[p][c] = l
			})
		}
	}
	wg.Wait()
	perDir := map[string]int{}
	for p := range made {
		perDir[made[p][0].Dir()]++
		for _, l := range made[p] {
			if l != made[p][0] {
				t.Errorf("partition %d was made twice", p)
			}
		}
	}
	for dir, n := range perDir {
		if n != partitions/3 {
			t.Errorf("%d logs in %s: %v", n, dir, perDir)
		}
	}
	check(t, m.Delete(meta.TopicPartition{Topic: "t", Partition: 7}))
	l, err := m.GetOrCreate(meta.TopicPartition{Topic: "t", Partition: partitions}, CreateOptions{IsNew: true, TopicID: id})
	check(t, err)
	if l.Dir() != made[7][0].Dir() {
		t.Errorf("the next log is made in %s, one was deleted in %s", l.Dir(), made[7][0].Dir())
	}

	for seed := range uint64(20) {
		options.FS = mem.CrashClone(rand.New(rand.NewPCG(seed, 1)))
		again, err := OpenManager(context.Background(), options)
		check(t, err)
		for p := range partitions {
			tp := meta.TopicPartition{Topic: "t", Partition: int32(p)}
			l, ok := again.Log(tp)
			switch {
			case p == 7:
			case !ok:
				t.Errorf("%s is gone", tp)
			case l.TopicID() != id:
				t.Errorf("%s came back with topic id %s", tp, l.TopicID())
			}
		}
		check(t, again.Close())
	}
}

// A compaction that ends while its log is deleted must not leave its position to the next topic of that name.
func TestDeletedLogLeavesNoCleanerPosition(t *testing.T) {
	m := openTestManager(t, ManagerOptions{Dirs: []string{"/logs"}, FS: vfs.NewMem()})
	tp := meta.TopicPartition{Topic: "t"}
	l, err := m.GetOrCreate(tp, CreateOptions{IsNew: true})
	check(t, err)
	check(t, m.cleaner.put(l, 3))
	check(t, m.Delete(tp))
	check(t, m.cleaner.put(l, 5))
	if at, ok := m.cleaner.point(l); ok {
		t.Errorf("the cleaner is at %d in a log that is gone", at)
	}
}
