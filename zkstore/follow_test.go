package zkstore

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func TestFollowConfigs(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	z := open(t, server)
	must(t, z.EnsurePersistentPaths(ctx))
	must(t, z.s.create(ctx, controllerPath, encodeController(1, time.Now())))
	topic := func(name string) meta.Entity { return meta.Entity{Type: meta.TopicEntity, Name: name} }
	must(t, z.SetConfig(ctx, topic("before"), nil))
	for _, bad := range []string{"not json", `"t"`, `{"version":2,"entity_path":"nonsense/x"}`, `{"version":3,"entity_path":"topics/x"}`} {
		must(t, z.s.createSequential(ctx, configChangesPath+"/"+configChangePrefix, []byte(bad)))
	}
	must(t, z.s.createSequential(ctx, configChangesPath+"/"+configChangePrefix, nil))
	must(t, z.s.createSequential(ctx, configChangesPath+"/"+configChangePrefix, []byte(`{"version":1,"entity_type":"clients","entity_name":"c"}`)))

	seen := make(chan meta.Entity, 100)
	f := FollowConfigs(func(_ context.Context, _ *Store, e meta.Entity) error {
		seen <- e
		return errors.New("an error is passed over")
	})
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx, z) }()
	if e := receive(t, seen); e != topic("before") {
		t.Error(e)
	}
	if e := receive(t, seen); e != (meta.Entity{Type: meta.ClientEntity, Name: "c"}) {
		t.Error(e)
	}
	must(t, z.SetConfig(ctx, topic("after"), nil))
	if e := receive(t, seen); e != topic("after") {
		t.Error(e)
	}

	// What was seen is not seen again in the next session.
	server.ExpireSession(z.Session().ID())
	if err := receive(t, ended); !errors.Is(err, ErrExpired) {
		t.Error(err)
	}
	z = openAt(t, server.Addr()+z.s.chroot)
	must(t, z.SetConfig(ctx, topic("later"), nil))
	// And what is old is removed, except what has no data.
	f.now = func() time.Time { return time.Now().Add(noticeRetention + time.Minute) }
	running, stop := context.WithCancel(ctx)
	go func() { ended <- f.Run(running, z) }()
	if e := receive(t, seen); e != topic("later") {
		t.Error(e)
	}
	eventually(t, "old notices are removed", func() bool {
		left, err := z.s.children(ctx, configChangesPath)
		must(t, err)
		return len(left) == 1
	})
	stop()
	if err := receive(t, ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if len(seen) > 0 {
		t.Error("also seen:", <-seen)
	}
}

func TestFollowACLs(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	z := open(t, server)
	must(t, z.EnsureACLPaths(ctx))
	seen := make(chan ACLResource, 100)
	f := FollowACLs(func(_ context.Context, _ *Store, r ACLResource) error { seen <- r; return nil })
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- f.Run(running, z) }()

	entries := []ACLEntry{{"User:a", "Allow", "*", "Read"}, {"User:b", "Deny", "h", "Write"}}
	set := func(es []ACLEntry) func([]ACLEntry) []ACLEntry { return func([]ACLEntry) []ACLEntry { return es } }
	for _, r := range []ACLResource{{Type: "TransactionalId", Name: "a:b"}, {Type: "Topic", Name: "p-", Prefixed: true}} {
		if _, changed, err := z.UpdateACLs(ctx, r, set(entries)); err != nil || !changed {
			t.Error(changed, err)
		}
		if got := receive(t, seen); got != r {
			t.Error(got)
		}
		reversed := slices.Clone(entries)
		slices.Reverse(reversed)
		if _, changed, err := z.UpdateACLs(ctx, r, set(reversed)); err != nil || changed {
			t.Error("the same rules in another order are a change:", err)
		}
	}
	rs, err := z.ACLResources(ctx)
	if err != nil || len(rs) != 2 {
		t.Error(rs, err)
	}
	acls, broken, err := z.ACLs(ctx, append(rs, ACLResource{Type: "Group", Name: "none"}))
	if err != nil || len(broken) > 0 || len(acls) != 2 || !slices.Equal(acls[rs[0]], entries) {
		t.Error(acls, broken, err)
	}
	if _, changed, err := z.UpdateACLs(ctx, rs[0], set(nil)); err != nil || !changed {
		t.Error(changed, err)
	}
	if got := receive(t, seen); got != rs[0] {
		t.Error(got)
	}
	if rs, err := z.ACLResources(ctx); err != nil || len(rs) != 1 {
		t.Error(rs, err)
	}
	if _, _, err := z.UpdateACLs(ctx, ACLResource{Type: "Topic", Name: "a/b"}, set(entries)); err == nil {
		t.Error("a name with a slash was taken")
	}
	stop()
	receive(t, ended)
}

func TestFollowTokens(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	z := open(t, server)
	seen := make(chan string, 100)
	f := FollowTokens(func(_ context.Context, _ *Store, id string) error { seen <- id; return nil })
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- f.Run(running, z) }()
	must(t, z.EnsureTokenPaths(ctx))
	now := timeOf(time.Now().UnixMilli())
	token := Token{ID: "x", Owner: "User:a b", Requester: "User:r", Renewers: []string{"User:c"}, Issued: now, Max: now, Expiry: now}
	must(t, z.SetToken(ctx, token))
	if id := receive(t, seen); id != "x" {
		t.Error(id)
	}
	if got, err := z.Token(ctx, "x"); err != nil || got.Owner != token.Owner || got.Renewers[0] != "User:c" || !got.Max.Equal(now) {
		t.Error(got, err)
	}
	must(t, z.DeleteToken(ctx, "x"))
	receive(t, seen)
	if tokens, broken, err := z.Tokens(ctx); err != nil || len(tokens)+len(broken) != 0 {
		t.Error(tokens, broken, err)
	}
	stop()
	receive(t, ended)
}

func TestNotices(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	z := open(t, server)
	must(t, z.EnsurePersistentPaths(ctx))
	w := z.WatchLogDirEvents()
	es, err := z.LogDirEvents(ctx)
	if err != nil || len(es) != 0 {
		t.Error(es, err)
	}
	must(t, z.PublishLogDirFailure(ctx, 3))
	signalled(t, w)
	must(t, z.s.create(ctx, logDirEventsPath+"/junk", nil))
	es, err = z.LogDirEvents(ctx)
	if err != nil || len(es) != 2 || es[0].Err == nil && es[1].Err == nil {
		t.Fatal(es, err)
	}
	must(t, z.DeleteLogDirEvents(ctx, Unfenced(), []string{es[0].Node, es[1].Node}))

	tps := []meta.TopicPartition{{Topic: "a", Partition: 1}, {Topic: "b", Partition: 0}}
	must(t, z.PublishISRChange(ctx, tps))
	cs, err := z.ISRChanges(ctx)
	if err != nil || len(cs) != 1 || !slices.Equal(cs[0].Partitions, tps) {
		t.Error(cs, err)
	}
	must(t, z.DeleteISRChanges(ctx, Unfenced(), []string{cs[0].Node}))
	if cs, err := z.ISRChanges(ctx); err != nil || len(cs) != 0 {
		t.Error(cs, err)
	}
}
