package zkstore

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// One broken znode does not spoil the reading of many, whichever way they are read.
func TestBrokenZnodes(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	z := open(t, server)
	must(t, z.EnsurePersistentPaths(ctx))
	const n = 300
	var tps []meta.TopicPartition
	states := map[meta.TopicPartition]meta.LeaderAndISR{}
	must(t, z.s.create(ctx, controllerEpochPath, []byte("1")))
	must(t, z.s.create(ctx, TopicPath("t"), encodeTopic(meta.TopicAssignment{})))
	for i := range int32(n) {
		tp := meta.TopicPartition{Topic: "t", Partition: i}
		tps = append(tps, tp)
		states[tp] = meta.LeaderAndISR{Leader: meta.BrokerID(i), ISR: []meta.BrokerID{meta.BrokerID(i)}}
	}
	_, failed, err := z.CreatePartitionStates(ctx, ControllerFence(0), states)
	if err != nil || len(failed) > 0 {
		t.Fatal(failed, err)
	}
	_, err = z.s.set(ctx, PartitionStatePath(tps[5]), nil, anyVersion)
	must(t, err)
	_, err = z.s.set(ctx, PartitionStatePath(tps[6]), []byte("{"), anyVersion)
	must(t, err)
	must(t, z.s.delete(ctx, PartitionStatePath(tps[7]), anyVersion))

	for _, single := range []bool{false, true} {
		t.Run(fmt.Sprint("singly ", single), func(t *testing.T) {
			z := openAt(t, server.Addr()+z.s.chroot)
			z.s.singleReads.Store(single)
			got, broken, err := z.PartitionStates(ctx, tps)
			if err != nil || len(got) != n-3 || len(broken) != 2 {
				t.Fatal(len(got), broken, err)
			}
			for _, tp := range tps[5:7] {
				var u *UnreadableError
				if !errors.As(broken[tp], &u) || u.Path != PartitionStatePath(tp) {
					t.Error(broken[tp])
				}
			}
			if s := got[tps[200]]; s.Leader != 200 || s.PartitionEpoch != 0 {
				t.Error(s)
			}
		})
	}
}

// A registration nobody can read hides no other broker: in Kafka it makes every controller resign.
func TestBrokenRegistration(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	z := open(t, server)
	must(t, z.EnsurePersistentPaths(ctx))
	must(t, z.s.create(ctx, BrokerPath(1), []byte(`{"version":5,"endpoints":[]}`)))
	must(t, z.s.create(ctx, brokersPath+"/x", nil))
	_, err := z.RegisterBroker(ctx, BrokerRegistration{ID: 2, JMXPort: -1}, 0)
	must(t, err)
	live, broken, err := z.Brokers(ctx)
	var u *UnreadableError
	if err != nil || len(live) != 1 || live[2].ID != 2 || len(broken) != 1 || !errors.As(broken[1], &u) || u.Path != BrokerPath(1) {
		t.Error(live, broken, err)
	}
}

// A reply too large for one packet is read in pieces.
func TestLargeZnodes(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	z := open(t, server)
	must(t, z.EnsurePersistentPaths(ctx))
	must(t, z.s.create(ctx, controllerPath, encodeController(1, time.Now())))
	value := string(slices.Repeat([]byte("x"), 300<<10))
	var es []meta.Entity
	for i := range 20 {
		e := meta.Entity{Type: meta.BrokerEntity, Name: fmt.Sprint(i)}
		es = append(es, e)
		must(t, z.SetConfig(ctx, e, map[string]string{"k": value}))
	}
	configs, broken, err := z.Configs(ctx, es)
	if err != nil || len(broken) > 0 || len(configs) != len(es) {
		t.Fatal(len(configs), broken, err)
	}
	for e, c := range configs {
		if c["k"] != value {
			t.Error(e)
		}
	}
}

func TestConfigs(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	z := open(t, server)
	must(t, z.EnsurePersistentPaths(ctx))
	must(t, z.s.create(ctx, controllerPath, encodeController(1, time.Now())))
	user := meta.Entity{Type: meta.UserEntity, Name: "alice"}
	pair := meta.Entity{Type: meta.UserEntity, Name: "alice/clients/" + meta.Sanitize("a b")}
	must(t, z.SetConfig(ctx, pair, map[string]string{"producer_byte_rate": "1"}))
	must(t, z.SetSCRAMCredentials(ctx, "alice", map[string]*SCRAMCredential{SCRAMSHA256: {Salt: []byte("s"), Iterations: 4096}}))
	es, err := z.ConfigEntities(ctx, meta.UserEntity)
	if err != nil || !slices.Equal(es, []meta.Entity{user, pair}) {
		t.Error(es, err)
	}
	credentials, err := z.SCRAMCredentials(ctx, "alice")
	if err != nil || len(credentials) != 1 || string(credentials[SCRAMSHA256].Salt) != "s" {
		t.Error(credentials, err)
	}
	must(t, z.SetSCRAMCredentials(ctx, "alice", map[string]*SCRAMCredential{SCRAMSHA256: nil}))
	if c, err := z.Config(ctx, user); err != nil || len(c) != 0 {
		t.Error(c, err)
	}
	if c, err := z.Config(ctx, pair); err != nil || c["producer_byte_rate"] != "1" {
		t.Error("removing a user's last config took its clients' along:", c, err)
	}
	must(t, z.SetConfig(ctx, pair, nil))
	if es, err := z.ConfigEntities(ctx, meta.UserEntity); err != nil || len(es) != 0 {
		t.Error(es, err)
	}
}

func TestBrokerSequenceIDs(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	z := open(t, server)
	for want := range int32(3) {
		if n, err := z.BrokerSequenceID(ctx); err != nil || n != want+1 {
			t.Error(n, err)
		}
	}
	// It is bytes of no length that are written, not null.
	if n, err := z.s.get(ctx, brokerSequencePath); err != nil || n.data == nil || n.stat.Version != 3 {
		t.Error(n, err)
	}
}
