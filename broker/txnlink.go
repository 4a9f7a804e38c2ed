package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/peer"
	"github.com/kraal-mq/kraal/broker/txn"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// txnLink carries what the transaction coordinator and the verifier of transactional produces ask of brokers, this one or
// others. It implements txn.Sender and txn.Asker.
type txnLink struct {
	b *Broker
	// local writes markers into partitions that this broker leads.
	local interface {
		WriteMarkers(ctx context.Context, batches []txn.MarkerBatch) [][]wire.Code
	}
	// Connections of their own, since an answer that takes time holds up what is behind it.
	markers, verifications *peer.Pool
}

func newTxnLink(b *Broker) *txnLink {
	cfg := b.dynamic.Current()
	pool := func(clientID string) *peer.Pool {
		// A marker that arrives after another was taken in its place might end the producer's next transaction.
		return peer.New(peer.Options{DropUnsent: true, ClientID: clientID, Listener: cfg.InterBrokerListener, RequestTimeout: cfg.Broker.RequestTimeout,
			ConnectTimeout: cfg.Socket.ConnectionSetupTimeout, ConnectTimeoutMax: cfg.Socket.ConnectionSetupTimeoutMax, Logger: b.o.Logging.Logger("peer")})
	}
	return &txnLink{b: b, markers: pool(fmt.Sprintf("broker-%d-txn-marker-sender", b.id)), verifications: pool(fmt.Sprintf("AddPartitionsManager-client-%d", b.id))}
}

func (l *txnLink) close() {
	l.markers.Close()
	l.verifications.Close()
}

// newTxns makes the transaction coordinator and what asks it.
func (b *Broker) newTxns(l *txnLink) (*txn.Coordinator, *txn.Verifier) {
	cfg := b.dynamic.Current()
	c := txn.New(txn.Options{
		Config: txn.Config{
			MaxTimeout: cfg.Txn.MaxTimeout, IDExpiration: cfg.Txn.TransactionalIDExpiration,
			AbortInterval: cfg.Txn.AbortTimedOutCleanupInterval, RemoveInterval: cfg.Txn.RemoveExpiredCleanupInterval,
			LoadBufferBytes: int(cfg.Txn.LoadBufferSize), AppendTimeout: cfg.Broker.RequestTimeout,
			MaxBatchBytes: b.maxMessageBytes(txnTopic),
		},
		Journal: journal{hosts: b.hosts}, Partitions: b.coords.topics[txnTopic].partitionsOf,
		IDs: b.link, Sender: l, Fleet: b.meta, Exists: b.partitionExists, Logger: b.o.Logging.Logger("txn"), Metrics: b.o.Metrics,
	})
	return c, txn.NewVerifier(b.id, c, b.meta, l, cfg.Broker.RequestTimeout)
}

// maxMessageBytes is the size of the largest batch that a topic takes.
func (b *Broker) maxMessageBytes(topic string) func() int {
	return func() int { return int(b.topics.logConfig(topic).MaxMessageBytes) }
}

// partitionExists asks ZooKeeper.
func (b *Broker) partitionExists(ctx context.Context, tp meta.TopicPartition) (bool, error) {
	a, err := b.life.store().Topic(ctx, tp.Topic)
	if errors.Is(err, zkstore.ErrNoNode) {
		return false, nil
	}
	_, exists := a.Partitions[tp.Partition]
	return exists, err
}

// WriteMarkers implements txn.Sender.
func (l *txnLink) WriteMarkers(ctx context.Context, to meta.BrokerID, batches []txn.MarkerBatch) ([][]wire.Code, error) {
	if to == l.b.id {
		return l.local.WriteMarkers(ctx, batches), nil
	}
	broker, ok := l.b.meta.Load().Broker(to)
	if !ok {
		return nil, fmt.Errorf("broker %d is not alive", to)
	}
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	if l.b.dynamic.Current().Broker.InterBrokerProtocol >= config.V2_8_IV0 {
		req.Version = 1
	}
	for _, b := range batches {
		m := kmsg.NewWriteTxnMarkersRequestMarker()
		m.ProducerID, m.ProducerEpoch, m.Committed, m.CoordinatorEpoch = b.ProducerID, b.ProducerEpoch, b.Committed, b.CoordinatorEpoch
		for _, tp := range b.Partitions { // sorted
			if n := len(m.Topics); n == 0 || m.Topics[n-1].Topic != tp.Topic {
				t := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
				t.Topic = tp.Topic
				m.Topics = append(m.Topics, t)
			}
			last := &m.Topics[len(m.Topics)-1]
			last.Partitions = append(last.Partitions, tp.Partition)
		}
		req.Markers = append(req.Markers, m)
	}
	answer, err := l.markers.Send(ctx, broker, req)
	if err != nil {
		return nil, err
	}
	resp, ok := answer.(*kmsg.WriteTxnMarkersResponse)
	if !ok {
		return nil, fmt.Errorf("WriteTxnMarkers was answered with %T", answer)
	}
	return markerCodes(batches, resp), nil
}

