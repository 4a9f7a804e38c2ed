package broker_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/IBM/sarama"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// sarama's transactional producer and read_committed consumers agree with the fleet about what is committed.
func TestSaramaTransactions(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	fleet := brokertest.StartFleet(t, zk.Addr(), 2, txnProps("2"))
	admin := fleetClient(t, fleet.Addrs())
	createReplicated(t, admin, "t", 3, 2)
	cfg := sarama.NewConfig()
	cfg.Version = sarama.V3_6_0_0
	cfg.Producer.Idempotent, cfg.Producer.RequiredAcks, cfg.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
	cfg.Producer.Transaction.ID, cfg.Producer.Return.Successes = "sarama", true
	cfg.Producer.Partitioner = sarama.NewRoundRobinPartitioner
	p, err := sarama.NewSyncProducer(fleet.Addrs(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var want []string
	for round := range 9 {
		if err := p.BeginTxn(); err != nil {
			t.Fatal(err)
		}
		for n := range 5 {
			v := fmt.Sprintf("%d/%d", round, n)
			if _, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: "t", Value: sarama.StringEncoder(v)}); err != nil {
				t.Fatal(err)
			}
			if round%3 != 1 {
				want = append(want, v)
			}
		}
		end := p.CommitTxn
		if round%3 == 1 {
			end = p.AbortTxn
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
	}
	checkSettled(t, admin, "t")
	got := committed(t, fleet.Node(1).Addr(), "t", len(want))
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("committed %v, seen %v", want, got)
	}
}
