package broker

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/peer"
	"github.com/kraal-mq/kraal/broker/replica"
	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// replicaLink carries a fetcher's requests to the broker it copies from, on a connection of its own: a long poll holds up what
// is behind it. Versions go by inter.broker.protocol.version, not by what the other side offers, as in Kafka. It
// implements [replica.Leader].
type replicaLink struct {
	self     meta.BrokerID
	leader   meta.BrokerID
	listener string // whose address to connect to, as of the metadata of the moment
	protocol config.Version
	metadata *metadata.Cache
	pool     *peer.Pool
}

// follow makes the link of one fetcher.
func (b *Broker) follow(leader meta.BrokerID, fetcher int) replica.Leader {
	cfg := b.dynamic.Current()
	return &replicaLink{
		self: b.id, leader: leader, listener: cfg.InterBrokerListener, protocol: cfg.Broker.InterBrokerProtocol, metadata: b.meta,
		pool: peer.New(peer.Options{
			ClientID:       fmt.Sprintf("broker-%d-fetcher-%d", b.id, fetcher),
			Listener:       cfg.InterBrokerListener,
			RequestTimeout: cfg.Replica.SocketTimeout,
			ConnectTimeout: cfg.Socket.ConnectionSetupTimeout, ConnectTimeoutMax: cfg.Socket.ConnectionSetupTimeoutMax,
			MaxResponseBytes: math.MaxInt32, // replica.fetch.response.max.bytes is no limit for a single batch
			ReceiveBuffer:    int(cfg.Replica.SocketReceiveBufferBytes),
			Logger:           b.o.Logging.Logger("replica").WithOptions(zap.IncreaseLevel(zap.WarnLevel)), // the fetcher says it once
		}),
	}
}

// lateTransactionMargin is how much longer than allowed a transaction may be open before it counts as late (ProducerStateManager.java).
const lateTransactionMargin = 5 * time.Minute

// replicaConfig is what the replica manager goes by.
func replicaConfig(cfg *config.Config) replica.Config {
	ibp := cfg.Broker.InterBrokerProtocol
	return replica.Config{
		ReplicaLagTimeMax:               cfg.Replica.LagTimeMax,
		HighWatermarkCheckpointInterval: cfg.Replica.HighWatermarkCheckpointInterval,
		RackAwareReads:                  cfg.Replica.SelectorClass == rackAwareSelector,
		Fetchers:                        int(cfg.Replica.Fetchers),
		FetchWaitMax:                    cfg.Replica.FetchWaitMax,
		FetchMinBytes:                   int(cfg.Replica.FetchMinBytes),
		FetchMaxBytes:                   int(cfg.Replica.FetchMaxBytes),
		FetchResponseMaxBytes:           int(cfg.Replica.FetchResponseMaxBytes),
		FetchBackoff:                    cfg.Replica.FetchBackoff,
		Movers:                          int(cfg.Replica.AlterLogDirsThreads),
		Backing:                         max(4*cfg.Replica.FetchWaitMax, 2*time.Second), // a few fetches that bring nothing
		LateTransaction:                 cfg.Txn.MaxTimeout + lateTransactionMargin,
		Protocol: replica.Protocol{
			EpochLookup:     ibp >= config.V0_11_0_IV2,
			FetchSessions:   ibp >= config.V1_1_IV0,
			TruncateOnFetch: ibp >= config.V2_7_IV1,
		},
	}
}

// Close implements [replica.Leader].
func (l *replicaLink) Close() { _ = l.pool.Close() }

func (l *replicaLink) addr() (string, error) {
	e, ok := l.metadata.Load().Endpoint(l.leader, l.listener)
	if !ok {
		return "", fmt.Errorf("broker %d has no known address on listener %s", l.leader, l.listener)
	}
	return e.Addr(), nil
}

// Fetch implements [replica.Leader].
func (l *replicaLink) Fetch(ctx context.Context, q *replica.FetchQuery) (*replica.FetchReply, error) {
	addr, err := l.addr()
	if err != nil {
		return nil, err
	}
	answer, free, err := l.pool.RequestPooled(ctx, addr, l.fetchRequest(q))
	if err != nil {
		return nil, err
	}
	resp, ok := answer.(*kmsg.FetchResponse)
	if !ok {
		free()
		return nil, fmt.Errorf("fetch was answered with %T", answer)
	}
	if err := leaderError(resp.ErrorCode); err != nil {
		free()
		return nil, err
	}
	reply := fetchReply(resp)
	reply.Free = free
	return reply, nil
}

