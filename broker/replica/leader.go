package replica

import (
	"context"
	"errors"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Leader is a broker that this one copies partitions from. One fetcher calls its methods, one at a time; each waits for the
// answer. An error returned means that nothing was learned; what concerns one partition is in the answers.
type Leader interface {
	// Fetch reads records. ErrFetchSession means that the leader wants a new session, ErrFetchSessionUnknown that it has
	// dropped the old one.
	Fetch(ctx context.Context, q *FetchQuery) (*FetchReply, error)
	// Offsets asks for the log start offset (Earliest) or the log end offset (Latest) of partitions. Answers are in order.
	Offsets(ctx context.Context, which int64, asks []EpochAsk) ([]OffsetReply, error)
	// EpochEnds asks for the end of each partition's epoch, as Manager.EndOfEpoch answers it. Answers are in order.
	EpochEnds(ctx context.Context, asks []EpochAsk) ([]EpochReply, error)
	// Close ends the connection.
	Close()
}

var (
	// ErrFetchSession: the leader does not go on with the fetch session; a new one has to be opened.
	ErrFetchSession = errors.New("fetch session is out of step")
	// ErrFetchSessionUnknown: the leader has forgotten the fetch session; a new one has to be opened.
	ErrFetchSessionUnknown = errors.New("fetch session is unknown")
	// ErrUnknownTopicID: the leader has not heard of the topic's id yet.
	ErrUnknownTopicID = errors.New("unknown topic id")
)

// FetchQuery is a follower's fetch.
type FetchQuery struct {
	BrokerEpoch  meta.BrokerEpoch // of the follower
	SessionID    int32
	SessionEpoch int32
	// ByID: every partition has a topic id, so that topics are named by id where the protocol version allows.
	ByID bool
	// Partitions are all that are wanted, or, in a session, those that are new or whose entry changed.
	Partitions []FetchPartition
	// Forgotten are partitions of the session that are not wanted any more.
	Forgotten []ForgottenPartition
	MaxWait   time.Duration
	MinBytes  int
	MaxBytes  int
}

// ForgottenPartition leaves a fetch session.
type ForgottenPartition struct {
	Partition meta.TopicPartition
	TopicID   meta.TopicID
}

// FetchReply is what came of a FetchQuery. In a session it holds only partitions with something to tell.
type FetchReply struct {
	SessionID  int32 // 0: there is no session
	Partitions []ReplyPartition
	// Free, if not nil, gives back the buffer that the records lie in. They must not be used afterwards.
	Free func()
}

// ReplyPartition is one partition of a FetchReply. The topic has its id in answers to a FetchQuery.ByID, else its name, or both.
type ReplyPartition struct {
	Topic          string
	TopicID        meta.TopicID
	Partition      int32
	Err            error
	HighWatermark  int64
	LogStartOffset int64
	Diverging      *Divergence // set: the logs do not fit, nothing else is to be used
	Records        []byte      // on loan until FetchReply.Free
}

// EpochAsk names a partition, the epoch its follower believes in, and, for EpochEnds, the epoch asked about.
type EpochAsk struct {
	Partition          meta.TopicPartition
	CurrentLeaderEpoch meta.LeaderEpoch
	Epoch              meta.LeaderEpoch
}

// OffsetReply answers an EpochAsk of Offsets.
type OffsetReply struct {
	Err    error
	Offset int64
}

// EpochReply answers an EpochAsk of EpochEnds.
type EpochReply struct {
	Err error
	Divergence
}
