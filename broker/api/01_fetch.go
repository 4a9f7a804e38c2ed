package api

import (
	"context"
	"errors"
	"math"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/fetchsession"
	"github.com/kraal-mq/kraal/broker/replica"
	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/broker/transport"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Fetch, versions 0 to 17.
//
//	 1 throttle time
//	 2 records of magic 1
//	 3 limit for the whole response; the order of partitions counts
//	 4 isolation level, aborted transactions, records of magic 2
//	 5 log start offset
//	 7 fetch sessions (KIP-227)
//	 9 current leader epoch (KIP-320)
//	10 zstd
//	11 rack of the consumer, preferred read replica (KIP-392)
//	12 flexible; last fetched epoch and diverging epoch (KIP-595)
//	13 topic ids (KIP-516)
//	15 replica epoch
//	16 addresses of leaders (KIP-951)
//	17 id of the replica's directory (KIP-858), of no use with ZooKeeper
//
// Records go out as they lie in the file; only versions below 4 make us rewrite them, see downconvert.go.

// fetching is one fetch request on its way.
type fetching struct {
	h       *Handler
	r       *transport.Request
	req     *kmsg.FetchRequest
	session *fetchsession.Fetch
	params  replica.FetchParams

	// What is read, and the places of what is not because it was refused.
	parts   []fetchsession.Partition
	reads   []replica.FetchPartition
	index   []int // of reads in parts
	refused []wire.Code
}

func fetch(h *Handler, ctx context.Context, r *transport.Request) transport.Reply {
	req, ok := r.Body.(*kmsg.FetchRequest)
	if !ok {
		return transport.Reply{Close: true}
	}
	f := fetching{h: h, r: r, req: req}
	f.setParams()
	fromReplica := f.params.Replica >= 0
	privileged := fromReplica && h.clusterAllowed(r.Conn, acl.ClusterAction)
	if code := f.begin(privileged); code != wire.None {
		return transport.Reply{Body: &wire.FetchResponse{Version: req.Version, Code: code}}
	}
	if watch, ok := f.session.Watched().(*replica.FetchWatch); ok {
		body := f.poll(ctx, watch)
		r.Waited = f.params.Waited
		return transport.Reply{Body: body}
	}
	f.plan(ctx, fromReplica && !privileged)
	fetched := h.Replicas.Fetch(ctx, &f.params, f.reads)
	r.Waited = f.params.Waited
	return transport.Reply{Body: f.respond(fetched)}
}

func (f *fetching) setParams() {
	q := f.req
	f.params = replica.FetchParams{
		Replica:      meta.BrokerID(q.ReplicaID),
		ReplicaEpoch: meta.NoBrokerEpoch,
		MaxWait:      time.Duration(max(0, q.MaxWaitMillis)) * time.Millisecond,
		MinBytes:     int(q.MinBytes),
		MaxBytes:     math.MaxInt32,
		Isolation:    replica.Isolation(q.IsolationLevel),
		WholeBatch:   q.Version >= 3,
		FromFollower: q.Version >= 11,
		Rack:         q.Rack,
	}
	if q.Version >= 15 {
		f.params.Replica, f.params.ReplicaEpoch = meta.BrokerID(q.ReplicaState.ID), meta.BrokerEpoch(q.ReplicaState.Epoch)
	}
	if q.Version >= 3 {
		f.params.MaxBytes = int(max(0, q.MaxBytes))
	}
	if f.params.Replica < 0 {
		f.params.MaxBytes = min(f.params.MaxBytes, int(f.h.Config.Current().Fetch.MaxBytes))
	}
}

// plan decides which of the session's partitions are read. unauthorized is a follower that may not act as one.
func (f *fetching) plan(ctx context.Context, unauthorized bool) {
	f.parts = f.session.Partitions()
	f.refused = make([]wire.Code, len(f.parts))
	f.reads = make([]replica.FetchPartition, 0, len(f.parts))
	f.index = make([]int, 0, len(f.parts))
	for i := range f.parts {
		p := &f.parts[i]
		if f.refused[i] = f.refusal(ctx, p, unauthorized); f.refused[i] != wire.None {
			continue
		}
		f.reads = append(f.reads, readOf(p))
		f.index = append(f.index, i)
	}
}

func (f *fetching) refusal(ctx context.Context, p *fetchsession.Partition, unauthorized bool) wire.Code {
	fromReplica := f.params.Replica >= 0
	switch {
	case unauthorized:
		return wire.ErrTopicAuthorizationFailed
	case p.Topic == "":
		return f.h.unknownTopicID(ctx)
	case !fromReplica && !f.h.topicAllowed(f.r.Conn, acl.Read, p.Topic):
		return wire.ErrTopicAuthorizationFailed
	case f.h.Metadata.Load().Partition(p.Topic, p.Partition) == nil:
		return f.h.unknownPartition(ctx, p.Topic, p.Partition)
	}
	return wire.None
}

// respond makes the response and hands the open file slices over to it.
func (f *fetching) respond(fetched []replica.Fetched) *wire.FetchResponse {
	answers := make([]wire.FetchPartition, len(f.parts))
	results := make([]fetchsession.Result, len(f.parts))
	for i := range f.parts {
		if f.refused[i] != wire.None {
			answers[i] = wire.NewFetchPartition(f.parts[i].Partition, f.refused[i])
			answers[i].AbortedTransactions = noneAborted
			results[i] = result(&answers[i])
		}
	}
	for i := range fetched {
		at := f.index[i]
		answers[at] = f.answer(&f.parts[at], &fetched[i])
		results[at] = result(&answers[at])
	}
	resp := &wire.FetchResponse{Version: f.req.Version}
	var include []bool
	resp.SessionID, include, resp.Code = f.session.Finish(results)
	f.compose(resp, answers, include)
	f.session.Release()
	return resp
}

// compose puts those of the answers to f.parts into the response that are to be included; the others are let go.
func (f *fetching) compose(resp *wire.FetchResponse, answers []wire.FetchPartition, include []bool) {
	for i := range answers {
		if resp.Code != wire.None || !include[i] {
			if s := answers[i].Records; s != nil {
				s.Release()
			}
			continue
		}
		f.add(resp, &f.parts[i], answers[i])
		f.nameLeader(resp, &answers[i])
	}
}

// add puts an answer under its topic. Sessions keep the partitions of a topic together where they can.
func (f *fetching) add(resp *wire.FetchResponse, p *fetchsession.Partition, answer wire.FetchPartition) {
	last := len(resp.Topics) - 1
	if last < 0 || resp.Topics[last].Topic != p.Topic || resp.Topics[last].TopicID != p.TopicID {
		resp.Topics = append(resp.Topics, wire.FetchTopic{Topic: p.Topic, TopicID: p.TopicID})
		last++
	}
	resp.Topics[last].Partitions = append(resp.Topics[last].Partitions, answer)
}

func result(a *wire.FetchPartition) fetchsession.Result {
	r := fetchsession.Result{Code: a.Code, HighWatermark: a.HighWatermark, LogStartOffset: a.LogStartOffset,
		Diverging: a.Diverging != nil, PreferredRead: a.PreferredReadReplica >= 0}
	if a.Records != nil {
		r.RecordBytes = a.Records.Len()
	}
	return r
}

func (f *fetching) answer(p *fetchsession.Partition, r *replica.Fetched) wire.FetchPartition {
	m := f.h.Replicas.TopicMetrics(p.Topic)
	m.Count(replica.FetchRequests, 1)
	if r.Err != nil {
		a := f.failure(p, r.Err)
		if !isExpectedOfFetch(a.Code) {
			m.Count(replica.FetchesFailed, 1)
		}
		return a
	}
	a := wire.NewFetchPartition(p.Partition, wire.None)
	a.HighWatermark, a.LastStableOffset, a.LogStartOffset = r.HighWatermark, r.LastStableOffset, r.LogStartOffset
	a.PreferredReadReplica = int32(r.PreferredReplica)
	if r.Diverging != nil {
		a.Diverging = &wire.EpochEndOffset{Epoch: int32(r.Diverging.Epoch), EndOffset: r.Diverging.EndOffset}
	}
	if r.Aborted != nil {
		a.AbortedTransactions = make([]wire.AbortedTransaction, len(r.Aborted))
		for i, t := range r.Aborted {
			a.AbortedTransactions[i] = wire.AbortedTransaction{ProducerID: t.ProducerID, FirstOffset: t.FirstOffset}
		}
	}
	if !r.HasData {
		return a
	}
	if code := f.setRecords(p, r, &a); code != wire.None {
		if code != wire.ErrUnsupportedCompressionType {
			m.Count(replica.FetchesFailed, 1)
		}
		return unreadable(p.Partition, code)
	}
	m.CountSent(r, a.Records.Len(), f.params.Replica >= 0)
	if f.params.Replica >= 0 {
		f.h.Replicas.CountSent(p.Topic, p.Partition, a.Records.Len())
	}
	return a
}

// isExpectedOfFetch is true for the errors that clients and followers know what to do about.
func isExpectedOfFetch(code wire.Code) bool {
	switch code {
	case wire.ErrUnknownTopicOrPartition, wire.ErrNotLeaderOrFollower, wire.ErrUnknownLeaderEpoch, wire.ErrFencedLeaderEpoch,
		wire.ErrReplicaNotAvailable, wire.ErrKafkaStorage, wire.ErrInconsistentTopicID, wire.ErrOffsetOutOfRange:
		return true
	}
	return false
}

// noneAborted goes with the errors that are found before the log is looked at, or after: an empty list where errors of the log have
// null, as Kafka has it.
var noneAborted = []wire.AbortedTransaction{}

// unreadable is the answer for records that the client's version cannot be given.
func unreadable(partition int32, code wire.Code) wire.FetchPartition {
	a := wire.NewFetchPartition(partition, code)
	a.AbortedTransactions, a.NullRecords = noneAborted, true
	return a
}

func (f *fetching) failure(p *fetchsession.Partition, err error) wire.FetchPartition {
	code := f.h.code(err)
	if code == wire.ErrKafkaStorage && f.req.Version < 6 {
		code = wire.ErrNotLeaderOrFollower
	}
	a := wire.NewFetchPartition(p.Partition, code)
	var leader *replica.LeaderError
	if f.req.Version >= 16 && errors.As(err, &leader) {
		a.CurrentLeader = &wire.LeaderIDAndEpoch{LeaderID: int32(leader.Leader), LeaderEpoch: int32(leader.LeaderEpoch)}
	}
	return a
}

func (f *fetching) nameLeader(resp *wire.FetchResponse, a *wire.FetchPartition) {
	if a.CurrentLeader == nil {
		return
	}
	id := a.CurrentLeader.LeaderID
	for _, n := range resp.Nodes {
		if n.ID == id {
			return
		}
	}
	if e, ok := f.h.Metadata.Load().Endpoint(meta.BrokerID(id), f.r.Conn.Listener()); ok {
		resp.Nodes = append(resp.Nodes, wire.FetchNode{ID: id, Host: e.Host, Port: e.Port, Rack: f.h.rack(meta.BrokerID(id))})
	}
}

// setRecords gives an answer its records: the file's own bytes, unless the client is too old for them.
func (f *fetching) setRecords(p *fetchsession.Partition, r *replica.Fetched, a *wire.FetchPartition) wire.Code {
	switch {
	case f.req.Version < 10 && f.h.storesZstd(p.Topic):
		r.Release()
		return wire.ErrUnsupportedCompressionType
	case f.req.Version < 4 && !r.DownConversion:
		r.Release()
		return wire.ErrUnsupportedVersion
	case f.req.Version < 4 && r.Bytes() > 0:
		records, code := f.downConvert(p, r)
		r.Release()
		a.Records = wire.Bytes(records)
		return code
	}
	a.Records = fileSection{r.Data.Slice}
	r.HasData = false // the response releases it
	return wire.None
}

// fileSection lets transport send a piece of a log by sendfile. It implements [wire.Section].
type fileSection struct{ slice storage.FileSlice }

func (s fileSection) Len() int                                { return s.slice.Len }
func (s fileSection) ReadAt(p []byte, off int64) (int, error) { return s.slice.ReadAt(p, off) }
func (s fileSection) Release()                                { s.slice.Release() }

func (s fileSection) File() (syscall.Conn, int64) {
	if f := s.slice.OS(); f != nil {
		return f, s.slice.Pos
	}
	return nil, 0
}