// markerCodes puts an answer into the order of what was asked. What is left out is to be asked again.
func markerCodes(batches []txn.MarkerBatch, resp *kmsg.WriteTxnMarkersResponse) [][]wire.Code {
	type key struct {
		id int64
		tp meta.TopicPartition
	}
	answered := make(map[key]wire.Code)
	for _, m := range resp.Markers {
		for _, t := range m.Topics {
			for _, p := range t.Partitions {
				answered[key{m.ProducerID, meta.TopicPartition{Topic: t.Topic, Partition: p.Partition}}] = wire.Code(p.ErrorCode)
			}
		}
	}
	codes := make([][]wire.Code, len(batches))
	for i, b := range batches {
		for _, tp := range b.Partitions {
			code, ok := answered[key{b.ProducerID, tp}]
			if !ok {
				code = wire.ErrRequestTimedOut
			}
			codes[i] = append(codes[i], code)
		}
	}
	return codes
}

// VerifyPartitions implements txn.Asker.
func (l *txnLink) VerifyPartitions(ctx context.Context, at meta.BrokerID, questions []txn.Verification) ([][]wire.Code, error) {
	broker, ok := l.b.meta.Load().Broker(at)
	if !ok {
		return nil, wire.ErrCoordinatorNotAvailable
	}
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	version, err := l.b.link.negotiate(ctx, broker, req.Key(), 5)
	if err != nil {
		return nil, err
	}
	if version < 4 {
		return nil, wire.ErrUnsupportedVersion
	}
	req.Version = version
	for _, q := range questions {
		rt := kmsg.NewAddPartitionsToTxnRequestTransaction()
		rt.TransactionalID, rt.ProducerID, rt.ProducerEpoch, rt.VerifyOnly = q.Producer.TransactionalID, q.Producer.ID, q.Producer.Epoch, true
		at := make(map[string]int)
		for _, tp := range q.Partitions {
			n, seen := at[tp.Topic]
			if !seen {
				n = len(rt.Topics)
				at[tp.Topic] = n
				t := kmsg.NewAddPartitionsToTxnRequestTransactionTopic()
				t.Topic = tp.Topic
				rt.Topics = append(rt.Topics, t)
			}
			rt.Topics[n].Partitions = append(rt.Topics[n].Partitions, tp.Partition)
		}
		req.Transactions = append(req.Transactions, rt)
	}
	answer, err := l.verifications.Send(ctx, broker, req)
	if err != nil {
		l.b.link.versions.Delete(at) // it may come back as another release
		return nil, err
	}
	resp, ok := answer.(*kmsg.AddPartitionsToTxnResponse)
	if !ok {
		return nil, fmt.Errorf("AddPartitionsToTxn was answered with %T", answer)
	}
	if code := wire.Code(resp.ErrorCode); code != wire.None {
		return nil, code
	}
	return verifyCodes(questions, resp), nil
}

// verifyCodes puts an answer into the order of what was asked. What is left out counts as not answered.
func verifyCodes(questions []txn.Verification, resp *kmsg.AddPartitionsToTxnResponse) [][]wire.Code {
	type key struct {
		id string
		tp meta.TopicPartition
	}
	answered := make(map[key]wire.Code)
	for _, rt := range resp.Transactions {
		for _, t := range rt.Topics {
			for _, p := range t.Partitions {
				answered[key{rt.TransactionalID, meta.TopicPartition{Topic: t.Topic, Partition: p.Partition}}] = wire.Code(p.ErrorCode)
			}
		}
	}
	codes := make([][]wire.Code, len(questions))
	for i, q := range questions {
		for _, tp := range q.Partitions {
			code, ok := answered[key{q.Producer.TransactionalID, tp}]
			if !ok {
				code = wire.ErrNetwork
			}
			codes[i] = append(codes[i], code)
		}
	}
	return codes
}
