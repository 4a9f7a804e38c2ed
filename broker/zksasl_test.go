package broker_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

const (
	brokerLogin = `org.apache.zookeeper.server.auth.DigestLoginModule required username="kafka" password="it's \"secret\"";`
	wrongLogin  = `org.apache.zookeeper.server.auth.DigestLoginModule required username="kafka" password="guess";`
)

// saslZooKeeper is a ZooKeeper to which clients log in with DIGEST-MD5, as user kafka.
func saslZooKeeper(t *testing.T) *zktest.Server {
	t.Helper()
	return zktest.Start(t, zktest.File("jaas.conf", `Server { org.apache.zookeeper.server.auth.DigestLoginModule required user_kafka="it's \"secret\""; };`),
		zktest.JVM("-Djava.security.auth.login.config=DIR/jaas.conf"),
		zktest.Config("authProvider.sasl=org.apache.zookeeper.server.auth.SASLAuthenticationProvider"))
}

// checkOwned checks that the znodes belong to the broker's login.
func checkOwned(t *testing.T, zookeeper string) {
	t.Helper()
	znodes := brokertest.OpenZnodes(t, zookeeper)
	for path, want := range map[string][]string{
		"/brokers/topics/t": {"sasl:kafka:rwcda", "world:anyone:r"},
		"/brokers/ids/1":    {"sasl:kafka:rwcda", "world:anyone:r"},
		"/controller":       {"sasl:kafka:rwcda", "world:anyone:r"},
		"/config/users":     nil,
	} {
		if got := znodes.ACL(path); !slices.Equal(got, want) {
			t.Errorf("%s belongs to %v, want %v", path, got, want)
		}
	}
}

// TestZooKeeperLogin runs a broker that logs in to ZooKeeper as its properties say, protects its znodes, and logs in again when
// its session has expired.
func TestZooKeeperLogin(t *testing.T) {
	t.Parallel()
	zk := saslZooKeeper(t)
	node := brokertest.Start(t, zk.Addr(), map[string]string{"zookeeper.set.acl": "true", "kraal.zookeeper.jaas.config": brokerLogin})
	c := client(t, node.Addr())
	createTopic(t, c, "t", 1, nil)
	checkOwned(t, zk.Addr())

	before := node.SessionID()
	zk.ExpireSession(before)
	eventually(t, "a new session", func() bool { return node.SessionID() != before })
	eventually(t, "a registration in it", func() bool {
		session, registered := brokertest.OpenZnodes(t, zk.Addr()).SessionOf(1)
		return registered && session == node.SessionID()
	})
	createTopic(t, c, "u", 1, nil)
	if err := c.ProduceSync(within(t), &kgo.Record{Topic: "u", Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	checkOwned(t, zk.Addr())
}

// TestZooKeeperLoginRefused: a broker whose login fails, or which is to protect znodes without one, says so instead of starting.
func TestZooKeeperLoginRefused(t *testing.T) {
	t.Parallel()
	zk := saslZooKeeper(t)
	for want, props := range map[string]map[string]string{
		"ZooKeeper refused our credentials":                   {"kraal.zookeeper.jaas.config": wrongLogin},
		"login to ZooKeeper: Login module":                    {"kraal.zookeeper.jaas.config": "kafka"},
		"zookeeper.set.acl needs an identity":                 {"zookeeper.set.acl": "true"},
		"login to ZooKeeper: kraal logs in to ZooKeeper with": {"kraal.zookeeper.jaas.config": "x.PlainLoginModule required;"},
	} {
		if err := brokertest.Refused(t, zk.Addr(), props); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", props, err, want)
		}
	}
}

// TestZooKeeperLoginByKafkaOpts runs the program as operators of Kafka do who have a JAAS file.
func TestZooKeeperLoginByKafkaOpts(t *testing.T) {
	zk := saslZooKeeper(t)
	file := filepath.Join(t.TempDir(), "jaas.conf")
	if err := os.WriteFile(file, []byte("KafkaServer { x required; };\nClient {\n"+brokerLogin+"\n};\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KAFKA_OPTS", "-Xlog:gc -Djava.security.auth.login.config="+file)
	proc := brokertest.StartProc(t, zk.Addr(), map[string]string{"zookeeper.set.acl": "true"})
	createTopic(t, client(t, proc.Addr()), "t", 1, nil)
	checkOwned(t, zk.Addr())
}
