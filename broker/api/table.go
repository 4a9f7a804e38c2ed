package api

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/kraal-mq/kraal/broker/transport"
)

// entry is one API this broker serves: the versions it advertises and who answers.
type entry struct {
	key, lowest, highest int16
	serve                func(h *Handler, ctx context.Context, r *transport.Request) transport.Reply
}

// table is the only list of what is served. Ranges are those of Kafka 3.9 in ZooKeeper mode (ApiVersionsResponse.java for the
// listener type ZK_BROKER). What is not here is not advertised.
var table = []entry{
	{0, 0, 11, produce},
	{1, 0, 17, fetch},
	{2, 0, 9, plain(listOffsets)},
	{3, 0, 12, plain(metadataRequest)},
	{4, 0, 7, plain(leaderAndISR)},
	{5, 0, 4, plain(stopReplica)},
	{6, 0, 8, plain(updateMetadata)},
	{7, 0, 3, plain(controlledShutdown)},
	{8, 0, 9, plain(offsetCommit)},
	{9, 0, 9, plain(offsetFetch)},
	{10, 0, 6, plain(findCoordinator)},
	{11, 0, 9, parked(joinGroup)},
	{12, 0, 4, plain(heartbeat)},
	{13, 0, 5, plain(leaveGroup)},
	{14, 0, 5, parked(syncGroup)},
	{15, 0, 5, plain(describeGroups)},
	{16, 0, 5, plain(listGroups)},
	{18, 0, 4, apiVersions},
	{19, 0, 7, plain(createTopics)},
	{20, 0, 6, plain(deleteTopics)},
	{21, 0, 2, plain(deleteRecords)},
	{22, 0, 5, plain(initProducerID)},
	{23, 0, 4, plain(offsetForLeaderEpoch)},
	{24, 0, 5, plain(addPartitionsToTxn)},
	{25, 0, 4, plain(addOffsetsToTxn)},
	{26, 0, 4, plain(endTxn)},
	{27, 0, 1, writeTxnMarkers},
	{28, 0, 4, plain(txnOffsetCommit)},
	{32, 0, 4, plain(describeConfigs)},
	{33, 0, 2, plain(alterConfigs)},
	{34, 0, 2, plain(alterReplicaLogDirs)},
	{35, 0, 4, plain(describeLogDirs)},
	{37, 0, 3, plain(createPartitions)},
	{42, 0, 2, plain(deleteGroups)},
	{43, 0, 2, plain(electLeaders)},
	{44, 0, 1, plain(incrementalAlterConfigs)},
	{45, 0, 0, plain(alterPartitionReassignments)},
	{46, 0, 0, plain(listPartitionReassignments)},
	{47, 0, 0, plain(offsetDelete)},
	{56, 0, 3, plain(alterPartition)},
	{57, 0, 1, plain(updateFeatures)},
	{60, 0, 1, plain(describeCluster)},
	{61, 0, 0, plain(describeProducers)},
	{65, 0, 0, plain(describeTransactions)},
	{66, 0, 1, plain(listTransactions)},
	{67, 0, 0, plain(allocateProducerIDs)},
}

// call is one request with what its handler needs around it.
type call struct {
	*transport.Request
	ctx context.Context
}

// by says in the log who asked for something.
func (c *call) by() zap.Field {
	return zap.Inline(zapcore.ObjectMarshalerFunc(func(e zapcore.ObjectEncoder) error {
		e.AddString("by", c.Conn.Principal().String())
		e.AddString("client_id", c.Header.ClientID)
		e.AddString("from", c.Conn.RemoteAddr().String())
		return nil
	}))
}

// plain adapts a handler that returns its response, for every API but those that must say more than that.
// A nil response closes the connection without an answer.
func plain[Q kmsg.Request, A kmsg.Response](serve func(*Handler, *call, Q, A) error) func(*Handler, context.Context, *transport.Request) transport.Reply {
	patient := parked(serve)
	return func(h *Handler, ctx context.Context, r *transport.Request) transport.Reply {
		ctx, cancel := context.WithTimeout(ctx, h.patience(r.Body))
		defer cancel()
		return patient(h, ctx, r)
	}
}

// parked is plain for requests that wait for what other clients do, for as long as they please.
func parked[Q kmsg.Request, A kmsg.Response](serve func(*Handler, *call, Q, A) error) func(*Handler, context.Context, *transport.Request) transport.Reply {
	return func(h *Handler, ctx context.Context, r *transport.Request) transport.Reply {
		req, ok := r.Body.(Q)
		if !ok {
			return transport.Reply{Close: true}
		}
		resp := req.ResponseKind().(A)
		if err := serve(h, &call{Request: r, ctx: ctx}, req, resp); err != nil {
			h.logClose(r, err)
			return transport.Reply{Close: true}
		}
		return transport.Reply{Body: resp}
	}
}

// patience is how long a request may take at most: what the client allows for its own waiting, and request.timeout.ms on top for a
// ZooKeeper that does not answer.
func (h *Handler) patience(req kmsg.Request) time.Duration {
	limit := h.Config.Current().Broker.RequestTimeout
	if r, ok := req.(kmsg.TimeoutRequest); ok && r.Timeout() > 0 {
		limit += time.Duration(r.Timeout()) * time.Millisecond
	}
	return limit
}
