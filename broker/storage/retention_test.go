package storage

import (
	"testing"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Retention looks at segments without the log's lock. Records that reach the active one in the meantime were not looked at
// and must stay, acknowledged or not.
func TestRetentionSparesWhatCameMeanwhile(t *testing.T) {
	m := openTestManager(t, ManagerOptions{Dirs: []string{"/logs"}, FS: vfs.NewMem()})
	l, err := m.GetOrCreate(meta.TopicPartition{Topic: "t"}, CreateOptions{IsNew: true})
	check(t, err)
	add := func() {
		b := record.NewBuilder(record.BuilderOptions{})
		b.Append(1700000000000, nil, []byte("value"))
		batch, err := b.Build()
		check(t, err)
		info, err := l.AppendAsLeader(batch, AppendOptions{})
		check(t, err)
		l.SetHighWatermark(info.LEO)
	}
	add()
	n, err := l.deleteWhile(retentionRule{"old", func(_, _ *segment) (bool, error) {
		add()
		return true, nil
	}})
	check(t, err)
	if n != 0 || l.LogStartOffset() != 0 {
		t.Errorf("%d segments deleted, log starts at %d; the record at 1 was never found to be old", n, l.LogStartOffset())
	}
	n, err = l.deleteWhile(retentionRule{"old", func(_, _ *segment) (bool, error) { return true, nil }})
	check(t, err)
	if n != 1 || l.LogStartOffset() != 2 {
		t.Errorf("next time: %d segments deleted, log starts at %d", n, l.LogStartOffset())
	}
}
