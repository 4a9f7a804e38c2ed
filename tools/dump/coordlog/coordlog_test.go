package coordlog

import (
	"encoding/base64"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func ptr(s string) *string { return &s }

// The expected texts were printed by the tools of Apache Kafka 3.9.1 for records of these contents.
func TestOffsets(t *testing.T) {
	key := (&kmsg.OffsetCommitKey{Version: 1, Group: "g1", Topic: "lines", Partition: 0}).AppendTo(nil)
	value := (&kmsg.OffsetCommitValue{Version: 3, Offset: 3, CommitTimestamp: 1795367411580}).AppendTo(nil)
	noEpoch := (&kmsg.OffsetCommitValue{Version: 3, Offset: 2, LeaderEpoch: -1, CommitTimestamp: 1795367405883}).AppendTo(nil)

	text, ok, err := FormatOffsets(key, value)
	same(t, ok, true)
	same(t, err, nil)
	same(t, text, `{"key":{"version":1,"data":{"group":"g1","topic":"lines","partition":0}},"value":{"version":3,"data":{"offset":3,"leaderEpoch":0,"metadata":"","commitTimestamp":1795367411580}}}`)

	k, v, _ := DumpOffsets(7, key, value)
	same(t, k, `{"type":"1","data":{"group":"g1","topic":"lines","partition":0}}`)
	same(t, v, `{"version":"3","data":{"offset":3,"leaderEpoch":0,"metadata":"","commitTimestamp":1795367411580}}`)
	_, v, _ = DumpOffsets(7, key, nil)
	same(t, v, "<DELETE>")

	text, _, _ = LegacyOffsets(key, noEpoch)
	same(t, text, "[g1,lines,0]::OffsetAndMetadata(offset=2, leaderEpoch=Optional.empty, metadata=, commitTimestamp=1795367405883, expireTimestamp=None)")
	text, _, _ = LegacyOffsets(key, value)
	same(t, text, "[g1,lines,0]::OffsetAndMetadata(offset=3, leaderEpoch=Optional[0], metadata=, commitTimestamp=1795367411580, expireTimestamp=None)")
	text, _, _ = LegacyOffsets(key, nil)
	same(t, text, "[g1,lines,0]::NULL")

	expiring := (&kmsg.OffsetCommitValue{Version: 1, Offset: 2, Metadata: `a "b"`, CommitTimestamp: 5, ExpireTimestamp: 9}).AppendTo(nil)
	_, v, _ = DumpOffsets(7, key, expiring)
	same(t, v, `{"version":"1","data":{"offset":2,"metadata":"a \"b\"","commitTimestamp":5,"expireTimestamp":9}}`)
	text, _, _ = LegacyOffsets(key, expiring)
	same(t, text, `[g1,lines,0]::OffsetAndMetadata(offset=2, leaderEpoch=Optional.empty, metadata=a "b", commitTimestamp=5, expireTimestamp=Some(9))`)
}

func TestGroupMetadata(t *testing.T) {
	key := (&kmsg.GroupMetadataKey{Version: 2, Group: "console-consumer-57462"}).AppendTo(nil)
	subscription, _ := base64.StdEncoding.DecodeString("AAMAAAABAAVsaW5lc/////8AAAAA////////")
	assignment, _ := base64.StdEncoding.DecodeString("AAMAAAABAAVsaW5lcwAAAAEAAAAA/////w==")
	const member = "console-consumer-1fbf9a21-7794-4ffb-8edd-39d172c1ed08"
	value := (&kmsg.GroupMetadataValue{Version: 3, ProtocolType: "consumer", Generation: 1, Protocol: ptr("range"), Leader: ptr(member),
		CurrentStateTimestamp: 1795367372163, Members: []kmsg.GroupMetadataValueMember{{MemberID: member, ClientID: "console-consumer",
			ClientHost: "/127.0.0.1", RebalanceTimeoutMillis: 300000, SessionTimeoutMillis: 45000, Subscription: subscription, Assignment: assignment}}}).AppendTo(nil)

	text, ok, err := FormatGroupMetadata(key, value)
	same(t, ok, true)
	same(t, err, nil)
	same(t, text, `{"key":{"version":2,"data":{"group":"console-consumer-57462"}},"value":{"version":3,"data":{"protocolType":"consumer","generation":1,"protocol":"range","leader":"console-consumer-1fbf9a21-7794-4ffb-8edd-39d172c1ed08","currentStateTimestamp":1795367372163,"members":[{"memberId":"console-consumer-1fbf9a21-7794-4ffb-8edd-39d172c1ed08","groupInstanceId":null,"clientId":"console-consumer","clientHost":"/127.0.0.1","rebalanceTimeout":300000,"sessionTimeout":45000,"subscription":"AAMAAAABAAVsaW5lc/////8AAAAA////////","assignment":"AAMAAAABAAVsaW5lcwAAAAEAAAAA/////w=="}]}}}`)

	_, v, _ := DumpOffsets(0, key, value)
	same(t, v, `{"version":"3","data":{"protocolType":"consumer","generation":1,"protocol":"range","leader":"console-consumer-1fbf9a21-7794-4ffb-8edd-39d172c1ed08","currentStateTimestamp":1795367372163,"members":[{"memberId":"console-consumer-1fbf9a21-7794-4ffb-8edd-39d172c1ed08","groupInstanceId":null,"clientId":"console-consumer","clientHost":"/127.0.0.1","rebalanceTimeout":300000,"sessionTimeout":45000,"subscription":{"topics":["lines"],"userData":null,"ownedPartitions":[],"generationId":-1,"rackId":null},"assignment":{"assignedPartitions":[{"topic":"lines","partitions":[0]}],"userData":null}}]}}`)

	text, _, _ = LegacyGroupMetadata(key, value)
	same(t, text, "console-consumer-57462::GroupMetadata(groupId=console-consumer-57462, generation=1, protocolType=Some(consumer), currentState=Stable, members=HashMap(console-consumer-1fbf9a21-7794-4ffb-8edd-39d172c1ed08 -> MemberMetadata(memberId=console-consumer-1fbf9a21-7794-4ffb-8edd-39d172c1ed08, groupInstanceId=None, clientId=console-consumer, clientHost=/127.0.0.1, sessionTimeoutMs=45000, rebalanceTimeoutMs=300000, supportedProtocols=List(range))))")

	// an offset commit is none of this formatter's business, a type of a later Kafka is named
	_, ok, _ = FormatGroupMetadata((&kmsg.OffsetCommitKey{Version: 1}).AppendTo(nil), nil)
	same(t, ok, false)
	text, _, _ = FormatGroupMetadata([]byte{0, 9}, []byte{0, 9, 1})
	same(t, text, `{"key":{"version":9,"data":"unknown"},"value":{"version":9,"data":"unknown"}}`)
	k, _, has := DumpOffsets(3, []byte{0, 9}, nil)
	same(t, k, "Unknown record type 9 at offset 3, skipping.")
	same(t, has, false)
}

func TestTransactions(t *testing.T) {
	key := (&kmsg.TxnMetadataKey{TransactionalID: "tx1"}).AppendTo(nil)
	value := (&kmsg.TxnMetadataValue{ProducerID: 2, TimeoutMillis: 60000, State: 1, LastUpdateTimestamp: 1795366517606, StartTimestamp: 1795366517600,
		PreviousProducerID: -1, NextProducerID: -1, NextProducerEpoch: -1,
		Topics: []kmsg.TxnMetadataValueTopic{{Topic: "orders", Partitions: []int32{0}}}}).AppendTo(nil)

	k, v, _, err := DumpTransactions(key, value)
	same(t, err, nil)
	same(t, k, "transaction_metadata::transactionalId=tx1")
	same(t, v, "producerId:2,producerEpoch:0,state=Ongoing,partitions=[orders-0],txnLastUpdateTimestamp=1795366517606,txnTimeoutMs=60000")
	_, v, _, _ = DumpTransactions(key, nil)
	same(t, v, "<DELETE>")
	k, _, _, _ = DumpTransactions([]byte{0, 2}, nil)
	same(t, k, "unknown::version=2")

	text, _, _ := FormatTransactions(key, value)
	same(t, text, `{"key":{"version":0,"data":{"transactionalId":"tx1"}},"value":{"version":0,"data":{"producerId":2,"producerEpoch":0,"transactionTimeoutMs":60000,"transactionStatus":1,"transactionPartitions":[{"topic":"orders","partitionIds":[0]}],"transactionLastUpdateTimestampMs":1795366517606,"transactionStartTimestampMs":1795366517600}}}`)
	text, _, _ = LegacyTransactions(key, nil)
	same(t, text, "tx1::NULL")
}

func TestStringsAreEscapedAsJacksonDoes(t *testing.T) {
	same(t, quoted("a\x00\x1f\"\\/<>&é\u2028\xff\n\t"), "\"a\\u0000\\u001F\\\"\\\\/<>&é\u2028\ufffd\\n\\t\"")
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte{0, 1, 0, 1, 'g', 0, 1, 't', 0, 0, 0, 0}, []byte{0, 3})
	f.Add([]byte{0, 2, 0, 1, 'g'}, []byte{0, 3, 0, 8, 'c', 'o', 'n', 's', 'u', 'm', 'e', 'r'})
	f.Add([]byte{0, 0, 0, 1, 't'}, []byte{0, 0})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if len(value) > 1 && value[1] >= 4 {
			t.Skip("flexible versions may count four billion tags")
		}
		DumpOffsets(1, key, value)
		FormatOffsets(key, value)
		FormatGroupMetadata(key, value)
		LegacyOffsets(key, value)
		LegacyGroupMetadata(key, value)
	})
}

func same[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
