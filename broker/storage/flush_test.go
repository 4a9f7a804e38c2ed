package storage

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Who asks for a segment to be durable while another is syncing it must not be told that it is before it is.
func TestSyncWaitsForTheOneUnderWay(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	var armed, ended atomic.Bool
	fs := &vfs.Fault{FS: vfs.NewMem(), Hook: func(op vfs.Op, name string) error {
		if op == vfs.OpSync && filepath.Ext(name) == logSuffix && armed.CompareAndSwap(true, false) {
			close(began)
			<-goOn
			ended.Store(true)
		}
		return nil
	}}
	m := openTestManager(t, ManagerOptions{Dirs: []string{"/logs"}, FS: fs})
	l, err := m.GetOrCreate(meta.TopicPartition{Topic: "t"}, CreateOptions{IsNew: true})
	check(t, err)
	b := record.NewBuilder(record.BuilderOptions{})
	b.Append(1700000000000, nil, []byte("value"))
	batch, err := b.Build()
	check(t, err)
	_, err = l.AppendAsLeader(batch, AppendOptions{})
	check(t, err)

	armed.Store(true)
	flushed := make(chan error, 1)
	go func() { flushed <- l.Flush() }()
	<-began
	early := make(chan bool, 1)
	go func() {
		err := l.active().sync(true)
		early <- err == nil && !ended.Load()
	}()
	select {
	case <-early:
		t.Error("the second sync ended before the first")
		close(goOn)
	case <-time.After(20 * time.Millisecond): // only the fault would be missed if this were too short
		close(goOn)
		if <-early {
			t.Error("the second sync ended before the first")
		}
	}
	check(t, <-flushed)
}
