package txn

import (
	"encoding/hex"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The bytes are those of Kafka (TransactionLogKey.json, TransactionLogValue.json).
var recordBytes = []struct {
	key, value string
	status
}{
	{"0000 0003747831", "0000 00000000000003e8 0000 0000ea60 00 ffffffff 0000018bcfe56800 ffffffffffffffff",
		status{state: Empty, producerID: 1000, timeoutMs: 60000, updatedMs: 1700000000000, startMs: -1, lastProducerID: -1, lastProducerEpoch: -1}},
	{"0000 0003747831", "0000 00000000000003e8 0000 0000ea60 01 00000001 00027431 00000001 00000000 0000018bcfe569f4 0000018bcfe569f4",
		status{state: Ongoing, producerID: 1000, timeoutMs: 60000, updatedMs: 1700000000500, startMs: 1700000000500, lastProducerID: -1, lastProducerEpoch: -1}},
	{"0000 0003747831", "0000 00000000000003e8 0002 0000ea60 04 00000000 0000018bcfe569f4 0000018bcfe569f4",
		status{state: CompleteCommit, producerID: 1000, producerEpoch: 2, timeoutMs: 60000, updatedMs: 1700000000500, startMs: 1700000000500, lastProducerID: -1, lastProducerEpoch: -1}},
}

func TestRecords(t *testing.T) {
	for _, c := range recordBytes {
		want := c.status
		if want.state == Ongoing {
			want.partitions = partitionSet{}
			want.partitions[tp("t1", 0)] = struct{}{}
		}
		r := want.record("tx1")
		if got, w := hex.EncodeToString(r.Key), hex.EncodeToString(unhex(t, c.key)); got != w {
			t.Errorf("%s: key %s, want %s", want.state, got, w)
		}
		if got, w := hex.EncodeToString(r.Value), hex.EncodeToString(unhex(t, c.value)); got != w {
			t.Errorf("%s: value\n%s, want\n%s", want.state, got, w)
		}
		id, err := decodeKey(r.Key)
		if err != nil || id != "tx1" {
			t.Errorf("key: %q, %v", id, err)
		}
		got, err := decodeValue(r.Value)
		if err != nil || !same(got, want) {
			t.Errorf("%s: decoded %+v, %v", want.state, got, err)
		}
	}
}

func same(a, b status) bool {
	parts := maps.Equal(a.partitions, b.partitions)
	return parts && a.state == b.state && a.producerID == b.producerID && a.producerEpoch == b.producerEpoch && a.timeoutMs == b.timeoutMs &&
		a.startMs == b.startMs && a.updatedMs == b.updatedMs && a.lastProducerID == b.lastProducerID && a.lastProducerEpoch == b.lastProducerEpoch
}

// Version 1, with and without tags, is what brokers with transaction.version 1 or 2 write.
func TestFlexibleRecords(t *testing.T) {
	v := kmsg.NewTxnMetadataValue()
	v.Version, v.ProducerID, v.ProducerEpoch, v.TimeoutMillis, v.State = 1, 1000, 3, 60000, kmsg.TransactionStateOngoing
	v.LastUpdateTimestamp, v.StartTimestamp = 20, 10
	topic := kmsg.NewTxnMetadataValueTopic()
	topic.Topic, topic.Partitions = "t1", []int32{0, 4}
	v.Topics = append(v.Topics, topic)
	want := status{state: Ongoing, producerID: 1000, producerEpoch: 3, timeoutMs: 60000, startMs: 10, updatedMs: 20, lastProducerID: -1, lastProducerEpoch: -1}
	want.partitions = partitionSet{tp("t1", 0): {}, tp("t1", 4): {}}
	for _, previous := range []int64{-1, 900} {
		v.PreviousProducerID = previous
		if got, err := decodeValue(v.AppendTo(nil)); err != nil || !same(got, want) {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

func TestUnreadableRecords(t *testing.T) {
	for _, c := range []struct {
		key     string
		unknown bool
	}{{"", true}, {"00", true}, {"0001 0003747831", true}, {"ffff 0003747831", true}, {"0000", false}, {"0000 0005747831", false}} {
		if id, err := decodeKey(unhex(t, c.key)); err == nil || errors.Is(err, errUnknownRecord) != c.unknown {
			t.Errorf("key %s: %q, %v", c.key, id, err)
		}
	}
	for _, c := range []string{"", "00", "0002 00000000000003e8 0000 0000ea60 00 ffffffff 0000018bcfe56800 ffffffffffffffff",
		"0000 00000000000003e8 0000 0000ea60 06 ffffffff 0000018bcfe56800 ffffffffffffffff", // Dead is never written
		"0000 00000000000003e8 0000 0000ea60 ff ffffffff 0000018bcfe56800 ffffffffffffffff",
		"0000 00000000000003e8 0000 0000ea60 01 7fffffff", "0000 00000000000003e8 0000 0000ea60"} {
		if s, err := decodeValue(unhex(t, c)); err == nil {
			t.Errorf("value %s: %+v", c, s)
		}
	}
}

func FuzzRecords(f *testing.F) {
	for _, c := range recordBytes {
		f.Add(unhex(f, c.key), unhex(f, c.value))
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if id, err := decodeKey(key); err == nil && string(encodeKey(id)) != string(key) && len(encodeKey(id)) > len(key) {
			t.Errorf("key %x is read as %q", key, id)
		}
		s, err := decodeValue(value)
		if err != nil {
			return
		}
		again, err := decodeValue(s.record("id").Value)
		if s.state == Empty {
			s.partitions = nil // not written
		}
		if err != nil || !same(again, s) {
			t.Errorf("%+v, written and read again: %+v, %v", s, again, err)
		}
	})
}
