package broker_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/tools/testkit"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// TestZooKeeperOverTLS runs a broker whose only way to ZooKeeper is TLS with client certificates, and whose znodes are
// protected by them.
func TestZooKeeperOverTLS(t *testing.T) {
	t.Parallel()
	ca := testkit.NewAuthority(t)
	zk := zktest.Start(t, zktest.Secure("server.pem", "ca.pem"), zktest.File("server.pem", ca.Issue("zk", net.IPv4(127, 0, 0, 1))), zktest.File("ca.pem", ca.PEM))
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	node := brokertest.Start(t, zk.SecureAddr()+"/secured", map[string]string{
		"zookeeper.ssl.client.enable":       "true",
		"zookeeper.ssl.keystore.location":   file("broker.pem", ca.Issue("broker")),
		"zookeeper.ssl.keystore.type":       "PEM",
		"zookeeper.ssl.truststore.location": file("ca.pem", ca.PEM),
		"zookeeper.ssl.truststore.type":     "PEM",
		"zookeeper.clientCnxnSocket":        "org.apache.zookeeper.ClientCnxnSocketNetty",
		"zookeeper.set.acl":                 "true",
	})
	c := client(t, node.Addr())
	createTopic(t, c, "t", 1, nil)
	if err := c.ProduceSync(within(t), &kgo.Record{Topic: "t", Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	consume(t, node.Addr(), "t", 1)
}
