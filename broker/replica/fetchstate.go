package replica

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// fetchStage is what a partition's fetcher has to do for it next.
type fetchStage int8

const (
	// fetching: fetch from the log end offset on. Entered when the logs are known to agree, or when the fetch itself will
	// tell; left when the leader says that the offset is out of range.
	fetching fetchStage = iota
	// truncating: cut what the leader may not have, before anything is fetched. Entered on following a leader that is told
	// no epochs in fetches, or with a log that has none; left when the leader's answer, or the high watermark, has been cut to.
	truncating
	// outOfRange: the leader does not have the log end offset. Left when its log start and end are known and adopted.
	outOfRange
)

func (s fetchStage) String() string { return [...]string{"fetching", "truncating", "out of range"}[s] }

// fetchState is one partition being copied in one leader epoch. A new epoch makes a new one, so whoever holds an old one
// finds itself superseded: see [Partition.fetched]. What changes belongs to the goroutine of the fetcher that has it.
type fetchState struct {
	p       *Partition
	log     *storage.Log
	source  meta.BrokerID
	epoch   meta.LeaderEpoch
	topicID meta.TopicID

	stage fetchStage
	// cutTo is the high watermark when truncating began: the offset to cut to where epochs do not help.
	cutTo int64
	// until is when the next attempt is due; zero: now. While it waits the partition is in no fetch.
	until time.Time
	// tries counts errors in a row.
	tries int

	// failed: no fetcher has it any more, because of an error. Read by metrics.
	failed atomic.Bool
	// lag is how far the log end is behind the leader's high watermark; -1 unknown. Read by metrics.
	lag atomic.Int64
}

// newFetchState decides where copying begins. Where fetches carry epochs (KIP-595), a log that has any is fetched from
// its end: if it does not agree with the leader's, the answer says so. Without them everything above the high watermark
// is in doubt, and is cut before it is fetched again.
func newFetchState(p *Partition, log *storage.Log, source meta.BrokerID, epoch meta.LeaderEpoch, topicID meta.TopicID, protocol Protocol) *fetchState {
	s := &fetchState{p: p, log: log, source: source, epoch: epoch, topicID: topicID, cutTo: log.HighWatermark()}
	s.lag.Store(-1)
	if !protocol.TruncateOnFetch || log.LatestEpoch() == meta.NoLeaderEpoch {
		s.stage = truncating
	}
	return s
}

// wish is what to ask the leader for. The position is the log's own end: only what was written counts.
func (s *fetchState) wish(c *Config) FetchPartition {
	q := FetchPartition{
		Partition: s.p.tp, TopicID: s.topicID, Offset: s.log.LogEndOffset(), LogStart: s.log.LogStartOffset(),
		MaxBytes: c.FetchMaxBytes, CurrentLeaderEpoch: s.epoch, LastFetchedEpoch: meta.NoLeaderEpoch,
	}
	if c.Protocol.TruncateOnFetch {
		q.LastFetchedEpoch = s.log.LatestEpoch()
	}
	return q
}

// errSuperseded: the partition is not followed in this epoch, or not by this fetcher, any more.
var errSuperseded = errors.New("no longer followed in this epoch")

// followedLocked returns the log if s is still what the partition follows; mu is held, at least for reading, until what
// is done about it has been done.
func (p *Partition) followedLocked(s *fetchState) (*storage.Log, error) {
	if p.mu.fetch != s || p.mu.role != following {
		return nil, fmt.Errorf("%s: %w", p.tp, errSuperseded)
	}
	return s.log, s.log.Err()
}
