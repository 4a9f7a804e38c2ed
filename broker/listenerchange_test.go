package broker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// TestListenersWhileRunning: other addresses can be advertised, and clients are sent there; other listeners cannot be opened.
func TestListenersWhileRunning(t *testing.T) {
	t.Parallel()
	node := brokertest.Start(t, zktest.Start(t).Addr(), nil)
	admin := kadm.NewClient(client(t, node.Addr(), kgo.MetadataMinAge(10*time.Millisecond)))
	_, port, _ := strings.Cut(node.Addr(), ":")
	alter := func(key, value string) error {
		r, err := admin.AlterBrokerConfigs(within(t), []kadm.AlterConfig{set(key, value)}, 1)
		if err != nil {
			t.Fatal(err)
		}
		return r[0].Err
	}
	if err := alter("advertised.listeners", "PLAINTEXT://localhost:"+port); err != nil {
		t.Fatal(err)
	}
	eventually(t, "metadata with the new address", func() bool {
		brokers, err := admin.ListBrokers(within(t))
		return err == nil && len(brokers) == 1 && brokers[0].Host == "localhost"
	})
	if err := alter("listeners", "PLAINTEXT://127.0.0.1:1"); err == nil {
		t.Error("another port was accepted, though nobody listens there")
	}
}
