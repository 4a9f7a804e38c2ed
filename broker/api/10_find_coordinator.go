package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// FindCoordinator, versions 0 to 6, for any broker.
//
//	1 key type; throttle time; error message
//	3 flexible
//	4 several keys (KIP-699)
//	5 TRANSACTION_ABORTABLE (KIP-890)
//	6 share groups (KIP-932), which nobody coordinates here

// Key types.
const (
	groupKey int8 = 0
	txnKey   int8 = 1
	shareKey int8 = 2
)

func findCoordinator(h *Handler, c *call, req *kmsg.FindCoordinatorRequest, resp *kmsg.FindCoordinatorResponse) error {
	unknownType := req.CoordinatorType < groupKey || req.CoordinatorType > shareKey
	if req.Version < 4 {
		found, code := h.findOne(c, req, req.CoordinatorKey)
		text := code.Message()
		if code == wire.None {
			text = code.Name()
		}
		resp.ErrorCode, resp.ErrorMessage = int16(code), &text
		resp.NodeID, resp.Host, resp.Port = int32(found.node), found.host, found.port
		return nil
	}
	for _, key := range req.CoordinatorKeys {
		found, code := h.findOne(c, req, key)
		rc := kmsg.NewFindCoordinatorResponseCoordinator()
		rc.Key, rc.ErrorCode, rc.ErrorMessage = key, int16(code), new(string)
		if unknownType {
			*rc.ErrorMessage = code.Message() // Kafka fails the request as a whole, which has its own way of answering
		}
		rc.NodeID, rc.Host, rc.Port = int32(found.node), found.host, found.port
		resp.Coordinators = append(resp.Coordinators, rc)
	}
	return nil
}

type coordinator struct {
	node meta.BrokerID
	host string
	port int32
}

func (h *Handler) findOne(c *call, req *kmsg.FindCoordinatorRequest, key string) (coordinator, wire.Code) {
	nobody := coordinator{node: meta.NoBroker, port: -1}
	var topic string
	switch req.CoordinatorType {
	case groupKey:
		if !h.allowed(c.Conn, acl.Describe, acl.Group, key) {
			return nobody, wire.ErrGroupAuthorizationFailed
		}
		topic = offsetsTopic
	case txnKey:
		if !h.allowed(c.Conn, acl.Describe, acl.TransactionalID, key) {
			return nobody, wire.ErrTransactionalIDAuthorizationFailed
		}
		topic = txnTopic
	case shareKey:
		switch {
		case req.Version < 6:
			return nobody, wire.ErrInvalidRequest
		case !h.clusterAllowed(c.Conn, acl.ClusterAction):
			return nobody, wire.ErrClusterAuthorizationFailed
		}
		return nobody, wire.ErrCoordinatorNotAvailable
	default:
		return nobody, wire.ErrInvalidRequest
	}
	snapshot := h.Metadata.Load()
	if snapshot.Topic(topic) == nil {
		h.Placement.EnsureTopic(topic)
		return nobody, wire.ErrCoordinatorNotAvailable
	}
	number, known := h.Placement.PartitionFor(topic, key)
	p := snapshot.Partition(topic, number)
	if !known || p == nil {
		return nobody, wire.ErrCoordinatorNotAvailable
	}
	e, ok := snapshot.Endpoint(p.Leader, c.Conn.Listener())
	if !ok {
		return nobody, wire.ErrCoordinatorNotAvailable
	}
	return coordinator{p.Leader, e.Host, e.Port}, wire.None
}
