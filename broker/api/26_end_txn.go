package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/txn"
	"github.com/kraal-mq/kraal/broker/wire"
)

// EndTxn, versions 0 to 4, for the coordinator of a transactional id. The answer comes when the decision is certain; the markers
// follow.
//
//	2 PRODUCER_FENCED (KIP-588)
//	3 flexible
//	4 TRANSACTION_ABORTABLE (KIP-890)

func endTxn(h *Handler, c *call, req *kmsg.EndTxnRequest, resp *kmsg.EndTxnResponse) error {
	code := wire.ErrTransactionalIDAuthorizationFailed
	if h.allowed(c.Conn, acl.Write, acl.TransactionalID, req.TransactionalID) {
		err := h.Txns.EndTxn(c.ctx, txn.Producer{TransactionalID: req.TransactionalID, ID: req.ProducerID, Epoch: req.ProducerEpoch}, req.Commit)
		code = h.code(err)
	}
	resp.ErrorCode = int16(fencedBefore(2, req.Version, code))
	return nil
}
