package broker_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// rawTxn speaks the transaction protocol request by request.
type rawTxn struct {
	t     *testing.T
	c     *kgo.Client
	id    string
	pid   int64
	epoch int16
	next  map[int32]int32 // sequence by partition
}

func newRawTxn(t *testing.T, c *kgo.Client, id string) *rawTxn {
	t.Helper()
	r := &rawTxn{t: t, c: c, id: id, next: map[int32]int32{}}
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = &id, 60000, -1, -1
	resp, err := req.RequestWith(within(t), c)
	if err != nil || resp.ErrorCode != 0 {
		t.Fatalf("initialise %s: %v, %v", id, err, kerr.ErrorForCode(resp.ErrorCode))
	}
	r.pid, r.epoch = resp.ProducerID, resp.ProducerEpoch
	return r
}

func (r *rawTxn) add(topic string, partitions ...int32) error {
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = r.id, r.pid, r.epoch
	req.Topics = append(req.Topics, kmsg.AddPartitionsToTxnRequestTopic{Topic: topic, Partitions: partitions})
	resp, err := req.RequestWith(within(r.t), r.c)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}

func (r *rawTxn) end(commit bool) error {
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = r.id, r.pid, r.epoch, commit
	resp, err := req.RequestWith(within(r.t), r.c)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.ErrorCode)
}

// batch is one record, transactional.
func (r *rawTxn) batch(partition int32, value string) []byte {
	b := record.NewBuilder(record.BuilderOptions{Transactional: true, Producer: &record.ProducerInfo{ID: r.pid, Epoch: r.epoch, BaseSequence: r.next[partition]}})
	b.Append(1700000000000, nil, []byte(value))
	batch, err := b.Build()
	if err != nil {
		r.t.Fatal(err)
	}
	return batch
}

// produce sends a batch to the leader as a producer of a version would.
func (r *rawTxn) produce(version int16, id *string, topic string, partition int32, batch []byte) error {
	req := kmsg.NewPtrProduceRequest()
	req.TransactionID, req.Acks, req.TimeoutMillis = id, -1, 10000
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: partition, Records: batch}}}}
	req.Version = version
	leader, err := leaderOf(r.t, r.c, topic, partition)
	if err != nil {
		return err
	}
	answer, err := r.c.Broker(int(leader)).Request(within(r.t), &pinned{req, version})
	if err != nil {
		return err
	}
	rp := answer.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	if rp.ErrorCode == 0 {
		r.next[partition]++
	}
	return kerr.ErrorForCode(rp.ErrorCode)
}

// pinned keeps a request at its version.
type pinned struct {
	*kmsg.ProduceRequest
	version int16
}

func (p *pinned) SetVersion(int16)  { p.ProduceRequest.SetVersion(p.version) }
func (p *pinned) GetVersion() int16 { return p.version }
func (p *pinned) MaxVersion() int16 { return p.version }

func leaderOf(t *testing.T, c *kgo.Client, topic string, partition int32) (int32, error) {
	t.Helper()
	details, err := kadm.NewClient(c).ListTopics(within(t), topic)
	if err != nil {
		return -1, err
	}
	return details[topic].Partitions[partition].Leader, nil
}

