package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/wire"
)

// InitProducerId, versions 0 to 5, for any broker.
//
//	2 flexible
//	3 the producer's present id and epoch (KIP-360)
//	4 PRODUCER_FENCED
//	5 TRANSACTION_ABORTABLE (KIP-890)

func initProducerID(h *Handler, c *call, req *kmsg.InitProducerIDRequest, resp *kmsg.InitProducerIDResponse) error {
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	id, code := h.producerID(c, req)
	resp.ErrorCode = int16(code)
	if code == wire.None {
		resp.ProducerID, resp.ProducerEpoch = id, 0
	}
	return nil
}

func (h *Handler) producerID(c *call, req *kmsg.InitProducerIDRequest) (int64, wire.Code) {
	switch {
	case req.TransactionalID != nil && !h.allowed(c.Conn, acl.Write, acl.TransactionalID, *req.TransactionalID):
		return -1, wire.ErrTransactionalIDAuthorizationFailed
	case req.TransactionalID == nil && !h.clusterAllowed(c.Conn, acl.IdempotentWrite) && !h.writesSomewhere(c):
		return -1, wire.ErrClusterAuthorizationFailed
	case req.Version >= 3 && (req.ProducerID == -1) != (req.ProducerEpoch == -1):
		return -1, wire.ErrInvalidRequest
	case req.TransactionalID != nil && *req.TransactionalID == "":
		return -1, wire.ErrInvalidRequest
	case req.TransactionalID != nil:
		// Nobody coordinates transactions here yet, so the right broker is still to be found.
		return -1, wire.ErrCoordinatorNotAvailable
	}
	id, err := h.IDs.NextProducerID(c.ctx)
	return id, h.code(err)
}

func (h *Handler) writesSomewhere(c *call) bool {
	return h.Authorizer == nil || h.Authorizer.AllowedOnAny(c.Conn, acl.Write, acl.Topic)
}
