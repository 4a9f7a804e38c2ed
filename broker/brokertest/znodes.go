package brokertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

// Znodes is a test's own look into ZooKeeper, beside what brokers say.
type Znodes struct {
	t      testing.TB
	conn   *zk.Conn
	chroot string
}

// OpenZnodes connects to ZooKeeper until the test ends.
func OpenZnodes(t testing.TB, zookeeper string) *Znodes {
	t.Helper()
	servers, chroot, _ := strings.Cut(zookeeper, "/")
	if chroot != "" {
		chroot = "/" + chroot
	}
	conn, _, err := zk.Connect(strings.Split(servers, ","), 10*time.Second, zk.WithLogInfo(false), zk.WithLogger(silent{}), zk.WithEventCallback(func(zk.Event) {}))
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	t.Cleanup(func() { once.Do(conn.Close) })
	return &Znodes{t: t, conn: conn, chroot: chroot}
}

type silent struct{}

func (silent) Printf(string, ...any) {}

// get reads a znode, over lost connections. found is false if there is none.
func (z *Znodes) get(path string) (data []byte, stat *zk.Stat, found bool) {
	z.t.Helper()
	deadline := time.Now().Add(startTimeout)
	for {
		data, stat, err := z.conn.Get(z.chroot + path)
		switch {
		case err == nil:
			return data, stat, true
		case errors.Is(err, zk.ErrNoNode):
			return nil, nil, false
		case time.Now().After(deadline):
			z.t.Fatalf("read %s: %v", path, err)
		}
		time.Sleep(20 * time.Millisecond) // until the client library is connected again
	}
}

// SessionOf returns the ZooKeeper session in which a broker is registered.
func (z *Znodes) SessionOf(broker int) (session int64, registered bool) {
	z.t.Helper()
	_, stat, found := z.get(fmt.Sprintf("/brokers/ids/%d", broker))
	if !found {
		return 0, false
	}
	return stat.EphemeralOwner, true
}

// Controller returns the active controller.
func (z *Znodes) Controller() (broker int, elected bool) {
	z.t.Helper()
	data, _, found := z.get("/controller")
	var c struct {
		BrokerID int `json:"brokerid"`
	}
	if !found {
		return 0, false
	}
	if err := json.Unmarshal(data, &c); err != nil {
		z.t.Fatalf("/controller holds %q: %v", data, err)
	}
	return c.BrokerID, true
}

// PartitionState is what a partition's state znode holds.
type PartitionState struct {
	Leader      int   `json:"leader"`
	LeaderEpoch int32 `json:"leader_epoch"`
	ISR         []int `json:"isr"`
}

// State returns the state of a partition.
func (z *Znodes) State(topic string, partition int) (s PartitionState, exists bool) {
	z.t.Helper()
	data, _, found := z.get(fmt.Sprintf("/brokers/topics/%s/partitions/%d/state", topic, partition))
	if !found {
		return PartitionState{}, false
	}
	if err := json.Unmarshal(data, &s); err != nil {
		z.t.Fatalf("the state of %s-%d is %q: %v", topic, partition, data, err)
	}
	return s, true
}

// Exists reports whether there is a znode.
func (z *Znodes) Exists(path string) bool {
	z.t.Helper()
	_, _, found := z.get(path)
	return found
}

// Create makes a znode, and those above it that are missing, as another broker may have left them.
func (z *Znodes) Create(path, data string) {
	z.t.Helper()
	for i, r := range path {
		if r == '/' && i > 0 {
			z.create(path[:i], "")
		}
	}
	if !z.create(path, data) {
		z.t.Fatalf("%s is there already", path)
	}
}

// create returns false if the znode is there.
func (z *Znodes) create(path, data string) bool {
	z.t.Helper()
	_, err := z.conn.Create(z.chroot+path, []byte(data), 0, zk.WorldACL(zk.PermAll))
	if err != nil && !errors.Is(err, zk.ErrNodeExists) {
		z.t.Fatalf("create %s: %v", path, err)
	}
	return err == nil
}

// Ephemeral returns what a znode holds and the session it belongs to, 0 for none.
func (z *Znodes) Ephemeral(path string) (data string, session int64, found bool) {
	z.t.Helper()
	b, stat, found := z.get(path)
	if !found {
		return "", 0, false
	}
	return string(b), stat.EphemeralOwner, true
}

// ACL returns who may do what with a znode, as scheme:id:letters; nothing if that is not for strangers to know.
func (z *Znodes) ACL(path string) (acl []string) {
	z.t.Helper()
	entries, _, err := z.conn.GetACL(z.chroot + path)
	if err != nil && !errors.Is(err, zk.ErrNoAuth) {
		z.t.Fatalf("read the ACL of %s: %v", path, err)
	}
	for _, e := range entries {
		text := e.Scheme + ":" + e.ID + ":"
		for i, letter := range "rwcda" {
			if e.Perms&(1<<i) != 0 {
				text += string(letter)
			}
		}
		acl = append(acl, text)
	}
	return acl
}

// Delete removes a znode if it is there.
func (z *Znodes) Delete(path string) {
	z.t.Helper()
	if err := z.conn.Delete(z.chroot+path, -1); err != nil && !errors.Is(err, zk.ErrNoNode) {
		z.t.Fatalf("delete %s: %v", path, err)
	}
}
