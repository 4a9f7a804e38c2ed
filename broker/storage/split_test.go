package storage

import (
	"context"
	"slices"
	"testing"

	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// TestOverflowingSegmentIsSplit: releases before 1.0 could leave offsets in a segment that do not fit its 32 bits
// (KAFKA-6264).
func TestOverflowingSegmentIsSplit(t *testing.T) {
	fsys := vfs.NewMem()
	check(t, fsys.MkdirAll("/logs/t-0"))
	var content []byte
	offsets := []int64{3, 9, 1 << 32, 1<<32 + 5, 1 << 40}
	for _, offset := range offsets {
		b := plain(t, 1)
		b.SetBaseOffset(offset)
		content = append(content, b...)
	}
	check(t, writeFile(fsys, "/logs/t-0/00000000000000000000.log", content))
	for range 2 {
		m, err := OpenManager(context.Background(), ManagerOptions{Dirs: []string{"/logs"}, FS: fsys})
		check(t, err)
		l, _ := m.Log(meta.TopicPartition{Topic: "t"})
		var bases []int64
		for _, s := range *l.segments.Load() {
			bases = append(bases, s.base)
		}
		if !slices.Equal(bases, []int64{0, 1 << 32, 1 << 40}) || l.LogEndOffset() != 1<<40+1 {
			t.Errorf("segments %v, end %d", bases, l.LogEndOffset())
		}
		var got []int64
		for next := int64(0); next < l.LogEndOffset(); {
			r, err := l.Read(next, 1, l.LogEndOffset(), true)
			check(t, err)
			r.Slice.Release()
			got = append(got, r.StartOffset)
			next = r.StartOffset + 1
		}
		if !slices.Equal(got, offsets) {
			t.Errorf("%v, want %v", got, offsets)
		}
		check(t, m.Close())
	}
}
