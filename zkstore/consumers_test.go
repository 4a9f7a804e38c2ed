package zkstore

import (
	"errors"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// Members and owners are shown as Kafka 0.8 did, live as long as the session, and what is another session's is left alone.
func TestConsumers(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	z := open(t, server)
	other := openAt(t, server.Addr()+z.s.chroot)
	tp := func(p int32) meta.TopicPartition { return meta.TopicPartition{Topic: "orders", Partition: p} }
	id, owner := ConsumerIDNode("g/1", "c-1"), ConsumerOwnerNode("g/1", tp(0))
	if id.Path() != "/consumers/g%2F1/ids/c-1" || owner.Path() != "/consumers/g%2F1/owners/orders/0" {
		t.Error(id, owner)
	}
	data := ConsumerID([]string{"orders", `a"b`, "orders"}, time.UnixMilli(1416968888888))
	if want := `{"version":1,"subscription":{"a\"b":1,"orders":1},"pattern":"static","timestamp":"1416968888888"}`; string(data) != want {
		t.Errorf("%s", data)
	}
	write := func(z *Store, writes ...ConsumerWrite) map[ConsumerNode]error {
		t.Helper()
		broken, err := z.WriteConsumers(ctx, writes)
		must(t, err)
		return broken
	}
	read := func(n ConsumerNode) string {
		got, err := other.s.get(ctx, n.path)
		if errors.Is(err, ErrNoNode) {
			return "none"
		}
		must(t, err)
		return string(got.data)
	}

	// Nothing is there yet, not even the group.
	if broken := write(z, ConsumerWrite{Node: id, Data: data}, ConsumerWrite{Node: owner, Data: ConsumerOwner("c-1")}); len(broken) != 0 {
		t.Fatal(broken)
	}
	if read(id) != string(data) || read(owner) != "c-1-0" {
		t.Error(read(id), read(owner))
	}
	// Another session's is left alone, whatever else is in the multi.
	free := ConsumerOwnerNode("g/1", tp(1))
	broken := write(other, ConsumerWrite{Node: owner, Data: ConsumerOwner("c-2")}, ConsumerWrite{Node: free, Data: ConsumerOwner("c-2")})
	if len(broken) != 1 || !errors.Is(broken[owner], ErrNodeExists) || read(owner) != "c-1-0" || read(free) != "c-2-0" {
		t.Error(broken, read(owner), read(free))
	}
	// Changed and removed; what was believed to exist and does not is made, and what was thought missing is changed.
	lost := ConsumerOwnerNode("g/1", tp(2))
	broken = write(z, ConsumerWrite{Node: owner, Data: ConsumerOwner("c-3"), Exists: true}, ConsumerWrite{Node: lost, Data: ConsumerOwner("c-3"), Exists: true},
		ConsumerWrite{Node: id, Data: []byte("{}")}, ConsumerWrite{Node: ConsumerOwnerNode("g/1", tp(9))})
	if len(broken) != 0 || read(owner) != "c-3-0" || read(lost) != "c-3-0" || read(id) != "{}" {
		t.Error(broken, read(owner), read(lost), read(id))
	}
	write(z, ConsumerWrite{Node: owner})
	if read(owner) != "none" {
		t.Error(read(owner))
	}
	// What is not empty stays when a group's folders are removed.
	must(t, z.RemoveConsumers(ctx, "g/1"))
	if read(lost) != "c-3-0" {
		t.Error(read(lost))
	}
	// With the session everything is over, and then nothing is left.
	must(t, z.s.Close())
	eventually(t, "the members of the session that ended are gone", func() bool { return read(lost) == "none" })
	write(other, ConsumerWrite{Node: free})
	must(t, other.RemoveConsumers(ctx, "g/1"))
	if left, err := other.s.exists(ctx, "/consumers/g%2F1"); left || err != nil {
		t.Error(left, err)
	}
}

// Many writes take many multis.
func TestManyConsumers(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	z := open(t, server)
	var writes []ConsumerWrite
	for p := range int32(3*writesPerMulti + 1) {
		node := ConsumerOwnerNode("g", meta.TopicPartition{Topic: "t", Partition: p})
		writes = append(writes, ConsumerWrite{Node: node, Data: ConsumerOwner("c")})
	}
	broken, err := z.WriteConsumers(ctx, writes)
	must(t, err)
	owned, err := z.s.children(ctx, "/consumers/g/owners/t")
	must(t, err)
	if len(broken) != 0 || len(owned) != len(writes) {
		t.Error(broken, len(owned))
	}
}
