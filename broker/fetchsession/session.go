package fetchsession

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Partition is one partition to read.
type Partition struct {
	Topic     string       // empty if the id could not be resolved: answer UNKNOWN_TOPIC_ID
	TopicID   meta.TopicID // zero below version 13
	Partition int32

	FetchOffset        int64
	LogStartOffset     int64 // of the follower; -1 from consumers
	MaxBytes           int32
	CurrentLeaderEpoch meta.LeaderEpoch // meta.NoLeaderEpoch: not given
	LastFetchedEpoch   meta.LeaderEpoch // meta.NoLeaderEpoch: not given
}

// Result is what came of reading a partition, as far as a session cares.
type Result struct {
	Code           wire.Code
	HighWatermark  int64
	LogStartOffset int64
	RecordBytes    int
	Diverging      bool // a diverging epoch is told
	PreferredRead  bool // a preferred read replica is told
}

// Fetch is one fetch request in the light of its session. Not for use by several goroutines.
type Fetch struct{}

// Partitions returns what to read, in the order to read it. The slice is valid until Finish, Throttled or Drop.
func (f *Fetch) Partitions() []Partition { return nil }

// Incremental reports whether the response may leave out partitions.
func (f *Fetch) Incremental() bool { return false }

// Finish takes the results, one per partition and in that order, and brings the session up to date. The response
// carries the session id, the code, and those partitions for which include is true; if the code is not None, none.
// The slice include is valid until the next Begin of the session.
func (f *Fetch) Finish(results []Result) (sessionID int32, include []bool, code wire.Code) {
	return 0, nil, 0
}

// Throttled ends the fetch without touching the session's partitions: an empty response with the session id and code
// returned is sent.
func (f *Fetch) Throttled() (sessionID int32, code wire.Code) { return 0, 0 }

// Drop ends the fetch when no response will be sent at all.
func (f *Fetch) Drop() {}

// Begin finds or makes the session of a request. resolve gives the name of a topic id; it is used from version 13. privileged
// is true for a follower that may act as one (CLUSTER_ACTION). If the code is not None the response is empty, with
// session id 0 and that code, and there is no Fetch.
func (c *Cache) Begin(req *kmsg.FetchRequest, privileged bool, resolve func(meta.TopicID) (string, bool)) (*Fetch, wire.Code) {
	return nil, 0
}