// The leader of a partition lets nobody open a transaction there whom the coordinator does not know to have begun one (KIP-890).
// What a producer is told depends on the version of its request.
func TestProduceIsVerified(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	fleet := brokertest.StartFleet(t, zk.Addr(), 2, txnProps("2"))
	c := fleetClient(t, fleet.Addrs())
	createReplicated(t, c, "t", 4, 2)
	for _, id := range []string{"a", "b", "c"} { // coordinated by either broker
		r := newRawTxn(t, c, id)
		if err := r.add("t", 0, 1); err != nil {
			t.Fatal(err)
		}
		unknown := "nobody-" + id
		other := *r
		other.pid += 1_000_000
		old := *r
		old.epoch--
		for _, tc := range []struct {
			what      string
			version   int16
			id        *string
			partition int32
			batch     []byte
			want      error
		}{
			{"added", 11, &id, 0, r.batch(0, "x"), nil},
			{"added, old version", 9, &id, 1, r.batch(1, "x"), nil},
			{"not added", 11, &id, 2, r.batch(2, "x"), kerr.TransactionAbortable},
			{"not added, old version", 10, &id, 2, r.batch(2, "x"), kerr.InvalidTxnState},
			{"not added, older version", 3, &id, 3, r.batch(3, "x"), kerr.InvalidTxnState},
			{"unknown transactional id", 11, &unknown, 2, r.batch(2, "x"), kerr.InvalidProducerIDMapping},
			{"other producer id", 11, &id, 2, other.batch(2, "x"), kerr.InvalidProducerIDMapping},
			{"old epoch", 11, &id, 2, old.batch(2, "x"), kerr.InvalidProducerEpoch},
			{"without transactional id", 11, nil, 2, r.batch(2, "x"), kerr.InvalidTxnState},
		} {
			if err := r.produce(tc.version, tc.id, "t", tc.partition, tc.batch); err != tc.want {
				t.Errorf("%s, %s: %v, want %v", id, tc.what, err, tc.want)
			}
		}
		// Once open, a transaction goes on without questions, until its marker.
		if err := r.produce(11, &id, "t", 0, r.batch(0, "y")); err != nil {
			t.Errorf("%s: a second batch: %v", id, err)
		}
		if err := r.end(false); err != nil {
			t.Errorf("%s: abort: %v", id, err)
		}
		eventually(t, "end of the transaction", func() bool { return describeTxn(t, c, id).State == "CompleteAbort" })
		if err := r.produce(11, &id, "t", 0, r.batch(0, "late")); err != kerr.TransactionAbortable {
			t.Errorf("%s: a batch that comes after the marker: %v", id, err)
		}
	}
	checkSettled(t, c, "t")
	reader := fleetClient(t, fleet.Addrs(), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if got := readSettled(t, reader, "t"); len(got) != 0 {
		t.Errorf("%d records are committed", len(got))
	}
}

// Records of two producers in one request are a mistake that Kafka refuses as a whole.
func TestProduceOfTwoProducers(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	fleet := brokertest.StartFleet(t, zk.Addr(), 1, txnProps("1"))
	c := fleetClient(t, fleet.Addrs())
	createReplicated(t, c, "t", 2, 1)
	a, b := newRawTxn(t, c, "a"), newRawTxn(t, c, "b")
	req := kmsg.NewPtrProduceRequest()
	req.TransactionID, req.Acks, req.TimeoutMillis = &a.id, -1, 10000
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{
		{Partition: 0, Records: a.batch(0, "x")}, {Partition: 1, Records: b.batch(1, "x")}}}}
	resp, err := req.RequestWith(within(t), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range resp.Topics[0].Partitions {
		if err := kerr.ErrorForCode(p.ErrorCode); err != kerr.InvalidProducerIDMapping {
			t.Errorf("partition %d: %v", p.Partition, err)
		}
	}
}

// A fleet without verification takes what is not part of a transaction, which hangs then until an administrator ends it.
func TestHangingTransaction(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	fleet := brokertest.StartFleet(t, zk.Addr(), 2, txnProps("2"))
	c := fleetClient(t, fleet.Addrs())
	adm := kadm.NewClient(c)
	createReplicated(t, c, "t", 1, 2)
	off := "false"
	if _, err := adm.AlterBrokerConfigsState(within(t), []kadm.AlterConfig{{Name: "transaction.partition.verification.enable", Value: &off}}); err != nil {
		t.Fatal(err)
	}
	r := newRawTxn(t, c, "id")
	eventually(t, "unverified produce", func() bool { return r.produce(11, &r.id, "t", 0, r.batch(0, "hanging")) == nil })
	ends, err := adm.ListEndOffsets(within(t), "t")
	if err != nil {
		t.Fatal(err)
	}
	stable, err := adm.ListCommittedOffsets(within(t), "t")
	if err != nil {
		t.Fatal(err)
	}
	if e, s := ends["t"][0].Offset, stable["t"][0].Offset; e != 1 || s != 0 {
		t.Errorf("end %d, last stable offset %d", e, s)
	}
	producers, err := adm.DescribeProducers(within(t), kadm.TopicsSet{"t": {0: {}}})
	if err != nil {
		t.Fatal(err)
	}
	hanging := producers["t"].Partitions[0].ActiveProducers[0]
	if hanging.ProducerID != r.pid || hanging.CurrentTxnStartOffset != 0 {
		t.Errorf("%+v", hanging)
	}
	abort, err := adm.WriteTxnMarkers(within(t), kadm.TxnMarkers{ProducerID: hanging.ProducerID, ProducerEpoch: int16(hanging.ProducerEpoch), Commit: false,
		CoordinatorEpoch: hanging.CoordinatorEpoch, Topics: kadm.TopicsSet{"t": {0: {}}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := abort[hanging.ProducerID].Topics["t"].Partitions[0]; got.Err != nil {
		t.Errorf("abort: %+v", got)
	}
	checkSettled(t, c, "t")
}
