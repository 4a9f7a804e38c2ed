package broker_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// alterBroker1 sets configurations of broker 1, by itself.
func alterBroker1(t *testing.T, admin *kadm.Client, settings ...kadm.AlterConfig) error {
	t.Helper()
	r, err := admin.AlterBrokerConfigs(within(t), settings, 1)
	if err != nil {
		t.Fatal(err)
	}
	if r[0].Err != nil {
		return fmt.Errorf("%w: %s", r[0].Err, r[0].ErrMessage)
	}
	return nil
}

// TestListenersWhileRunning opens, moves and closes listeners, and has clients sent to them.
func TestListenersWhileRunning(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	port := fmt.Sprint(brokertest.FreePort(t))
	own := "127.0.0.1:" + port
	base := "PLAINTEXT://" + own
	node := brokertest.Start(t, zk.Addr(), map[string]string{"listeners": base, "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT"})
	c := client(t, own, kgo.MetadataMinAge(10*time.Millisecond))
	admin := kadm.NewClient(c)
	createTopic(t, c, "t", 1, nil)
	epoch := node.BrokerEpoch()
	alter := func(listeners, advertised string) {
		t.Helper()
		if err := alterBroker1(t, admin, set("listeners", listeners), set("advertised.listeners", advertised)); err != nil {
			t.Fatal(err)
		}
	}
	advertisedOn := func(bootstrap string) string {
		other, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		brokers, err := kadm.NewClient(other).ListBrokers(within(t))
		if err != nil || len(brokers) != 1 {
			return ""
		}
		return net.JoinHostPort(brokers[0].Host, fmt.Sprint(brokers[0].Port))
	}

	// A new address of an old listener.
	alter(base, "PLAINTEXT://localhost:"+port)
	eventually(t, "metadata with the new address", func() bool { return advertisedOn(own) == "localhost:"+port })

	// A listener more, with a protocol of its own in the map.
	added := fmt.Sprintf("127.0.0.1:%d", brokertest.FreePort(t))
	if err := alterBroker1(t, admin, set("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,EXTRA:PLAINTEXT"),
		set("listeners", base+",EXTRA://"+added), set("advertised.listeners", "PLAINTEXT://localhost:"+port+",EXTRA://"+added),
		set("listener.name.extra.max.connections", "20")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a listener", func() bool { return accepts(added) })
	eventually(t, "metadata of the new listener", func() bool { return advertisedOn(added) == added })
	if registered, _, _ := brokertest.OpenZnodes(t, zk.Addr()).Ephemeral("/brokers/ids/1"); !strings.Contains(registered, "EXTRA://"+added) || !strings.Contains(registered, `"EXTRA":"PLAINTEXT"`) {
		t.Errorf("registered as %s", registered)
	}
	extra := client(t, added)
	if err := extra.ProduceSync(within(t), &kgo.Record{Topic: "t", Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}

	// It moves.
	moved := fmt.Sprintf("127.0.0.1:%d", brokertest.FreePort(t))
	alter(base+",EXTRA://"+moved, "PLAINTEXT://localhost:"+port+",EXTRA://"+moved)
	eventually(t, "the listener elsewhere", func() bool { return accepts(moved) && !accepts(added) })
	eventually(t, "metadata of where it is", func() bool { return advertisedOn(moved) == moved })
	consume(t, moved, "t", 1)

	// It goes, and a restart changes nothing of all that.
	alter(base, "PLAINTEXT://localhost:"+port)
	eventually(t, "no listener", func() bool { return !accepts(moved) })
	consume(t, own, "t", 1)
	if node.BrokerEpoch() != epoch {
		t.Error("the broker has registered anew")
	}
	alter(base+",EXTRA://"+moved, "PLAINTEXT://localhost:"+port+",EXTRA://"+moved)
	eventually(t, "the listener again", func() bool { return accepts(moved) })
	node.Stop()
	node.Start()
	consume(t, moved, "t", 1)
}

// TestListenersThatCannotBe are refused before they are stored, in Kafka's words where it refuses them.
func TestListenersThatCannotBe(t *testing.T) {
	t.Parallel()
	node := brokertest.Start(t, zktest.Start(t).Addr(), map[string]string{
		"listeners": "PLAINTEXT://127.0.0.1:0,SECOND://127.0.0.1:0", "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SECOND:PLAINTEXT,THIRD:PLAINTEXT",
	})
	admin := kadm.NewClient(client(t, node.Addr()))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	const both = "PLAINTEXT://127.0.0.1:0,SECOND://127.0.0.1:0"
	for _, c := range []struct {
		want     string
		settings []kadm.AlterConfig
	}{
		{"address already in use", []kadm.AlterConfig{set("listeners", both+",THIRD://"+taken.Addr().String())}},
		{"No security protocol defined for listener FOURTH", []kadm.AlterConfig{set("listeners", both+",FOURTH://127.0.0.1:0")}},
		{"the inter-broker listener is PLAINTEXT, which must be among the advertised ones", []kadm.AlterConfig{set("listeners", "SECOND://127.0.0.1:0")}},
		{"must be", []kadm.AlterConfig{set("advertised.listeners", "PLAINTEXT://127.0.0.1:1,THIRD://127.0.0.1:2")}},
		{"Security protocol cannot be updated for existing listener SECOND", []kadm.AlterConfig{
			set("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,SECOND:SSL,THIRD:PLAINTEXT")}},
		{"Configs cannot be updated dynamically for existing listener SECOND", []kadm.AlterConfig{
			set("listener.name.second.connections.max.reauth.ms", "5"), set("listeners", both+",THIRD://127.0.0.1:0")}},
		{"Each listener must have a different name", []kadm.AlterConfig{set("listeners", both+",SECOND://127.0.0.1:0")}},
	} {
		if err := alterBroker1(t, admin, c.settings...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %s", c.settings, err, c.want)
		}
	}
	if !accepts(node.ListenerAddr("SECOND")) {
		t.Error("a listener is gone")
	}
}

func accepts(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}
