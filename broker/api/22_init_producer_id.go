package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/txn"
	"github.com/kraal-mq/kraal/broker/wire"
)

// InitProducerId, versions 0 to 5: without a transactional id for any broker, else for its coordinator.
//
//	2 flexible
//	3 the producer's present id and epoch (KIP-360)
//	4 PRODUCER_FENCED (KIP-588)
//	5 TRANSACTION_ABORTABLE (KIP-890)

func initProducerID(h *Handler, c *call, req *kmsg.InitProducerIDRequest, resp *kmsg.InitProducerIDResponse) error {
	id, epoch, code := h.producerID(c, req)
	if code != wire.None {
		id, epoch = -1, -1
	}
	resp.ErrorCode, resp.ProducerID, resp.ProducerEpoch = int16(fencedBefore(4, req.Version, code)), id, epoch
	return nil
}

func (h *Handler) producerID(c *call, req *kmsg.InitProducerIDRequest) (id int64, epoch int16, code wire.Code) {
	switch {
	case req.TransactionalID != nil && !h.allowed(c.Conn, acl.Write, acl.TransactionalID, *req.TransactionalID):
		return -1, -1, wire.ErrTransactionalIDAuthorizationFailed
	case req.TransactionalID == nil && !h.clusterAllowed(c.Conn, acl.IdempotentWrite) && !h.writesSomewhere(c):
		return -1, -1, wire.ErrClusterAuthorizationFailed
	case req.Version >= 3 && (req.ProducerID == -1) != (req.ProducerEpoch == -1):
		return -1, -1, wire.ErrInvalidRequest
	}
	var err error
	if req.TransactionalID == nil {
		id, err = h.IDs.NextProducerID(c.ctx)
		return id, 0, h.code(err)
	}
	r := txn.InitRequest{TransactionalID: *req.TransactionalID, TimeoutMs: req.TransactionTimeoutMillis, ProducerID: -1, ProducerEpoch: -1}
	if req.Version >= 3 {
		r.ProducerID, r.ProducerEpoch = req.ProducerID, req.ProducerEpoch
	}
	id, epoch, err = h.Txns.InitProducerID(c.ctx, r)
	return id, epoch, h.code(err)
}

func (h *Handler) writesSomewhere(c *call) bool {
	return h.Authorizer == nil || h.Authorizer.AllowedOnAny(c.Conn, acl.Write, acl.Topic)
}

// fencedBefore replaces PRODUCER_FENCED below the version of an API that introduced it.
func fencedBefore(introduced, version int16, code wire.Code) wire.Code {
	if code == wire.ErrProducerFenced && version < introduced {
		return wire.ErrInvalidProducerEpoch
	}
	return code
}
