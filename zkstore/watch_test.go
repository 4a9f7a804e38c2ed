package zkstore

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

func TestWatches(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	z := open(t, server)
	must(t, z.EnsurePersistentPaths(ctx))
	other := openAt(t, server.Addr()+z.s.chroot)

	t.Run("children", func(t *testing.T) {
		w := z.WatchTopics()
		defer w.Stop()
		for _, name := range []string{"a", "b", "c"} {
			_, err := z.TopicNames(ctx)
			must(t, err)
			must(t, other.s.create(ctx, TopicPath(name), encodeTopic(meta.TopicAssignment{})))
			signalled(t, w)
		}
		names, err := z.TopicNames(ctx)
		if err != nil || !slices.Equal(names, []string{"a", "b", "c"}) {
			t.Error(names, err)
		}
	})
	t.Run("appearance", func(t *testing.T) {
		w := z.WatchController()
		defer w.Stop()
		if _, err := z.Controller(ctx); !errors.Is(err, ErrNoNode) {
			t.Error(err)
		}
		won, err := other.Elect(ctx, 2, time.Now())
		must(t, err)
		signalled(t, w)
		info, err := z.Controller(ctx)
		if err != nil || info.ID != 2 || info.KRaftEpoch != -1 {
			t.Error(info, err)
		}
		must(t, other.Resign(ctx, won.Fence()))
		signalled(t, w)
	})
	t.Run("below", func(t *testing.T) {
		w := z.WatchTopicNodes()
		defer w.Stop()
		if _, broken, err := z.Topics(ctx, []string{"a", "b", "missing"}); err != nil || len(broken) > 0 {
			t.Error(broken, err)
		}
		for range 2 {
			must(t, other.SetTopic(ctx, Unfenced(), "b", meta.TopicAssignment{}))
			signalled(t, w)
			if names := w.Take(); !slices.Equal(names, []string{"b"}) {
				t.Error(names)
			}
			_, err := z.Topic(ctx, "b")
			must(t, err)
		}
		must(t, other.DeleteTopic(ctx, Unfenced(), "a"))
		signalled(t, w)
		if names := w.Take(); !slices.Equal(names, []string{"a"}) {
			t.Error(names)
		}
	})
	t.Run("stopped and taken up again", func(t *testing.T) {
		w := z.WatchTopics()
		_, err := z.TopicNames(ctx)
		must(t, err)
		w.Stop()
		again := z.WatchTopics() // the watch at the server is still set, and serves this one
		defer again.Stop()
		_, err = z.TopicNames(ctx)
		must(t, err)
		must(t, other.s.create(ctx, TopicPath("d"), encodeTopic(meta.TopicAssignment{})))
		signalled(t, again)
		select {
		case <-w.C:
			t.Error("a stopped watch was signalled")
		default:
		}
	})
}

// Changes made while a session was without a server are told of when it has one again.
func TestWatchesOverReconnect(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	p := newTap(t, server.Addr())
	z := openAt(t, p.addr())
	must(t, z.EnsurePersistentPaths(ctx))
	other := openAt(t, server.Addr())
	must(t, other.s.create(ctx, TopicPath("a"), encodeTopic(meta.TopicAssignment{})))

	children, below, missing, untouched := z.WatchTopics(), z.WatchTopicNodes(), z.WatchController(), z.WatchTopicDeletions()
	_, err := z.TopicNames(ctx)
	must(t, err)
	_, err = z.Topic(ctx, "a")
	must(t, err)
	_, err = z.Controller(ctx)
	if !errors.Is(err, ErrNoNode) {
		t.Error(err)
	}
	_, err = z.TopicDeletions(ctx)
	must(t, err)

	p.setDeaf(true)
	p.cut()
	eventually(t, "disconnected", func() bool { return !z.Session().Connected() })
	must(t, other.s.create(ctx, TopicPath("b"), encodeTopic(meta.TopicAssignment{})))
	must(t, other.SetTopic(ctx, Unfenced(), "a", meta.TopicAssignment{}))
	_, err = other.Elect(ctx, 1, time.Now())
	must(t, err)
	p.setDeaf(false)
	signalled(t, children)
	signalled(t, below)
	signalled(t, missing)

	// And a watch that had nothing to tell is still set.
	select {
	case <-untouched.C:
		t.Error("signal without a change")
	default:
	}
	must(t, other.MarkTopicForDeletion(ctx, "a"))
	signalled(t, untouched)
}

// An event that overtakes the reader between the server's answer and the note that the watch is set: the next read
// must set it again.
func TestWatchFiresWhileBeingArmed(t *testing.T) {
	var r registry
	r.init()
	key := watchKey{"/a", dataWatch}
	w := r.subscribe(key, false)
	first := r.arm(key, wantPresent)
	second := r.arm(key, wantPresent)
	if first == nil || second == nil {
		t.Fatal("a watch still being set spares another reader its own")
	}
	r.fire(zk.EventNodeDataChanged, "/a")
	first.done(true)
	second.done(true)
	third := r.arm(key, wantPresent)
	if third == nil {
		t.Fatal("no watch would be set")
	}
	third.done(true)
	if r.arm(key, wantPresent) != nil {
		t.Error("a watch that is set is set again")
	}
	r.fire(zk.EventNodeDeleted, "/a")
	fourth := r.arm(key, wantPresent)
	fourth.done(false)
	if r.arm(key, wantPresent) == nil {
		t.Error("a failed read counts as a watch")
	}
	signalled(t, w)
	w.Stop()
	if r.arm(key, wantPresent) != nil || len(r.mu.exact) != 0 {
		t.Error("watched without a subscription")
	}
}