func (l *replicaLink) fetchRequest(q *replica.FetchQuery) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version = fetchVersion(l.protocol)
	if !q.ByID {
		req.Version = min(req.Version, 12) // the last one that names topics
	}
	if req.Version >= 15 {
		req.ReplicaState.ID, req.ReplicaState.Epoch = int32(l.self), int64(q.BrokerEpoch)
	} else {
		req.ReplicaID = int32(l.self)
	}
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(q.MaxWait.Milliseconds()), int32(q.MinBytes), int32(q.MaxBytes)
	req.SessionID, req.SessionEpoch = q.SessionID, q.SessionEpoch
	for i := range q.Partitions {
		p := &q.Partitions[i]
		part := kmsg.NewFetchRequestTopicPartition()
		part.Partition, part.FetchOffset, part.LogStartOffset = p.Partition.Partition, p.Offset, p.LogStart
		part.CurrentLeaderEpoch, part.LastFetchedEpoch = int32(p.CurrentLeaderEpoch), int32(p.LastFetchedEpoch)
		part.PartitionMaxBytes = int32(p.MaxBytes)
		last := len(req.Topics) - 1
		if last < 0 || req.Topics[last].Topic != p.Partition.Topic {
			topic := kmsg.NewFetchRequestTopic()
			topic.Topic, topic.TopicID = p.Partition.Topic, p.TopicID
			req.Topics = append(req.Topics, topic)
			last++
		}
		req.Topics[last].Partitions = append(req.Topics[last].Partitions, part)
	}
	for _, p := range q.Forgotten {
		last := len(req.ForgottenTopics) - 1
		if last < 0 || req.ForgottenTopics[last].Topic != p.Partition.Topic {
			topic := kmsg.NewFetchRequestForgottenTopic()
			topic.Topic, topic.TopicID = p.Partition.Topic, p.TopicID
			req.ForgottenTopics = append(req.ForgottenTopics, topic)
			last++
		}
		req.ForgottenTopics[last].Partitions = append(req.ForgottenTopics[last].Partitions, p.Partition.Partition)
	}
	return req
}

func fetchReply(resp *kmsg.FetchResponse) *replica.FetchReply {
	reply := &replica.FetchReply{SessionID: resp.SessionID}
	for i := range resp.Topics {
		topic := &resp.Topics[i]
		for j := range topic.Partitions {
			p := &topic.Partitions[j]
			part := replica.ReplyPartition{
				Topic: topic.Topic, TopicID: topic.TopicID, Partition: p.Partition, Err: leaderError(p.ErrorCode),
				HighWatermark: p.HighWatermark, LogStartOffset: p.LogStartOffset, Records: p.RecordBatches,
			}
			if p.DivergingEpoch.Epoch >= 0 {
				part.Diverging = &replica.Divergence{Epoch: meta.LeaderEpoch(p.DivergingEpoch.Epoch), EndOffset: p.DivergingEpoch.EndOffset}
			}
			reply.Partitions = append(reply.Partitions, part)
		}
	}
	return reply
}

// Offsets implements [replica.Leader].
func (l *replicaLink) Offsets(ctx context.Context, which int64, asks []replica.EpochAsk) ([]replica.OffsetReply, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = listOffsetsVersion(l.protocol), int32(l.self)
	for _, a := range asks {
		last := len(req.Topics) - 1
		if last < 0 || req.Topics[last].Topic != a.Partition.Topic {
			topic := kmsg.NewListOffsetsRequestTopic()
			topic.Topic = a.Partition.Topic
			req.Topics = append(req.Topics, topic)
			last++
		}
		part := kmsg.NewListOffsetsRequestTopicPartition()
		part.Partition, part.CurrentLeaderEpoch, part.Timestamp = a.Partition.Partition, int32(a.CurrentLeaderEpoch), which
		req.Topics[last].Partitions = append(req.Topics[last].Partitions, part)
	}
	answer, err := l.ask(ctx, req)
	if err != nil {
		return nil, err
	}
	resp, ok := answer.(*kmsg.ListOffsetsResponse)
	if !ok {
		return nil, fmt.Errorf("ListOffsets was answered with %T", answer)
	}
	found := make(map[meta.TopicPartition]replica.OffsetReply, len(asks))
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			found[meta.TopicPartition{Topic: t.Topic, Partition: p.Partition}] = replica.OffsetReply{Err: leaderError(p.ErrorCode), Offset: p.Offset}
		}
	}
	return inOrder(asks, found, "ListOffsets")
}

