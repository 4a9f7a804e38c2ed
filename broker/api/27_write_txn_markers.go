package api

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/replica"
	"github.com/kraal-mq/kraal/broker/transport"
	"github.com/kraal-mq/kraal/broker/txn"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// WriteTxnMarkers, versions 0 and 1, from transaction coordinators, and from administrators who abort hanging transactions (KIP-664).
//
//	1 flexible

func writeTxnMarkers(h *Handler, ctx context.Context, r *transport.Request) transport.Reply {
	req, ok := r.Body.(*kmsg.WriteTxnMarkersRequest)
	if !ok || ctx.Err() != nil {
		// A coordinator that has gone may have sent the markers again, on another connection. If these came last, they
		// might end the producer's next transaction.
		return transport.Reply{Close: true}
	}
	var batches []txn.MarkerBatch
	for _, m := range req.Markers {
		b := txn.MarkerBatch{Marker: txn.Marker{ProducerID: m.ProducerID, ProducerEpoch: m.ProducerEpoch, Committed: m.Committed, CoordinatorEpoch: m.CoordinatorEpoch}}
		for _, t := range m.Topics {
			for _, p := range t.Partitions {
				b.Partitions = append(b.Partitions, meta.TopicPartition{Topic: t.Topic, Partition: p})
			}
		}
		batches = append(batches, b)
	}
	if !h.clusterAllowed(r.Conn, acl.ClusterAction) && !h.clusterAllowed(r.Conn, acl.Alter) {
		w := &marking{h: h}
		w.refuse(batches, wire.ErrClusterAuthorizationFailed)
		return transport.Reply{Body: markersAnswer(req, batches, w.codes)}
	}
	// What replicates slowly must not hold up what other transactions ask after it on the same connection.
	w := h.writeMarkers(batches)
	return transport.Reply{Wait: func(ctx context.Context) transport.Reply {
		w.await(ctx)
		return transport.Reply{Body: markersAnswer(req, batches, w.codes)}
	}}
}

func markersAnswer(req *kmsg.WriteTxnMarkersRequest, batches []txn.MarkerBatch, codes [][]wire.Code) *kmsg.WriteTxnMarkersResponse {
	resp := req.ResponseKind().(*kmsg.WriteTxnMarkersResponse)
	for i, b := range batches {
		rm := kmsg.NewWriteTxnMarkersResponseMarker()
		rm.ProducerID = b.ProducerID
		at := make(map[string]int)
		for j, tp := range b.Partitions {
			n, seen := at[tp.Topic]
			if !seen {
				n = len(rm.Topics)
				at[tp.Topic] = n
				t := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
				t.Topic = tp.Topic
				rm.Topics = append(rm.Topics, t)
			}
			p := kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition()
			p.Partition, p.ErrorCode = tp.Partition, int16(codes[i][j])
			rm.Topics[n].Partitions = append(rm.Topics[n].Partitions, p)
		}
		resp.Markers = append(resp.Markers, rm)
	}
	return resp
}

// WriteMarkers writes markers into partitions this broker leads, and returns when they are on all in-sync replicas, or why not.
func (h *Handler) WriteMarkers(ctx context.Context, batches []txn.MarkerBatch) [][]wire.Code {
	w := h.writeMarkers(batches)
	w.await(ctx)
	return w.codes
}

// marking is markers that were appended and are being replicated.
type marking struct {
	h     *Handler
	codes [][]wire.Code // as the partitions of the batches
	waits []*replica.Pending
	wrote []wroteMarker // as waits
}

type wroteMarker struct {
	code *wire.Code

	applied, ended <-chan struct{} // see Placement.Marked
}

func (w *marking) refuse(batches []txn.MarkerBatch, code wire.Code) {
	w.codes = make([][]wire.Code, len(batches))
	for i, b := range batches {
		w.codes[i] = make([]wire.Code, len(b.Partitions))
		for j := range b.Partitions {
			w.codes[i][j] = code
		}
	}
}

func (h *Handler) writeMarkers(batches []txn.MarkerBatch) *marking {
	w := &marking{h: h}
	w.refuse(batches, wire.None)
	for i, b := range batches {
		for j, tp := range b.Partitions {
			w.write(b.Marker, tp, &w.codes[i][j])
		}
	}
	return w
}

func (w *marking) write(m txn.Marker, tp meta.TopicPartition, code *wire.Code) {
	if !w.h.Replicas.Hosts(tp) {
		*code = wire.ErrUnknownTopicOrPartition
		return
	}
	marker := record.EndTxnMarker{Type: record.ControlAbort, CoordinatorEpoch: m.CoordinatorEpoch}
	if m.Committed {
		marker.Type = record.ControlCommit
	}
	buf, err := record.AppendEndTxn(nil, marker, m.ProducerID, m.ProducerEpoch, time.Now().UnixMilli())
	if err != nil {
		*code = w.h.code(err)
		return
	}
	a := w.h.Replicas.Append(replica.AppendRequest{Partition: tp, Records: buf, Acks: replica.AcksAll, Origin: record.OriginCoordinator})
	if a.Err != nil {
		*code = w.h.code(a.Err)
		return
	}
	w.waits = append(w.waits, a.Pending())
	applied, ended := w.h.Placement.Marked(tp, a.FirstOffset, m.ProducerID, m.ProducerEpoch, m.Committed)
	w.wrote = append(w.wrote, wroteMarker{code, applied, ended})
}

// await waits until the markers are on all in-sync replicas, and those who coordinate over the partitions know: what a producer
// does in its next transaction must not be taken for part of this one.
func (w *marking) await(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, w.h.Config.Current().Broker.RequestTimeout)
	defer cancel()
	w.h.Replicas.Await(ctx, longWait, w.waits)
	for i, m := range w.wrote {
		if err := w.waits[i].Err; err != nil {
			*m.code = w.h.code(err)
			continue
		}
		if m.applied == nil {
			continue
		}
		select {
		case <-m.applied:
		case <-m.ended:
			*m.code = wire.ErrNotLeaderOrFollower
		case <-ctx.Done():
			*m.code = wire.ErrRequestTimedOut
		}
	}
}

// longWait is for waits that end with their ctx.
const longWait = time.Hour
