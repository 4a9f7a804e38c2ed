package meta

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// BrokerID is broker.id: who a broker is, for as long as its log directories live.
type BrokerID int32

// NoBroker stands where no broker does: no leader, no controller, an ordinary client as replica id.
const NoBroker BrokerID = -1

// LeaderDuringDelete is what the controller names as leader of a partition that is being deleted.
const LeaderDuringDelete BrokerID = -2

// LeaderEpoch counts the leaderships of one partition. It never goes back.
type LeaderEpoch int32

// NoLeaderEpoch means the sender knew no epoch, or that no leader was ever elected.
const NoLeaderEpoch LeaderEpoch = -1

// PartitionEpoch is the ZooKeeper version of a partition's state znode.
type PartitionEpoch int32

// BrokerEpoch is the czxid of a broker's registration: it tells two lives of one broker id apart.
type BrokerEpoch int64

// NoBrokerEpoch means the sender knew no broker epoch; it is never stale.
const NoBrokerEpoch BrokerEpoch = -1

// ControllerEpoch counts controllers: the content of /controller_epoch.
type ControllerEpoch int32

// TopicID is a topic's UUID (KIP-516). The zero value means the topic has none.
type TopicID [16]byte

// NewTopicID returns a random version 4 UUID that, as in Kafka, does not begin with a dash when written as text.
func NewTopicID() TopicID {
	for {
		var id TopicID
		rand.Read(id[:])
		id[6] = id[6]&0x0f | 0x40
		id[8] = id[8]&0x3f | 0x80
		if id.String()[0] != '-' {
			return id
		}
	}
}

// IsZero reports whether the topic has no id.
func (id TopicID) IsZero() bool { return id == TopicID{} }

// String returns the 22 characters of unpadded base64url that znodes, partition.metadata and tools show.
func (id TopicID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// ParseTopicID is the inverse of [TopicID.String].
func ParseTopicID(s string) (TopicID, error) {
	var id TopicID
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil || len(b) != len(id) {
		return TopicID{}, fmt.Errorf("%q is not a topic id (22 characters of base64url)", s)
	}
	copy(id[:], b)
	return id, nil
}

// TopicPartition names one partition of one topic.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// String returns "topic-partition", as log directories and log lines spell it.
func (tp TopicPartition) String() string {
	return tp.Topic + "-" + strconv.Itoa(int(tp.Partition))
}

// Compare orders by topic, then partition.
func (tp TopicPartition) Compare(o TopicPartition) int {
	if c := strings.Compare(tp.Topic, o.Topic); c != 0 {
		return c
	}
	return int(tp.Partition) - int(o.Partition)
}
