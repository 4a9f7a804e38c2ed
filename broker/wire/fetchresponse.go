package wire

// FetchResponse is the answer to a fetch, versions 0 to 17, whose records need not be in memory.
// It encodes to the same bytes as kmsg.FetchResponse would.
type FetchResponse struct {
	Version        int16
	ThrottleMillis int32 // v1+
	Code           Code  // v7+; earlier versions have no place for it
	SessionID      int32 // v7+
	Topics         []FetchTopic

	// Nodes are the endpoints of the leaders that partitions name in CurrentLeader (v16+, KIP-951).
	Nodes []FetchNode
}

// FetchTopic is one topic of a fetch response: named up to version 12, by id from 13.
type FetchTopic struct {
	Topic      string
	TopicID    [16]byte
	Partitions []FetchPartition
}

// FetchPartition is the answer for one partition. Make it with [NewFetchPartition]: absent is -1 in several fields.
type FetchPartition struct {
	Partition            int32
	Code                 Code
	HighWatermark        int64                // -1: unknown, as with every error
	LastStableOffset     int64                // v4+
	LogStartOffset       int64                // v5+
	AbortedTransactions  []AbortedTransaction // v4+; nil is null: the fetch was read_uncommitted
	PreferredReadReplica int32                // v11+; -1: stay here
	Diverging            *EpochEndOffset      // v12+; nil: the logs agree
	CurrentLeader        *LeaderIDAndEpoch    // v12+; nil: not said
	Records              Section              // nil: none
	NullRecords          bool                 // with Records nil: null, not empty, as Kafka answers when it cannot convert
}

// AbortedTransaction tells a read_committed consumer which records to drop.
type AbortedTransaction struct {
	ProducerID  int64
	FirstOffset int64
}

// EpochEndOffset is where a follower's log departs from the leader's (KIP-595).
type EpochEndOffset struct {
	Epoch     int32
	EndOffset int64
}

// LeaderIDAndEpoch names the leader of a partition (KIP-951).
type LeaderIDAndEpoch struct {
	LeaderID    int32
	LeaderEpoch int32
}

// FetchNode is the address of a broker.
type FetchNode struct {
	ID   int32
	Host string
	Port int32
	Rack *string
}

// NewFetchPartition returns an answer for a partition with every offset unknown: complete for an error, to be
// filled in otherwise.
func NewFetchPartition(partition int32, code Code) FetchPartition {
	return FetchPartition{
		Partition:            partition,
		Code:                 code,
		HighWatermark:        -1,
		LastStableOffset:     -1,
		LogStartOffset:       -1,
		PreferredReadReplica: -1,
	}
}