// EpochEnds implements [replica.Leader].
func (l *replicaLink) EpochEnds(ctx context.Context, asks []replica.EpochAsk) ([]replica.EpochReply, error) {
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.Version = offsetForLeaderEpochVersion(l.protocol)
	if req.Version >= 3 {
		req.ReplicaID = int32(l.self)
	}
	for _, a := range asks {
		last := len(req.Topics) - 1
		if last < 0 || req.Topics[last].Topic != a.Partition.Topic {
			topic := kmsg.NewOffsetForLeaderEpochRequestTopic()
			topic.Topic = a.Partition.Topic
			req.Topics = append(req.Topics, topic)
			last++
		}
		part := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		part.Partition, part.CurrentLeaderEpoch, part.LeaderEpoch = a.Partition.Partition, int32(a.CurrentLeaderEpoch), int32(a.Epoch)
		req.Topics[last].Partitions = append(req.Topics[last].Partitions, part)
	}
	answer, err := l.ask(ctx, req)
	if err != nil {
		return nil, err
	}
	resp, ok := answer.(*kmsg.OffsetForLeaderEpochResponse)
	if !ok {
		return nil, fmt.Errorf("OffsetForLeaderEpoch was answered with %T", answer)
	}
	found := make(map[meta.TopicPartition]replica.EpochReply, len(asks))
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			found[meta.TopicPartition{Topic: t.Topic, Partition: p.Partition}] = replica.EpochReply{Err: leaderError(p.ErrorCode),
				Divergence: replica.Divergence{Epoch: meta.LeaderEpoch(p.LeaderEpoch), EndOffset: p.EndOffset}}
		}
	}
	return inOrder(asks, found, "OffsetForLeaderEpoch")
}

func (l *replicaLink) ask(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	addr, err := l.addr()
	if err != nil {
		return nil, err
	}
	return l.pool.Request(ctx, addr, req)
}

// inOrder puts answers in the order of the questions.
func inOrder[R any](asks []replica.EpochAsk, found map[meta.TopicPartition]R, api string) ([]R, error) {
	replies := make([]R, len(asks))
	for i, a := range asks {
		r, ok := found[a.Partition]
		if !ok {
			return nil, fmt.Errorf("the answer to %s leaves out %s", api, a.Partition)
		}
		replies[i] = r
	}
	return replies, nil
}

// leaderError turns an error code into what a follower tells apart; the others stay codes.
func leaderError(code int16) error {
	switch c := wire.Code(code); c {
	case wire.None:
		return nil
	case wire.ErrOffsetOutOfRange:
		return storage.ErrOffsetOutOfRange
	case wire.ErrNotLeaderOrFollower:
		return replica.ErrNotLeader
	case wire.ErrUnknownTopicOrPartition:
		return replica.ErrUnknownPartition
	case wire.ErrFencedLeaderEpoch:
		return replica.ErrFencedLeaderEpoch
	case wire.ErrUnknownLeaderEpoch:
		return replica.ErrUnknownLeaderEpoch
	case wire.ErrUnknownTopicID:
		return replica.ErrUnknownTopicID
	case wire.ErrInconsistentTopicID:
		return replica.ErrInconsistentTopicID
	case wire.ErrFetchSessionIDNotFound:
		return replica.ErrFetchSessionUnknown
	case wire.ErrInvalidFetchSessionEpoch, wire.ErrFetchSessionTopicID:
		return replica.ErrFetchSession
	default:
		return c
	}
}

// since names the first inter-broker protocol with a request version.
type since struct {
	protocol config.Version
	version  int16
}

// versionAt picks from a list, newest first; older protocols get the last entry.
func versionAt(protocol config.Version, versions []since) int16 {
	for _, s := range versions {
		if protocol >= s.protocol {
			return s.version
		}
	}
	return versions[len(versions)-1].version
}

// The lists are those of Kafka's MetadataVersion.java. Fetch versions below 4 would have records converted to formats that
// are not stored here.

func fetchVersion(p config.Version) int16 {
	return versionAt(p, []since{{config.V3_9_IV0, 17}, {config.V3_7_IV4, 16}, {config.V3_5_IV1, 15}, {config.V3_5_IV0, 14}, {config.V3_1_IV0, 13},
		{config.V2_7_IV1, 12}, {config.V2_3_IV1, 11}, {config.V2_1_IV2, 10}, {config.V2_0_IV1, 8}, {config.V1_1_IV0, 7}, {config.V0_11_0_IV1, 5}, {0, 4}})
}

func listOffsetsVersion(p config.Version) int16 {
	return versionAt(p, []since{{config.V3_9_IV0, 9}, {config.V3_5_IV0, 8}, {config.V3_0_IV1, 7}, {config.V2_8_IV0, 6}, {config.V2_2_IV1, 5},
		{config.V2_1_IV1, 4}, {config.V2_0_IV1, 3}, {config.V0_11_0_IV0, 2}, {0, 1}})
}

func offsetForLeaderEpochVersion(p config.Version) int16 {
	return versionAt(p, []since{{config.V2_8_IV0, 4}, {config.V2_3_IV1, 3}, {config.V2_1_IV1, 2}, {config.V2_0_IV0, 1}, {0, 0}})
}
